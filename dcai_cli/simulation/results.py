"""What a run leaves in its folder; the same run gives the same bytes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcai_cli.files import write_atomically

if TYPE_CHECKING:
    from dcai_cli.simulation.engine import Run

RUN_FILE, LEDGER_FILE = "run.json", "ledger.csv"


def write_results(folder: Path, run: Run) -> list[Path]:
    """Write a run's files into a folder, which is made if it is not there.

    Args:
        folder: where to.
        run: what came of a scenario.

    Returns:
        The files.

    Raises:
        DcaiError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        RUN_FILE: json.dumps({"version": 1, **describe(run)}, indent=1) + "\n",
        LEDGER_FILE: _ledger(run),
    }
    for name, text in contents.items():
        write_atomically(folder / name, text.encode(), mode=0o644)
    return [folder / name for name in contents]


def describe(run: Run) -> dict[str, Any]:
    """A run as JSON: amounts are decimal strings of wei, times are seconds since the model was sealed."""
    scenario = run.scenario
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "seed": run.seed,
        "model_type": scenario.model.model_type,
        "terms": _amounts(asdict(scenario.terms)),
        "duration_s": scenario.duration_s,
        "settle_s": scenario.settle_s,
        "test_rows": run.test_rows,
        "weights_hash": run.weights_hash,
        "times_s": [moment.at for moment in run.moments],
        "correct": [moment.correct for moment in run.moments],
        "agents": [
            {
                "name": agent.name,
                "strategy": agent.strategy,
                "accounts": list(agent.accounts),
                **_amounts(asdict(run.totals[agent.name])),
                "balances_wei": [str(moment.balances_wei[agent.name]) for moment in run.moments],
                "out_wei": [str(moment.out_wei[agent.name]) for moment in run.moments],
            }
            for agent in scenario.agents
        ],
    }


def _amounts(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if name.endswith("_wei") else value for name, value in fields.items()}


def _ledger(run: Run) -> str:
    """Every action, in order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("at_s", "account", "action", "batch", "samples", "amount_wei", "gas_used"))
    for entry in run.entries:
        gas = "" if entry.gas_used is None else entry.gas_used
        writer.writerow(
            (entry.at, entry.account, entry.action, entry.batch, entry.samples, entry.amount_wei, gas)
        )
    return text.getvalue()
