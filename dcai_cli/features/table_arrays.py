"""Many rows of a table at once: the vectors of `hashing.vectorize` from Arrow columns.

Cells repeat, so each different cell of a column is named and hashed once (Arrow's dictionary encoding), and
rows are then numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcai_cli.errors import BadInput
from dcai_cli.features.batch import select
from dcai_cli.features.hashing import feature_index, feature_names
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.spec import Column, FeatureSpec, is_blank

if TYPE_CHECKING:
    import pyarrow as pa

_UNUSABLE = -1


def vectorize_columns(spec: FeatureSpec, columns: Mapping[str, pa.ChunkedArray]) -> SparseRows:
    """Turn the rows of a table into the vectors that travel on the wire.

    Args:
        spec: the spec of a tabular model.
        columns: column name to cells, all equally long, as strings; null is the empty cell.

    Returns:
        A row for each row, with values in place of counts; equal to `hashing.vectorize`. The row of one that
        gives no sample is empty: `hashing.vectorize` says why.

    >>> import pyarrow as pa
    >>> spec = FeatureSpec.tabular(
    ...     labels=["a", "b"], columns=[Column("size", "numeric", ("5",))], n_features=256
    ... )
    >>> rows = vectorize_columns(spec, {"size": pa.chunked_array([["1", "x", "7", "1.0"]])})
    >>> rows.indptr.tolist(), rows.indices.tolist()
    ([0, 1, 1, 2, 3], [174, 141, 174])
    """
    parts = [_hash_column(spec, column, columns[column.name]) for column in spec.columns]
    indices = np.stack([index for index, _ in parts], axis=1)
    usable = (indices != _UNUSABLE).all(axis=1) & ~np.all([blank for _, blank in parts], axis=0)
    indices.sort(axis=1)
    is_new = np.ones(indices.shape, dtype=bool)
    np.not_equal(indices[:, 1:], indices[:, :-1], out=is_new[:, 1:])
    is_new &= usable[:, None]
    sizes = is_new.sum(axis=1, dtype=np.int64)
    places = np.flatnonzero(is_new.reshape(-1))
    # A feature's count is how far away the next one starts, or the end of its row.
    width = indices.shape[1]
    ends = np.append(places[1:], len(usable) * width)
    counts = np.minimum(ends, (places // width + 1) * width) - places
    indptr = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes)))
    rows = SparseRows(indptr, indices.reshape(-1)[places], counts.astype(np.int32))
    return select(rows, spec.max_features, valued=spec.valued)


def _hash_column(
    spec: FeatureSpec, column: Column, cells: pa.ChunkedArray
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The index of each cell, -1 where it cannot be used, and which cells are blank."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.fill_null(cells, "").combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    different = encoded.dictionary.to_pylist()
    one_column = FeatureSpec.tabular(labels=spec.labels, columns=[column], n_features=spec.n_features)
    indices = np.fromiter(
        (_index(one_column, column.name, cell) for cell in different), np.int32, len(different)
    )
    blank = np.fromiter((is_blank(cell) for cell in different), bool, len(different))
    codes = encoded.indices.to_numpy()
    return indices[codes], blank[codes]


def _index(spec: FeatureSpec, name: str, cell: str) -> int:
    try:
        return feature_index(feature_names(spec, {name: cell})[0], spec.n_features)
    except BadInput:
        return _UNUSABLE
