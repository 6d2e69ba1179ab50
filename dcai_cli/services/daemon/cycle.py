"""One cycle of the daemon: finish what is on its way, take back what is due, look at what is left.

A cycle is what `dcai daemon run --once` does, and what the loop does again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.errors import DcaiError, Interrupted, Locked, RpcUnreachable, WrongChain, and_goes_on
from dcai_cli.services.accounts import Password, acting_account
from dcai_cli.services.claims.items import DEADLINE_MARGIN_S, STATES, ClaimPolicy
from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.claims.report import claim_reports
from dcai_cli.services.exposure import Endangered, Exposure, expose, is_endangered
from dcai_cli.services.markets.tend import Tended, soonest, tend_markets
from dcai_cli.services.markets.work import collected_wei
from dcai_cli.services.transactions import recover

if TYPE_CHECKING:
    from dcai_cli.ledger import SettledClaim, Totals
    from dcai_cli.services.accounts import ActingAccount
    from dcai_cli.services.claims.claim import Claimed
    from dcai_cli.services.claims.items import ClaimItem
    from dcai_cli.services.workspace import Workspace

DAY_S = 86_400
LOCK_WAIT_S = 60.0
"""How long a cycle waits for another process that works with the account."""

_LOCK_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """What cycles shall do.

    Args:
        password: asked for the account's password when there is something to claim.
        account: whose deposits; the acting account's if None.
        model: only of this model.
        reports: take one's share of others' deposits, too, and sweep.
        max_fee_per_gas_wei: what a unit of gas may cost in quiet times; None for no ceiling.
        deadline_margin_s: this near to its deadline a deposit is at risk, and claiming it may cost more.
        min_profit_wei: claims must pay so much more than their gas.
        daily_budget_wei: fees of all claims in one day (UTC); None for no limit.
        lock_wait_s: how long to wait for another process that works with the account.
        chain_key: the only chain to work on; any if None.
    """

    password: Password
    account: str | None = None
    model: str | None = None
    reports: bool = False
    max_fee_per_gas_wei: int | None = None
    deadline_margin_s: int = DEADLINE_MARGIN_S
    min_profit_wei: int = 0
    daily_budget_wei: int | None = None
    lock_wait_s: float = LOCK_WAIT_S
    chain_key: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Something that was not claimed, and why.

    Args:
        model: the model's address.
        model_name: what this user calls it.
        batch_id: the batch.
        code: waiting, disputed, fee-ceiling, unprofitable, budget, ...
        reason: the same in words.
    """

    model: str
    model_name: str
    batch_id: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one cycle did and found.

    Args:
        outcome: good, failed (an error), skipped (another process works with the account) or stopped.
        account: the account's address.
        chain: the chain's key.
        network: "embedded", or the node's host.
        started_at: when it began, by this machine's clock.
        ended_at: when it ended.
        chain_time: the chain's time at its end; None if no node answers.
        recovered: transactions that were on their way before it and are settled now.
        claims: the claims that it settled.
        left: what it did not claim, and why.
        exposure: what is out now; None if that could not be read.
        endangered: the deposits that others can take, or soon can.
        markets: what it did in prediction markets, and what it left there.
        balance_wei: the account's balance; None if no node answers.
        totals: what claims came to, ever and today.
        error: what went wrong first; None if nothing did.
    """

    outcome: str
    account: str
    chain: str
    network: str
    started_at: int
    ended_at: int
    chain_time: int | None
    recovered: int
    claims: tuple[SettledClaim, ...]
    left: tuple[LeftOver, ...]
    exposure: Exposure | None
    endangered: tuple[Endangered, ...]
    markets: tuple[Tended, ...]
    balance_wei: int | None
    totals: Totals
    error: DcaiError | None = None

    @property
    def left_by_code(self) -> dict[str, int]:
        """How many batches were left for each reason."""
        return dict(Counter(left.code for left in self.left))


def day_start(now: float) -> int:
    """When the day of a moment began, in UTC: the budget's day, and the ledger's clock.

    >>> day_start(86_400 * 3 + 5)
    259200
    """
    return int(now) // DAY_S * DAY_S


def run_cycle(
    workspace: Workspace,
    request: CycleRequest,
    *,
    is_stopped: Callable[[], bool],
    wait: Callable[[float], object],
) -> CycleReport:
    """Finish what is on its way, look after markets, claim refunds, and if asked for what others lost.

    An error of one step is in the report and keeps the next step from nothing, unless no node answers or
    another process works with the account.

    Args:
        workspace: the opened parts; the chain is opened, and its id checked, here.
        request: what to do.
        is_stopped: whether to stop after the transaction in hand.
        wait: waits some seconds for a lock; may return sooner.

    Raises:
        DcaiError: the chain, the ledger or the account cannot be opened, or it is another chain.
    """
    chain = workspace.chain
    if request.chain_key not in (None, chain.key):
        raise WrongChain(
            f"The node at {chain.url_label} is on another chain ({chain.key}) than the one that was begun "
            f"with ({request.chain_key}).",
            hint="Point --rpc-url at a node of that chain; for another chain start another daemon.",
        )
    account = acting_account(workspace, request.account)
    cycle = _Cycle(workspace, request, account, is_stopped, wait)
    cycle.run()
    return cycle.report()


def policy_now(workspace: Workspace, request: CycleRequest, address: str) -> ClaimPolicy:
    """What claims may cost now: of the day's budget, what the ledger says is left."""
    budget_wei = request.daily_budget_wei
    if budget_wei is not None:
        since = day_start(workspace.clock())
        spent_wei = workspace.ledger.totals(workspace.chain.key, address, since=since).fee_since_wei
        budget_wei = max(0, budget_wei - spent_wei)
    return ClaimPolicy(
        max_fee_per_gas_wei=request.max_fee_per_gas_wei,
        deadline_margin_s=request.deadline_margin_s,
        min_profit_wei=request.min_profit_wei,
        budget_wei=budget_wei,
    )


