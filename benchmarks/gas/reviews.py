"""Labelled reviews: real ones where the data set is present, else synthetic ones of the same sparsity.

The stand-in holds no text of anybody. Its words are numbers, drawn by a seed from a Zipf law; some words lean
towards one label, so that a pre-trained model errs about as often as on real reviews. It draws with
`random.Random.random`, whose numbers python promises never to change.
"""

from __future__ import annotations

import csv
import gzip
import random
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from dcai_cli.domain import Vector, Wire
from dcai_cli.features.hashing import feature_index, feature_names
from dcai_cli.features.payload import encode_sample
from dcai_cli.features.spec import FeatureSpec

WORDS = 1_000
HASHED = 1 << 14
MAX_FEATURES = 1_024
"""Features of one sample at most, as the specs of the client have it."""

VOCABULARY = 30_000
ZIPF_SHIFT, ZIPF_POWER = 3, 1.15
LEANING, LEAN = 0.15, 0.32
"""So large a part of the words is by so much more or less frequent in one label than on average."""

LENGTHS = (60, 100, 120, 135, 150, 175, 205, 245, 300, 400, 700)
"""Words of the stand-in's shortest review, of those at each tenth, and of its longest."""

_SPEC = FeatureSpec.text(labels=["neg", "pos"], n_features=HASHED)


@dataclass(frozen=True)
class Review:
    """A labelled text.

    Args:
        words: its words, each once, in order.
        label: 0 or 1.
    """

    words: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class Samples:
    """Reviews on the wire.

    Args:
        training: what models are pre-trained with.
        contributed: what is contributed then.
    """

    training: list[bytes]
    contributed: list[bytes]


@dataclass(frozen=True)
class Reviews:
    """What a run measures with.

    Args:
        name: "imdb" or "stand-in".
        training: what models are pre-trained with.
        contributed: what is contributed then, in order.
    """

    name: str
    training: tuple[Review, ...]
    contributed: tuple[Review, ...]

    def by_rank(self) -> Samples:
        """Samples of the most frequent words of the training reviews; the index of a word is its rank."""
        counts = Counter(word for review in self.training for word in review.words)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
        ranks = {word: rank for rank, word in enumerate(ranked)}
        return self._samples(Wire(WORDS, WORDS), ranks.get)

    def hashed(self, n_features: int = HASHED, max_features: int = MAX_FEATURES) -> Samples:
        """Samples of all words, hashed as the client does."""
        return self._samples(Wire(n_features, max_features), lambda word: feature_index(word, n_features))

    def _samples(self, wire: Wire, index: Callable[[str], int | None]) -> Samples:
        return Samples(*(list(_encode(part, wire, index)) for part in (self.training, self.contributed)))


def _encode(reviews: Iterable[Review], wire: Wire, index: Callable[[str], int | None]) -> Iterator[bytes]:
    """Reviews on the wire; those without a feature are left out."""
    for review in reviews:
        indices = sorted({at for at in map(index, review.words) if at is not None})[: wire.max_features]
        if indices:
            yield encode_sample(review.label, Vector(tuple(indices), (1,) * len(indices)), wire)


def imdb(folder: Path, training: int = 20_000, contributed: int = 2_000) -> Reviews:
    """Reviews of IMDB, from the training files of the data set.

    Args:
        folder: holds `train-0.csv.gz` and its like, shuffled, with columns `text` and `label`.
        training: how many are for pre-training.
        contributed: how many of those behind them are for contributing.
    """
    reviews: list[Review] = []
    for file in sorted(folder.glob("train-*.csv.gz")):
        with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                words = dict.fromkeys(feature_names(_SPEC, row))
                reviews.append(Review(tuple(words), int(row["label"] == "pos")))
                if len(reviews) == training + contributed:
                    break
    return Reviews("imdb", tuple(reviews[:training]), tuple(reviews[training : training + contributed]))


def stand_in(training: int = 4_000, contributed: int = 1_000, seed: int = 6) -> Reviews:
    """Synthetic reviews.

    Args:
        training: how many are for pre-training.
        contributed: how many are for contributing.
        seed: of all that is drawn.
    """
    draw = random.Random(seed).random  # noqa: S311 - no secret
    leans = [LEAN if draw() < LEANING else 0.0 for _ in range(VOCABULARY)]
    leans = [lean if draw() < 0.5 else -lean for lean in leans]
    tables = [
        list(
            accumulate(
                (1 + sign * lean) / (rank + ZIPF_SHIFT) ** ZIPF_POWER for rank, lean in enumerate(leans)
            )
        )
        for sign in (-1, 1)
    ]
    reviews = [_draw_review(draw, tables) for _ in range(training + contributed)]
    return Reviews("stand-in", tuple(reviews[:training]), tuple(reviews[training:]))


def _draw_review(draw: Callable[[], float], tables: Sequence[Sequence[float]]) -> Review:
    label = int(draw() < 0.5)
    place = draw() * (len(LENGTHS) - 1)
    low = int(place)
    length = int(LENGTHS[low] + (place - low) * (LENGTHS[low + 1] - LENGTHS[low]))
    table = tables[label]
    words = (f"w{bisect(table, draw() * table[-1])}" for _ in range(length))
    return Review(tuple(dict.fromkeys(words)), label)
