"""Refunds: one's own deposits back, or the points that one's samples earned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dcai_cli.domain import MAX_TRANSACTION_GAS, bits
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.ledger import Claim
from dcai_cli.services.accounts import Password, acting_account
from dcai_cli.services.claim import (
    USABLE_BYTES,
    Claimed,
    ClaimItem,
    claim_due,
    gas_needed,
    models_meant,
    stake,
    submit_claim,
    submit_sweep,
    sweep_wait_s,
)
from dcai_cli.services.models import HostedModel, snapshot
from dcai_cli.services.transactions import USABLE_GAS, Sent

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.ledger import StoredBatch
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace


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
    # Reading takes no lock, so a claim may be on its way that the ledger does not know to be mined: what
    # the chain paid must not be written down as lost.
    return _refund_items(workspace, address, models_meant(workspace, model), learn=False)


def claim_refunds(
    workspace: Workspace,
    *,
    password: Password,
    model: str | None = None,
    account: str | None = None,
    confirm: Callable[[Sequence[ClaimItem]], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Claimed:
    """Take back every deposit, and earn every point, that is due and that the model agrees with.

    Args:
        workspace: the opened parts.
        password: asked once for the account's password, if there is something to claim.
        model: only of this model.
        account: whose; the acting account's if None.
        confirm: gets what will be claimed; raises to stop.
        progress: gets (batches claimed, batches in all).

    Raises:
        Reverted: the contract refused; with the reason.
        PartlyDone: it broke off after some claims; the same call again goes on.
    """
    return claim_due(
        workspace, password, model, account, confirm, progress, pending=_refund_items, send=_send_refunds
    )


def _refund_items(
    workspace: Workspace, address: str, models: Sequence[HostedModel], *, learn: bool = True
) -> list[ClaimItem]:
    now = workspace.chain.timestamp()
    items = []
    for model in models:
        replica: Replica | None = None
        for stored in workspace.ledger.batches(
            workspace.chain.key, address, state="open", model=model.address
        ):
            item = _open_refund(workspace, model, stored, learn=learn)
            if item is None:
                continue
            if not workspace.chain.view("DataHandler", model.data_handler, "verify", item.batch.as_tuple()):
                item = replace(item, state="missing")
            elif now >= item.due_at:
                sweep = not model.has_points and now >= item.batch.added_at + sweep_wait_s(model, address)
                try:
                    replica = replica or snapshot(workspace.chain, model)
                    agreed = replica.agree(item.payload) & item.open
                except BadInput:
                    # Words that no contract of ours writes must not keep the claims of other models back.
                    item = replace(item, state="unreadable")
                else:
                    item = _judged(item, agreed, now, sweep=sweep)
            items.append(item)
    return sorted(items, key=lambda item: (item.due_at, item.batch.id))


def _open_refund(
    workspace: Workspace, model: HostedModel, stored: StoredBatch, *, learn: bool
) -> ClaimItem | None:
    """What is open of a batch by the chain, which knows what others took; None if nothing is.

    Args:
        workspace: the opened parts.
        model: the batch's model.
        stored: the batch.
        learn: write into the ledger what others took.
    """
    batch = stored.on_chain()
    settled, paid_wei = stake(workspace, model, batch)
    lost_wei = paid_wei - stored.refunded_wei
    if learn and (settled, lost_wei) != (stored.settled, stored.lost_wei):
        workspace.ledger.settle_batch(stored, settled=settled, lost_wei=lost_wei)
    left_wei = batch.deposit_wei - paid_wei
    # A sample that taught the model nothing earns no point.
    open_mask = (batch.informative if model.has_points else (1 << batch.count) - 1) & ~settled
    if not (open_mask if model.has_points else left_wei):
        return None
    assert stored.payload is not None
    return ClaimItem(
        model=model,
        batch=batch,
        payload=stored.payload,
        open=open_mask,
        agreed=0,
        amount_wei=left_wei,
        due_at=batch.added_at + model.terms.refund_wait_s,
        expires_at=None if model.has_points else batch.added_at + model.terms.report_wait_s,
        state="waiting",
        claimable=0,
    )


def _judged(item: ClaimItem, agreed: int, now: int, *, sweep: bool) -> ClaimItem:
    if sweep:
        # Everything that is left, whatever the model says; others may be faster.
        return replace(item, agreed=agreed, state="sweepable", sweep=True)
    if not agreed:
        state = "disputed"
    elif item.expires_at is not None and now >= item.expires_at:
        state = "at-risk"
    else:
        state = "due"
    return replace(item, agreed=agreed, claimable=agreed, state=state)


def _send_refunds(
    workspace: Workspace, key: LocalAccount, items: Sequence[ClaimItem]
) -> Iterator[tuple[int, Sent]]:
    done = 0
    too_dear: list[str] = []
    for item in items:
        if item.sweep:
            done += 1
            yield done, submit_sweep(workspace, key, item)
    for model in {item.model.address: item.model for item in items}.values():
        queue = [item for item in items if item.model.address == model.address and not item.sweep]
        while queue:
            group = _fit_bytes(queue)
            sent = _refund_group(workspace, key, model, group)
            while sent is None and not _is_one_sample(group):
                group = group[: len(group) // 2] if len(group) > 1 else [_halved(group[0])]
                sent = _refund_group(workspace, key, model, group)
            queue = _rest(queue, group)
            if sent is None:
                too_dear.append(f"{bits(group[0].claimable)[0]} of batch {group[0].batch.id} of {model.name}")
                continue
            done += len(group)
            yield done, sent
    if too_dear:
        # Last, so that no other deposit has to wait for these.
        raise DcaiError(
            f"A refund of one of these samples alone needs more than {MAX_TRANSACTION_GAS:,} gas: "
            f"{', '.join(too_dear)}.",
            hint="They stay open. Try again when the model has changed.",
        )


def _is_one_sample(group: Sequence[ClaimItem]) -> bool:
    return len(group) == 1 and group[0].claimable.bit_count() == 1


def _fit_bytes(queue: Sequence[ClaimItem]) -> list[ClaimItem]:
    group: list[ClaimItem] = []
    size = 0
    for item in queue:
        size += len(item.payload)
        if group and size > USABLE_BYTES:
            break
        group.append(item)
    return group


def _halved(item: ClaimItem) -> ClaimItem:
    """The same batch with half of its mask."""
    positions = bits(item.claimable)
    return replace(item, claimable=sum(1 << position for position in positions[: len(positions) // 2]))


def _rest(queue: Sequence[ClaimItem], group: Sequence[ClaimItem]) -> list[ClaimItem]:
    """What is left of the queue when a group, its last batch perhaps in part, was claimed."""
    first, last = queue[len(group) - 1], group[-1]
    rest = list(queue[len(group) :])
    unclaimed = first.claimable & ~last.claimable
    return [replace(first, claimable=unclaimed), *rest] if unclaimed else rest


def _refund_group(
    workspace: Workspace, key: LocalAccount, model: HostedModel, group: Sequence[ClaimItem]
) -> Sent | None:
    """Refund some batches in one transaction; None if it needs too much gas."""
    claims = [(item.batch.as_tuple(), item.payload, item.claimable) for item in group]
    data = workspace.chain.encode("CollaborativeTrainer", "refund", claims)
    gas = gas_needed(workspace, key, model, data)
    if gas > (MAX_TRANSACTION_GAS - 1 if _is_one_sample(group) else USABLE_GAS):
        return None
    asked = [Claim("refund", item.batch.id, item.claimable) for item in group]
    return submit_claim(workspace, key, model, "refund", data, gas, asked)
