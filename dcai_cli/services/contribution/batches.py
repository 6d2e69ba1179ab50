"""Batches: cutting samples into some that fit a transaction, and sending them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from dcai_cli.chain import GasTooHigh
from dcai_cli.chain.commitment import samples_root
from dcai_cli.domain import MAX_PAYLOAD_BYTES, MAX_TRANSACTION_GAS, counted
from dcai_cli.errors import DcaiError, PartlyDone, Reverted, and_goes_on
from dcai_cli.features.featurize import FeaturizedRow, Skipped
from dcai_cli.ledger.records import PlannedSample
from dcai_cli.services.contribution.offers import (
    deposit_wei,
    highest_unit_price_wei,
    idle_s,
    required_wei,
    too_dear,
    too_poor,
)
from dcai_cli.services.models import HostedModel
from dcai_cli.services.transactions import USABLE_GAS, Outbox

if TYPE_CHECKING:
    from fractions import Fraction

    from dcai_cli.services.workspace import Workspace

Pace = Callable[[int, Callable[[], None]], None]
"""Waits until the next batch is due; gets how many samples are left, and what waits for those under way."""


@dataclass(frozen=True, slots=True)
class ContributedBatch:
    """A batch that is on-chain."""

    batch_id: int
    samples: int
    informative: int
    deposit_wei: int
    added_at: int
    gas_used: int
    fee_wei: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row with its place in the ledger."""

    row: FeaturizedRow
    planned: PlannedSample


@dataclass(frozen=True, slots=True)
class FittedBatch:
    """A batch that fits a transaction, with what it takes.

    Args:
        chosen: its samples.
        payload: the same as bytes.
        units: how many there are in it.
        data: the input.
        offer_wei: the deposit that goes along; the contract returns what is more than the price.
        gas: what it needs.
        quoted_wei: what it would have cost at once when it was measured, if the offer has a ceiling by that;
            None if it offers the highest price there can be.
    """

    chosen: Sequence[Candidate]
    payload: bytes
    units: int
    data: bytes
    offer_wei: int
    gas: int
    quoted_wei: int | None = None


