"""The contracts' bookkeeping in Python: what the trainer and its stake incentive do with balances.

The same integers as `contracts/CollaborativeTrainer.sol` and `contracts/incentives/StakeIncentive.sol`, call
by call; the model is its replica. Gas is not reckoned here. Times are seconds since the model was sealed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcai_cli.chain.price import deposit_per_unit_wei
from dcai_cli.domain import Wire, bits
from dcai_cli.errors import DcaiError
from dcai_cli.models.samples import Batch, read_batch

if TYPE_CHECKING:
    from dcai_cli.domain import Terms
    from dcai_cli.models.replica import Replica

KEPT_SAMPLES = 1 << 15
"""As many are kept decoded: more than a scenario's pool usually has, and a few hundred bytes each."""

MAX_PAYLOAD_BYTES = 126_976
"""Of one contribution: its refund has to carry it, too, within the 128 KiB of a transaction."""


class Refused(DcaiError):
    """The contracts refuse this action.

    Args:
        name: the custom error that they revert with.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"The contracts refuse this: {name}.")
        self.name = name


class Sample(NamedTuple):
    """A sample as it is sent.

    Args:
        data: its bytes on the wire.
        units: its size for pricing.
    """

    data: bytes
    units: int

    @property
    def label(self) -> int:
        """Its class."""
        return self.data[0]

    def labelled(self, label: int) -> Sample:
        """The same features with another label."""
        return Sample(bytes([label]) + self.data[1:], self.units)


@dataclass(slots=True)
class Deposit:
    """A batch that was contributed, and what became of it.

    Args:
        id: its number, from 0.
        contributor: whose it is.
        added_at: when it was contributed.
        per_unit_wei: the deposit of one unit.
        samples: its samples, in order.
        informative: the bitmap of samples of which the model predicted another label.
        settled: the bitmap of samples of which nothing is left.
        paid_wei: what was paid out of it.
        reported_wei: what reports took, by sample; of those from which they took something.
        reported_by: the bitmap of samples from which a reporter took something, by reporter.
        burned_wei: what was burned when it was made, where the rules burn a share; not part of the deposit.
        seen: the bitmap of samples whose first look agreed, and when, where the rules ask for two looks.
    """

    id: int
    contributor: str
    added_at: int
    per_unit_wei: int
    samples: tuple[Sample, ...]
    informative: int
    settled: int = 0
    paid_wei: int = 0
    reported_wei: dict[int, int] = field(default_factory=dict)
    reported_by: dict[str, int] = field(default_factory=dict)
    burned_wei: int = 0
    seen: dict[int, int] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Units of the whole batch."""
        return sum(sample.units for sample in self.samples)

    @property
    def deposit_wei(self) -> int:
        """What can be paid out of it."""
        return self.per_unit_wei * self.units

    @property
    def payload_bytes(self) -> int:
        """The size of its samples as they are sent."""
        return sum(len(sample.data) for sample in self.samples)

    @property
    def open(self) -> int:
        """The bitmap of samples of which something is left."""
        return ~self.settled & ((1 << len(self.samples)) - 1)

    def left_wei(self, index: int) -> int:
        """What is left of a sample's deposit, if it is not settled."""
        return self.per_unit_wei * self.samples[index].units - self.reported_wei.get(index, 0)


@dataclass(frozen=True, slots=True)
class Variant:
    """Rules that the contracts do not have, to show what they would change.

    Args:
        looks_apart_s: a refund needs two looks at which the model agrees, so far apart; 0 for one look, as
            the contracts have it.
        burned_bp: of what a contribution costs, so many hundredths of a percent are burned at once.
        standing: what makes it: "units" of informative samples, as the contracts have it; their "wei"; or the
            wei of all "changes", of every sample that changed the model, also where the model predicted its
            label already.
    """

    looks_apart_s: int = 0
    burned_bp: int = 0
    standing: str = "units"


