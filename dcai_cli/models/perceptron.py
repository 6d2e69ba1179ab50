"""The binary perceptron of the contracts in numpy: the same bits after any history.

The rule, all on integers: score = bias + sum(w[i] * v_i); class 1 iff score > 0. Let y be +1 for label 1 and
-1 for label 0. A sample of n indices is informative, and trains the model, iff y * score <= margin * n; then
each of its weights becomes w[i] + y * v_i and the bias becomes bias + y, both saturated at +-32767.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import WORD_LANES, Wire
from dcai_cli.errors import BadInput

WEIGHT_LIMIT = 32_767
"""Weights and the bias saturate at +- this; -32768 never occurs."""

WORD_BYTES = 32
_HEADER_BYTES = 3
_MAX_SAMPLE_FEATURES = 65_535


class _Sample(NamedTuple):
    label: int
    indices: NDArray[np.intp]
    values: NDArray[np.int32]


class Perceptron:
    """A binary perceptron with a bias and a margin per active feature.

    Args:
        n_features: number of weights.
        margin: a sample trains while y * score <= margin * n.
        valued: whether the samples carry int8 values.

    >>> model = Perceptron(n_features=256, margin=2)
    >>> sample = bytes.fromhex("01000200070009")  # label 1, the two features 7 and 9
    >>> model.train(sample + sample + sample)  # the third finds a score of 6 above 2 * 2
    3
    >>> model.predict(sample).tolist()
    [1]
    """

    def __init__(self, n_features: int, margin: int, valued: bool = False) -> None:  # noqa: FBT001, FBT002
        self.wire = Wire(n_features, min(n_features, _MAX_SAMPLE_FEATURES), valued=valued)
        self.margin = margin
        self._weights = np.zeros(self.wire.word_count * WORD_LANES, dtype=np.int16)
        self._bias = 0

    @classmethod
    def from_words(
        cls,
        words: Sequence[int] | bytes,
        n_features: int,
        margin: int,
        valued: bool = False,  # noqa: FBT001, FBT002
    ) -> Self:
        """Make a model from its storage words.

        Args:
            words: all words of weights and the word of the bias, as integers or as 32 bytes each.
            n_features: number of weights.
            margin: the margin per active feature.
            valued: whether the samples carry int8 values.

        Raises:
            BadInput: not as many words as the model has, or words that no model can have.
        """
        model = cls(n_features, margin, valued)
        lanes = _lanes(words)
        if lanes.size != (model.wire.word_count + 1) * WORD_LANES:
            count, needed = lanes.size // WORD_LANES, model.wire.word_count + 1
            raise BadInput(f"A model of {n_features} features has {needed} words, not {count}.")
        model._write_lanes(0, lanes)
        return model

    @property
    def bias(self) -> int:
        """The bias."""
        return self._bias

    @property
    def weights(self) -> NDArray[np.int16]:
        """A copy of the weights, shape (n_features,)."""
        return self._weights[: self.wire.n_features].copy()

    def copy(self) -> Self:
        """Make a model of its own with the same weights."""
        return deepcopy(self)

    def words(self) -> list[int]:
        """The storage words: all words of weights, then the word with the bias in lane 0.

        Sixteen int16 lanes in two's complement make a word; lane 0 is the most significant.
        """
        raw = self._weights.astype(">i2").tobytes() + self._bias.to_bytes(2, "big", signed=True) + bytes(30)
        return pack_words(raw)

    def write_words(self, first_word: int, words: Sequence[int] | bytes) -> None:
        """Overwrite words, as the owner may before sealing; replays the event WeightsWritten.

        Args:
            first_word: number of the first word.
            words: the words, as integers or as 32 bytes each.

        Raises:
            BadInput: words past the end, or with lanes that no model can have; nothing is written then.
        """
        lanes = _lanes(words)
        if first_word < 0 or first_word + lanes.size // WORD_LANES > self.wire.word_count + 1:
            raise BadInput(
                f"{lanes.size // WORD_LANES} words from word {first_word} on do not fit into the model."
            )
        self._write_lanes(first_word, lanes)

    def train(self, payload: bytes) -> int:
        """Train on samples, one after the other, as `contribute` does.

        Args:
            payload: one or more samples; a batch of the chain has at most 256, here there is no limit.

        Returns:
            The bitmap of informative samples: bit i is set iff sample i changed the model.

        Raises:
            BadInput: the payload is malformed; the model is as it was.
        """
        informative = 0
        weights = self._weights
        for position, (label, indices, values) in enumerate(list(_samples(payload, self.wire))):
            sign = 1 if label else -1
            active = weights[indices].astype(np.int32)
            score = self._bias + int((active * values).sum(dtype=np.int64))
            if sign * score > self.margin * indices.size:
                continue
            informative |= 1 << position
            weights[indices] = np.clip(active + sign * values, -WEIGHT_LIMIT, WEIGHT_LIMIT)
            self._bias = max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, self._bias + sign))
        return informative

    def scores(self, payload: bytes) -> NDArray[np.int64]:
        """The score of each sample; labels do not matter.

        Raises:
            BadInput: the payload is malformed.
        """
        return np.array(
            [
                self._bias + int((self._weights[indices] * values).sum(dtype=np.int64))
                for _, indices, values in _samples(payload, self.wire)
            ],
            dtype=np.int64,
        )

    def predict(self, payload: bytes) -> NDArray[np.uint8]:
        """The predicted class of each sample: 1 iff its score is above 0; labels do not matter.

        Raises:
            BadInput: the payload is malformed.
        """
        return (self.scores(payload) > 0).astype(np.uint8)

    def agree(self, payload: bytes) -> int:
        """The bitmap of samples whose label the model predicts: what can be refunded.

        Raises:
            BadInput: the payload is malformed.
        """
        agreed = 0
        for position, (label, predicted) in enumerate(
            zip(_labels(payload, self.wire), self.predict(payload).tolist(), strict=True)
        ):
            agreed |= (label == predicted) << position
        return agreed

    def _write_lanes(self, first_word: int, lanes: NDArray[np.int16]) -> None:
        first = first_word * WORD_LANES
        _check_lanes(first, lanes, self.wire)
        weights = lanes[: max(self._weights.size - first, 0)]
        self._weights[first : first + weights.size] = weights
        if weights.size < lanes.size:
            self._bias = int(lanes[weights.size])


def pack_words(raw: bytes) -> list[int]:
    """Read storage words of 32 big-endian bytes."""
    return [int.from_bytes(raw[at : at + WORD_BYTES], "big") for at in range(0, len(raw), WORD_BYTES)]


def _lanes(words: Sequence[int] | bytes) -> NDArray[np.int16]:
    raw = words if isinstance(words, bytes) else b"".join(word.to_bytes(WORD_BYTES, "big") for word in words)
    if len(raw) % WORD_BYTES:
        raise BadInput(f"{len(raw)} bytes are not a whole number of words.")
    return np.frombuffer(raw, dtype=">i2").astype(np.int16)


def _check_lanes(first: int, lanes: NDArray[np.int16], wire: Wire) -> None:
    """Refuse what the contract's writeWeights refuses."""
    if (lanes == -WEIGHT_LIMIT - 1).any():
        raise BadInput("A weight is -32768; weights are -32767 to 32767.")
    number = np.arange(first, first + lanes.size)
    bias_lane = wire.word_count * WORD_LANES
    unused = (number >= wire.n_features) & (number != bias_lane)
    if lanes[unused].any():
        raise BadInput(f"A lane behind the last of {wire.n_features} weights, or behind the bias, is not 0.")


