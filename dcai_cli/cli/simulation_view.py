"""What a terminal shows while a simulation runs: who has what, how good the model is, what just happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dcai_cli.cli.charts import sparkline
from dcai_cli.cli.output import NARROW, Output, printable, stderr
from dcai_cli.domain import format_duration, format_ether
from dcai_cli.simulation.curves import clock

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from dcai_cli.simulation.engine import Moment
    from dcai_cli.simulation.market import Entry, Market
    from dcai_cli.simulation.scenario import Scenario

REFRESHES_A_SECOND = 8
"""By a clock: a run of thousands of actions a second is not held up by each of them."""

EVENTS = 5
"""Lines that say what happened last, at most."""

Watch = Callable[["Moment", "Market"], None]


@contextmanager
def watching(output: Output, scenario: Scenario, test_rows: int) -> Iterator[Watch]:
    """Show a run where stderr is a terminal: a view, or a bar if it has no letters for curves.

    Args:
        output: how the command speaks.
        scenario: what is run.
        test_rows: rows of the test set.

    Yields:
        What is told each moment of the run.
    """
    console = stderr()
    if not output.is_watched or not console.encoding.lower().startswith("utf"):
        with output.progress("simulating") as progress:
            yield lambda moment, _: progress(moment.at, scenario.end_s)
        return
    from rich.live import Live

    view = View(scenario, test_rows)
    with Live(
        console=console,
        get_renderable=lambda: view,
        refresh_per_second=REFRESHES_A_SECOND,
        transient=True,
        vertical_overflow="crop",
    ):
        yield view.watch


class View:
    """How a run stands; rich draws it as often as it likes.

    Args:
        scenario: what is run.
        test_rows: rows of the test set.
        seconds: a clock.
    """

    def __init__(
        self, scenario: Scenario, test_rows: int, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._scenario = scenario
        self._test_rows = test_rows
        self._seconds = seconds
        self._began = seconds()
        self._moments: list[Moment] = []
        self._market: Market | None = None
        self._counted = self._contributions = 0

    def watch(self, moment: Moment, market: Market) -> None:
        """A moment was measured."""
        self._market = market
        self._moments.append(moment)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        del console
        if self._market is None:
            return
        # This runs beside the simulation: what it reads only grows.
        entries, now, moments = self._market.entries, self._market.now, list(self._moments)
        width, room = options.max_width, options.size.height - 1
        lines = [
            (printable(self._scenario.title), "bold"),
            *((line, "") for line in _packed(self._pace(entries, now), width)),
        ]
        agents = self._agents(moments, width)
        accuracy = [moment.correct for moment in moments]
        share = f"accuracy {accuracy[-1] / self._test_rows:.1%}  "
        lines += agents[: room - len(lines) - 2]
        lines.append((share + self._curve(moments, accuracy, width - len(share)), ""))
        last = entries[-min(EVENTS, max(room - len(lines), 1)) :]
        for entry in last:
            when = f"{clock(entry.at)}  " if width >= NARROW else ""
            lines.append((when + in_words(entry), "dim"))
        for line, style in lines[:room]:
            yield Text(line, style=style, no_wrap=True, overflow="ellipsis")

    def _pace(self, entries: Sequence[Entry], now: int) -> list[str]:
        """How far it is, how fast, and how long it takes yet."""
        end = self._scenario.end_s
        reached, elapsed = min(now, end), self._seconds() - self._began
        seen = len(entries)
        self._contributions += sum(entry.action == "contribute" for entry in entries[self._counted : seen])
        self._counted = seen
        rate = self._contributions / elapsed if elapsed else 0
        left = elapsed * (end - reached) / reached
        return [
            f"{clock(reached)} of {format_duration(end)}",
            f"{rate:,.0f} contributions a second",
            f"about {format_duration(round(left))} left",
        ]

    def _agents(self, moments: Sequence[Moment], width: int) -> list[tuple[str, str]]:
        """A line for each agent; two on a narrow screen."""
        first, last = moments[0].balances_wei, moments[-1]
        rows = [
            (
                agent.name,
                f"{last.balances_wei[agent.name] / first[agent.name] - 1:+.1%}",
                format_ether(last.balances_wei[agent.name]),
                format_ether(last.out_wei[agent.name]),
                [moment.balances_wei[agent.name] for moment in moments],
            )
            for agent in self._scenario.agents
        ]
        name_width, gain_width, balance_width, out_width = (
            max(map(len, column)) for column in list(zip(*rows, strict=True))[:4]
        )
        lines = []
        for name, gain, balance, out, values in rows:
            style = "green" if gain.startswith("+") else "red"
            line = f"{name:<{min(name_width, 16)}.16}  {gain:>{gain_width}}  "
            if width >= NARROW:
                line += f"{balance:>{balance_width}}, {out:>{out_width}} out  "
            lines.append((line + self._curve(moments, values, width - len(line)), style))
            if width < NARROW:
                lines.append((f"  {balance}, {out} out", style))
        return lines

    def _curve(self, moments: Sequence[Moment], values: Sequence[int], width: int) -> str:
        """A line that reaches the right side when the run ends."""
        end = self._scenario.end_s
        last: dict[int, int] = {}
        for moment, value in zip(moments, values, strict=True):
            last[moment.at * (max(width, 1) - 1) // end] = value
        filled = [last[0]]
        for place in range(1, max(last) + 1):
            filled.append(last.get(place, filled[-1]))
        return sparkline(filled)


def in_words(entry: Entry) -> str:
    """What somebody did, in a few words.

    Args:
        entry: an action.
    """
    samples = f"{entry.samples:,} {'sample' if entry.samples == 1 else 'samples'}"
    amount = format_ether(abs(entry.amount_wei))
    what = {
        "contribute": f"sends {samples} for {amount}",
        "refund": f"gets {samples} back: {amount}",
        "report": f"reports {samples}: {amount}",
        "sweep": f"sweeps {samples}: {amount}",
    }
    return f"{entry.account} {what[entry.action]}"


def _packed(parts: Sequence[str], width: int) -> list[str]:
    """Parts in as few lines as they fit into."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines
