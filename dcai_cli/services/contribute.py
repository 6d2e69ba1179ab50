"""Contributing a file: rows to samples to batches to the chain, and resuming where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain import GasTooHigh
from dcai_cli.chain.commitment import samples_root
from dcai_cli.chain.verification import is_ours
from dcai_cli.domain import MAX_BATCH_SAMPLES, MAX_PAYLOAD_BYTES, MAX_TRANSACTION_GAS
from dcai_cli.errors import BadInput, DcaiError, InsufficientFunds, LimitExceeded, PartlyDone, UsageError
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.readers import read_rows
from dcai_cli.ledger.records import PlannedSample
from dcai_cli.services.accounts import ActingAccount, Password, acting_account, unlock
from dcai_cli.services.models import HostedModel, find_model, known_models, snapshot
from dcai_cli.services.transactions import GAS_MARGIN_PERCENT, recover, settle_mined, submit

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.domain import Row
    from dcai_cli.ledger import StoredBatch, StoredTransaction
    from dcai_cli.models.perceptron import Perceptron
    from dcai_cli.services.workspace import Workspace

GAS_PRICE_RISE = 4
"""How many times what was shown a unit of gas may cost before the command stops and shows it anew."""

USABLE_GAS = MAX_TRANSACTION_GAS * 100 // (100 + GAS_MARGIN_PERCENT)
"""Gas that an estimate may have so that the margin above it still fits a transaction."""


@dataclass(frozen=True, slots=True)
class ContributeRequest:
    """What the user asked for.

    Args:
        file: the rows.
        model: name or address, or None.
        account: name or address, or None.
        text_column: column of the text, over the spec's.
        label_column: column of the label, over the spec's.
        limit: rows read at most.
        batch_size: samples of a batch at most.
        allow_duplicates: send repeated rows, too.
        max_deposit_wei: deposits of this command at most.
        unverified: accept a model whose code is not what dcai ships.
        dry_run: do all but sign.
    """

    file: Path
    model: str | None = None
    account: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    limit: int | None = None
    batch_size: int = 100
    allow_duplicates: bool = False
    max_deposit_wei: int | None = None
    unverified: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ContributionPlan:
    """What a contribution will send, cost and risk; shown before anything is signed.

    Args:
        model: the model.
        account: who contributes.
        rows: rows read.
        to_send: samples to send.
        unfinished: batches that an earlier run signed, and that are not on-chain: they are sent first.
        already: rows that this account contributed before.
        skipped: rows that cannot be sent, with the reason.
        batches: batches, if none has to shrink.
        deposit_at_most_wei: deposits of all batches, sent back to back.
        fee_estimate_wei: transaction fees, from an estimate of the first batch.
        gas_price_wei: what a unit of gas was taken to cost at most.
        balance_wei: the account's balance.
        rejected: samples that the model would reject after learning all of them today.
        at_risk_wei: their part of the deposits: the expected loss.
        first_time: whether this account never contributed to this model.
    """

    model: HostedModel
    account: ActingAccount
    rows: int
    to_send: int
    unfinished: int
    already: int
    skipped: tuple[Skipped, ...]
    batches: int
    deposit_at_most_wei: int
    fee_estimate_wei: int
    gas_price_wei: int
    balance_wei: int
    rejected: int
    at_risk_wei: int
    first_time: bool


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
class Contribution:
    """What a contribution did.

    Args:
        plan: what was planned.
        batches: the batches that came on-chain, those of a broken-off run included.
        skipped: rows that were not sent, with the reason.
    """

    plan: ContributionPlan
    batches: tuple[ContributedBatch, ...]
    skipped: tuple[Skipped, ...]

    @property
    def contributed(self) -> int:
        """Samples that came on-chain."""
        return sum(batch.samples for batch in self.batches)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row with its place in the ledger."""

    row: FeaturizedRow
    planned: PlannedSample