class StakeRules:
    """One model, its deposits, and the balances of those who take part.

    Args:
        replica: the model as it is sealed.
        terms: time-outs and price.
        balances: what everybody has to begin with, in wei.
        owner: who may sweep before others.
        variant: other rules than the contracts'.
    """

    def __init__(
        self,
        replica: Replica,
        terms: Terms,
        balances: dict[str, int],
        *,
        owner: str,
        variant: Variant | None = None,
    ) -> None:
        self.replica = replica
        self.terms = terms
        self.owner = owner
        self.variant = variant or Variant()
        self.balances_wei = dict(balances)
        self.validated_units = dict.fromkeys(balances, 0)
        """Who has how much standing; wei where the variant counts so."""
        self.total_validated_units = 0
        self.deposits: list[Deposit] = []
        self.last_contributed_at = 0
        """When the last batch came; 0, the time of sealing, before the first."""
        # What the model was asked since it last changed, and what it agreed with: bitmaps by deposit.
        self._asked: defaultdict[int, int] = defaultdict(int)
        self._agreed: defaultdict[int, int] = defaultdict(int)

    def read(self, samples: Sequence[Sample]) -> Batch:
        """Some samples as the model takes them: each is decoded once, however often it is asked about."""
        features = [_features(sample.data[1:], self.replica.wire, self.replica.counts) for sample in samples]
        return Batch(
            np.array([sample.label for sample in samples], dtype=np.int64),
            np.array([indices.size for indices, _ in features], dtype=np.int64).cumsum(),
            np.concatenate([indices for indices, _ in features], dtype=np.int64),
            np.concatenate([values for _, values in features], dtype=np.int64),
        )

    def agreed(self, asked: Sequence[tuple[Deposit, int]]) -> list[int]:
        """What the model agrees with now.

        Args:
            asked: deposits, and the bitmap of the samples that are asked about.

        Returns:
            Of each deposit the bitmap of those among them whose label the model predicts.
        """
        unknown = [
            (deposit, index)
            for deposit, mask in asked
            if mask & ~self._asked[deposit.id]
            for index in bits(mask & ~self._asked[deposit.id])
        ]
        if unknown:
            agree = self.replica.agree(self.read([deposit.samples[index] for deposit, index in unknown]))
            for place, (deposit, index) in enumerate(unknown):
                self._asked[deposit.id] |= 1 << index
                self._agreed[deposit.id] |= (agree >> place & 1) << index
        return [self._agreed[deposit.id] & mask for deposit, mask in asked]

    def quote_wei(self, units: int, now: int) -> int:
        """What a batch of so many units would cost."""
        return self._per_unit_wei(units, now) * units

    def contribute(self, who: str, samples: Sequence[Sample], now: int) -> Deposit:
        """Train the model with a batch and take its deposit.

        Raises:
            Refused: the balance does not cover it, or it does not fit into a transaction.
        """
        if sum(len(sample.data) for sample in samples) > MAX_PAYLOAD_BYTES:
            raise Refused("PayloadTooLarge")
        units = sum(sample.units for sample in samples)
        per_unit_wei = self._per_unit_wei(units, now)
        if self.balances_wei[who] < per_unit_wei * units:
            raise Refused("InsufficientDeposit")
        informative = (
            self._train_each(samples)
            if self.variant.standing == "changes"
            else self.replica.train(self.read(samples))
        )
        self._asked.clear()
        self._agreed.clear()
        self.balances_wei[who] -= per_unit_wei * units
        self.last_contributed_at = now
        burned_wei = -(-per_unit_wei * self.variant.burned_bp // 10_000)
        deposit = Deposit(
            len(self.deposits),
            who,
            now,
            per_unit_wei - burned_wei,
            tuple(samples),
            informative,
            burned_wei=burned_wei * units,
        )
        self.deposits.append(deposit)
        return deposit

    def refund(self, who: str, claims: Sequence[tuple[int, int]], now: int) -> list[tuple[int, int]]:
        """Pay back what is left of one's own samples that the model agrees with.

        Args:
            who: the contributor.
            claims: number of a batch, and the bitmap of samples that are claimed.
            now: the time.

        Returns:
            For each claim the wei, and the bitmap of the samples that were refunded.

        Raises:
            Refused: a batch of somebody else, too early, or a mask that the batch does not have.
        """
        self._not_in_the_second_of_a_contribution(now)
        plans = []
        for number, mask in claims:
            deposit = self.deposits[number]
            if deposit.contributor != who:
                raise Refused("NotContributor")
            self._reached(deposit, self.terms.refund_wait_s, now)
            if mask == 0 or mask >> len(deposit.samples):
                raise Refused("InvalidMask")
            plans.append((deposit, mask & deposit.open))
        agreed = self.agreed(plans)
        paid = []
        for (deposit, _), bitmap in zip(plans, agreed, strict=True):
            refunded = self._seen_twice(deposit, bitmap, now) if self.variant.looks_apart_s else bitmap
            paid.append((self._settle_refund(deposit, refunded), refunded))
        self.balances_wei[who] += sum(wei for wei, _ in paid)
        return paid

    def report(self, who: str, number: int, indexes: Sequence[int], now: int) -> tuple[int, int]:
        """Take one's share of samples that the model disagrees with.

        Args:
            who: the reporter.
            number: of the batch.
            indexes: of the samples.
            now: the time.

        Returns:
            The wei, and the bitmap of samples from which something was taken.

        Raises:
            Refused: one's own batch, too early, no standing, or a sample that one has reported before.
        """
        self._not_in_the_second_of_a_contribution(now)
        deposit = self.deposits[number]
        if who == deposit.contributor:
            raise Refused("ReporterIsContributor")
        self._reached(deposit, self.terms.report_wait_s, now)
        standing = self.validated_units[who]
        if standing == 0:
            raise Refused("ReporterNotValidated")
        before = deposit.reported_by.get(who, 0)
        (agreed,) = self.agreed([(deposit, sum(1 << index for index in set(indexes)))])
        amount_wei = reported = settled = 0
        taken: dict[int, int] = {}
        for index in indexes:
            bit = 1 << index
            if (before | reported) & bit:
                raise Refused("AlreadyReported")
            if (deposit.settled | agreed) & bit:
                continue
            whole_wei = deposit.per_unit_wei * deposit.samples[index].units
            wei = whole_wei * standing // self.total_validated_units
            if wei == 0:
                continue
            if wei >= (left_wei := deposit.left_wei(index)):
                wei = left_wei
                settled |= bit
            taken[index] = deposit.reported_wei.get(index, 0) + wei
            reported |= bit
            amount_wei += wei
        if reported:
            deposit.reported_wei.update(taken)
            deposit.reported_by[who] = before | reported
            deposit.settled |= settled
            deposit.paid_wei += amount_wei
            self.balances_wei[who] += amount_wei
        return amount_wei, reported

    def sweep(self, who: str, number: int, now: int) -> int:
        """Take all that is left of a batch.

        Returns:
            The wei.

        Raises:
            Refused: too early, or nothing is left.
        """
        deposit = self.deposits[number]
        terms = self.terms
        self._reached(deposit, terms.owner_wait_s if who == self.owner else terms.public_wait_s, now)
        amount_wei = deposit.deposit_wei - deposit.paid_wei
        if amount_wei == 0:
            raise Refused("NothingLeft")
        deposit.paid_wei += amount_wei
        deposit.settled = (1 << len(deposit.samples)) - 1
        self.balances_wei[who] += amount_wei
        return amount_wei

    @property
    def open_wei(self) -> int:
        """What the trainer holds: the deposits that are still open."""
        return sum(deposit.deposit_wei - deposit.paid_wei for deposit in self.deposits)

    def _per_unit_wei(self, units: int, now: int) -> int:
        return deposit_per_unit_wei(self.terms, units, now - self.last_contributed_at)

    def _train_each(self, samples: Sequence[Sample]) -> int:
        """Train the model one sample after the other; the bitmap of those that changed it."""
        changed, before = 0, self.replica.words()
        for index, sample in enumerate(samples):
            self.replica.train(self.read([sample]))
            after = self.replica.words()
            changed |= (after != before) << index
            before = after
        return changed

    def _seen_twice(self, deposit: Deposit, agreed: int, now: int) -> int:
        """Those of them whose first look was long enough ago; for the others, this is the first."""
        twice = 0
        for index in bits(agreed):
            if now - deposit.seen.setdefault(index, now) >= self.variant.looks_apart_s:
                twice |= 1 << index
        return twice

    def _settle_refund(self, deposit: Deposit, refunded: int) -> int:
        amount_wei = earned = 0
        for index in bits(refunded):
            left_wei = deposit.left_wei(index)
            amount_wei += left_wei
            if deposit.informative >> index & 1:
                earned += deposit.samples[index].units if self.variant.standing == "units" else left_wei
        deposit.settled |= refunded
        deposit.paid_wei += amount_wei
        self.validated_units[deposit.contributor] += earned
        self.total_validated_units += earned
        return amount_wei

    def _not_in_the_second_of_a_contribution(self, now: int) -> None:
        if self.deposits and now == self.last_contributed_at:
            raise Refused("ContributionThisSecond")

    @staticmethod
    def _reached(deposit: Deposit, wait_s: int, now: int) -> None:
        if now < deposit.added_at + wait_s:
            raise Refused("TooEarly")


@lru_cache(maxsize=KEPT_SAMPLES)
def _features(unlabelled: bytes, wire: Wire, counts: bool) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:  # noqa: FBT001 - a key of the cache
    """The indices and values of a sample, without its label; small types, since many are kept."""
    batch = read_batch(b"\0" + unlabelled, wire, counts=counts)
    return batch.indices.astype(np.uint32), batch.values.astype(np.int8)
