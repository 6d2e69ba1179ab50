"""Test sets of markets: labelled rows, dealt out to pieces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.market import MAX_TESTS
from dcai_cli.errors import BadInput
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.hashing import keccak256

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec

MAX_TEST_BYTES = 24_576
"""What all pieces of the test set may have together, in equal parts: every step of scoring reads it."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """Test samples in pieces.

    Args:
        pieces: the payload of each.
        samples: in one piece.
        labels: how many samples in all have each label.
        left_out: usable rows that do not fill another sample in each piece.
        skipped: rows that cannot be used.
        repeated: rows that give the same sample as an earlier one.
    """

    pieces: tuple[bytes, ...]
    samples: int
    labels: tuple[int, ...]
    left_out: int
    skipped: tuple[Skipped, ...]
    repeated: int


def read_tests(
    source: Source, spec: FeatureSpec, pieces: int, *, note: Callable[[str], None] = lambda _: None
) -> TestSet:
    """Cut a file of labelled rows into pieces of as many samples each.

    Samples are dealt out by their hashes: the piece that is drawn is like the others however the file is
    sorted, and the same file always gives the same pieces.

    Args:
        source: the rows.
        spec: how rows become samples.
        pieces: how many.
        note: is told of an encoding other than UTF-8, and of columns that are not used.

    Raises:
        BadInput: the file cannot be used, or gives too few samples.
    """
    with open_rows(source, note=note) as opened:
        rows = list(featurize(opened, spec, note=note))
    skipped = tuple(row for row in rows if isinstance(row, Skipped))
    usable = [row for row in rows if isinstance(row, FeaturizedRow)]
    samples = {row.sample for row in usable}
    dealt = deal(samples, pieces)
    each = len(dealt[0])
    if not each:
        why = f"; row {skipped[0].row}: {skipped[0].reason}" if skipped else ""
        raise BadInput(
            f"{source} gives {len(samples)} different test samples for {pieces} pieces{why}.",
            hint="Name a file with more labelled rows, or choose fewer --pieces.",
        )
    payloads = tuple(map(b"".join, dealt))
    check_sizes(str(source), payloads)
    labels = [0] * len(spec.labels)
    for piece in dealt:
        for sample in piece:
            labels[sample[0]] += 1
    left_out = len(samples) - each * pieces
    return TestSet(payloads, each, tuple(labels), left_out, skipped, len(usable) - len(samples))


def deal(samples: Collection[bytes], pieces: int) -> list[list[bytes]]:
    """Deal test samples out to pieces, by their hashes; each gets as many, and what is left over is left out.

    Args:
        samples: the samples, all different.
        pieces: how many.
    """
    each = min(len(samples), MAX_TESTS) // pieces
    used = sorted(samples, key=keccak256)[: each * pieces]
    return [used[index::pieces] for index in range(pieces)]


def check_sizes(source: str, payloads: Sequence[bytes]) -> None:
    """Refuse pieces that are longer than a market takes.

    Args:
        source: what they are made of, for the message.
        payloads: of all pieces.

    Raises:
        BadInput: one is.
    """
    longest, limit = max(map(len, payloads)), MAX_TEST_BYTES // len(payloads)
    if longest > limit:
        raise BadInput(
            f"A piece of the test set of {source} has {longest:,} bytes; a market takes {limit:,} in each of "
            f"{len(payloads)} pieces.",
            hint="Use fewer or shorter rows, or a smaller --max-features.",
        )
