"""What a prediction market does with data, as its contract does it (`contracts/market/MarketReplay.sol`).

All contributions, participant by participant, are shuffled by a seed that nobody chose. A perceptron learns
one after the other; each is scored by what it changes in the number of test samples that the model gets
right. The same again in further orders, as many as the rules say: what one sample changes depends on what
came before it, and in few orders that is mostly chance. The contributions of participants who harmed are
taken out, and what is left trains the model once more, in the last order.

Scores of test samples are kept, not computed again: a contribution that the model learns from adds 1, or -1,
to that of a test sample for the bias and for each feature that both have. So no weight may reach its limit,
which the contract sees to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import PERCEPTRON, ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.hashing import hasher
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.models.samples import read_batch, split_samples

MAX_TESTS = 224
"""Test samples of a market at most (`Scoreboard.sol`)."""

MAX_MARKET_FEATURES = 65_536
"""Features of a market's model at most: indices have two bytes."""

_SEED_BYTES = 32


class Contribution(NamedTuple):
    """A sample of the order.

    Args:
        participant: the number of who contributed it.
        number: its place among the samples of this participant.
        sample: its bytes.
    """

    participant: int
    number: int
    sample: bytes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the contributions did.

    Args:
        before: test samples that the model got right before all of them.
        correct: the same after each of them, order by order.
        scores: by number of the participant, what its contributions changed, added up over all orders.
        model: the model that has learned all of them in the last order.
    """

    before: int
    correct: tuple[tuple[int, ...], ...]
    scores: tuple[int, ...]
    model: Perceptron


def check_shape(params: ModelParams) -> None:
    """Refuse the shape of a model that markets do not take.

    Raises:
        BadInput: it is no perceptron of 16 bits without values, or has too many features.
    """
    if params.model_type != PERCEPTRON or params.valued or params.weight_bits != 16:
        raise BadInput(
            "A market takes perceptrons of two classes, with weights of 16 bits and without values; not "
            f"a {params.model_type} model with weights of {params.weight_bits} bits"
            f"{' and values' if params.valued else ''}."
        )
    if params.n_features > MAX_MARKET_FEATURES:
        raise BadInput(
            f"A market's model has {MAX_MARKET_FEATURES:,} features at most, not {params.n_features:,}."
        )


def shuffle(seed: bytes, count: int) -> list[int]:
    """The order of so many samples, by Fisher and Yates.

    Args:
        seed: 32 bytes.
        count: how many samples there are.

    Returns:
        The numbers of the samples: for i from their count down to 2 the one at i - 1 changed places with the
        one at `keccak256(seed, i) % i`.

    >>> shuffle(bytes(32), 5)
    [4, 1, 3, 0, 2]
    """
    if len(seed) != _SEED_BYTES:
        raise ValueError(f"a seed of {len(seed)} bytes")
    keccak = hasher()
    order = list(range(count))
    for i in range(count, 1, -1):
        other = int.from_bytes(keccak(seed + i.to_bytes(32, "big")), "big") % i
        order[i - 1], order[other] = order[other], order[i - 1]
    return order


def draw_orders(
    seed: bytes, payloads: Sequence[bytes], params: ModelParams, orders: int
) -> list[list[Contribution]]:
    """All contributions of a market, in the orders that a seed draws.

    Args:
        seed: 32 bytes, for the first order; the seed of each other one is the hash of that before.
        payloads: the samples of each participant, by number; nothing of one that did not reveal any.
        params: the shape of the model.
        orders: how many.

    Raises:
        BadInput: a payload is malformed.
    """
    contributions = [
        Contribution(participant, number, sample)
        for participant, payload in enumerate(payloads)
        if payload
        for number, sample in enumerate(split_samples(payload, params.wire))
    ]
    drawn = []
    for _ in range(orders):
        drawn.append([contributions[place] for place in shuffle(seed, len(contributions))])
        seed = hasher()(seed)
    return drawn


def evaluate(
    start: Perceptron, tests: bytes, orders: Sequence[Sequence[Contribution]], participants: int
) -> Evaluation:
    """Score contributions by what each changes in the number of test samples that the model gets right.

    Args:
        start: the model before all of them; it stays as it is.
        tests: the test samples, one behind the other, the pieces by their numbers.
        orders: all contributions, in each order that was drawn.
        participants: how many there are, those who revealed nothing, too.

    Raises:
        BadInput: test samples or contributions are malformed, or the model is none of a market.

    >>> model = Perceptron(ModelParams("perceptron", 256, 9))
    >>> tests = bytes.fromhex("0100010007" "0000010009")
    >>> order = [Contribution(0, 0, tests[:5]), Contribution(1, 0, tests[5:])]
    >>> evaluation = evaluate(model, tests, [order, order[::-1]], 2)
    >>> evaluation.before, evaluation.correct, evaluation.scores
    (1, ((1, 2), (1, 2)), (1, 1))
    """
    check_shape(start.params)
    test_set = _TestSet(start, tests)
    scores = [0] * participants
    correct = []
    model = start
    for order in orders:
        model, counts = test_set.learned(start, order)
        last = test_set.before
        for contribution, now in zip(order, counts, strict=True):
            scores[contribution.participant] += now - last
            last = now
        correct.append(tuple(counts))
    return Evaluation(test_set.before, tuple(correct), tuple(scores), model)


def replay(start: Perceptron, order: Sequence[Contribution], removed: Collection[int]) -> Perceptron:
    """The model that a market publishes: the contributions of those who are left, in the same order.

    Args:
        start: the model before all of them; it stays as it is.
        order: all contributions, in the last order that was drawn.
        removed: the numbers of the participants whose contributions are taken out.

    Raises:
        BadInput: a contribution is malformed.
    """
    model = start.copy()
    payload = b"".join(one.sample for one in order if one.participant not in removed)
    if payload:
        model.train(payload)
    return model


class _TestSet:
    """The test samples, and what a model that starts like this makes of them."""

    def __init__(self, start: Perceptron, tests: bytes) -> None:
        batch = read_batch(tests, start.wire)
        self._labels = batch.labels == 1
        self._scores = start.scores(tests)
        self.before = self._right(self._scores)
        # A row for each feature of any test sample, and one of zeros for all others.
        known = np.unique(batch.indices)
        self._row = np.full(start.params.n_features, known.size)
        self._row[known] = np.arange(known.size)
        self._has = np.zeros((known.size + 1, batch.labels.size), dtype=np.uint8)
        self._has[self._row[batch.indices], np.repeat(np.arange(batch.labels.size), batch.sizes)] = 1

    def learned(self, start: Perceptron, order: Sequence[Contribution]) -> tuple[Perceptron, list[int]]:
        """The model that has learned contributions, and the test samples it gets right after each."""
        model, scores, counts = start.copy(), self._scores.copy(), []
        if order:
            payload = b"".join(contribution.sample for contribution in order)
            learned = model.learn(payload)
            for sample, changes in zip(read_batch(payload, model.wire), learned.tolist(), strict=True):
                if changes:
                    step = self._shared(sample.indices) + 1
                    scores += step if sample.label else -step
                counts.append(self._right(scores))
        return model, counts

    def _right(self, scores: NDArray[np.int64]) -> int:
        return int(np.count_nonzero((scores > 0) == self._labels))

    def _shared(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many features a sample shares with each test sample, shape (tests,)."""
        counts: NDArray[np.int64] = self._has[self._row[indices]].sum(axis=0, dtype=np.int64)
        return counts
