"""What the commands `reveal`, `step` and `collect` do in markets, and the daemon of its own accord."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.factory import MARKET
from dcai_cli.domain import counted
from dcai_cli.errors import DcaiError, PartlyDone, UsageError, and_goes_on
from dcai_cli.ledger.fold import UNSETTLED
from dcai_cli.services.accounts import ActingAccount, Password, acting_account, unlock
from dcai_cli.services.cost import Cost
from dcai_cli.services.markets.market import ENDED, Market, found_market, known_markets, read_market
from dcai_cli.services.markets.moves import (
    Made,
    Move,
    blocks_to_draw,
    make_all,
    moves_now,
)
from dcai_cli.services.settling import recheck
from dcai_cli.services.transactions import Outbox, finish, settle_mined

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Task:
    """What an account has to do in a market, as far as it can be seen now.

    Args:
        market: the market.
        moves: what can be done now and right after that; none if nothing is to be done.
        blocks: how many blocks have to come before the next draw; 0 if nothing waits for any.
    """

    market: Market
    moves: tuple[Move, ...]
    blocks: int


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """What is to be done in markets; shown before anything is signed.

    Args:
        account: who does it.
        tasks: by market.
        cost: about what it takes.
    """

    account: ActingAccount
    tasks: tuple[Task, ...]
    cost: Cost

    @property
    def moves(self) -> int:
        """How many moves there are."""
        return sum(len(task.moves) for task in self.tasks)


@dataclass(frozen=True, slots=True)
class Worked:
    """What was done in markets.

    Args:
        plan: what was planned.
        made: the moves.
        paid_wei: what they paid: fees of steps, or what was collected.
        after: the markets afterwards.
    """

    plan: WorkPlan
    made: tuple[Made, ...]
    paid_wei: int
    after: tuple[Task, ...]

    @property
    def fee_wei(self) -> int:
        """What the transactions cost."""
        return sum(one.sent.fee_wei for one in self.made)


def work_in_markets(
    workspace: Workspace,
    names: Collection[str],
    *,
    market: str | None,
    account: str | None,
    password: Password,
    confirm: Callable[[WorkPlan], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
    min_profit_wei: int | None = None,
    dry_run: bool = False,
) -> Worked:
    """Do what an account has to do in a market, or in all that it takes part in.

    Args:
        workspace: the opened parts.
        names: which moves.
        market: name or address; all that the account takes part in if None.
        account: who does it; the acting account if None.
        password: asked once for the account's password, if there is something to do.
        confirm: gets the plan before anything is signed; raises to stop it.
        progress: gets a line per move.
        min_profit_wei: stop where a step does not pay so much more than its fee; None to go on.
        dry_run: do all but sign.

    Raises:
        UsageError: none is named, and the account takes part in none.
        PartlyDone: it broke off after some moves; the same call again goes on.
    """
    acting = acting_account(workspace, account)
    workspace.chain.fund_if_new(acting.address)
    if not dry_run and workspace.ledger.transactions(
        workspace.chain.key, account=acting.address, states=UNSETTLED
    ):
        # An earlier run may have died before it saw its last transaction mined, and left nothing else to do.
        with workspace.sending(acting.address):
            settle_mined(workspace, acting.address)
    markets = _meant(workspace, market, account, acting.address)
    plan = _plan(workspace, acting, markets, names)
    if dry_run or not any(task.moves for task in plan.tasks):
        return Worked(plan, (), 0, plan.tasks)
    confirm(plan)
    key = unlock(workspace, acting, password)
    made: list[Made] = []

    def is_worth_it(_: Market, move: Move) -> bool:
        if min_profit_wei is None or move.name != "step":
            return True
        chain = workspace.chain
        return move.pays_wei - move.fee_wei(chain, chain.fees().likely_price_wei) >= min_profit_wei

    with workspace.sending(acting.address):
        ceiling_wei = None if workspace.chain.is_embedded else plan.cost.ceiling_wei
        finish(workspace, acting.address, key, ceiling_wei=ceiling_wei)
        outbox = Outbox(workspace, acting.address, key, ceiling_wei=ceiling_wei)
        try:
            for task in plan.tasks:
                if task.moves:
                    # Each is counted as soon as it is made: what fails later must not hide it.
                    made.extend(
                        make_all(
                            *(workspace, outbox, task.market.address, names, key, acting.address, progress),
                            is_worth_it=is_worth_it,
                        )
                    )
        except DcaiError as error:
            if not made:
                raise
            raise PartlyDone(
                f"{error.message} {counted(len(made), 'move')} of it are on-chain.",
                hint=and_goes_on(error.hint),
            ) from error
        recheck(workspace, acting.address)
    after = _plan(workspace, acting, [read_market(workspace.chain, one.address) for one in markets], names)
    for task in after.tasks:
        close_if_over(workspace, task.market, acting.address)
    return Worked(plan, tuple(made), paid_wei(workspace, made, acting.address), after.tasks)


def paid_wei(workspace: Workspace, made: Sequence[Made], address: str) -> int:
    """What moves paid to an account: what was collected by receipts, steps by what they were to pay."""
    chain, total_wei = workspace.chain, 0
    for one in made:
        if one.move.name in {"order", "step"}:
            total_wei += one.move.pays_wei
        elif one.move.name in {"collect", "left"}:
            total_wei += collected_wei(chain, one.sent.hash, address)
    return total_wei


def collected_wei(chain: Chain, transaction: str, address: str) -> int:
    """What an account collected by a transaction that it sent to a market, by its receipt."""
    receipt = chain.receipt(transaction)
    found = () if receipt is None else chain.events(MARKET, receipt)
    return sum(
        event.args["amountWei"]
        for event in found
        if event.name == "Collected" and event.args["account"].lower() == address.lower()
    )


def _meant(workspace: Workspace, market: str | None, account: str | None, address: str) -> list[Market]:
    if market is not None:
        return [read_market(workspace.chain, found_market(workspace, market, account))]
    markets = known_markets(workspace, address)
    if not markets and not workspace.ledger.markets(workspace.chain.key, address):
        raise UsageError(
            "You take part in no market of this chain.",
            hint="Name one, as they are called in: dcai market status",
        )
    return markets


def _plan(
    workspace: Workspace, account: ActingAccount, markets: Sequence[Market], names: Collection[str]
) -> WorkPlan:
    chain = workspace.chain
    tasks = []
    for market in markets:
        blocks = 0 if chain.is_embedded else blocks_to_draw(market, names)
        found = () if blocks else tuple(moves_now(workspace, market, account.address, names))
        tasks.append(Task(market, found, blocks))
    moves = [move for task in tasks for move in task.moves]
    price_wei = chain.fees().max_fee_per_gas_wei
    fee_wei = sum(move.fee_wei(chain, price_wei) for move in moves)
    gas, balance_wei = sum(move.gas for move in moves), chain.balance_wei(account.address)
    return WorkPlan(account, tuple(tasks), Cost(len(moves), gas, price_wei, fee_wei, balance_wei))


def close_if_over(workspace: Workspace, market: Market, address: str) -> bool:
    """Note that nothing is to be done for an account in a market any more.

    Returns:
        Whether that is so.
    """
    own = market.participant(address)
    is_owed = (own is not None and own.owed_wei > 0) or (market.is_provider(address) and market.left_wei > 0)
    if market.phase not in ENDED or is_owed:
        return False
    workspace.ledger.close_market(workspace.chain.key, address, market.address)
    return True
