"""A run as one page: curves that can be played, every agent's figures, and ledgers. It loads nothing.

Its template is page.html; without JavaScript the curves stand still, and all else is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from string import Template
from typing import TYPE_CHECKING

from dcai_cli.domain import format_duration, format_ether
from dcai_cli.simulation.curves import (
    LEFT,
    RIGHT,
    accuracy,
    balances,
    clock,
    file,
    line_class,
    picture,
    title,
)

if TYPE_CHECKING:
    from dcai_cli.simulation.agents import Agent
    from dcai_cli.simulation.engine import Run
    from dcai_cli.simulation.market import Entry

LEDGER_ROWS = 100
"""Rows of an agent's ledger from its beginning, and as many from its end."""


def page(run: Run, ledger_file: str) -> str:
    """Write the page of a run.

    Args:
        run: what came of a scenario.
        ledger_file: the file with all actions, beside the page.

    Returns:
        HTML.
    """
    style, script = file("curves.css") + file("page.css"), file("page.js")
    curves = {**balances(run), "accuracy": accuracy(run)}
    data = {
        "times": [moment.at for moment in run.moments],
        "series": [[round(value, 1) for value in values] for values in curves.values()],
        "left": LEFT,
        "right": RIGHT,
    }
    return Template(file("page.html")).substitute(
        policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'",
        title=title(run),
        style=style,
        summary=_summary(run),
        legend="\n".join(_legend(curves)),
        last=len(run.moments) - 1,
        picture=picture(run),
        agents=_agents(run),
        ledger_file=ledger_file,
        ledgers="\n".join(_ledger(run, agent, ledger_file) for agent in run.scenario.agents),
        data=json.dumps(data, separators=(",", ":")),
        script=script,
    )


def _hash(text: str) -> str:
    """What a policy calls the one script, or style, that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _summary(run: Run) -> str:
    scenario = run.scenario
    return (
        f"{scenario.model.model_type}, seed {run.seed}. Agents contribute for "
        f"{format_duration(scenario.duration_s)}, and only claim for another "
        f"{format_duration(scenario.settle_s)}. At first the model predicts {run.accuracy(0):.1%} of "
        f"{run.test_rows:,} test rows right, at the end {run.accuracy():.1%}."
    )


def _legend(curves: dict[str, list[float]]) -> Iterator[str]:
    for number, (name, values) in enumerate(curves.items()):
        of = line_class(number) if number < len(curves) - 1 else "accuracy"
        yield (
            f'<li><svg viewBox="0 0 28 8"><path class="curve {of}" d="M0 4h28"/></svg>'
            f"{name} <output>{values[-1]:.1f}%</output></li>"
        )


def _agents(run: Run) -> str:
    """A row for each agent; gas where there was some."""
    head = ["start", "end", "gain", "contributed", "deposits", "refunds", "reports", "sweeps", "gas used"]
    rows = [[agent.name, agent.strategy, *_figures(run, agent)] for agent in run.scenario.agents]
    return _table(["agent", "strategy", *head[: len(rows[0]) - 2]], rows, texts=2)


def _figures(run: Run, agent: Agent) -> list[str]:
    totals = run.totals[agent.name]
    return [
        *(format_ether(run.moments[at].balances_wei[agent.name]) for at in (0, -1)),
        f"{run.gain(agent.name):+.1%}",
        f"{totals.contributed:,}",
        format_ether(totals.deposit_wei),
        format_ether(totals.refunded_wei),
        format_ether(totals.reported_wei),
        format_ether(totals.swept_wei),
        *([] if totals.gas_used is None else [f"{totals.gas_used:,}"]),
    ]


def _ledger(run: Run, agent: Agent, ledger_file: str) -> str:
    """What an agent did, folded; of a long ledger the beginning and the end."""
    entries = [entry for entry in run.entries if entry.account in agent.accounts]
    has_gas = run.totals[agent.name].gas_used is not None
    head = ["time", "account", "action", "batch", "samples", "amount", "balance", *["gas used"] * has_gas]
    rows = []
    balance_wei = agent.balance_wei
    for entry in entries:
        balance_wei += entry.amount_wei
        rows.append(_row(entry, balance_wei))
    what = f"<summary>{agent.name}: {len(entries):,} actions</summary>"
    if len(rows) <= 2 * LEDGER_ROWS:
        return f"<details>{what}\n{_table(head, rows, texts=3)}</details>"
    left_out = f"{len(rows) - 2 * LEDGER_ROWS:,} more are in"
    return (
        f"<details>{what}\n{_table(head, rows[:LEDGER_ROWS], texts=3)}\n"
        f'<p>{left_out} <a href="{ledger_file}">{ledger_file}</a>; the last {LEDGER_ROWS}:</p>\n'
        f"{_table(head, rows[-LEDGER_ROWS:], texts=3)}</details>"
    )


def _row(entry: Entry, balance_wei: int) -> list[str]:
    return [
        clock(entry.at),
        entry.account,
        entry.action,
        f"{entry.batch:,}",
        f"{entry.samples:,}",
        format_ether(entry.amount_wei),
        format_ether(balance_wei),
        *([] if entry.gas_used is None else [f"{entry.gas_used:,}"]),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """A table; so many columns are texts, the others numbers."""
    lines = [
        "<tr>"
        + "".join(
            f'<{tag} class="text">{cell}</{tag}>' if at < texts else f"<{tag}>{cell}</{tag}>"
            for at, cell in enumerate(cells)
        )
        + "</tr>"
        for tag, cells in [("th", head), *(("td", row) for row in rows)]
    ]
    return "\n".join(['<div class="wide"><table>', *lines, "</table></div>"])
