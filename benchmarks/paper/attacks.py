"""Attackers: each with many settings of its own parameters, the best of which is measured on fresh seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from benchmarks.paper.study import Changes, Figures, Interval, Workers, interval

SCENARIO = "imdb.toml"
DAYS = 30
SEARCH_SEEDS = range(101, 104)
"""For the search; the best setting is then measured on others."""
SEEDS = range(1, 21)
ATTACKER = "attacker"
HONEST: tuple[dict[str, Any], ...] = tuple(
    {
        "name": f"honest-{number}",
        "strategy": "contributor",
        "balance": "10000ether",
        "wait": wait,
        "spread": "5m",
        "mistakes": 0.01,
        "claim_every": "1h",
    }
    for number, wait in enumerate(("20m", "30m", "1h"), start=1)
)
"""Three who mean well, with one label in a hundred wrong; together some 144 samples a day."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One strategy.

    Args:
        name: what it is called.
        title: in words.
        strategy: as scenarios have it.
        grid: its parameters, each with the values that are tried, all combined.
        fixed: parameters that have one value.
    """

    name: str
    title: str
    strategy: str
    grid: dict[str, tuple[Any, ...]]
    fixed: dict[str, Any]

    def settings(self) -> Iterator[dict[str, Any]]:
        """All combinations; what follows from others is filled in."""
        for values in product(*self.grid.values()):
            setting = dict(zip(self.grid, values, strict=True))
            if "hold" in setting:
                hours, every = setting["hold"], setting["push_every"]
                yield setting | {"pushes": hours * 60 // every, "push_every": f"{every}m"}
            else:
                yield setting

    def agent(self, setting: dict[str, Any]) -> dict[str, Any]:
        """The attacker as a scenario has it."""
        parameters = {name: value for name, value in setting.items() if name != "hold"}
        base = {"name": ATTACKER, "strategy": self.strategy, "balance": "10000ether", "claim_every": "1h"}
        return base | self.fixed | parameters


ATTACKS = (
    Attack(
        "flipping",
        "flips every label",
        "contributor",
        {"wait": ("10m", "20m", "1h", "3h", "12h"), "claim_every": ("10m", "1h", "6h", "1d")},
        {"mistakes": 1.0},
    ),
    Attack(
        "copying",
        "has others' pending samples mined first, as its own",
        "copier",
        {
            "share": (0.1, 0.25, 0.5, 0.75, 1.0),
            "most_per_unit": ("0.5ether", "1ether", "2ether", "1000ether"),
        },
        {},
    ),
    Attack(
        "flooding",
        "sends large flipped batches at the cheapest time",
        "flooder",
        {"batch": (16, 64, 256), "wait": ("12h", "1d", "3d"), "idle": ("5m", "15m", "30m")},
        {},
    ),
    Attack(
        "colluding",
        "a pair: one throws flipped samples in, the other reports them",
        "colluders",
        {"wait": ("10m", "30m", "1h", "3h"), "flips": (0.1, 0.25, 0.5, 0.75, 0.9)},
        {},
    ),
    Attack(
        "sybils",
        "accounts that farm a record first, and flip then",
        "sybils",
        {"count": (2, 4, 16), "wait": ("10m", "30m", "1h"), "farm": ("5d", "10d", "20d")},
        {},
    ),
    Attack(
        "boundary",
        "flips only samples that the model is least sure of",
        "boundary",
        {"candidates": (2, 4, 8, 16, 64, 256), "wait": ("20m", "1h", "3h", "12h")},
        {"mistakes": 1.0},
    ),
    Attack(
        "moving-once",
        "plants flipped samples, and moves the model in one block before it claims them",
        "manipulator",
        {"victims": (4, 16, 64), "copies": (1, 4, 16), "every": ("1d", "3d", "5d")},
        {"pushes": 1, "farm": "5d"},
    ),
    Attack(
        "moving-longer",
        "the same over several blocks",
        "manipulator",
        {"victims": (4, 16, 64), "pushes": (2, 4, 8), "push_every": ("12s", "10m", "1h")},
        {"every": "3d", "farm": "5d"},
    ),
    Attack(
        "holding",
        "holds the model against others' samples from before their refund until it can report them",
        "manipulator",
        {"victims": (16, 64, 256), "push_every": (30, 60, 180), "hold": (24, 30), "every": ("2d", "4d")},
        {"target": "others", "farm": "5d"},
    ),
    Attack(
        "owner",
        "owns the model, holds it against others' samples, and sweeps them",
        "owner",
        {"victims": (16, 64, 256), "push_every": (180, 360, 720), "hold": (0, 144), "every": ("4d", "8d")},
        {"target": "others", "farm": "5d"},
    ),
)

REMEDIES: dict[str, Changes] = {
    "as it is": {},
    "two agreeing looks, 12 h apart": {"variant.looks_apart": "12h"},
    "report wait 4 d, owner's 11 d": {"terms.report_wait": "4d", "terms.owner_wait": "11d", "terms.public_wait": "11d"},
    "influence five times dearer": {"terms.cost_weight": "29462782549439480"},
    "margin 4": {"model.margin": 4},
}
"""Rules that might stop what pays."""


def changes(agents: list[dict[str, Any]], more: Changes) -> Changes:
    """The scenario with these agents."""
    end = f"{DAYS}d"
    return {"agents": agents, "duration": end, "measure_every": end, "terms.owner_wait": "7d", **more}


def search(workers: Workers) -> list[dict[str, Any]]:
    """For every attack its best setting, and what it earns on fresh seeds.

    Returns:
        A table as paper.json has it.
    """
    return [_searched(workers, attack) for attack in ATTACKS]


def _searched(workers: Workers, attack: Attack) -> dict[str, Any]:
    settings = list(attack.settings())
    tasks = [
        (SCENARIO, changes([*HONEST, attack.agent(setting)], {}), seed)
        for setting in settings
        for seed in SEARCH_SEEDS
    ]
    found = workers.measure(f"{attack.name}, {len(settings)} settings", tasks)
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
        "best": {name: value for name, value in best.items() if name != "hold"},
        "remedies": {
            remedy: _on_fresh_seeds(workers, attack, best, remedy, more)
            for remedy, more in REMEDIES.items()
            # What does not pay needs no remedy.
            if not more or max(means) > 0
        },
    }


def _on_fresh_seeds(
    workers: Workers, attack: Attack, setting: dict[str, Any], remedy: str, more: Changes
) -> dict[str, Any]:
    agents = [*HONEST, attack.agent(setting)]
    tasks = [(SCENARIO, changes(agents, more), seed) for seed in SEEDS]
    return _summary(workers.measure(f"{attack.name}, {remedy}", tasks))


def alone(workers: Workers) -> dict[str, Any]:
    """The three honest ones without an attacker."""
    tasks = [(SCENARIO, changes(list(HONEST), {}), seed) for seed in SEEDS]
    return _summary(workers.measure("honest alone", tasks))


def _summary(found: list[Figures]) -> dict[str, Any]:
    honest = [
        statistics.fmean(gain for name, gain in one.gains.items() if name != ATTACKER) for one in found
    ]
    summary = {"honest": _pair(interval(honest)), "accuracy": _pair(interval([one.accuracy for one in found]))}
    if ATTACKER in found[0].gains:
        gains = [one.gains[ATTACKER] for one in found]
        deposits = statistics.fmean(one.deposits[ATTACKER] for one in found)
        summary |= {"attacker": _pair(interval(gains)), "deposited": round(deposits, 1)}
    return summary


def _pair(one: Interval) -> list[float]:
    return [one.mean, one.half]
