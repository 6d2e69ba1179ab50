"""Naive Bayes of the contracts in numpy: multinomial and Bernoulli, the same bits after any history.

Let count_ci be what class c has of feature i, a the smoothing in 1/256, and L the fixed-point logarithm.
Only features *seen* so far (in any class; V of them) and classes with samples take part. The class of the
greatest score is predicted, the lowest on ties, class 0 if none has samples.

Multinomial: L(samples_c) + sum of v_i * L(256 count_ci + a) - (sum of v_i) * L(256 total_c + a V), over the
seen features of the sample.

Bernoulli: L(samples_c) + sum of L(256 count_ci + a) over the seen features that the sample has + sum of
L(256 max(samples_c - count_ci, 0) + a) over those that it has not - V L(256 samples_c + 2 a), V counted
anew.

Smoothing over all n_features instead would let unseen ones drown what was learnt as n_features grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcai_cli.errors import BadInput
from dcai_cli.models.fixed_log import fixed_log2, fixed_log2s
from dcai_cli.models.samples import Batch
from dcai_cli.models.tally import NUMBER_LIMIT, PART_NUMBERS, TRAINED_LIMIT, Tally


class NaiveBayes(Tally):
    """Counts of features by class.

    Args:
        params: the shape of the model.
    """

    counts = True
    signed = False
    array_name = "counts"

    @property
    def seen(self) -> int:
        """How many features any class has."""
        return self._seen

    @property
    def _lane_type(self) -> str:
        return ">u4"

    def _lane_limits(self, *, trained: bool) -> tuple[int, int]:
        return 0, TRAINED_LIMIT if trained else NUMBER_LIMIT

    def _add(self, labels: NDArray[np.int64], indices: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        reached = np.unique(indices)
        self._seen += int((~self._rows[reached].any(axis=1)).sum())
        lanes, sums = self._summed(labels, indices, values)
        self._numbers_flat[lanes] = self._numbers_flat[lanes] + sums
        totals = np.zeros(self.params.classes, dtype=np.int64)
        np.add.at(totals, labels, values)
        self._totals = [total + more for total, more in zip(self._totals, totals.tolist(), strict=True)]

    def _predict(self, batch: Batch) -> NDArray[np.int64]:
        if not any(self._samples):
            return np.zeros(batch.labels.size, dtype=np.int64)
        scores = self._bernoulli if self.params.bernoulli else self._multinomial
        untrained = [samples == 0 for samples in self._samples]
        predicted = []
        for part in batch.parts(PART_NUMBERS // self.params.classes):
            of_part = scores(part)
            of_part[:, untrained] = np.iinfo(np.int64).min
            predicted.append(of_part.argmax(axis=1))
        return np.concatenate(predicted)

    def _multinomial(self, batch: Batch) -> NDArray[np.int64]:
        """The score of each sample and class, shape (samples, classes)."""
        smoothing = self.params.smoothing
        # The logarithms of all features, or of each that occurs: whatever is fewer.
        every = self.params.n_features < batch.indices.size
        counts = (self._rows if every else self._rows[batch.indices]).astype(np.int64)
        occurring = batch.indices if every else slice(None)
        seen = np.asarray(counts.any(axis=1))
        values = batch.values * seen[occurring]
        logs = fixed_log2s(256 * counts + smoothing)[occurring] * values[:, None]
        whole = [fixed_log2(256 * total + smoothing * self._seen) for total in self._totals]
        scores: NDArray[np.int64] = np.add.reduceat(logs, batch.starts)
        scores -= np.add.reduceat(values, batch.starts)[:, None] * np.array(whole)
        return scores + self._priors()

    def _bernoulli(self, batch: Batch) -> NDArray[np.int64]:
        """The score of each sample and class, shape (samples, classes)."""
        smoothing = self.params.smoothing
        counts = self._rows.astype(np.int64)
        seen = (counts != 0).max(axis=1, keepdims=True)
        samples = np.array(self._samples)
        absent = fixed_log2s(256 * np.maximum(samples - counts, 0) + smoothing)
        gain = (fixed_log2s(256 * counts + smoothing) - absent) * seen
        nothing: NDArray[np.int64] = (absent * seen).sum(axis=0) - int(seen.sum()) * fixed_log2s(
            256 * samples + 2 * smoothing
        )
        gained: NDArray[np.int64] = np.add.reduceat(gain[batch.indices], batch.starts)
        return gained + nothing + self._priors()

    def _priors(self) -> NDArray[np.int64]:
        return np.array([fixed_log2(samples) for samples in self._samples], dtype=np.int64)

    def _reload(self) -> None:
        super()._reload()
        self._seen = int.from_bytes(self._words[-1].tobytes(), "big")

    def _store(self) -> None:
        super()._store()
        self._words[-1] = np.frombuffer(self._seen.to_bytes(32, "big"), dtype=np.uint8)

    def _check_header(self, number: int, word: bytes, *, trained: bool) -> None:
        if self.params.body_words + number < self.params.total_words - 1:
            super()._check_header(number, word, trained=trained)
            return
        seen = int.from_bytes(word, "big")
        # An owner may have written too many; then training adds each feature once more at most.
        if seen > self.params.n_features * (2 if trained else 1):
            raise BadInput(f"{seen} features are seen; the model has {self.params.n_features}.")
