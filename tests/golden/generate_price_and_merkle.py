"""Writes price.json and merkle.json: the vectors that Python and Solidity must both reproduce.

Nothing of the package is used: the files are a second opinion. Run it again only when the protocol changes:
``python tests/golden/generate_price_and_merkle.py``
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

FOLDER = Path(__file__).resolve().parent
SCALE_SQUARED = 10**18


def root_below(square: int) -> int:
    """The greatest integer whose square is not above this, by Newton's method."""
    guess = 1 << (square.bit_length() // 2 + 1)
    while (better := (guess + square // guess) // 2) < guess:
        guess = better
    return guess


def deposit_per_unit(cost_weight_wei: int, units: int, idle_s: int) -> int:
    """The price of one unit, with the roots as fixed-point numbers of nine decimals, rounded up."""
    cost = cost_weight_wei * 3600
    if 9 * units <= 4 * idle_s:
        numerator, denominator = cost * root_below(units * SCALE_SQUARED), root_below(idle_s * SCALE_SQUARED)
    else:
        numerator, denominator = cost * (27 * units - 4 * idle_s), 27 * units
    return (numerator + denominator - 1) // denominator


def price_cases() -> list[dict[str, int]]:
    """Prices on both sides of the bend and on it, at the limits, and at random."""
    rng = random.Random(2)  # noqa: S311 (no secret)
    asked = [(10**11, units, idle) for units in (1, 2, 3, 100, 256) for idle in (0, 1, 2, 3, 9, 225, 3600)]
    asked += [(10**11, 4 * k, 9 * k + near) for k in (1, 7, 64, 400) for near in (-1, 0, 1)]
    asked += [
        (weight, units, idle)
        for weight in (1, 10**24)
        for units in (1, 2**32 - 1)
        for idle in (0, 3, 3_155_760_000)
    ]
    while len(asked) < 200:
        weight = rng.randrange(1, 10 ** rng.randrange(1, 25))
        asked.append((weight, rng.randrange(1, 2 ** rng.randrange(1, 17)), rng.randrange(7200)))
    return [
        {
            "cost_weight_wei": weight,
            "units": units,
            "idle_s": idle,
            "deposit_per_unit": deposit_per_unit(weight, units, idle),
        }
        for weight, units, idle in asked
    ]


def node(hashes: list[bytes], first: int, width: int) -> bytes:
    """The root over `width` leaves from `first` on, from the top down; zeros where there is none."""
    if width == 1:
        return hashes[first] if first < len(hashes) else bytes(32)
    half = width // 2
    return keccak(node(hashes, first, half) + node(hashes, first + half, half))


def proof(hashes: list[bytes], index: int, width: int) -> list[bytes]:
    """The siblings on the path of a leaf, from the leaf up."""
    siblings, size = [], 1
    while size < width:
        siblings.append(node(hashes, (index // size ^ 1) * size, size))
        size *= 2
    return siblings


def merkle_case(count: int, rng: random.Random) -> dict[str, Any]:
    """A tree over random samples, and proofs of its first, last and middle one."""
    samples = [
        bytes([rng.randrange(2)]) + size.to_bytes(2, "big") + rng.randbytes(2 * size)
        for size in (rng.randrange(1, 20) for _ in range(count))
    ]
    hashes = [keccak(sample) for sample in samples]
    width = 1
    while width < count:
        width *= 2
    return {
        "name": f"{count} samples",
        "samples": ["0x" + sample.hex() for sample in samples],
        "root": "0x" + node(hashes, 0, width).hex(),
        "proofs": [
            {"index": index, "proof": ["0x" + sibling.hex() for sibling in proof(hashes, index, width)]}
            for index in sorted({0, count // 2, count - 1})
        ],
    }


def write(name: str, content: list[dict[str, Any]]) -> None:
    """Write one file, one line for each case."""
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in content)
    (FOLDER / name).write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    source = random.Random(3)  # noqa: S311 (no secret)
    write("price.json", price_cases())
    write("merkle.json", [merkle_case(count, source) for count in (1, 2, 3, 4, 5, 8, 9, 100, 255, 256)])
