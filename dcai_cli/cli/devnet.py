"""dcai devnet: the chain in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output
from dcai_cli.domain import iso_time, parse_duration

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.devnet import DevnetStatus

app = typer.Typer(help="Look at the embedded chain, move its clock, start it anew.", no_args_is_help=True)


def _data(status: DevnetStatus) -> dict[str, Any]:
    return {
        "network": status.network,
        "chain_id": status.chain_id,
        "block_number": status.block_number,
        "time": iso_time(status.timestamp),
        "path": None if status.path is None else str(status.path),
    }


def _show(console: Console, status: DevnetStatus) -> None:
    console.print(f"{status.network}, chain id {status.chain_id}, block {status.block_number}")
    console.print(f"chain time {iso_time(status.timestamp)}")


@app.command("status", epilog="Example: dcai devnet status. Exit codes: 0, 13, 18.")
def status(*, rpc_url: options.RpcUrl = None, json: options.Json = False) -> None:
    """Show the chain's height and time."""
    from dcai_cli.services.devnet import devnet_status

    with options.open_workspace(rpc_url=rpc_url) as workspace:
        found = devnet_status(workspace)
    Output("devnet status", json=json).result(_data(found), lambda console: _show(console, found))


@app.command("advance", epilog="Example: dcai devnet advance 25h. Exit codes: 0, 2, 13, 18.")
def advance(
    duration: Annotated[str, typer.Argument(help="For instance 90s, 15m, 25h or 2d.")],
    *,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
) -> None:
    """Let time pass on the embedded chain, or on an anvil or hardhat node."""
    from dcai_cli.services.devnet import advance_time
    from dcai_cli.services.standing import STAND

    output = Output("devnet advance", json=json)
    with options.open_workspace(rpc_url=rpc_url) as workspace:
        found = advance_time(workspace, parse_duration(duration))
    output.result(_data(found), lambda console: _show(console, found))
    output.suggest(STAND)


@app.command("reset", epilog="Example: dcai devnet reset --yes. Exit codes: 0, 2, 18.")
def reset(*, yes: options.Yes = False, json: options.Json = False) -> None:
    """Throw the embedded chain away; the next command starts a new one."""
    from dcai_cli.services.devnet import reset_devnet

    output = Output("devnet reset", json=json, yes=yes)
    with options.open_workspace(rpc_url="embedded") as workspace:
        output.ask("All models, contributions and balances of the embedded chain will be gone. Go on?")
        removed = reset_devnet(workspace)
    output.result(
        {"removed": removed},
        lambda console: console.print(
            "The embedded chain is gone." if removed else "There was no embedded chain."
        ),
    )