def _labels(payload: bytes, wire: Wire) -> list[int]:
    return [payload[start] for start, _ in _boundaries(payload, wire)]


def _boundaries(payload: bytes, wire: Wire) -> Iterator[tuple[int, int]]:
    """Start and end of each sample of a payload."""
    if not payload:
        raise BadInput("The payload is malformed at byte 0: there are no samples.")
    stride = wire.index_bytes + wire.valued
    start = 0
    while start < len(payload):
        body = start + _HEADER_BYTES
        end = body + int.from_bytes(payload[start + 1 : body], "big") * stride
        if max(body, end) > len(payload):
            raise _malformed(start, "the last sample is cut off")
        yield start, end
        start = end


def _samples(payload: bytes, wire: Wire) -> Iterator[_Sample]:
    """Decode and check a payload; the codec of the features floor is its slower, complete twin."""
    index_type = ">u2" if wire.index_bytes == 2 else "u1,>u2"
    one = np.ones(1, dtype=np.int32)
    for start, end in _boundaries(payload, wire):
        body = payload[start + _HEADER_BYTES : end]
        if wire.valued:
            entries = np.frombuffer(body, dtype=np.dtype([("index", index_type), ("value", "i1")]))
            raw, values = entries["index"], entries["value"].astype(np.int32)
        else:
            raw, values = np.frombuffer(body, dtype=index_type), one
        indices = raw.astype(np.intp) if raw.dtype.names is None else _wide(raw)
        problem = _problem(payload[start], indices, values, wire)
        if problem:
            raise _malformed(start, problem)
        yield _Sample(payload[start], indices, values)


def _wide(raw: NDArray[np.void]) -> NDArray[np.intp]:
    high, low = raw["f0"].astype(np.intp), raw["f1"].astype(np.intp)
    return high << 16 | low


def _problem(label: int, indices: NDArray[np.intp], values: NDArray[np.int32], wire: Wire) -> str:
    if label >= wire.classes:
        return f"label {label} is out of range"
    if not 1 <= indices.size <= wire.max_features:
        return f"{indices.size} indices, the model takes 1 to {wire.max_features}"
    if (indices[1:] <= indices[:-1]).any():
        return "the indices do not rise"
    if indices[-1] >= wire.n_features:
        return f"index {indices[-1]} is out of range, the model has {wire.n_features} features"
    if wire.valued and ((values == 0) | (values == -128)).any():
        return "a value is 0 or -128"
    return ""


def _malformed(offset: int, problem: str) -> BadInput:
    return BadInput(f"The payload is malformed at byte {offset}: {problem}.")
