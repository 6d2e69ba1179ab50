"""Reports: one's share of others' deposits that the model rejects, and sweeping what everybody left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dcai_cli.chain.commitment import sample_proof, samples_root
from dcai_cli.domain import Batch, bits
from dcai_cli.errors import BadInput
from dcai_cli.features.payload import decode_payload, sample_units, split_payload
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

    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace


def pending_reports(
    workspace: Workspace, *, model: str | None = None, account: str | None = None
) -> list[ClaimItem]:
    """Others' batches with something still open, and what claiming them now would pay."""
    address = acting_account(workspace, account).address
    return _report_items(workspace, address, models_meant(workspace, model))


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
    return claim_due(
        workspace, password, model, account, confirm, progress, pending=_report_items, send=_send_reports
    )


def _report_items(workspace: Workspace, address: str, models: Sequence[HostedModel]) -> list[ClaimItem]:
    items = []
    for model in models:
        if model.has_points:
            continue  # there is nothing to take
        try:
            replica = snapshot(workspace.chain, model)
        except BadInput:
            continue  # words that no contract of ours writes: nothing can be said of its samples
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
    replica: Replica,
    batch: Batch,
    payload: bytes,
) -> ClaimItem | None:
    now = workspace.chain.timestamp()
    settled, paid_wei = stake(workspace, model, batch)
    left_wei = batch.deposit_wei - paid_wei
    if not left_wei:
        return None
    open_mask = (1 << batch.count) - 1 & ~settled
    agreed = replica.agree(payload) & open_mask
    sweep = now >= batch.added_at + sweep_wait_s(model, address)
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
            yield done, submit_sweep(workspace, key, item)
            continue
        positions = bits(item.claimable)
        while positions:
            part, gas, data = _fit_report(workspace, key, item, positions)
            positions = positions[len(part) :]
            asked = [Claim("report", item.batch.id, sum(1 << position for position in part))]
            yield done, submit_claim(workspace, key, item.model, "report", data, gas, asked)


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
            return part, gas_needed(workspace, key, item.model, data), data
        if len(data) <= USABLE_BYTES:
            gas = gas_needed(workspace, key, item.model, data)
            if gas <= USABLE_GAS:
                return part, gas, data
        part = part[: len(part) // 2]
