"""What the daemon does in markets of its own accord: shows in time, and takes what pays.

What is not shown in time is burned. So that goes before everything else, whatever the day's budget, with all
that must be done before it can be shown; near its deadline it may cost as much as is at stake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import FeesAboveCeiling
from dcai_cli.domain import format_ether
from dcai_cli.errors import DcaiError, Interrupted, Locked, RpcUnreachable
from dcai_cli.services.accounts import ActingAccount, Password, unlock
from dcai_cli.services.claims.items import ClaimPolicy
from dcai_cli.services.markets.market import Market, is_made, read_market, verified
from dcai_cli.services.markets.moves import (
    COLLECTING,
    SHOWING,
    STEPS,
    Made,
    Move,
    make_move,
    moves_now,
    wait_for_draw,
)
from dcai_cli.services.markets.work import close_if_over, paid_wei
from dcai_cli.services.transactions import GAS_MARGIN_PERCENT, Outbox, recover

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace

ALL = (*SHOWING, *STEPS, *COLLECTING)

_BEFORE_OTHERS = ("draw", "order", "again")
"""Moves that pay little or nothing, and without which nothing goes on."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done in a market, and why no more.

    Args:
        address: of the market.
        name: its name.
        stage: where it stands now.
        moves: the names of the moves that were made.
        paid_wei: what they paid.
        next_moment: when something has to be done next, by the chain's clock; None if no time matters.
        code: why the first move that was left was: fee-ceiling, unprofitable or budget; empty if none was.
        reason: the same in words.
    """

    address: str
    name: str
    stage: str
    moves: tuple[str, ...] = ()
    paid_wei: int = 0
    next_moment: int | None = None
    code: str = ""
    reason: str = ""


def tend_markets(
    workspace: Workspace,
    account: ActingAccount,
    *,
    password: Password,
    policy: ClaimPolicy,
    go_on: Callable[[], None] = lambda: None,
) -> tuple[Tended, ...]:
    """Do what there is to do in all markets that an account takes part in.

    Args:
        workspace: the opened parts.
        account: who takes part.
        password: asked for the account's password if there is something to do.
        policy: what is worth it.
        go_on: called between two transactions; raises to stop.

    Raises:
        DcaiError: the first that went wrong in a market; the others were looked after all the same.
    """
    chain = workspace.chain
    addresses = workspace.ledger.markets(chain.key, account.address, closed=False)
    if not addresses:
        return ()
    tended: list[Tended] = []
    first_error: DcaiError | None = None
    with workspace.sending(account.address):
        recovered = recover(workspace, account.address)
        refused = [stored for stored, _ in recovered.refused]
        outbox = Outbox(workspace, account.address, over=refused)
        outbox.flying.extend(stored for stored in recovered.flying if stored not in refused)
        for address in addresses:
            if not is_made(workspace, address):
                continue  # one that was to be made, and never was
            try:
                verified(workspace, address)
                tended.append(_Tending(workspace, account, password, policy, go_on, outbox).run(address))
            except (Locked, RpcUnreachable, Interrupted):
                raise
            except DcaiError as error:
                first_error = first_error or error
    if first_error is not None:
        raise first_error
    return tuple(tended)


@dataclass(frozen=True, slots=True)
class _Tending:
    """One account's work in a market."""

    workspace: Workspace
    account: ActingAccount
    password: Password
    policy: ClaimPolicy
    go_on: Callable[[], None]
    outbox: Outbox

    def run(self, address: str) -> Tended:
        """Make one move after the other, until none is left that is worth it."""
        workspace, made = self.workspace, list[Made]()
        while True:
            market = read_market(workspace.chain, address)
            if wait_for_draw(workspace, market, ALL):
                market = read_market(workspace.chain, address)
            move, left = self._first_worth_it(market)
            if move is None:
                break
            self.go_on()
            self.outbox.key = unlock(workspace, self.account, self.password)
            made.append(make_move(workspace, self.outbox, market, move, self.outbox.key))
        is_over = close_if_over(workspace, market, self.account.address)
        return Tended(
            address=address,
            name=market.name,
            stage=market.stage,
            moves=tuple(one.move.name for one in made),
            paid_wei=paid_wei(workspace, made, self.account.address),
            next_moment=None if is_over else market.next_moment,
            code=left[0],
            reason=left[1],
        )

    def _first_worth_it(self, market: Market) -> tuple[Move | None, tuple[str, str]]:
        """The first move that is made now, past those that are not and what has to wait for them.

        Returns:
            The move, None if there is none; and why the first that was left was: code and words.
        """
        refused, first = set[str](), ("", "")
        for move in moves_now(self.workspace, market, self.account.address, ALL):
            if refused.intersection(move.after):
                continue
            refusal = self._refusal(market, move)
            if refusal is None:
                return move, first
            refused.add(move.name)
            first = first if first[0] else refusal
        return None, first

    def _refusal(self, market: Market, move: Move) -> tuple[str, str] | None:
        """Why a move is not made now: code and words; None if it is, and then its ceiling is set."""
        chain, policy = self.workspace.chain, self.policy
        ceiling_wei = policy.max_fee_per_gas_wei
        must = move.at_stake_wei > 0
        data_fee_wei = move.data_fee_wei(chain)
        if must:
            ceiling_wei = self._worth(market, move, data_fee_wei)
        elif move.name not in _BEFORE_OTHERS:
            most_wei = max(0, move.pays_wei - policy.min_profit_wei - data_fee_wei) // move.gas
            ceiling_wei = most_wei if ceiling_wei is None else min(ceiling_wei, most_wei)
        try:
            fees = chain.fees(ceiling_wei)
        except FeesAboveCeiling as error:
            is_dear = policy.max_fee_per_gas_wei is not None and ceiling_wei == policy.max_fee_per_gas_wei
            return "fee-ceiling" if must or is_dear else "unprofitable", error.message
        fee_wei = move.gas * fees.likely_price_wei + data_fee_wei
        if not must and move.name not in _BEFORE_OTHERS and move.pays_wei - fee_wei < policy.min_profit_wei:
            words = f"it would pay {format_ether(move.pays_wei)} for about {format_ether(fee_wei)} of fees"
            return "unprofitable", words
        if not must and policy.budget_wei is not None:
            left_wei = max(0, policy.budget_wei - self.outbox.committed_wei)
            most_wei = chain.gas_limit(move.gas, GAS_MARGIN_PERCENT) * fees.max_fee_per_gas_wei + data_fee_wei
            if most_wei > left_wei:
                words = f"its fee of about {format_ether(fee_wei)} would exceed what is left of the budget"
                return "budget", f"{words}: {format_ether(left_wei)}"
        self.outbox.ceiling_wei = ceiling_wei
        return None

    def _worth(self, market: Market, move: Move, data_fee_wei: int) -> int:
        """What a unit of gas may cost for what must be shown: near its deadline, all that is at stake."""
        policy, most_wei = self.policy, max(0, move.at_stake_wei - data_fee_wei) // move.gas
        margin_s = policy.deadline_margin_s or 0
        is_urgent = move.until is not None and market.now >= move.until - margin_s
        if is_urgent or policy.max_fee_per_gas_wei is None:
            return most_wei
        return min(policy.max_fee_per_gas_wei, most_wei)


def soonest(tended: tuple[Tended, ...], now: int) -> int | None:
    """When something has to be done next in one of some markets; None if no time matters."""
    moments = [one.next_moment for one in tended if one.next_moment is not None and one.next_moment > now]
    return min(moments, default=None)
