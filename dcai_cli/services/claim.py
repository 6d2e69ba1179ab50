"""Claims: one's own deposits back, and those of others' samples that the model rejects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain import FeeTooLow, GasTooHigh
from dcai_cli.chain.commitment import sample_proof, samples_root
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS, Batch, bits
from dcai_cli.errors import DcaiError, InsufficientFunds, PartlyDone
from dcai_cli.features.payload import decode_payload, sample_units, split_payload
from dcai_cli.ledger import Claim
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.models import HostedModel, find_model, known_models, snapshot
from dcai_cli.services.transactions import GAS_MARGIN_PERCENT, Sent, recover, submit

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.ledger import StoredBatch
    from dcai_cli.models.perceptron import Perceptron
    from dcai_cli.services.workspace import Workspace

USABLE_BYTES = MAX_TRANSACTION_BYTES * 3 // 4
"""Bytes of payloads and proofs in one claim; ABI padding and meta-data take a part of the rest."""

USABLE_GAS = MAX_TRANSACTION_GAS * 100 // (100 + GAS_MARGIN_PERCENT)


@dataclass(frozen=True, slots=True)
class ClaimItem:
    """A batch with something still open.

    Args:
        model: its model.
        batch: its committed meta-data.
        payload: its samples.
        open: bitmap of samples that are not settled.
        agreed: bitmap of open samples with which the model agrees now.
        amount_wei: of one's own, all that is left; of others', what claiming now would pay.
        due_at: from when it can be claimed.
        expires_at: from when others can take it, too.
        state: waiting, due, at-risk (due, and others can take it, too), disputed (the model rejects all that
            is open), missing (the chain does not know the batch: its block was reorganised away), agreed
            (others' samples that the model agrees with, or that would pay nothing), or sweepable (all that
            is left, whatever the model says).
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
    expires_at: int
    state: str
    claimable: int
    sweep: bool = False

    @property
    def samples(self) -> int:
        """How many samples are open."""
        return self.open.bit_count()


@dataclass(frozen=True, slots=True)
class Claimed:
    """What claiming did.

    Args:
        items: what was pending before it.
        amount_wei: what it paid.
        samples: samples that paid.
        disagreed: due samples that the model rejects (own), or agrees with (others').
        gas_used: gas of all transactions.
        fee_wei: what they cost.
        transactions: their hashes.
    """

    items: tuple[ClaimItem, ...]
    amount_wei: int
    samples: int
    disagreed: int
    gas_used: int
    fee_wei: int
    transactions: tuple[str, ...]


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
    return _refund_items(workspace, address, _models(workspace, model), learn=False)


def pending_reports(
    workspace: Workspace, *, model: str | None = None, account: str | None = None
) -> list[ClaimItem]:
    """Others' batches with something still open, and what claiming them now would pay."""
    address = acting_account(workspace, account).address
    return _report_items(workspace, address, _models(workspace, model))


