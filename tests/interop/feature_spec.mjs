// A second implementation of the feature spec, written from docs/feature-spec.md alone, in plain JavaScript.
//
//     node tests/interop/feature_spec.mjs < questions.json > answers.json
//
// Questions and answers are objects of lists, and an answer stands where its question does; null is a refusal, or
// a row that is skipped. `specs`: documents -> canonical forms. `rows`: {spec, cells, repeat} -> {features, indices,
// values, sample}. `lines`: of jsonl -> cells. `payloads`: {n_features, ..., payload} -> samples.
// `quantiles`: {column, cells, quantiles} -> bins.
//
// Nothing here knows the Python code, and it stays so: where the two differ, the page says who is right. The only
// file of it that is read holds the ranges of Unicode 14.0, because JavaScript has a Unicode of its own.

import { readFileSync } from "node:fs";

class Refused extends Error {}

function need(condition, what) {
  if (!condition) throw new Refused(what);
}

const orNull = (work) => {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
};

// --- JSON: JSON.parse forgets keys that stand twice, and that 1.0 is not 1 -----------------------------------

class Float {
  constructor(value) {
    this.value = value;
  }
}

const isInteger = (value) => typeof value === "bigint";
const isString = (value) => typeof value === "string";
const isUnicode = (text) => !/\p{Surrogate}/u.test(text);

/** Lists and objects within one another: those of a cell, and the row itself. */
const MOST_LEVELS = 101;

/** Reads one JSON document: objects are Maps, whole numbers BigInts, others Floats. */
function parseJson(text) {
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found && found[0];
  };
  const space = () => match(/[ \t\n\r]*/y);
  const take = (token) => {
    space();
    if (!text.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const list = (close, item) => {
    if (take(close)) return;
    do item();
    while (take(","));
    need(take(close), "JSON");
  };
  const string = () => {
    space();
    const found = match(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    need(found !== null && isUnicode(JSON.parse(found)), "JSON");
    return JSON.parse(found);
  };
  const value = (level) => {
    space();
    need(level < MOST_LEVELS || !/[[{]/.test(text[at]), "nested too deeply");
    if (text[at] === '"') return string();
    if (take("[")) {
      const items = [];
      list("]", () => items.push(value(level + 1)));
      return items;
    }
    if (take("{")) {
      const fields = new Map();
      list("}", () => {
        const key = string();
        need(!fields.has(key) && take(":"), "JSON");
        fields.set(key, value(level + 1));
      });
      return fields;
    }
    const number = match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y);
    if (number !== null) return /[.eE]/.test(number) ? new Float(Number(number)) : BigInt(number);
    const odd = match(/NaN|-?Infinity/y);
    if (odd !== null) return new Float(Number(odd));
    const word = match(/true|false|null/y);
    need(word !== null, "JSON");
    return JSON.parse(word);
  };
  const document = value(0);
  space();
  need(at === text.length, "JSON");
  return document;
}

const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value instanceof Map) {
    const keys = [...value.keys()].sort(byCodePoint);
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value.get(key))}`).join(",")}}`;
  }
  if (value instanceof Float) return writeDouble(value.value);
  if (isInteger(value)) need(String(value).replace("-", "").length <= 4300, "digits");
  return isInteger(value) ? String(value) : JSON.stringify(value);
}

/** The shortest decimal that reads back as the same double, as Python's `repr` writes it. */
function writeDouble(number) {
  if (!Number.isFinite(number)) return String(number);
  const [, sign, first, rest, exponent] = /^(-?)(\d)\.?(\d*)e([+-]\d+)$/.exec(number.toExponential());
  const minus = sign || Object.is(number, -0) ? "-" : "";
  const power = Number(exponent);
  const digits = first + rest;
  if (power < -4 || power >= 16) {
    const size = String(Math.abs(power)).padStart(2, "0");
    return `${minus}${first}${rest && "."}${rest}e${power < 0 ? "-" : "+"}${size}`;
  }
  if (power < 0) return `${minus}0.${"0".repeat(-power - 1)}${digits}`;
  const whole = digits.slice(0, power + 1).padEnd(power + 1, "0");
  return `${minus}${whole}.${digits.slice(power + 1) || "0"}`;
}

// --- the document --------------------------------------------------------------------------------------------

