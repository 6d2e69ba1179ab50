"""Made-up feature specs, good ones and others: what two implementations of the spec are asked about."""

from __future__ import annotations

import json
import random
from typing import Any

from dcai_cli.features.columns import COLUMN_TYPES, DATE_PARTS
from tests.interop.made_up_cells import PIECES, WORDS

Fields = dict[str, Any]

LABELS = ["ham", "spam", " ham", "\u00fc", "1", "true", "\U0001f600", "S", "s"]
COLUMNS = ["sex", "age", "\u00e4 \U0001f600", "__proto__", "length", " x ", "a\nb"]
STEPS = ["1", "0.5", "0.25", "0.30", "100", "007.50", "3", "0.1", "7", "0.7", "0.000000000000001"]
STEPS += ["999999999999999.999999999999999"]
BINS = ["-1e3", "-0.5", "0", "1E-3", "+5", "18", "65.50", "9007199254740993"]
MISSING = ["?", "N/A", "-1", "0", "18", "\u00a0", "true", "?\U0001f600"]
SCALES = ["1", "10", "+127.", "0.1", ".3e1", "1e300", "1e-307", "5e-324", "25", "7"]
HASHED = {"hash": "murmur3_x86_32", "seed": 0}

ODD: list[Any] = [0, 1, -1, 2, 127, 128, 255, 4096, 4097, 4098, 2**24 + 1, 1.0, True, False, None]
ODD += ["", "1", "text", "label", "vector", "\ud800", [], {}, [1], ["a"], ["a", "a"], [1, 2.0]]
"""Values that most fields do not take."""

ODD_NAMES = ["seed", "step", "bins", "parts", "vocabulary", "missing", "columns", "encoder", "constant"]
ODD_NAMES += ["Version", "__proto__"]
ODD_NUMBERS = ["0", "0.0", "1.", ".5", "1e1", "-1", "1e999", "1e-999", "1e-320", "nan", "+1e3", "0x7f"]
ODD_NUMBERS += ["00.10", "1,5"]
ODD_NUMBERS += [" 1e3", "1e3 ", "1\n", "\u0661", "1e3\u00a0", "1" * 16, "0." + "1" * 16]
DAMAGE: list[str] = [
    "",
    " ",
    "\u00a0",
    "\f",
    "\0",
    "\ufeff",
    "\\",
    "\\u",
    "\\u00e4",
    ".0",
    "e0",
    *',:01"}{[/',
]


