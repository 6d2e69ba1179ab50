"""The features of many texts as sparse rows of counts, for several sizes of the hash space at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dcai_cli.features import kernel
from dcai_cli.features.columns import is_blank
from dcai_cli.features.hashing import count_features
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text_arrays import text_settings

_COUNT_BITS = 20
_MAX_COUNT = 2**_COUNT_BITS - 1


def count_in_sizes(
    spec: FeatureSpec, texts: Sequence[str], sizes: Sequence[int], *, use_kernel: bool
) -> Iterator[SparseRows]:
    """Count the features of texts by index, for one size of the hash space after the other.

    Args:
        spec: the spec of a text model without a vocabulary, and without alternate signs.
        texts: valid Unicode; a blank one has no features.
        sizes: sizes of the hash space; each divides the greatest.
        use_kernel: whether machine code hashes the texts, for each size anew, or plain Python, once; the
            counts are the same.

    Raises:
        RuntimeError: there is no kernel on this machine; see `kernel.is_available`.

    >>> spec = FeatureSpec.text(labels=["a", "b"], n_features=512, max_features=256)
    >>> (rows,) = count_in_sizes(spec, ["So, so good!", " "], [256], use_kernel=False)
    >>> rows.indptr.tolist(), rows.indices.tolist(), rows.counts.tolist()
    ([0, 2, 2], [65, 121], [1, 2])
    """
    kept = ["" if is_blank(text) else text for text in texts]
    if use_kernel:
        parts = [text.encode() for text in kept]
        data, offsets = b"".join(parts), np.cumsum([0, *map(len, parts)], dtype=np.int64)
        for size in sizes:
            yield kernel.hash_texts(data, offsets, replace(text_settings(spec), n_features=size))
        return
    widest = _count_plainly(replace(spec, n_features=max(sizes)), kept)
    for size in sizes:
        yield fold(widest, size)


def _count_plainly(spec: FeatureSpec, texts: Sequence[str]) -> SparseRows:
    indices, counts, indptr = array("i"), array("i"), [0]
    for text in texts:
        counted = count_features(spec, {spec.text_column: text})
        indices.extend(sorted(counted))
        counts.extend(counted[index] for index in sorted(counted))
        indptr.append(len(indices))
    return SparseRows(
        np.array(indptr, dtype=np.int64), np.array(indices, dtype=np.int32), np.array(counts, dtype=np.int32)
    )


def fold(rows: SparseRows, n_features: int) -> SparseRows:
    """The counts that a smaller hash space would have given.

    Args:
        rows: counts above 0 in a space whose size is a multiple of n_features: then |h| mod n_features is the
            index there modulo n_features. A greater count than 1,048,575 counts as that.
        n_features: the size of the smaller space.

    >>> rows = SparseRows(np.array([0, 3]), np.array([1, 257, 300]), np.array([1, 2, 3]))
    >>> folded = fold(rows, 256)
    >>> folded.indptr.tolist(), folded.indices.tolist(), folded.counts.tolist()
    ([0, 2], [1, 44], [3, 3])
    """
    row_numbers = np.repeat(np.arange(len(rows), dtype=np.int64), np.diff(rows.indptr))
    packed = row_numbers * n_features + rows.indices % n_features << _COUNT_BITS
    packed |= np.minimum(rows.counts, _MAX_COUNT)
    packed.sort()  # much quicker than to find out which place each number would have
    keys = packed >> _COUNT_BITS
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.add.reduceat(packed & _MAX_COUNT, starts) if len(starts) else np.zeros(0)
    indptr = np.searchsorted(keys[starts], np.arange(len(rows) + 1, dtype=np.int64) * n_features)
    indices = keys[starts] % n_features
    return SparseRows(indptr.astype(np.int64), indices.astype(np.int32), counts.astype(np.int32))
