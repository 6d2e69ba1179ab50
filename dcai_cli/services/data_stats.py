"""What was contributed to a model, counted: by label, by what became of it, by contributor, over time."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from dcai_cli.features.payload import HEADER_BYTES, split_payload
from dcai_cli.services.accounts import list_accounts
from dcai_cli.services.history import STATES

if TYPE_CHECKING:
    from dcai_cli.services.history import History, PastBatch
    from dcai_cli.services.models import HostedModel
    from dcai_cli.services.workspace import Workspace


@dataclass(slots=True)
class Part:
    """Some samples and their deposits.

    Args:
        samples: how many.
        deposit_wei: their deposits.
        refunded_wei: of these, what came back to the contributors, by their own sweeps, too.
        lost_wei: of these, what went to others.
    """

    samples: int = 0
    deposit_wei: int = 0
    refunded_wei: int = 0
    lost_wei: int = 0

    @property
    def open_wei(self) -> int:
        """What is still open of the deposits."""
        return self.deposit_wei - self.refunded_wei - self.lost_wei


@dataclass(slots=True)
class ContributorPart(Part):
    """What one address contributed.

    Args:
        contributor: the address.
        account: what this user calls it; None if it is somebody else's.
        batches: how many.
        first_at: when it contributed first, in seconds.
        last_at: when it contributed last.
    """

    contributor: str = ""
    account: str | None = None
    batches: int = 0
    first_at: int = 0
    last_at: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Features per sample; all 0 without samples.

    Args:
        least: the smallest number.
        median: the lower one of two in the middle.
        mean: the average.
        most: the largest.
    """

    least: int
    median: int
    mean: float
    most: int


@dataclass(frozen=True, slots=True)
class DataStats:
    """What was contributed to a model.

    Args:
        model: the model.
        to_block: the block at which it was so.
        total: all samples.
        batches: how many batches.
        informative: samples of which the model predicted another label when they came.
        labels: the samples of each label, in the order of the labels.
        states: those of each state, in the order of `STATES`.
        contributors: those of each contributor, the most samples first.
        first_at: the time of the first batch, in seconds; None without any.
        last_at: the time of the last one.
        features: how many features samples have.
        duplicates: samples that repeat an earlier one, label included.
        contradictions: samples whose features also come with another label.
        timeline: time and samples of each batch, in order.
    """

    model: HostedModel
    to_block: int
    total: Part
    batches: int
    informative: int
    labels: tuple[tuple[str, Part], ...]
    states: tuple[tuple[str, Part], ...]
    contributors: tuple[ContributorPart, ...]
    first_at: int | None
    last_at: int | None
    features: Spread
    duplicates: int
    contradictions: int
    timeline: tuple[tuple[int, int], ...]


def data_stats(
    workspace: Workspace,
    history: History,
    *,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> DataStats:
    """Count what was contributed; memory holds some 10 bytes for each sample.

    Args:
        workspace: the opened parts.
        history: what was read.
        progress: gets (batches counted, batches in all).
    """
    total, informative = Part(), 0
    labels = [Part() for _ in history.model.spec.labels]
    states = {state: Part() for state in STATES}
    contributors: dict[str, ContributorPart] = defaultdict(ContributorPart)
    sizes, repeats = Counter[int](), _Repeats()
    batches = history.batches
    names = {account.address: account.name for account in list_accounts(workspace)}
    wire = history.model.wire
    for done, batch in enumerate(batches, start=1):
        who = contributors[batch.contributor]
        _greet(who, batch, names)
        informative += batch.informative.bit_count()
        for index, sample in enumerate(split_payload(history.payload(batch), wire)):
            fate = batch.fate(index)
            kept_wei = fate.reported_wei + fate.swept_wei - fate.lost_wei
            for part in (total, labels[sample[0]], states[fate.state], who):
                part.samples += 1
                part.deposit_wei += fate.deposit_wei
                part.refunded_wei += fate.refunded_wei + kept_wei
                part.lost_wei += fate.lost_wei
            sizes[(len(sample) - HEADER_BYTES) // (wire.index_bytes + wire.valued)] += 1
            repeats.add(sample)
        progress(done, len(batches))
    duplicates, contradictions = repeats.count()
    return DataStats(
        model=history.model,
        to_block=history.to_block,
        total=total,
        batches=len(batches),
        informative=informative,
        labels=tuple(zip(history.model.spec.labels, labels, strict=True)),
        states=tuple(states.items()),
        contributors=tuple(sorted(contributors.values(), key=lambda who: -who.samples)),
        first_at=batches[0].added_at if batches else None,
        last_at=batches[-1].added_at if batches else None,
        features=_spread(sizes),
        duplicates=duplicates,
        contradictions=contradictions,
        timeline=tuple((batch.added_at, len(batch.units)) for batch in batches),
    )


def _greet(who: ContributorPart, batch: PastBatch, names: Mapping[str | None, str]) -> None:
    """Count a batch for its contributor."""
    if not who.batches:
        who.contributor, who.account = batch.contributor, names.get(batch.contributor)
        who.first_at = batch.added_at
    who.batches += 1
    who.last_at = batch.added_at


def _spread(sizes: Counter[int]) -> Spread:
    count, before, median = sizes.total(), 0, 0
    if not count:
        return Spread(0, 0, 0.0, 0)
    for size, times in sorted(sizes.items()):
        before += times
        if 2 * before >= count:
            median = size
            break
    mean = sum(size * times for size, times in sizes.items()) / count
    return Spread(min(sizes), median, mean, max(sizes))


class _Repeats:
    """Which samples repeat others, by 8 bytes of a hash.

    Of a million samples two different ones look alike once in some 40 million tries.
    """

    def __init__(self) -> None:
        self._features = array("Q")
        self._labels = bytearray()

    def add(self, sample: bytes) -> None:
        """Take one sample, as it is in a payload."""
        digest = blake2b(sample[1:], digest_size=8).digest()  # behind the label
        self._features.append(int.from_bytes(digest, "big"))
        self._labels.append(sample[0])

    def count(self) -> tuple[int, int]:
        """How many repeat an earlier one, and how many have features that come with another label, too."""
        import numpy as np

        features, labels = np.frombuffer(self._features, np.uint64), np.frombuffer(self._labels, np.uint8)
        if not len(features):
            return 0, 0
        order = np.lexsort((labels, features))
        features, labels = features[order], labels[order]
        is_new = np.ones(len(features), dtype=bool)
        is_new[1:] = features[1:] != features[:-1]
        is_pair = is_new.copy()
        is_pair[1:] |= labels[1:] != labels[:-1]
        group = np.cumsum(is_new) - 1
        pairs = np.bincount(group, weights=is_pair)
        return len(features) - int(is_pair.sum()), int((pairs[group] > 1).sum())
