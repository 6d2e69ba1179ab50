"""dcai refunds, dcai reports: what is pending, when it is due, what it is worth; and taking it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output
from dcai_cli.domain import format_ether, iso_time

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.claim import Claimed, ClaimItem
    from dcai_cli.services.workspace import Workspace

Claim = Annotated[bool, typer.Option("--claim", help="Claim what is due.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        "refunds",
        epilog="Example: dcai refunds --claim --yes. Exit codes: 0, 2, 3, 10, 11, 12, 13, 14, 17, 18, 130.",
    )(refunds)
    app.command(
        "reports",
        epilog="Example: dcai reports --claim --yes. Exit codes: 0, 2, 3, 10, 11, 12, 13, 14, 17, 18, 130.",
    )(reports)


def refunds(
    *,
    model: options.Model = None,
    claim: Claim = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show your deposits that are still out, or take back those that are due."""
    from dcai_cli.services.claim import claim_refunds, pending_refunds

    output = Output("refunds", json=json, quiet=quiet, yes=yes)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id, password_file=password_file) as workspace:
        if claim:
            with output.progress("refunding") as progress:
                done = claim_refunds(
                    workspace, **_asking(workspace, output, model, account), progress=progress
                )
            _claimed(output, done, "refunded")
        else:
            _list(output, pending_refunds(workspace, model=model, account=account))


def reports(
    *,
    model: options.Model = None,
    claim: Claim = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show others' samples that the model rejects and what they would pay, or take it."""
    from dcai_cli.services.claim import claim_reports, pending_reports

    output = Output("reports", json=json, quiet=quiet, yes=yes)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id, password_file=password_file) as workspace:
        if claim:
            with output.progress("reporting") as progress:
                done = claim_reports(
                    workspace, **_asking(workspace, output, model, account), progress=progress
                )
            _claimed(output, done, "reported")
        else:
            _list(output, pending_reports(workspace, model=model, account=account))


def _asking(workspace: Workspace, output: Output, model: str | None, account: str | None) -> dict[str, Any]:
    """What both claims are told: for whom, and whom to ask."""

    def confirm(items: Sequence[ClaimItem]) -> None:
        samples = sum(item.samples if item.sweep else item.claimable.bit_count() for item in items)
        output.ask(f"Claim {samples} samples of {len(items)} batches?")

    return {
        "password": output.password(workspace.settings),
        "model": model,
        "account": account,
        "confirm": confirm,
    }


def _item(item: ClaimItem) -> dict[str, Any]:
    return {
        "batch_id": item.batch.id,
        "model": item.model.address,
        "contributor": item.batch.contributor,
        "samples": item.samples,
        "claimable_samples": item.samples if item.sweep else item.claimable.bit_count(),
        "amount_wei": str(item.amount_wei),
        "added_at": iso_time(item.batch.added_at),
        "due_at": iso_time(item.due_at),
        "expires_at": iso_time(item.expires_at),
        "state": item.state,
    }


def _list(output: Output, items: Sequence[ClaimItem]) -> None:
    def human(console: Console) -> None:
        if not items:
            console.print("Nothing is pending.")
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name in ("batch", "model", "samples", "amount", "due", "others from", "state"):
            table.add_column(name, justify="right" if name in {"batch", "samples", "amount"} else "left")
        for item in items:
            table.add_row(
                str(item.batch.id),
                item.model.name,
                str(item.samples),
                format_ether(item.amount_wei),
                iso_time(item.due_at),
                iso_time(item.expires_at),
                item.state,
            )
        console.print(table)
        console.print(f"in all {format_ether(sum(item.amount_wei for item in items))}")

    output.result({"items": [_item(item) for item in items]}, human)


def _claimed(output: Output, done: Claimed, verb: str) -> None:
    data = {
        f"{verb}_wei": str(done.amount_wei),
        "claimed_samples": done.samples,
        "disagreed_samples": done.disagreed,
        "gas_used": done.gas_used,
        "fee_wei": str(done.fee_wei),
        "transactions": list(done.transactions),
    }

    def human(console: Console) -> None:
        if not done.transactions:
            console.print("Nothing can be claimed now.")
        else:
            console.print(
                f"{verb} {format_ether(done.amount_wei)} of {done.samples} samples, fees "
                f"{format_ether(done.fee_wei)} ({done.gas_used:,} gas)"
            )
        if done.disagreed:
            console.print(
                f"{done.disagreed} samples are due, but the model's verdict is against claiming them."
            )

    output.result(data, human)
