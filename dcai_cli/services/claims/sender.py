"""Sending claims that pay, several at a time, within the limits that were set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dcai_cli.chain import FeesAboveCeiling, GasTooHigh
from dcai_cli.chain.signing import PLAIN_GAS, decode_signed
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS, format_ether
from dcai_cli.errors import Locked, Reverted
from dcai_cli.ledger import Claim
from dcai_cli.services.claims.items import (
    CLAIM_KINDS,
    STATES,
    ClaimItem,
    ClaimPolicy,
    Left,
)
from dcai_cli.services.transactions import GAS_MARGIN_PERCENT, USABLE_GAS, Outbox, Recovered, Sent

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.ledger import StoredTransaction
    from dcai_cli.services.workspace import Workspace

USABLE_BYTES = MAX_TRANSACTION_BYTES * 3 // 4
"""Bytes of payloads and proofs in one claim; ABI padding and meta-data take a part of the rest."""

Refusal = tuple[str, str]
"""Why something is not claimed: a code, and the same in words."""

_SAME_SECOND = "ContributionThisSecond"

_SAME_SECOND_TRIES = 5


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


def sweep_request(workspace: Workspace, item: ClaimItem) -> Request:
    """Take all that is left of a batch."""
    data = workspace.chain.encode("CollaborativeTrainer", "sweep", item.batch.as_tuple())
    return Request("sweep", [item], data, [Claim("sweep", item.batch.id, item.open)])
