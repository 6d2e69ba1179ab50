// A second implementation of the feature spec, written from docs/feature-spec.md alone, in plain JavaScript.
//
//     node tests/interop/feature_spec/main.mjs < questions.json > answers.json
//
// Questions and answers are objects of lists; an answer stands where its question does, null for a refusal or a
// row that is skipped. Questions are `specs`: documents -> canonical forms; `rows`: {spec, cells, repeat} ->
// {features, indices, values, sample}; `lines` of jsonl -> cells; `payloads`: {n_features, max_features, n_labels,
// valued, payload} -> samples; `quantiles`: {column, cells, quantiles} -> bins.
//
// Nothing here is taken from the Python code, and that is its worth: where the two differ, the page says who is
// right. The only file of it that is read holds the ranges of Unicode 14.0; JavaScript has a Unicode of its own.

import { readFileSync } from "node:fs";
import { readSpec } from "./document.mjs";
import { canonical, isString, need, parseJson, Refused } from "./json.mjs";
import { decode, featurize } from "./samples.mjs";
import { quantileBins } from "./table.mjs";

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

const orNull = (work) => {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
};

const questions = JSON.parse(readFileSync(0, "utf8"));
const specs = new Map();
const specOf = (text) => {
  if (!specs.has(text)) specs.set(text, readSpec(text));
  return specs.get(text);
};

const ANSWERS = {
  specs: (text) => readSpec(text).canonical,
  rows: ({ spec, cells, repeat }) => {
    const answer = featurize(specOf(spec), repeat ? { ...cells, text: cells.text.repeat(repeat) } : cells);
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
