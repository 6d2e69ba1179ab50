"""Large tables to samples, block by block: what `featurize` gives row by row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import Row
from dcai_cli.features.featurize import FeaturizedRow, Skipped
from dcai_cli.features.payload_arrays import encode_samples, units_of_samples
from dcai_cli.features.readers import RowSource
from dcai_cli.features.readers.blocks import Block, NotInBlocksError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.table_arrays import TableHasher, TableRows


@dataclass(frozen=True, slots=True)
class TableSamples:
    """The samples of one block.

    Args:
        spec: the feature spec, with the file's names of columns.
        with_labels: whether labels were read.
        block: its rows.
        made: features of the samples, and which rows they are of.
        data: the bytes of all samples, as they travel.
        offsets: int64[samples + 1], where each starts in them.
        skipped: rows without a sample, by their place in the block.
    """

    spec: FeatureSpec
    with_labels: bool
    block: Block
    made: TableRows
    data: bytes
    offsets: NDArray[np.int64]
    skipped: dict[int, Skipped]

    def in_order(self) -> Iterator[int | Skipped]:
        """For each row of the block the place of its sample among the samples, or why it has none."""
        done = 0
        for place in range(self.block.size):
            if place in self.skipped:
                yield self.skipped[place]
            else:
                yield done
                done += 1

    def single_rows(self) -> Iterator[FeaturizedRow | Skipped]:
        """The rows of the block one by one, each with its digests."""
        made, bounds = self.made, self.offsets.tolist()
        sizes, cut = made.sizes().tolist(), made.is_cut.tolist()
        units = units_of_samples(made.rows.indptr, made.rows.counts).tolist()
        written = list(zip(*(self._written(column.name) for column in self.spec.columns), strict=True))
        labels, places = made.labels.tolist(), made.places.tolist()
        names = [json.dumps(label).encode() for label in self.spec.labels] if self.with_labels else [b"null"]
        for at in self.in_order():
            if isinstance(at, Skipped):
                yield at
                continue
            cells = b"[%b]" % b", ".join(written[at])
            yield FeaturizedRow(
                number=self.block.first + places[at],
                label=labels[at] if self.with_labels else None,
                sample=self.data[bounds[at] : bounds[at + 1]],
                n_indices=sizes[at],
                cut=cut[at],
                units=units[at],
                key=hashlib.sha256(b"[%b, %b]" % (cells, names[labels[at]])).digest(),
                content=hashlib.blake2b(cells, digest_size=16).digest(),
            )

    def _written(self, name: str) -> list[bytes]:
        """The cells of a column as JSON, of the rows that gave a sample."""
        coded = self.block.columns[name]
        cells = [json.dumps(cell).encode() for cell in coded.cells]
        return [cells[code] for code in coded.codes[self.made.places].tolist()]


def featurize_blocks(
    source: RowSource,
    spec: FeatureSpec,
    one: Callable[[Row], FeaturizedRow | Skipped],
    *,
    with_labels: bool,
) -> Iterator[TableSamples | FeaturizedRow | Skipped]:
    """Turn a table into samples, in blocks for as long as it can be read in blocks.

    Args:
        source: the table.
        spec: the feature spec, with the file's names of columns.
        one: turns a single row into a sample.
        with_labels: whether to read labels.

    Raises:
        BadInput: a row cannot be read.
    """
    hasher = TableHasher(spec, with_labels=with_labels)
    following = None
    try:
        for block in source.blocks(hasher.names):
            yield _make_samples(block, hasher, spec, one, with_labels=with_labels)
            following = block.first + block.size
    except NotInBlocksError:
        yield from map(one, source.rows_from(following or 1))


def _make_samples(
    block: Block,
    hasher: TableHasher,
    spec: FeatureSpec,
    one: Callable[[Row], FeaturizedRow | Skipped],
    *,
    with_labels: bool,
) -> TableSamples:
    made = hasher.hash(block)
    data, offsets = encode_samples(
        made.labels, made.rows.indptr, made.rows.indices, made.rows.counts, spec.wire
    )
    has_none = np.ones(block.size, dtype=bool)
    has_none[made.places] = False
    skipped = {}
    for place in np.flatnonzero(has_none).tolist():
        result = one(block.row(place))
        assert isinstance(result, Skipped), "the plain code is what is right"
        skipped[place] = result
    return TableSamples(spec, with_labels, block, made, data, offsets, skipped)