def claim_refunds(
    workspace: Workspace,
    *,
    password: Password,
    model: str | None = None,
    account: str | None = None,
    confirm: Callable[[Sequence[ClaimItem]], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Claimed:
    """Take back every deposit that is due and that the model agrees with.

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
    return _claim(
        workspace, password, model, account, confirm, progress, pending=_refund_items, send=_send_refunds
    )


def claim_reports(
    workspace: Workspace,
    *,
    password: Password,
    model: str | None = None,
    account: str | None = None,
    confirm: Callable[[Sequence[ClaimItem]], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Claimed:
    """Take one's share of others' deposits that the model rejects; sweep what everybody left."""
    return _claim(
        workspace, password, model, account, confirm, progress, pending=_report_items, send=_send_reports
    )


def _claim(
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
    stored = acting_account(workspace, account)
    sent: list[Sent] = []
    with workspace.sending(stored.address):
        # What cannot be sent for want of ether must not keep ether from coming in: a claim takes its nonce.
        with suppress(InsufficientFunds, FeeTooLow):
            recover(workspace, stored.address)
        items = pending(workspace, stored.address, _models(workspace, model))
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


def _models(workspace: Workspace, wanted: str | None) -> list[HostedModel]:
    return known_models(workspace) if wanted is None else [find_model(workspace, wanted)]


# --- one's own -------------------------------------------------------------------------------------------


def _refund_items(
    workspace: Workspace, address: str, models: Sequence[HostedModel], *, learn: bool = True
) -> list[ClaimItem]:
    now = workspace.chain.timestamp()
    items = []
    for model in models:
        replica: Perceptron | None = None
        for stored in workspace.ledger.batches(
            workspace.chain.key, address, state="open", model=model.address
        ):
            item = _open_refund(workspace, model, stored, learn=learn)
            if item is None:
                continue
            if not workspace.chain.view("DataHandler", model.data_handler, "verify", item.batch.as_tuple()):
                item = replace(item, state="missing")
            elif now >= item.due_at:
                replica = replica or snapshot(workspace.chain, model)
                sweep = now >= item.batch.added_at + _sweep_wait_s(model, address)
                item = _judged(item, replica.agree(item.payload) & item.open, now, sweep=sweep)
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
    settled, paid_wei = _stake(workspace, model, batch)
    lost_wei = paid_wei - stored.refunded_wei
    if learn and (settled, lost_wei) != (stored.settled, stored.lost_wei):
        workspace.ledger.settle_batch(stored, settled=settled, lost_wei=lost_wei)
    left_wei = batch.deposit_wei - paid_wei
    if not left_wei:
        return None
    assert stored.payload is not None
    return ClaimItem(
        model=model,
        batch=batch,
        payload=stored.payload,
        open=(1 << batch.count) - 1 & ~settled,
        agreed=0,
        amount_wei=left_wei,
        due_at=batch.added_at + model.terms.refund_wait_s,
        expires_at=batch.added_at + model.terms.report_wait_s,
        state="waiting",
        claimable=0,
    )


def _sweep_wait_s(model: HostedModel, address: str) -> int:
    """After how long an address may sweep what is left of a batch."""
    owns = address.lower() == model.owner.lower()
    return model.terms.owner_wait_s if owns else model.terms.public_wait_s


def _judged(item: ClaimItem, agreed: int, now: int, *, sweep: bool) -> ClaimItem:
    if sweep:
        # Everything that is left, whatever the model says; others may be faster.
        return replace(item, agreed=agreed, state="sweepable", sweep=True)
    if not agreed:
        state = "disputed"
    elif now >= item.expires_at:
        state = "at-risk"
    else:
        state = "due"
    return replace(item, agreed=agreed, claimable=agreed, state=state)


def _stake(workspace: Workspace, model: HostedModel, batch: Batch) -> tuple[int, int]:
    """Bitmap of settled samples and wei paid out of a batch."""
    settled, paid_wei, *_ = workspace.chain.view("StakeIncentive", model.incentive, "stakeOf", batch.id)
    return settled, paid_wei


def _send_refunds(
    workspace: Workspace, key: LocalAccount, items: Sequence[ClaimItem]
) -> Iterator[tuple[int, Sent]]:
    done = 0
    for item in items:
        if item.sweep:
            done += 1
            yield done, _sweep(workspace, key, item)
    for model in {item.model.address: item.model for item in items}.values():
        queue = [item for item in items if item.model.address == model.address and not item.sweep]
        while queue:
            group = _fit_bytes(queue)
            sent = _refund_group(workspace, key, model, group)
            while sent is None:
                group = group[: len(group) // 2] if len(group) > 1 else [_halved(group[0])]
                sent = _refund_group(workspace, key, model, group)
            queue = _rest(queue, group)
            done += len(group)
            yield done, sent


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
    """The same batch with half of its mask: whatever could be contributed can be refunded in parts."""
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
    gas = _gas(workspace, key, model, data)
    if gas > USABLE_GAS and (len(group) > 1 or group[0].claimable.bit_count() > 1):
        return None
    asked = [Claim("refund", item.batch.id, item.claimable) for item in group]
    return _submit(workspace, key, model, "refund", data, gas, asked)


def _gas(workspace: Workspace, key: LocalAccount, model: HostedModel, data: bytes) -> int:
    try:
        return workspace.chain.estimate_gas(key.address, model.address, data, 0)
    except GasTooHigh:
        return MAX_TRANSACTION_GAS


def _submit(
    workspace: Workspace,
    key: LocalAccount,
    model: HostedModel,
    kind: str,
    data: bytes,
    gas: int,
    asked: Iterable[Claim],
) -> Sent:
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


def _sweep(workspace: Workspace, key: LocalAccount, item: ClaimItem) -> Sent:
    data = workspace.chain.encode("CollaborativeTrainer", "sweep", item.batch.as_tuple())
    gas = _gas(workspace, key, item.model, data)
    return _submit(workspace, key, item.model, "sweep", data, gas, [Claim("sweep", item.batch.id, item.open)])


# --- others' ---------------------------------------------------------------------------------------------


def _report_items(workspace: Workspace, address: str, models: Sequence[HostedModel]) -> list[ClaimItem]:
    items = []
    for model in models:
        replica = snapshot(workspace.chain, model)
        items += [
            item
            for batch, payload in contributed_batches(workspace, model)
            if batch.contributor.lower() != address.lower()
            and (item := _open_report(workspace, address, model, replica, batch, payload)) is not None
        ]
    return sorted(items, key=lambda item: (item.due_at, item.batch.id))


def contributed_batches(workspace: Workspace, model: HostedModel) -> Iterator[tuple[Batch, bytes]]:
    """Every batch of a model from its events: the committed meta-data and the payload, in order."""
    for event in workspace.chain.logs("CollaborativeTrainer", model.address, "Contributed", model.from_block):
        args = event.args
        samples = split_payload(args["payload"], model.wire)
        yield (
            Batch(
                id=args["batchId"],
                contributor=args["contributor"],
                added_at=args["addedAt"],
                deposit_per_unit_wei=args["depositPerUnit"],
                count=len(samples),
                units=sum(_units(args["payload"], model)),
                informative=args["informative"],
                samples_root=samples_root(samples),
            ),
            args["payload"],
        )


def _units(payload: bytes, model: HostedModel) -> list[int]:
    """Units of each sample of a payload."""
    return [sample_units(vector, model.wire) for _, vector in decode_payload(payload, model.wire)]


def _open_report(
    workspace: Workspace,
    address: str,
    model: HostedModel,
    replica: Perceptron,
    batch: Batch,
    payload: bytes,
) -> ClaimItem | None:
    now = workspace.chain.timestamp()
    settled, paid_wei = _stake(workspace, model, batch)
    left_wei = batch.deposit_wei - paid_wei
    if not left_wei:
        return None
    open_mask = (1 << batch.count) - 1 & ~settled
    agreed = replica.agree(payload) & open_mask
    sweep = now >= batch.added_at + _sweep_wait_s(model, address)
    due_at = batch.added_at + model.terms.report_wait_s
    rewards = {}
    if now >= due_at and not sweep:
        rewards = _rewards(workspace, address, model, batch, payload, open_mask & ~agreed)
    if sweep:
        state = "sweepable"
    elif now < due_at:
        state = "waiting"
    else:
        state = "due" if rewards else "agreed"
    return ClaimItem(
        model=model,
        batch=batch,
        payload=payload,
        open=open_mask,
        agreed=agreed,
        amount_wei=left_wei if sweep else sum(rewards.values()),
        due_at=due_at,
        expires_at=batch.added_at + model.terms.public_wait_s,
        state=state,
        claimable=sum(1 << position for position in rewards),
        sweep=sweep,
    )


def _rewards(
    workspace: Workspace, address: str, model: HostedModel, batch: Batch, payload: bytes, rejected: int
) -> dict[int, int]:
    """What reporting each rejected sample would pay: position -> wei; those that pay nothing are left out."""
    view = workspace.chain.view
    mine_wei = view("StakeIncentive", model.incentive, "validatedWei", address)
    all_wei = view("StakeIncentive", model.incentive, "totalValidatedWei")
    if not mine_wei:
        return {}
    units = _units(payload, model)
    rewards = {}
    for position in bits(rejected):
        if view("StakeIncentive", model.incentive, "hasReported", batch.id, position, address):
            continue
        deposit_wei = units[position] * batch.deposit_per_unit_wei
        left_wei = deposit_wei - view("StakeIncentive", model.incentive, "reportedWei", batch.id, position)
        reward_wei = min(deposit_wei * mine_wei // all_wei, left_wei)
        if reward_wei:
            rewards[position] = reward_wei
    return rewards


def _send_reports(
    workspace: Workspace, key: LocalAccount, items: Sequence[ClaimItem]
) -> Iterator[tuple[int, Sent]]:
    for done, item in enumerate(items, start=1):
        if item.sweep:
            yield done, _sweep(workspace, key, item)
            continue
        positions = bits(item.claimable)
        while positions:
            part, gas, data = _fit_report(workspace, key, item, positions)
            positions = positions[len(part) :]
            asked = [Claim("report", item.batch.id, sum(1 << position for position in part))]
            yield done, _submit(workspace, key, item.model, "report", data, gas, asked)


def _fit_report(
    workspace: Workspace, key: LocalAccount, item: ClaimItem, positions: list[int]
) -> tuple[list[int], int, bytes]:
    """As many of the positions as fit one transaction, the gas they need, and the call data."""
    samples = split_payload(item.payload, item.model.wire)
    part = positions
    while True:
        proofs = [(position, samples[position], sample_proof(samples, position)) for position in part]
        data = workspace.chain.encode("CollaborativeTrainer", "report", item.batch.as_tuple(), proofs)
        if len(part) == 1:
            return part, _gas(workspace, key, item.model, data), data
        if len(data) <= USABLE_BYTES:
            gas = _gas(workspace, key, item.model, data)
            if gas <= USABLE_GAS:
                return part, gas, data
        part = part[: len(part) // 2]