class _Cycle:
    """The cycle while it runs."""

    def __init__(
        self,
        workspace: Workspace,
        request: CycleRequest,
        account: ActingAccount,
        is_stopped: Callable[[], bool],
        wait: Callable[[float], object],
    ) -> None:
        self._workspace = workspace
        self._request = request
        self._account = account
        self._is_stopped = is_stopped
        self._wait = wait
        self._started_at = int(workspace.clock())
        self._before = self._totals()
        self._recovered = 0
        self._items: Sequence[ClaimItem] | None = None
        self._left: dict[tuple[str, int], LeftOver] = {}
        self._markets: tuple[Tended, ...] = ()
        self._errors: list[DcaiError] = []
        self._cut_short = False

    def _totals(self) -> Totals:
        chain = self._workspace.chain.key
        return self._workspace.ledger.totals(
            chain, self._account.address, since=day_start(self._workspace.clock())
        )

    # What it does

    def run(self) -> None:
        """Take every step, until one says that there is no use in the next."""
        # What is not shown in a market in time is burned: that waits for nothing else.
        steps = [self._recover, self._tend_markets, self._refund]
        steps += [self._report_others] if self._request.reports else []
        for step in steps:
            if self._is_stopped():
                self._cut_short = True
            if self._cut_short or not self._attempt(step):
                break

    def _attempt(self, step: Callable[[], None]) -> bool:
        """Take one step; whether the next one makes sense."""
        waited_s = 0.0
        while True:
            try:
                step()
            except Locked as error:
                if waited_s < self._request.lock_wait_s and not self._is_stopped():
                    pause_s = min(_LOCK_POLL_S, self._request.lock_wait_s - waited_s)
                    self._wait(pause_s)
                    waited_s += pause_s
                    continue
                self._errors.append(error)
                return False
            except DcaiError as error:
                if _was_stopped(error):
                    self._cut_short = True
                    return False
                self._errors.append(error)
                return not isinstance(error, RpcUnreachable)
            return True

    def _recover(self) -> None:
        address = self._account.address
        with self._workspace.sending(address, exclusive=False):
            # What cannot be sent for want of ether must not keep ether from coming in: it is no error here.
            self._recovered += len(recover(self._workspace, address).settled)

    def _tend_markets(self) -> None:
        self._markets = tend_markets(
            self._workspace,
            self._account,
            password=self._request.password,
            policy=policy_now(self._workspace, self._request, self._account.address),
            go_on=self._go_on,
        )

    def _refund(self) -> None:
        done = self._claim(claim_refunds)
        self._items = done.items if not done.transactions else None
        self._note_left(done)

    def _report_others(self) -> None:
        self._note_left(self._claim(claim_reports))

    def _claim(self, claim: Callable[..., Claimed]) -> Claimed:
        policy = policy_now(self._workspace, self._request, self._account.address)
        return claim(
            self._workspace,
            password=self._request.password,
            model=self._request.model,
            account=self._request.account,
            confirm=lambda _items: self._go_on(),
            progress=lambda _done, _all: self._go_on(),
            policy=policy,
        )

    def _go_on(self) -> None:
        """Between two transactions: stop here if that is wanted."""
        if self._is_stopped():
            raise Interrupted("Stopped between two transactions.", hint=and_goes_on(""))

    def _note_left(self, done: Claimed) -> None:
        for left in done.left:
            item = left.item
            self._left[item.model.address, item.batch.id] = LeftOver(
                item.model.address, item.model.name, item.batch.id, left.code, left.reason
            )

    # What it found

    def report(self) -> CycleReport:
        """Sum up; the account's batches are read again if something was claimed of them."""
        chain = self._workspace.chain
        balance_wei = now = None
        answers = not any(isinstance(error, RpcUnreachable) for error in self._errors)
        try:
            if answers:
                now = chain.timestamp()
                balance_wei = chain.balance_wei(self._account.address)
                if self._items is None and not self._cut_short:
                    self._items = pending_refunds(
                        self._workspace, model=self._request.model, account=self._request.account
                    )
        except DcaiError as error:
            self._errors.append(error)
        items = self._items or ()
        self._note_states(items)
        margin_s = self._request.deadline_margin_s
        after = self._totals()
        claims = self._workspace.ledger.settled_claims(chain.key, self._account.address, beyond=self._before)
        try:
            if answers:
                claims = [self._with_what_it_collected(claim) for claim in claims]
        except DcaiError as error:
            self._errors.append(error)
        return CycleReport(
            outcome=self._outcome(),
            account=self._account.address,
            chain=chain.key,
            network=self._workspace.settings.network or chain.url_label,
            started_at=self._started_at,
            ended_at=int(self._workspace.clock()),
            chain_time=now,
            recovered=self._recovered,
            claims=tuple(claims),
            left=tuple(self._left.values()),
            exposure=None if self._items is None or now is None else self._expose(items, now, margin_s),
            endangered=()
            if now is None
            else tuple(self._endangered(item) for item in items if is_endangered(item, now, margin_s)),
            markets=self._markets,
            balance_wei=balance_wei,
            totals=after,
            error=self._errors[0] if self._errors else None,
        )

    def _with_what_it_collected(self, claim: SettledClaim) -> SettledClaim:
        """The ledger adds up what models paid; what a market did stands in the receipt."""
        if claim.kind != "market-collect" or not claim.mined:
            return claim
        amount_wei = collected_wei(self._workspace.chain, claim.hash, self._account.address)
        return replace(claim, amount_wei=amount_wei)

    def _expose(self, items: Sequence[ClaimItem], now: int, margin_s: int) -> Exposure:
        """What is out; the next cycle begins no later than a market wants it."""
        exposure, moment = expose(items, now, margin_s), soonest(self._markets, now)
        if moment is None:
            return exposure
        moments = (one for one in (moment, exposure.next_moment) if one is not None)
        return replace(exposure, next_moment=min(moments))

    def _note_states(self, items: Sequence[ClaimItem]) -> None:
        for item in items:
            place = item.model.address, item.batch.id
            if place not in self._left:
                self._left[place] = LeftOver(
                    *(item.model.address, item.model.name, item.batch.id),
                    code=item.state,
                    reason=STATES[item.state],
                )

    def _endangered(self, item: ClaimItem) -> Endangered:
        left = self._left[item.model.address, item.batch.id]
        assert item.expires_at is not None
        return Endangered(
            model=left.model,
            model_name=left.model_name,
            batch_id=left.batch_id,
            amount_wei=item.amount_wei,
            deadline=item.expires_at,
            code=left.code,
            reason=left.reason,
        )

    def _outcome(self) -> str:
        if self._errors:
            return "skipped" if isinstance(self._errors[0], Locked) else "failed"
        return "stopped" if self._cut_short else "good"


def _was_stopped(error: DcaiError) -> bool:
    """Whether a claim ended because it was to stop, perhaps after some transactions."""
    return isinstance(error, Interrupted) or isinstance(error.__cause__, Interrupted)
