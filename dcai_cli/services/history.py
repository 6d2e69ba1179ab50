"""The history of a model: every batch that was contributed, and what became of each sample and its deposit.

The events say what a report or a refund paid in all, but not for which sample how much. So they are replayed
in their order by the rules of `StakeIncentive.sol`, and the sums must be those of the events. Samples wait in
a temporary file meanwhile: memory holds a few bytes for each of them.
"""

from __future__ import annotations

import tempfile
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dcai_cli.chain import RpcError
from dcai_cli.domain import bits
from dcai_cli.errors import DcaiError, UsageError
from dcai_cli.features.payload import payload_units
from dcai_cli.files import make_folder, told
from dcai_cli.services.index import ATTEMPTS, EVENTS, RANGE_BLOCKS, next_size
from dcai_cli.services.models import HostedModel, find_model

if TYPE_CHECKING:
    from dcai_cli.chain import Event
    from dcai_cli.services.workspace import Workspace

OPEN, REFUNDED, REPORTED, SWEPT = STATES = ("open", "refunded", "reported", "swept")
"""What can become of a sample: a refund settles what reports have left, and a sweep what both have."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one sample.

    Args:
        state: one of `STATES`.
        deposit_wei: its deposit; the next three and what is still open make it up.
        refunded_wei: what came back by a refund.
        reported_wei: what reporters took.
        swept_wei: what a sweep took.
        lost_wei: of these, what went to others than the contributor.
        reported_by: who reported it, in order.
        swept_by: who swept it; None if nobody got anything so.
    """

    state: str
    deposit_wei: int
    refunded_wei: int
    reported_wei: int
    swept_wei: int
    lost_wei: int
    reported_by: tuple[str, ...] = ()
    swept_by: str | None = None


@dataclass(slots=True)
class PastBatch:
    """A batch, and what left it so far.

    Args:
        id: its number.
        contributor: who sent it.
        added_at: when, in seconds.
        deposit_per_unit_wei: the deposit of a unit.
        informative: bitmap of the samples of which the model predicted another label.
        block_number: its block.
        transaction_hash: what contributed it.
        offset: where its payload begins in the temporary file.
        length: the payload's bytes.
        units: of each sample.
        settled: bitmap of samples that nothing is left of.
        refunded: bitmap of samples that a refund paid for.
        taken: what reports took of samples.
        reporters: who reported which samples.
        swept_by: who swept it.
    """

    id: int
    contributor: str
    added_at: int
    deposit_per_unit_wei: int
    informative: int
    block_number: int
    transaction_hash: str
    offset: int
    length: int
    units: array[int]
    settled: int = 0
    refunded: int = 0
    taken: dict[int, int] = field(default_factory=dict)
    reporters: dict[int, list[str]] = field(default_factory=dict)
    swept_by: str | None = None

    @property
    def deposit_wei(self) -> int:
        """The whole deposit."""
        return self.deposit_per_unit_wei * sum(self.units)

    def left_wei(self, index: int) -> int:
        """What reports have left of a sample's deposit."""
        return self.deposit_per_unit_wei * self.units[index] - self.taken.get(index, 0)

    def fate(self, index: int) -> Fate:
        """What became of a sample."""
        left_wei, taken_wei = self.left_wei(index), self.taken.get(index, 0)
        refunded = self.refunded >> index & 1
        swept_by = None if refunded or not left_wei else self.swept_by
        swept_wei = left_wei if swept_by else 0
        state = (
            REFUNDED if refunded else REPORTED if taken_wei else SWEPT if self.swept_by is not None else OPEN
        )
        return Fate(
            state=state,
            deposit_wei=left_wei + taken_wei,
            refunded_wei=left_wei if refunded else 0,
            reported_wei=taken_wei,
            swept_wei=swept_wei,
            lost_wei=taken_wei + (swept_wei if swept_by != self.contributor else 0),
            reported_by=tuple(self.reporters.get(index, ())),
            swept_by=swept_by,
        )


