"""Running many simulations: data is read once for each process, and results are figures."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcai_cli.simulation.engine import Run, run
from dcai_cli.simulation.pool import Prepared, prepare
from dcai_cli.simulation.scenario import DataPlan, FeaturePlan, ModelPlan, read_scenario

PROJECT = Path(__file__).resolve().parents[2]
SCENARIOS = PROJECT / "examples" / "scenarios"
DATA = Path(os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data"))
TOKEN = 10**18
"""What balances of scenarios are counted in, in wei."""

Changes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one run.

    Args:
        gains: of each agent, as a share of its balance at the start.
        deposits: what each agent deposited, in tokens.
        contributed: how many samples each agent contributed.
        accuracy: at the end.
        left: tokens in deposits that were still open at the end.
    """

    gains: dict[str, float]
    deposits: dict[str, float]
    contributed: dict[str, int]
    accuracy: float
    left: float


_prepared: dict[tuple[DataPlan, FeaturePlan, ModelPlan], Prepared] = {}
"""Data that scenarios share, once for each process."""


def simulate(name: str, changes: Changes, seed: int) -> Run:
    """Run a scenario of the examples with other values.

    Args:
        name: the file's name.
        changes: values by dotted name.
        seed: the seed.
    """
    scenario = read_scenario(SCENARIOS / name, changes)
    plans = (scenario.data, scenario.features, scenario.model)
    if plans not in _prepared:
        _prepared[plans] = prepare(scenario, folder=DATA)
    return run(scenario, _prepared[plans], seed=seed)


def measure(task: tuple[str, Changes, int]) -> Figures:
    """The figures of one run."""
    done = simulate(*task)
    return Figures(
        gains={agent.name: done.gain(agent.name) for agent in done.scenario.agents},
        deposits={name: total.deposit_wei / TOKEN for name, total in done.totals.items()},
        contributed={name: total.contributed for name, total in done.totals.items()},
        accuracy=done.accuracy(),
        left=sum(done.moments[-1].out_wei.values()) / TOKEN,
    )


class Workers:
    """As many processes as there are cores; results come in the order of the tasks.

    Args:
        say: told how far it is.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._pool = ProcessPoolExecutor(max_workers=os.cpu_count())
        self._say = say

    def measure(self, what: str, tasks: Sequence[tuple[str, Changes, int]]) -> list[Figures]:
        """The figures of many runs."""
        self._say(f"{what}: {len(tasks)} runs")
        return list(self._pool.map(measure, tasks))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Another function over some items."""
        return list(self._pool.map(function, items))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval by Student's t.

    >>> interval([1.0, 2.0, 3.0])
    (2.0, 2.484138)
    """
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return round(statistics.fmean(values), 6), round(half, 6)
