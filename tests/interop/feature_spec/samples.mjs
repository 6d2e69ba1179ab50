// From features to indices and counts, and to the bytes of samples; and back.

import { Float, isInteger, need, parseJson } from "./json.mjs";
import { cellOf } from "./numbers.mjs";
import { tableFeatures } from "./table.mjs";
import { textFeatures } from "./text.mjs";

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

export function featurize(spec, cells) {
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
export function decode(spec, payload) {
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
