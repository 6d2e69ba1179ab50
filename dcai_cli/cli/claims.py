"""dcai refunds, dcai reports: what is pending, when it is due, what it is worth; and taking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion, options
from dcai_cli.cli.output import Output, print_long_document, stdout
from dcai_cli.domain import counted, format_duration, format_ether, iso_time, parse_amount
from dcai_cli.errors import LimitExceeded, PartlyDone, and_goes_on

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.config import Settings
    from dcai_cli.ledger import OpenSum
    from dcai_cli.services.claims.claim import Claimed
    from dcai_cli.services.claims.items import ClaimItem, ClaimPolicy, Left
    from dcai_cli.services.claims.refund import OpenRefunds
    from dcai_cli.services.claims.report import OpenReports
    from dcai_cli.services.standing import Step
    from dcai_cli.services.workspace import Workspace

SHOWN = 50
"""Batches that are listed if nobody asks for all of them."""

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Model, name or address; all models if left out.",
        autocompletion=completion.models,
    ),
]
Claim = Annotated[bool, typer.Option("--claim", help="Claim what is due.")]
All = Annotated[
    bool, typer.Option("--all", help=f"List all that is out, not the {SHOWN} batches that are due first.")
]
AllReports = Annotated[
    bool,
    typer.Option(
        "--all", help=f"List all that is open, not only what can be taken now, {SHOWN} batches at most."
    ),
]

MinProfit = Annotated[
    str,
    typer.Option(
        "--min-profit",
        help="What a claim must pay above its fee; -1ether claims at a loss. Points are exempt.",
    ),
]
MaxFee = Annotated[
    str | None, typer.Option("--max-fee", help="Pay no more than this for the fees of all claims: 0.01ether.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        "refunds",
        epilog="Example: dcai refunds --claim --yes. Exit codes: 0, 2, 3, 10, 11, 12, 13, 14, "
        "16 (--max-fee let nothing be claimed), 17, 18, 130.",
    )(refunds)
    app.command(
        "reports",
        epilog="Example: dcai reports --claim --yes. Exit codes: 0, 2, 3, 10, 11, 12, 13, 14, "
        "16 (--max-fee let nothing be claimed), 17, 18, 130.",
    )(reports)


def refunds(
    *,
    model: Model = None,
    claim: Claim = False,
    all: All = False,
    min_profit: MinProfit = "0",
    max_fee: MaxFee = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show your deposits and points that are still out, or claim those that are due."""
    from dcai_cli.services.claims.refund import claim_refunds, open_refunds
    from dcai_cli.services.standing import STAND, waiting_step

    output = Output("refunds", json=json, quiet=quiet, yes=yes)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id, password_file=password_file) as workspace:
        if claim:
            with output.progress("refunding") as progress:
                asking = _asking(workspace, output, model, account, _policy(min_profit, max_fee))
                done = claim_refunds(workspace, **asking, progress=progress)
            _claimed(output, done, "refunded", max_fee)
            waiting = [left.item.due_at for left in done.left if left.code == "waiting"]
            if done.transactions:
                output.suggest(STAND)
            elif waiting:
                seconds = min(waiting) - workspace.chain.timestamp()
                output.suggest(waiting_step(workspace.settings, seconds))
        else:
            found = open_refunds(workspace, model=model, account=account, first=None if all else SHOWN)
            _list_own(output, found, workspace.settings)


def reports(
    *,
    model: Model = None,
    claim: Claim = False,
    all: AllReports = False,
    min_profit: MinProfit = "0",
    max_fee: MaxFee = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show others' samples that the model rejects and what they would pay, or take it."""
    from dcai_cli.services.claims.report import claim_reports, open_reports

    output = Output("reports", json=json, quiet=quiet, yes=yes)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id, password_file=password_file) as workspace:
        if claim:
            with output.progress("reporting") as progress:
                asking = _asking(workspace, output, model, account, _policy(min_profit, max_fee))
                done = claim_reports(workspace, **asking, progress=progress)
            _claimed(output, done, "reported", max_fee)
        else:
            first = None if all else SHOWN
            _list_others(output, open_reports(workspace, model=model, account=account, first=first), all)


def _asking(
    workspace: Workspace,
    output: Output,
    model: str | None,
    account: str | None,
    policy: ClaimPolicy,
) -> dict[str, Any]:
    """What both claims are told: for whom, and whom to ask."""
    from dcai_cli.services.accounts import acting_account

    acting = acting_account(workspace, account)
    network, ceiling_wei = options.asked_network(workspace)

    def confirm(items: Sequence[ClaimItem]) -> None:
        samples = sum(item.claimable_samples for item in items)
        pay_wei, points = sum(item.pays_wei for item in items), sum(item.points for item in items)
        worth = [f"pay up to {format_ether(pay_wei)}"] if pay_wei or not points else []
        worth += [f"earn up to {counted(points, 'point')}"] if points else []
        balance_wei = workspace.chain.balance_wei(acting.address)
        what = f"{counted(samples, 'sample')} of {counted(len(items), 'batch')}"
        output.ask(
            f"Account {acting.name}, balance {format_ether(balance_wei)}{network}. "
            f"Claim {what}, which {' and '.join(worth)}?"
        )

    return {
        "password": output.password(workspace.settings),
        "model": model,
        "account": account,
        "confirm": confirm,
        "policy": replace(policy, max_fee_per_gas_wei=ceiling_wei),
    }


