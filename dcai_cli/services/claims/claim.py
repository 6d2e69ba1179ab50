"""What refunds and reports share: from what is pending, by a yes, to what was paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import RpcError
from dcai_cli.domain import counted
from dcai_cli.errors import DcaiError, PartlyDone, and_goes_on
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.claims.items import (
    ClaimItem,
    ClaimPolicy,
    Left,
)
from dcai_cli.services.claims.sender import ClaimSender
from dcai_cli.services.index import follow
from dcai_cli.services.models import HostedModel, find_model, known_models
from dcai_cli.services.settling import recheck
from dcai_cli.services.transactions import Recovered, recover

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Claimed:
    """What claiming did.

    Args:
        items: what was pending before it.
        left: what was not claimed, and why.
        amount_wei: what it paid.
        points: the model points that it earned.
        samples: samples that paid, or earned a point.
        disagreed: due samples that the model rejects (own), or agrees with (others').
        gas_used: gas of all transactions.
        fee_wei: what they cost.
        transactions: their hashes.
    """

    items: tuple[ClaimItem, ...]
    left: tuple[Left, ...]
    amount_wei: int
    points: int
    samples: int
    disagreed: int
    gas_used: int
    fee_wei: int
    transactions: tuple[str, ...]


def claim_due(
    workspace: Workspace,
    password: Password,
    model: str | None,
    account: str | None,
    confirm: Callable[[Sequence[ClaimItem]], None],
    progress: Callable[[int, int], None],
    policy: ClaimPolicy,
    *,
    pending: Callable[[Workspace, str, Sequence[HostedModel]], list[ClaimItem]],
    send: Callable[[ClaimSender, Sequence[ClaimItem]], Iterator[int]],
) -> Claimed:
    """Claim all that is due and worth it, after a yes.

    Args:
        workspace: the opened parts.
        password: asked once for the account's password, if there is something to claim.
        model: only of this model.
        account: whose; the acting account's if None.
        confirm: gets what will be claimed; raises to stop.
        progress: gets (batches claimed, batches in all).
        policy: what is worth it.
        pending: lists an address's items of some models.
        send: claims items; yields how many batches it has dealt with.

    Raises:
        PartlyDone: it broke off after some claims; the same call again goes on.
    """
    stored = acting_account(workspace, account)
    with workspace.sending(stored.address, exclusive=False) as turn:
        models = models_meant(workspace, model)
        # Before the receipts: what it forgets of replaced blocks, they say anew.
        unread = _follow_each(workspace, models)
        # What cannot be sent for want of ether must not keep ether from coming in: a claim takes its nonce.
        recovered = recover(workspace, stored.address)
        items = pending(workspace, stored.address, models)
        chosen, busy = _free(workspace, stored.address, items, recovered)
        if chosen:
            with turn.aside():
                confirm(chosen)
            # What nobody took before the question may be on its way now.
            recovered = recover(workspace, stored.address)
            chosen, busy = _free(workspace, stored.address, chosen, recovered)
        sender = ClaimSender(workspace, stored.address, policy, recovered)
        sender.set_aside(items, busy)
        if chosen or sender.has_earlier:
            # What an earlier process left on its way may have to be replaced: fees may have risen since.
            sender.key = unlock(workspace, stored, password)
        if chosen:
            progress(0, len(chosen))
        try:
            for done in send(sender, chosen):
                progress(done, len(chosen))
            sender.finish()
            recheck(workspace, stored.address)
            if unread is not None:
                raise unread
        except DcaiError as error:
            with suppress(DcaiError):
                sender.finish()
            if not sender.sent and not sender.flying:
                raise
            also = f", {sender.flying} on their way" if sender.flying else ""
            claims = counted(len(sender.sent), "claim is", "claims are")
            raise PartlyDone(
                f"{claims} on-chain{also}; then: {error.message}",
                hint=and_goes_on(error.hint),
            ) from error
    return _claimed(sender, items, workspace.chain.timestamp())


def _free(
    workspace: Workspace, address: str, items: Sequence[ClaimItem], recovered: Recovered
) -> tuple[list[ClaimItem], dict[tuple[str, int], int]]:
    """What can be claimed now, the most urgent first; and what transactions on their way claim."""
    given_up = [refused.id for refused, _ in recovered.refused]
    busy = workspace.ledger.claims_in_flight(workspace.chain.key, address, over=given_up)
    chosen = [item for item in items if item.is_claimable and item.place not in busy]
    # Others can take it from then on.
    chosen.sort(key=lambda item: (item.expires_at or item.due_at, item.batch.id))
    return chosen, busy


def _follow_each(workspace: Workspace, models: Sequence[HostedModel]) -> DcaiError | None:
    """Read on in the events of models; one that cannot be read must not keep the claims of others back.

    Returns:
        What was refused first, to be told when all else is done: receipts know one's own batches, too.
    """
    refused: DcaiError | None = None
    for model in models:
        try:
            follow(workspace, [model])
        except RpcError as error:
            refused = refused or error
    return refused


def _claimed(sender: ClaimSender, items: Sequence[ClaimItem], now: int) -> Claimed:
    paid = [payment for transaction in sender.sent for payment in transaction.outcome.payouts]
    swept = {payment.batch_id for payment in paid if payment.kind == "sweep"}
    return Claimed(
        items=tuple(items),
        left=tuple(sender.left),
        amount_wei=sum(payment.amount_wei for payment in paid),
        points=sum(transaction.outcome.points for transaction in sender.sent),
        samples=sum(payment.bitmap.bit_count() for payment in paid)
        + sum(item.samples for item in items if item.sweep and item.batch.id in swept),
        disagreed=sum(
            (item.open & ~item.claimable).bit_count()
            for item in items
            if item.due_at <= now and not item.sweep
        ),
        gas_used=sum(transaction.gas_used for transaction in sender.sent),
        fee_wei=sum(transaction.fee_wei for transaction in sender.sent),
        transactions=tuple(transaction.hash for transaction in sender.sent),
    )


def models_meant(workspace: Workspace, wanted: str | None) -> list[HostedModel]:
    """The model that was named, or all that are known."""
    return known_models(workspace) if wanted is None else [find_model(workspace, wanted)]
