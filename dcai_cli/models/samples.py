"""The samples of a payload as arrays; the codec of the features floor is its slower, complete twin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import Wire
from dcai_cli.errors import BadInput

_HEADER_BYTES = 3


class Sample(NamedTuple):
    """One sample: its label, and the indices and values of its features."""

    label: int
    indices: NDArray[np.int64]
    values: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked samples, the features of all of them one behind the other.

    Args:
        labels: shape (samples,).
        ends: where the features of each sample end, shape (samples,).
        indices: feature indices, shape (features,).
        values: the values of these features, 1 where the model has none, shape (features,).
    """

    labels: NDArray[np.int64]
    ends: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the features of each sample start, shape (samples,)."""
        return np.concatenate(([0], self.ends[:-1]))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many features each sample has, shape (samples,)."""
        return self.ends - self.starts

    def __iter__(self) -> Iterator[Sample]:
        """One sample after the other."""
        start = 0
        for label, end in zip(self.labels.tolist(), self.ends.tolist(), strict=True):
            yield Sample(label, self.indices[start:end], self.values[start:end])
            start = end

    def parts(self, features: int) -> Iterator[Batch]:
        """The same samples in batches of about so many features, for what needs memory by feature."""
        edges = np.searchsorted(self.ends, np.arange(features, int(self.ends[-1]), features))
        for samples in np.split(np.arange(self.labels.size), edges):
            if samples.size:
                first, last = samples[0], samples[-1]
                start = int(self.ends[first - 1]) if first else 0
                end = int(self.ends[last])
                yield Batch(
                    self.labels[samples],
                    self.ends[samples] - start,
                    self.indices[start:end],
                    self.values[start:end],
                )


def read_batch(payload: bytes, wire: Wire, *, counts: bool = False) -> Batch:
    """Decode and check a payload.

    Args:
        payload: one or more samples; a batch of the chain has at most 256, here there is no limit.
        wire: how the model reads samples.
        counts: whether the values are numbers of occurrences, so that negative ones are refused.

    Raises:
        BadInput: the payload is malformed.
    """
    stride = wire.index_bytes + wire.valued
    heads, ends = _boundaries(payload, stride)
    octets = np.frombuffer(payload, dtype=np.uint8)
    labels = octets[heads].astype(np.int64)
    header = heads[:, None] + np.arange(_HEADER_BYTES)
    features = np.delete(octets, header.ravel()).reshape(-1, stride)
    indices = np.zeros(len(features), dtype=np.int64)
    for column in range(wire.index_bytes):
        indices = indices << 8 | features[:, column]
    values = features[:, -1].view(np.int8).astype(np.int64) if wire.valued else np.ones_like(indices)
    batch = Batch(labels, (ends - heads - _HEADER_BYTES).cumsum() // stride, indices, values)
    _check(batch, heads, wire, counts=counts)
    return batch


def split_samples(payload: bytes, wire: Wire) -> list[bytes]:
    """The bytes of each sample of a payload.

    Args:
        payload: one or more samples, any number; what is in them is not looked at.
        wire: how the model reads samples.

    Raises:
        BadInput: there are no samples, or the last one is cut off.

    >>> [sample.hex() for sample in split_samples(bytes.fromhex("01000100070000010009"), Wire(256, 9))]
    ['0100010007', '0000010009']
    """
    heads, ends = _boundaries(payload, wire.index_bytes + wire.valued)
    return [payload[head:end] for head, end in zip(heads.tolist(), ends.tolist(), strict=True)]


def bitmap(flags: NDArray[np.bool_]) -> int:
    """The bitmap of flags: flag i is bit i.

    >>> bitmap(np.array([True, False, True]))
    5
    """
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def _boundaries(payload: bytes, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each sample starts and ends."""
    if not payload:
        raise BadInput("The payload is malformed at byte 0: there are no samples.")
    edges = [0]
    size = len(payload)
    while (start := edges[-1]) < size:
        body = start + _HEADER_BYTES
        end = body + int.from_bytes(payload[start + 1 : body], "big") * stride
        if body > size or end > size:
            raise _malformed(start, "the last sample is cut off")
        edges.append(end)
    places = np.array(edges, dtype=np.int64)
    return places[:-1], places[1:]


def _check(batch: Batch, heads: NDArray[np.int64], wire: Wire, *, counts: bool) -> None:
    """Refuse what the contract refuses, and name the first sample with a fault."""
    sizes = batch.sizes
    suspect = (batch.labels >= wire.classes) | (sizes < 1) | (sizes > wire.max_features)
    bad = (batch.indices >= wire.n_features) | (batch.values == 0) | (batch.values == -128)
    bad |= counts & (batch.values < 0)
    falling = np.zeros(batch.indices.size, dtype=np.bool_)
    np.less_equal(batch.indices[1:], batch.indices[:-1], out=falling[1:])
    falling[batch.starts[sizes > 0]] = False
    faults = np.flatnonzero(bad | falling)
    if not suspect.any() and not faults.size:
        return
    suspect[np.searchsorted(batch.ends, faults, side="right")] = True
    at = int(suspect.argmax())
    start = int(batch.starts[at])
    sample = Sample(
        int(batch.labels[at]),
        batch.indices[start : batch.ends[at]],
        batch.values[start : batch.ends[at]],
    )
    raise _malformed(int(heads[at]), _problem(sample, wire))


def _problem(sample: Sample, wire: Wire) -> str:
    label, indices, values = sample
    if label >= wire.classes:
        return f"label {label} is out of range"
    if not 1 <= indices.size <= wire.max_features:
        return f"{indices.size} indices, the model takes 1 to {wire.max_features}"
    if (indices[1:] <= indices[:-1]).any():
        return "the indices do not rise"
    if indices[-1] >= wire.n_features:
        return f"index {indices[-1]} is out of range, the model has {wire.n_features} features"
    if ((values == 0) | (values == -128)).any():
        return "a value is 0 or -128"
    return "a value is negative, but this model counts"


def _malformed(offset: int, problem: str) -> BadInput:
    return BadInput(f"The payload is malformed at byte {offset}: {problem}.")
