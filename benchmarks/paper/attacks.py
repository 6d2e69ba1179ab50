"""Attackers: each with many settings of its own parameters, the best of which is measured on fresh seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from benchmarks.paper.study import Changes, Figures, Workers, interval

CROWD = "crowd.toml"
"""The honest ones alone; each attack is a scenario on top of it."""

SEARCH_SEEDS = range(101, 103)
"""For the search; the best setting is then measured on others."""

SEEDS = range(1, 21)
ATTACKER = "attacker"


@dataclass(frozen=True, slots=True)
class Attack:
    """One strategy, as examples/scenarios/attack-NAME.toml has it.

    Args:
        name: of the scenario.
        title: in words.
        grid: parameters of the attacker, each with the values that are tried, all combined.
        harmless: what makes the same agent do the same without the attack.
    """

    name: str
    title: str
    grid: dict[str, tuple[Any, ...]]
    harmless: dict[str, Any]

    @property
    def scenario(self) -> str:
        """The name of its file."""
        return f"attack-{self.name}.toml"

    def settings(self) -> list[dict[str, Any]]:
        """All combinations, as the attacker's parameters."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]


ATTACKS = (
    Attack(
        "flipping",
        "flips labels",
        {"wait": ("10m", "20m", "1h", "3h", "12h"), "mistakes": (0.1, 0.25, 0.5, 1.0)},
        {"mistakes": 0.0},
    ),
    Attack(
        "copying",
        "has others' pending samples mined first, as its own",
        {
            "share": (0.1, 0.25, 0.5, 0.75, 1.0),
            "most_per_unit": ("1ether", "2ether", "4ether", "1000ether"),
        },
        {"share": 0.0},
    ),
    Attack(
        "flooding",
        "sends large flipped batches at the cheapest time",
        {"batch": (16, 64, 256), "wait": ("12h", "1d", "3d"), "idle": ("5m", "15m", "20m")},
        {"mistakes": 0.0},
    ),
    Attack(
        "colluding",
        "is a pair: one throws flipped samples in, the other reports them",
        {"wait": ("10m", "30m", "1h", "3h"), "flips": (0.1, 0.25, 0.5, 0.75, 0.9)},
        {"flips": 0.0},
    ),
    Attack(
        "sybils",
        "has many accounts, which farm a record first and flip then",
        {"count": (2, 4, 16), "wait": ("10m", "30m", "1h"), "farm": ("5d", "10d", "20d")},
        {"farm": "100d"},
    ),
    Attack(
        "farming",
        "farms standing with one sample that surprises the model again and again, and reports everybody",
        {"batch": (16, 64, 256), "every": ("1d", "5d", "10d", "100d"), "idle": ("5m", "10m", "20m")},
        {"crafted": False},
    ),
    Attack(
        "boundary",
        "flips only samples that the model gets wrong, or is least sure of",
        {"candidates": (2, 4, 8, 16, 64, 256), "wait": ("20m", "1h", "3h", "12h")},
        {"candidates": 1, "mistakes": 0.0},
    ),
    Attack(
        "moving-once",
        "plants flipped samples, and moves the model in one block before it claims them",
        {"victims": (4, 16, 64), "copies": (1, 4, 16), "every": ("1d", "3d", "5d")},
        {"target": "others", "pushes": 0},
    ),
    Attack(
        "moving-longer",
        "plants flipped samples, and moves the model over several blocks before it claims them",
        {"victims": (4, 16, 64), "pushes": (2, 4, 8), "push_every": ("12s", "10m", "1h")},
        {"target": "others", "pushes": 0},
    ),
    Attack(
        "holding",
        "holds the model against others' samples from before their refund until it can report them",
        {
            "victims": (4, 16, 64, 256),
            "push_every": ("30m", "1h", "3h", "6h"),
            "every": ("2d", "4d", "8d"),
        },
        {"pushes": 0},
    ),
    Attack(
        "owner",
        "owns the model, holds it against others' samples, and sweeps them",
        {
            "victims": (4, 16, 64, 256),
            "push_every": ("1h", "3h", "6h", "12h"),
            "every": ("4d", "8d"),
        },
        {"pushes": 0},
    ),
)

LONG_WAITS = {
    "terms.refund_wait": "5d",
    "terms.report_wait": "8d",
    "terms.owner_wait": "13d",
    "terms.public_wait": "13d",
    "settle": "16d",
}
CEILING = {f"agents.honest-{number}.most_rise": 0.25 for number in (1, 2, 3)}
FEE = {"variant.burned": 0.02}
BEFORE: dict[str, Changes] = {
    "every sample that changes the model, in wei": {"variant.standing": "changes"},
    "what the model did not expect, in wei": {"variant.standing": "wei"},
}
"""What made standing before this study, and for a while of it."""
STANDING = ("boundary", "farming", "copying", "holding", "owner")
"""Attacks that live on what makes standing."""
AS_IT_IS = "as it is"
FREE = "these waits and that ceiling"
PAID = "these waits, that ceiling and that fee"
ADAPTED = (FREE, PAID)
"""Under these rules attackers choose their settings anew; under the second only who gains under the first."""

