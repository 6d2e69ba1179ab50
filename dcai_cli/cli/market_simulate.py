"""dcai market simulate: how a market would treat who helps and who harms, before anything is paid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcai_cli.cli import completion, options, scenario_options
from dcai_cli.cli.output import NARROW, Output
from dcai_cli.domain import counted, format_ether
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.simulation.prediction.play import Played


def register(app: typer.Typer) -> None:
    """Add the command to the group of markets."""
    app.command(
        "simulate",
        epilog="Example: dcai market simulate tumours. Exit codes: 0, 1 (--real: the chain says otherwise), "
        "2, 13, 15 (bad scenario or data).",
    )(simulate)


def simulate(
    scenario: Annotated[
        Path,
        typer.Argument(
            help="A scenario file (TOML), or the name of a bundled one.",
            readable=False,
            autocompletion=completion.market_scenarios,
        ),
    ],
    *,
    draws: Annotated[
        int | None,
        typer.Option(min=1, help="Draw rows and orders so often; as the scenario says if left out."),
    ] = None,
    data: scenario_options.Data = None,
    seed: scenario_options.Seed = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Another value: market.orders=7, participants.carl.mistakes=0.3; several times."
        ),
    ] = None,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="Play one draw by transactions: on an embedded chain, or an anvil at --rpc-url.",
        ),
    ] = False,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try a market before you pay: draw participants who help and who harm, and see how each would end."""
    from dcai_cli.simulation.pool import gather
    from dcai_cli.simulation.prediction.play import describe, play
    from dcai_cli.simulation.prediction.scenario import FOLDER, read_market_scenario
    from dcai_cli.simulation.scenario import find_scenario

    if rpc_url is not None and not real:
        raise UsageError("--rpc-url is for --real: nothing is sent without it.", hint="Add --real.")
    if draws is not None and real:
        raise UsageError("--real plays one draw.", hint="Leave out --draws or --real.")
    speaks = Output("market simulate", json=json, quiet=quiet)
    read = read_market_scenario(find_scenario(scenario, FOLDER), scenario_options.changes(set_))
    gathered = gather(read.data, read.features, read.model, folder=data or scenario.parent, note=speaks.note)
    if real:
        from dcai_cli.simulation.prediction.onchain import play_on_chain

        played = play_on_chain(read, gathered, rpc_url, seed=seed, note=speaks.note)
    else:
        with speaks.progress("drawing") as progress:
            played = play(read, gathered, seed=seed, draws=draws, progress=progress)
    speaks.result(describe(played), lambda console: _show(console, played))


def _show(console: Console, played: Played) -> None:
    from rich.table import Table

    draws = len(played.endings)
    console.print(played.scenario.title)
    rows = {person.name: _figures(played, number) for number, person in enumerate(played.scenario.people)}
    if console.width < NARROW:
        for name, (samples, mistakes, stake, score, owed, above, removed) in rows.items():
            console.print(f"{name}  {samples} samples, {mistakes} wrong")
            console.print(f"  stake {stake}")
            console.print(f"  score {score}")
            console.print(f"  owed {owed}")
            console.print(f"  above {above}, removed {removed}")
    else:
        table = Table(box=None, pad_edge=False)
        for header in ("participant", "samples", "wrong", "stake", "score", "owed", "above", "removed"):
            table.add_column(header, justify="left" if header == "participant" else "right")
        for name, figures in rows.items():
            table.add_row(name, *figures)
        console.print(table)
    console.print(f"right sides  {played.right_sides:,} of {counted(draws, 'draw')}")
    console.print(f"burned    {format_ether(played.burned_wei)} of stakes")
    console.print(f"left      {format_ether(played.left_wei)} of the bounty")
    console.print(f"accuracy  {played.accuracy_before:.1%}, then {played.accuracy_published:.1%}")
    for name, spent in played.spent.items():
        console.print(f"{name}  {spent.gas_used:,} gas, {format_ether(spent.fee_wei)}")


def _figures(played: Played, number: int) -> Sequence[str]:
    person = played.scenario.people[number]
    return (
        f"{person.samples}",
        f"{person.mistakes:.0%}",
        format_ether(played.stake_wei(number)),
        f"{played.score(number):+.1f}",
        format_ether(played.owed_wei(number)),
        f"{played.above(number) / len(played.endings):.0%}",
        f"{played.removed(number) / len(played.endings):.0%}",
    )