def _policy(min_profit: str, max_fee: str | None) -> ClaimPolicy:
    from dcai_cli.services.claims.items import ClaimPolicy

    least = min_profit.removeprefix("-")
    sign = -1 if least != min_profit else 1
    return ClaimPolicy(
        min_profit_wei=sign * parse_amount(least),
        budget_wei=None if max_fee is None else parse_amount(max_fee),
    )


def _item(item: ClaimItem) -> dict[str, Any]:
    return {
        "batch_id": item.batch.id,
        "model": item.model.address,
        "contributor": item.batch.contributor,
        "samples": item.samples,
        "claimable_samples": item.claimable_samples,
        "amount_wei": str(item.amount_wei),
        "points": item.points,
        "added_at": iso_time(item.batch.added_at),
        "due_at": iso_time(item.due_at),
        "expires_at": None if item.expires_at is None else iso_time(item.expires_at),
        "state": item.state,
    }


def _when(timestamp: int, now: int) -> str:
    """A time as people say it, by the chain's clock."""
    away = format_duration(timestamp - now)
    return f"in {away}" if timestamp > now else f"since {away}"


def _list_own(output: Output, found: OpenRefunds, settings: Settings) -> None:
    """Sums, the batches that are due first, one at a time (there may be any number), and what to do next."""
    hidden = found.all.batches - found.count
    if output.json:
        totals = {**_sum(found.all), "due": _sum(found.due), "waiting": _sum(found.waiting)}
        data = {"totals": totals, "shown": found.count}
        items = (_item(item) for item in found.items)
        print_long_document("refunds", data=lambda: data, name="items", items=items)
    elif (step := _show_own(stdout(), found, settings)) is not None:
        output.suggest(step)
    if hidden > 0:
        more = counted(hidden, "more batch is", "more batches are")
        output.note(f"{more} due later; all of them: dcai refunds --all")


def _show_own(console: Console, found: OpenRefunds, settings: Settings) -> Step | None:
    from dcai_cli.services.standing import CLAIM, waiting_step

    points, has_points, has_deposits = 0, False, False
    is_claimable, waits_s = False, []
    for item in found.items:
        _show(console, item, found.now)
        is_claimable |= item.is_claimable
        waits_s += [item.due_at - found.now] if item.state == "waiting" else []
        points += item.points
        has_points |= item.model.has_points
        has_deposits |= not item.model.has_points
    if not found.count:
        console.print("Nothing is pending.")
    if has_deposits or found.all.amount_wei:
        due, waiting = found.due, found.waiting
        console.print(
            f"due: {counted(due.batches, 'batch')}, {format_ether(due.amount_wei)}; "
            f"waiting: {counted(waiting.batches, 'batch')}, {format_ether(waiting.amount_wei)}"
        )
        console.print(f"in all {format_ether(found.all.amount_wei)}")
    if has_points:
        console.print(f"in all {counted(points, 'point')} now")
    if is_claimable:
        return CLAIM
    return waiting_step(settings, min(waits_s)) if waits_s else None


def _sum(found: OpenSum) -> dict[str, Any]:
    return {"batches": found.batches, "samples": found.samples, "amount_wei": str(found.amount_wei)}


def _show(console: Console, item: ClaimItem, now: int) -> None:
    worth = _points(item) if item.model.has_points else format_ether(item.amount_wei)
    samples = counted(item.samples, "sample")
    console.print(f"batch {item.batch.id} of {item.model.name}: {samples}, {worth}, {item.state}")
    others = "" if item.expires_at is None else f", for others {_when(item.expires_at, now)}"
    console.print(f"  due {_when(item.due_at, now)}{others}")


