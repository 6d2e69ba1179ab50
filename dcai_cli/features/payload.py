"""The codec of payloads: samples as bytes, exactly as the contracts read them.

::

    payload = sample*                               1 to 256 samples
    sample  = label:u8  n:u16  (index:u16|u24 [value:i8])*n          big-endian

Indices are u16 where n_features <= 65,536, else u24; a value follows each index where the model is valued.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import lt

from dcai_cli.domain import MAX_BATCH_SAMPLES, Vector, Wire
from dcai_cli.errors import BadInput

HEADER_BYTES = 3
"""Bytes of a sample before its indices: label and n."""

UNIT_INFLUENCE = 64
"""Sum of absolute values that makes one unit of a sample's price."""

_MAX_VALUE = 127


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample, ready to be sent.

    Args:
        data: the bytes on the wire.
        n_indices: its features.
        cut: whether the row had more, and lost the rarest to the spec's `max_features`.
        units: its size for pricing.
    """

    data: bytes
    n_indices: int
    cut: bool
    units: int


def encode_sample(label: int, vector: Vector, wire: Wire) -> bytes:
    """Write one sample; a payload is a concatenation of samples.

    Args:
        label: the class, 0 <= label < classes.
        vector: indices and values; the values are 1 unless the model is valued.
        wire: how the model reads samples.

    Raises:
        BadInput: the contract would refuse the sample.

    >>> encode_sample(1, Vector((2, 300), (1, 1)), Wire(n_features=4096, max_features=1024)).hex()
    '0100020002012c'
    """
    problem = _sample_problem(label, vector, wire)
    if problem:
        raise BadInput(f"This sample cannot be sent: {problem}.")
    size = len(vector.indices)
    header = struct.pack(">BH", label, size)
    stride = wire.index_bytes + wire.valued
    if stride == 2:
        return header + struct.pack(f">{size}H", *vector.indices)
    # An index with the value behind it fits 32 bits, so that one call packs them all.
    numbers: Iterable[int] = vector.indices
    if wire.valued:
        numbers = (
            index << 8 | value & 0xFF for index, value in zip(vector.indices, vector.values, strict=True)
        )
    body = bytearray(struct.pack(f">{size}I", *numbers))
    if stride == 3:
        del body[::4]
    return header + body


def decode_payload(payload: bytes, wire: Wire) -> list[tuple[int, Vector]]:
    """Read all samples of a payload.

    Args:
        payload: 1 to 256 samples.
        wire: how the model reads samples.

    Returns:
        Label and vector of each sample, in order.

    Raises:
        BadInput: the contract would refuse the payload; the message has the offset.
    """
    samples = []
    for start, end in _boundaries(payload, wire):
        vector = _decode_vector(payload[start + HEADER_BYTES : end], wire)
        problem = _sample_problem(payload[start], vector, wire)
        if problem:
            raise _malformed(start, problem)
        samples.append((payload[start], vector))
    return samples


def split_payload(payload: bytes, wire: Wire) -> list[bytes]:
    """Cut a payload into the bytes of its samples, as a report proves them one by one.

    Raises:
        BadInput: the samples do not fill the payload, or there are none or over 256.
    """
    return [payload[start:end] for start, end in _boundaries(payload, wire)]


def sample_units(vector: Vector, wire: Wire) -> int:
    """The units that a sample is priced by: ceil(sum of |value| / 64).

    >>> sample_units(Vector(tuple(range(65)), (1,) * 65), Wire(4096, 1024))
    2
    """
    influence = sum(map(abs, vector.values)) if wire.valued else len(vector.indices)
    return -(-influence // UNIT_INFLUENCE)


def payload_units(payload: bytes, wire: Wire) -> list[int]:
    """Units of each sample of a payload that the contract has taken.

    Raises:
        BadInput: it is malformed.

    >>> payload_units(bytes.fromhex("0100020002012c"), Wire(4096, 1024))
    [1]
    """
    if wire.valued:
        return [sample_units(vector, wire) for _, vector in decode_payload(payload, wire)]
    stride = wire.index_bytes
    return [
        -(-((end - start - HEADER_BYTES) // stride) // UNIT_INFLUENCE)
        for start, end in _boundaries(payload, wire)
    ]


def _boundaries(payload: bytes, wire: Wire) -> Iterator[tuple[int, int]]:
    """Walk over the headers: start and end of each sample."""
    stride = wire.index_bytes + wire.valued
    start = count = 0
    while start < len(payload):
        if count == MAX_BATCH_SAMPLES:
            raise _malformed(start, f"there are more than {MAX_BATCH_SAMPLES} samples")
        header = payload[start : start + HEADER_BYTES]
        end = start + HEADER_BYTES + int.from_bytes(header[1:], "big") * stride
        if len(header) < HEADER_BYTES or end > len(payload):
            raise _malformed(start, "the last sample is cut off")
        yield start, end
        start, count = end, count + 1
    if count == 0:
        raise _malformed(0, "there are no samples")


def _decode_vector(body: bytes, wire: Wire) -> Vector:
    stride = wire.index_bytes + wire.valued
    size = len(body) // stride
    if stride == 2:
        return Vector(struct.unpack(f">{size}H", body), (1,) * size)
    words = bytearray(4 * size)
    for place in range(stride):
        words[4 - stride + place :: 4] = body[place::stride]
    numbers = struct.unpack(f">{size}I", words)
    if not wire.valued:
        return Vector(numbers, (1,) * size)
    return Vector(tuple([number >> 8 for number in numbers]), struct.unpack(f">{size}b", words[3::4]))


def _sample_problem(label: int, vector: Vector, wire: Wire) -> str:
    """What the contract would refuse a sample for; empty if nothing."""
    if not 0 <= label < wire.classes:
        return f"label {label} is out of range, the model has {wire.classes} classes"
    if not 1 <= len(vector.indices) <= wire.max_features:
        return f"it has {len(vector.indices)} indices, the model takes 1 to {wire.max_features}"
    if len(vector.values) != len(vector.indices):
        return f"it has {len(vector.indices)} indices and {len(vector.values)} values"
    return _index_problem(vector.indices, wire) or _value_problem(vector.values, wire)


def _index_problem(indices: tuple[int, ...], wire: Wire) -> str:
    if indices[0] >= 0 and indices[-1] < wire.n_features and all(map(lt, indices, indices[1:])):
        return ""
    for left, right in pairwise(indices):
        if left >= right:
            return f"index {right} follows {left}, indices must rise"
    index = indices[0] if indices[0] < 0 else indices[-1]
    return f"index {index} is out of range, the model has {wire.n_features} features"


def _value_problem(values: tuple[int, ...], wire: Wire) -> str:
    if not wire.valued and values.count(1) == len(values):
        return ""
    if wire.valued and 0 not in values and min(values) >= -_MAX_VALUE and max(values) <= _MAX_VALUE:
        return ""
    for value in values:
        if wire.valued and (value == 0 or not -_MAX_VALUE <= value <= _MAX_VALUE):
            return f"value {value} is not allowed, values are -127 to 127 without 0"
        if not wire.valued and value != 1:
            return f"value {value} is not allowed, the model takes no values"
    return ""


def _malformed(offset: int, problem: str) -> BadInput:
    return BadInput(f"The payload is malformed at byte {offset}: {problem}.")
