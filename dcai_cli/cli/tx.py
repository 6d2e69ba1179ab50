"""dcai tx: one's own transactions, and what to do with those that are stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output
from dcai_cli.domain import counted, format_ether, format_gwei, iso_time, parse_amount

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.tx import Replacement, TransactionView

app = typer.Typer(
    help="Look at your transactions; speed up or cancel those that are stuck.", no_args_is_help=True
)

Which = Annotated[
    str, typer.Argument(metavar="TRANSACTION", help="Its hash, the beginning of it, or its nonce.")
]
Stuck = Annotated[
    str | None,
    typer.Argument(
        metavar="[TRANSACTION]",
        help="Its hash, the beginning of it, or its nonce; what all others wait for, if left out.",
    ),
]
GasPrice = Annotated[
    str | None,
    typer.Option("--max-gas-price", help="What a unit of gas may cost at most, for instance 50gwei."),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is mined.")]
_REPLACING = "Exit codes: 0, 1 (not mined in time), 2, 10, 11, 12, 13, 14, 16, 17, 18, 130."


@app.command("list", epilog="Example: dcai tx list --all. Exit codes: 0, 10, 13, 17, 18.")
def list_(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that are on-chain, or given up, too.")
    ] = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    json: options.Json = False,
) -> None:
    """List the transactions that are on their way, or all."""
    from dcai_cli.services.tx import list_transactions

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        found = list_transactions(workspace, account=account, everything=everything)

    def human(console: Console) -> None:
        for view in found:
            console.print(_line(view))
        if not found:
            console.print("No transaction is there." if everything else "No transaction is on its way.")

    Output("tx list", json=json).result({"transactions": [_data(view) for view in found]}, human)


@app.command("show", epilog="Example: dcai tx show 12. Exit codes: 0, 2, 10, 13, 17, 18.")
def show(
    transaction: Which,
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    json: options.Json = False,
) -> None:
    """Show one transaction."""
    from dcai_cli.services.tx import show_transaction

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        found = show_transaction(workspace, transaction, account=account)
    Output("tx show", json=json).result(_data(found), lambda console: _show(console, found))


@app.command("speed-up", epilog=f"Example: dcai tx speed-up --yes. {_REPLACING}")
def speed_up(
    transaction: Stuck = None,
    *,
    max_gas_price: GasPrice = None,
    wait: Wait = True,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Send a transaction again with a higher offer for its gas: an eighth more, and what blocks ask now."""
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    output = Output("tx speed-up", json=json, quiet=quiet, yes=yes)
    _replace(output, transaction, flags, max_gas_price, account, cancels=False, wait=wait)


@app.command("cancel", epilog=f"Example: dcai tx cancel --yes. {_REPLACING}")
def cancel(
    transaction: Stuck = None,
    *,
    max_gas_price: GasPrice = None,
    wait: Wait = True,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Replace a transaction by one that does nothing; which of them is mined, the chain decides."""
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    output = Output("tx cancel", json=json, quiet=quiet, yes=yes)
    _replace(output, transaction, flags, max_gas_price, account, cancels=True, wait=wait)


def _replace(
    output: Output,
    transaction: str | None,
    flags: dict[str, Any],
    max_gas_price: str | None,
    account: str | None,
    *,
    cancels: bool,
    wait: bool,
) -> None:
    from dcai_cli.services.tx import replace_transaction

    def confirm(plan: Replacement) -> None:
        stored = plan.before.stored
        what = "Cancel" if cancels else "Speed up"
        output.ask(
            f"{what} {stored.kind} with nonce {stored.nonce} of {plan.account.name}, for fees of up to "
            f"{format_ether(plan.fee_at_most_wei)}?"
        )

    with options.open_workspace(**flags) as workspace:
        done = replace_transaction(
            workspace,
            transaction,
            cancels=cancels,
            password=output.password(workspace.settings),
            account=account,
            ceiling_wei=None if max_gas_price is None else parse_amount(max_gas_price),
            wait=wait,
            confirm=confirm,
        )
    output.result(_data(done), lambda console: _show(console, done))


def _data(view: TransactionView) -> dict[str, Any]:
    stored, fields = view.stored, view.fields
    return {
        "hash": stored.hash,
        "nonce": stored.nonce,
        "kind": stored.kind,
        "detail": stored.detail,
        "model": stored.model,
        "state": stored.state,
        "cancels": stored.cancels,
        "attempts": view.attempts,
        "signed_at": iso_time(stored.created_at),
        "to": fields.to,
        "value_wei": str(fields.value_wei),
        "gas": fields.gas,
        "max_fee_per_gas_wei": str(fields.fees.max_fee_per_gas_wei),
        "priority_fee_wei": None
        if fields.fees.priority_fee_wei is None
        else str(fields.fees.priority_fee_wei),
        "block_number": stored.block_number,
        "final": stored.final,
        "gas_used": stored.gas_used,
        "fee_wei": None if stored.fee_wei is None else str(stored.fee_wei),
    }


def _line(view: TransactionView) -> str:
    stored = view.stored
    what = f"{stored.kind} {stored.detail}".rstrip()
    where = "" if stored.block_number is None else f" in block {stored.block_number}"
    return f"{stored.nonce:>5}  {stored.hash}  {what}, {stored.state}{where}"


def _show(console: Console, view: TransactionView) -> None:
    stored, fields = view.stored, view.fields
    console.print(_line(view).strip())
    console.print(f"signed    {iso_time(stored.created_at)}, {counted(view.attempts, 'time')}")
    console.print(f"to        {fields.to or 'a new contract'}, with {format_ether(fields.value_wei)}")
    priority = fields.fees.priority_fee_wei
    tip = "" if priority is None else f", {format_gwei(priority)} gwei of it above the base fee"
    most = format_gwei(fields.fees.max_fee_per_gas_wei)
    console.print(f"offers    {most} gwei a unit at most{tip}; {fields.gas:,} units")
    if stored.fee_wei is not None:
        final = "" if stored.final else "; a reorganisation can still undo it"
        console.print(f"cost      {format_ether(stored.fee_wei)} ({stored.gas_used:,} gas){final}")
    if view.is_on_its_way:
        console.print("If it is stuck: dcai tx speed-up, or dcai tx cancel")
