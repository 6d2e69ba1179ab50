"""What can be claimed of a batch, when a claim is worth it, and what was left for which reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.domain import Batch, bits
from dcai_cli.services.models import HostedModel

if TYPE_CHECKING:
    from dcai_cli.ledger import StoredBatch

DEADLINE_MARGIN_S = 6 * 3600
"""So long before others can take a deposit, a daemon lets claiming it cost more."""

CLAIM_KINDS = ("refund", "report", "sweep")
"""Transactions that claim."""


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
    def claimable_samples(self) -> int:
        """How many of these claiming now would settle or draw on."""
        return self.samples if self.sweep else self.claimable.bit_count()

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


def sweep_wait_s(model: HostedModel, address: str) -> int:
    """After how long an address may sweep what is left of a batch."""
    owns = address.lower() == model.owner.lower()
    return model.terms.owner_wait_s if owns else model.terms.public_wait_s


def waiting_item(model: HostedModel, stored: StoredBatch, due_at: int, expires_at: int | None) -> ClaimItem:
    """A batch as it stands in the ledger, before anybody asked the model."""
    batch = stored.on_chain()
    # A sample whose label the model predicted when it came earns no point.
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
