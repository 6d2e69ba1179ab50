"""Contributing a file: rows to samples to batches to the chain, and resuming where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain.price import deposit_per_unit_wei
from dcai_cli.chain.signing import decode_signed
from dcai_cli.chain.verification import is_ours
from dcai_cli.domain import MAX_BATCH_SAMPLES, counted, told_apart
from dcai_cli.errors import BadInput, LimitExceeded, Locked, UsageError
from dcai_cli.features.cluster import featurizer
from dcai_cli.features.featurize import FeaturizedRow, Skipped
from dcai_cli.features.findings import DataChecks, Finding
from dcai_cli.features.readers import RowSource, Source, check_source, open_rows
from dcai_cli.ledger.fold import UNSETTLED
from dcai_cli.ledger.records import PlannedSample
from dcai_cli.services.accounts import ActingAccount, Password, acting_account, unlock
from dcai_cli.services.batches import (
    BatchSender,
    Candidate,
    ContributedBatch,
    highest_unit_price_wei,
    idle_s,
    too_poor,
)
from dcai_cli.services.index import follow, sample_key
from dcai_cli.services.models import HostedModel, find_model, hints_naming, known_models, snapshot
from dcai_cli.services.settling import recheck
from dcai_cli.services.transactions import (
    ENVELOPE_BYTES,
    FEE_RISE,
    GAS_MARGIN_PERCENT,
    Outbox,
    finish,
    settle_mined,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import Chain
    from dcai_cli.ledger import StoredBatch, StoredTransaction
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Turn, Workspace

LONGEST_NAP_S = 30.0
"""A spread contribution looks at the chain's clock so often, which can be ahead of this machine's."""


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
        max_fee_wei: fees of this command's transactions at most.
        max_rise: how many percent dearer than when it was quoted a batch may become that follows none of the
            account's own at once; None for no ceiling.
        spread_s: how long the batches are spread over, so that each costs less; 0 sends them at once.
        unverified: accept a model whose code is not what dcai ships.
        dry_run: do all but sign.
        scheduler: the address of a Dask cluster that featurizes; None for this process.
    """

    file: Source | Path
    model: str | None = None
    account: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    limit: int | None = None
    batch_size: int = 100
    allow_duplicates: bool = False
    max_deposit_wei: int | None = None
    max_fee_wei: int | None = None
    max_rise: Fraction | None = None
    spread_s: int = 0
    unverified: bool = False
    dry_run: bool = False
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """How batches are paced.

    Args:
        seconds: the time that they are spread over.
        interval_s: from the start of a full batch to that of the next.
        batches: how many, if each has room for as many samples as the first.
        deposit_alone_wei: what their deposits come to if nobody else contributes meanwhile.
    """

    seconds: int
    interval_s: int
    batches: int
    deposit_alone_wei: int


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the first batch may cost; those that follow it at once cost nearly the highest price anyway.

    Args:
        samples: how many it has.
        quoted_wei: its deposit if it were mined now.
        offer_wei: the ceiling: what it offers.
    """

    samples: int
    quoted_wei: int
    offer_wei: int


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
        findings: what is doubtful in the rows, sent or not.
        sorted_by_label: whether the rows stand in groups of one label: a model forgets the first of them.
        batches: batches, if none has to shrink.
        deposit_at_most_wei: deposits of all batches, sent back to back.
        ceiling: what the first batch may cost; None if no ceiling was asked for, or if batches of an earlier
            run go first.
        spread: how the batches are paced; None if they are sent at once.
        gas: gas of all batches, from an estimate of the first.
        fee_estimate_wei: fees if the next blocks take them.
        fee_offer_wei: fees that have to be offered now, which leave room for dearer blocks and more gas.
        fee_at_most_wei: fees that are never exceeded, however dear gas gets.
        data_fee_wei: the part of the estimate that a layer 2 takes for the data.
        gas_price_wei: what a unit of gas is offered at most now.
        balance_wei: the account's balance.
        rejected: samples that the model would reject after learning all of them today.
        at_risk_wei: their part of the deposits: the expected loss; 0 for points.
        first_time: whether this account never contributed to this model.
    """

    model: HostedModel
    account: ActingAccount
    rows: int
    to_send: int
    unfinished: int
    already: int
    skipped: tuple[Skipped, ...]
    findings: tuple[Finding, ...]
    sorted_by_label: bool
    batches: int
    deposit_at_most_wei: int
    ceiling: Ceiling | None
    spread: Spread | None
    gas: int
    fee_estimate_wei: int
    fee_offer_wei: int
    fee_at_most_wei: int
    data_fee_wei: int
    gas_price_wei: int
    balance_wei: int
    rejected: int
    at_risk_wei: int
    first_time: bool

    @property
    def loss_wei(self) -> int:
        """What is gone in the end by what is known now: fees, and deposits of what the model rejects."""
        return self.fee_estimate_wei + self.at_risk_wei

    @property
    def total_at_most_wei(self) -> int:
        """What deposits and fees take from the balance at most, before any deposit comes back."""
        return self.deposit_at_most_wei + self.fee_at_most_wei


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

    @property
    def informative(self) -> int:
        """Samples of them of which the model predicted another label."""
        return sum(batch.informative for batch in self.batches)


