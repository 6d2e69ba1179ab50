"""Refunds: one's own deposits back, or the points that one's samples earned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.domain import MAX_TRANSACTION_GAS, bits
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.features.payload import payload_units
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
from dcai_cli.services.models import WORDS_PER_CALL, HostedModel, snapshot
from dcai_cli.services.settling import recheck

if TYPE_CHECKING:
    from dcai_cli.ledger import StoredBatch
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace


_JUDGED_AT_ONCE = 50
"""Batches whose samples are in memory together: some megabytes."""

_WORDS_LOOKED_AT = 8 * WORDS_PER_CALL
"""Words of weights that are read only to say what to type next: a second, from a node far away."""


def pending_refunds(
    workspace: Workspace, *, model: str | None = None, account: str | None = None
) -> list[ClaimItem]:
    """One's own batches with something still open, the most urgent first.

    Args:
        workspace: the opened parts.
        model: only of this model.
        account: whose; the acting account's if None.
    """
    address = acting_account(workspace, account).address
    models = models_meant(workspace, model)
    recheck(workspace, address)  # receipts tell more than the index has read
    follow(workspace, models)
    return _refund_items(workspace, address, models)


@dataclass(frozen=True, slots=True)
class OpenRefunds:
    """What an account has out, and the most urgent of it.

    Args:
        waiting: what is not due yet by the chain's time.
        due: what is due, whatever the model says of it.
        items: the batches that are shown, the first due first; each is read when it is its turn.
        count: how many these are.
        now: the chain's time.
    """

    waiting: OpenSum
    due: OpenSum
    items: Iterator[ClaimItem]
    count: int
    now: int

    @property
    def all(self) -> OpenSum:
        """Everything."""
        return self.waiting + self.due


def open_refunds(
    workspace: Workspace, *, model: str | None = None, account: str | None = None, first: int | None = None
) -> OpenRefunds:
    """Sum up one's own batches with something still open, and list those that are due first.

    Args:
        workspace: the opened parts.
        model: only of this model.
        account: whose; the acting account's if None.
        first: how many to list; all if None. No chain is asked any more while they are read.
    """
    address = acting_account(workspace, account).address
    models = models_meant(workspace, model)
    recheck(workspace, address)  # receipts tell more than the index has read
    follow(workspace, models)
    chain, ledger, now = workspace.chain, workspace.ledger, workspace.chain.timestamp()
    items = _open_items(workspace, address, models, first=first)[:first]
    replicas = _Replicas(workspace)
    for item in items:
        if item.due_at <= now:
            replicas.of(item.model)
    waiting = due = OpenSum()
    for hosted in models:
        # After the items: what reports took whole was written down for them.
        later, sooner = ledger.open_sums(
            chain.key,
            address,
            hosted.address,
            due_before=now - hosted.terms.refund_wait_s,
            has_points=hosted.has_points,
        )
        waiting, due = waiting + later, due + sooner
    return OpenRefunds(waiting, due, _as_of(workspace, address, items, replicas, now), len(items), now)


def claimable_at(
    workspace: Workspace, address: str, models: Sequence[HostedModel], *, now: int
) -> int | None:
    """From when claiming gets something of what is due: now, unless the models reject all of it.

    Where looking takes long (many batches, or large models), nothing is looked at; nothing is written.

    Args:
        workspace: the opened parts.
        address: whose.
        models: of these.
        now: the chain's time.

    Returns:
        Now, or when the first of it can be swept; None if nothing is due, or only points that are rejected.
    """
    key, ledger = workspace.chain.key, workspace.ledger
    items = [
        item
        for model in models
        for stored in ledger.batches(
            key, address, state="open", model=model.address, payloads=False, first=_JUDGED_AT_ONCE
        )
        if (item := _unasked(model, stored)).due_at <= now
    ]
    words = sum(
        model.params.total_words for model in {item.model.address: item.model for item in items}.values()
    )
    if len(items) >= _JUDGED_AT_ONCE or words > _WORDS_LOOKED_AT:
        return now
    if any(item.is_claimable for item in _as_of(workspace, address, items, _Replicas(workspace), now)):
        return now
    sweeps = (
        item.batch.added_at + sweep_wait_s(item.model, address) for item in items if not item.model.has_points
    )
    return min(sweeps, default=None)


def claim_refunds(
    workspace: Workspace,
    *,
    password: Password,
    model: str | None = None,
    account: str | None = None,
    confirm: Callable[[Sequence[ClaimItem]], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    policy: ClaimPolicy = ANY_PROFIT,
) -> Claimed:
    """Take back every deposit, and earn every point, that is due, that the model agrees with, and that pays.

    Args:
        workspace: the opened parts.
        password: asked once for the account's password, if there is something to claim.
        model: only of this model.
        account: whose; the acting account's if None.
        confirm: gets what will be claimed; raises to stop.
        progress: gets (batches claimed, batches in all).
        policy: when a claim is worth its gas.

    Raises:
        Reverted: the contract refused; with the reason.
        PartlyDone: it broke off after some claims; the same call again goes on.
    """
    return claim_due(
        workspace,
        password,
        model,
        account,
        confirm,
        progress,
        policy,
        pending=_refund_items,
        send=_send_refunds,
    )


def _refund_items(workspace: Workspace, address: str, models: Sequence[HostedModel]) -> list[ClaimItem]:
    now = workspace.chain.timestamp()
    items = _open_items(workspace, address, models)
    return list(_as_of(workspace, address, items, _Replicas(workspace), now))


def _open_items(
    workspace: Workspace, address: str, models: Sequence[HostedModel], *, first: int | None = None
) -> list[ClaimItem]:
    """What is open, the first due first, before anybody asked the models.

    Args:
        workspace: the opened parts.
        address: whose.
        models: of these.
        first: no more than so many of each model.
    """
    items = [
        _own_item(workspace, model, stored)
        for model in models
        for stored in workspace.ledger.batches(
            workspace.chain.key, address, state="open", model=model.address, payloads=False, first=first
        )
    ]
    return sorted(items, key=lambda item: (item.due_at, item.batch.id))


class _Replicas:
    """The models' weights as they are now, each read once, if something of it is due."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: dict[str, Replica | None] = {}

    def of(self, model: HostedModel) -> Replica | None:
        """A model; None if its words are none that a contract of ours writes."""
        if model.address not in self._known:
            try:
                self._known[model.address] = snapshot(self._workspace.chain, model)
            except BadInput:
                # Such words must not keep the claims of other models back.
                self._known[model.address] = None
        return self._known[model.address]


