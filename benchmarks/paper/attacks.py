"""Attackers: each with many settings of its own parameters, the best of which is measured on fresh seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from benchmarks.paper.study import Changes, Figures, Workers, interval
from dcai_cli.domain import parse_duration

CROWD = "crowd.toml"
"""The honest ones alone; each attack is a scenario on top of it."""

SEARCH_SEEDS = range(101, 104)
"""For the search; the best setting is then measured on others."""

SEEDS = range(1, 21)
ATTACKER = "attacker"


@dataclass(frozen=True, slots=True)
class Attack:
    """One strategy, as examples/scenarios/attack-NAME.toml has it.

    Args:
        name: of the scenario.
        title: in words.
        grid: parameters of the attacker, each with the values that are tried, all combined. `hold` is for how
            many hours the model is held; the number of pushes follows from it.
    """

    name: str
    title: str
    grid: dict[str, tuple[Any, ...]]

    @property
    def scenario(self) -> str:
        """The name of its file."""
        return f"attack-{self.name}.toml"

    def settings(self) -> Iterator[dict[str, Any]]:
        """All combinations, as the attacker's parameters."""
        for values in product(*self.grid.values()):
            setting = dict(zip(self.grid, values, strict=True))
            hold = setting.pop("hold", None)
            if hold is not None:
                minutes = parse_duration(setting["push_every"]) // 60
                setting["pushes"] = hold * 60 // minutes
            yield setting


ATTACKS = (
    Attack(
        "flipping",
        "flips every label",
        {"wait": ("10m", "20m", "1h", "3h", "12h"), "claim_every": ("10m", "1h", "6h", "1d")},
    ),
    Attack(
        "copying",
        "has others' pending samples mined first, as its own",
        {
            "share": (0.1, 0.25, 0.5, 0.75, 1.0),
            "most_per_unit": ("0.5ether", "1ether", "2ether", "1000ether"),
        },
    ),
    Attack(
        "flooding",
        "sends large flipped batches at the cheapest time",
        {"batch": (16, 64, 256), "wait": ("12h", "1d", "3d"), "idle": ("5m", "15m", "30m")},
    ),
    Attack(
        "colluding",
        "a pair: one throws flipped samples in, the other reports them",
        {"wait": ("10m", "30m", "1h", "3h"), "flips": (0.1, 0.25, 0.5, 0.75, 0.9)},
    ),
    Attack(
        "sybils",
        "accounts that farm a record first, and flip then",
        {"count": (2, 4, 16), "wait": ("10m", "30m", "1h"), "farm": ("5d", "10d", "20d")},
    ),
    Attack(
        "boundary",
        "flips only samples that the model is least sure of",
        {"candidates": (2, 4, 8, 16, 64, 256), "wait": ("20m", "1h", "3h", "12h")},
    ),
    Attack(
        "moving-once",
        "plants flipped samples, and moves the model in one block before it claims them",
        {"victims": (4, 16, 64), "copies": (1, 4, 16), "every": ("1d", "3d", "5d")},
    ),
    Attack(
        "moving-longer",
        "the same over several blocks",
        {"victims": (4, 16, 64), "pushes": (2, 4, 8), "push_every": ("12s", "10m", "1h")},
    ),
    Attack(
        "holding",
        "holds the model against others' samples from before their refund until it can report them",
        {
            "victims": (16, 64, 256),
            "push_every": ("30m", "1h", "3h"),
            "hold": (24, 30),
            "every": ("2d", "4d"),
        },
    ),
    Attack(
        "owner",
        "owns the model, holds it against others' samples, and sweeps them",
        {
            "victims": (16, 64, 256),
            "push_every": ("3h", "6h", "12h"),
            "hold": (0, 144),
            "every": ("4d", "8d"),
        },
    ),
)

REMEDIES: dict[str, Changes] = {
    "as it is": {},
    "two agreeing looks, 12 h apart": {"variant.looks_apart": "12h"},
    "report wait 4 d, owner's and all others' 11 d": {
        "terms.report_wait": "4d",
        "terms.owner_wait": "11d",
        "terms.public_wait": "11d",
    },
    "influence five times dearer": {"terms.cost_weight": "29462782549439480"},
    "margin 4": {"model.margin": 4},
}
"""Rules that might stop what pays."""


def search(workers: Workers) -> list[dict[str, Any]]:
    """For every attack its best setting, and what it earns on fresh seeds.

    Returns:
        A table as paper.json has it.
    """
    return [_searched(workers, attack) for attack in ATTACKS]


def _searched(workers: Workers, attack: Attack) -> dict[str, Any]:
    settings = list(attack.settings())
    found = workers.measure(
        f"{attack.name}, {len(settings)} settings",
        [(attack.scenario, _changes(setting, {}), seed) for setting in settings for seed in SEARCH_SEEDS],
    )
    seeds = len(SEARCH_SEEDS)
    means = [
        statistics.fmean(one.gains[ATTACKER] for one in found[at * seeds : (at + 1) * seeds])
        for at in range(len(settings))
    ]
    best = settings[means.index(max(means))]
    return {
        "name": attack.name,
        "title": attack.title,
        "settings": len(settings),
        "worst": round(min(means), 6),
        "best": best,
        "remedies": {
            remedy: summary(
                workers.measure(
                    f"{attack.name}, {remedy}",
                    [(attack.scenario, _changes(best, more), seed) for seed in SEEDS],
                )
            )
            for remedy, more in REMEDIES.items()
            # What does not pay needs no remedy.
            if not more or max(means) > 0
        },
    }


def _changes(setting: dict[str, Any], more: Changes) -> Changes:
    """A setting of the attacker, and other rules; nothing is measured before the end."""
    parameters = {f"agents.{ATTACKER}.{name}": value for name, value in setting.items()}
    return {**parameters, "measure_every": "100d", **more}


def alone(workers: Workers) -> dict[str, Any]:
    """The honest ones without an attacker, under each rule."""
    return {
        remedy: summary(
            workers.measure(f"honest alone, {remedy}", [(CROWD, _changes({}, more), seed) for seed in SEEDS])
        )
        for remedy, more in REMEDIES.items()
    }


def summary(found: Sequence[Figures]) -> dict[str, Any]:
    """What runs with different seeds come to: means, each with half its confidence interval."""
    honest = [statistics.fmean(gain for name, gain in one.gains.items() if name != ATTACKER) for one in found]
    figures = {"honest": interval(honest), "accuracy": interval([one.accuracy for one in found])}
    if ATTACKER in found[0].gains:
        figures["attacker"] = interval([one.gains[ATTACKER] for one in found])
        figures["deposited"] = interval([one.deposits[ATTACKER] for one in found])
    return {name: list(one) for name, one in figures.items()}