const FIELDS = "version kind labels label_column n_features max_features valued".split(" ");
const HASHED = ["hash", "seed"];
const TEXT = "text_column unicode lowercase analyzer ngram_range".split(" ");
const DENSE = ["vector_column", "scale", "constant"];
const ENCODER = ["name", "version", "text_column"];
const COLUMN_FIELDS = { categorical: [], numeric: ["bins"], boolean: [], date: ["parts"] };
const PARTS = ["year", "quarter", "month", "day", "weekday", "hour", "minute"];

const isText = (value) => isString(value) && value !== "";
const isBoolean = (value) => typeof value === "boolean";
const isWithin = (value, least, greatest) => isInteger(value) && value >= least && value <= greatest;
const areDifferent = (values, least) =>
  Array.isArray(values) && values.length >= least && values.every(isText) && new Set(values).size === values.length;

function needFields(fields, names) {
  need(fields instanceof Map, "not an object");
  need(fields.size === names.length && names.every((name) => fields.has(name)), "fields");
}

/** The fields that a spec has beside those of all, by its kind and by what it has of those that may be absent. */
function ownFields(fields) {
  const kind = fields.get("kind");
  if (kind === "tabular") return [...HASHED, "columns"];
  if (kind === "dense") return fields.has("encoder") ? [...DENSE, "encoder"] : DENSE;
  need(kind === "text", "kind");
  return fields.has("vocabulary") ? [...TEXT, "vocabulary"] : [...HASHED, ...TEXT, "alternate_sign"];
}

/** Reads and checks a spec; its fields as a plain object, with small whole numbers as numbers. */
function readSpec(text) {
  const fields = parseJson(text);
  need(fields instanceof Map, "not an object");
  needFields(fields, [...FIELDS, ...ownFields(fields)]);
  const spec = Object.fromEntries(fields);
  need(spec.version === 1n, "version");
  need(areDifferent(spec.labels, 2) && spec.labels.length <= 16, "labels");
  need(isText(spec.label_column) && isBoolean(spec.valued), "label_column or valued");
  need(isInteger(spec.n_features), "n_features");
  need(isWithin(spec.max_features, 1, 4096) && spec.max_features <= spec.n_features, "max_features");
  if (fields.has("hash")) {
    need(spec.hash === "murmur3_x86_32" && spec.seed === 0n, "hash or seed");
    need(isWithin(spec.n_features, 256, 16_777_216), "n_features");
  }
  CHECKS[spec.kind](spec);
  spec.canonical = canonical(fields);
  spec.n_features = Number(spec.n_features);
  spec.max_features = Number(spec.max_features);
  return spec;
}

const CHECKS = { text: checkText, tabular: checkColumns, dense: checkVectors };

function checkText(spec) {
  need(isText(spec.text_column) && spec.text_column !== spec.label_column, "text_column");
  need(spec.unicode === "14.0" && isBoolean(spec.lowercase), "unicode or lowercase");
  need(["word", "char", "char_wb"].includes(spec.analyzer), "analyzer");
  const range = spec.ngram_range;
  need(Array.isArray(range) && range.length === 2 && range.every((size) => isWithin(size, 1, 8)), "ngram_range");
  need(range[0] <= range[1], "ngram_range");
  spec.ngram_range = range.map(Number);
  if (spec.vocabulary === undefined) {
    need(isBoolean(spec.alternate_sign), "alternate_sign");
  } else {
    need(areDifferent(spec.vocabulary, 2) && spec.n_features === BigInt(spec.vocabulary.length), "vocabulary");
    spec.position = new Map(spec.vocabulary.map((feature, index) => [feature, index]));
  }
}

function checkVectors(spec) {
  need(isText(spec.vector_column) && spec.vector_column !== spec.label_column, "vector_column");
  need(spec.valued && isWithin(spec.constant, 0, 127), "valued or constant");
  spec.constant = Number(spec.constant);
  const extra = spec.constant ? 1 : 0;
  need(isWithin(spec.n_features, 2 + extra, 4096), "n_features");
  need(isString(spec.scale) && readNumber(spec.scale) > 0, "scale");
  if (spec.encoder !== undefined) {
    needFields(spec.encoder, ENCODER);
    need([...spec.encoder.values()].every(isText), "encoder");
    const column = spec.encoder.get("text_column");
    need(column !== spec.label_column && column !== spec.vector_column, "text_column of the encoder");
  }
}

