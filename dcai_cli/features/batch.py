"""Many texts at once: the vectors of `hashing.vectorize` as arrays, by whichever way is sooner done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput
from dcai_cli.features import kernel
from dcai_cli.features.hashing import MAX_VALUE, vectorize
from dcai_cli.features.kernel import SparseRows, TextSettings
from dcai_cli.features.spec import FeatureSpec, is_blank


def vectorize_texts(
    spec: FeatureSpec, texts: Sequence[str], *, threads: int = 1, use_kernel: bool | None = None
) -> SparseRows:
    """Turn texts into the vectors that travel on the wire.

    Args:
        spec: the spec of a text model.
        texts: the cells of the text column.
        threads: how many threads work at once, if there is enough to do.
        use_kernel: whether to use the machine code; None for whichever is sooner done.

    Returns:
        A row for each text, with values in place of counts; equal to `hashing.vectorize`. The row of a text
        that gives no sample is empty: `hashing.vectorize` says why.

    >>> spec = FeatureSpec.text(labels=["a", "b"], n_features=256, valued=True)
    >>> list(vectors(vectorize_texts(spec, ["So, so good!", "?"])))
    [Vector(indices=(65, 121), values=(1, 2)), Vector(indices=(), values=())]
    """
    if use_kernel is None:
        # A character is one to four bytes, so this errs towards plain Python.
        use_kernel = kernel.pays(sum(map(len, texts))) and kernel.is_available()
    if not use_kernel:
        return _collect([_vectorize(spec, text) for text in texts])
    data, offsets, strange = _utf8(texts)
    rows = kernel.hash_texts(data, offsets, text_settings(spec), threads=threads)
    rows = select(rows, spec.max_features, valued=spec.valued)
    if strange:
        found = list(vectors(rows))
        for row in strange:
            found[row] = _vectorize(spec, texts[row])
        return _collect(found)
    return rows


def vectors(rows: SparseRows) -> Iterator[Vector]:
    """Sparse rows one by one, as the rest of the program has them."""
    for start, stop in pairwise(rows.indptr.tolist()):
        yield Vector(tuple(rows.indices[start:stop].tolist()), tuple(rows.counts[start:stop].tolist()))


def text_settings(spec: FeatureSpec) -> TextSettings:
    """What the kernel must know of a spec."""
    return TextSettings(ngram_range=spec.ngram_range, lowercase=spec.lowercase, n_features=spec.n_features)


def select(rows: SparseRows, max_features: int, *, valued: bool) -> SparseRows:
    """Keep at most max_features indices of each row, and make values of counts.

    Those whose counts are farthest from 0 stay; of equal ones, the lower index. If valued, counts of 0 are
    dropped first and values end at -127 and 127; otherwise every value is 1.
    """
    if valued:
        rows = _keep(rows, rows.counts != 0)
    crowded = np.flatnonzero(np.diff(rows.indptr) > max_features)
    if len(crowded):
        keep = np.ones(len(rows.indices), dtype=bool)
        for row in crowded.tolist():
            stretch = slice(int(rows.indptr[row]), int(rows.indptr[row + 1]))
            # No two keys are equal, so partitioning by them leaves no choice to the algorithm.
            keys = (-np.abs(rows.counts[stretch].astype(np.int64)) << 32) | rows.indices[stretch]
            keep[stretch] = False
            keep[stretch.start + np.argpartition(keys, max_features)[:max_features]] = True
        rows = _keep(rows, keep)
    values = np.clip(rows.counts, -MAX_VALUE, MAX_VALUE) if valued else np.ones_like(rows.counts)
    return SparseRows(rows.indptr, rows.indices, values)


def _keep(rows: SparseRows, keep: NDArray[np.bool_]) -> SparseRows:
    if keep.all():
        return rows
    kept = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(keep, dtype=np.int64)))
    return SparseRows(kept[rows.indptr], rows.indices[keep], rows.counts[keep])


def _utf8(texts: Sequence[str]) -> tuple[bytes, NDArray[np.int64], list[int]]:
    """All texts as UTF-8: the bytes, the offsets, and which texts cannot be written so and are left out.

    Blank texts are left out, too, since they are no samples whatever their features.
    """
    strange: list[int] = []
    parts = []
    for row, text in enumerate(texts):
        try:
            parts.append(b"" if is_blank(text) else text.encode())
        except UnicodeEncodeError:
            strange.append(row)
            parts.append(b"")
    sizes = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    return b"".join(parts), np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes))), strange


def _vectorize(spec: FeatureSpec, text: str) -> Vector:
    try:
        return vectorize(spec, {spec.text_column: text})
    except BadInput:
        return Vector((), ())


def _collect(found: Sequence[Vector]) -> SparseRows:
    sizes = np.fromiter((len(vector.indices) for vector in found), dtype=np.int64, count=len(found))
    indptr = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes)))
    total = int(indptr[-1])
    indices = np.fromiter((index for vector in found for index in vector.indices), np.int32, count=total)
    values = np.fromiter((value for vector in found for value in vector.values), np.int32, count=total)
    return SparseRows(indptr, indices, values)
