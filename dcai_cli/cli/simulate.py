"""dcai simulate: what becomes of a model and of its contributors, under the contracts' own rules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcai_cli.cli import completion, options, scenario_options
from dcai_cli.cli.output import Output
from dcai_cli.errors import UsageError
from dcai_cli.files import STREAM, told

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.simulation.engine import Run


_TABLE_WIDTH = 110
"""A table of amounts is wider than most screens."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "simulate",
        epilog="Example: dcai simulate tumours --output tumours. Exit codes: 0, 1 (--real: the chain "
        "says otherwise), 2, 13, 15 (bad scenario or data).",
    )(simulate)


def simulate(
    scenario: Annotated[
        Path,
        typer.Argument(
            help="A scenario file (TOML), or the name of a bundled one.",
            readable=False,
            autocompletion=completion.scenarios,
        ),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write a page, plots, an animation, the ledger and all figures into this folder.",
        ),
    ] = None,
    data: scenario_options.Data = None,
    seed: scenario_options.Seed = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another value: terms.refund_wait=2d, agents.bad.wait=1h; several times."),
    ] = None,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="Send every action as a transaction: to an embedded chain, or an anvil at --rpc-url.",
        ),
    ] = False,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Let agents with strategies contribute to a model, and see who gains, who loses, and what it learns."""
    from dcai_cli.cli.simulation_view import watching
    from dcai_cli.simulation.engine import run
    from dcai_cli.simulation.onchain import on_chain
    from dcai_cli.simulation.pool import prepare
    from dcai_cli.simulation.results import check_folder, describe, write_results
    from dcai_cli.simulation.scenario import find_scenario, read_scenario

    if rpc_url is not None and not real:
        raise UsageError("--rpc-url is for --real: nothing is sent without it.", hint="Add --real.")
    folder = _folder(output)
    if folder is not None:
        check_folder(folder)
    speaks = Output("simulate", json=json, quiet=quiet)
    read = read_scenario(find_scenario(scenario), scenario_options.changes(set_))
    prepared = prepare(read, folder=data or scenario.parent, note=speaks.note)
    with (
        on_chain(read, prepared, rpc_url) if real else nullcontext() as chain,
        watching(speaks, read, prepared.test_rows) as watch,
    ):
        done = run(read, prepared, seed=seed, chain=chain, watch=watch)
    files = write_results(folder, done, note=speaks.note) if folder is not None else []
    for path in files:
        speaks.note(f"written: {path}")
    speaks.result({**describe(done), "files": list(map(str, files))}, lambda console: _show(console, done))


def _folder(typed: str | None) -> Path | None:
    """What --output says; a path would make the current folder of an empty one.

    Raises:
        UsageError: it is empty, standard output, or no folder.
        DcaiError: there can be none of that name.
    """
    if typed is None:
        return None
    folder = Path(typed)
    with told(folder, "written"):
        is_none = folder.exists() and not folder.is_dir()
    if not typed or folder == STREAM or is_none:
        raise UsageError(f"--output {typed or repr(typed)} is no folder.", hint="Name another one.")
    return folder


def _show(console: Console, run: Run) -> None:
    from rich.table import Table

    console.print(run.scenario.title)
    rows = {agent.name: _figures(run, agent.name) for agent in run.scenario.agents}
    if console.width < _TABLE_WIDTH:
        for name, (start, end, gain, contributed, refunded, reports, sweeps) in rows.items():
            console.print(f"{name}  {gain}")
            console.print(f"  {start}, then {end}")
            console.print(f"  {contributed} contributed, {refunded} refunded")
            console.print(f"  reports {reports}")
            console.print(f"  sweeps {sweeps}")
    else:
        table = Table(box=None, pad_edge=False)
        for header in ("agent", "start", "end", "gain", "contributed", "refunded", "reports", "sweeps"):
            table.add_column(header, justify="left" if header == "agent" else "right")
        for name, figures in rows.items():
            table.add_row(name, *figures)
        console.print(table)
    console.print(f"accuracy  {run.accuracy(0):.1%} at first, then {run.accuracy():.1%}")


def _figures(run: Run, name: str) -> Sequence[str]:
    from dcai_cli.domain import format_ether

    totals = run.totals[name]
    first, last = (moment.balances_wei[name] for moment in (run.moments[0], run.moments[-1]))
    return (
        format_ether(first),
        format_ether(last),
        f"{run.gain(name):+.1%}",
        f"{totals.contributed:,}",
        f"{totals.refunded:,}",
        format_ether(totals.reported_wei),
        format_ether(totals.swept_wei),
    )