def _list_others(output: Output, found: OpenReports, everything: bool) -> None:
    """What can be taken now, a batch at a time, and what may become so, in a line each."""
    shown = [item for item in found.items if everything or item.is_claimable]

    def human(console: Console) -> None:
        for item in shown:
            _show_other(console, item, found.now)
        if not found.all.batches:
            console.print("Nothing is pending.")
            return
        console.print(
            f"due: {counted(found.due.batches, 'batch')}, {counted(found.due.samples, 'sample')}, "
            f"{format_ether(found.due.amount_wei)}"
        )
        if found.next_due_at is not None:
            console.print(
                f"waiting: {counted(found.waiting.batches, 'batch')}, "
                f"{counted(found.waiting.samples, 'sample')}; "
                f"what the model rejects of the first can be taken {_when(found.next_due_at, found.now)}"
            )
        if found.agreed.batches:
            console.print(
                f"not to be had: {counted(found.agreed.batches, 'batch')}, "
                f"{counted(found.agreed.samples, 'sample')}, "
                "which the model agrees with, or which would pay nothing"
            )
        if found.next_sweep_at is not None:
            console.print(
                f"what is left then can be swept: the first {_when(found.next_sweep_at, found.now)}"
            )

    totals = {
        **_sum(found.all),
        "due": _sum(found.due),
        "waiting": _sum(found.waiting),
        "agreed": _sum(found.agreed),
    }
    data = {
        "totals": totals,
        "next_due_at": None if found.next_due_at is None else iso_time(found.next_due_at),
        "next_sweep_at": None if found.next_sweep_at is None else iso_time(found.next_sweep_at),
        "shown": len(found.items),
        "items": [_item(item) for item in found.items],
    }
    output.result(data, human)
    hidden = found.due.batches - len(shown)
    if hidden > 0:
        output.note(f"{counted(hidden, 'more batch')} can be taken; all of them: dcai reports --all")


def _show_other(console: Console, item: ClaimItem, now: int) -> None:
    """Of another's batch only what the model rejects can be taken, or all that is left."""
    if item.is_claimable:
        samples = f"{item.claimable_samples:,} of {counted(item.samples, 'sample')}"
        samples += f", {format_ether(item.amount_wei)}"
    else:
        samples = counted(item.samples, "sample")
    console.print(f"batch {item.batch.id} of {item.model.name}: {samples}, {item.state}")
    assert item.expires_at is not None
    console.print(f"  due {_when(item.due_at, now)}, for everybody {_when(item.expires_at, now)}")


def _points(item: ClaimItem) -> str:
    """What samples can earn: each one point, at the most."""
    return (
        f"up to {counted(item.samples, 'point')}"
        if item.state == "waiting"
        else counted(item.points, "point")
    )


def _claimed(output: Output, done: Claimed, verb: str, max_fee: str | None) -> None:
    """Say what was claimed, and end with an error where `--max-fee` kept something back."""
    kept = [left for left in done.left if left.code == "budget"] if max_fee is not None else []
    if not (kept and output.json):
        _show_claimed(output, done, verb)
    if not kept:
        return
    count, first = len({left.item.place for left in kept}), kept[0]
    batches = counted(count, "batch is", "batches are")
    message = (
        f"{batches} left by --max-fee {max_fee}; batch {first.item.batch.id} of {first.item.model.name}: "
        f"{first.reason}."
    )
    hint = f"Raise --max-fee, or wait until gas is cheaper. See what is due: dcai {output.command}"
    if done.transactions:
        claims = len(done.transactions)
        sent = counted(claims, "claim is", "claims are")
        paid = format_ether(done.amount_wei)
        raise PartlyDone(f"{sent} on-chain, and paid {paid}; {message}", hint=and_goes_on(hint))
    raise LimitExceeded(f"Nothing was claimed: {message}", hint=hint)


def _show_claimed(output: Output, done: Claimed, verb: str) -> None:
    data = {
        f"{verb}_wei": str(done.amount_wei),
        "points": done.points,
        "claimed_samples": done.samples,
        "disagreed_samples": done.disagreed,
        "gas_used": done.gas_used,
        "fee_wei": str(done.fee_wei),
        "transactions": list(done.transactions),
        "left": [_left(left) for left in done.left],
    }

    def human(console: Console) -> None:
        if not done.transactions:
            console.print("Nothing can be claimed now.")
        else:
            got = [f"{verb} {format_ether(done.amount_wei)}"] if done.amount_wei or not done.points else []
            got += [f"earned {counted(done.points, 'point')}"] if done.points else []
            console.print(
                f"{' and '.join(got)} of {counted(done.samples, 'sample')}, fees "
                f"{format_ether(done.fee_wei)} ({done.gas_used:,} gas)"
            )
        if done.disagreed:
            due = counted(done.disagreed, "sample is", "samples are")
            console.print(f"{due} due, but the model's verdict is against claiming them.")
        _show_left(console, done.left)

    output.result(data, human)


_VERDICTS = ("waiting", "disputed", "agreed")
"""Why most things are left: what the list of what is pending says anyway."""


def _left(left: Left) -> dict[str, Any]:
    return {
        "batch_id": left.item.batch.id,
        "model": left.item.model.address,
        "code": left.code,
        "reason": left.reason,
    }


def _show_left(console: Console, left: Sequence[Left]) -> None:
    """What was not claimed for another reason than the model's verdict: how much, and the first of it."""
    by_code: dict[str, list[Left]] = {}
    for one in left:
        if one.code not in _VERDICTS:
            by_code.setdefault(one.code, []).append(one)
    for code, of_code in by_code.items():
        first = of_code[0]
        count = counted(len(of_code), "claim is", "claims are")
        console.print(
            f"{count} left ({code}); batch {first.item.batch.id} of {first.item.model.name}: {first.reason}"
        )
