"""What a run leaves in its folder; the same run gives the same bytes."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from errno import EISDIR
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from dcai_cli.files import told, write_atomically
from dcai_cli.services.plots import GET_MATPLOTLIB, Chart, Timeline, can_draw, draw
from dcai_cli.simulation.curves import accuracy, balances, picture
from dcai_cli.simulation.page import page

if TYPE_CHECKING:
    from dcai_cli.simulation.engine import Run

PAGE_FILE, ANIMATION_FILE, RUN_FILE, LEDGER_FILE = "index.html", "animation.svg", "run.json", "ledger.csv"
PLOT_FILES = {"svg": "curves.svg", "png": "curves.png"}


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before a run that may take hours; nothing is left of it.

    Raises:
        DcaiError: it is none, nothing can be made in it, or a folder is where one of the files goes.
    """
    with told(folder, "written"):
        # Also a link to nowhere is there: no folder can be made in its place.
        near = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        Path(mkdtemp(prefix=".dcai-", dir=near)).rmdir()
    for name in (PAGE_FILE, ANIMATION_FILE, RUN_FILE, LEDGER_FILE, *PLOT_FILES.values()):
        with told(folder / name, "written"):
            if (folder / name).is_dir():
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))


def write_results(folder: Path, run: Run, *, note: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Write a run's files into a folder, which is made if it is not there.

    Args:
        folder: where to.
        run: what came of a scenario.
        note: is told which files there are none of, as nothing is installed to draw them.

    Returns:
        The files.

    Raises:
        DcaiError: they cannot be written.
    """
    contents = {
        PAGE_FILE: page(run, LEDGER_FILE).encode(),
        ANIMATION_FILE: (picture(run, animated=True) + "\n").encode(),
        RUN_FILE: (json.dumps({"version": 1, **describe(run)}, indent=1) + "\n").encode(),
        LEDGER_FILE: _ledger(run).encode(),
    }
    if can_draw():
        contents |= {name: draw(_charts(run), form) for form, name in PLOT_FILES.items()}
    else:
        note(f"{' and '.join(PLOT_FILES.values())} need matplotlib: {GET_MATPLOTLIB}")
    with told(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(folder / name, content, mode=0o644)
    return [folder / name for name in contents]


def _charts(run: Run) -> list[Chart]:
    times = [moment.at for moment in run.moments]
    shares = [per_cent / 100 for per_cent in accuracy(run)]
    return [
        Timeline(
            run.scenario.title,
            "balances, in % of the start",
            {name: list(zip(times, values, strict=True)) for name, values in balances(run).items()},
            is_elapsed=True,
        ),
        Timeline(
            "accuracy",
            "accuracy",
            {"accuracy": list(zip(times, shares, strict=True))},
            is_share=True,
            is_elapsed=True,
        ),
    ]


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
