"""The price of a batch, in the integers of the contract (`contracts/libraries/PriceMath.sol`).

With c = cost weight * 3600, B units after dt idle seconds cost together c * B^1.5 / sqrt(dt) if 9 B <= 4 dt,
and c * (B - 4 dt / 27) otherwise; so no way of cutting a batch into smaller ones is cheaper.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcai_cli.domain import Terms

_SCALE_SQUARED = 10**18


def deposit_per_unit_wei(terms: Terms, units: int, idle_s: int) -> int:
    """The deposit of one unit of a batch, rounded up.

    Args:
        terms: cost weight and the most idle seconds that count.
        units: units of the whole batch, at least 1.
        idle_s: seconds since the last contribution, or since sealing before the first.

    Returns:
        Wei of one unit; the whole batch takes `units` times that.
    """
    cost = terms.cost_weight_wei * 3600
    idle = min(idle_s, terms.max_idle_s)
    if 9 * units <= 4 * idle:
        return _ceil_div(cost * isqrt(units * _SCALE_SQUARED), isqrt(idle * _SCALE_SQUARED))
    return _ceil_div(cost * (27 * units - 4 * idle), 27 * units)


def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