function checkColumns(spec) {
  need(Array.isArray(spec.columns) && spec.columns.length >= 1, "columns");
  const names = new Set();
  for (const column of spec.columns) {
    need(column instanceof Map && isString(column.get("type")), "column");
    const [name, type] = [column.get("name"), column.get("type")];
    need(Object.hasOwn(COLUMN_FIELDS, type), "type");
    const own = type === "numeric" && column.has("step") ? ["step"] : COLUMN_FIELDS[type];
    needFields(column, ["name", "type", ...own, ...(column.has("missing") ? ["missing"] : [])]);
    need(isText(name) && !name.includes("=") && name !== spec.label_column && !names.has(name), "name");
    names.add(name);
    if (own[0] === "bins") checkBins(column.get("bins"));
    if (own[0] === "step") checkStep(column.get("step"));
    if (own[0] === "parts") {
      need(areDifferent(column.get("parts"), 1) && column.get("parts").every((part) => PARTS.includes(part)), "parts");
    }
    if (column.has("missing")) {
      const missing = column.get("missing");
      need(areDifferent(missing, 1) && missing.every((text) => text === bare(text)), "missing");
    }
  }
  spec.columns = spec.columns.map((column) => Object.fromEntries(column));
}

function checkBins(bins) {
  need(Array.isArray(bins) && bins.length >= 1 && bins.every(isText), "bins");
  const numbers = bins.map(readNumber);
  need(numbers.every((number, at) => at === 0 || numbers[at - 1] < number), "bins");
}

function checkStep(step) {
  need(isString(step) && /^[0-9]{1,15}(\.[0-9]{1,15})?$/.test(step) && /[1-9]/.test(step), "step");
}

// --- Unicode 14.0 --------------------------------------------------------------------------------------------

const N_POINTS = 0x110000;
const SIGMA = 0x3a3;
const DATA = new URL("../../dcai_cli/features/unicode14_data.py", import.meta.url);
const WHITE = "9-d 1c-20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000";

function rangesOf(text) {
  return text.trim().split(/\s+/).map((range) => {
    const [, first, last, step, difference] = /^([0-9a-f]+)(?:-([0-9a-f]+))?(?:\/(\d+)([+-]\d+))?$/.exec(range);
    return [parseInt(first, 16), parseInt(last ?? first, 16), Number(step ?? 1), Number(difference ?? 0)];
  });
}

function pointsOf(text) {
  const points = new Uint8Array(N_POINTS);
  for (const [first, last] of rangesOf(text)) points.fill(1, first, last + 1);
  return points;
}

function readUnicode() {
  const source = readFileSync(DATA, "utf8");
  const ranges = (name) => new RegExp(`^${name} = """([^"]*)"""`, "m").exec(source)[1];
  const lower = Int32Array.from({ length: N_POINTS }, (_, point) => point);
  for (const [first, last, step, difference] of rangesOf(ranges("LOWER"))) {
    for (let point = first; point <= last; point += step) lower[point] += difference;
  }
  const [word, cased, ignorable] = ["WORD", "CASED", "CASE_IGNORABLE"].map((name) => pointsOf(ranges(name)));
  return { word, cased, ignorable, lower, space: pointsOf(WHITE) };
}

const UNICODE = readUnicode();

const pointsIn = (text) => Array.from(text, (character) => character.codePointAt(0));
const textOf = (points) => {
  let text = "";
  for (const point of points) text += String.fromCodePoint(point);
  return text;
};

function isFinalSigma(points, at) {
  const sees = (from, by) => {
    let next = from + by;
    while (next >= 0 && next < points.length && UNICODE.ignorable[points[next]]) next += by;
    return next >= 0 && next < points.length && UNICODE.cased[points[next]] === 1;
  };
  return sees(at, -1) && !sees(at, 1);
}

function lowercase(points) {
  return points.flatMap((point, at) => {
    if (point === 0x130) return [0x69, 0x307];
    if (point === SIGMA) return [isFinalSigma(points, at) ? 0x3c2 : 0x3c3];
    return [UNICODE.lower[point]];
  });
}

// --- features of a text --------------------------------------------------------------------------------------

const cellOf = (cells, name) => (Object.hasOwn(cells, name) ? cells[name] : "");
const bare = (text) => text.replace(/^[ \t\n\v\f\r]+/, "").replace(/[ \t\n\v\f\r]+$/, "");

function* runs(items, size, joiner) {
  for (let at = 0; at + size <= items.length; at += 1) yield items.slice(at, at + size).join(joiner);
}

/** The longest runs of code points that have, or have not, the property. */
function cut(points, property, wanted) {
  const pieces = [[]];
  for (const point of points) {
    if (property[point] === wanted) pieces.at(-1).push(point);
    else if (pieces.at(-1).length > 0) pieces.push([]);
  }
  return pieces.filter((piece) => piece.length > 0);
}

