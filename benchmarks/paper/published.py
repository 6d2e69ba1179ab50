"""The published experiment: a good and a bad contributor on IMDB reviews, and what explains differences."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.paper.study import Changes, Workers, interval, simulate
from dcai_cli.simulation.engine import Moment, Run

DAY_S = 86_400
SEEDS = range(1, 6)
MORE_SEEDS = range(1, 21)
"""For the one that the goals are about."""
DAYS = (10, 25, 50, 100, 115, 125, 156)
PUBLISHED: dict[str, dict[int, float]] = {
    "good": {10: 97, 25: 113, 50: 131, 100: 172, 115: 184, 125: 191, 156: 197},
    "bad": {10: 91, 50: 59, 100: 20, 115: 8, 125: 0.6, 156: 1},
    "accuracy": {10: 78.9, 25: 79.3, 50: 79.1, 100: 78.1, 115: 78.4, 125: 78.4},
}
"""Read from the published plot: balances in % of the start, accuracy in %."""

LAST_DAYS = 14
"""Accuracy at the end is the mean over so many days: a perceptron's changes from day to day."""

PERCEPTRON = "perceptron, margin 2"
EXPERIMENTS: dict[str, tuple[str, Changes, Sequence[int]]] = {
    PERCEPTRON: ("imdb-perceptron.toml", {}, MORE_SEEDS),
    "perceptron, margin 0 (the classic rule)": ("imdb-perceptron.toml", {"model.margin": 0}, SEEDS),
    "naive Bayes": ("imdb-naive-bayes.toml", {}, SEEDS),
    "nearest centroid": ("imdb-nearest-centroid.toml", {}, SEEDS),
}
CAUSES: dict[str, Changes] = {
    "both every hour": {"agents.bad.claim_every": "1h"},
    "both every 6 hours": {"agents.good.claim_every": "6h", "agents.bad.claim_every": "6h"},
    "both once a day": {"agents.good.claim_every": "1d"},
    "good every 10 minutes, bad every hour": {
        "agents.good.claim_every": "10m",
        "agents.bad.claim_every": "1h",
    },
    "both every hour, two agreeing looks 12 h apart": {
        "agents.bad.claim_every": "1h",
        "variant.looks_apart": "12h",
    },
    "margin 4": {"model.margin": 4},
}
"""The perceptron's, but for how often they look whether the model agrees, and for what steadies it."""


def experiments(workers: Workers) -> dict[str, Any]:
    """Each model with several seeds; the curve of the first."""
    return {name: _measured(workers, *experiment) for name, experiment in EXPERIMENTS.items()}


def again(workers: Workers, committed: dict[str, Any]) -> tuple[Any, Any]:
    """The first experiment measured again, and what is committed of it."""
    name = next(iter(EXPERIMENTS))
    return _measured(workers, *EXPERIMENTS[name]), committed[name]


def causes(workers: Workers) -> dict[str, Any]:
    """The perceptron under other habits."""
    return {
        name: _measured(workers, "imdb-perceptron.toml", more, SEEDS)["figures"]
        for name, more in CAUSES.items()
    }


def _measured(workers: Workers, scenario: str, more: Changes, seeds: Sequence[int]) -> dict[str, Any]:
    runs = workers.map(_curve, [(scenario, more, seed) for seed in seeds])
    figures = {
        name: {str(day): interval([run[name][day] for run in runs]) for day in DAYS}
        for name in ("good", "bad", "accuracy")
    }
    last = [statistics.fmean(run["accuracy"][156 - LAST_DAYS + 1 : 157]) for run in runs]
    return {"figures": figures | {"last": interval(last)}, "curve": runs[0]}


def _curve(task: tuple[str, Changes, int]) -> dict[str, list[float]]:
    """Balances and accuracy of each day, in %; deposits that are out are not in a balance."""
    done = simulate(*task)
    days = _days(done)
    start = done.moments[0].balances_wei
    return {
        name: [round(100 * moment.balances_wei[name] / start[name], 4) for moment in days]
        for name in ("good", "bad")
    } | {"accuracy": [round(100 * moment.correct / done.test_rows, 4) for moment in days]}


def _days(run: Run) -> Sequence[Moment]:
    return [moment for moment in run.moments if moment.at % DAY_S == 0]