class BatchSender:
    """Cuts candidates into batches that fit a transaction, and sends them.

    Args:
        workspace: the opened parts.
        batch_size: samples of a batch at most.
        address: who contributes.
        model: the model.
        max_rise: how many percent dearer than at once a batch may become that follows none of the account's
            own on their way; None for no ceiling.
        follows: whether batches of an earlier run go first, to the same model.
    """

    def __init__(
        self,
        workspace: Workspace,
        batch_size: int,
        address: str,
        model: HostedModel,
        *,
        max_rise: Fraction | None = None,
        follows: bool = False,
    ) -> None:
        self._workspace = workspace
        self._max_rise = max_rise
        self._follows = follows
        self._batch_size = batch_size
        self._address = address
        self._model = model
        self._size = batch_size
        self._fitted: FittedBatch | None = None
        self._posted: dict[int, FittedBatch] = {}
        self.batches: list[ContributedBatch] = []
        self._skipped: dict[int, Skipped] = {}

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Rows that fit no transaction."""
        return tuple(self._skipped.values())

    @property
    def next_batch(self) -> FittedBatch | None:
        """The batch that was fitted and is not sent yet."""
        return self._fitted

    def send_all(
        self,
        outbox: Outbox,
        candidates: Sequence[Candidate],
        progress: Callable[[int, int], None],
        pace: Pace = lambda _left, _settle: None,
    ) -> None:
        """Send every candidate that fits a transaction, several batches at a time, in order.

        Args:
            outbox: sends; its ceiling is what a unit of gas may cost.
            candidates: the samples.
            progress: gets (samples on-chain, samples in all).
            pace: called before each batch but the first, with how many samples are left, and what waits for
                those on their way; returns when it is time.

        Raises:
            PartlyDone: it broke off after some batches.
        """
        # The plan has looked at the first ones already.
        queue = [candidate for candidate in candidates if candidate.row.number not in self._skipped]
        total = len(queue)

        def settle() -> None:
            while outbox.flying:
                progress(self._samples, total)
                self._wait(outbox)

        try:
            while queue:
                progress(self._samples, total)
                while outbox.is_full:
                    self._wait(outbox)
                if self._posted:
                    pace(len(queue), settle)
                fitted = self.fit(queue, pending=bool(outbox.flying))
                if fitted is None:
                    queue = queue[1:]
                    continue
                self._post(outbox, fitted)
                queue = queue[len(fitted.chosen) :]
            settle()
        except DcaiError as error:
            flying = self._wait_for_rest(outbox)
            if not self.batches and not flying:
                raise
            also = f", {flying} on their way" if flying else ""
            of_all = counted(total, "sample is", "samples are")
            raise PartlyDone(
                f"{self._samples:,} of {of_all} on-chain{also}; then: {error.message}",
                hint=and_goes_on(error.hint),
            ) from error
        progress(self._samples, total)

    def _wait_for_rest(self, outbox: Outbox) -> int:
        """Wait for those behind one that failed, which are on their way all the same.

        Returns:
            How many samples are still on their way afterwards.
        """
        while outbox.flying:
            before = len(outbox.flying)
            with suppress(DcaiError):
                self._wait(outbox)
            if len(outbox.flying) == before:
                break
        return sum(len(self._posted[stored.id].chosen) for stored in outbox.flying)

    @property
    def _samples(self) -> int:
        return sum(batch.samples for batch in self.batches)

    def fit(self, candidates: Sequence[Candidate], *, pending: bool = False) -> FittedBatch | None:
        """The largest batch of the first candidates that fits a transaction.

        Args:
            candidates: the samples.
            pending: whether to reckon with what is on its way.

        Returns:
            The batch, the same until it is sent; None if the first candidate fits none, and was skipped.
        """
        while self._fitted is None:
            chosen = self._fit_bytes(candidates[: self._size])
            if not chosen:
                self._skip(candidates[0], "is too long for one transaction")
                return None
            fitted = self._measure(chosen, pending=pending)
            if fitted.gas <= USABLE_GAS:
                self._fitted = fitted
            elif len(chosen) == 1:
                self._skip(chosen[0], "needs more gas than one transaction may use; try it again later")
                return None
            else:
                self._size = max(1, len(chosen) // 2)
        return self._fitted

    def _skip(self, candidate: Candidate, reason: str) -> None:
        # The plan looks at the first candidates before they are sent: a row is skipped once all the same.
        self._skipped[candidate.row.number] = Skipped(candidate.row.number, reason, "too-large")

    def _fit_bytes(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        room = MAX_PAYLOAD_BYTES
        for count, candidate in enumerate(candidates):
            room -= len(candidate.row.sample)
            if room < 0:
                return candidates[:count]
        return candidates

    def _measure(self, chosen: Sequence[Candidate], *, pending: bool) -> FittedBatch:
        payload = b"".join(candidate.row.sample for candidate in chosen)
        units = sum(candidate.row.units for candidate in chosen)
        data = self._workspace.chain.encode("CollaborativeTrainer", "contribute", payload)
        # What goes along is what the batch can cost at most, whoever contributes before it: the contract
        # keeps the price of the moment and returns the rest in the same transaction. With a ceiling it is
        # less, and the contract refuses the batch if others made it dearer. What follows own batches at once
        # is about as dear as can be, so it has none.
        offer_wei, quoted_wei = highest_unit_price_wei(self._model) * units, None
        if self._max_rise is not None and not pending and (self._posted or not self._follows):
            quoted_wei = self._price_now_wei(units)
            offer_wei = min(offer_wei, ceil(quoted_wei * (1 + self._max_rise / 100)))
        balance_wei = self._workspace.chain.balance_wei(self._address)
        if offer_wei and balance_wei <= offer_wei:
            raise too_poor(self._address, balance_wei, offer_wei)
        try:
            gas = self._workspace.chain.estimate_gas(
                self._address, self._model.address, data, offer_wei, pending=pending
            )
        except GasTooHigh:
            gas = MAX_TRANSACTION_GAS
        except Reverted as error:
            price_wei = required_wei(error)
            if quoted_wei is None or price_wei is None:
                raise
            raise too_dear(price_wei, offer_wei) from error
        return FittedBatch(chosen, payload, units, data, offer_wei, gas, quoted_wei)

    def _price_now_wei(self, units: int) -> int:
        return deposit_wei(self._model, units, idle_s(self._workspace.chain, self._model))

    def _post(self, outbox: Outbox, fitted: FittedBatch) -> None:
        workspace, count = self._workspace, len(fitted.chosen)
        if fitted.quoted_wei is not None:
            # It was measured for the plan, and a question may have waited long for its answer.
            price_wei = self._price_now_wei(fitted.units)
            if price_wei > fitted.offer_wei:
                raise too_dear(price_wei, fitted.offer_wei)
        batch = workspace.ledger.plan_batch(
            workspace.chain.key,
            self._address,
            self._model.address,
            payload=fitted.payload,
            units=fitted.units,
            samples_root=samples_root([candidate.row.sample for candidate in fitted.chosen]),
            rows=[candidate.planned for candidate in fitted.chosen],
        )
        stored = outbox.post(
            kind="contribute",
            to=self._model.address,
            data=fitted.data,
            value_wei=fitted.offer_wei,
            gas_estimate=fitted.gas,
            model=self._model.address,
            batch=batch,
        )
        self._posted[stored.id] = fitted
        self._fitted = None
        # Fresh words cost most, and later batches find fewer of them: let the batch grow again.
        self._size = max(1, min(self._batch_size, USABLE_GAS * count // fitted.gas))

    def _wait(self, outbox: Outbox) -> None:
        oldest = outbox.flying[0]
        try:
            stored, sent = outbox.wait()
        except Reverted as error:
            refused, price_wei = self._posted[oldest.id], required_wei(error)
            if refused.quoted_wei is None or price_wei is None:
                raise
            as_mined = self._workspace.ledger.transaction(oldest.id)
            raise too_dear(price_wei, refused.offer_wei, as_mined) from error
        fitted, opened = self._posted[stored.id], sent.outcome.contributed
        if opened is None:
            raise DcaiError(
                f"The node says that transaction {sent.hash} is mined, and shows no contribution in it.",
                hint="Ask another node, and type the same command again: --rpc-url URL",
            )
        self.batches.append(
            ContributedBatch(
                batch_id=opened.batch_id,
                samples=len(fitted.chosen),
                informative=opened.informative.bit_count(),
                deposit_wei=opened.deposit_per_unit_wei * fitted.units,
                added_at=opened.added_at,
                gas_used=sent.gas_used,
                fee_wei=sent.fee_wei,
                transaction=sent.hash,
            )
        )
