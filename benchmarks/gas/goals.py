"""What each row is held to: the reference's figure, our goal, and the figures committed before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.gas.measure import Figures

TOLERANCE = 0.02
"""A figure may be so much above the committed one."""

NO_GAS = {"update_rate", "refunded", "features"}
"""Figures that describe the samples; all others cost something."""


@dataclass(frozen=True)
class Goal:
    """What a row is held to.

    Args:
        reference: what 0xDeCA10B takes for the same, one sample a transaction.
        limit: what we may take at most.
    """

    reference: int
    limit: int


_WORDS = 984_000
_HASHED = 1_350_000
_REPORT = 420_000

GOALS = {
    **{
        f"perceptron words {lanes} margin {margin}, batch 100": Goal(_WORDS, 32_000)
        for lanes in ("int16", "int8")
        for margin in (0, 2)
    },
    **{
        f"perceptron words {shape}, batch 1{how}": Goal(_WORDS, 400_000)
        for shape in ("int16 margin 0", "int16 margin 2", "int8 margin 0")
        for how in ("", ", ten refunded at once")
    },
    **{
        f"perceptron hashed {lanes} margin {margin}, batch 100": Goal(_HASHED, limit)
        for lanes, limit in (("int16", 100_000), ("int8", 80_000))
        for margin in (0, 2)
    },
    "naive-bayes words, batch 100": Goal(1_500_000, 100_000),
    "nearest-centroid words, batch 100": Goal(1_500_000, 60_000),
    **{
        f"report {count} of 100, {lanes}": Goal(_REPORT, limit)
        for count, limit in ((1, 230_000), (20, 35_000))
        for lanes in ("int16", "int8")
    },
    "deploy 1,000 words": Goal(27_900_000, 2_500_000),
    "calldata bytes per feature, up to 2^16 features": Goal(32, 2),
    "calldata bytes per feature, above": Goal(32, 3),
}
"""Every row of the benchmark."""


def unexplained(rows: Mapping[str, Figures], reasons: Mapping[str, str]) -> list[str]:
    """The rows that miss their goal, or are missing, without a reason."""
    return [key for key, goal in GOALS.items() if not is_met(rows.get(key), goal) and not reasons.get(key)]


def is_met(figures: Figures | None, goal: Goal) -> bool:
    """Whether a row is there and within its limit."""
    return figures is not None and figures["sum"] <= goal.limit


def regressions(rows: Mapping[str, Figures], committed: Mapping[str, Figures]) -> list[str]:
    """What is worse than before: rows and figures that are missing, or above the committed ones.

    Args:
        rows: measured now.
        committed: measured before.

    Returns:
        A sentence for each.
    """
    found = [f"{key}: there is no committed figure; run `make gas`" for key in rows if key not in committed]
    for key, before in committed.items():
        for name, old in before.items():
            new = rows.get(key, {}).get(name)
            if new is None:
                found.append(f"{key}: {name} is missing, it was {old:,}")
            elif name not in NO_GAS and new > old * (1 + TOLERANCE):
                found.append(f"{key}: {name} is {new:,}, it was {old:,} ({new / old - 1:+.1%})")
    return found
