"""Made-up questions to two implementations of the feature spec: specs, rows, lines, payloads, columns."""

from __future__ import annotations

import json
import random
from typing import Any

from dcai_cli.features import unicode14_data
from dcai_cli.features.columns import COLUMN_TYPES, DATE_PARTS

Fields = dict[str, Any]

WORDS = [
    "free",
    "Prize",
    "a",
    "I'll",
    "\u03a3\u0391\u03a3",
    "\u8ddd\u79bb\u5ddd\u6c99",
    "\u0928\u092e\u0938\u094d\u0924\u0947",
    "_x",
    "42",
    "\u0130I",
    "ok",
]
PIECES = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\x1c",
    "\x1f",
    "\x85",
    "\u00a0",
    "\u180e",
    "\u200b",
    "\u2028",
    "\u3000",
    "\ufeff",
    "\0",
    "\x7f",
]
PIECES += [
    "\u03a3",
    "\u03a3.",
    "'\u03a3",
    "\u0301",
    "\u0345",
    "\u00ad",
    "\u200d",
    "\u02b0",
    "\ufe0f",
    "\u0307",
    "\u0130",
    "\u1e9e",
    "\u212a",
    "\u017f",
]
PIECES += [
    "\U0001f469\u200d\U0001f4bb",
    "\U0001f1e9\U0001f1ea",
    "\U00010400",
    "\U0001d7d8",
    "\U000e0041",
    "\U0010ffff",
    "\ufffe",
    "\u05d0\u05b8",
]
PIECES += [
    "\u1c89",
    "\ua7cb",
    "\U00011f02",
    "\U0002ebf0",
    "\u2fef",
    "\u0eceb",
    "=",
    "==",
    "e",
    ".",
    "-",
    '"',
    "\\",
]
"""Runs of characters that are white space, cased, looked through, unassigned in Unicode 14, or beyond U+FFFF."""

LABELS = ["ham", "spam", " ham", "\u00fc", "1", "true", "\U0001f600", "S", "s"]
SPACES = ["", "", "", " ", "\t", "\x0b\x0c", "\r\n", "\u00a0", "\x1c"]
BOOLEANS = [
    "true",
    "T",
    "yes",
    "Y",
    "1",
    "False",
    "f",
    "nO",
    "n",
    "0",
    "on",
    "2",
    "ye\u017f",
    "tr\u00fce",
    "1.0",
]
DATES = [
    "2024-02-29",
    "1999-12-31T23:59:60",
    "0001-01-01 00:05z",
    "2000-07-02t04:00:07,5-0530",
    "2021-03-04T05:06+10:11:12",
]
DATES += [
    "2021-03-04T05:06:07.80Z",
    "9999-12-31 09:30-235959",
    "1900-02-28T10:00+1011:12",
    "2021-11-30T00:59+23",
]
NUMBERS = [
    "0",
    "-0",
    "+5.",
    ".5",
    "1e3",
    "18",
    "65.5",
    "nan",
    "inf",
    "0x1",
    "1_0",
    "1e999",
    "-1e-999",
    "0e99999999999",
    "\u0665",
    "",
    ".",
]
NUMBERS += [
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "4.9e-324",
    "9007199254740993",
    "0.1",
    "0.10000000000000001",
    "e5",
    "1,5",
]
STEPS = [
    "1",
    "0.5",
    "0.25",
    "0.30",
    "100",
    "007.50",
    "3",
    "0.000000000000001",
    "999999999999999.999999999999999",
    "0.1",
    "7",
    "0.7",
]
ODD: list[Any] = [
    0,
    1,
    -1,
    2,
    255,
    2**24 + 1,
    1.0,
    True,
    False,
    None,
    "",
    "1",
    "text",
    [],
    {},
    [1],
    ["a"],
    ["a", "a"],
    [1, 2.0],
    "\ud800",
]
"""Values that most fields do not take."""

WHOLE_RANGES = (
    unicode14_data.WORD,
    unicode14_data.CASED,
    unicode14_data.CASE_IGNORABLE,
    unicode14_data.UNASSIGNED,
)


def make(rng: random.Random) -> dict[str, list[Any]]:
    """Questions of every kind, always the same for the same state of the generator."""
    specs = [random_spec(rng) for _ in range(250)]
    return {
        "rows": [*(_row(rng, rng.choice(specs)) for _ in range(3000)), *_edges_of_ranges()],
        "specs": [_document(rng, rng.choice(specs)) for _ in range(2500)],
        "lines": [_line(rng) for _ in range(1500)],
        "payloads": [_payload(rng) for _ in range(1500)],
        "quantiles": [_quantiles(rng) for _ in range(300)],
    }


