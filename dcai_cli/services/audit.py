"""Audits: whether the weights on the chain are the result of what was contributed, and of nothing else.

Everything is replayed on a replica: the weights that the owner wrote before sealing, then all batches in
their order. What a node says of a batch is not believed: its meta-data must hash to what the data handler
stored under its number, samples and their order included, and no number may be missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.commitment import batch_hash
from dcai_cli.chain.registry import ANY_MODEL, DATA_HANDLER, TRAINER
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.ledger.records import Contribution
from dcai_cli.services.index import read_event
from dcai_cli.services.models import HostedModel, find_model, read_words
from dcai_cli.services.weights import block_of, check_still_there

if TYPE_CHECKING:
    from dcai_cli.chain import Block, Chain
    from dcai_cli.models.replica import Difference, Replica
    from dcai_cli.services.workspace import Workspace

_DISTRUST = "Do not trust this model's predictions. Whether its code is what dcai ships: dcai model verify "


@dataclass(frozen=True, slots=True)
class Audit:
    """A replay whose result is what stands on the chain, bit for bit.

    Args:
        model: the model.
        block: after which block its weights were compared.
        written_words: words that its owner wrote before sealing.
        batches: batches that were replayed.
        samples: their samples.
        informative: of how many of these the model predicted another label when they came.
        seconds: what reading and replaying took.
    """

    model: HostedModel
    block: Block
    written_words: int
    batches: int
    samples: int
    informative: int
    seconds: float


def audit_model(
    workspace: Workspace,
    name: str | None = None,
    *,
    to_block: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Audit:
    """Replay all that was contributed to a model, and compare the result with its weights on the chain.

    Args:
        workspace: the opened parts.
        name: name or address, or None.
        to_block: the state after this block; the newest if None.
        progress: gets (samples replayed, about how many there are).

    Raises:
        UsageError: the chain has no such block yet, or the model was not there.
        DcaiError: the weights are not the result, or the node's events are not what the chain committed to.
    """
    chain, hosted = workspace.chain, find_model(workspace, name)
    block = block_of(workspace, hosted, to_block, option="--to-block")
    began = time.perf_counter()
    replay = _Replay(chain, hosted, block.number)
    replay.start()
    for contribution in replay.contributions():
        replay.take(contribution)
        progress(replay.samples, replay.expected_samples)
    replay.check_complete()
    words = read_words(chain, hosted, block=block.number)
    check_still_there(workspace, block)
    difference = replay.replica.difference(words)
    if difference is not None or replay.parted is not None:
        raise _differs(hosted, block.number, difference, replay.parted)
    return Audit(
        model=hosted,
        block=block,
        written_words=replay.written_words,
        batches=replay.batches,
        samples=replay.samples,
        informative=replay.informative,
        seconds=time.perf_counter() - began,
    )


class _Replay:
    """Repeats a model's history up to a block on a replica."""

    def __init__(self, chain: Chain, model: HostedModel, block: int) -> None:
        from dcai_cli.models import make_replica

        self._chain, self._model, self._block = chain, model, block
        self._count = int(chain.view(TRAINER, model.address, "batchCount", block=block))
        self.replica: Replica = make_replica(model.params)
        self.written_words = self.batches = self.samples = self.informative = 0
        self.parted: tuple[int, int] | None = None
        """The first batch and sample that the model learned otherwise than the replica."""

    @property
    def expected_samples(self) -> int:
        """About how many samples there are, by the batches so far."""
        return self.samples * self._count // max(self.batches, 1)

    def start(self) -> None:
        """Write what the owner wrote; the contract lets nobody write after the first batch."""
        parts = self._chain.logs_of(
            ANY_MODEL, self._model.model, ["WeightsWritten"], self._model.from_block, self._block
        )
        for _, events in parts:
            for event in events:
                try:
                    self.replica.write_words(event.args["firstWord"], event.args["words"])
                except BadInput as error:
                    raise DcaiError(
                        f"The weights written in transaction {event.transaction_hash} are none that the "
                        f"contract takes: {error.message}",
                        hint="Do not use this model, or ask another node: --rpc-url URL",
                    ) from None
                self.written_words += len(event.args["words"])

    def contributions(self) -> Iterator[Contribution]:
        """All batches, in the order of the chain; part of them is in memory at a time."""
        parts = self._chain.logs_of(
            TRAINER, self._model.address, ["Contributed"], self._model.from_block, self._block
        )
        for _, events in parts:
            for event in events:
                try:
                    found = read_event(event, self._model)
                except BadInput as error:
                    raise self._not_committed(event.args["batchId"], error.message) from None
                assert isinstance(found, Contribution)
                yield found

    def take(self, contribution: Contribution) -> None:
        """Check a batch against what the chain committed to, and train on it."""
        batch = contribution.batch
        if batch.id != self.batches:
            raise self._incomplete()
        stored = self._chain.view(
            DATA_HANDLER, self._model.data_handler, "batchHash", batch.id, block=self._block
        )
        if batch_hash(batch) != stored:
            raise self._not_committed(batch.id, "its hash is another")
        informative = self.replica.train(contribution.payload)
        parted = informative ^ batch.informative
        if parted and self.parted is None:
            self.parted = (batch.id, (parted & -parted).bit_length() - 1)
        self.batches += 1
        self.samples += batch.count
        self.informative += informative.bit_count()

    def check_complete(self) -> None:
        """Make sure that no batch is missing at the end."""
        if self.batches != self._count:
            raise self._incomplete()

    def _incomplete(self) -> DcaiError:
        return DcaiError(
            f"The model has {self._count} batches, but {self._chain.url_label} does not show the event of "
            f"batch {self.batches} where it should be.",
            hint="Ask a node that keeps all logs: --rpc-url URL",
        )

    def _not_committed(self, batch_id: int, why: str) -> DcaiError:
        return DcaiError(
            f"What {self._chain.url_label} says of batch {batch_id} is not what the chain committed to: "
            f"{why}.",
            hint="Ask another node: --rpc-url URL",
        )


def _differs(
    model: HostedModel, block: int, difference: Difference | None, parted: tuple[int, int] | None
) -> DcaiError:
    """The error of weights that no contribution made."""
    found = []
    if difference is not None and difference.feature is not None:
        of_label = "" if difference.label is None else f", label {model.spec.labels[difference.label]}"
        found.append(
            f"feature {difference.feature}{of_label} (word {difference.word}) is {difference.theirs} on the "
            f"chain, and {difference.ours} by the replay"
        )
    elif difference is not None:
        found.append(
            f"word {difference.word}, which belongs to no feature, is {difference.theirs:#x} on the chain, "
            f"and {difference.ours:#x} by the replay"
        )
    if parted is not None:
        found.append(f"sample {parted[1]} of batch {parted[0]} met other weights than contributions had made")
    return DcaiError(
        f"The weights of {model.name} ({model.address}) after block {block} are not the result of what was "
        f"contributed: {'; '.join(found)}.",
        hint=f"{_DISTRUST}{model.typed}",
    )
