"""dcai market: take part in prediction markets for data, and see what is to be done in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion, market_create, market_simulate, options
from dcai_cli.cli.market_output import (
    Deployer,
    Which,
    market_data,
    plan_lines,
    show_market,
    show_work,
    work_data,
)
from dcai_cli.cli.output import Output
from dcai_cli.domain import counted, format_duration, format_ether, iso_time, parse_amount, parse_duration

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.console import Console

    from dcai_cli.services.markets.join import Joined, JoinPlan
    from dcai_cli.services.markets.work import WorkPlan

app = typer.Typer(help="Offer bounties for data, and earn them.", no_args_is_help=True)
market_create.register(app)
market_simulate.register(app)

SKIPPED_SHOWN = 10
"""Skipped rows listed for people; --json has them all."""

_CODES = (
    "Exit codes: 0, 1, 2, 3 (broke off; the same command again goes on), 10, 11, 12, 13, 14, 15, 17, 18, 130."
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything but sign.")]
MaxStake = Annotated[
    str | None,
    typer.Option("--max-stake", help="Refuse if the stake can exceed this, for instance 0.5ether."),
]
MaxLock = Annotated[
    str,
    typer.Option("--max-lock", help="Refuse if the stake can be bound for longer than this."),
]


@app.command(
    "join",
    epilog="Example: dcai market join bounty reviews.csv --limit 20 --dry-run. Exit codes: 0, 1 (not the "
    "time), 2, 10, 11, 12, 13, 14, 15 (bad file), 16 (--max-stake, --max-lock), 17, 18.",
)
def join(
    market: Annotated[
        str, typer.Argument(help="Name, PROVIDER/NAME or address.", autocompletion=completion.markets)
    ],
    file: Annotated[Path, typer.Argument(help=f"Rows: {options.DATA}", readable=False)],
    *,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many rows at most.")] = None,
    max_stake: MaxStake = None,
    max_lock: MaxLock = options.MAX_LOCK,
    dry_run: DryRun = False,
    scheduler: options.Scheduler = None,
    deployer: Deployer = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take part in a market: stake on a file's rows, which nobody sees until they are revealed."""
    output = Output("market join", json=json, quiet=quiet, yes=yes)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    joining(
        output,
        flags,
        deployer=deployer,
        file=options.data_source(file, format, encoding),
        market=market,
        account=account,
        text_column=text_column,
        label_column=label_column,
        limit=limit,
        max_stake_wei=None if max_stake is None else parse_amount(max_stake),
        max_lock_s=parse_duration(max_lock),
        dry_run=dry_run,
        scheduler=scheduler,
    )


def joining(output: Output, flags: dict[str, Any], *, deployer: str | None, **wanted: Any) -> None:  # noqa: ANN401
    """Take part in a market; `dcai contribute --market` does so, too.

    Args:
        output: of the command.
        flags: of the workspace.
        deployer: of the factory, if it was typed.
        wanted: the fields of `JoinRequest`.
    """
    from dcai_cli.services.markets.factory import use_deployer
    from dcai_cli.services.markets.join import JoinRequest, join_market

    request = JoinRequest(**wanted)

    def confirm(plan: JoinPlan) -> None:
        if not workspace.chain.is_embedded:
            output.note(f"network   {options.network(workspace)}")
        for line in _join_lines(plan):
            output.note(line)
        output.ask(
            f"Stake up to {format_ether(plan.stake_at_most_wei)} on {counted(plan.samples, 'sample')}?"
        )

    with options.open_workspace(**flags) as workspace:
        if deployer is not None:
            use_deployer(workspace, deployer)
        done = join_market(
            workspace,
            request,
            password=output.password(workspace.settings),
            confirm=confirm,
            note=output.note,
        )
    output.result(
        _join_data(done, dry_run=request.dry_run),
        lambda console: _show_joined(console, done, dry_run=request.dry_run),
    )


