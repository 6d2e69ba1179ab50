// Cells, and the numbers in them.

import { need } from "./json.mjs";

export const cellOf = (cells, name) => (Object.hasOwn(cells, name) ? cells[name] : "");
export const bare = (text) => text.replace(/^[ \t\n\v\f\r]+/, "").replace(/[ \t\n\v\f\r]+$/, "");

const NUMBER = /^([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?$/;

export function readNumber(text) {
  need(NUMBER.test(text), "number");
  const number = Number(text);
  need(Number.isFinite(number), "number");
  return number;
}

/** The nearest multiple of a step, ties to even, on the digits as they are written. */
export function roundNumber(text, step) {
  readNumber(text);
  const [, sign, whole = "", behind, alone, exponent = "0"] = NUMBER.exec(text);
  const fraction = behind ?? alone ?? "";
  const digits = (whole + fraction).replace(/^0+/, "");
  const power = Number(exponent) - fraction.length;
  // So small a number is nearer to 0 than to any step, and its power of ten may be beyond all memory.
  if (digits === "" || digits.length + power < -20) return "0";
  const [stepWhole, stepFraction = ""] = step.split(".");
  const unit = BigInt(stepWhole + stepFraction);
  const shift = power + stepFraction.length;
  const numerator = BigInt(digits) * 10n ** BigInt(Math.max(shift, 0));
  const denominator = unit * 10n ** BigInt(Math.max(-shift, 0));
  let multiple = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  if (twice > denominator || (twice === denominator && multiple % 2n === 1n)) multiple += 1n;
  if (multiple === 0n) return "0";
  const written = String(multiple * unit).padStart(stepFraction.length + 1, "0");
  const point = written.length - stepFraction.length;
  const tail = written.slice(point).replace(/0+$/, "");
  return `${sign === "-" ? "-" : ""}${written.slice(0, point)}${tail && "."}${tail}`;
}