def contribute(
    workspace: Workspace,
    request: ContributeRequest,
    *,
    password: Password,
    confirm: Callable[[ContributionPlan], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Contribution:
    """Contribute a file's rows; the same call again finishes what an earlier one left.

    Args:
        workspace: the opened parts.
        request: what to contribute, where to.
        password: asked once for the account's password.
        confirm: gets the plan before anything is signed; raises to stop.
        progress: gets (samples sent, samples in all).

    Raises:
        BadInput: the file, or all of its rows, cannot be used.
        LimitExceeded: the deposits could exceed the limit; nothing was sent.
        InsufficientFunds: the balance does not cover deposits and fees; nothing was sent.
        PartlyDone: it broke off after some batches; the same call again goes on.
    """
    if not 1 <= request.batch_size <= MAX_BATCH_SAMPLES:
        raise UsageError(
            f"A batch of {request.batch_size} samples is not possible.",
            hint=f"Choose --batch-size from 1 to {MAX_BATCH_SAMPLES}.",
        )
    rows = read_rows(request.file)
    account = acting_account(workspace, request.account)
    model = find_model(workspace, request.model, unverified=request.unverified)
    if not request.unverified:
        is_ours(workspace.chain, model.address)
    with workspace.sending(account.address):
        before = _Before(workspace, account.address, model)
        if not request.dry_run:
            before.settle_mined()
        sender = _Sender(workspace, request, account.address, model)
        plan, candidates = _plan(workspace, request, account, model, rows, sender, before)
        if not request.dry_run and (candidates or plan.unfinished):
            confirm(plan)
            key = unlock(workspace, account, password)
            before.send_again()
            sender.send_all(key, candidates, plan.gas_price_wei * GAS_PRICE_RISE, progress)
    return Contribution(plan, (*before.batches, *sender.batches), (*plan.skipped, *sender.skipped))


class _Before:
    """What an earlier run of this account left on its way.

    Args:
        workspace: the opened parts.
        address: the account.
        model: the model that is contributed to now.
    """

    def __init__(self, workspace: Workspace, address: str, model: HostedModel) -> None:
        self._workspace = workspace
        self._address = address
        self._model = model
        self.batches: list[ContributedBatch] = []
        self.keys: set[tuple[bytes, int]] = set()

    def settle_mined(self) -> None:
        """Take over what is on-chain; what was never signed is planned anew, since prices have changed."""
        self._add(settle_mined(self._workspace, self._address))
        self._workspace.ledger.drop_planned(self._workspace.chain.key, self._address, self._model.address)
        for batch in self.unfinished():
            if batch.model == self._model.address:
                self.keys |= self._workspace.ledger.keys_of(batch)

    def unfinished(self) -> list[StoredBatch]:
        """Batches that are signed and not mined: their deposits are still to be paid, whatever the model."""
        return self._workspace.ledger.batches(self._workspace.chain.key, self._address, state="signed")

    def deposit_at_most_wei(self) -> int:
        """What the unfinished batches can cost."""
        prices = {model.address: highest_unit_price_wei(model) for model in known_models(self._workspace)}
        return sum(batch.units * prices[batch.model] for batch in self.unfinished())

    def send_again(self) -> None:
        """Finish the unfinished."""
        self._add(recover(self._workspace, self._address))

    def _add(self, settled: Sequence[StoredTransaction]) -> None:
        for stored in settled:
            batch = self._workspace.ledger.batch_of(stored)
            if batch is None or batch.batch_id is None or batch.model != self._model.address:
                continue
            on_chain = batch.on_chain()
            self.keys |= self._workspace.ledger.keys_of(batch)
            self.batches.append(
                ContributedBatch(
                    batch_id=on_chain.id,
                    samples=on_chain.count,
                    informative=on_chain.informative.bit_count(),
                    deposit_wei=on_chain.deposit_wei,
                    added_at=on_chain.added_at,
                    gas_used=stored.gas_used or 0,
                    fee_wei=stored.fee_wei or 0,
                    transaction=stored.hash,
                )
            )


def _plan(
    workspace: Workspace,
    request: ContributeRequest,
    account: ActingAccount,
    model: HostedModel,
    rows: Sequence[Row],
    sender: _Sender,
    before: _Before,
) -> tuple[ContributionPlan, list[_Candidate]]:
    chain = workspace.chain
    featurized = list(
        featurize(
            rows[: request.limit],
            model.spec,
            text_column=request.text_column,
            label_column=request.label_column,
        )
    )
    usable = [row for row in featurized if isinstance(row, FeaturizedRow)]
    unusable = [row for row in featurized if isinstance(row, Skipped)]
    if not usable:
        first = unusable[0]
        raise BadInput(
            f"There is no row in {request.file} that can be sent; row {first.row}: {first.reason}.",
            hint="Check the columns and the labels; see the model's with: dcai model show",
        )
    known = workspace.ledger.contributed_keys(chain.key, account.address, model.address)
    candidates, already, repeated = _choose(
        usable, known, before.keys, allow_duplicates=request.allow_duplicates
    )
    skipped = tuple(sorted((*unusable, *repeated), key=lambda skip: skip.row))
    units = [candidate.row.units for candidate in candidates]
    unit_price_wei = highest_unit_price_wei(model)
    deposit_at_most_wei = unit_price_wei * sum(units) + before.deposit_at_most_wei()
    if request.max_deposit_wei is not None and deposit_at_most_wei > request.max_deposit_wei:
        raise LimitExceeded(
            f"The deposits can reach {deposit_at_most_wei} wei, above the limit of "
            f"{request.max_deposit_wei} wei.",
            hint="Raise --max-deposit, or send fewer rows with --limit.",
        )
    balance_wei = chain.balance_wei(account.address)
    if deposit_at_most_wei and balance_wei <= deposit_at_most_wei:
        raise _too_poor(account.address, balance_wei, deposit_at_most_wei)
    gas_price_wei = chain.fees().max_fee_per_gas_wei
    fee_estimate_wei = _estimate_gas(sender, candidates) * gas_price_wei
    if candidates and balance_wei < deposit_at_most_wei + fee_estimate_wei:
        raise _too_poor(account.address, balance_wei, deposit_at_most_wei + fee_estimate_wei)
    rejected = _rejected(snapshot(chain, model), candidates) if candidates else []
    plan = ContributionPlan(
        model=model,
        account=account,
        rows=len(featurized),
        to_send=len(candidates),
        unfinished=len(before.unfinished()),
        already=already,
        skipped=skipped,
        batches=-(-len(candidates) // request.batch_size),
        deposit_at_most_wei=deposit_at_most_wei,
        fee_estimate_wei=fee_estimate_wei,
        gas_price_wei=gas_price_wei,
        balance_wei=balance_wei,
        rejected=len(rejected),
        at_risk_wei=unit_price_wei * sum(units[position] for position in rejected),
        first_time=not known,
    )
    return plan, candidates


def _estimate_gas(sender: _Sender, candidates: Sequence[_Candidate]) -> int:
    """Gas of all batches, if each sample needs as much as those of the first batch that fits."""
    for first in range(len(candidates)):
        fitted = sender.fit(candidates[first:])
        if fitted is not None:
            return fitted.gas * (len(candidates) - first) // len(fitted.chosen)
    return 0


def highest_unit_price_wei(model: HostedModel) -> int:
    """What one unit can cost at most: the price of a batch that follows another at once.

    The price formula falls with every idle second, from cost weight * 3600 a unit.
    """
    return model.terms.cost_weight_wei * 3600


def _choose(
    rows: Sequence[FeaturizedRow],
    known: set[tuple[bytes, int]],
    recovered: set[tuple[bytes, int]],
    *,
    allow_duplicates: bool,
) -> tuple[list[_Candidate], int, list[Skipped]]:
    """Which rows are new, how many are on-chain already, and which repeat an earlier row of the file."""
    first_seen: dict[bytes, int] = {}
    times_seen: dict[bytes, int] = {}
    candidates: list[_Candidate] = []
    repeated: list[Skipped] = []
    already = 0
    for row in rows:
        occurrence = times_seen.get(row.key, 0)
        times_seen[row.key] = occurrence + 1
        first = first_seen.setdefault(row.key, row.number)
        if occurrence and not allow_duplicates:
            repeated.append(Skipped(row.number, f"repeats row {first}"))
        elif (row.key, occurrence) in known:
            already += (row.key, occurrence) not in recovered  # those count as contributed now
        else:
            candidates.append(_Candidate(row, PlannedSample(row.key, occurrence, row.number)))
    return candidates, already, repeated


def _rejected(replica: Perceptron, candidates: Sequence[_Candidate]) -> list[int]:
    """Positions of the samples that the model rejects after learning all of them."""
    samples = [candidate.row.sample for candidate in candidates]
    for sample in samples:
        replica.train(sample)
    return [position for position, sample in enumerate(samples) if not replica.agree(sample)]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A batch that fits a transaction, with what it takes."""

    chosen: Sequence[_Candidate]
    payload: bytes
    units: int
    data: bytes
    offer_wei: int
    gas: int


class _Sender:
    """Cuts candidates into batches that fit a transaction, and sends them.

    Args:
        workspace: the opened parts.
        request: what the user asked for.
        address: who contributes.
        model: the model.
    """

    def __init__(
        self, workspace: Workspace, request: ContributeRequest, address: str, model: HostedModel
    ) -> None:
        self._workspace = workspace
        self._request = request
        self._address = address
        self._model = model
        self._size = request.batch_size
        self._fitted: _Fitted | None = None
        self.batches: list[ContributedBatch] = []
        self._skipped: dict[int, Skipped] = {}

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Rows that fit no transaction."""
        return tuple(self._skipped.values())

    def send_all(
        self,
        key: LocalAccount,
        candidates: Sequence[_Candidate],
        gas_price_limit_wei: int,
        progress: Callable[[int, int], None],
    ) -> None:
        """Send every candidate that fits a transaction, while gas costs no more than the limit.

        Raises:
            PartlyDone: it broke off after some batches.
        """
        # The plan has looked at the first ones already.
        queue = [candidate for candidate in candidates if candidate.row.number not in self._skipped]
        sent, total = 0, len(queue)
        while queue:
            progress(sent, total)
            try:
                fitted = self.fit(queue)
                if fitted is None:
                    queue = queue[1:]
                    continue
                self._send(key, fitted, gas_price_limit_wei)
            except DcaiError as error:
                if not self.batches:
                    raise
                raise PartlyDone(
                    f"{sent} of {total} samples are on-chain; then: {error.message}",
                    hint=f"{error.hint} The same command again goes on where this one stopped.".strip(),
                ) from error
            queue = queue[len(fitted.chosen) :]
            sent += len(fitted.chosen)
        progress(sent, total)

    def fit(self, candidates: Sequence[_Candidate]) -> _Fitted | None:
        """The largest batch of the first candidates that fits a transaction.

        Returns:
            The batch, the same until it is sent; None if the first candidate fits none, and was skipped.
        """
        while self._fitted is None:
            chosen = self._fit_bytes(candidates[: self._size])
            if not chosen:
                self._skip(candidates[0], "is too long for one transaction")
                return None
            fitted = self._measure(chosen)
            if fitted.gas <= USABLE_GAS:
                self._fitted = fitted
            elif len(chosen) == 1:
                self._skip(chosen[0], "needs more gas than one transaction may use; try it again later")
                return None
            else:
                self._size = max(1, len(chosen) // 2)
        return self._fitted

    def _skip(self, candidate: _Candidate, reason: str) -> None:
        # The plan looks at the first candidates before they are sent: a row is skipped once all the same.
        self._skipped[candidate.row.number] = Skipped(candidate.row.number, reason)

    def _fit_bytes(self, candidates: Sequence[_Candidate]) -> Sequence[_Candidate]:
        room = MAX_PAYLOAD_BYTES
        for count, candidate in enumerate(candidates):
            room -= len(candidate.row.sample)
            if room < 0:
                return candidates[:count]
        return candidates

    def _measure(self, chosen: Sequence[_Candidate]) -> _Fitted:
        payload = b"".join(candidate.row.sample for candidate in chosen)
        units = sum(candidate.row.units for candidate in chosen)
        data = self._workspace.chain.encode("CollaborativeTrainer", "contribute", payload)
        # The ceiling that goes along is what the batch can cost at most, whoever contributes before it: the
        # contract keeps the price of the moment and returns the rest in the same transaction.
        offer_wei = highest_unit_price_wei(self._model) * units
        balance_wei = self._workspace.chain.balance_wei(self._address)
        if balance_wei <= offer_wei:
            raise _too_poor(self._address, balance_wei, offer_wei)
        try:
            gas = self._workspace.chain.estimate_gas(self._address, self._model.address, data, offer_wei)
        except GasTooHigh:
            gas = MAX_TRANSACTION_GAS
        return _Fitted(chosen, payload, units, data, offer_wei, gas)

    def _send(self, key: LocalAccount, fitted: _Fitted, gas_price_limit_wei: int) -> None:
        workspace, count = self._workspace, len(fitted.chosen)
        batch = workspace.ledger.plan_batch(
            workspace.chain.key,
            self._address,
            self._model.address,
            payload=fitted.payload,
            units=fitted.units,
            samples_root=samples_root([candidate.row.sample for candidate in fitted.chosen]),
            rows=[candidate.planned for candidate in fitted.chosen],
        )
        sent = submit(
            workspace,
            key,
            kind="contribute",
            to=self._model.address,
            data=fitted.data,
            value_wei=fitted.offer_wei,
            gas_estimate=fitted.gas,
            model=self._model.address,
            batch=batch,
            gas_price_limit_wei=gas_price_limit_wei,
        )
        assert sent.outcome.contributed is not None
        batch_id, added_at, deposit_per_unit_wei, informative = sent.outcome.contributed
        self.batches.append(
            ContributedBatch(
                batch_id=batch_id,
                samples=count,
                informative=informative.bit_count(),
                deposit_wei=deposit_per_unit_wei * fitted.units,
                added_at=added_at,
                gas_used=sent.gas_used,
                fee_wei=sent.fee_wei,
                transaction=sent.hash,
            )
        )
        self._fitted = None
        # Fresh words cost most, and later batches find fewer of them: let the batch grow again.
        self._size = max(1, min(self._request.batch_size, USABLE_GAS * count // fitted.gas))


def _too_poor(address: str, balance_wei: int, needed_wei: int) -> InsufficientFunds:
    return InsufficientFunds(
        f"Deposits and fees can take {needed_wei} wei; {address} has {balance_wei} wei.",
        hint="Send ether to the account, or send fewer rows: --limit N",
    )
