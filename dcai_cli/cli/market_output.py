"""Markets as documents and as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion
from dcai_cli.cli.output import shortened
from dcai_cli.domain import counted, format_duration, format_ether, iso_time
from dcai_cli.errors import as_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from dcai_cli.chain.market import MarketRules
    from dcai_cli.services.markets.market import Market, Participant
    from dcai_cli.services.markets.work import Task, Worked, WorkPlan

Deployer = Annotated[
    str | None,
    typer.Option(
        "--deployer",
        help="Address of the deployer of the factory, where it is not the usual one; remembered "
        "for this chain.",
    ),
]
Which = Annotated[
    str | None,
    typer.Argument(
        metavar="[MARKET]",
        help="Name, PROVIDER/NAME or address; yours if left out.",
        autocompletion=completion.markets,
    ),
]


def rules_data(rules: MarketRules) -> dict[str, Any]:
    """What holds in a market."""
    return {
        "pieces": len(rules.pieces),
        "piece_samples": rules.piece_samples,
        "orders": rules.orders,
        "max_units": rules.max_units,
        "max_units_each": rules.max_units_each,
        "rounds": rules.rounds,
        "open_s": rules.open_s,
        "participate_s": rules.participate_s,
        "reveal_s": rules.reveal_s,
        "tests_s": rules.tests_s,
        "collect_s": rules.collect_s,
        "bounty_wei": str(rules.bounty_wei),
        "stake_wei": str(rules.stake_wei),
        "step_fee_wei": str(rules.step_fee_wei),
    }


def market_data(market: Market) -> dict[str, Any]:
    """A market as it is now."""
    from dcai_cli.services.markets.market import what_next

    comes = what_next(market)
    return {
        "name": market.name,
        "address": market.address,
        "provider": market.provider,
        "model": market.model.address,
        "stage": market.stage,
        "missed": market.is_missed,
        "deadline": None if market.deadline is None else iso_time(market.deadline),
        "draw_block": market.draw_block,
        "pieces_shown": market.revealed,
        "units_taken": market.units_taken,
        "orders_scored": market.orders_scored,
        "left_wei": str(market.left_wei),
        "left_from": iso_time(market.left_from) if market.left_from else None,
        "rules": rules_data(market.rules),
        "participants": [_participant_data(one) for one in market.participants],
        "next": {
            "who": comes.who,
            "what": comes.what,
            "command": comes.command or None,
            "until": None if comes.until is None else iso_time(comes.until),
        },
    }


def _participant_data(one: Participant) -> dict[str, Any]:
    return {
        "address": one.address,
        "stake_wei": str(one.stake_wei),
        "units": one.units,
        "samples": one.samples,
        "score": one.score,
        "removed": one.removed,
        "owed_wei": str(one.owed_wei),
    }


def show_market(console: Console, market: Market, names: Mapping[str, str]) -> None:
    """A market for people.

    Args:
        console: where.
        market: the market.
        names: of this user's accounts, by their addresses in small letters.
    """
    from dcai_cli.services.markets.market import what_next

    rules, comes = market.rules, what_next(market)
    console.print(f"{market.name}, a market of {_named(market.provider, names)}: {market.stage}")
    console.print(f"  address   {market.address}")
    labels = ", ".join(map(as_word, market.model.spec.labels))
    console.print(f"  model     {labels}; {market.model.params.n_features:,} features")
    console.print(
        f"  bounty    {format_ether(rules.bounty_wei)}; a test sample more is worth up to "
        f"{format_ether(rules.test_wei)}"
    )
    console.print(f"  tests     {rules.tests} samples; {market.revealed} of {len(rules.pieces)} pieces shown")
    console.print(
        f"  taken     {market.units_taken:,} of {rules.max_units:,} units; the next costs "
        f"{format_ether(rules.quote(1, market.units_taken)) if market.units_left else 'nothing: it is full'}"
    )
    if market.phase == "evaluating":
        console.print(
            f"  scoring   order {market.orders_scored + 1} of {rules.orders}; {market.cursor} of "
            f"{counted(market.samples, 'sample')}"
        )
    for one in market.participants:
        console.print(f"  {_participant_line(one, names, rules.orders)}")
    if market.left_wei:
        console.print(f"  left      {format_ether(market.left_wei)} of bounty and reserve")
    until = ""
    if comes.until is not None:
        until = f", within {format_duration(max(0, comes.until - market.now))}"
    console.print(f"  next      {comes.who}: {comes.what}{until}")
    if comes.command:
        console.print(f"            {comes.command}")


def _named(address: str, names: Mapping[str, str]) -> str:
    return names.get(address.lower()) or shortened(address)


def _participant_line(one: Participant, names: Mapping[str, str], orders: int) -> str:
    shown = f"{one.samples} shown" if one.samples else "not shown"
    removed = ", removed" if one.removed else ""
    owed = f", is owed {format_ether(one.owed_wei)}" if one.owed_wei else ""
    return (
        f"{_named(one.address, names)}: {counted(one.units, 'unit')} for {format_ether(one.stake_wei)}, "
        f"{shown}, score {one.score / orders:+g}{removed}{owed}"
    )


def plan_lines(plan: WorkPlan) -> list[str]:
    """What is to be done in markets."""
    lines = [f"account   {plan.account.name} ({plan.account.address})"]
    for task in plan.tasks:
        for move in task.moves:
            pays = f"; pays {format_ether(move.pays_wei)}" if move.pays_wei else ""
            lines.append(f"{task.market.name}: {move.what}{pays}")
    cost = plan.cost
    lines.append(
        f"fees      up to {format_ether(cost.fee_wei)} (about {cost.gas:,} gas); the balance is "
        f"{format_ether(cost.balance_wei)}"
    )
    return lines


def work_data(done: Worked, *, dry_run: bool) -> dict[str, Any]:
    """What was done in markets."""
    return {
        "account": done.plan.account.address,
        "dry_run": dry_run,
        "plan": [
            {
                "market": task.market.address,
                "move": move.name,
                "what": move.what,
                "gas": move.gas,
                "pays_wei": str(move.pays_wei),
            }
            for task in done.plan.tasks
            for move in task.moves
        ],
        "moves": [
            {
                "market": one.market,
                "move": one.move.name,
                "what": one.move.what,
                "transaction": one.sent.hash,
                "gas_used": one.sent.gas_used,
                "fee_wei": str(one.sent.fee_wei),
            }
            for one in done.made
        ],
        "paid_wei": str(done.paid_wei),
        "fee_wei": str(done.fee_wei),
        "markets": [{**market_data(task.market), "blocks_to_draw": task.blocks} for task in done.after],
    }


def show_work(console: Console, done: Worked, *, dry_run: bool) -> None:
    """The same for people."""
    if dry_run:
        for line in plan_lines(done.plan):
            console.print(line)
        console.print("Nothing was sent.")
        return
    names = {task.market.address: task.market.name for task in done.after}
    for one in done.made:
        console.print(f"{names[one.market]}: {one.move.what}: done, {one.sent.gas_used:,} gas")
    if done.made:
        paid = f"paid {format_ether(done.paid_wei)}, " if done.paid_wei else ""
        console.print(f"{paid}fees {format_ether(done.fee_wei)}")
    for task in done.after:
        _show_after(console, task, done)


def _show_after(console: Console, task: Task, done: Worked) -> None:
    from dcai_cli.services.markets.market import what_next

    market = task.market
    if task.blocks:
        console.print(
            f"{market.name}: the draw comes in {counted(task.blocks, 'block')}; type the same then."
        )
        return
    comes = what_next(market)
    nothing = "" if any(one.market == market.address for one in done.made) else "nothing to do now; "
    until = ""
    if comes.until is not None:
        until = f", within {format_duration(max(0, comes.until - market.now))}"
    command = f": {comes.command}" if comes.command else ""
    console.print(f"{market.name}: {nothing}next, {comes.who}: {comes.what}{until}{command}")