def _join_lines(plan: JoinPlan) -> list[str]:
    from dcai_cli.services.markets.join import warnings_of

    market = plan.market
    rules = market.rules
    tried = plan.forecast
    forecast = "unknown: the node does not have the piece that was shown"
    if tried is not None:
        forecast = (
            f"of the {counted(tried.samples, 'test sample')} shown the model gets {tried.before} right, and "
            f"{tried.after} after these rows alone; the others are hidden"
        )
    return [
        f"market    {market.name} ({market.address}) of {market.provider}",
        f"account   {plan.account.name} ({plan.account.address})",
        f"balance   {format_ether(plan.cost.balance_wei)}",
        (
            f"samples   {plan.samples:,} of {counted(plan.rows, 'row')}, {counted(plan.units, 'unit')}; "
            f"{counted(len(plan.skipped), 'row')} skipped, {plan.repeated:,} repeated"
        ),
        (
            f"bounty    {format_ether(rules.bounty_wei)}; a test sample more is worth up to "
            f"{format_ether(plan.test_wei)}"
        ),
        (
            f"stake     {format_ether(plan.stake_wei)} now, {format_ether(plan.stake_at_most_wei)} at most "
            "if others are faster; the rest comes back at once"
        ),
        (
            f"locked    until {iso_time(plan.locked_until)} ({format_duration(plan.locked_s)}) at the latest "
            "by the rules, and until the steps after that are taken"
        ),
        f"fees      up to {format_ether(plan.cost.fee_wei)} (about {plan.cost.gas:,} gas), and to reveal",
        f"forecast  {forecast}",
        *warnings_of(plan),
    ]


def _join_data(done: Joined, *, dry_run: bool) -> dict[str, Any]:
    plan, tried = done.plan, done.plan.forecast
    return {
        "market": market_data(plan.market),
        "account": plan.account.address,
        "dry_run": dry_run,
        "rows": plan.rows,
        "samples": plan.samples,
        "units": plan.units,
        "payload_bytes": plan.payload_bytes,
        "skipped": [{"row": skip.row, "reason": skip.reason} for skip in plan.skipped],
        "repeated": plan.repeated,
        "stake_now_wei": str(plan.stake_wei),
        "stake_at_most_wei": str(plan.stake_at_most_wei),
        "test_wei": str(plan.test_wei),
        "locked_until": iso_time(plan.locked_until),
        "locked_s": plan.locked_s,
        "step_gas_wei": str(plan.step_gas_wei),
        "shown_samples": None if tried is None else tried.samples,
        "shown_right": None if tried is None else tried.before,
        "shown_right_after": None if tried is None else tried.after,
        "fee_at_most_wei": str(plan.cost.fee_wei),
        "balance_wei": str(plan.cost.balance_wei),
        "stake_wei": str(done.stake_wei),
        "transaction": None if done.sent is None else done.sent.hash,
        "gas_used": 0 if done.sent is None else done.sent.gas_used,
        "fee_wei": str(0 if done.sent is None else done.sent.fee_wei),
    }


def _show_joined(console: Console, done: Joined, *, dry_run: bool) -> None:
    plan = done.plan
    for skip in plan.skipped[:SKIPPED_SHOWN]:
        console.print(f"skipped row {skip.row}: {skip.reason}")
    if len(plan.skipped) > SKIPPED_SHOWN:
        console.print(f"... and {len(plan.skipped) - SKIPPED_SHOWN} more; --json lists them")
    if dry_run:
        for line in _join_lines(plan):
            console.print(line)
        console.print("Nothing was sent.")
        return
    before = " before" if done.sent is None else ""
    console.print(
        f"{plan.account.name} staked {format_ether(done.stake_wei)}{before} on "
        f"{counted(plan.samples, 'sample')} in {plan.market.name}."
    )
    market = plan.market
    console.print(
        f"Reveal them from {iso_time(market.participate_until)} to {iso_time(market.reveal_until)}, or the "
        f"stake is burned: dcai market reveal {market.address}"
    )
    console.print("A daemon does it in time: dcai daemon run")


