// JSON as the feature spec has it. JSON.parse forgets keys that stand twice, and that 1.0 is not 1.

export class Refused extends Error {}

export function need(condition, what) {
  if (!condition) throw new Refused(what);
}

export class Float {
  constructor(value) {
    this.value = value;
  }
}

export const isInteger = (value) => typeof value === "bigint";
export const isString = (value) => typeof value === "string";
export const isUnicode = (text) => !/\p{Surrogate}/u.test(text);

/** Lists and objects within one another: those of a cell, and the row itself. */
const MOST_LEVELS = 101;

/** Reads one JSON document: objects are Maps, whole numbers BigInts, others Floats. */
export function parseJson(text) {
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

export function canonical(value) {
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
export function writeDouble(number) {
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
