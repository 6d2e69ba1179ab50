"""Writes vectors.json: vectors, specs and the samples that they make, computed with fractions.

Nothing of the package is used, nor numpy: the file is a second opinion. Run it again only when the feature
spec changes: ``python tests/golden/generate_vectors.py``
"""

from __future__ import annotations

import json
import random
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent / "vectors.json"
SMALLEST = "5e-324"
GREATEST = "1.7976931348623157e308"


def spec(length: int, scale: str, **fields: object) -> dict[str, Any]:
    """The fields of a dense spec, but for those given."""
    width = length + (fields.get("constant", 0) != 0)
    common: dict[str, Any] = {
        "constant": 0,
        "kind": "dense",
        "label_column": "label",
        "labels": ["ham", "spam"],
        "max_features": width,
        "n_features": width,
        "scale": scale,
        "valued": True,
        "vector_column": "vector",
        "version": 1,
    }
    return common | fields


def rounded(number: str, scale: str) -> int:
    """A number times a scale, both as doubles and the product, too; half to even; cut."""
    try:
        product = float(Fraction(float(number)) * Fraction(float(scale)))
    except OverflowError:  # beyond all doubles
        return 127 if (float(number) > 0) == (float(scale) > 0) else -127
    return max(-127, min(127, round(Fraction(product))))


def sample(fields: dict[str, Any], numbers: list[str], label: str) -> str:
    """The bytes of a sample, in hex."""
    values = {at: rounded(number, fields["scale"]) for at, number in enumerate(numbers)}
    if fields["constant"]:
        values[len(numbers)] = fields["constant"]
    kept = sorted((at for at in values if values[at]), key=lambda at: (-abs(values[at]), at))
    kept = sorted(kept[: fields["max_features"]])
    body = b"".join(struct.pack(">Hb", at, values[at]) for at in kept)
    return "0x" + (struct.pack(">BH", fields["labels"].index(label), len(kept)) + body).hex()


GOOD: list[tuple[dict[str, Any], list[str]]] = [
    (spec(3, "100"), ["0.5", "-0.25", "0.004"]),
    (spec(8, "1"), ["0.5", "1.5", "2.5", "-0.5", "-1.5", "-2.5", "126.5", "127.5"]),
    (spec(6, "127"), ["1", "-1", "1.004", "-1.004", "1e300", "-1e300"]),
    (spec(4, "1e300"), [SMALLEST, GREATEST, f"-{GREATEST}", "1e-300"]),
    (spec(4, "1e-307"), [GREATEST, "-1", "-1e308", SMALLEST]),
    # The product of the doubles is not that of the decimals: 0.1 * 25 and 0.35 * 10 are a tie, or are not.
    (spec(6, "25"), ["0.1", "0.3", "0.7", "-0.1", "0.02", "0.06"]),
    (spec(6, "10"), ["0.35", "0.45", "0.15", "-0.35", "-0.45", "-0.15"]),
    (spec(5, "3", max_features=2), ["1", "-3", "2", "3", "-2"]),
    (spec(3, "10", constant=127), ["1", "0", "-20"]),
    (spec(3, "10", constant=5, max_features=2), ["1", "0.5", "-0.6"]),
    (spec(3, "10", constant=1, max_features=1), ["0.1", "0", "-0.1"]),
    (spec(2, "+.5e1"), ["1", "18446744073709551617"]),
    (spec(3, "1", labels=["a", "ham", "spam"]), ["1E2", "-0.0", "-1e-0"]),
]
BAD: list[tuple[dict[str, Any], str, str]] = [
    (spec(2, SMALLEST), f"[{GREATEST}, 1]", "no features: every number of it rounds to 0"),
    (spec(2, "1"), "", "the vector is empty"),
    (spec(2, "1"), " \t", "the vector is empty"),
    (spec(2, "1"), "[]", "the vector is empty"),
    (spec(2, "1"), "[1]", "the vector has 1 numbers; the model takes 2"),
    (spec(2, "1"), "[1, 2, 3]", "the vector has 3 numbers; the model takes 2"),
    (spec(2, "1"), "[0.5, -0.4]", "no features: every number of it rounds to 0"),
    (spec(2, "1", constant=9), "[0.5, -0.4]", "no features: every number of it rounds to 0"),
    (spec(2, "1", constant=9), "[1, 2, 3]", "the vector has 3 numbers; the model takes 2"),
    (spec(2, "1"), "[1, true]", "the vector is no list of numbers"),
    (spec(2, "1"), "[1, null]", "the vector is no list of numbers"),
    (spec(2, "1"), '[1, "2"]', "the vector is no list of numbers"),
    (spec(2, "1"), "[[1, 2]]", "the vector is no list of numbers"),
    (spec(2, "1"), "[" * 100_000, "the vector is no list of numbers"),
    (spec(2, "1"), '{"0": 1}', "the vector is no list of numbers"),
    (spec(2, "1"), "12", "the vector is no list of numbers"),
    (spec(2, "1"), "[1, NaN]", "the vector is not JSON: NaN is not a JSON number"),
    (spec(2, "1"), "[1, -Infinity]", "the vector is not JSON: -Infinity is not a JSON number"),
    (spec(2, "1"), "[1, 1e999]", "number 2 of the vector is inf"),
    (spec(2, "1"), f"[1, {10**400}]", "a number of the vector is out of range"),
]


def cases() -> list[dict[str, Any]]:
    """All of them: by hand, and a vector of 384 random numbers."""
    rng = random.Random(2026)  # noqa: S311 (no secret)
    large = [repr(struct.unpack("f", struct.pack("f", rng.gauss(0, 0.05)))[0]) for _ in range(384)]
    found = []
    for fields, numbers in [*GOOD, (spec(384, "768.4"), large)]:
        cells = {"vector": f"[{', '.join(numbers)}]", "label": fields["labels"][-1]}
        found.append(
            {"spec": written(fields), "cells": cells, "sample": sample(fields, numbers, cells["label"])}
        )
    for fields, cell, reason in BAD:
        cells = {"vector": cell, "label": "ham"}
        found.append({"spec": written(fields), "cells": cells, "reason": reason})
    return found


def written(fields: dict[str, Any]) -> str:
    """Canonical JSON."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(json.dumps(cases(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
