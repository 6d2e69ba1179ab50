"""Writes features.json: rows, specs and the samples that they make, analyzed and hashed by scikit-learn.

Nothing of the package is used: the file is a second opinion. Run it again only when the feature spec changes,
with Python 3.11, whose Unicode is that of the specs: ``python tests/golden/generate_features.py``
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer

FILE = Path(__file__).resolve().parent / "features.json"


def spec(**fields: object) -> dict[str, Any]:
    """The fields of a text spec, but for those given."""
    common: dict[str, Any] = {
        "hash": "murmur3_x86_32",
        "label_column": "label",
        "labels": ["ham", "spam"],
        "max_features": 1024,
        "n_features": 4096,
        "seed": 0,
        "valued": False,
        "version": 1,
    }
    text = {
        "alternate_sign": False,
        "analyzer": "word",
        "kind": "text",
        "lowercase": True,
        "ngram_range": [1, 1],
        "text_column": "text",
        "unicode": "14.0",
    }
    made = {**common, **({} if fields.get("kind") == "tabular" else text), **fields}
    return made | {"max_features": min(made["max_features"], made["n_features"])}


def listed(vocabulary: list[str], **fields: object) -> dict[str, Any]:
    """The fields of a text spec with a vocabulary."""
    size = len(vocabulary)
    sizes = {"n_features": size, "max_features": size, "vocabulary": vocabulary}
    hashed = {"hash", "seed", "alternate_sign"}
    return {name: value for name, value in spec(**sizes, **fields).items() if name not in hashed}


TABLE = {
    "kind": "tabular",
    "columns": [
        {"name": "sex", "type": "categorical"},
        {"name": "age", "type": "numeric", "bins": ["0", "18", "65.5"]},
    ],
}
ROUNDED = {"name": "x", "type": "numeric", "step": "0.25", "missing": ["?", "N/A"]}
DATE = {
    "name": "at",
    "type": "date",
    "parts": ["weekday", "year", "quarter", "month", "day", "hour", "minute"],
}


def table(*columns: dict[str, Any], **fields: object) -> dict[str, Any]:
    """The fields of the spec of a table."""
    return spec(kind="tabular", columns=list(columns), **fields)


def column(name: str, type: str, **fields: object) -> dict[str, Any]:  # noqa: A002 - as the field is called
    """The fields of a column."""
    return {"name": name, "type": type, **fields}


BY_HAND: list[tuple[dict[str, Any], dict[str, str], str, list[str]]] = [
    (spec(), {"text": "Free FREE prize!!! a b"}, "spam", ["free", "free", "prize"]),
    (
        spec(),
        {"text": "na\u00efve \u0130stanbul \u03a3\u03a3 42_x"},
        "ham",
        ["na\u00efve", "stanbul", "\u03c3\u03c2", "42_x"],
    ),
    (spec(lowercase=False), {"text": "So so"}, "ham", ["So", "so"]),
    (
        spec(ngram_range=[1, 2], valued=True),
        {"text": "not good, not good"},
        "spam",
        ["not", "good", "not", "good", "not good", "good not", "not good"],
    ),
    (
        spec(n_features=70_000),
        {"text": "\u8ddd\u79bb\u5ddd\u6c99 \u516c\u8def"},
        "ham",
        ["\u8ddd\u79bb\u5ddd\u6c99", "\u516c\u8def"],
    ),
    (spec(n_features=2**24, valued=True), {"text": "ha " * 200}, "ham", ["ha"] * 200),
    (
        spec(n_features=1000, max_features=2),
        {"text": "one two two three three"},
        "spam",
        ["one", "two", "two", "three", "three"],
    ),
    (spec(**TABLE), {"sex": "female", "age": "17.5"}, "ham", ["sex=female", "age=1"]),
    (spec(**TABLE), {"sex": "", "age": " 65.50 "}, "spam", ["sex=", "age=3"]),
    (spec(**TABLE), {"sex": "a=b", "age": ""}, "spam", ["sex=a=b", "age="]),
    (spec(**TABLE), {"sex": "x", "age": "-1e-3"}, "ham", ["sex=x", "age=0"]),
    # Digits say what is rounded, not the double next to them; one in the middle goes to the even multiple.
    *(
        (table(ROUNDED, column("n", "categorical")), {"x": cell, "n": "-"}, "ham", [f"x={value}", "n=-"])
        for cell, value in [
            ("0.125", "0"),
            ("0.375", "0.5"),
            ("-0.375", "-0.5"),
            ("-.1", "0"),
            (" 1250e-2\t", "12.5"),
            ("0.1250000000000000000000000000000000000001", "0.25"),
            ("0.3749999999999999999999999999999999999999", "0.25"),
            ("9007199254740993.1", "9007199254740993"),
            ("1e30", "1" + 30 * "0"),
            ("1e-9999999999", "0"),
            ("0e9999999999", "0"),
            ("+5.", "5"),
            ("", ""),
            ("?", ""),
            (" N/A ", ""),
        ]
    ),
    (table(column("x", "numeric", step="100")), {"x": "1250"}, "spam", ["x=1200"]),
    (table(column("x", "numeric", step="0.30")), {"x": "1.35"}, "spam", ["x=1.2"]),
    *(
        (table(column("b", "boolean"), column("n", "categorical")), {"b": cell, "n": ""}, "spam", features)
        for cell, features in [
            ("True", ["b=true", "n="]),
            (" yES\n", ["b=true", "n="]),
            ("1", ["b=true", "n="]),
            ("F", ["b=false", "n="]),
            ("no", ["b=false", "n="]),
        ]
    ),
    (table(column("b", "boolean"), column("n", "categorical")), {"b": " ", "n": "a"}, "ham", ["b=", "n=a"]),
    *(
        (table(DATE), {"at": cell}, "ham", [f"at={value}" for value in values.split()])
        for cell, values in [
            ("2024-02-29", "weekday:4 year:2024 quarter:1 month:2 day:29 hour: minute:"),
            (
                "1999-12-31T23:59:60.5+14:00",
                "weekday:5 year:1999 quarter:4 month:12 day:31 hour:23 minute:59",
            ),
            ("0001-01-01 00:05z", "weekday:1 year:1 quarter:1 month:1 day:1 hour:0 minute:5"),
            (
                " 2000-07-02t04:00:00,123456789-0530 ",
                "weekday:7 year:2000 quarter:3 month:7 day:2 hour:4 minute:0",
            ),
        ]
    ),
    (
        table(column("at", "date", parts=["hour"], missing=["never"]), column("n", "categorical")),
        {"at": "never", "n": " a"},
        "ham",
        ["at=", "n= a"],
    ),
    (
        table(column("at", "date", parts=["hour"]), column("n", "categorical")),
        {"at": "2024-01-01", "n": " "},
        "ham",
        ["at=hour:", "n= "],
    ),
    (
        table(
            column("n", "categorical", missing=["?", "NA"]),
            column("m", "numeric", bins=["1e1", "20"], missing=["-1"]),
        ),
        {"n": " ?", "m": "20.000"},
        "ham",
        ["n=", "m=2"],
    ),
    (table(column("n", "categorical", missing=["?"])), {"n": "??"}, "ham", ["n=??"]),
    (
        table(column("m", "numeric", bins=["0"], missing=["-1"]), column("n", "categorical")),
        {"m": " -1 ", "n": "\u00fc"},
        "ham",
        ["m=", "n=\u00fc"],
    ),
    # Parts of a date and other columns that have one index are counted together.
    (
        table(DATE, *(column(f"c{number}", "boolean") for number in range(40)), n_features=256, valued=True),
        {"at": "2024-05-17 10:20", **{f"c{number}": "t" for number in range(40)}},
        "spam",
        [
            *(
                f"at={value}"
                for value in [
                    "weekday:5",
                    "year:2024",
                    "quarter:2",
                    "month:5",
                    "day:17",
                    "hour:10",
                    "minute:20",
                ]
            ),
            *(f"c{number}=true" for number in range(40)),
        ],
    ),
    (spec(analyzer="char", ngram_range=[2, 2]), {"text": "Ab\t \nc"}, "ham", ["ab", "b ", " c"]),
    (
        spec(analyzer="char_wb", ngram_range=[3, 4]),
        {"text": "ab\nc "},
        "ham",
        [" ab", "ab ", " ab ", " c "],
    ),
    (spec(analyzer="char_wb", ngram_range=[5, 8]), {"text": "ab c"}, "spam", [" ab ", " c "]),
    (
        listed(["film", "good", "bad"], valued=True),
        {"text": "Good, good film"},
        "ham",
        ["good", "good", "film"],
    ),
]
"""Spec, cells, label, and the names of the features, worked out by hand."""

TEXTS = {
    "final sigma": (
        "\u039f\u0394\u039f\u03a3 \u03a3\u0391\u03a3. \u03a3 "
        "A\u03a3\u0301 A\u0301\u03a3B \u02b0\u03a3\u02b0 A.\u03a3.b"
    ),
    "dotted I": "\u0130STANBUL I\u0307zmir \u0131\u0130\u0131 D\u0130\u0130",
    "combining marks": (
        "cafe\u0301 Cafe\u0301 caf\u00e9 a\u0308\u0304o\u0308 "
        "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e01\u0e33\u0e25\u0e31\u0e07"
    ),
    "CJK": (
        "\u8fd9\u5bb6\u9152\u5e97\u5f88\u597d\uff0c\u65e9\u9910\u4e5f\u597d\u3002 "
        "\u3053\u3093\u306b\u3061\u306f \uc548\ub155 \U00020000\U00030000"
    ),
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u200f\u0645\u0631\u062d\u0628\u0627\u200e \u0661\u0662 abc",
    "emoji with joiners": (
        "ok \U0001f469\u200d\U0001f4bb\U0001f469\u200d\U0001f4bb "
        "\u2764\ufe0f \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd yes"
    ),
    "newer than Unicode 14": (
        "ab\U00011f02cd A\u0ece\u03a3 \U0002ebf0\U0002ebf1 X\u1c89\u03a3 \ua7cb\ua7dc \U00010d50\U00010d51 ef"
    ),
    "white space of all kinds": (
        "a\u00a0\u2003b\x1cc\x85\x85d\u200be\u3000f\u180eg\r\nh\x0b\x0ci\u2028j\u202f k  ab\u1680cd "
    ),
    "case that changes": (
        "STRASSE Stra\u00dfe \u1e9e \ufb01 \u01c5 \u2126 \u212a "
        "\U00010400\U00010428 \u13a0\uab70 \U0001d7d8x \u216b\u217b"
    ),
    "English": "Not good, not bad: NOT a film's film at all; so so so",
}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"lowercase": False, "valued": True},
    {"ngram_range": [1, 3], "valued": True, "alternate_sign": True},
    {"ngram_range": [2, 2], "alternate_sign": True, "n_features": 256, "max_features": 8},
    {"analyzer": "char", "ngram_range": [1, 2], "n_features": 65_536},
    {"analyzer": "char", "ngram_range": [1, 8], "n_features": 65_537, "valued": True, "max_features": 50},
    {"analyzer": "char", "lowercase": False, "valued": True, "alternate_sign": True, "n_features": 256},
    {"analyzer": "char_wb", "ngram_range": [1, 3], "alternate_sign": True, "n_features": 256},
    {
        "analyzer": "char_wb",
        "ngram_range": [2, 5],
        "valued": True,
        "alternate_sign": True,
        "n_features": 1000,
    },
    {"analyzer": "char_wb", "ngram_range": [6, 8], "lowercase": False},
]
LONG = "Good \u03a3\u0391\u03a3 \u8ddd\u79bb\u5ddd\u6c99!\n"
REPEAT = 50_000 // len(LONG) + 1
SKIPPED = [
    (spec(), "", "the text is empty"),
    (spec(analyzer="char"), " \t\n\x0b\x0c\r", "the text is empty"),
    (spec(), "! a", "no features: the text has no word of two or more letters or digits"),
    (spec(analyzer="char", ngram_range=[3, 4]), "ab", "no features: the text has fewer than 3 characters"),
    (spec(analyzer="char_wb"), "\u3000\x85", "no features: the text has nothing but white space"),
    (listed(["ab", "cd"]), "ef gh", "no features: nothing of the text is in the vocabulary"),
    (
        spec(),
        "good\ud800 film",
        "the text is not valid Unicode: half of a surrogate pair at character 5",
    ),
]
"""Specs, texts that make no sample, and the reason that the program gives."""
NO_DATE = "is not a date, such as 2024-02-29 or 2024-02-29T23:05:00Z"
NO_BOOLEAN = "is not a boolean, such as true or false, yes or no, 1 or 0"
SKIPPED_TABLES = [
    *(
        (table(ROUNDED), {"x": cell}, f"column 'x': {cell!r} is {what}")
        for cell, what in [
            ("1,5", "not a number"),
            ("nan", "not a number"),
            ("\u0661", "not a number"),
            ("1e999", "out of range"),
            ("n/a", "not a number"),
        ]
    ),
    *(
        (table(column("b", "boolean")), {"b": cell}, f"column 'b': {cell!r} {NO_BOOLEAN}")
        for cell in ("on", "2", "1.0", "ye\u017f", "true false")
    ),
    *(
        (table(DATE), {"at": cell}, f"column 'at': {cell!r} {NO_DATE}")
        for cell in (
            "20240229",
            "2024-2-29",
            "29.02.2024",
            "2024-02-29T",
            "2024-02-29T24:00",
            "2024-02-29T23",
            "2024-02-29T23:05:61",
            "2024-02-29Z",
            "2024-02-29  23:05",
            "2024-02-29T23:05+1",
            "12:00:00",
            "\u0662024-02-29",
        )
    ),
    *(
        (table(DATE), {"at": cell}, f"column 'at': {cell!r} is not a day of the calendar")
        for cell in ("2023-02-29", "0000-01-01", "2024-13-01", "1900-02-29")
    ),
    (
        table(column("n", "categorical", missing=["?"]), column("b", "boolean")),
        {"n": " ? ", "b": "\t"},
        "no features: every cell is missing",
    ),
    (
        table(column("n", "categorical"), column("b", "boolean")),
        {"n": "\ud800", "b": "1"},
        "column 'n' is not valid Unicode: half of a surrogate pair at character 1",
    ),
]
"""The same of tables."""


def names_of(fields: dict[str, Any], text: str) -> list[str]:
    """The features of a text, named by scikit-learn."""
    analyze = CountVectorizer(
        analyzer=fields["analyzer"], ngram_range=tuple(fields["ngram_range"]), lowercase=fields["lowercase"]
    ).build_analyzer()
    return list(analyze(text))


def counts_of(fields: dict[str, Any], names: list[str]) -> dict[int, int]:
    """Index to count of features with these names; scikit-learn keeps counts of 0 where signs cancel out."""
    if "vocabulary" in fields:
        known = {name: index for index, name in enumerate(fields["vocabulary"])}
        return dict(Counter(known[name] for name in names if name in known))
    signs = fields.get("alternate_sign", False)
    row = FeatureHasher(fields["n_features"], input_type="string", alternate_sign=signs).transform([names])
    row.sum_duplicates()
    return dict(zip(row.indices.tolist(), map(int, row.data.tolist()), strict=True))


def sample(fields: dict[str, Any], label: str, names: list[str]) -> tuple[list[int], bytes]:
    """Indices and bytes of a sample whose features have these names."""
    counts = counts_of(fields, names)
    if fields["valued"]:
        counts = {index: count for index, count in counts.items() if count}
    kept = sorted(counts.items(), key=lambda item: (-abs(item[1]), item[0]))[: fields["max_features"]]
    width = 2 if fields["n_features"] <= 65_536 else 3
    written = bytes([fields["labels"].index(label)]) + len(kept).to_bytes(2, "big")
    for index, count in sorted(kept):
        written += index.to_bytes(width, "big")
        if fields["valued"]:
            written += max(-127, min(count, 127)).to_bytes(1, "big", signed=True)
    return sorted(index for index, _ in kept), written


def written(fields: dict[str, Any]) -> str:
    """A spec as canonical JSON."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def case(
    what: str, fields: dict[str, Any], cells: dict[str, str], label: str, names: list[str], repeat: int = 1
) -> dict[str, Any]:
    """One case; the features of a long text are left out, since its sample says enough."""
    indices, data = sample(fields, label, names)
    return {
        "what": what,
        "spec": written(fields),
        "cells": {**cells, "label": label},
        **({"features": names} if repeat == 1 else {"repeat": repeat}),
        "indices": indices,
        "sample": "0x" + data.hex(),
    }


