// Features of a text, by Unicode 14.0.

import { readFileSync } from "node:fs";
import { isUnicode, need } from "./json.mjs";
import { bare, cellOf } from "./numbers.mjs";

const N_POINTS = 0x110000;
const SIGMA = 0x3a3;
const DATA = new URL("../../../dcai_cli/features/unicode14_data.py", import.meta.url);
const WHITE = "9-d 1c-20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000";

const RANGE = /^([0-9a-f]+)(?:-([0-9a-f]+))?(?:\/(\d+)([+-]\d+))?$/;

function rangesOf(text) {
  return text.trim().split(/\s+/).map((range) => {
    const [, first, last, step, difference] = RANGE.exec(range);
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

export function* textFeatures(spec, cells) {
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
