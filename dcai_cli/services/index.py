"""The index of events: what happened to the batches of a model, followed from its first block on.

It reads `Contributed`, `Refunded`, `Reported` and `Swept` into the ledger, range by range, and remembers
after each range up to which block it came, and that block's hash. Where a block is not there any more, what
it and all later ones said is forgotten, and read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dcai_cli.chain.commitment import samples_root
from dcai_cli.domain import Batch
from dcai_cli.errors import DcaiError
from dcai_cli.features.payload import payload_units, split_payload
from dcai_cli.ledger.records import Checkpoint, Contribution, Payout
from dcai_cli.services.settling import PAYING_EVENTS, payout, place

if TYPE_CHECKING:
    from dcai_cli.chain import Chain, Event
    from dcai_cli.services.models import HostedModel
    from dcai_cli.services.workspace import Workspace

EVENTS = ("Contributed", *PAYING_EVENTS)

RANGE_BLOCKS = 512
"""Blocks of the first range. Busy blocks hold some 100 kB of samples each."""

MOST_BLOCKS = 1 << 20
QUIET_EVENTS = 200
"""A range with fewer events is followed by one of twice as many blocks; one with ten times more, by half."""

ATTEMPTS = 8
"""How often a reading starts again because the chain was reorganised under it."""


def follow(
    workspace: Workspace,
    models: Iterable[HostedModel],
    *,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Bring the ledger up to the newest block of some models.

    Every range is one database transaction, so a reading that breaks off goes on where it stopped.

    Args:
        workspace: the opened parts.
        models: the models.
        progress: gets (blocks read, blocks in all) of a model.

    Raises:
        DcaiError: the chain changes faster than it can be read.
    """
    own = {stored.address for stored in workspace.keystore.list() if stored.address is not None}
    for model in models:
        for _ in range(ATTEMPTS):
            if _follow(workspace, model, own, progress):
                break
        else:
            raise DcaiError(
                f"The blocks of {workspace.chain.url_label} change faster than they can be read.",
                hint="Type the same command again later, or use another node.",
            )


def _follow(
    workspace: Workspace, model: HostedModel, own: set[str], progress: Callable[[int, int], None]
) -> bool:
    """Read on; returns whether the newest block stayed where it was meanwhile."""
    chain, ledger = workspace.chain, workspace.ledger
    first = _resume(workspace, model)
    head = chain.block("latest")
    begin, size = first, RANGE_BLOCKS
    while begin <= head.number:
        last = min(begin + size - 1, head.number)
        # Before the events: if the block goes while they are read, the next reading sees it.
        block = head if last == head.number else chain.block(last)
        count = 0
        taken = []
        for _, events in chain.logs_of("CollaborativeTrainer", model.address, EVENTS, begin, last):
            taken += [read_event(event, model) for event in events]
            count += len(events)
        ledger.take_over(chain.key, model.address, taken, Checkpoint(last, block.hash), own)
        progress(last - first + 1, head.number - first + 1)
        begin, size = last + 1, next_size(size, count)
    return chain.block_hash(head.number) == head.hash


def next_size(size: int, count: int) -> int:
    """How many blocks to read next, after a range of so many that held so many events.

    >>> [next_size(512, count) for count in (0, 1_000, 5_000)]
    [1024, 512, 256]
    """
    if count < QUIET_EVENTS:
        return min(2 * size, MOST_BLOCKS)
    return max(1, size // 2) if count > 10 * QUIET_EVENTS else size


def _resume(workspace: Workspace, model: HostedModel) -> int:
    """The first block to read: after the last one that is still there; what later ones said is forgotten."""
    chain, ledger = workspace.chain, workspace.ledger
    known = ledger.checkpoints(chain.key, model.address)
    for checkpoint in known:
        if chain.block_hash(checkpoint.block_number) == checkpoint.block_hash:
            if checkpoint != known[0]:
                ledger.roll_back(chain.key, model.address, checkpoint.block_number)
            return checkpoint.block_number + 1
    if known:
        ledger.roll_back(chain.key, model.address, model.from_block - 1)
    return model.from_block


def read_event(event: Event, model: HostedModel) -> Contribution | Payout:
    """An event of a trainer as the ledger keeps it."""
    if event.name != "Contributed":
        return payout(event)
    args = event.args
    payload = args["payload"]
    samples = split_payload(payload, model.wire)
    return Contribution(
        batch=Batch(
            id=args["batchId"],
            contributor=args["contributor"],
            added_at=args["addedAt"],
            deposit_per_unit_wei=args["depositPerUnit"],
            count=len(samples),
            units=sum(payload_units(payload, model.wire)),
            informative=args["informative"],
            samples_root=samples_root(samples),
        ),
        payload=payload,
        keys=tuple(map(sample_key, samples)),
        place=place(event),
    )


def sample_key(sample: bytes) -> bytes:
    """What tells a sample from others where nobody knows its row: the hash of its bytes."""
    from hashlib import sha256

    return sha256(sample).digest()


def contributors_models(chain: Chain, address: str, from_block: int = 0) -> list[str]:
    """The trainers that took batches of an account, by its events alone, in the order of its first ones."""
    found = dict.fromkeys(
        event.address
        for _, events in chain.logs_of(
            "CollaborativeTrainer",
            None,
            ["Contributed"],
            from_block,
            chain.block_number(),
            contributor=address,
        )
        for event in events
    )
    return list(found)
