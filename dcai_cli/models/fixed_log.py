"""The logarithm of the contracts: base 2, in 1/65536, by a table of 256 steps; the same bits everywhere.

For x >= 1 let e = floor(log2 x), and t the first 16 bits of x behind its leading 1, the rest cut off; then
L(x) = e * 65536 + T[t >> 8] + ((T[(t >> 8) + 1] - T[t >> 8]) * (t & 255) >> 8), with T[k] = round(65536 *
log2(1 + k / 256)). L(0) = 0. The error is below 2^-15.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ONE = 1 << 16
"""What 1 is in fixed point."""

_TABLE = np.rint(ONE * np.log2(1 + np.arange(257) / 256)).astype(np.int64)
_STEPS = np.diff(_TABLE)


def fixed_log2(x: int) -> int:
    """The logarithm of an integer of any size.

    >>> fixed_log2(8), fixed_log2(3)
    (196608, 103872)
    """
    if x == 0:
        return 0
    exponent = x.bit_length() - 1
    high, low = divmod((x << 16 >> exponent) - ONE, 256)
    return exponent * ONE + int(_TABLE[high]) + (int(_STEPS[high]) * low >> 8)


def fixed_log2s(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """The logarithms of integers from 1 to 2^46."""
    exponent = np.frexp(x.astype(np.float64))[1].astype(np.int64) - 1  # floats are exact up to 2^53
    tail = (x << 16 >> exponent) - ONE
    high = tail >> 8
    logs: NDArray[np.int64] = exponent * ONE + _TABLE[high] + (_STEPS[high] * (tail & 255) >> 8)
    return logs
