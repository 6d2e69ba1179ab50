"""What a contribution will send, cost and risk, before anything is signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import told_apart
from dcai_cli.errors import BadInput, LimitExceeded
from dcai_cli.features.cluster import featurizer
from dcai_cli.features.featurize import FeaturizedRow, Skipped
from dcai_cli.features.findings import DataChecks, Finding
from dcai_cli.features.readers import RowSource, Source
from dcai_cli.ledger.records import PlannedSample
from dcai_cli.services.accounts import ActingAccount
from dcai_cli.services.contribution.batches import BatchSender, Candidate
from dcai_cli.services.contribution.earlier_run import EarlierRun
from dcai_cli.services.contribution.offers import deposit_wei, highest_unit_price_wei, idle_s, too_poor
from dcai_cli.services.index import sample_key
from dcai_cli.services.models import HostedModel, snapshot
from dcai_cli.services.transactions import (
    ENVELOPE_BYTES,
    FEE_RISE,
    GAS_MARGIN_PERCENT,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from dcai_cli.chain import Chain
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace


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


def plan_contribution(
    workspace: Workspace,
    request: ContributeRequest,
    account: ActingAccount,
    model: HostedModel,
    rows: RowSource,
    sender: BatchSender,
    before: EarlierRun,
    note: Callable[[str], None],
) -> tuple[ContributionPlan, list[Candidate]]:
    """Read a file's rows, and reckon what sending those that are new takes.

    Args:
        workspace: the opened parts.
        request: what the user asked for.
        account: who contributes.
        model: the model.
        rows: the file, opened.
        sender: measures the first batch.
        before: what an earlier run left.
        note: is told of columns that a tabular model does not use.

    Returns:
        The plan, and the rows that are to be sent.

    Raises:
        BadInput: no row can be sent.
        LimitExceeded: deposits or fees could exceed their limit.
        InsufficientFunds: the balance does not cover deposits and fees.
    """
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
    idle, due_s, alone_wei = idle_s(chain, model), 0, 0
    for start in range(0, total, size):
        idle, due_s = idle + spread_s * start // total - due_s, spread_s * start // total
        units = sum(candidate.row.units for candidate in candidates[start : start + size])
        alone_wei += deposit_wei(model, units, idle)
        idle = 0
    return Spread(
        seconds=spread_s,
        interval_s=spread_s * min(size, total) // total,
        batches=-(-total // size),
        deposit_alone_wei=alone_wei if not model.has_points else 0,
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