function collapseSpaces(points) {
  const kept = [];
  for (let at = 0; at < points.length; ) {
    let end = at;
    while (end < points.length && UNICODE.space[points[end]]) end += 1;
    kept.push(end - at > 1 ? 0x20 : points[at]);
    at = Math.max(end, at + 1);
  }
  return kept;
}

function* textFeatures(spec, cells) {
  const text = cellOf(cells, spec.text_column);
  need(isUnicode(text) && bare(text) !== "", "text");
  const [least, greatest] = spec.ngram_range;
  let points = pointsIn(text);
  if (spec.lowercase) points = lowercase(points);
  const all = (points) => points.map((point) => String.fromCodePoint(point));
  let sequences = [];
  if (spec.analyzer === "word") {
    const words = cut(points, UNICODE.word, 1).filter((word) => word.length >= 2);
    sequences = [words.map(textOf)];
  } else if (spec.analyzer === "char") {
    sequences = [all(collapseSpaces(points))];
  } else {
    sequences = cut(points, UNICODE.space, 0).map((piece) => [" ", ...all(piece), " "]);
  }
  for (const sequence of sequences) {
    if (spec.analyzer === "char_wb" && sequence.length < least) yield sequence.join("");
    for (let size = least; size <= greatest; size += 1) {
      yield* runs(sequence, size, spec.analyzer === "word" ? " " : "");
    }
  }
}

// --- features of a table -------------------------------------------------------------------------------------

