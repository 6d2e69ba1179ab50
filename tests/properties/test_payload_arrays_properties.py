"""Samples encoded as arrays against the codec of one sample."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.domain import Vector, Wire
from dcai_cli.errors import BadInput
from dcai_cli.features import payload_arrays
from dcai_cli.features.payload import decode_payload, encode_sample
from dcai_cli.features.payload_arrays import decode_samples, encode_samples

WIRES = st.builds(
    Wire, st.sampled_from([256, 65_536, 65_537, 2**24]), st.integers(1, 6), st.integers(2, 16), st.booleans()
)
# Mostly sound samples, sometimes with an index, value or label that no contract takes.
INDICES = st.one_of(
    st.sets(st.integers(0, 255), max_size=7).map(sorted), st.lists(st.integers(-1, 2**24), max_size=4)
)
VALUES = st.one_of(st.just(1), st.integers(-130, 130))
SAMPLES = st.tuples(st.integers(-1, 16), INDICES).flatmap(
    lambda pair: st.tuples(
        st.just(pair[0]),
        st.just(tuple(pair[1])),
        st.lists(VALUES, min_size=len(pair[1]), max_size=len(pair[1])).map(tuple),
    )
)


@given(st.lists(SAMPLES, max_size=6), WIRES, st.booleans(), st.integers(1, 8))
def test_samples_have_the_bytes_or_the_refusal_of_the_reference(
    samples: list[tuple[int, tuple[int, ...], tuple[int, ...]]], wire: Wire, sound: bool, block: int
) -> None:
    """Whatever the samples and the size of blocks: the same bytes, or the same refusal."""
    if sound:
        ones = [
            (abs(label) % wire.classes, tuple(sorted({abs(i) % 256 for i in indices})))
            for label, indices, _ in samples
        ]
        samples = [
            (label, indices[: wire.max_features], (1,) * min(len(indices), wire.max_features))
            for label, indices in ones
            if indices
        ]
    arrays = (
        [label for label, _, _ in samples],
        np.cumsum([0, *(len(indices) for _, indices, _ in samples)], dtype=np.int64),
        np.array([index for _, indices, _ in samples for index in indices], dtype=np.int32),
        np.array([value for _, _, values in samples for value in values], dtype=np.int32),
    )
    expected: list[bytes] = []
    refusal = ""
    try:
        expected = [encode_sample(label, Vector(indices, values), wire) for label, indices, values in samples]
    except BadInput as error:
        refusal = error.message
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload_arrays, "BLOCK_VALUES", block)
        if refusal:
            with pytest.raises(BadInput, match=re.escape(refusal)):
                encode_samples(*arrays, wire)
        else:
            data, offsets = encode_samples(*arrays, wire)
            assert [data[start:stop] for start, stop in pairwise(offsets.tolist())] == expected


@given(st.lists(SAMPLES, min_size=1, max_size=6), WIRES)
def test_samples_are_read_as_the_reference_reads_them(
    samples: list[tuple[int, tuple[int, ...], tuple[int, ...]]], wire: Wire
) -> None:
    """Labels, indices and values of every form of sample come back."""
    encoded = []
    for label, indices, values in samples:
        with suppress(BadInput):
            encoded.append(
                encode_sample(label, Vector(indices, values if wire.valued else (1,) * len(values)), wire)
            )
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    labels, indptr, indices, values = (
        part.tolist() for part in decode_samples(b"".join(encoded), offsets, wire)
    )
    found = [
        (label, Vector(tuple(indices[first:last]), tuple(values[first:last])))
        for label, (first, last) in zip(labels, pairwise(indptr), strict=True)
    ]
    assert found == [one for sample in encoded for one in decode_payload(sample, wire)]


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    """A label too many is a fault of the caller, not of the data."""
    ones = np.ones(1, dtype=np.int32)
    with pytest.raises(ValueError, match="do not belong together"):
        encode_samples([0, 1], np.array([0, 1]), ones, ones, Wire(256, 1))