def _as_of(
    workspace: Workspace, address: str, items: Sequence[ClaimItem], replicas: _Replicas, now: int
) -> Iterator[ClaimItem]:
    """Batches with their models' verdicts, if they are due; the samples of some are read at a time."""
    for at in range(0, len(items), _JUDGED_AT_ONCE):
        part = items[at : at + _JUDGED_AT_ONCE]
        payloads = workspace.ledger.payloads([item.row for item in part if now >= item.due_at])
        for item in part:
            if now < item.due_at:
                yield item
                continue
            replica, model = replicas.of(item.model), item.model
            if replica is None:
                yield replace(item, state="unreadable")
                continue
            sweep = not model.has_points and now >= item.batch.added_at + sweep_wait_s(model, address)
            payload = payloads.get(item.row)
            # Where there is none, a reorganisation took the batch meanwhile.
            yield item if payload is None else _judged(item, payload, replica, now, sweep=sweep)


def _own_item(workspace: Workspace, model: HostedModel, stored: StoredBatch) -> ClaimItem:
    """What is open of a batch; of which samples reports left nothing, the chain says and no event."""
    if stored.lost_wei and not model.has_points:
        settled, *_ = workspace.chain.view("StakeIncentive", model.incentive, "stakeOf", stored.batch_id)
        if settled != stored.settled:
            # More, or less: a reorganisation may have taken a report.
            workspace.ledger.mark_taken(stored, settled)
            stored = workspace.ledger.batch(stored.id) or stored
    return _unasked(model, stored)


