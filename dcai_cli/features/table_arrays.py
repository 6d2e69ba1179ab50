"""Blocks of a table to samples at once, in numpy: the rows that `hashing` makes one by one.

Each different cell of a column is named and hashed once, by the plain code; rows are put together of indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.hash_arrays import feature_indices
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.numbers import ASCII_SPACE, NUMBER
from dcai_cli.features.readers.blocks import Block, CodedColumn
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.table import cell_features, is_missing
from dcai_cli.features.text_arrays import select

_NONE = 2**24
"""Stands where a cell makes fewer features than others of its column; it is above all indices."""

KEPT_CELLS = 2**16
"""Different cells of a column that are kept from block to block."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """What a block became.

    Args:
        places: int64[samples], which rows of the block gave a sample, from 0.
        labels: int64[samples], their classes; 0 where labels are not read.
        rows: indices and values of the samples.
        is_cut: bool[samples], which had more features than a sample may have.
    """

    places: NDArray[np.int64]
    labels: NDArray[np.int64]
    rows: SparseRows
    is_cut: NDArray[np.bool_]

    def sizes(self) -> NDArray[np.int64]:
        """int64[samples], how many features each has."""
        return np.diff(self.rows.indptr)


class TableHasher:
    """Turns the blocks of one table into samples.

    Args:
        spec: the spec of a tabular model, with the file's names of columns.
        with_labels: whether to read labels.
    """

    def __init__(self, spec: FeatureSpec, *, with_labels: bool) -> None:
        self._spec = spec
        self._with_labels = with_labels
        self._columns = [_CellHasher(column, spec.n_features) for column in spec.columns]
        self.names = [column.name for column in spec.columns] + [spec.label_column] * with_labels

    def hash(self, block: Block) -> TableRows:
        """The samples of a block; a row that is not among them has none: `hashing.vectorize` tells why."""
        labels = self._labels(block)
        is_used = labels >= 0
        is_empty = np.ones(block.size, dtype=bool)
        parts = []
        for hasher in self._columns:
            coded = block.columns[hasher.column.name]
            at = hasher.look_up(coded.cells)
            parts.append(hasher.indices[at][coded.codes])
            is_empty &= _of_rows(hasher.is_missing[at], coded)
            is_used &= ~_of_rows(hasher.is_bad[at], coded)
        is_used &= ~is_empty
        matrix = np.concatenate(parts, axis=1)
        places = np.arange(block.size)
        if not is_used.all():
            places = np.flatnonzero(is_used)
            matrix = matrix[places]
        rows, is_cut = select(_to_rows(matrix), self._spec.max_features, valued=self._spec.valued)
        return TableRows(places, labels[places], rows, is_cut)

    def _labels(self, block: Block) -> NDArray[np.int64]:
        """The class of each row; -1 if the model does not know it."""
        if not self._with_labels:
            return np.zeros(block.size, dtype=np.int64)
        coded = block.columns[self._spec.label_column]
        known = {label: number for number, label in enumerate(self._spec.labels)}
        classes = np.array([known.get(cell, -1) for cell in coded.cells], dtype=np.int64)
        return classes[coded.codes]


_Learned = tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_]]
"""Indices, whether a cell is missing, and whether it is bad, of some cells."""


class _CellHasher:
    """The indices of the cells of one column; it knows those of the last blocks.

    Args:
        column: the column.
        n_features: size of the hash space.

    Attributes:
        indices: int32[cells, width]: of each known cell.
        is_missing: bool[cells].
        is_bad: bool[cells]: whether the column does not take it.
    """

    def __init__(self, column: Column, n_features: int) -> None:
        self.column = column
        self._n_features = n_features
        self._width = max(1, len(column.parts))
        self._forget()

    def _forget(self) -> None:
        self._known: dict[str, int] = {}
        self.indices = np.empty((0, self._width), dtype=np.int32)
        self.is_missing = np.empty(0, dtype=bool)
        self.is_bad = np.empty(0, dtype=bool)

    def look_up(self, cells: Sequence[str]) -> NDArray[np.int64]:
        """Where each cell stands in the arrays; those that are not known are added."""
        at = np.fromiter(map(self._known.get, cells, repeat(-1)), dtype=np.int64, count=len(cells))
        unknown = np.flatnonzero(at < 0)
        if len(unknown) and len(self._known) > KEPT_CELLS:
            self._forget()
            unknown = np.arange(len(cells))
        if len(unknown):
            new = [cells[place] for place in unknown.tolist()]
            self._learn(list(dict.fromkeys(new)))
            at[unknown] = [self._known[cell] for cell in new]
        return at

    def _learn(self, cells: Sequence[str]) -> None:
        first = len(self._known)
        self._known.update(zip(cells, range(first, first + len(cells)), strict=True))
        learned = self._bin(cells) if self.column.bins else self._name(cells)
        self.indices = np.concatenate((self.indices, learned[0]))
        self.is_missing = np.concatenate((self.is_missing, learned[1]))
        self.is_bad = np.concatenate((self.is_bad, learned[2]))

    def _name(self, cells: Sequence[str]) -> _Learned:
        """Name cell by cell."""
        names: dict[str, int] = {}
        codes = np.full((len(cells), self._width), -1, dtype=np.int64)
        is_bad = np.zeros(len(cells), dtype=bool)
        for at, cell in enumerate(cells):
            try:
                found = cell_features(self.column, cell)
            except BadInput:
                is_bad[at] = True
            else:
                codes[at, : len(found)] = [names.setdefault(name, len(names)) for name in found]
        indices = np.append(feature_indices(list(names), self._n_features), np.int32(_NONE))
        has_none = np.fromiter((is_missing(self.column, cell) for cell in cells), bool, len(cells))
        return indices[codes], has_none, is_bad

    def _bin(self, cells: Sequence[str]) -> _Learned:
        """Find the bins of all numbers at once: their cells repeat little, and there are few names."""
        bare = [cell.strip(ASCII_SPACE) for cell in cells]
        has_none = np.array([not text or text in self.column.missing for text in bare])
        numbers = np.array([float(text) if NUMBER.fullmatch(text) else np.nan for text in bare])
        codes = np.searchsorted(self.column.edges, numbers, side="right")
        codes[has_none] = -1
        names = [f"{self.column.name}={k}" for k in range(len(self.column.bins) + 1)]
        indices = feature_indices([*names, f"{self.column.name}="], self._n_features)
        return indices[codes].reshape(-1, 1), has_none, ~has_none & ~np.isfinite(numbers)


def _of_rows(flags: NDArray[np.bool_], coded: CodedColumn) -> NDArray[np.bool_] | np.bool_:
    """What is said of cells, said of the rows that have them."""
    return flags[coded.codes] if flags.any() else np.False_


def _to_rows(matrix: NDArray[np.int32]) -> SparseRows:
    """Sort the indices of each row, and count those that stand in it several times.

    >>> rows = _to_rows(np.array([[7, 3, 7], [1, _NONE, 0]], dtype=np.int32))
    >>> rows.indptr.tolist(), rows.indices.tolist(), rows.counts.tolist()
    ([0, 2, 4], [3, 7, 0, 1], [1, 2, 1, 1])
    """
    count, width = matrix.shape
    matrix.sort(axis=1)
    is_dropped = np.zeros(matrix.shape, dtype=bool)
    np.equal(matrix[:, 1:], matrix[:, :-1], out=is_dropped[:, 1:])
    if (matrix[:, -1:] == _NONE).any():
        is_dropped |= matrix == _NONE
    flat = matrix.reshape(-1)
    places = np.flatnonzero(is_dropped)
    indices = flat[~is_dropped.reshape(-1)] if len(places) else flat
    counts = np.ones(len(indices), dtype=np.int32)
    repeated = places[flat[places] != _NONE]
    # One that is dropped is counted where the last that was kept before it went to.
    np.add.at(counts, repeated - np.searchsorted(places, repeated) - 1, 1)
    indptr = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(width - np.bincount(places // width, minlength=count), out=indptr[1:])
    return SparseRows(indptr, indices, counts)
