"""Scenarios that inject faults, and the report that counts the faults by their kind.

A scenario fails where something differs from what must hold, where it ends with an error, and where a kind of
fault that it names was injected less often than it must be: a test of faults without faults proves nothing.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import Anvil, start_anvil

SHOWN_DIFFERENCES = 12
"""Differences that a report shows; it says how many more there are."""

Figure = int | float | str


@dataclass
class Run:
    """One run of a scenario: what it works with, and what it writes down.

    Args:
        seed: decides everything that is left to chance.
        scale: the part of the full work that is done, 1 for all of it.
        folder: where homes and files go.
        stack: ends what the scenario started.
        is_quiet: whether nothing is said on the way.
    """

    seed: int
    scale: float
    folder: Path
    stack: ExitStack
    is_quiet: bool = False
    rng: random.Random = field(init=False)
    faults: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Figure] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - a seed is the point

    def scaled(self, count: int, least: int = 1) -> int:
        """So much of the full work."""
        return max(least, math.ceil(count * self.scale))

    def anvil(self, *options: str) -> Anvil:
        """An anvil that ends with the scenario."""
        node = start_anvil(*options)
        self.stack.callback(node.stop)
        return node

    def expect(self, holds: object, difference: str) -> None:
        """Something must hold; what differs is said with its values."""
        if not holds:
            self.differences.append(difference)

    def differ(self, found: Iterable[str]) -> None:
        """Take over what an audit found."""
        self.differences += found

    def say(self, text: str) -> None:
        """Tell people how far it is."""
        if not self.is_quiet:
            sys.stderr.write(f"  {text}\n")
            sys.stderr.flush()


@dataclass(frozen=True)
class Scenario:
    """A line of what must hold under faults.

    Args:
        name: what `--only` calls it.
        about: what holds, in a sentence.
        kinds: the kinds of faults that it injects, and how many at least in a full run; in a smaller one in
            proportion, so that what is rare may be missing.
        work: injects them and looks at what became of it.
    """

    name: str
    about: str
    kinds: Mapping[str, int]
    work: Callable[[Run], None]


@dataclass(frozen=True)
class Verdict:
    """What became of a scenario.

    Args:
        name: the scenario.
        seed: its seed.
        faults: how many faults of each kind were injected.
        figures: what was measured.
        seconds: how long it took.
        reason: why it does not hold; empty if it does.
    """

    name: str
    seed: int
    faults: Mapping[str, int]
    figures: Mapping[str, Figure]
    seconds: float
    reason: str

    @property
    def held(self) -> bool:
        """Whether all held."""
        return not self.reason

    def as_json(self) -> dict[str, Any]:
        """Its part of the report."""
        return {
            "seed": self.seed,
            "faults": dict(sorted(self.faults.items())),
            "figures": dict(self.figures),
            "seconds": round(self.seconds, 1),
            "held": self.held,
            "reason": self.reason,
        }


def play(
    scenario: Scenario, folder: Path, *, seed: int, scale: float = 1.0, is_quiet: bool = False
) -> Verdict:
    """Run one scenario; its errors are verdicts, too."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        run = Run(seed, scale, folder, stack, is_quiet)
        try:
            scenario.work(run)
        # Every end of a scenario is a verdict; pytest's own failures are no `Exception`.
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001
            if not is_quiet:
                traceback.print_exc()
            run.differences.append(f"{type(error).__name__}: {error}"[:2000])
    for kind, least in scenario.kinds.items():
        # In full, every kind must have been there. A small part may miss what comes by chance and rarely.
        wanted = max(int(scale >= 1), math.floor(least * min(scale, 1.0)))
        run.expect(
            run.faults[kind] >= wanted, f"{kind}: {run.faults[kind]} faults were injected, not {wanted}"
        )
    return Verdict(
        name=scenario.name,
        seed=seed,
        faults={kind: run.faults[kind] for kind in {*scenario.kinds, *run.faults}},
        figures=run.figures,
        seconds=time.monotonic() - began,
        reason=_reason(run.differences),
    )


def _reason(differences: list[str]) -> str:
    shown = differences[:SHOWN_DIFFERENCES]
    more = len(differences) - len(shown)
    return "; ".join([*shown, *([f"and {more} more differences"] if more else [])])


def write_report(path: Path, verdicts: Iterable[Verdict], *, scale: float) -> None:
    """Put verdicts into the report; those of scenarios that did not run now stay as they are."""
    scenarios = json.loads(path.read_text())["scenarios"] if path.exists() else {}
    scenarios |= {verdict.name: {**verdict.as_json(), "scale": scale} for verdict in verdicts}
    report = {"version": 1, "scenarios": dict(sorted(scenarios.items()))}
    path.write_text(json.dumps(report, indent=2) + "\n")


def table(verdicts: Iterable[Verdict]) -> str:
    """Verdicts for people."""
    lines = []
    for verdict in verdicts:
        lines.append(
            f"{verdict.name:10} {'held' if verdict.held else 'FAILED':7} {verdict.seconds:7.0f} s   "
            f"{sum(verdict.faults.values()):6} faults"
        )
        lines += [f"    {count:8} {kind}" for kind, count in sorted(verdict.faults.items())]
        lines += [f"    {name}: {value}" for name, value in verdict.figures.items()]
        if not verdict.held:
            lines += [f"    differs: {verdict.reason}"]
    return "\n".join(lines)
