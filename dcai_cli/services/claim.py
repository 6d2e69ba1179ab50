"""What refunds and reports share: what can be claimed of a batch, whether it pays, and claiming it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dcai_cli.chain import FeesAboveCeiling, GasTooHigh, RpcError
from dcai_cli.chain.signing import PLAIN_GAS, decode_signed
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS, Batch, bits, format_ether
from dcai_cli.errors import DcaiError, Locked, PartlyDone, Reverted
from dcai_cli.ledger import Claim
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.index import follow
from dcai_cli.services.models import HostedModel, find_model, known_models
from dcai_cli.services.settling import recheck
from dcai_cli.services.transactions import GAS_MARGIN_PERCENT, USABLE_GAS, Outbox, Recovered, Sent, recover

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.ledger import StoredBatch, StoredTransaction
    from dcai_cli.services.workspace import Workspace

USABLE_BYTES = MAX_TRANSACTION_BYTES * 3 // 4
"""Bytes of payloads and proofs in one claim; ABI padding and meta-data take a part of the rest."""

DEADLINE_MARGIN_S = 6 * 3600
"""So long before others can take a deposit, a daemon lets claiming it cost more."""

Refusal = tuple[str, str]
"""Why something is not claimed: a code, and the same in words."""

CLAIM_KINDS = ("refund", "report", "sweep")
"""Transactions that claim."""

_SAME_SECOND = "ContributionThisSecond"
_SAME_SECOND_TRIES = 5


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """When a claim is worth its gas.

    Args:
        max_fee_per_gas_wei: what a unit of gas may cost at most, in quiet times; None for no limit.
        deadline_margin_s: so near to the time when others can take a deposit, gas may cost up to what is at
            stake, and the budget does not count; None if nothing is to be exempt.
        min_profit_wei: what a claim must pay above its fee; may be negative.
        budget_wei: what the fees of all claims may cost at most; what is near its deadline is exempt. None
            for no limit.
    """

    max_fee_per_gas_wei: int | None = None
    deadline_margin_s: int | None = None
    min_profit_wei: int = 0
    budget_wei: int | None = None


ANY_PROFIT = ClaimPolicy()
"""Whatever pays more than its fee."""


@dataclass(frozen=True, slots=True)
class ClaimItem:
    """A batch with something still open.

    Args:
        model: its model.
        batch: its committed meta-data.
        row: its number in the ledger, which has its samples.
        open: bitmap of samples that are not settled; for points, of those among them that can earn one.
        agreed: bitmap of open samples with which the model agrees now.
        amount_wei: of one's own, all that is left; of others', what claiming now would pay; 0 for points.
        pays_wei: what claiming now would pay.
        due_at: from when it can be claimed.
        expires_at: from when others can take it, too; None if nobody ever can, since there are only points.
        state: waiting, due, at-risk (due, and others can take it, too), disputed (the model rejects all that
            is open), unreadable (the model's words are none that a contract of ours writes), agreed (others'
            samples that the model agrees with, or that would pay nothing), or sweepable (all that is left,
            whatever the model says).
        claimable: bitmap of the samples that claiming now would settle or draw on.
        sweep: whether it is claimed by a sweep instead of sample by sample.
    """

    model: HostedModel
    batch: Batch
    row: int
    open: int
    agreed: int
    amount_wei: int
    pays_wei: int
    due_at: int
    expires_at: int | None
    state: str
    claimable: int
    sweep: bool = False

    @property
    def place(self) -> tuple[str, int]:
        """Which batch it is, of all models."""
        return self.model.address, self.batch.id

    @property
    def samples(self) -> int:
        """How many samples are open."""
        return self.open.bit_count()

    @property
    def points(self) -> int:
        """How many model points claiming now would earn."""
        return self.claimable.bit_count() if self.model.has_points else 0

    @property
    def is_claimable(self) -> bool:
        """Whether claiming now would get anything."""
        return bool(self.claimable or self.sweep)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that was not claimed.

    Args:
        item: what.
        code: waiting, disputed, agreed, unreadable, in-flight, fee-ceiling, unprofitable, budget, too-dear,
            or reverted.
        reason: the same for people, with its values.
    """

    item: ClaimItem
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What claiming did.

    Args:
        items: what was pending before it.
        left: what was not claimed, and why.
        amount_wei: what it paid.
        points: the model points that it earned.
        samples: samples that paid, or earned a point.
        disagreed: due samples that the model rejects (own), or agrees with (others').
        gas_used: gas of all transactions.
        fee_wei: what they cost.
        transactions: their hashes.
    """

    items: tuple[ClaimItem, ...]
    left: tuple[Left, ...]
    amount_wei: int
    points: int
    samples: int
    disagreed: int
    gas_used: int
    fee_wei: int
    transactions: tuple[str, ...]


STATES = {
    "waiting": "it is not due yet",
    "due": "it can be claimed",
    "at-risk": "it can be claimed, and others can take what the model rejects of it",
    "disputed": "the model rejects all that is open",
    "unreadable": "the model's words are none that a contract of ours writes",
    "agreed": "the model agrees with the samples, or they would pay nothing",
    "sweepable": "it can be claimed, and others can sweep it",
}
"""The states of a batch, as messages put them."""


def claim_due(
    workspace: Workspace,
    password: Password,
    model: str | None,
    account: str | None,
    confirm: Callable[[Sequence[ClaimItem]], None],
    progress: Callable[[int, int], None],
    policy: ClaimPolicy,
    *,
    pending: Callable[[Workspace, str, Sequence[HostedModel]], list[ClaimItem]],
    send: Callable[[ClaimSender, Sequence[ClaimItem]], Iterator[int]],
) -> Claimed:
    """Claim all that is due and worth it, after a yes.

    Args:
        workspace: the opened parts.
        password: asked once for the account's password, if there is something to claim.
        model: only of this model.
        account: whose; the acting account's if None.
        confirm: gets what will be claimed; raises to stop.
        progress: gets (batches claimed, batches in all).
        policy: what is worth it.
        pending: lists an address's items of some models.
        send: claims items; yields how many batches it has dealt with.

    Raises:
        PartlyDone: it broke off after some claims; the same call again goes on.
    """
    stored = acting_account(workspace, account)
    with workspace.sending(stored.address, exclusive=False) as turn:
        models = models_meant(workspace, model)
        # Before the receipts: what it forgets of replaced blocks, they say anew.
        unread = _follow_each(workspace, models)
        # What cannot be sent for want of ether must not keep ether from coming in: a claim takes its nonce.
        recovered = recover(workspace, stored.address)
        items = pending(workspace, stored.address, models)
        chosen, busy = _free(workspace, stored.address, items, recovered)
        if chosen:
            with turn.aside():
                confirm(chosen)
            # What nobody took before the question may be on its way now.
            recovered = recover(workspace, stored.address)
            chosen, busy = _free(workspace, stored.address, chosen, recovered)
        sender = ClaimSender(workspace, stored.address, policy, recovered)
        sender.set_aside(items, busy)
        if chosen or sender.has_earlier:
            # What an earlier process left on its way may have to be replaced: fees may have risen since.
            sender.key = unlock(workspace, stored, password)
        if chosen:
            progress(0, len(chosen))
        try:
            for done in send(sender, chosen):
                progress(done, len(chosen))
            sender.finish()
            recheck(workspace, stored.address)
            if unread is not None:
                raise unread
        except DcaiError as error:
            with suppress(DcaiError):
                sender.finish()
            if not sender.sent and not sender.flying:
                raise
            also = f", {sender.flying} on their way" if sender.flying else ""
            raise PartlyDone(
                f"{len(sender.sent)} claims are on-chain{also}; then: {error.message}",
                hint=f"{error.hint} The same command again goes on where this one stopped.".strip(),
            ) from error
    return _claimed(sender, items, workspace.chain.timestamp())


def _free(
    workspace: Workspace, address: str, items: Sequence[ClaimItem], recovered: Recovered
) -> tuple[list[ClaimItem], dict[tuple[str, int], int]]:
    """What can be claimed now, the most urgent first; and what transactions on their way claim."""
    given_up = [refused.id for refused, _ in recovered.refused]
    busy = workspace.ledger.claims_in_flight(workspace.chain.key, address, over=given_up)
    chosen = [item for item in items if item.is_claimable and item.place not in busy]
    # Others can take it from then on.
    chosen.sort(key=lambda item: (item.expires_at or item.due_at, item.batch.id))
    return chosen, busy


def _follow_each(workspace: Workspace, models: Sequence[HostedModel]) -> DcaiError | None:
    """Read on in the events of models; one that cannot be read must not keep the claims of others back.

    Returns:
        What was refused first, to be told when all else is done: receipts know one's own batches, too.
    """
    refused: DcaiError | None = None
    for model in models:
        try:
            follow(workspace, [model])
        except RpcError as error:
            refused = refused or error
    return refused


def _claimed(sender: ClaimSender, items: Sequence[ClaimItem], now: int) -> Claimed:
    paid = [payment for transaction in sender.sent for payment in transaction.outcome.payouts]
    swept = {payment.batch_id for payment in paid if payment.kind == "sweep"}
    return Claimed(
        items=tuple(items),
        left=tuple(sender.left),
        amount_wei=sum(payment.amount_wei for payment in paid),
        points=sum(transaction.outcome.points for transaction in sender.sent),
        samples=sum(payment.bitmap.bit_count() for payment in paid)
        + sum(item.samples for item in items if item.sweep and item.batch.id in swept),
        disagreed=sum(
            (item.open & ~item.claimable).bit_count()
            for item in items
            if item.due_at <= now and not item.sweep
        ),
        gas_used=sum(transaction.gas_used for transaction in sender.sent),
        fee_wei=sum(transaction.fee_wei for transaction in sender.sent),
        transactions=tuple(transaction.hash for transaction in sender.sent),
    )


@dataclass(frozen=True, slots=True)
class Request:
    """One transaction that claims: what it asks for, and its call.

    Args:
        kind: refund, report or sweep.
        items: the batches, each with the samples that are asked for.
        data: call data of the trainer.
        claims: the same for the ledger.
    """

    kind: str
    items: Sequence[ClaimItem]
    data: bytes = field(repr=False)
    claims: Sequence[Claim]


class ClaimSender:
    """Sends claims that pay, several at a time, and keeps why the others were left.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: who claims.
        policy: what is worth it.
        recovered: what is on its way from before; its refused transactions give up their nonces, and what
            they claim.
    """

    def __init__(self, workspace: Workspace, address: str, policy: ClaimPolicy, recovered: Recovered) -> None:
        self.workspace = workspace
        self.address = address
        self.key: LocalAccount | None = None
        self.sent: list[Sent] = []
        self.left: list[Left] = []
        self._policy = policy
        self._recovered = recovered
        self._outbox: Outbox | None = None
        self._asked: set[int] = set()
        self._posted: list[StoredTransaction] = []
        self._unprofitable: list[ClaimItem] = []
        self._claimed_by: dict[int, list[ClaimItem]] = {}
        self._pays_wei: dict[int, int] = {}
        self._now = workspace.chain.timestamp()

    @property
    def flying(self) -> int:
        """How many of its transactions are on their way."""
        return 0 if self._outbox is None else len(self._outbox.flying)

    @property
    def has_earlier(self) -> bool:
        """Whether claims of earlier processes are on their way."""
        return bool(self._ready().flying)

    def set_aside(self, items: Iterable[ClaimItem], busy: Mapping[tuple[str, int], int]) -> None:
        """Leave what cannot be claimed now, with the reason.

        Args:
            items: all of them.
            busy: which transactions on their way claim some: these are worth so much.
        """
        for item in items:
            if item.place in busy:
                transaction = busy[item.place]
                self._claimed_by.setdefault(transaction, []).append(item)
                self._pays_wei[transaction] = self._pays_wei.get(transaction, 0) + item.pays_wei
                self.leave([item], "in-flight", "a transaction that claims it is on its way")
            elif not item.is_claimable:
                self.leave([item], item.state, STATES[item.state])

    def leave(self, items: Iterable[ClaimItem], code: str, reason: str) -> None:
        """Keep that something is not claimed, and why."""
        self.left += [Left(item, code, reason) for item in items]

    def payload(self, item: ClaimItem) -> bytes:
        """The samples of a batch."""
        stored = self.workspace.ledger.batch(item.row)
        assert stored is not None
        assert stored.payload is not None
        return stored.payload

    def post(self, request: Request, *, whole_gas: bool = False) -> bool:
        """Send a claim if it pays; what it does not claim for another reason than its size is left.

        Args:
            request: the claim.
            whole_gas: whether it may take all gas of a transaction, so that no margin is left.

        Returns:
            Whether the request was dealt with; False if it has to be cut, since it needs too much gas, or
            since it is refused as a whole and a part of it may not be.
        """
        if not self._asked.isdisjoint(item.row for item in request.items):
            self.finish()  # a part of one of them is on its way
        # Nothing is settled while batches are held: others may hold their model, and wait for the batches.
        outbox = self._ready()
        while outbox.is_full:
            self._wait(outbox)
        rows = [item.row for item in request.items]
        with self.workspace.ledger.hold(rows, self.address, over=outbox.over) as free:
            if len(free) < len(rows):
                refusal: Refusal | None = ("in-flight", "another process is claiming it")
            else:
                try:
                    refusal = self._try(request, MAX_TRANSACTION_GAS - 1 if whole_gas else USABLE_GAS)
                except GasTooHigh:
                    return False
        if refusal is not None and len(rows) > 1 and self._may_do_in_part(request, refusal):
            return False
        if refusal is not None:
            self.leave(request.items, *refusal)
            if refusal[0] == "unprofitable":
                self._unprofitable.append(max(request.items, key=lambda item: item.pays_wei))
        return True

    def without_hopeless(self, items: Sequence[ClaimItem]) -> list[ClaimItem]:
        """Leave what pays no more than a batch that did not pay, for no less work; the others are returned.

        So thousands of batches that do not pay now are not simulated one by one, at every look.
        """
        hopeful = []
        for item in items:
            better = next((tried for tried in self._unprofitable if _is_better(tried, item)), None)
            if better is None:
                hopeful.append(item)
            else:
                words = f"it pays no more than batch {better.batch.id}, which would not pay its fee"
                self.leave([item], "unprofitable", words)
        return hopeful

    def finish(self) -> None:
        """Wait for all claims that are on their way, those of earlier processes included."""
        outbox = self._ready()
        if self.key is not None and outbox.flying:
            outbox.ceiling_wei = self._worth(outbox.flying[0].nonce, PLAIN_GAS)
            with suppress(FeesAboveCeiling):
                outbox.close_gaps()
        while outbox.flying:
            self._wait(outbox)
        self._asked.clear()

    def _simulate(self, request: Request) -> tuple[int, int]:
        """What a claim would pay now, and the gas that it needs."""
        chain, trainer = self.workspace.chain, request.items[0].model.address
        for tries in range(_SAME_SECOND_TRIES):
            try:
                pays_wei = chain.call_number(trainer, request.data, sender=self.address)
                return pays_wei, chain.estimate_gas(self.address, trainer, request.data)
            except Reverted as error:
                # No verdict can be used in the second of a contribution: the next second will do.
                if error.name != _SAME_SECOND or tries == _SAME_SECOND_TRIES - 1:
                    raise
                self.workspace.sleep(1)
        raise AssertionError("unreachable")

    def _try(self, request: Request, most_gas: int) -> Refusal | None:
        """Simulate a claim, and send it if it is worth it."""
        try:
            pays_wei, gas = self._simulate(request)
        except Reverted as error:
            return "reverted", error.message
        if gas > most_gas:
            raise GasTooHigh(f"The claim needs {gas:,} gas.")
        # Never more than what was shown, whatever a node says of the call.
        return self._post(request, min(pays_wei, sum(item.pays_wei for item in request.items)), gas)

    def _post(self, request: Request, pays_wei: int, gas: int) -> Refusal | None:
        """Send a claim, if it is worth it; otherwise why not: code and words."""
        policy, chain, outbox = self._policy, self.workspace.chain, self._ready()
        urgent = any(self.is_urgent(item) for item in request.items)
        has_points = request.items[0].model.has_points
        ceiling_wei = self._ceiling_wei(pays_wei, gas, is_urgent=urgent)
        try:
            fees = chain.fees(ceiling_wei)
        except FeesAboveCeiling as error:
            return "fee-ceiling", error.message
        data_fee_wei = chain.data_fee_wei(request.data, gas=gas)
        fee_wei = gas * fees.likely_price_wei + data_fee_wei
        if not has_points and pays_wei - fee_wei < policy.min_profit_wei:
            words = f"it would pay {format_ether(pays_wei)} for about {format_ether(fee_wei)} of fees"
            return "unprofitable", words
        ceiling_wei = self._bounded(ceiling_wei, pays_wei, gas, has_points=has_points)
        if policy.budget_wei is not None and not urgent:
            left_wei = max(0, policy.budget_wei - outbox.committed_wei - data_fee_wei)
            by_budget_wei = left_wei // chain.gas_limit(gas, GAS_MARGIN_PERCENT)
            ceiling_wei = by_budget_wei if ceiling_wei is None else min(ceiling_wei, by_budget_wei)
            try:
                chain.fees(ceiling_wei)
            except FeesAboveCeiling:
                words = f"its fee of about {format_ether(fee_wei)} would exceed what is left of the budget"
                return "budget", f"{words}: {format_ether(left_wei)}"
        outbox.ceiling_wei = ceiling_wei
        try:
            stored = outbox.post(
                kind=request.kind,
                to=request.items[0].model.address,
                data=request.data,
                gas_estimate=gas,
                model=request.items[0].model.address,
                claims=request.claims,
            )
        except Locked as error:
            return "in-flight", error.message
        self._asked |= {item.row for item in request.items}
        self._posted.append(stored)
        self._claimed_by[stored.id] = list(request.items)
        self._pays_wei[stored.id] = pays_wei
        return None

    def _may_do_in_part(self, request: Request, refusal: Refusal) -> bool:
        """Whether a part of what was refused together may be had: one must not keep the others back."""
        code, _ = refusal
        if code == "fee-ceiling":
            # The ceiling is everybody's, but for what is near its deadline.
            return any(self.is_urgent(item) for item in request.items)
        if code in {"unprofitable", "budget"}:
            # No transaction costs less than this; what is less is not looked at one by one.
            least_wei = PLAIN_GAS * self.workspace.chain.fees().likely_price_wei
            if code == "budget":
                return (self._policy.budget_wei or 0) - self._ready().committed_wei >= least_wei
            return sum(item.pays_wei for item in request.items) >= least_wei + self._policy.min_profit_wei
        return code == "reverted"

    def _ceiling_wei(self, pays_wei: int, gas: int, *, is_urgent: bool) -> int | None:
        """What a unit of gas may cost; near a deadline, as much as the claim pays."""
        ceiling_wei = self._policy.max_fee_per_gas_wei
        return max(ceiling_wei, pays_wei // gas) if is_urgent and ceiling_wei is not None else ceiling_wei

    def _bounded(self, ceiling_wei: int | None, pays_wei: int, gas: int, *, has_points: bool) -> int | None:
        """Nor may gas ever cost more than what the claim pays, however its price moves."""
        if has_points:
            return ceiling_wei
        # With less than nothing for a least profit, so much more.
        most_wei = (pays_wei - min(0, self._policy.min_profit_wei)) // gas
        return most_wei if ceiling_wei is None else min(ceiling_wei, most_wei)

    def _ceiling_of(self, stored: StoredTransaction) -> int | None:
        """What a unit of gas may cost where a transaction is replaced, or a gap before it is filled.

        It is worth what the claims pay that wait for it, less what these can cost themselves; and all claims
        together never cost more than all of them pay.
        """
        return self._worth(stored.nonce, decode_signed(stored.raw).gas, stored)

    def _worth(self, nonce: int, gas: int, stored: StoredTransaction | None = None) -> int | None:
        outbox, policy = self._ready(), self._policy
        behind = [other for other in outbox.flying if other.nonce >= nonce]
        items = [item for other in behind for item in self._claimed_by.get(other.id, ())]
        promised_wei = outbox.promised_wei(but=stored)
        pays_wei = max(
            0,
            min(
                sum(self._pays_wei.get(other.id, 0) for other in behind) - promised_wei,
                sum(self._pays_wei.values()) - promised_wei - outbox.spent_wei,
            ),
        )
        urgent = any(self.is_urgent(item) for item in items)
        ceiling_wei = self._ceiling_wei(pays_wei, gas, is_urgent=urgent)
        has_points = any(item.model.has_points for item in items)
        ceiling_wei = self._bounded(ceiling_wei, pays_wei, gas, has_points=has_points)
        if policy.budget_wei is None or urgent:
            return ceiling_wei
        by_budget_wei = max(0, policy.budget_wei - outbox.spent_wei - promised_wei) // gas
        return by_budget_wei if ceiling_wei is None else min(ceiling_wei, by_budget_wei)

    def is_urgent(self, item: ClaimItem) -> bool:
        """Whether others can take it soon, so that claiming it may cost more."""
        margin_s = self._policy.deadline_margin_s
        if margin_s is None or item.expires_at is None:
            return False
        return self._now >= item.expires_at - margin_s

    def _ready(self) -> Outbox:
        if self._outbox is None:
            refused = [stored for stored, _ in self._recovered.refused]
            self._outbox = Outbox(self.workspace, self.address, over=refused, ceiling_of=self._ceiling_of)
            self._outbox.flying.extend(
                stored
                for stored in self._recovered.flying
                if stored.kind in CLAIM_KINDS and stored not in refused
            )
        self._outbox.key = self.key
        return self._outbox

    def _wait(self, outbox: Outbox) -> None:
        _, sent = outbox.wait()
        self.sent.append(sent)


def _is_better(one: ClaimItem, other: ClaimItem) -> bool:
    """Whether claiming one batch of a model pays at least as much as another, for no more work."""
    return (
        one.model.address == other.model.address
        and one.pays_wei >= other.pays_wei
        and one.claimable.bit_count() <= other.claimable.bit_count()
    )


def models_meant(workspace: Workspace, wanted: str | None) -> list[HostedModel]:
    """The model that was named, or all that are known."""
    return known_models(workspace) if wanted is None else [find_model(workspace, wanted)]


def sweep_wait_s(model: HostedModel, address: str) -> int:
    """After how long an address may sweep what is left of a batch."""
    owns = address.lower() == model.owner.lower()
    return model.terms.owner_wait_s if owns else model.terms.public_wait_s


def sweep_request(workspace: Workspace, item: ClaimItem) -> Request:
    """Take all that is left of a batch."""
    data = workspace.chain.encode("CollaborativeTrainer", "sweep", item.batch.as_tuple())
    return Request("sweep", [item], data, [Claim("sweep", item.batch.id, item.open)])


def waiting_item(model: HostedModel, stored: StoredBatch, due_at: int, expires_at: int | None) -> ClaimItem:
    """A batch as it stands in the ledger, before anybody asked the model."""
    batch = stored.on_chain()
    # A sample that taught the model nothing earns no point.
    counted = batch.informative if model.has_points else (1 << batch.count) - 1
    return ClaimItem(
        model=model,
        batch=batch,
        row=stored.id,
        open=counted & ~stored.settled,
        agreed=0,
        amount_wei=batch.deposit_wei - stored.refunded_wei - stored.lost_wei,
        pays_wei=0,
        due_at=due_at,
        expires_at=expires_at,
        state="waiting",
        claimable=0,
    )


def without(item: ClaimItem, claimed: int) -> ClaimItem:
    """The same batch, without some samples of what is claimable."""
    return replace(item, claimable=item.claimable & ~claimed)


def first_half(item: ClaimItem) -> ClaimItem:
    """The same batch, with half of what is claimable."""
    positions = bits(item.claimable)
    return replace(item, claimable=sum(1 << position for position in positions[: len(positions) // 2]))
