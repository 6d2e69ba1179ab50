"""Reports: one's share of others' deposits that the model rejects, and sweeping what everybody left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain import GasTooHigh
from dcai_cli.chain.commitment import sample_proof
from dcai_cli.domain import bits
from dcai_cli.errors import BadInput, Reverted
from dcai_cli.features.payload import split_payload
from dcai_cli.ledger import Claim, OpenSum
from dcai_cli.services.accounts import Password, acting_account
from dcai_cli.services.claims.claim import Claimed, claim_due, models_meant
from dcai_cli.services.claims.items import (
    ANY_PROFIT,
    ClaimItem,
    ClaimPolicy,
    first_half,
    sweep_wait_s,
    waiting_item,
    without,
)
from dcai_cli.services.claims.sender import USABLE_BYTES, ClaimSender, Request, sweep_request
from dcai_cli.services.index import follow
from dcai_cli.services.models import HostedModel, snapshot
from dcai_cli.services.settling import recheck

if TYPE_CHECKING:
    from dcai_cli.ledger import StoredBatch
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace


def pending_reports(
    workspace: Workspace, *, model: str | None = None, account: str | None = None
) -> list[ClaimItem]:
    """Others' batches with something still open, and what claiming them now would pay."""
    address = acting_account(workspace, account).address
    models = models_meant(workspace, model)
    recheck(workspace, address)  # receipts tell more than the index has read
    follow(workspace, models)
    return _report_items(workspace, address, models)


@dataclass(frozen=True, slots=True)
class OpenReports:
    """What could be taken of others' batches, and what may be some day.

    Args:
        due: what claiming now would pay: samples that the model rejects, and sweeps.
        waiting: batches that nobody but their contributor can claim yet; what will be rejected is not known.
        agreed: batches that could be reported, but the model agrees with them, or they would pay nothing.
        next_due_at: when the first of what waits can be reported; None if nothing waits.
        next_sweep_at: when the first of all that is not due can be swept; None if there is nothing.
        items: what is due, then what waits, then the others, no more than asked for.
        now: the chain's time.
    """

    due: OpenSum
    waiting: OpenSum
    agreed: OpenSum
    next_due_at: int | None
    next_sweep_at: int | None
    items: tuple[ClaimItem, ...]
    now: int

    @property
    def all(self) -> OpenSum:
        """Everything."""
        return self.due + self.waiting + self.agreed


def open_reports(
    workspace: Workspace, *, model: str | None = None, account: str | None = None, first: int | None = None
) -> OpenReports:
    """Sum up others' batches with something still open, and list some, what can be taken first.

    Args:
        workspace: the opened parts.
        model: only of this model.
        account: who would take it; the acting account if None.
        first: how many to list; all if None.
    """
    address = acting_account(workspace, account).address
    items = pending_reports(workspace, model=model, account=account)
    due = [item for item in items if item.is_claimable]
    waiting = [item for item in items if item.state == "waiting"]
    agreed = [item for item in items if not item.is_claimable and item.state != "waiting"]
    sweeps = (item.batch.added_at + sweep_wait_s(item.model, address) for item in (*waiting, *agreed))
    return OpenReports(
        due=_sum(due),
        waiting=_sum(waiting),
        agreed=_sum(agreed),
        next_due_at=min((item.due_at for item in waiting), default=None),
        next_sweep_at=min(sweeps, default=None),
        items=(*due, *waiting, *agreed)[:first],
        now=workspace.chain.timestamp(),
    )


def _sum(items: Sequence[ClaimItem]) -> OpenSum:
    samples = (item.claimable_samples if item.is_claimable else item.samples for item in items)
    return OpenSum(len(items), sum(samples), sum(item.amount_wei for item in items))