class History:
    """Every batch of a model up to a block, and what became of it.

    Args:
        model: the model.
        chain_id: its chain.
        spool: an empty file that payloads wait in.
        from_block: batches of earlier blocks are left out.
        to_block: the last block that was read.
        to_time: that block's time.
    """

    def __init__(
        self,
        model: HostedModel,
        chain_id: int,
        spool: IO[bytes],
        *,
        from_block: int,
        to_block: int,
        to_time: int,
    ) -> None:
        self.model = model
        self.chain_id = chain_id
        self.from_block = from_block
        self.to_block = to_block
        self.to_time = to_time
        self._spool = spool
        self._batches: dict[int, PastBatch] = {}
        self._validated_units: dict[str, int] = defaultdict(int)
        self._total_validated_units = 0
        self._end = 0

    @property
    def batches(self) -> list[PastBatch]:
        """The batches that are wanted, in the order of their contribution."""
        return [batch for batch in self._batches.values() if batch.block_number >= self.from_block]

    @property
    def samples(self) -> int:
        """How many samples they have."""
        return sum(len(batch.units) for batch in self.batches)

    def payload(self, batch: PastBatch) -> bytes:
        """The samples of a batch."""
        self._spool.seek(batch.offset)
        return self._spool.read(batch.length)

    def take(self, event: Event) -> None:
        """Replay one event of the trainer; they come in their order.

        Raises:
            RpcError: it does not follow from those before it.
        """
        number = event.args["batchId"]
        if event.name == "Contributed":
            if number in self._batches:
                raise self._misfit(number)
            self._add(event)
            return
        batch = self._batches.get(number)
        if batch is None:
            raise self._misfit(number)
        replay = {"Refunded": self._refund, "Reported": self._report, "Swept": self._sweep}[event.name]
        if replay(batch, event.args) != event.args["amountWei"]:
            raise self._misfit(number)

    def _add(self, event: Event) -> None:
        args, payload = event.args, event.args["payload"]
        units = array("H", payload_units(payload, self.model.wire))
        self._batches[args["batchId"]] = PastBatch(
            id=args["batchId"],
            contributor=args["contributor"],
            added_at=args["addedAt"],
            deposit_per_unit_wei=args["depositPerUnit"],
            informative=args["informative"],
            block_number=event.block_number,
            transaction_hash=event.transaction_hash,
            offset=self._end,
            length=len(payload),
            units=units,
        )
        self._spool.seek(self._end)
        self._spool.write(payload)
        self._end += len(payload)

    def _refund(self, batch: PastBatch, args: dict[str, Any]) -> int:
        """What a refund pays: all that reports have left of each sample."""
        mask = self._open(batch, args["refunded"])
        amount_wei = earned_units = 0
        for index in bits(mask):
            amount_wei += batch.left_wei(index)
            if batch.informative >> index & 1:
                earned_units += batch.units[index]
        batch.refunded |= mask
        batch.settled |= mask
        self._validated_units[batch.contributor] += earned_units
        self._total_validated_units += earned_units
        return amount_wei

    def _report(self, batch: PastBatch, args: dict[str, Any]) -> int:
        """What a report pays: of each deposit the part of the reporter in all validated units."""
        reporter, mask = args["reporter"], self._open(batch, args["reported"])
        standing = self._validated_units.get(reporter, 0)
        amount_wei = 0
        for index in bits(mask):
            left_wei, before_wei = batch.left_wei(index), batch.taken.get(index, 0)
            if not standing:
                raise self._misfit(batch.id)
            taken_wei = min(left_wei, (left_wei + before_wei) * standing // self._total_validated_units)
            batch.taken[index] = before_wei + taken_wei
            batch.reporters.setdefault(index, []).append(reporter)
            if taken_wei == left_wei:
                batch.settled |= 1 << index
            amount_wei += taken_wei
        return amount_wei

    def _sweep(self, batch: PastBatch, args: dict[str, Any]) -> int:
        """What a sweep pays: all that is left of the batch."""
        everything = (1 << len(batch.units)) - 1
        amount_wei = sum(batch.left_wei(index) for index in bits(everything & ~batch.settled))
        batch.settled, batch.swept_by = everything, args["sweeper"]
        return amount_wei

    def _open(self, batch: PastBatch, mask: int) -> int:
        """The samples of a bitmap, which must be there and open."""
        if mask & batch.settled or mask >> len(batch.units):
            raise self._misfit(batch.id)
        return mask

    def _misfit(self, batch_id: int) -> RpcError:
        return RpcError(
            f"The events of {self.model.name} that the node gives do not fit together at batch {batch_id}.",
            hint="Ask another node: --rpc-url URL",
        )


@contextmanager
def read_history(
    workspace: Workspace,
    model: str | None = None,
    *,
    from_block: int | None = None,
    to_block: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[History]:
    """Read the history of a model from its events; while it is open, payloads are in a temporary file.

    It takes as many bytes as all samples, so it stands where the ledger does, and not in the system's folder
    for such files, which may be in memory.

    Args:
        workspace: the opened parts.
        model: name or address, or None.
        from_block: leave out what was contributed in earlier blocks.
        to_block: read no later ones; the newest block if None.
        progress: gets (blocks read, blocks in all).

    Raises:
        UsageError: the blocks are none, or not there yet.
        PrunedLogs: the node does not have the events any more.
        DcaiError: the chain changes faster than it can be read.
    """
    hosted, folder = find_model(workspace, model), workspace.settings.data_dir
    make_folder(folder)
    with ExitStack() as stack:
        with told(folder, "written to"):
            spool = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        for _ in range(ATTEMPTS):
            history = _read(workspace, hosted, from_block, to_block, spool, folder, progress)
            if history is not None:
                break
        else:
            raise DcaiError(
                f"The blocks of {workspace.chain.url_label} change faster than they can be read.",
                hint="Type the same command again later, or name an earlier block: --to-block N",
            )
        yield history


def _read(
    workspace: Workspace,
    model: HostedModel,
    from_block: int | None,
    to_block: int | None,
    spool: IO[bytes],
    folder: Path,
    progress: Callable[[int, int], None],
) -> History | None:
    """Read it; None if the last block went away meanwhile."""
    chain = workspace.chain
    newest = chain.block_number()
    first, last = from_block or 0, newest if to_block is None else to_block
    if last > newest:
        raise UsageError(f"There is no block {last} yet.", hint=f"The newest is {newest}.")
    if first > last:
        raise UsageError(
            f"Block {first} is after block {last}.", hint="--from-block is at most --to-block, or the newest."
        )
    head = chain.block(last)
    history = History(model, chain.chain_id, spool, from_block=first, to_block=last, to_time=head.timestamp)
    begin, size = model.from_block, RANGE_BLOCKS
    while begin <= last:
        # In ranges of its own: a node would give the payloads of a thousand batches at once.
        end, count = min(begin + size - 1, last), 0
        for _, events in chain.logs_of("CollaborativeTrainer", model.address, EVENTS, begin, end):
            count += len(events)
            with told(folder, "written to"):
                for event in events:
                    history.take(event)
        progress(end - model.from_block + 1, last - model.from_block + 1)
        begin, size = end + 1, next_size(size, count)
    return history if chain.block_hash(last) == head.hash else None
