"""The perceptrons of the contracts in numpy: the same bits after any history.

Two classes: score = bias + sum(w[i] * v_i); class 1 iff score > 0. Let y be +1 for label 1 and -1 for label
0. A sample of n indices trains the model iff y * score <= margin * n; then each of its weights becomes
w[i] + y * v_i and the bias becomes bias + y.

More classes: each has weights, a bias and a score of its own; the greatest score is predicted, the lowest
class on ties. Let r be the best other class than the label y. A sample trains the model iff score_y - score_r
<= margin * n; then the weights of class y become w[i] + v_i, those of r become w[i] - v_i, and their biases
change by 1.

A sample is informative iff the model predicted another label just before: confirming what the model says
already trains it within the margin, but shows no knowledge of one's own.

Weights saturate at +-32767 (+-127 if they have 8 bits), biases at +-32767.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models.replica import Replica, refuse_unused
from dcai_cli.models.samples import Batch, bitmap

BIAS_LIMIT = 32_767
"""Biases, and weights of 16 bits, saturate at +- this; -32768 never occurs."""

WEIGHT_LIMITS = {8: 127, 16: BIAS_LIMIT}
"""Weights of so many bits saturate at +- this."""


class _Margins(Replica):
    """What both perceptrons share: signed lanes that saturate, and a last word with the biases."""

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params)
        self.margin = params.margin
        self._limit = WEIGHT_LIMITS[params.weight_bits]
        self._reload()

    def _reload(self) -> None:
        self._biases: NDArray[np.int16] = self._words[-1].view(">i2")

    @property
    def _lane_type(self) -> str:
        return {8: "i1", 16: ">i2"}[self.params.weight_bits]

    def _lane_limits(self, *, trained: bool) -> tuple[int, int]:
        del trained  # they saturate
        return -self._limit, self._limit

    def _check_header(self, number: int, word: bytes, *, trained: bool) -> None:
        del number, trained  # there is one, and it saturates
        used = 2 * self._bias_count
        biases = np.frombuffer(word[:used], dtype=">i2")
        if (biases < -BIAS_LIMIT).any():
            raise BadInput(f"A bias is {biases.min()}; biases are {-BIAS_LIMIT} to {BIAS_LIMIT}.")
        refuse_unused(word[used:])

    @property
    def _bias_count(self) -> int:
        return 1 if self.params.row_lanes == 1 else self.params.classes

    def _saturated(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        # np.clip asks for the limits of the type first, which takes longer than all the rest here.
        return np.minimum(np.maximum(weights, -self._limit), self._limit)

    def _move_bias(self, lane: int, step: int) -> None:
        self._biases[lane] = max(-BIAS_LIMIT, min(BIAS_LIMIT, int(self._biases[lane]) + step))


class Perceptron(_Margins):
    """A binary perceptron with a bias and a margin per active feature.

    Args:
        params: the shape of the model.

    >>> model = Perceptron(ModelParams("perceptron", 256, 256, margin=2))
    >>> sample = bytes.fromhex("01000200070009")  # label 1, the two features 7 and 9
    >>> model.train(sample + sample + sample)  # the second is expected already
    1
    >>> model.predict(sample).tolist()
    [1]
    """

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params)
        self._lanes: NDArray[Any] = self._body()

    @property
    def bias(self) -> int:
        """The bias."""
        return int(self._biases[0])

    @property
    def weights(self) -> NDArray[np.int16]:
        """A copy of the weights, shape (n_features,)."""
        return self._lanes[self._places(np.arange(self.params.n_features))].astype(np.int16)

    def arrays(self) -> dict[str, NDArray[np.int64]]:  # noqa: D102 (inherited)
        return {"weights": self.weights.astype(np.int64), "bias": np.array(self.bias)}

    def train(self, payload: bytes | Batch) -> int:  # noqa: D102 (inherited)
        return bitmap(self._train(payload)[0])

    def learn(self, payload: bytes | Batch) -> NDArray[np.bool_]:
        """Train as `train` does; of each sample whether the model learned from it, shape (samples,).

        That is more than what is informative: samples within the margin are learned from, too.

        Raises:
            BadInput: the payload is malformed; the model is as it was.
        """
        return self._train(payload)[1]

    def _train(self, payload: bytes | Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Train; which samples are informative, and which were learned from."""
        batch = self._read(payload)
        informative, learned = np.zeros((2, batch.labels.size), dtype=np.bool_)
        for position, (label, indices, values) in enumerate(batch):
            sign = 1 if label else -1
            places = self._places(indices)
            active = self._lanes[places].astype(np.int64)
            score = self.bias + int(active @ values)
            if sign * score > self.margin * indices.size:
                continue
            learned[position] = True
            informative[position] = (score > 0) != label
            self._lanes[places] = self._saturated(active + sign * values)
            self._move_bias(0, sign)
        return informative, learned

    def scores(self, payload: bytes | Batch) -> NDArray[np.int64]:
        """The score of each sample; labels do not matter.

        Raises:
            BadInput: the payload is malformed.
        """
        return self._scores(self._read(payload))

    def leads(self, payload: bytes | Batch) -> NDArray[np.int64]:  # noqa: D102 (inherited)
        batch = self._read(payload)
        return np.where(batch.labels == 1, 1, -1) * (2 * self._scores(batch) - 1)

    def _scores(self, batch: Batch) -> NDArray[np.int64]:
        active = self._lanes[self._places(batch.indices)].astype(np.int64)
        sums: NDArray[np.int64] = np.add.reduceat(active * batch.values, batch.starts)
        return sums + self.bias

    def _predict(self, batch: Batch) -> NDArray[np.int64]:
        return (self._scores(batch) > 0).astype(np.int64)

    def _places(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The lane of each weight: of 32 in a word of 8 bits, the second 16 stand between the first."""
        if self.params.weight_bits == 16:
            return indices
        return indices & ~31 | (indices & 15) << 1 | indices >> 4 & 1

    def _numbers(self, lanes: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.params.weight_bits == 16:
            return lanes
        return lanes & ~31 | (lanes & 1) << 4 | lanes >> 1 & 15


class MulticlassPerceptron(_Margins):
    """A perceptron of 3 to 16 classes, with a bias per class and a margin per active feature.

    Args:
        params: the shape of the model.
    """

    def __init__(self, params: ModelParams) -> None:
        super().__init__(params)
        rows: NDArray[Any] = self._body()[: params.n_features * params.row_lanes]
        self._rows = rows.reshape(params.n_features, params.row_lanes)[:, : params.classes]

    def arrays(self) -> dict[str, NDArray[np.int64]]:  # noqa: D102 (inherited)
        biases = self._biases[: self.params.classes]
        return {"weights": self._rows.T.astype(np.int64), "bias": biases.astype(np.int64)}

    def train(self, payload: bytes | Batch) -> int:  # noqa: D102 (inherited)
        batch = self._read(payload)
        informative = np.zeros(batch.labels.size, dtype=np.bool_)
        for position, (label, indices, values) in enumerate(batch):
            active = self._rows[indices].astype(np.int64)
            scores = self._biases[: self.params.classes] + values @ active
            predicted = int(scores.argmax())
            rivals = scores.copy()
            rivals[label] = np.iinfo(np.int64).min
            rival = int(rivals.argmax())
            if scores[label] - scores[rival] > self.margin * indices.size:
                continue
            informative[position] = predicted != label
            for column, sign in ((label, 1), (rival, -1)):
                self._rows[indices, column] = self._saturated(active[:, column] + sign * values)
                self._move_bias(column, sign)
        return bitmap(informative)

    def scores(self, payload: bytes | Batch) -> NDArray[np.int64]:
        """The score of each sample and class, shape (samples, classes); labels do not matter.

        Raises:
            BadInput: the payload is malformed.
        """
        return self._scores(self._read(payload))

    def leads(self, payload: bytes | Batch) -> NDArray[np.int64]:  # noqa: D102 (inherited)
        batch = self._read(payload)
        scores = self._scores(batch)
        rows = np.arange(batch.labels.size)
        own = scores[rows, batch.labels]
        scores[rows, batch.labels] = np.iinfo(np.int64).min
        # The lowest class wins ties.
        best = scores.max(axis=1)
        wins_ties = batch.labels < scores.argmax(axis=1)
        leads: NDArray[np.int64] = 2 * (own - best) + np.where(wins_ties, 1, -1)
        return leads

    def _scores(self, batch: Batch) -> NDArray[np.int64]:
        products = [values @ self._rows[indices].astype(np.int64) for _, indices, values in batch]
        scores: NDArray[np.int64] = np.array(products, dtype=np.int64)
        scores += self._biases[: self.params.classes]
        return scores

    def _predict(self, batch: Batch) -> NDArray[np.int64]:
        best: NDArray[np.int64] = self._scores(batch).argmax(axis=1)
        return best