@app.command("reveal", epilog=f"Example: dcai market reveal --yes. {_CODES}")
def reveal(
    market: Which = None,
    *,
    dry_run: DryRun = False,
    deployer: Deployer = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what you have to show now: samples that you staked on, or pieces of your test set."""
    from dcai_cli.services.markets.moves import SHOWING

    _work(
        Output("market reveal", json=json, quiet=quiet, yes=yes),
        SHOWING,
        {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file},
        market=market,
        account=account,
        deployer=deployer,
        dry_run=dry_run,
    )


@app.command("step", epilog=f"Example: dcai market step --yes. {_CODES}")
def step(
    market: Which = None,
    *,
    min_profit: Annotated[
        str | None,
        typer.Option(
            "--min-profit", help="Stop where a step does not earn so much above its gas: 0.001ether."
        ),
    ] = None,
    dry_run: DryRun = False,
    deployer: Deployer = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take a market on, for a fee: draw the orders, score, train and publish, a step after the other."""
    from dcai_cli.services.markets.moves import STEPS

    _work(
        Output("market step", json=json, quiet=quiet, yes=yes),
        STEPS,
        {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file},
        market=market,
        account=account,
        deployer=deployer,
        dry_run=dry_run,
        min_profit_wei=None if min_profit is None else parse_amount(min_profit),
    )


@app.command("collect", epilog=f"Example: dcai market collect --yes. {_CODES}")
def collect(
    market: Which = None,
    *,
    dry_run: DryRun = False,
    deployer: Deployer = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Collect what a market owes you; end it first if its provider missed a deadline."""
    from dcai_cli.services.markets.moves import COLLECTING

    _work(
        Output("market collect", json=json, quiet=quiet, yes=yes),
        COLLECTING,
        {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file},
        market=market,
        account=account,
        deployer=deployer,
        dry_run=dry_run,
    )


def _work(
    output: Output,
    names: Collection[str],
    flags: dict[str, Any],
    *,
    market: str | None,
    account: str | None,
    deployer: str | None,
    dry_run: bool,
    min_profit_wei: int | None = None,
) -> None:
    from dcai_cli.services.markets.factory import use_deployer
    from dcai_cli.services.markets.work import work_in_markets

    def confirm(plan: WorkPlan) -> None:
        if not workspace.chain.is_embedded:
            output.note(f"network   {options.network(workspace)}")
        for line in plan_lines(plan):
            output.note(line)
        output.ask("Go on?")

    with options.open_workspace(**flags) as workspace:
        if deployer is not None:
            use_deployer(workspace, deployer)
        done = work_in_markets(
            workspace,
            names,
            market=market,
            account=account,
            password=output.password(workspace.settings),
            confirm=confirm,
            progress=output.note,
            min_profit_wei=min_profit_wei,
            dry_run=dry_run,
        )
    output.result(work_data(done, dry_run=dry_run), lambda console: show_work(console, done, dry_run=dry_run))


@app.command("status", epilog="Example: dcai market status bounty. Exit codes: 0, 2, 13, 15, 17, 18.")
def status(
    market: Annotated[
        str | None,
        typer.Argument(
            metavar="[MARKET]",
            help="Name, PROVIDER/NAME or address; all if left out.",
            autocompletion=completion.markets,
        ),
    ] = None,
    *,
    deployer: Deployer = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    json: options.Json = False,
) -> None:
    """Show markets: phase, deadlines, participants, scores, amounts, and what comes next."""
    from dcai_cli.services.markets.factory import use_deployer
    from dcai_cli.services.markets.market import all_markets, found_market, read_market

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        if deployer is not None:
            use_deployer(workspace, deployer)
        if market is None:
            found = all_markets(workspace)
        else:
            found = [read_market(workspace.chain, found_market(workspace, market, account))]
        names = {one.address.lower(): one.name for one in workspace.keystore.list() if one.address}

    def human(console: Console) -> None:
        for one in found:
            show_market(console, one, names)
        if not found:
            console.print("There is no market on this chain.")

    Output("market status", json=json).result({"markets": [market_data(one) for one in found]}, human)