def write(fields: Fields) -> str:
    """A spec as canonical JSON."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def random_spec(rng: random.Random) -> Fields:
    """The fields of a good spec, of any kind."""
    size = rng.choice([256, 257, 1000, 4096, 65_536, 65_537, 2**24])
    fields: Fields = {
        "version": 1,
        "labels": rng.sample(LABELS, rng.randint(2, 5)),
        "label_column": "label",
        "n_features": size,
        "max_features": rng.choice([1, 3, 8, 200, 256]),
        "valued": rng.random() < 0.5,
        "hash": "murmur3_x86_32",
        "seed": 0,
    }
    if rng.random() < 0.4:
        names = rng.sample(
            ["sex", "age", "\u00e4 \U0001f600", "__proto__", "length", " x ", "a\nb"], rng.randint(1, 5)
        )
        return fields | {"kind": "tabular", "columns": [_column(rng, name) for name in names]}
    least = rng.choice([1, 1, 1, 2, 3, 6])
    fields |= {
        "kind": "text",
        "text_column": rng.choice(["text", "constructor", "\u00fc\U0001f600"]),
        "unicode": "14.0",
        "lowercase": rng.random() < 0.7,
        "analyzer": rng.choice(["word", "char", "char_wb"]),
        "ngram_range": [least, min(8, least + rng.randint(0, 3))],
        "alternate_sign": rng.random() < 0.5,
    }
    if rng.random() < 0.3:
        for name in ("hash", "seed", "alternate_sign"):
            del fields[name]
        known = [*map(str.lower, WORDS), *WORDS, *PIECES, "free a", "ok 42", "fr", " f", "  ", " a "]
        fields["vocabulary"] = rng.sample(sorted(set(known)), rng.randint(2, 40))
        fields["n_features"] = len(fields["vocabulary"])
    return fields | {"max_features": min(fields["max_features"], fields["n_features"])}


def _column(rng: random.Random, name: str) -> Fields:
    fields: Fields = {"name": name, "type": rng.choice(COLUMN_TYPES)}
    if fields["type"] == "date":
        fields["parts"] = rng.sample(DATE_PARTS, rng.randint(1, len(DATE_PARTS)))
    if fields["type"] == "numeric" and rng.random() < 0.5:
        fields["step"] = rng.choice(STEPS)
    elif fields["type"] == "numeric":
        fields["bins"] = sorted(
            rng.sample(
                ["-1e3", "-0.5", "0", "1E-3", "+5", "18", "65.50", "9007199254740993"], rng.randint(1, 6)
            ),
            key=float,
        )
    if rng.random() < 0.4:
        fields["missing"] = rng.sample(
            ["?", "N/A", "-1", "0", "18", "\u00a0", "true", "?\U0001f600"], rng.randint(1, 3)
        )
    return fields


def random_text(rng: random.Random, longest: int = 25) -> str:
    """Words, odd pieces and random code points; now and then half of a surrogate pair."""
    parts = []
    for _ in range(rng.randint(0, longest)):
        kind = rng.random()
        if kind < 0.4:
            parts += [rng.choice(WORDS), rng.choice([" ", " ", ", ", ""])]
        elif kind < 0.8:
            parts.append(rng.choice(PIECES))
        else:
            point = rng.randrange(rng.choice([0x80, 0x500, 0x3000, 0x20000, 0x110000]))
            parts.append("" if 0xD800 <= point < 0xE000 else chr(point))
    # One kind of half only: through JSON, two halves that meet are one character.
    if rng.random() < 0.02:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(["\ud83d", "\udc00"]))
    return "".join(parts)


def _row(rng: random.Random, spec: Fields) -> Fields:
    cells = {
        "extra": "\ud800",
        "label": rng.choice(spec["labels"] if rng.random() < 0.95 else ["", "HAM", "x"]),
    }
    if spec["kind"] == "text":
        cells[spec["text_column"]] = random_text(rng, rng.choice([2, 25, 25, 120]))
    for column in spec.get("columns", ()):
        cells[column["name"]] = _cell(rng, column)
    return {"spec": write(spec), "cells": cells}


def _cell(rng: random.Random, column: Fields) -> str:
    if rng.random() < 0.1:
        return rng.choice(["", " ", "\t\n", "\u00a0", "\x1c", *column.get("missing", [])])
    if column["type"] == "categorical":
        return random_text(rng, 3)
    if column["type"] == "boolean":
        core = rng.choice(BOOLEANS if rng.random() < 0.2 else BOOLEANS[:10])
    elif column["type"] == "date":
        core = _date(rng)
    else:
        core = _number(rng, column)
    around = SPACES if rng.random() < 0.1 else SPACES[:7]
    return rng.choice(around) + core + rng.choice(around)


def _date(rng: random.Random) -> str:
    core = rng.choice(DATES)
    if rng.random() < 0.5:
        core = f"{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}{core[10:]}"
    if rng.random() < 0.2:
        at = rng.randrange(len(core))
        core = (
            core[:at]
            + rng.choice(["", "0", "9", "6", ":", "-", "+", " ", "T", "Z", ".", "\u0661"])
            + core[at + rng.randint(0, 1) :]
        )
    return core


def _number(rng: random.Random, column: Fields) -> str:
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(NUMBERS)
    if kind < 0.3:
        return rng.choice(column.get("bins", ["2"]))
    if kind < 0.6:  # around the middle of two multiples of the step
        whole, _, fraction = column.get("step", "0.5").partition(".")
        middle = str(int(whole + fraction) * rng.randint(0, 40) * 5).rjust(len(fraction) + 2, "0")
        point = len(middle) - len(fraction) - 1
        behind = rng.choice(["", "", "0", "000001", "0" * 50 + "1"])
        return rng.choice(["", "-", "+"]) + middle[:point] + "." + middle[point:] + behind
    digits = "".join(rng.choices("0123456789", k=rng.choice([1, 3, 17, 60])))
    at = rng.randint(0, len(digits))
    power = rng.choice(
        ["", "", f"e{rng.randint(-30, 30)}", f"E+{rng.randint(0, 320)}", f"e-{rng.randint(0, 400)}"]
    )
    return rng.choice(["", "-", "+"]) + digits[:at] + "." + digits[at:] + power


def _edges_of_ranges() -> list[Fields]:
    """Rows around every code point where a range of Unicode 14 ends, and every letter with a lower case."""
    points = set(range(0x20, 0x3000))
    for ranges in WHOLE_RANGES:
        for part in ranges.split():
            first, _, last = part.partition("-")
            points |= {int(first, 16) - 1, int(first, 16), int(last or first, 16), int(last or first, 16) + 1}
    for part in unicode14_data.LOWER.split():
        first, _, last = part.partition("/")[0].partition("-")
        points |= set(range(int(first, 16) - 1, int(last, 16) + 2))
    known = [point for point in sorted(points) if 0 <= point <= 0x10FFFF and not 0xD800 <= point < 0xE000]
    rows = []
    for analyzer, form in (("word", "A{0}\u03a3{0}B bc{0} "), ("char_wb", "{0}\u03a3 A\u03a3{0}B{0}")):
        spec = random_spec(random.Random(1))
        while spec["kind"] != "text" or "vocabulary" in spec:
            spec = random_spec(random.Random(len(rows) + spec["n_features"]))
        spec |= {"analyzer": analyzer, "lowercase": True, "ngram_range": [1, 2]}
        for start in range(0, len(known), 500):
            text = "".join(form.format(chr(point)) for point in known[start : start + 500])
            rows.append(
                {"spec": write(spec), "cells": {"label": spec["labels"][0], spec["text_column"]: text}}
            )
    return rows


def _document(rng: random.Random, spec: Fields) -> str:
    """A spec as somebody may write it, most of them with a fault."""
    fields: Fields = json.loads(json.dumps(spec))
    owner = rng.choice([fields, rng.choice(fields.get("columns") or [fields])])
    name = rng.choice(list(owner))
    kind = rng.random()
    if kind < 0.45:
        owner[name] = rng.choice(ODD)
    elif kind < 0.55:
        del owner[name]
    elif kind < 0.65:
        owner[
            rng.choice(
                ["seed", "step", "bins", "parts", "vocabulary", "missing", "columns", "Version", "__proto__"]
            )
        ] = rng.choice(ODD)
    elif kind < 0.8:
        _change_list(rng, fields)
    items = list(fields.items())
    rng.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, "\t"]))
    if rng.random() < 0.1:
        text = _damage(rng, text)
    return text


def _change_list(rng: random.Random, fields: Fields) -> None:
    """Change one list of a spec, or of a column, or one string that only some values may have."""
    owner = rng.choice([fields, *fields.get("columns", ())])
    if "step" in owner:
        owner["step"] = rng.choice(
            ["0", "0.0", "1.", ".5", "1e1", "-1", " 1", "1 ", "1" * 16, "0." + "1" * 16, "\u0661", "00.10"]
        )
        return
    if "bins" in owner and rng.random() < 0.5:
        owner["bins"].append(rng.choice([" 1e99", "1e99 ", "1e99", "+1e99", "1e999", "1e99\u00a0", "0x7f"]))
        return
    lists = [name for name, value in owner.items() if isinstance(value, list) and value]
    if not lists:
        owner["name"] = rng.choice(["a=b", "label", "", "age", "=", " "])
        return
    name = rng.choice(lists)
    odd = [" 1", "1 ", "0", "-0", "1e5", "nan", "\u00a0?", "? ", "x\tx", "hour", "label", *LABELS, *ODD]
    value = owner[name]
    change = rng.randrange(4)
    if change == 0:
        value.append(rng.choice(odd))
    elif change == 1:
        value[rng.randrange(len(value))] = rng.choice(odd)
    elif change == 2:
        value.reverse()
    else:
        value.pop()


def _damage(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    extra = [
        "",
        ",",
        "1",
        "0",
        " ",
        "\u00a0",
        "\f",
        "\x00",
        '"',
        "\\",
        "\\u",
        "\\u00e4",
        "}",
        "[",
        ".0",
        "e0",
        "/",
        "\ufeff",
    ]
    if rng.random() < 0.3:
        return text.replace(
            '"version": 1',
            rng.choice(['"version": 1, "version": 1', '"version": 1e0', '"version": 01', '"version": +1']),
        )
    return text[:at] + rng.choice(extra) + text[at + rng.randint(0, 1) :]


def _value(rng: random.Random, depth: int = 0) -> Any:
    """Any value of JSON."""
    kind = rng.random()
    if depth < 3 and kind < 0.15:
        return [_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    if depth < 3 and kind < 0.3:
        return {random_text(rng, 2): _value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    if kind < 0.5:
        return rng.choice(
            [
                rng.random(),
                10 ** rng.uniform(-330, 308),
                float(rng.randint(-(10**18), 10**18)),
                rng.random() * 1e-5,
            ]
        )
    if kind < 0.6:
        return rng.randint(-(10 ** rng.randint(1, 40)), 10 ** rng.randint(1, 40))
    return (
        random_text(rng, 3)
        if kind < 0.8
        else rng.choice([None, True, False, -0.0, 1e16, 1e15, 0.0001, 0.00001, float("nan"), float("-inf")])
    )


def _line(rng: random.Random) -> str:
    fields = {random_text(rng, 2): _value(rng) for _ in range(rng.randint(0, 4))}
    text = json.dumps(fields, ensure_ascii=rng.random() < 0.5)
    return _damage(rng, text) if rng.random() < 0.2 else text


def _payload(rng: random.Random) -> Fields:
    """Samples behind one another, often with one byte changed, left out or added."""
    n_features, valued = rng.choice([2, 9, 256, 1000, 65_536, 65_537, 2**24]), rng.random() < 0.5
    most, size = min(n_features, 40), 2 if n_features <= 65_536 else 3
    payload = b""
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 3, 255, 256, 257])):
        indices = sorted(rng.sample(range(n_features), rng.randint(1, min(most, 5))))
        payload += bytes([rng.randrange(3)]) + len(indices).to_bytes(2, "big")
        for index in indices:
            payload += index.to_bytes(size, "big") + bytes([rng.choice([1, 127, 129, 255])] * valued)
    if rng.random() < 0.5:
        at = rng.randrange(len(payload) + 1)
        odd = rng.choice([b"", b"\0", b"\x80", b"\xff", bytes([rng.randrange(256)])])
        payload = payload[:at] + odd + payload[at + rng.randint(0, 1) :]
    return {
        "n_features": n_features,
        "max_features": most,
        "n_labels": 3,
        "valued": valued,
        "payload": "0x" + payload.hex(),
    }


def _quantiles(rng: random.Random) -> Fields:
    pool = [
        rng.choice([str(rng.randint(-3, 9)), repr(rng.uniform(-1, 1)), "-0", "-0.0", "1e16", "1E+300", "+.5"])
        for _ in range(6)
    ]
    cells = [rng.choice([*pool, *SPACES[:4], "?"]) for _ in range(rng.randint(0, 60))]
    if rng.random() < 0.05:
        cells.append("none")
    column = {"name": "x", "type": "numeric", "missing": ["?", "7"]}
    return {"column": column, "cells": cells, "quantiles": rng.choice([2, 3, 4, 7, 10, 256])}
