"""dcai ledger: look after the record of what was contributed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, outputs
from dcai_cli.cli.output import Output
from dcai_cli.domain import counted, format_ether

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.ledger_care import LedgerSize

app = typer.Typer(
    help="Check the ledger, the record of what you contributed; back it up, restore or rebuild it.",
    no_args_is_help=True,
)


def _data(size: LedgerSize) -> dict[str, Any]:
    return {
        "ledger": size.where,
        "transactions": size.transactions,
        "batches": size.batches,
        "samples": size.samples,
    }


def _text(size: LedgerSize) -> str:
    return (
        f"{counted(size.transactions, 'transaction')}, {counted(size.batches, 'batch')}, "
        f"{counted(size.samples, 'sample')}"
    )


@app.command(
    "check",
    epilog="Example: dcai ledger check. Exit codes: 0, 1 (cannot be read), 15 (damaged; every fault is "
    "listed), 18.",
)
def check(*, json: options.Json = False) -> None:
    """Read all of the ledger, and see whether it is whole and its books agree."""
    from dcai_cli.services.ledger_care import check_ledger

    with options.open_workspace() as workspace:
        size = check_ledger(workspace)

    def human(console: Console) -> None:
        console.print(f"{size.where} is sound: {_text(size)}.")

    Output("ledger check", json=json).result(_data(size), human)


@app.command(
    "rebuild",
    epilog="Example: dcai ledger rebuild. Exit codes: 0, 1, 10, 13, 17, 18.",
)
def rebuild(
    *,
    from_block: Annotated[int, typer.Option(min=0, help="No contribution is older.")] = 0,
    unverified: Annotated[
        bool,
        typer.Option("--unverified", help="Of models whose code dcai does not ship, too."),
    ] = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find all batches of an account on the chain: with the key file alone, no refund is lost."""
    from dcai_cli.services.rebuild import rebuild_ledger

    output = Output("ledger rebuild", json=json, quiet=quiet)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id}
    with options.open_workspace(**flags) as workspace, output.progress("reading blocks") as progress:
        found = rebuild_ledger(
            workspace, account=account, from_block=from_block, unverified=unverified, progress=progress
        )
    data = {
        "account": found.account.address,
        "models": [{"name": model.name, "address": model.address} for model in found.models],
        "foreign": [{"address": address, "reason": reason} for address, reason in found.foreign],
        "batches": found.batches,
        "samples": found.samples,
        "open_batches": found.open_batches,
        "open_wei": str(found.open_wei),
    }

    def human(console: Console) -> None:
        for address, reason in found.foreign:
            console.print(f"left out {address}: {reason}")
        console.print(
            f"{counted(found.batches, 'batch')} with {counted(found.samples, 'sample')} "
            f"of {found.account.name} in {counted(len(found.models), 'model')}; "
            f"{counted(found.open_batches, 'batch is', 'batches are')} open, "
            f"{format_ether(found.open_wei)} of deposits"
        )
        if found.open_batches:
            console.print("See when they are due: dcai refunds")

    output.result(data, human)


@app.command(
    "backup",
    epilog="Example: dcai ledger backup ledger.backup. Exit codes: 0, 1 (cannot be written), 2, 15 (the file "
    "is there, or the ledger is damaged), 18.",
)
def backup(
    file: Annotated[
        Path, typer.Argument(help="Where the copy shall stand.", show_default=False, readable=False)
    ],
    *,
    force: outputs.Force = False,
    json: options.Json = False,
) -> None:
    """Copy the ledger, in a file or on a server, into one file; others may use it meanwhile."""
    from dcai_cli.services.ledger_care import back_up

    outputs.check_file(file, option="FILE", force=force)
    with options.open_workspace() as workspace:
        size = back_up(workspace, file, force=force)

    def human(console: Console) -> None:
        console.print(f"Wrote {file}: {_text(size)}.")
        console.print("It does not hold your keys: keep a copy of the key files, too.")

    Output("ledger backup", json=json).result({**_data(size), "path": str(file)}, human)


@app.command(
    "restore",
    epilog="Example: dcai ledger restore ledger.backup. Exit codes: 0, 1, 15 (the backup is damaged, or the "
    "ledger has what it lacks), 18 (a command sends).",
)
def restore(
    file: Annotated[
        Path, typer.Argument(help="A file that dcai ledger backup wrote.", show_default=False, readable=False)
    ],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the ledger has transactions that the backup lacks.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Put a backup in the place of the ledger; what was there is kept beside it."""
    from dcai_cli.services.ledger_care import restore_ledger

    with options.open_workspace() as workspace:
        done = restore_ledger(workspace, file, force=force)
    data = {
        **_data(done.size),
        "kept": None if done.kept is None else str(done.kept),
        "left_out": done.left_out,
    }

    def human(console: Console) -> None:
        console.print(f"Restored {done.size.where}: {_text(done.size)}.")
        if done.kept is not None:
            console.print(f"What was there before is kept as {done.kept}.")

    Output("ledger restore", json=json).result(data, human)