def _unasked(model: HostedModel, stored: StoredBatch) -> ClaimItem:
    """What is open of a batch by the ledger alone."""
    assert stored.added_at is not None
    expires_at = None if model.has_points else stored.added_at + model.terms.report_wait_s
    return waiting_item(model, stored, stored.added_at + model.terms.refund_wait_s, expires_at)


def _judged(item: ClaimItem, payload: bytes, replica: Replica, now: int, *, sweep: bool) -> ClaimItem:
    agreed = replica.agree(payload) & item.open
    if sweep:
        # Everything that is left, whatever the model says; others may be faster.
        return replace(item, agreed=agreed, state="sweepable", sweep=True, pays_wei=item.amount_wei)
    if not agreed:
        state = "disputed"
    elif item.expires_at is not None and now >= item.expires_at:
        state = "at-risk"
    else:
        state = "due"
    units = payload_units(payload, item.model.wire)
    # If reports took a part of some, it is less: never more than is left.
    pays_wei = sum(units[position] for position in bits(agreed)) * item.batch.deposit_per_unit_wei
    return replace(
        item, agreed=agreed, claimable=agreed, state=state, pays_wei=min(pays_wei, item.amount_wei)
    )


def _send_refunds(sender: ClaimSender, items: Sequence[ClaimItem]) -> Iterator[int]:
    done = 0
    too_dear: list[str] = []
    for item in items:
        if item.sweep:
            sender.post(sweep_request(sender.workspace, item), whole_gas=True)
            done += 1
            yield done
    for address in dict.fromkeys(item.model.address for item in items):
        queue = [item for item in items if item.model.address == address and not item.sweep]
        # What is near its deadline first, and of that what pays most: if it does not pay, the rest does not.
        queue.sort(key=lambda item: (not sender.is_urgent(item), -item.pays_wei))
        while queue:
            group = _fit_bytes(sender, queue)
            while not sender.post(_request(sender, group), whole_gas=_is_one_sample(group)):
                if _is_one_sample(group):
                    (item,) = group
                    sample = f"{bits(item.claimable)[0]} of batch {item.batch.id} of {item.model.name}"
                    too_dear.append(sample)
                    sender.leave(group, "too-dear", f"sample {sample} needs more gas than a transaction has")
                    break
                group = group[: len(group) // 2] if len(group) > 1 else [first_half(group[0])]
            left = sender.without_hopeless(_rest(queue, group))
            done += len(queue) - len(left)
            queue = left
            yield done
    if too_dear:
        # Last, so that no other deposit has to wait for these.
        raise DcaiError(
            f"A refund of one of these samples alone needs more than {MAX_TRANSACTION_GAS:,} gas: "
            f"{', '.join(too_dear)}.",
            hint="They stay open. Try again when the model has changed.",
        )


def _request(sender: ClaimSender, group: Sequence[ClaimItem]) -> Request:
    asked = [(item.batch.as_tuple(), sender.payload(item), item.claimable) for item in group]
    return Request(
        "refund",
        group,
        sender.workspace.chain.encode("CollaborativeTrainer", "refund", asked),
        [Claim("refund", item.batch.id, item.claimable) for item in group],
    )


def _is_one_sample(group: Sequence[ClaimItem]) -> bool:
    return len(group) == 1 and group[0].claimable.bit_count() == 1


def _fit_bytes(sender: ClaimSender, queue: Sequence[ClaimItem]) -> list[ClaimItem]:
    group: list[ClaimItem] = []
    size = 0
    for item in queue:
        size += len(sender.payload(item))
        if group and size > USABLE_BYTES:
            break
        group.append(item)
    return group


def _rest(queue: Sequence[ClaimItem], group: Sequence[ClaimItem]) -> list[ClaimItem]:
    """What is left of the queue when a group, its last batch perhaps in part, was claimed."""
    rest = list(queue[len(group) :])
    last = without(queue[len(group) - 1], group[-1].claimable)
    return [last, *rest] if last.claimable else rest