def claim_reports(
    workspace: Workspace,
    *,
    password: Password,
    model: str | None = None,
    account: str | None = None,
    confirm: Callable[[Sequence[ClaimItem]], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    policy: ClaimPolicy = ANY_PROFIT,
) -> Claimed:
    """Take one's share of others' deposits that the model rejects; sweep what everybody left.

    The arguments are those of `claim_refunds`.
    """
    return claim_due(
        workspace,
        password,
        model,
        account,
        confirm,
        progress,
        policy,
        pending=_report_items,
        send=_send_reports,
    )


def _report_items(workspace: Workspace, address: str, models: Sequence[HostedModel]) -> list[ClaimItem]:
    items = []
    now = workspace.chain.timestamp()
    for model in models:
        if model.has_points:
            continue  # there is nothing to take
        replica: Replica | None = None
        has_standing = False
        for stored in workspace.ledger.batches(
            workspace.chain.key, address, state="open", model=model.address, others=True, payloads=False
        ):
            assert stored.added_at is not None
            item = waiting_item(
                model,
                stored,
                stored.added_at + model.terms.report_wait_s,
                stored.added_at + model.terms.public_wait_s,
            )
            if now >= item.batch.added_at + sweep_wait_s(model, address):
                item = replace(item, state="sweepable", sweep=True, pays_wei=item.amount_wei)
            elif now < item.due_at:
                item = replace(item, amount_wei=0)  # what the model says now counts for nothing yet
            else:
                if replica is None:
                    try:
                        replica = snapshot(workspace.chain, model)
                    except BadInput:
                        break  # words that no contract of ours writes: nothing can be said of its samples
                    has_standing = bool(
                        workspace.chain.view("StakeIncentive", model.incentive, "validatedUnits", address)
                    )
                item = _judged(workspace, address, item, replica, can_report=has_standing)
            items.append(item)
    return sorted(items, key=lambda item: (item.due_at, item.batch.id))


def _judged(
    workspace: Workspace, address: str, item: ClaimItem, replica: Replica, *, can_report: bool
) -> ClaimItem:
    stored = workspace.ledger.batch(item.row)
    if stored is None or stored.payload is None:
        return item  # a reorganisation took it meanwhile
    agreed = replica.agree(stored.payload) & item.open
    item = replace(item, agreed=agreed, amount_wei=0)
    rejected = item.open & ~agreed & ~workspace.ledger.reported(stored, address)
    item = replace(item, claimable=rejected if can_report else 0)
    pays_wei = _pays_wei(workspace, address, item, stored) if item.claimable else 0
    if not pays_wei:
        return replace(item, state="agreed", claimable=0)
    return replace(item, state="due", amount_wei=pays_wei, pays_wei=pays_wei)


def _pays_wei(workspace: Workspace, address: str, item: ClaimItem, stored: StoredBatch) -> int:
    """What reporting all claimable samples would pay now, as the contract itself says."""
    assert stored.payload is not None
    left, pays_wei = item, 0
    while left.claimable:
        request = _fit_request(workspace, left, stored.payload)
        while True:
            try:
                pays_now_wei = workspace.chain.call_number(item.model.address, request.data, sender=address)
            except GasTooHigh:
                if request.items[0].claimable.bit_count() == 1:
                    pays_now_wei = 0
                else:
                    request = _fit_request(workspace, first_half(request.items[0]), stored.payload)
                    continue
            except Reverted:
                return 0  # somebody was faster, or nothing is left
            break
        pays_wei += pays_now_wei
        left = without(left, request.items[0].claimable)
    return pays_wei


def _send_reports(sender: ClaimSender, items: Sequence[ClaimItem]) -> Iterator[int]:
    for done, item in enumerate(items, start=1):
        if item.sweep:
            sender.post(sweep_request(sender.workspace, item), whole_gas=True)
            yield done
            continue
        payload, left = sender.payload(item), item
        while left.claimable:
            request = _fit_request(sender.workspace, left, payload)
            while not sender.post(request):
                part = request.items[0]
                if part.claimable.bit_count() == 1:
                    sender.leave([part], "too-dear", "reporting one of its samples needs too much gas")
                    break
                request = _fit_request(sender.workspace, first_half(part), payload)
            left = without(left, request.items[0].claimable)
        yield done


def _fit_request(workspace: Workspace, item: ClaimItem, payload: bytes) -> Request:
    """A report of as many of the claimable samples as fit a transaction's bytes."""
    samples = split_payload(payload, item.model.wire)
    while True:
        proofs = [
            (position, samples[position], sample_proof(samples, position))
            for position in bits(item.claimable)
        ]
        data = workspace.chain.encode("CollaborativeTrainer", "report", item.batch.as_tuple(), proofs)
        if len(data) <= USABLE_BYTES or len(proofs) == 1:
            return Request("report", [item], data, [Claim("report", item.batch.id, item.claimable)])
        item = first_half(item)