def write(fields: Fields) -> str:
    """A spec as canonical JSON."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def good_spec(rng: random.Random, kind: str) -> Fields:
    """The fields of a good spec, with any options that its kind has."""
    fields: Fields = {
        "version": 1,
        "kind": kind,
        "labels": rng.sample(LABELS, rng.randint(2, 5)),
        "label_column": "label",
        "n_features": rng.choice([256, 257, 1000, 4096, 65_536, 65_537, 2**24]),
        "valued": rng.random() < 0.5,
    }
    own = {"text": _text, "tabular": _table, "dense": _vectors}[kind]
    fields |= own(rng)
    return fields | {"max_features": min(rng.choice([1, 3, 8, 200, 256]), fields["n_features"])}


def _text(rng: random.Random) -> Fields:
    least = rng.choice([1, 1, 1, 2, 3, 6])
    fields: Fields = {
        "text_column": rng.choice(["text", "constructor", "\u00fc\U0001f600"]),
        "unicode": "14.0",
        "lowercase": rng.random() < 0.7,
        "analyzer": rng.choice(["word", "char", "char_wb"]),
        "ngram_range": [least, min(8, least + rng.randint(0, 3))],
    }
    if rng.random() < 0.7:
        return fields | HASHED | {"alternate_sign": rng.random() < 0.5}
    known = {*map(str.lower, WORDS), *WORDS, *PIECES, "free a", "ok 42", "fr", " f", "  ", " a "}
    vocabulary = rng.sample(sorted(known), rng.randint(2, 40))
    return fields | {"vocabulary": vocabulary, "n_features": len(vocabulary)}


def _table(rng: random.Random) -> Fields:
    return HASHED | {"columns": [_column(rng, name) for name in rng.sample(COLUMNS, rng.randint(1, 5))]}


def _column(rng: random.Random, name: str) -> Fields:
    fields: Fields = {"name": name, "type": rng.choice(COLUMN_TYPES)}
    if fields["type"] == "date":
        fields["parts"] = rng.sample(DATE_PARTS, rng.randint(1, len(DATE_PARTS)))
    if fields["type"] == "numeric" and rng.random() < 0.5:
        fields["step"] = rng.choice(STEPS)
    elif fields["type"] == "numeric":
        fields["bins"] = sorted(rng.sample(BINS, rng.randint(1, 6)), key=float)
    if rng.random() < 0.4:
        fields["missing"] = rng.sample(MISSING, rng.randint(1, 3))
    return fields


def _vectors(rng: random.Random) -> Fields:
    constant = rng.choice([0, 0, 1, 127])
    fields: Fields = {
        "valued": True,
        "vector_column": rng.choice(["vector", "__proto__", "\u00fc\U0001f600"]),
        "n_features": rng.choice([2, 3, 9, 20, 20, 20, 300, 4095]) + (constant > 0),
        "constant": constant,
        "scale": rng.choice(SCALES),
    }
    if rng.random() < 0.3:
        fields["encoder"] = {"name": "e", "version": rng.choice(["1", "\u00fc"]), "text_column": "text"}
    return fields


def document(rng: random.Random, spec: Fields) -> str:
    """A spec as somebody may write it, most of them with a fault."""
    fields: Fields = json.loads(json.dumps(spec))
    parts = [*fields.get("columns", ()), *([fields["encoder"]] if "encoder" in fields else [])]
    owner = rng.choice([fields, rng.choice(parts or [fields])])
    name = rng.choice(list(owner))
    kind = rng.random()
    if kind < 0.4:
        owner[name] = rng.choice(ODD)
    elif kind < 0.5:
        del owner[name]
    elif kind < 0.6:
        owner[rng.choice(ODD_NAMES)] = rng.choice(ODD)
    elif kind < 0.85:
        _change(rng, rng.choice([fields, *parts, *parts]))
    items = list(fields.items())
    rng.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, "\t"]))
    if rng.random() < 0.05:
        doubled = ['"version": 1, "version": 1', '"version": 1e0', '"version": 01', '"version": +1']
        text = text.replace('"version": 1', rng.choice(doubled))
    return damaged(rng, text) if rng.random() < 0.1 else text


def _change(rng: random.Random, owner: Fields) -> None:
    """Change a number that is written as a string, a list, or a name."""
    for name in ("scale", "step"):
        if name in owner:
            owner[name] = rng.choice(ODD_NUMBERS)
            return
    lists = [name for name, value in owner.items() if isinstance(value, list) and value]
    if not lists:
        name = rng.choice([name for name, value in owner.items() if isinstance(value, str)])
        owner[name] = rng.choice(["a=b", "label", "", "age", "=", " ", "vector"])
        return
    name = rng.choice(lists)
    value = owner[name]
    change = rng.randrange(5)
    if change == 0:
        value.append(rng.choice([*ODD, "? ", "\u00a0?", "x\tx", "hour", *LABELS]))
    elif change == 1:
        value[rng.randrange(len(value))] = rng.choice([*ODD, *ODD_NUMBERS])
    elif change == 2:
        value.reverse()
    elif change == 3:
        value.pop()
    elif name == "bins":
        value.append(rng.choice([" 1e99", "1e99 ", "1e99", "+1e99", "1e999", "1e99\u00a0", "0x7f"]))


def damaged(rng: random.Random, text: str) -> str:
    """A text with something put in, in place of nothing or of one character."""
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(DAMAGE) + text[at + rng.randint(0, 1) :]
