"""dcai alone: where you stand, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dcai_cli.cli import options
from dcai_cli.cli.output import Output, describe_error, print_error, shortened
from dcai_cli.domain import counted, format_duration, format_ether, iso_time

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.ledger import OpenSum
    from dcai_cli.services.standing import Standing


def show_standing(*, network: str | None = None, json: bool) -> int:
    """Show network, account, balance, model, refunds and daemon, and what to type next.

    Args:
        network: the name of the network to look at; the one in use if None.
        json: one JSON document instead of text.

    Returns:
        The exit code: 0, or that of what kept the chain from being asked.
    """
    from dcai_cli.services.standing import where_you_stand

    with options.open_workspace(network=network) as workspace:
        standing = where_you_stand(workspace)
    Output("", json=json).result(_data(standing), lambda console: _show(console, standing))
    if standing.problem is None:
        return 0
    print_error(standing.problem, command="", as_json=False)
    return standing.problem.exit_code


def _data(standing: Standing) -> dict[str, Any]:
    problem = standing.problem
    return {
        "problem": None if problem is None else describe_error(problem),
        "network": standing.network,
        "chain_id": standing.chain_id,
        "chain_time": None if standing.chain_time is None else iso_time(standing.chain_time),
        "account": standing.account,
        "address": standing.address,
        "accounts": list(standing.accounts),
        "balance_wei": None if standing.balance_wei is None else str(standing.balance_wei),
        "model": standing.model,
        "model_address": standing.model_address,
        "models": list(standing.models),
        "due": _sum(standing.due),
        "waiting": _sum(standing.waiting),
        "next_due_at": None if standing.next_due_at is None else iso_time(standing.next_due_at),
        "claimable_at": None if standing.claimable_at is None else iso_time(standing.claimable_at),
        "on_their_way": standing.on_their_way,
        "daemon_running": standing.daemon_pid is not None,
        "daemon_pid": standing.daemon_pid,
        "next": [{"command": step.command, "why": step.why} for step in standing.steps],
    }


def _sum(found: OpenSum | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"batches": found.batches, "samples": found.samples, "amount_wei": str(found.amount_wei)}


def _show(console: Console, standing: Standing) -> None:
    chain = "" if standing.chain_id is None else f", chain id {standing.chain_id}"
    console.print(f"network  {standing.network}{chain}")
    console.print(f"account  {_account(standing)}")
    if standing.balance_wei is not None:
        console.print(f"balance  {format_ether(standing.balance_wei)}")
    if standing.chain_id is not None:
        console.print(f"model    {_model(standing)}")
        for line in _refunds(standing):
            console.print(line)
        running = "not running" if standing.daemon_pid is None else f"running, pid {standing.daemon_pid}"
        console.print(f"daemon   {running}")
    for number, step in enumerate(standing.steps):
        console.print(f"{'next' if number == 0 else 'or':9}{step.command}")
        console.print(f"         {step.why}")


def _account(standing: Standing) -> str:
    if standing.account is None:
        return f"one of {', '.join(standing.accounts)}" if standing.accounts else "none yet"
    address = "" if standing.address is None else f", {shortened(standing.address)}"
    return f"{standing.account}{address}"


def _model(standing: Standing) -> str:
    if standing.model is not None and standing.model_address is not None:
        return f"{standing.model}, {shortened(standing.model_address)}"
    return f"one of {', '.join(standing.models)}" if standing.models else "none is known yet"


def _refunds(standing: Standing) -> list[str]:
    due, waiting = standing.due, standing.waiting
    if due is None or waiting is None or not due.batches + waiting.batches:
        return ["refunds  none is pending"]
    lines = []
    now = standing.chain_time or 0
    if due.batches:
        lines.append(f"refunds  due: {_worth(due)}")
    if due.batches and (standing.claimable_at or now + 1) > now:
        lines.append("         the model rejects all of it now")
        if standing.claimable_at is not None:
            lines.append(f"         claimable anyway in {format_duration(standing.claimable_at - now)}")
    if waiting.batches:
        lines.append(f"{'' if lines else 'refunds':9}waiting: {_worth(waiting)}")
    if standing.next_due_at is not None:
        lines.append(f"         next in {format_duration(standing.next_due_at - now)}")
    return lines


def _worth(found: OpenSum) -> str:
    """What some batches come to: their deposits, or, where there are points, their samples."""
    worth = format_ether(found.amount_wei) if found.amount_wei else counted(found.samples, "sample")
    return f"{worth} in {found.batches:,} {'batch' if found.batches == 1 else 'batches'}"