const NUMBER = /^([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?$/;

function readNumber(text) {
  need(NUMBER.test(text), "number");
  const number = Number(text);
  need(Number.isFinite(number), "number");
  return number;
}

/** The nearest multiple of a step, ties to even, on the digits as they are written. */
function roundNumber(text, step) {
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
    const number = readNumber(text);
    yield column.bins ? column.bins.filter((bin) => Number(bin) <= number).length : roundNumber(text, column.step);
  } else if (column.type === "boolean") {
    yield readBoolean(text);
  } else {
    const date = readDate(text);
    for (const part of column.parts) yield `${part}:${date[part]}`;
  }
}

function* tableFeatures(spec, cells) {
  const columns = spec.columns.map((column) => [column, cellOf(cells, column.name)]);
  need(columns.every(([, cell]) => isUnicode(cell)), "half of a pair");
  need(!columns.every(([column, cell]) => isMissing(column, cell)), "nothing there");
  for (const [column, cell] of columns) {
    for (const value of columnFeatures(column, cell)) yield `${column.name}=${value}`;
  }
}

// --- indices and counts --------------------------------------------------------------------------------------

const rotate = (word, by) => (word << by) | (word >>> (32 - by));

/** MurmurHash3 x86 32 with seed 0, as a signed 32-bit integer. */
function murmur3(bytes) {
  const mix = (word) => Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let at = 0; at < whole; at += 4) {
    hash = (Math.imul(rotate(hash ^ mix(bytes.readInt32LE(at)), 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= whole; at -= 1) tail = (tail << 8) | bytes[at];
  hash ^= mix(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function countFeatures(spec, features) {
  const often = new Map();
  for (const feature of features) often.set(feature, (often.get(feature) ?? 0) + 1);
  const counts = new Map();
  for (const [feature, times] of often) {
    let [index, count] = [spec.position?.get(feature), times];
    if (!spec.position) {
      const hash = murmur3(Buffer.from(feature));
      index = Math.abs(hash) % spec.n_features;
      if (spec.alternate_sign && hash < 0) count = -times;
    }
    if (index !== undefined) counts.set(index, (counts.get(index) ?? 0) + count);
  }
  return counts;
}

/** Indices in rising order, and their values. */
function vectorize(spec, counts) {
  const all = [...counts].filter(([, count]) => !spec.valued || count !== 0);
  need(all.length > 0, "nothing left");
  all.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]) || a[0] - b[0]);
  const kept = all.slice(0, spec.max_features).sort((a, b) => a[0] - b[0]);
  const value = (count) => (spec.valued ? Math.max(-127, Math.min(127, count)) : 1);
  return { indices: kept.map(([index]) => index), values: kept.map(([, count]) => value(count)) };
}

function roundToEven(number) {
  const below = Math.floor(number);
  const up = number - below > 0.5 || (number - below === 0.5 && below % 2 !== 0);
  return up ? below + 1 : below;
}

/** Index to value of the vector that a cell holds. */
function readVector(spec, cell) {
  const numbers = parseJson(cell);
  const extra = spec.constant ? 1 : 0;
  need(Array.isArray(numbers) && numbers.length === spec.n_features - extra, "length");
  const scale = Number(spec.scale);
  const values = numbers.map((number) => {
    need(isInteger(number) || number instanceof Float, "not a number");
    const double = isInteger(number) ? Number(number) : number.value;
    need(Number.isFinite(double), "not a finite number");
    return roundToEven(Math.max(-127, Math.min(127, double * scale)));
  });
  need(values.some((value) => value !== 0), "all 0");
  return (extra ? [...values, spec.constant] : values).entries();
}

function featurize(spec, cells) {
  const label = spec.labels.indexOf(cellOf(cells, spec.label_column));
  need(label >= 0, "label");
  const answer = {};
  let counts;
  if (spec.kind === "dense") {
    counts = readVector(spec, cellOf(cells, spec.vector_column));
  } else {
    answer.features = [...(spec.kind === "text" ? textFeatures : tableFeatures)(spec, cells)];
    counts = countFeatures(spec, answer.features);
  }
  const { indices, values } = vectorize(spec, counts);
  return { ...answer, indices, values, sample: encode(spec, label, indices, values).toString("hex") };
}

// --- bytes ---------------------------------------------------------------------------------------------------

const indexSize = (spec) => (spec.n_features <= 65_536 ? 2 : 3);

function encode(spec, label, indices, values) {
  const size = indexSize(spec);
  const step = size + (spec.valued ? 1 : 0);
  const bytes = Buffer.alloc(3 + indices.length * step);
  bytes.writeUInt8(label, 0);
  bytes.writeUInt16BE(indices.length, 1);
  indices.forEach((index, position) => {
    bytes.writeUIntBE(index, 3 + position * step, size);
    if (spec.valued) bytes.writeInt8(values[position], 3 + position * step + size);
  });
  return bytes;
}

/** The samples of a payload; refuses what the contracts refuse. */
function decode(spec, payload) {
  const size = indexSize(spec);
  const samples = [];
  let at = 0;
  const take = (length, signed = false) => {
    need(at + length <= payload.length, "ends within a sample");
    at += length;
    return signed ? payload.readIntBE(at - length, length) : payload.readUIntBE(at - length, length);
  };
  while (at < payload.length) {
    const [label, n] = [take(1), take(2)];
    need(label < spec.n_labels && n >= 1 && n <= spec.max_features, "label or n");
    const [indices, values] = [[], []];
    for (let position = 0; position < n; position += 1) {
      indices.push(take(size));
      need(position === 0 || indices[position] > indices[position - 1], "order");
      values.push(spec.valued ? take(1, true) : 1);
      need(values[position] !== 0 && values[position] !== -128, "value");
    }
    need(indices[n - 1] < spec.n_features, "index");
    samples.push({ label, indices, values });
  }
  need(samples.length >= 1 && samples.length <= 256, "number of samples");
  return samples;
}

// --- what files and owners bring -----------------------------------------------------------------------------

function cellText(value) {
  if (value === null) return "";
  return isString(value) ? value : canonical(value);
}

/** The cells of a line of jsonl, as pairs of name and cell. */
function readLine(line) {
  const fields = parseJson(line);
  need(fields instanceof Map, "not an object");
  return [...fields].map(([name, value]) => [name, cellText(value)]);
}

/** The bins of a column whose rows have these cells. */
function quantileBins(column, cells, quantiles) {
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

const questions = JSON.parse(readFileSync(0, "utf8"));
const specs = new Map();
const specOf = (text) => {
  if (!specs.has(text)) specs.set(text, readSpec(text));
  return specs.get(text);
};
const repeated = (cells, times) =>
  Object.fromEntries(Object.entries(cells).map(([name, cell]) => [name, name === "text" ? cell.repeat(times) : cell]));

const ANSWERS = {
  specs: (text) => readSpec(text).canonical,
  rows: ({ spec, cells, repeat }) => {
    const answer = featurize(specOf(spec), repeat ? repeated(cells, repeat) : cells);
    return repeat ? { ...answer, features: undefined } : answer;
  },
  lines: readLine,
  payloads: (question) => decode(question, Buffer.from(question.payload.slice(2), "hex")),
  quantiles: ({ column, cells, quantiles }) => quantileBins(column, cells, quantiles),
};

const answers = {};
for (const [name, list] of Object.entries(questions)) {
  answers[name] = list.map((question) => orNull(() => ANSWERS[name](question)));
}
process.stdout.write(JSON.stringify(answers));
