"""What naive Bayes and nearest centroid share: numbers by feature and class, and samples by class."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models.replica import Replica, refuse_unused
from dcai_cli.models.samples import Batch, bitmap

FULL_CLASS = 2**23 - 1
"""A class takes no more samples than this, so that its numbers fit 32 bits."""

NUMBER_LIMIT = 2**30
"""Counts and sums that can be written are at most this, so that training cannot overflow them."""

TRAINED_LIMIT = NUMBER_LIMIT + 127 * FULL_CLASS
"""What training can carry them to: a full class of the greatest values."""

TOTAL_LIMIT = 2**90
"""Totals of a class that can be written are at most this."""

TRAINED_TOTAL_LIMIT = 2**95 - 1
"""What training cannot carry them beyond: each sample adds less than 2^58."""

PART_NUMBERS = 2**20
"""Predictions look at about so many numbers at a time."""

_SAMPLES_BYTES = 4
_HALF_BYTES = 16


class Tally(Replica):
    """Counts or sums, 32 bits each; behind them half a word for each class.

    A batch is judged by the model as it stands before it; then its samples are added, in any order.

    Args:
        params: the shape of the model.
    """

    signed: bool
    array_name: str
    """What its numbers by class and feature are called."""

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params)
        numbers: NDArray[Any] = self._body()[: params.n_features * params.row_lanes]
        self._numbers_flat = numbers
        self._rows = numbers.reshape(params.n_features, params.row_lanes)[:, : params.classes]
        self._halves = self._words[params.body_words :].reshape(-1, _HALF_BYTES)[: params.classes]
        self._reload()

    @property
    def samples(self) -> list[int]:
        """How many samples each class has."""
        return list(self._samples)

    @property
    def totals(self) -> list[int]:
        """The total of each class: its occurrences of features, or the sum of its squared sums."""
        return list(self._totals)

    def arrays(self) -> dict[str, NDArray[np.int64]]:  # noqa: D102 (inherited)
        return {self.array_name: self._rows.T.astype(np.int64), "samples": np.array(self._samples)}

    def train(self, payload: bytes | Batch) -> int:  # noqa: D102 (inherited)
        batch = self._read(payload)
        fits = self._fitting(batch.labels)
        informative = bitmap(fits & (self._predict(batch) != batch.labels))
        kept = np.repeat(fits, batch.sizes)
        labels = np.repeat(batch.labels, batch.sizes)[kept]
        self._add(labels, batch.indices[kept], batch.values[kept])
        for label, count in enumerate(
            np.bincount(batch.labels[fits], minlength=self.params.classes).tolist()
        ):
            self._samples[label] += count
        self._store()
        return informative

    @abstractmethod
    def _add(self, labels: NDArray[np.int64], indices: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        """Add features of samples, each with the label of its sample."""

    def _summed(
        self, labels: NDArray[np.int64], indices: NDArray[np.int64], values: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lanes that the features reach, each once, and what comes to each."""
        lanes, inverse = np.unique(indices * self.params.row_lanes + labels, return_inverse=True)
        sums = np.zeros(lanes.size, dtype=np.int64)
        np.add.at(sums, inverse, values)
        return lanes, sums

    def _fitting(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which samples still find room in their class."""
        fits = np.ones(labels.size, dtype=np.bool_)
        for label, samples in enumerate(self._samples):
            own = np.flatnonzero(labels == label)
            fits[own[FULL_CLASS - samples :]] = False
        return fits

    def _reload(self) -> None:
        halves = [half.tobytes() for half in self._halves]
        self._samples = [int.from_bytes(half[:_SAMPLES_BYTES], "big") for half in halves]
        self._totals = [int.from_bytes(half[_SAMPLES_BYTES:], "big", signed=self.signed) for half in halves]

    def _store(self) -> None:
        for half, samples, total in zip(self._halves, self._samples, self._totals, strict=True):
            raw = samples.to_bytes(_SAMPLES_BYTES, "big")
            raw += total.to_bytes(_HALF_BYTES - _SAMPLES_BYTES, "big", signed=self.signed)
            half[:] = np.frombuffer(raw, dtype=np.uint8)

    def _check_header(self, number: int, word: bytes, *, trained: bool) -> None:
        limit = TRAINED_TOTAL_LIMIT if trained else TOTAL_LIMIT
        for at in range(2):
            half = word[at * _HALF_BYTES : (at + 1) * _HALF_BYTES]
            if number * 2 + at >= self.params.classes:
                refuse_unused(half)
                continue
            samples = int.from_bytes(half[:_SAMPLES_BYTES], "big")
            if samples > FULL_CLASS:
                raise BadInput(f"A class has {samples} samples; it takes at most {FULL_CLASS}.")
            total = int.from_bytes(half[_SAMPLES_BYTES:], "big", signed=self.signed)
            if abs(total) > limit:
                raise BadInput(f"The total of a class is {total}; it is at most {limit}.")
