"""The OP stack's data fee by its published formulas: a second opinion for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_GOLDEN = json.loads((Path(__file__).parent / "golden" / "data_fees.json").read_text())

CASES: list[dict[str, Any]] = _GOLDEN["cases"]
"""What the OP stack's own contract answered; see golden/generate_data_fees.py."""


def data_fee_wei(case: dict[str, Any]) -> int:
    """The fee of a case's bytes, which have no signature yet, by the formula of its fork."""
    data = bytes.fromhex(case["data"])
    if case["fork"] == "fjord":
        return fjord_fee_wei(case, compressed_size(data))
    calldata_gas = sum(16 if byte else 4 for byte in data) + 68 * 16
    if case["fork"] == "ecotone":
        return calldata_gas * _price(case) // (16 * 10**6)
    calldata_gas += int(_GOLDEN["overhead"])
    return calldata_gas * int(case["base_fee_wei"]) * int(_GOLDEN["scalar"]) // 10**6


def fjord_fee_wei(prices: dict[str, Any], compressed: int) -> int:
    """The fee of unsigned bytes of which FastLZ makes so many: a line through what Brotli makes of them."""
    size = max(100 * 10**6, 836_500 * (compressed + 68) - 42_585_600)
    return size * _price(prices) // 10**12


def _price(prices: dict[str, Any]) -> int:
    blob = prices["blob_base_fee_scalar"] * prices["blob_base_fee_wei"]
    return int(16 * prices["base_fee_scalar"] * prices["base_fee_wei"] + blob)


def compressed_size(data: bytes) -> int:
    """How many bytes FastLZ makes of these at its first level."""

    def key(at: int) -> int:
        return int.from_bytes(data[at : at + 3], "little")

    def slot(at: int) -> int:
        return (key(at) * 2_654_435_769 & 0xFFFFFFFF) >> 19

    seen = [0] * 8192
    size = literals = 0
    end = max(len(data) - 13, 0)
    at = 2
    while at < end:
        earlier = seen[slot(at)]
        seen[slot(at)] = at
        if at - earlier > 8191 or key(at) != key(earlier):
            at += 1
            continue
        run = 3
        while at + run < end + 9 and data[at + run] == data[earlier + run]:
            run += 1
        if at + run == end + 9:
            run -= 1
        size += _literal_size(at - literals) + 3 * ((run - 3) // 262) + (2 if (run - 3) % 262 < 6 else 3)
        literals = at + run
        for last in (literals - 2, literals - 1):
            seen[slot(last)] = last
        at = literals
    return size + _literal_size(len(data) - literals)


def _literal_size(count: int) -> int:
    return count + -(-count // 32)
