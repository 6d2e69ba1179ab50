// Specs: which documents are some, and what their canonical form is.

import { canonical, isInteger, isString, need, parseJson } from "./json.mjs";
import { bare, readNumber } from "./numbers.mjs";

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
  Array.isArray(values) &&
  values.length >= least &&
  values.every(isText) &&
  new Set(values).size === values.length;

function needFields(fields, names) {
  need(fields instanceof Map, "not an object");
  need(fields.size === names.length && names.every((name) => fields.has(name)), "fields");
}

/** The fields that a spec has beside those of all, by its kind and its vocabulary or encoder. */
function ownFields(fields) {
  const kind = fields.get("kind");
  if (kind === "tabular") return [...HASHED, "columns"];
  if (kind === "dense") return fields.has("encoder") ? [...DENSE, "encoder"] : DENSE;
  need(kind === "text", "kind");
  return fields.has("vocabulary") ? [...TEXT, "vocabulary"] : [...HASHED, ...TEXT, "alternate_sign"];
}

/** Reads and checks a spec; its fields as a plain object, with small whole numbers as numbers. */
export function readSpec(text) {
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
  need(Array.isArray(range) && range.length === 2, "ngram_range");
  need(isWithin(range[0], 1, 8) && isWithin(range[1], range[0], 8), "ngram_range");
  spec.ngram_range = range.map(Number);
  if (spec.vocabulary === undefined) {
    need(isBoolean(spec.alternate_sign), "alternate_sign");
  } else {
    need(areDifferent(spec.vocabulary, 2), "vocabulary");
    need(spec.n_features === BigInt(spec.vocabulary.length), "n_features");
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
      const parts = column.get("parts");
      need(areDifferent(parts, 1) && parts.every((part) => PARTS.includes(part)), "parts");
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
