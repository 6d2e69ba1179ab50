"""The features of many texts as one table of counts, which smaller hash spaces are made of without hashing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcai_cli.features import kernel
from dcai_cli.features.columns import is_blank
from dcai_cli.features.hashing import count_features
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text_arrays import text_settings


def count_texts(spec: FeatureSpec, texts: Sequence[str], *, use_kernel: bool) -> SparseRows:
    """Count the features of texts by index.

    Args:
        spec: the spec of a text model without a vocabulary.
        texts: valid Unicode; a blank one has no features.
        use_kernel: whether machine code hashes them, or plain Python; the counts are the same.

    Raises:
        RuntimeError: there is no kernel on this machine; see `kernel.is_available`.

    >>> spec = FeatureSpec.text(labels=["a", "b"], n_features=256)
    >>> rows = count_texts(spec, ["So, so good!", " "], use_kernel=False)
    >>> rows.indptr.tolist(), rows.indices.tolist(), rows.counts.tolist()
    ([0, 2, 2], [65, 121], [1, 2])
    """
    kept = ["" if is_blank(text) else text for text in texts]
    if use_kernel:
        parts = [text.encode() for text in kept]
        offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        return kernel.hash_texts(b"".join(parts), offsets, text_settings(spec))
    counted = [sorted(count_features(spec, {spec.text_column: text}).items()) for text in kept]
    flat = [pair for row in counted for pair in row]
    return SparseRows(
        np.cumsum([0, *map(len, counted)], dtype=np.int64),
        np.fromiter((index for index, _ in flat), dtype=np.int32, count=len(flat)),
        np.fromiter((count for _, count in flat), dtype=np.int32, count=len(flat)),
    )


def fold(rows: SparseRows, n_features: int) -> SparseRows:
    """The counts that a smaller hash space would have given.

    Args:
        rows: counts in a space whose size is a multiple of n_features: then |h| mod n_features is the index
            there modulo n_features.
        n_features: the size of the smaller space.

    >>> rows = SparseRows(np.array([0, 3]), np.array([1, 257, 300]), np.array([1, 2, 3]))
    >>> folded = fold(rows, 256)
    >>> folded.indptr.tolist(), folded.indices.tolist(), folded.counts.tolist()
    ([0, 2], [1, 44], [3, 3])
    """
    row_numbers = np.repeat(np.arange(len(rows), dtype=np.int64), np.diff(rows.indptr))
    keys, places = np.unique(row_numbers * n_features + rows.indices % n_features, return_inverse=True)
    counts: NDArray[np.int32] = np.bincount(places, rows.counts, len(keys)).astype(np.int32)
    indptr = np.searchsorted(keys, np.arange(len(rows) + 1, dtype=np.int64) * n_features)
    return SparseRows(indptr.astype(np.int64), (keys % n_features).astype(np.int32), counts)