REMEDIES: dict[str, Changes] = {
    AS_IT_IS: {},
    "two agreeing looks, 12 h apart": {"variant.looks_apart": "12h"},
    "influence five times dearer": {"terms.cost_weight": "29462782549439480"},
    "refund wait 5 d, report wait 8 d, owner's and all others' 13 d": LONG_WAITS,
    "the honest pay at most a quarter more than they were quoted": CEILING,
    "2 % of what a contribution costs is burned": FEE,
    FREE: LONG_WAITS | CEILING,
    PAID: LONG_WAITS | CEILING | FEE,
}
"""Rules that might stop what pays."""


def search(workers: Workers) -> list[dict[str, Any]]:
    """For every attack its best setting, and what it earns on fresh seeds.

    Returns:
        A table as paper.json has it.
    """
    return [_searched(workers, attack) for attack in ATTACKS]


def _searched(workers: Workers, attack: Attack) -> dict[str, Any]:
    best, found = _best(workers, attack, {})
    remedies = {AS_IT_IS: _measured(workers, attack, best, AS_IT_IS, without=True)}
    if remedies[AS_IT_IS]["attacker"][0] > 0:  # what does not pay needs no remedy
        for remedy in [remedy for remedy in REMEDIES if remedy != AS_IT_IS]:
            remedies[remedy] = _measured(workers, attack, best, remedy, without=False)
    adapted: dict[str, Any] = {}
    for rule in ADAPTED:
        setting, _ = _best(workers, attack, REMEDIES[rule])
        adapted[rule] = {"best": setting, **_measured(workers, attack, setting, rule, without=True)}
        if adapted[rule]["attacker"][0] <= 0:
            break
    return {
        "name": attack.name,
        "title": attack.title,
        "settings": len(found),
        "worst": min(found),
        "best": best,
        "adapted": adapted,
        "remedies": remedies,
    }


def followed(workers: Workers) -> dict[str, Any]:
    """What attacks on standing earned under the rules that the contracts had before.

    Returns:
        For each of them and each of these rules the best setting, and its figures.
    """
    found: dict[str, Any] = {}
    for attack in (attack for attack in ATTACKS if attack.name in STANDING):
        found[attack.name] = {}
        for name, rules in BEFORE.items():
            best, _ = _best(workers, attack, rules)
            runs = _runs(workers, attack, best, rules, f"{attack.name}, standing for {name}")
            found[attack.name][name] = {"best": best, **summary(runs)}
    return found


def again(workers: Workers, committed: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Each attack in its best setting measured again, and what is committed of it."""
    return {
        attack.name: (
            _measured(workers, attack, one["best"], AS_IT_IS, without=True),
            one["remedies"][AS_IT_IS],
        )
        for attack, one in zip(ATTACKS, committed, strict=True)
    }


def _measured(
    workers: Workers, attack: Attack, setting: dict[str, Any], remedy: str, *, without: bool
) -> dict[str, Any]:
    """What a setting earns under a rule on fresh seeds, and what the same agent earns without the attack."""
    settings = [setting, {**setting, **attack.harmless}] if without else [setting]
    runs = (_runs(workers, attack, one, REMEDIES[remedy], f"{attack.name}, {remedy}") for one in settings)
    return summary(*runs)


def _runs(
    workers: Workers, attack: Attack, setting: dict[str, Any], rules: Changes, what: str
) -> list[Figures]:
    return workers.measure(what, [(attack.scenario, _changes(setting, rules), seed) for seed in SEEDS])


def _best(workers: Workers, attack: Attack, more: Changes) -> tuple[dict[str, Any], list[float]]:
    """The setting that earns most under other rules, and what each of them earns that contributes at all."""
    settings = attack.settings()
    found = workers.measure(
        f"{attack.name}, {len(settings)} settings",
        [(attack.scenario, _changes(setting, more), seed) for setting in settings for seed in SEARCH_SEEDS],
    )
    seeds = len(SEARCH_SEEDS)
    runs = [found[at * seeds : (at + 1) * seeds] for at in range(len(settings))]
    means = {
        place: round(statistics.fmean(one.gains[ATTACKER] for one in some), 6)
        for place, some in enumerate(runs)
        if any(one.deposits[ATTACKER] for one in some)
    }
    best = max(means, key=lambda place: means[place])
    return settings[best], list(means.values())


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


def summary(found: Sequence[Figures], harmless: Sequence[Figures] = ()) -> dict[str, Any]:
    """What runs with different seeds come to: means, each with half its confidence interval.

    Args:
        found: the runs.
        harmless: the same seeds, with an attacker that does not attack.
    """
    if any(one.left for one in found):
        raise AssertionError("Deposits are open at the end: a longer `settle` is needed.")
    honest = [statistics.fmean(gain for name, gain in one.gains.items() if name != ATTACKER) for one in found]
    figures = {
        "honest": interval(honest),
        "accuracy": interval([one.accuracy for one in found]),
        "contributed": interval(
            [sum(count for name, count in one.contributed.items() if name != ATTACKER) for one in found]
        ),
    }
    if ATTACKER in found[0].gains:
        gains = [one.gains[ATTACKER] for one in found]
        figures["attacker"] = interval(gains)
        figures["deposited"] = interval([one.deposits[ATTACKER] for one in found])
    if harmless:
        without = [one.gains[ATTACKER] for one in harmless]
        figures["harmless"] = interval(without)
        figures["more"] = interval([more - less for more, less in zip(gains, without, strict=True)])
    return {name: list(one) for name, one in figures.items()}
