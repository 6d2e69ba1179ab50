"""Many samples to bytes at once, in numpy; `payload.py` defines the bytes, one sample at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcai_cli.domain import Vector, Wire
from dcai_cli.features.payload import HEADER_BYTES, UNIT_INFLUENCE, encode_sample

BLOCK_VALUES = 2**17
"""Indices that are encoded at a time: the intermediate arrays stay in the processor's cache."""


def encode_samples(
    labels: ArrayLike,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.int32],
    wire: Wire,
) -> tuple[bytes, NDArray[np.int64]]:
    """Write samples, as `payload.encode_sample` writes each.

    Args:
        labels: the class of each sample.
        indptr: int64[samples + 1]: sample s has the stretch indptr[s] to indptr[s + 1] of the other two.
        indices: strictly rising in each sample.
        values: 1 unless the model is valued.
        wire: how the model reads samples.

    Returns:
        The bytes of all samples, and offsets: sample s is bytes[offsets[s] : offsets[s + 1]].

    Raises:
        BadInput: the contract would refuse a sample; about the first of them.

    >>> wire = Wire(n_features=4096, max_features=1024)
    >>> data, offsets = encode_samples([1], np.array([0, 2]), np.array([2, 300]), np.array([1, 1]), wire)
    >>> data.hex(), offsets.tolist()
    ('0100020002012c', [0, 7])
    """
    classes = np.asarray(labels, dtype=np.int64)
    if len(classes) != len(indptr) - 1 or len(indices) != len(values) or indptr[-1] > len(indices):
        raise ValueError("labels, indptr, indices and values do not belong together")
    _check(classes, indptr, indices, values, wire)
    stride = wire.index_bytes + wire.valued
    sizes = np.diff(indptr)
    offsets = np.zeros(len(indptr), dtype=np.int64)
    np.cumsum(HEADER_BYTES + sizes * stride, out=offsets[1:])
    data = np.empty(int(offsets[-1]), dtype=np.uint8)
    first = 0
    while first < len(sizes):
        last = max(first + 1, int(np.searchsorted(indptr, indptr[first] + BLOCK_VALUES)) - 1)
        _write_block(data, offsets, first, last, classes, sizes, indptr, indices, values, wire)
        first = last
    return data.tobytes(), offsets


def decode_samples(
    data: bytes, offsets: NDArray[np.int64], wire: Wire
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Read samples back, as `payload.decode_payload` reads each.

    Args:
        data: the bytes of all samples.
        offsets: where each starts, and where the last ends.
        wire: how the model reads samples.

    Returns:
        Labels, indptr, indices and values, as `encode_samples` takes them.

    Raises:
        BadInput: the contract would refuse a sample; about the first of them.
        ValueError: the offsets are not those of the samples.

    >>> wire = Wire(n_features=4096, max_features=1024)
    >>> [part.tolist() for part in decode_samples(bytes.fromhex("0100020002012c"), np.array([0, 7]), wire)]
    [[1], [0, 2], [2, 300], [1, 1]]
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    starts, stride = offsets[:-1], wire.index_bytes + wire.valued
    labels = raw[starts].astype(np.int64)
    sizes = (raw[starts + 1].astype(np.int64) << 8) | raw[starts + 2]
    indptr = np.zeros(len(offsets), dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    if not np.array_equal(np.diff(offsets), HEADER_BYTES + sizes * stride) or offsets[-1] != len(raw):
        raise ValueError("offsets and samples do not belong together")
    is_body = np.ones(len(raw), dtype=bool)
    for place in range(HEADER_BYTES):
        is_body[starts + place] = False
    body = raw[is_body].reshape(-1, stride)
    big_endian = np.zeros((len(body), 4), dtype=np.uint8)
    big_endian[:, 4 - wire.index_bytes :] = body[:, : wire.index_bytes]
    indices = big_endian.view(">u4").reshape(-1).astype(np.int32)
    values = body[:, -1].copy().view(np.int8) if wire.valued else np.ones(len(body))
    found = labels, indptr, indices, values.astype(np.int32)
    _check(*found, wire)
    return found


def units_of_samples(indptr: NDArray[np.int64], values: NDArray[np.int32]) -> NDArray[np.int64]:
    """The units that samples are priced by, as `payload.sample_units` has them; no sample may be empty.

    >>> units_of_samples(np.array([0, 1, 3]), np.array([64, -64, 1], dtype=np.int32)).tolist()
    [1, 2]
    """
    if len(indptr) == 1:
        return np.zeros(0, dtype=np.int64)
    influence = np.add.reduceat(np.abs(values.astype(np.int64)), indptr[:-1])
    return -(-influence // UNIT_INFLUENCE)


def _write_block(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first: int,
    last: int,
    labels: NDArray[np.int64],
    sizes: NDArray[np.int64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.int32],
    wire: Wire,
) -> None:
    """Write samples first to last (exclusive): all headers, then everything between them."""
    block = data[offsets[first] : offsets[last]]
    starts = offsets[first:last] - offsets[first]
    for place, part in enumerate((labels[first:last], sizes[first:last] >> 8, sizes[first:last] & 0xFF)):
        block[starts + place] = part
    stretch = slice(int(indptr[first]), int(indptr[last]))
    # An index with the value behind it fits 32 bits.
    numbers = indices[stretch].astype(np.uint32)
    if wire.valued:
        numbers = (numbers << np.uint32(8)) | (values[stretch] & 0xFF).astype(np.uint32)
    stride = wire.index_bytes + wire.valued
    body = numbers.astype(">u2" if stride == 2 else ">u4").view(np.uint8)
    if stride == 3:
        body = body.reshape(-1, 4)[:, 1:]
    if (sizes[first:last] == sizes[first]).all():  # as with tables: the samples lie in a grid
        block.reshape(last - first, -1)[:, HEADER_BYTES:] = body.reshape(last - first, -1)
        return
    is_body = np.ones(len(block), dtype=bool)
    for place in range(HEADER_BYTES):
        is_body[starts + place] = False
    block[is_body] = body.reshape(-1)


def _check(
    labels: NDArray[np.int64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.int32],
    wire: Wire,
) -> None:
    """Let `encode_sample` refuse the first sample that it would refuse."""
    sizes = np.diff(indptr)
    bad = (labels < 0) | (labels >= wire.classes) | (sizes < 1) | (sizes > wire.max_features)
    used = slice(int(indptr[0]), int(indptr[-1]))
    wrong = (indices[used] < 0) | (indices[used] >= wire.n_features)
    if wire.valued:
        wrong |= (values[used] == 0) | (values[used] > 127) | (values[used] < -127)
    else:
        wrong |= values[used] != 1
    falls = indices[used][1:] <= indices[used][:-1]
    # The first index of a sample may be anything that its own neighbours allow.
    inner = indptr[1:-1] - indptr[0]
    falls[inner[(inner > 0) & (inner <= len(falls))] - 1] = False
    wrong[1:] |= falls
    if not bad.any() and not wrong.any():
        return
    owner = np.searchsorted(indptr - indptr[0], np.flatnonzero(wrong), side="right") - 1
    sample = int(min([*np.flatnonzero(bad)[:1], *owner[:1]]))
    stretch = slice(int(indptr[sample]), int(indptr[sample + 1]))
    vector = Vector(tuple(indices[stretch].tolist()), tuple(values[stretch].tolist()))
    encode_sample(int(labels[sample]), vector, wire)
    raise AssertionError("a sample that cannot be sent must have been refused")
