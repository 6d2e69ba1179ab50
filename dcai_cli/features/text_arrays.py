"""Many texts to samples at once, by the kernel: the bytes that `hashing` and `payload` make of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dcai_cli.features import kernel
from dcai_cli.features.columns import is_blank
from dcai_cli.features.hashing import MAX_VALUE
from dcai_cli.features.kernel import SparseRows, TextSettings
from dcai_cli.features.payload import Sample
from dcai_cli.features.payload_arrays import encode_samples, units_of_samples
from dcai_cli.features.spec import FeatureSpec

MAX_CHARACTERS = 2**24
"""Longer texts are left to plain Python: the kernel's memory is some ten times the longest text."""


def make_samples(spec: FeatureSpec, texts: Sequence[str], labels: Sequence[int]) -> Iterator[Sample | None]:
    """Turn texts into samples.

    Args:
        spec: the spec of a text model without a vocabulary.
        texts: cells of the text column.
        labels: the class of each.

    Returns:
        For each text its sample; None where it has none or is too long, `hashing.vectorize` tells which.

    Raises:
        RuntimeError: there is no kernel on this machine; see `kernel.is_available`.

    >>> spec = FeatureSpec.text(labels=["a", "b"], n_features=256, valued=True)
    >>> [sample and sample.data.hex() for sample in make_samples(spec, ["So, so good!", "?"], [1, 0])]
    ['010002004101007902', None]
    """
    data, offsets = _utf8(texts)
    return rows_to_samples(kernel.hash_texts(data, offsets, text_settings(spec)), labels, spec)


def rows_to_samples(counted: SparseRows, labels: Sequence[int], spec: FeatureSpec) -> Iterator[Sample | None]:
    """Turn counted rows into samples, each with the features that the spec lets travel.

    Args:
        counted: indices and counts, or values, of each row.
        labels: the class of each row.
        spec: the feature spec.

    Yields:
        For each row its sample; None where nothing of it travels.
    """
    rows, is_cut = select(counted, spec.max_features, valued=spec.valued)
    # A row without features takes no room, so leaving its start out leaves it out.
    full = np.flatnonzero(np.diff(rows.indptr))
    indptr = np.append(rows.indptr[full], rows.indptr[-1])
    written, ends = encode_samples(np.asarray(labels)[full], indptr, rows.indices, rows.counts, spec.wire)
    units = units_of_samples(indptr, rows.counts).tolist()
    sizes, cut = np.diff(indptr).tolist(), is_cut[full].tolist()
    bounds = ends.tolist()
    done = 0
    for place, row in enumerate(full.tolist()):
        yield from (None,) * (row - done)
        yield Sample(written[bounds[place] : bounds[place + 1]], sizes[place], cut[place], units[place])
        done = row + 1
    yield from (None,) * (len(labels) - done)


def text_settings(spec: FeatureSpec) -> TextSettings:
    """What the kernel must know of a spec."""
    return TextSettings(
        analyzer=spec.analyzer,
        ngram_range=spec.ngram_range,
        lowercase=spec.lowercase,
        alternate_sign=spec.alternate_sign,
        n_features=spec.n_features,
    )


def select(rows: SparseRows, max_features: int, *, valued: bool) -> tuple[SparseRows, NDArray[np.bool_]]:
    """Keep at most max_features indices of each row, and make values of counts.

    Those whose counts are farthest from 0 stay; of equal ones, the lower index. If valued, counts of 0 are
    dropped first and values end at -127 and 127; otherwise every value is 1.

    Returns:
        The rows, with values in place of counts, and bool[rows]: which rows lost features that had a place.
    """
    if valued:
        rows = _keep(rows, rows.counts != 0)
    is_cut = np.diff(rows.indptr) > max_features
    crowded = np.flatnonzero(is_cut)
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
    return SparseRows(rows.indptr, rows.indices, values), is_cut


def _keep(rows: SparseRows, keep: NDArray[np.bool_]) -> SparseRows:
    if keep.all():
        return rows
    kept = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(keep, dtype=np.int64)))
    return SparseRows(kept[rows.indptr], rows.indices[keep], rows.counts[keep])


def _utf8(texts: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
    """All texts as UTF-8, one after the other, and where each starts.

    Blank ones, such as UTF-8 cannot say, and those that are too long are left out, as if they were empty.
    """
    parts = []
    for text in texts:
        try:
            parts.append(b"" if len(text) > MAX_CHARACTERS or is_blank(text) else text.encode())
        except UnicodeEncodeError:
            parts.append(b"")
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, parts), dtype=np.int64, count=len(parts)), out=offsets[1:])
    return b"".join(parts), offsets
