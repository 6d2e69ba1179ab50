"""dcai contribute: a file's rows into a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion, options
from dcai_cli.cli.output import Output
from dcai_cli.domain import (
    counted,
    format_duration,
    format_ether,
    iso_time,
    parse_amount,
    parse_duration,
    parse_percent,
)
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.contribution.contribute import Contribution
    from dcai_cli.services.contribution.plan import ContributionPlan

SKIPPED_SHOWN = 10
"""Skipped rows listed for people; --json has them all."""

BATCH_SIZE = 100
"""Samples of a batch, if nobody says otherwise."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "contribute",
        epilog="Example: dcai contribute reviews.csv --model reviews --dry-run. Exit codes: 0, 2, 3 "
        "(broke off; the same command again goes on), 10, 11, 12, 13, 14, 15 (bad file), 16 (--max-deposit, "
        "--max-fee, --max-rise, --max-lock or gas_price_wei), 17, 18, 130.",
    )(contribute)


def contribute(
    file: Annotated[Path, typer.Argument(help=f"Rows: {options.DATA}", readable=False)],
    *,
    model: options.Model = None,
    market: Annotated[
        str | None,
        typer.Option(
            help="Take part in a market instead, as dcai market join does: its name or address.",
            autocompletion=completion.markets,
        ),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many rows at most.")] = None,
    batch_size: Annotated[int, typer.Option(help="Samples of a batch at most, 1 to 256.")] = BATCH_SIZE,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Send repeated rows, too.")
    ] = False,
    max_deposit: Annotated[
        str | None, typer.Option(help="Refuse if the deposits can exceed this, for instance 0.5ether.")
    ] = None,
    max_fee: Annotated[
        str | None,
        typer.Option("--max-fee", help="Pay no more than this for the fees of all batches: 0.01ether."),
    ] = None,
    max_rise: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Offer at most so much above a batch's price now, for instance 25: it is refused if others "
            "come first and make it dearer. Batches right behind the first offer the highest price anyway.",
        ),
    ] = None,
    max_lock: Annotated[
        str | None,
        typer.Option(
            "--max-lock",
            help="For a market: refuse if the stake can be bound for longer than this, "
            f"{options.MAX_LOCK} if left out.",
        ),
    ] = None,
    spread: Annotated[
        str | None,
        typer.Option("--spread", help="Send the batches over this time, for instance 24h: each costs less."),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Accept a model whose code dcai does not ship.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but sign.")] = False,
    scheduler: options.Scheduler = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Contribute a file's rows; the same command again finishes what a broken-off one left."""
    from dcai_cli.services.contribution.contribute import contribute as contribute_file
    from dcai_cli.services.contribution.plan import ContributeRequest

    output = Output("contribute", json=json, quiet=quiet, yes=yes)
    if market is not None:
        foreign = {
            "--model": model,
            "--batch-size": None if batch_size == BATCH_SIZE else batch_size,
            "--allow-duplicates": allow_duplicates or None,
            "--max-fee": max_fee,
            "--max-rise": max_rise,
            "--spread": spread,
            "--unverified": unverified or None,
        }
        _join(
            Output("market join", json=json, quiet=quiet, yes=yes),
            {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file},
            foreign,
            file=options.data_source(file, format, encoding),
            market=market,
            account=account,
            text_column=text_column,
            label_column=label_column,
            limit=limit,
            max_stake_wei=None if max_deposit is None else parse_amount(max_deposit),
            max_lock_s=parse_duration(options.MAX_LOCK if max_lock is None else max_lock),
            dry_run=dry_run,
            scheduler=scheduler,
        )
        return
    if max_lock is not None:
        raise UsageError(
            "--max-lock is for contributions to a market, not to a model.",
            hint="Leave it out, or name a --market.",
        )
    request = ContributeRequest(
        file=options.data_source(file, format, encoding),
        model=model,
        account=account,
        text_column=text_column,
        label_column=label_column,
        limit=limit,
        batch_size=batch_size,
        allow_duplicates=allow_duplicates,
        max_deposit_wei=None if max_deposit is None else parse_amount(max_deposit),
        max_fee_wei=None if max_fee is None else parse_amount(max_fee),
        max_rise=None if max_rise is None else parse_percent(max_rise),
        spread_s=0 if spread is None else parse_duration(spread),
        unverified=unverified,
        dry_run=dry_run,
        scheduler=scheduler,
    )

    def confirm(plan: ContributionPlan) -> None:
        if not workspace.chain.is_embedded:
            output.note(f"network   {options.network(workspace)}")
        for line in _plan_lines(plan):
            output.note(line)
        output.ask(f"Send {counted(plan.to_send, 'sample')}?")

    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace, output.progress("contributing") as progress:
        done = contribute_file(
            workspace,
            request,
            password=output.password(workspace.settings),
            confirm=confirm,
            progress=progress,
            note=output.note,
        )
    output.result(_data(done, dry_run=dry_run), lambda console: _show(console, done, dry_run=dry_run))


def _join(output: Output, flags: dict[str, Any], foreign: Mapping[str, object], **wanted: Any) -> None:  # noqa: ANN401
    """Take part in a market: the same as `dcai market join`, whose document it prints.

    Raises:
        UsageError: an option is for contributions to models.
    """
    from dcai_cli.cli.market import joining

    for option, value in foreign.items():
        if value is not None:
            raise UsageError(
                f"{option} is for contributions to a model, not to a market.",
                hint="Leave it out, or --market.",
            )
    joining(output, flags, deployer=None, **wanted)


def _plan_lines(plan: ContributionPlan) -> list[str]:
    lines = [
        f"model     {plan.model.name} ({plan.model.address})",
        f"account   {plan.account.name} ({plan.account.address})",
        f"balance   {format_ether(plan.balance_wei)}",
        f"samples   {_samples_words(plan)}",
        f"          {counted(len(plan.skipped), 'row')} skipped, {plan.already:,} contributed before",
    ]
    lines += [f"          {line}" for line in _finding_lines(plan)]
    if plan.to_send:
        lines += _sending_lines(plan)
    if plan.unfinished:
        what = counted(plan.unfinished, "batch")
        lines.append(f"first     {what} that an earlier run signed: sent again")
    if plan.unfinished and not plan.to_send:
        lines += _most_lines(plan)
    if plan.first_time and plan.to_send:
        lines.append("What is sent is public for ever, and hashed text can be guessed.")
    return lines


def _samples_words(plan: ContributionPlan) -> str:
    rows = counted(plan.rows, "row")
    if not plan.to_send:
        return f"none: nothing in {rows} is new"
    return f"{plan.to_send:,} of {rows} in {counted(plan.batches, 'batch')} or more"


def _sending_lines(plan: ContributionPlan) -> list[str]:
    """What sending takes, and how much of it does not come back."""
    rejected = (
        f"the model would reject {counted(plan.rejected, 'sample')} ({plan.rejected / plan.to_send:.1%}) "
        "after learning all of them"
    )
    lines = []
    if plan.spread is not None:
        lines.append(
            f"spread    over {format_duration(plan.spread.seconds)}: "
            f"{counted(plan.spread.batches, 'batch')}, "
            f"one every {format_duration(plan.spread.interval_s)}"
        )
    if plan.model.has_points:
        wait = format_duration(plan.model.terms.refund_wait_s)
        lines += [
            "points    one for each sample that surprises the model, if the model agrees with it",
            f"          {wait} later; {rejected}",
        ]
    if plan.deposit_at_most_wei or not plan.model.has_points:
        alone = ""
        if plan.spread is not None:
            alone = f"; about {format_ether(plan.spread.deposit_alone_wei)} if nobody else contributes"
        lines += [
            f"deposits  at most {format_ether(plan.deposit_at_most_wei)}{alone}",
            "          back after the refund wait, if the model agrees then",
        ]
        lines += _ceiling_lines(plan)
    data = f", {format_ether(plan.data_fee_wei)} of it for data" if plan.data_fee_wei else ""
    offered, most = format_ether(plan.fee_offer_wei), format_ether(plan.fee_at_most_wei)
    lines += [
        f"fees      about {format_ether(plan.fee_estimate_wei)} now ({plan.gas:,} gas){data}",
        f"          {offered} is offered, {most} at most if gas grows dearer",
    ]
    if not plan.model.has_points:
        total, loss = format_ether(plan.total_at_most_wei), format_ether(plan.loss_wei)
        lines += [
            f"at risk   {format_ether(plan.at_risk_wei)}",
            f"          {rejected}",
            f"total     {total} at most",
            f"          about {loss} of it gone: fees, and what is at risk",
        ]
    return lines


def _ceiling_lines(plan: ContributionPlan) -> list[str]:
    """What the first batch offers, if that is less than the highest price there can be."""
    if plan.ceiling is None:
        return []
    offer, quoted = format_ether(plan.ceiling.offer_wei), format_ether(plan.ceiling.quoted_wei)
    first = "it" if plan.ceiling.samples == plan.to_send else "the first batch"
    return [f"ceiling   {first} would cost {quoted} now, and is refused above {offer}"]


def _most_lines(plan: ContributionPlan) -> list[str]:
    """What batches of an earlier run can still take, where nothing else is sent."""
    return [
        f"deposits  at most {format_ether(plan.deposit_at_most_wei)}",
        f"fees      at most {format_ether(plan.fee_at_most_wei)}",
    ]


def _finding_lines(plan: ContributionPlan) -> list[str]:
    """What is doubtful in the data: how many rows, and the first of them."""
    from dcai_cli.features.findings import KINDS, KINDS_OF_ONE

    lines = []
    for finding in plan.findings:
        if not finding.count:
            continue
        rows = [
            f"{example.row}" if example.other is None else f"{example.row} (as {example.other})"
            for example in finding.examples
        ]
        more = ", ..." if finding.count > len(rows) else ""
        count = counted(finding.count, f"row {KINDS_OF_ONE[finding.kind]}", f"rows {KINDS[finding.kind]}")
        lines.append(f"{count}: {', '.join(rows)}{more}")
    if plan.sorted_by_label:
        lines.append("rows stand sorted by label; a model learns in their order and forgets: shuffle them")
    return lines


def _findings_data(plan: ContributionPlan) -> list[dict[str, Any]]:
    return [
        {
            "kind": finding.kind,
            "count": finding.count,
            "first": [{"row": example.row, "earlier_row": example.other} for example in finding.examples],
        }
        for finding in plan.findings
    ]


def _plan_data(plan: ContributionPlan) -> dict[str, Any]:
    return {
        "samples": plan.to_send,
        "batches": plan.batches,
        "unfinished_batches": plan.unfinished,
        "deposit_at_most_wei": str(plan.deposit_at_most_wei),
        "ceiling": None
        if plan.ceiling is None
        else {
            "samples": plan.ceiling.samples,
            "quoted_wei": str(plan.ceiling.quoted_wei),
            "offer_wei": str(plan.ceiling.offer_wei),
        },
        "spread": None
        if plan.spread is None
        else {
            "seconds": plan.spread.seconds,
            "interval_s": plan.spread.interval_s,
            "batches": plan.spread.batches,
            "deposit_alone_wei": str(plan.spread.deposit_alone_wei),
        },
        "gas": plan.gas,
        "fee_estimate_wei": str(plan.fee_estimate_wei),
        "fee_offer_wei": str(plan.fee_offer_wei),
        "fee_at_most_wei": str(plan.fee_at_most_wei),
        "data_fee_wei": str(plan.data_fee_wei),
        "balance_wei": str(plan.balance_wei),
        "rejected": plan.rejected,
        "at_risk_wei": str(plan.at_risk_wei),
        "loss_wei": str(plan.loss_wei),
        "total_at_most_wei": str(plan.total_at_most_wei),
    }


def _data(done: Contribution, *, dry_run: bool) -> dict[str, Any]:
    return {
        "model": done.plan.model.address,
        "account": done.plan.account.address,
        "dry_run": dry_run,
        "rows": done.plan.rows,
        "contributed": done.contributed,
        "already_contributed": done.plan.already,
        "skipped": [{"row": skip.row, "reason": skip.reason} for skip in done.skipped],
        "findings": _findings_data(done.plan),
        "sorted_by_label": done.plan.sorted_by_label,
        "plan": _plan_data(done.plan),
        "batches": [
            {
                "batch_id": batch.batch_id,
                "samples": batch.samples,
                "informative": batch.informative,
                "deposit_wei": str(batch.deposit_wei),
                "added_at": iso_time(batch.added_at),
                "gas_used": batch.gas_used,
                "fee_wei": str(batch.fee_wei),
                "transaction": batch.transaction,
            }
            for batch in done.batches
        ],
        "deposit_wei": str(sum(batch.deposit_wei for batch in done.batches)),
        "gas_used": sum(batch.gas_used for batch in done.batches),
        "fee_wei": str(sum(batch.fee_wei for batch in done.batches)),
    }


def _show(console: Console, done: Contribution, *, dry_run: bool) -> None:
    for skip in done.skipped[:SKIPPED_SHOWN]:
        console.print(f"skipped row {skip.row}: {skip.reason}", markup=False)
    if len(done.skipped) > SKIPPED_SHOWN:
        console.print(f"... and {len(done.skipped) - SKIPPED_SHOWN} more; --json lists them")
    if dry_run:
        for line in _plan_lines(done.plan):
            console.print(line, markup=False)
        console.print("Nothing was sent.")
        return
    data = _data(done, dry_run=dry_run)
    skipped = counted(len(done.skipped), "row")
    if not done.batches and not done.plan.to_send:
        already = counted(done.plan.already, "row was", "rows were")
        console.print(f"Nothing is new: {already} on-chain before, {skipped} skipped.")
        return
    are = counted(len(done.batches), "batch") + (" is" if done.contributed == 1 else " are")
    console.print(
        f"{counted(done.contributed, 'sample')} in {are} on-chain"
        f" ({done.plan.already:,} were before, {skipped} skipped)."
    )
    model = done.plan.model
    cost = f"fees {format_ether(int(data['fee_wei']))} ({data['gas_used']:,} gas)"
    if model.has_points:
        console.print(f"{done.informative} of them surprised the model and can earn a point; {cost}")
    else:
        console.print(f"deposits {format_ether(int(data['deposit_wei']))}, {cost}")
    if done.batches and (done.informative or not model.has_points):
        wait_s = done.batches[0].added_at + model.terms.refund_wait_s - done.batches[-1].added_at
        when = f"in {format_duration(wait_s)}" if wait_s > 0 else "now"
        what = "Earn the points" if model.has_points else "Take the deposits back"
        console.print(f"{what} {when}: dcai refunds --claim")