def contribute(
    workspace: Workspace,
    request: ContributeRequest,
    *,
    password: Password,
    confirm: Callable[[ContributionPlan], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    note: Callable[[str], None] = lambda _: None,
) -> Contribution:
    """Contribute a file's rows; the same call again finishes what an earlier one left.

    Args:
        workspace: the opened parts.
        request: what to contribute, where to.
        password: asked once for the account's password.
        confirm: gets the plan before anything is signed; raises to stop.
        progress: gets (samples sent, samples in all).
        note: is told of an encoding other than UTF-8, of columns that a tabular model does not use, and of
            batches of an earlier run that were refused.

    Raises:
        BadInput: the file, or all of its rows, cannot be used.
        LimitExceeded: the deposits could exceed the limit, and nothing was sent; or others made the first
            batch dearer than its ceiling.
        InsufficientFunds: the balance does not cover deposits and fees; nothing was sent.
        PartlyDone: it broke off after some batches; the same call again goes on.
    """
    if not 1 <= request.batch_size <= MAX_BATCH_SAMPLES:
        raise UsageError(
            f"A batch of {request.batch_size} samples is not possible.",
            hint=f"Choose --batch-size from 1 to {MAX_BATCH_SAMPLES}.",
        )
    check_source(request.file)
    account = acting_account(workspace, request.account)
    model = find_model(workspace, request.model, unverified=request.unverified)
    with (
        hints_naming(model),
        open_rows(request.file, note=note, vector_column=model.spec.vector_column) as rows,
    ):
        if not request.unverified:
            is_ours(workspace.chain, model.address)
        with workspace.sending(account.address) as turn:
            before = _Before(workspace, account.address, model)
            if not request.dry_run:
                before.settle_mined()
            sender = BatchSender(
                workspace,
                request.batch_size,
                account.address,
                model,
                max_rise=request.max_rise,
                follows=any(batch.model == model.address for batch in before.unfinished()),
            )
            plan, candidates = _plan(workspace, request, account, model, rows, sender, before, note)
            if not request.dry_run and (candidates or plan.unfinished):
                with turn.aside():
                    confirm(plan)
                before.check_untouched(candidates)
                key = unlock(workspace, account, password)
                ceiling_wei = plan.gas_price_wei * FEE_RISE
                spent_wei = before.send_again(key, ceiling_wei, plan.fee_at_most_wei)
                if before.refused:
                    refused = counted(before.refused, "batch of an earlier run", "batches of an earlier run")
                    note(f"The contract refused {refused}; type the same command again to send the rows.")
                outbox = Outbox(
                    workspace,
                    account.address,
                    key,
                    ceiling_wei=ceiling_wei,
                    budget_wei=max(0, plan.fee_at_most_wei - spent_wei),
                )
                pace = _Pace(workspace, turn, request.spread_s, len(candidates))
                sender.send_all(outbox, candidates, progress, pace.wait)
                recheck(workspace, account.address)
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
        self._known: set[tuple[bytes, int]] = set()
        self.refused = 0

    def settle_mined(self) -> None:
        """Take over what is on-chain; what was never signed is planned anew, since prices have changed."""
        settled = settle_mined(self._workspace, self._address)
        if self._workspace.ledger.has_lost_contribution(*self._place):
            # The chain knows its rows: they must not go out again.
            follow(self._workspace, [self._model])
            settle_mined(self._workspace, self._address)  # what the index forgot of replaced blocks
        self._add(settled)
        self._workspace.ledger.drop_planned(*self._place)
        for batch in self.unfinished():
            if batch.model == self._model.address:
                self.keys |= self._workspace.ledger.keys_of(batch)
        self._known = self._workspace.ledger.contributed_keys(*self._place)

    @property
    def _place(self) -> tuple[str, str, str]:
        return self._workspace.chain.key, self._address, self._model.address

    def check_untouched(self, candidates: Sequence[Candidate]) -> None:
        """Make sure that the plan still holds, after others could send meanwhile.

        Raises:
            Locked: another process contributed some of its rows.
        """
        new = self._workspace.ledger.contributed_keys(*self._place) - self._known
        taken = sum((row.planned.key, row.planned.occurrence) in new for row in candidates)
        if taken:
            raise Locked(
                f"Another process contributed {taken} of these rows meanwhile; nothing was sent.",
                hint="Run the same command again.",
            )

    def unfinished(self) -> list[StoredBatch]:
        """Batches that are signed and not mined: their deposits are still to be paid, whatever the model."""
        return self._workspace.ledger.batches(self._workspace.chain.key, self._address, state="signed")

    def deposit_at_most_wei(self) -> int:
        """What the unfinished batches can cost."""
        prices = {model.address: highest_unit_price_wei(model) for model in known_models(self._workspace)}
        return sum(batch.units * prices[batch.model] for batch in self.unfinished())

    def fee_at_most_wei(self, ceiling_wei: int) -> int:
        """What the fees of all that is on its way can cost, replaced up to the ceiling where it is stuck."""
        chain = self._workspace.chain
        flying = self._workspace.ledger.transactions(chain.key, account=self._address, states=UNSETTLED)
        offers = [decode_signed(stored.raw) for stored in flying]
        return sum(offer.gas * max(offer.fees.max_fee_per_gas_wei, ceiling_wei) for offer in offers)

    def send_again(self, key: LocalAccount, ceiling_wei: int, budget_wei: int) -> int:
        """Finish the unfinished.

        Returns:
            What its fees came to.
        """
        settled = finish(self._workspace, self._address, key, ceiling_wei=ceiling_wei, budget_wei=budget_wei)
        self._add(settled)
        self.refused = sum(
            (stored.kind, stored.state, stored.model) == ("contribute", "reverted", self._model.address)
            for stored in settled
        )
        return sum(stored.fee_wei or 0 for stored in settled)

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


class _Pace:
    """Spreads batches over a time, as many samples of it as are sent.

    Args:
        workspace: the opened parts.
        turn: others may send in the pauses.
        spread_s: the time; 0 for none.
        samples: how many samples there are in all.
    """

    def __init__(self, workspace: Workspace, turn: Turn, spread_s: int, samples: int) -> None:
        self._workspace = workspace
        self._turn = turn
        self._spread_s = spread_s
        self._samples = samples
        self._start = workspace.chain.timestamp() if spread_s else 0
        self._start_here = workspace.clock()

    def wait(self, left: int, settle: Callable[[], None]) -> None:
        """Wait until the next batch is due; before that, until nothing is on its way."""
        if not self._spread_s:
            return
        due_s = self._spread_s * (self._samples - left) // self._samples
        if due_s <= self._passed_s():
            return
        settle()
        with self._turn.aside():
            while (ahead_s := due_s - self._passed_s()) > 0:
                self._workspace.sleep(min(ahead_s, LONGEST_NAP_S))

    def _passed_s(self) -> float:
        """How long it is ago that it began: a chain whose blocks wait for transactions stands still."""
        chain_s = self._workspace.chain.timestamp() - self._start
        return max(chain_s, self._workspace.clock() - self._start_here)


def _plan(
    workspace: Workspace,
    request: ContributeRequest,
    account: ActingAccount,
    model: HostedModel,
    rows: RowSource,
    sender: BatchSender,
    before: _Before,
    note: Callable[[str], None],
) -> tuple[ContributionPlan, list[Candidate]]:
    chain = workspace.chain
    with featurizer(request.scheduler) as featurize:
        featurized = list(
            featurize(
                rows.part(limit=request.limit),
                model.spec,
                text_column=request.text_column,
                label_column=request.label_column,
                note=note,
            )
        )
    checks = DataChecks()
    for row in featurized:
        checks.add(row)
    usable = [row for row in featurized if isinstance(row, FeaturizedRow)]
    unusable = [row for row in featurized if isinstance(row, Skipped)]
    if not usable:
        first = unusable[0]
        raise BadInput(
            f"There is no row in {request.file} that can be sent; row {first.row}: {first.reason}.",
            hint=f"Check the columns and the labels; see the model's with: dcai model show {model.typed}",
        )
    known = workspace.ledger.contributed_keys(chain.key, account.address, model.address)
    candidates, already, repeated = _choose(
        usable, known, before.keys, allow_duplicates=request.allow_duplicates
    )
    candidates, already_by_sample = _without_sent(workspace, account.address, model, candidates)
    already += already_by_sample
    skipped = tuple(sorted((*unusable, *repeated), key=lambda skip: skip.row))
    units = [candidate.row.units for candidate in candidates]
    unit_price_wei = highest_unit_price_wei(model)
    deposit_at_most_wei = unit_price_wei * sum(units) + before.deposit_at_most_wei()
    estimate = None
    if request.max_rise is not None:
        estimate = _estimate(chain, sender, candidates)
        if (capped := sender.next_batch) is not None:
            deposit_at_most_wei -= unit_price_wei * capped.units - capped.offer_wei
    if request.max_deposit_wei is not None and deposit_at_most_wei > request.max_deposit_wei:
        deposit, limit = told_apart(deposit_at_most_wei, request.max_deposit_wei)
        raise LimitExceeded(
            f"The deposits can reach {deposit}, above the limit of {limit}.",
            hint="Raise --max-deposit, or send fewer rows with --limit.",
        )
    balance_wei = chain.balance_wei(account.address)
    if deposit_at_most_wei and balance_wei <= deposit_at_most_wei:
        raise too_poor(account.address, balance_wei, deposit_at_most_wei)
    fees = chain.fees()
    gas, data_fee_wei, size = estimate or _estimate(chain, sender, candidates)
    fee_offer_wei = (gas * fees.max_fee_per_gas_wei + data_fee_wei) * (100 + GAS_MARGIN_PERCENT) // 100
    if candidates and balance_wei < deposit_at_most_wei + fee_offer_wei:
        what = "Deposits and fees" if deposit_at_most_wei else "Fees"
        raise too_poor(account.address, balance_wei, deposit_at_most_wei + fee_offer_wei, what)
    if request.max_fee_wei is not None and fee_offer_wei > request.max_fee_wei:
        offered, limit = told_apart(fee_offer_wei, request.max_fee_wei)
        raise LimitExceeded(
            f"The fees can reach {offered} by what is offered now, above the limit of {limit}.",
            hint="Raise --max-fee, send fewer rows with --limit, or wait until gas is cheaper.",
        )
    fee_at_most_wei = request.max_fee_wei
    if fee_at_most_wei is None:
        fee_at_most_wei = fee_offer_wei * FEE_RISE + before.fee_at_most_wei(
            fees.max_fee_per_gas_wei * FEE_RISE
        )
    rejected = _rejected(snapshot(chain, model), candidates) if candidates else []
    plan = ContributionPlan(
        model=model,
        account=account,
        rows=len(featurized),
        to_send=len(candidates),
        unfinished=len(before.unfinished()),
        already=already,
        skipped=skipped,
        findings=checks.findings(),
        sorted_by_label=checks.is_sorted,
        batches=-(-len(candidates) // request.batch_size),
        deposit_at_most_wei=deposit_at_most_wei,
        ceiling=_ceiling(sender),
        spread=_spread(chain, request.spread_s, model, candidates, size),
        gas=gas,
        fee_estimate_wei=gas * fees.likely_price_wei + data_fee_wei,
        fee_offer_wei=fee_offer_wei,
        fee_at_most_wei=fee_at_most_wei,
        data_fee_wei=data_fee_wei,
        gas_price_wei=fees.max_fee_per_gas_wei,
        balance_wei=balance_wei,
        rejected=len(rejected),
        at_risk_wei=_at_most_wei(sender, model, [candidates[position] for position in rejected]),
        first_time=not known,
    )
    return plan, candidates


def _estimate(chain: Chain, sender: BatchSender, candidates: Sequence[Candidate]) -> tuple[int, int, int]:
    """Gas and data fee of all batches, if each sample needs as much as those of the first that fits.

    Returns:
        Gas, data fee, and how many samples the first has; all 0 if none fits.
    """
    for first in range(len(candidates)):
        fitted = sender.fit(candidates[first:])
        if fitted is not None:
            size = len(fitted.chosen)
            batches = -(-(len(candidates) - first) // size)
            data_fee_wei = chain.data_fee_wei(len(fitted.data) + ENVELOPE_BYTES, gas=fitted.gas)
            return fitted.gas * (len(candidates) - first) // size, batches * data_fee_wei, size
    return 0, 0, 0


def _ceiling(sender: BatchSender) -> Ceiling | None:
    first = sender.next_batch
    if first is None or first.quoted_wei is None:
        return None
    return Ceiling(len(first.chosen), first.quoted_wei, first.offer_wei)


def _at_most_wei(sender: BatchSender, model: HostedModel, some: Sequence[Candidate]) -> int:
    """What the deposits of some candidates can come to: those of the first batch by what that offers."""
    first, unit_price_wei = sender.next_batch, highest_unit_price_wei(model)
    offered = set() if first is None else {candidate.row.number for candidate in first.chosen}
    units_in_first = sum(candidate.row.units for candidate in some if candidate.row.number in offered)
    units_behind = sum(candidate.row.units for candidate in some) - units_in_first
    in_first_wei = 0 if first is None else -(-first.offer_wei * units_in_first // first.units)
    return in_first_wei + unit_price_wei * units_behind


def _spread(
    chain: Chain, spread_s: int, model: HostedModel, candidates: Sequence[Candidate], size: int
) -> Spread | None:
    """What pacing does to the deposits: each batch is as idle as those before let it be."""
    if not spread_s or not size:
        return None
    total = len(candidates)
    idle, due_s, deposit_wei = idle_s(chain, model), 0, 0
    for start in range(0, total, size):
        idle, due_s = idle + spread_s * start // total - due_s, spread_s * start // total
        units = sum(candidate.row.units for candidate in candidates[start : start + size])
        deposit_wei += units * deposit_per_unit_wei(model.terms, units, idle)
        idle = 0
    return Spread(
        seconds=spread_s,
        interval_s=spread_s * min(size, total) // total,
        batches=-(-total // size),
        deposit_alone_wei=deposit_wei if not model.has_points else 0,
    )


def _choose(
    rows: Sequence[FeaturizedRow],
    known: set[tuple[bytes, int]],
    recovered: set[tuple[bytes, int]],
    *,
    allow_duplicates: bool,
) -> tuple[list[Candidate], int, list[Skipped]]:
    """Which rows are new, how many are on-chain already, and which repeat an earlier row of the file."""
    first_seen: dict[bytes, int] = {}
    times_seen: dict[bytes, int] = {}
    candidates: list[Candidate] = []
    repeated: list[Skipped] = []
    already = 0
    for row in rows:
        occurrence = times_seen.get(row.key, 0)
        times_seen[row.key] = occurrence + 1
        first = first_seen.setdefault(row.key, row.number)
        if occurrence and not allow_duplicates:
            repeated.append(Skipped(row.number, f"repeats row {first}", "repeat"))
        elif (row.key, occurrence) in known:
            already += (row.key, occurrence) not in recovered  # those count as contributed now
        else:
            candidates.append(Candidate(row, PlannedSample(row.key, occurrence, row.number)))
    return candidates, already, repeated


def _without_sent(
    workspace: Workspace, address: str, model: HostedModel, candidates: Sequence[Candidate]
) -> tuple[list[Candidate], int]:
    """Leave out samples that are on-chain from before the ledger was rebuilt; it knows no rows of them."""
    sent = workspace.ledger.sample_keys(workspace.chain.key, address, model.address)
    if not sent:
        return list(candidates), 0
    left = []
    for candidate in candidates:
        key = sample_key(candidate.row.sample)
        if sent[key]:
            sent[key] -= 1
        else:
            left.append(candidate)
    return left, len(candidates) - len(left)


def _rejected(replica: Replica, candidates: Sequence[Candidate]) -> list[int]:
    """Positions of the samples that the model rejects after learning all of them."""
    payload = b"".join(candidate.row.sample for candidate in candidates)
    replica.train(payload)
    agreed = replica.agree(payload)
    return [position for position in range(len(candidates)) if not agreed >> position & 1]
