"""dcai contribute: a file's rows into a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output
from dcai_cli.domain import format_duration, format_ether, iso_time, parse_amount, parse_duration

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.contribute import Contribution, ContributionPlan

SKIPPED_SHOWN = 10
"""Skipped rows listed for people; --json has them all."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "contribute",
        epilog="Example: dcai contribute reviews.csv --model reviews --dry-run. Exit codes: 0, 2, 3 "
        "(broke off; the same command again goes on), 10, 11, 12, 13, 14, 15 (bad file), 16 (--max-deposit), "
        "17, 18, 130.",
    )(contribute)


def contribute(
    file: Annotated[Path, typer.Argument(help=f"Rows: {options.DATA}", readable=False)],
    *,
    model: options.Model = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many rows at most.")] = None,
    batch_size: Annotated[int, typer.Option(help="Samples of a batch at most, 1 to 256.")] = 100,
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
    from dcai_cli.services.contribute import ContributeRequest
    from dcai_cli.services.contribute import contribute as contribute_file

    output = Output("contribute", json=json, quiet=quiet, yes=yes)
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
        output.ask(f"Send {plan.to_send} samples?")

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


def _plan_lines(plan: ContributionPlan) -> list[str]:
    rejected = (
        f"the model would reject {plan.rejected} samples ({plan.rejected / max(1, plan.to_send):.1%}) "
        "after learning all of them"
    )
    lines = [
        f"model     {plan.model.name} ({plan.model.address})",
        f"account   {plan.account.name} ({plan.account.address})",
        f"balance   {format_ether(plan.balance_wei)}",
        f"samples   {plan.to_send} of {plan.rows} rows in {plan.batches} or more batches",
        f"          {len(plan.skipped)} rows skipped, {plan.already} contributed before",
    ]
    lines += [f"          {line}" for line in _finding_lines(plan)]
    if plan.model.has_points:
        wait = format_duration(plan.model.terms.refund_wait_s)
        lines += [
            "points    one for each sample that teaches the model something, if the model agrees with it",
            f"          {wait} later; {rejected}",
        ]
    if plan.deposit_at_most_wei or not plan.model.has_points:
        lines += [
            f"deposits  at most {format_ether(plan.deposit_at_most_wei)}",
            "          back after the refund wait, if the model agrees then",
        ]
    data = f", {format_ether(plan.data_fee_wei)} of it for data" if plan.data_fee_wei else ""
    lines.append(f"fees      about {format_ether(plan.fee_estimate_wei)} at most{data}")
    if not plan.model.has_points:
        lines += [f"at risk   {format_ether(plan.at_risk_wei)}", f"          {rejected}"]
    if plan.unfinished:
        lines.append(f"first     {plan.unfinished} batches that an earlier run signed are sent again")
    if plan.first_time:
        lines.append("What is sent is public for ever, and hashed text can be guessed.")
    return lines


def _finding_lines(plan: ContributionPlan) -> list[str]:
    """What is doubtful in the data: how many rows, and the first of them."""
    from dcai_cli.features.findings import KINDS

    lines = []
    for finding in plan.findings:
        if not finding.count:
            continue
        rows = [
            f"{example.row}" if example.other is None else f"{example.row} (as {example.other})"
            for example in finding.examples
        ]
        more = ", ..." if finding.count > len(rows) else ""
        lines.append(f"{finding.count} rows {KINDS[finding.kind]}: {', '.join(rows)}{more}")
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
        "fee_estimate_wei": str(plan.fee_estimate_wei),
        "data_fee_wei": str(plan.data_fee_wei),
        "balance_wei": str(plan.balance_wei),
        "rejected": plan.rejected,
        "at_risk_wei": str(plan.at_risk_wei),
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
    console.print(
        f"{done.contributed} samples in {len(done.batches)} batches are on-chain"
        f" ({done.plan.already} were before, {len(done.skipped)} rows skipped)."
    )
    model = done.plan.model
    cost = f"fees {format_ether(int(data['fee_wei']))} ({data['gas_used']:,} gas)"
    if model.has_points:
        console.print(f"{done.informative} of them taught the model something and can earn a point; {cost}")
    else:
        console.print(f"deposits {format_ether(int(data['deposit_wei']))}, {cost}")
    if done.batches and (done.informative or not model.has_points):
        wait_s = done.batches[0].added_at + model.terms.refund_wait_s - done.batches[-1].added_at
        when = f"in {format_duration(wait_s)}" if wait_s > 0 else "now"
        what = "Earn the points" if model.has_points else "Take the deposits back"
        console.print(f"{what} {when}: dcai refunds --claim")
