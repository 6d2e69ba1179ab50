"""Nearest centroid of the contracts in numpy: the same bits after any history.

A class keeps the sum of its samples, their number, and the sum of the squares of its sums, so that nothing
is divided in training. With D_c the product of a sample and the sums of class c, its squared distance to
the centroid is, up to the sample's own square, (squares_c - 2 samples_c D_c) / samples_c^2. The class with
samples where that is least is predicted, compared exactly, the lowest on ties; class 0 if none has samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcai_cli.models.samples import Batch
from dcai_cli.models.tally import NUMBER_LIMIT, PART_NUMBERS, TRAINED_LIMIT, Tally


class NearestCentroid(Tally):
    """Sums of samples by class.

    Args:
        params: the shape of the model.
    """

    signed = True
    array_name = "sums"

    @property
    def _lane_type(self) -> str:
        return ">i4"

    def _lane_limits(self, *, trained: bool) -> tuple[int, int]:
        limit = TRAINED_LIMIT if trained else NUMBER_LIMIT
        return -limit, limit

    def _add(self, labels: NDArray[np.int64], indices: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        lanes, sums = self._summed(labels, indices, values)
        before = self._numbers_flat[lanes].astype(np.int64)
        after = before + sums
        self._numbers_flat[lanes] = after
        # Sample by sample, 2 D + sum v^2 comes to the same. Each difference fits 63 bits, their sum may not.
        change = after**2 - before**2
        column = lanes % self.params.row_lanes
        for label in range(self.params.classes):
            own = change[column == label]
            self._totals[label] += (int((own >> 32).sum()) << 32) + int((own & 0xFFFFFFFF).sum())

    def _predict(self, batch: Batch) -> NDArray[np.int64]:
        trained = [label for label, samples in enumerate(self._samples) if samples]
        if not trained:
            return np.zeros(batch.labels.size, dtype=np.int64)
        predicted: list[int] = []
        for part in batch.parts(PART_NUMBERS // self.params.classes):
            products = self._rows[part.indices].astype(np.int64) * part.values[:, None]
            dots = np.add.reduceat(products, part.starts).tolist()
            predicted += [self._nearest(of_sample, trained) for of_sample in dots]
        return np.array(predicted, dtype=np.int64)

    def _nearest(self, dots: list[int], trained: list[int]) -> int:
        """The nearest of the trained classes; the integers have up to 140 bits."""
        best, *others = trained
        least, scale = self._distance(best, dots[best])
        for label in others:
            distance, own_scale = self._distance(label, dots[label])
            if distance * scale < least * own_scale:
                best, least, scale = label, distance, own_scale
        return best

    def _distance(self, label: int, dot: int) -> tuple[int, int]:
        samples = self._samples[label]
        return self._totals[label] - 2 * samples * dot, samples * samples