def vocabularies(text: str) -> list[dict[str, Any]]:
    """Specs whose vocabularies have half of the features of a text, and one that is not in it."""
    return [
        listed(
            [*dict.fromkeys(names_of(spec(analyzer=analyzer, ngram_range=[1, 2]), text)), "never"][::-2],
            analyzer=analyzer,
            ngram_range=[1, 2],
            valued=True,
        )
        for analyzer in ("word", "char", "char_wb")
    ]


def cases() -> list[dict[str, Any]]:
    """All cases."""
    found = []
    for fields, cells, label, names in BY_HAND:
        if fields["kind"] == "text":
            found_names = names_of(fields, cells["text"])
            assert found_names == names, (cells, found_names)
        found.append(case("by hand", fields, cells, label, names))
    for what, text in TEXTS.items():
        for fields in [*(spec(**setting) for setting in SETTINGS), *vocabularies(text)]:
            names = names_of(fields, text)
            if any(counts_of(fields, names).values()):
                found.append(case(what, fields, {"text": text}, "spam", names))
    for setting in SETTINGS[2], SETTINGS[5], SETTINGS[8]:
        names = names_of(spec(**setting), LONG * REPEAT)
        found.append(case("50,000 characters", spec(**setting), {"text": LONG}, "ham", names, REPEAT))
    texts = [(fields, {"text": text}, reason) for fields, text, reason in SKIPPED]
    found += [
        {"what": "skipped", "spec": written(fields), "cells": {**cells, "label": "ham"}, "reason": reason}
        for fields, cells, reason in [*texts, *SKIPPED_TABLES]
    ]
    return found


if __name__ == "__main__":
    if unicodedata.unidata_version != "14.0.0":
        raise SystemExit("Run it with Python 3.11: the specs mean its Unicode.")
    FILE.write_text("[\n" + ",\n".join(json.dumps(one, ensure_ascii=True) for one in cases()) + "\n]\n")
