"""Writes features.json: rows, specs and the samples that they make, hashed by scikit-learn.

Nothing of the package is used: the file is a second opinion. Run it again only when the feature spec changes:
``python tests/golden/generate_features.py``
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sklearn.feature_extraction import FeatureHasher

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
        "analyzer": "word", "kind": "text", "lowercase": True, "ngram_range": [1, 1], "text_column": "text",
    }  # fmt: skip
    return {**common, **({} if fields.get("kind") == "tabular" else text), **fields}


TABLE = {
    "kind": "tabular",
    "columns": [
        {"name": "sex", "type": "categorical"},
        {"name": "age", "type": "numeric", "bins": ["0", "18", "65.5"]},
    ],
}
# Spec, cells, label, and the names of the features, worked out by hand.
ROWS: list[tuple[dict[str, Any], dict[str, str], str, list[str]]] = [
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
        ["two", "two", "three", "three"],
    ),
    (spec(**TABLE), {"sex": "female", "age": "17.5"}, "ham", ["sex=female", "age=1"]),
    (spec(**TABLE), {"sex": "", "age": " 65.50 "}, "spam", ["sex=", "age=3"]),
    (spec(**TABLE), {"sex": "a=b", "age": ""}, "spam", ["sex=a=b", "age="]),
    (spec(**TABLE), {"sex": "x", "age": "-1e-3"}, "ham", ["sex=x", "age=0"]),
]


def sample(fields: dict[str, Any], label: str, names: list[str]) -> bytes:
    """The bytes of a sample whose features have these names."""
    hasher = FeatureHasher(fields["n_features"], input_type="string", alternate_sign=False)
    row = hasher.transform([names])
    row.sum_duplicates()
    width = 2 if fields["n_features"] <= 65_536 else 3
    written = bytes([fields["labels"].index(label)]) + len(row.indices).to_bytes(2, "big")
    for index, count in zip(row.indices.tolist(), row.data.tolist(), strict=True):
        written += index.to_bytes(width, "big")
        if fields["valued"]:
            written += bytes([min(int(count), 127)])
    return written


if __name__ == "__main__":
    cases = [
        {
            "spec": json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
            "cells": {**cells, "label": label},
            "features": names,
            "sample": "0x" + sample(fields, label, names).hex(),
        }
        for fields, cells, label, names in ROWS
    ]
    FILE.write_text(json.dumps(cases, indent=1, ensure_ascii=True) + "\n")
