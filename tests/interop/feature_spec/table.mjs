// Features of a table, and bins that are learned for it.

import { isUnicode, need, writeDouble } from "./json.mjs";
import { bare, cellOf, readNumber, roundNumber } from "./numbers.mjs";

const HOURS = "(?:[01][0-9]|2[0-3])";
const SIXTY = "[0-5][0-9]";
const OFFSET = `(?:[Zz]|[+-]${HOURS}(?::?${SIXTY}(?::?${SIXTY})?)?)`;
const TIME = `[Tt ](${HOURS}):(${SIXTY})(?::(?:${SIXTY}|60)(?:[.,][0-9]+)?)?${OFFSET}?`;
const DATE = new RegExp(`^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:${TIME})?$`);

function readDate(text) {
  const found = DATE.exec(text);
  need(found !== null, "date");
  const [year, month, day] = found.slice(1, 4).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  need(year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day, "date");
  const [hour, minute] = found.slice(4, 6).map((digits) => (digits === undefined ? "" : Number(digits)));
  return { year, quarter: Math.ceil(month / 3), month, day, weekday: date.getUTCDay() || 7, hour, minute };
}

function readBoolean(text) {
  const word = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const isTrue = ["true", "t", "yes", "y", "1"].includes(word);
  need(isTrue || ["false", "f", "no", "n", "0"].includes(word), "boolean");
  return isTrue;
}

const isMissing = (column, cell) => bare(cell) === "" || (column.missing ?? []).includes(bare(cell));

function* columnFeatures(column, cell) {
  const text = bare(cell);
  if (isMissing(column, cell)) {
    yield column.type === "categorical" && text === "" ? cell : "";
  } else if (column.type === "categorical") {
    yield cell;
  } else if (column.type === "numeric") {
    const isBelow = (bin) => Number(bin) <= readNumber(text);
    yield column.bins ? column.bins.filter(isBelow).length : roundNumber(text, column.step);
  } else if (column.type === "boolean") {
    yield readBoolean(text);
  } else {
    const date = readDate(text);
    for (const part of column.parts) yield `${part}:${date[part]}`;
  }
}

export function* tableFeatures(spec, cells) {
  const columns = spec.columns.map((column) => [column, cellOf(cells, column.name)]);
  need(columns.every(([, cell]) => isUnicode(cell)), "half of a pair");
  need(!columns.every(([column, cell]) => isMissing(column, cell)), "nothing there");
  for (const [column, cell] of columns) {
    for (const value of columnFeatures(column, cell)) yield `${column.name}=${value}`;
  }
}

/** The bins of a column whose rows have these cells. */
export function quantileBins(column, cells, quantiles) {
  const there = cells.filter((cell) => !isMissing(column, cell));
  const numbers = there.map((cell) => readNumber(bare(cell))).sort((a, b) => a - b);
  need(numbers.length > 0 && numbers[0] < numbers.at(-1), "two different numbers");
  const edges = new Set();
  for (let k = 1; k < quantiles; k += 1) {
    const edge = numbers[Math.floor((k * numbers.length) / quantiles)];
    edges.add(edge === numbers[0] ? numbers.find((number) => number > edge) : edge);
  }
  // As keys of a Set the two zeros are one, and that is 0.
  return [...edges].map((edge) => writeDouble(edge).replace(/\.0$/, ""));
}
