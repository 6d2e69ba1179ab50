"""The models of the protocol, one plain integer at a time: the second opinion behind the golden histories.

Nothing of the package is used. What is not zero is kept in dictionaries, so that large models stay small.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

Sample = tuple[int, list[int], list[int]]
FULL_CLASS = 2**23 - 1
LOG2_TABLE = [round(65_536 * math.log2(1 + k / 256)) for k in range(257)]


@dataclass(frozen=True)
class Shape:
    """The parameters of a model, by the names of its struct."""

    n_features: int
    max_features: int = 1024
    valued: bool = False
    classes: int = 2
    weight_bits: int = 16
    margin: int = 0
    smoothing: int = 0
    bernoulli: bool = False

    @property
    def row(self) -> int:
        """Lanes of one feature: the least power of two that holds the classes."""
        return 1 << (self.classes - 1).bit_length()


def log2(x: int) -> int:
    """The logarithm in 1/65536 by a table of 256 steps, truncated towards minus infinity; 0 for 0."""
    if x == 0:
        return 0
    e = x.bit_length() - 1
    t = (x << 16 >> e) - 65_536
    high, low = divmod(t, 256)
    return e * 65_536 + LOG2_TABLE[high] + ((LOG2_TABLE[high + 1] - LOG2_TABLE[high]) * low >> 8)


def place(words: dict[int, int], bits: int, lane: int, value: int) -> None:
    """Put a value, in two's complement, into a lane of so many bits; lane 0 is the top of word 0."""
    lanes = 256 // bits
    words[lane // lanes] |= (value % 2**bits) << (256 - bits * (lane % lanes + 1))


def capped(limit: int, value: int) -> int:
    """A value kept within +-limit."""
    return max(-limit, min(limit, value))


class Perceptron:
    """Two classes, int8 or int16 weights."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.limit = 127 if shape.weight_bits == 8 else 32_767
        self.weights: dict[int, int] = defaultdict(int)
        self.bias = 0
        self.saturated = False

    def score(self, indices: list[int], values: list[int]) -> int:
        """The score of one vector."""
        return self.bias + sum(self.weights[i] * v for i, v in zip(indices, values, strict=True))

    def predict(self, indices: list[int], values: list[int]) -> int:
        """The class of one vector."""
        return int(self.score(indices, values) > 0)

    def train(self, samples: list[Sample]) -> int:
        """Train sample by sample; returns the informative bitmap."""
        informative = 0
        for position, (label, indices, values) in enumerate(samples):
            sign = 1 if label else -1
            score = self.score(indices, values)
            if sign * score > self.shape.margin * len(indices):
                continue
            informative |= (self.predict(indices, values) != label) << position
            for i, v in zip(indices, values, strict=True):
                moved = self.weights[i] + sign * v
                self.weights[i] = capped(self.limit, moved)
                self.saturated |= self.weights[i] != moved
            self.bias = capped(32_767, self.bias + sign)
        return informative

    def total_words(self) -> int:
        """Words of weights and bias."""
        return -(-self.shape.n_features // (256 // self.shape.weight_bits)) + 1

    def words(self) -> dict[int, int]:
        """The words that are not 0."""
        words: dict[int, int] = defaultdict(int)
        for i, weight in self.weights.items():
            if self.shape.weight_bits == 16:
                place(words, 16, i, weight)
            else:  # word, half, position: the first half in the high bytes of the 16-bit lanes
                place(words, 8, i // 32 * 32 + i % 16 * 2 + i // 16 % 2, weight)
        place(words, 16, (self.total_words() - 1) * 16, self.bias)
        return {number: word for number, word in words.items() if word}


class MulticlassPerceptron:
    """Three to sixteen classes."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.weights: dict[tuple[int, int], int] = defaultdict(int)
        self.bias = [0] * shape.classes
        self.saturated = False

    def scores(self, indices: list[int], values: list[int]) -> list[int]:
        """The score of each class for one vector."""
        return [
            bias + sum(self.weights[i, c] * v for i, v in zip(indices, values, strict=True))
            for c, bias in enumerate(self.bias)
        ]

    def predict(self, indices: list[int], values: list[int]) -> int:
        """The class of one vector."""
        scores = self.scores(indices, values)
        return scores.index(max(scores))

    def train(self, samples: list[Sample]) -> int:
        """Train sample by sample; returns the informative bitmap."""
        informative = 0
        for position, (label, indices, values) in enumerate(samples):
            scores = self.scores(indices, values)
            others = [c for c in range(self.shape.classes) if c != label]
            rival = max(others, key=lambda c: (scores[c], -c))
            if scores[label] - scores[rival] > self.shape.margin * len(indices):
                continue
            informative |= (self.predict(indices, values) != label) << position
            for c, sign in ((label, 1), (rival, -1)):
                for i, v in zip(indices, values, strict=True):
                    moved = self.weights[i, c] + sign * v
                    self.weights[i, c] = capped(32_767, moved)
                    self.saturated |= self.weights[i, c] != moved
                self.bias[c] = capped(32_767, self.bias[c] + sign)
        return informative

    def total_words(self) -> int:
        """Words of weights and biases."""
        return -(-self.shape.n_features * self.shape.row // 16) + 1

    def words(self) -> dict[int, int]:
        """The words that are not 0."""
        words: dict[int, int] = defaultdict(int)
        for (i, c), weight in self.weights.items():
            place(words, 16, i * self.shape.row + c, weight)
        for c, bias in enumerate(self.bias):
            place(words, 16, (self.total_words() - 1) * 16 + c, bias)
        return {number: word for number, word in words.items() if word}


class _Tally(ABC):
    """What naive Bayes and nearest centroid share: numbers by feature and class, and samples by class."""

    extra_words = 0

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.lanes: dict[int, dict[int, int]] = {}
        self.samples = [0] * shape.classes
        self.totals = [0] * shape.classes
        self.saturated = False

    def get(self, i: int, c: int) -> int:
        """The number of a feature in a class."""
        return self.lanes.get(i, {}).get(c, 0)

    @abstractmethod
    def predict(self, indices: list[int], values: list[int]) -> int:
        """The class of one vector."""

    @abstractmethod
    def learn(self, label: int, indices: list[int], values: list[int]) -> None:
        """Count one sample."""

    def train(self, samples: list[Sample]) -> int:
        """Judge all samples by the model as it stands, then count each; returns the informative bitmap."""
        predicted = [self.predict(indices, values) for _, indices, values in samples]
        informative = 0
        for position, (label, indices, values) in enumerate(samples):
            if self.samples[label] == FULL_CLASS:
                self.saturated = True
                continue
            self.learn(label, indices, values)
            self.samples[label] += 1
            informative |= (predicted[position] != label) << position
        return informative

    def count_words(self) -> int:
        """Words of counts or sums."""
        return -(-self.shape.n_features * self.shape.row // 8)

    def total_words(self) -> int:
        """All words."""
        return self.count_words() + (self.shape.classes + 1) // 2 + self.extra_words

    def words(self) -> dict[int, int]:
        """The words that are not 0."""
        words: dict[int, int] = defaultdict(int)
        for i, row in self.lanes.items():
            for c, number in row.items():
                place(words, 32, i * self.shape.row + c, number)
        for c in range(self.shape.classes):
            half = self.samples[c] << 96 | self.totals[c] % 2**96
            place(words, 128, self.count_words() * 2 + c, half)
        return {number: word for number, word in words.items() if word}


class NaiveBayes(_Tally):
    """Multinomial and Bernoulli."""

    extra_words = 1

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.seen = 0

    def is_seen(self, i: int) -> bool:
        """Whether any class has counted the feature."""
        return any(self.lanes.get(i, {}).values())

    def learn(self, label: int, indices: list[int], values: list[int]) -> None:
        """Count one sample."""
        self.seen += sum(not self.is_seen(i) for i in indices)
        for i, v in zip(indices, values, strict=True):
            self.lanes.setdefault(i, {})[label] = self.get(i, label) + v
        self.totals[label] += sum(values)

    def predict(self, indices: list[int], values: list[int]) -> int:
        """The class of one vector."""
        best, best_score = 0, None
        known = [(i, v) for i, v in zip(indices, values, strict=True) if self.is_seen(i)]
        for c in range(self.shape.classes):
            if self.samples[c] == 0:
                continue
            score = self.bernoulli(c, known) if self.shape.bernoulli else self.multinomial(c, known)
            if best_score is None or score > best_score:
                best, best_score = c, score
        return best

    def multinomial(self, c: int, known: list[tuple[int, int]]) -> int:
        """The score of a class."""
        a = self.shape.smoothing
        score = log2(self.samples[c]) + sum(v * log2(256 * self.get(i, c) + a) for i, v in known)
        return score - sum(v for _, v in known) * log2(256 * self.totals[c] + a * self.seen)

    def bernoulli(self, c: int, known: list[tuple[int, int]]) -> int:
        """The score of a class."""
        a = self.shape.smoothing
        present = {i for i, _ in known}
        score = log2(self.samples[c])
        for i in self.lanes:
            if not self.is_seen(i):
                continue
            count = self.get(i, c)
            with_it, without_it = 256 * count + a, 256 * max(self.samples[c] - count, 0) + a
            score += log2(with_it if i in present else without_it) - log2(256 * self.samples[c] + 2 * a)
        return score

    def words(self) -> dict[int, int]:
        """The words that are not 0."""
        words = super().words()
        return {**words, self.total_words() - 1: self.seen} if self.seen else words


class NearestCentroid(_Tally):
    """Sums and their squares; the totals are the sums of squares."""

    def learn(self, label: int, indices: list[int], values: list[int]) -> None:
        """Add one sample."""
        for i, v in zip(indices, values, strict=True):
            before = self.get(i, label)
            self.lanes.setdefault(i, {})[label] = before + v
            self.totals[label] += (before + v) ** 2 - before**2

    def predict(self, indices: list[int], values: list[int]) -> int:
        """The class of one vector."""
        best, least, scale = 0, None, 1
        for c, samples in enumerate(self.samples):
            if samples == 0:
                continue
            dot = sum(self.get(i, c) * v for i, v in zip(indices, values, strict=True))
            distance = self.totals[c] - 2 * samples * dot
            if least is None or distance * scale < least * samples**2:
                best, least, scale = c, distance, samples**2
        return best


PLAIN: dict[str, Any] = {
    "perceptron": Perceptron,
    "multiclass-perceptron": MulticlassPerceptron,
    "naive-bayes": NaiveBayes,
    "nearest-centroid": NearestCentroid,
}
