"""What refunds and reports share: what can be claimed of a batch, and claiming it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import FeeTooLow, GasTooHigh
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS, Batch
from dcai_cli.errors import DcaiError, InsufficientFunds, PartlyDone
from dcai_cli.ledger import Claim
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.models import HostedModel, find_model, known_models
from dcai_cli.services.transactions import Sent, recover, submit

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.services.workspace import Workspace

USABLE_BYTES = MAX_TRANSACTION_BYTES * 3 // 4
"""Bytes of payloads and proofs in one claim; ABI padding and meta-data take a part of the rest."""


@dataclass(frozen=True, slots=True)
class ClaimItem:
    """A batch with something still open.

    Args:
        model: its model.
        batch: its committed meta-data.
        payload: its samples.
        open: bitmap of samples that are not settled; for points, of those among them that can earn one.
        agreed: bitmap of open samples with which the model agrees now.
        amount_wei: of one's own, all that is left; of others', what claiming now would pay; 0 for points.
        due_at: from when it can be claimed.
        expires_at: from when others can take it, too; None if nobody ever can, since there are only points.
        state: waiting, due, at-risk (due, and others can take it, too), disputed (the model rejects all that
            is open), unreadable (the model's words are none that a contract of ours writes), missing (the
            chain does not know the batch: its block was reorganised away), agreed (others' samples that the
            model agrees with, or that would pay nothing), or sweepable (all that is left, whatever the
            model says).
        claimable: bitmap of the samples that claiming now would settle or draw on.
        sweep: whether it is claimed by a sweep instead of sample by sample.
    """

    model: HostedModel
    batch: Batch
    payload: bytes
    open: int
    agreed: int
    amount_wei: int
    due_at: int
    expires_at: int | None
    state: str
    claimable: int
    sweep: bool = False

    @property
    def samples(self) -> int:
        """How many samples are open."""
        return self.open.bit_count()

    @property
    def points(self) -> int:
        """How many model points claiming now would earn."""
        return self.claimable.bit_count() if self.model.has_points else 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """What claiming did.

    Args:
        items: what was pending before it.
        amount_wei: what it paid.
        points: the model points that it earned.
        samples: samples that paid, or earned a point.
        disagreed: due samples that the model rejects (own), or agrees with (others').
        gas_used: gas of all transactions.
        fee_wei: what they cost.
        transactions: their hashes.
    """

    items: tuple[ClaimItem, ...]
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
    *,
    pending: Callable[[Workspace, str, Sequence[HostedModel]], list[ClaimItem]],
    send: Callable[[Workspace, LocalAccount, Sequence[ClaimItem]], Iterator[tuple[int, Sent]]],
) -> Claimed:
    """Claim all that is due, after a yes.

    Args:
        workspace: the opened parts.
        password: asked once for the account's password, if there is something to claim.
        model: only of this model.
        account: whose; the acting account's if None.
        confirm: gets what will be claimed; raises to stop.
        progress: gets (batches claimed, batches in all).
        pending: lists an address's items of some models.
        send: claims items; yields (batches claimed, transaction).

    Raises:
        PartlyDone: it broke off after some claims; the same call again goes on.
    """
    stored = acting_account(workspace, account)
    sent: list[Sent] = []
    with workspace.sending(stored.address):
        # What cannot be sent for want of ether must not keep ether from coming in: a claim takes its nonce.
        with suppress(InsufficientFunds, FeeTooLow):
            recover(workspace, stored.address)
        items = pending(workspace, stored.address, models_meant(workspace, model))
        chosen = [item for item in items if item.claimable or item.sweep]
        if chosen:
            confirm(chosen)
            key = unlock(workspace, stored, password)
            progress(0, len(chosen))
            try:
                for done, transaction in send(workspace, key, chosen):
                    sent.append(transaction)
                    progress(done, len(chosen))
            except DcaiError as error:
                if not sent:
                    raise
                raise PartlyDone(
                    f"{len(sent)} claims are on-chain; then: {error.message}",
                    hint=f"{error.hint} The same command again goes on where this one stopped.".strip(),
                ) from error
    paid = [payment for transaction in sent for payment in (transaction.outcome.paid or {}).values()]
    now = workspace.chain.timestamp()
    return Claimed(
        items=tuple(items),
        amount_wei=sum(amount_wei for _, amount_wei in paid),
        points=sum(transaction.outcome.points for transaction in sent),
        samples=sum(bitmap.bit_count() for bitmap, _ in paid)
        + sum(item.samples for item in chosen if item.sweep),
        disagreed=sum(
            (item.open & ~item.claimable).bit_count()
            for item in items
            if item.due_at <= now and not item.sweep
        ),
        gas_used=sum(transaction.gas_used for transaction in sent),
        fee_wei=sum(transaction.fee_wei for transaction in sent),
        transactions=tuple(transaction.hash for transaction in sent),
    )


def models_meant(workspace: Workspace, wanted: str | None) -> list[HostedModel]:
    """The model that was named, or all that are known."""
    return known_models(workspace) if wanted is None else [find_model(workspace, wanted)]


def sweep_wait_s(model: HostedModel, address: str) -> int:
    """After how long an address may sweep what is left of a batch."""
    owns = address.lower() == model.owner.lower()
    return model.terms.owner_wait_s if owns else model.terms.public_wait_s


def stake(workspace: Workspace, model: HostedModel, batch: Batch) -> tuple[int, int]:
    """Bitmap of settled samples and wei paid out of a batch."""
    settled, paid_wei, *_ = workspace.chain.view("StakeIncentive", model.incentive, "stakeOf", batch.id)
    return settled, paid_wei


def gas_needed(workspace: Workspace, key: LocalAccount, model: HostedModel, data: bytes) -> int:
    """What a call of the trainer needs; a whole transaction's gas if it needs more than that."""
    try:
        return workspace.chain.estimate_gas(key.address, model.address, data, 0)
    except GasTooHigh:
        return MAX_TRANSACTION_GAS


def submit_claim(
    workspace: Workspace,
    key: LocalAccount,
    model: HostedModel,
    kind: str,
    data: bytes,
    gas: int,
    asked: Iterable[Claim],
) -> Sent:
    """Send a claim, with what it asks for."""
    return submit(
        workspace,
        key,
        kind=kind,
        to=model.address,
        data=data,
        gas_estimate=gas,
        model=model.address,
        claims=tuple(asked),
    )


def submit_sweep(workspace: Workspace, key: LocalAccount, item: ClaimItem) -> Sent:
    """Take all that is left of a batch."""
    data = workspace.chain.encode("CollaborativeTrainer", "sweep", item.batch.as_tuple())
    gas = gas_needed(workspace, key, item.model, data)
    return submit_claim(
        workspace, key, item.model, "sweep", data, gas, [Claim("sweep", item.batch.id, item.open)]
    )
