"""What all replicas share: storage words as the state, and who is asked for what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models.samples import Batch, bitmap, read_batch
from dcai_cli.models.words import WORD_BYTES, pack_words, word_rows


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the words of two models part first.

    Args:
        word: the number of the word.
        feature: the feature whose number differs; None in what stands behind the features (biases, samples
            of the classes, totals), or in a lane that belongs to no feature.
        label: the class that the number is of; None where a feature has one number for all.
        ours: the replica's number; of a header, the whole word.
        theirs: the other's.
    """

    word: int
    feature: int | None
    label: int | None
    ours: int
    theirs: int


class Replica(ABC):
    """A model of the contracts in numpy: the same bits after any history.

    The state is the model's storage words themselves, and arrays that look into them.

    Args:
        params: the shape of the model; all its words are 0.
    """

    counts: ClassVar[bool] = False
    """Whether the values of samples are numbers of occurrences, never negative."""

    def __init__(self, params: ModelParams) -> None:
        self.params = params
        self.wire = params.wire
        self._words = np.zeros((params.total_words, WORD_BYTES), dtype=np.uint8)

    @classmethod
    def from_words(cls, words: Sequence[int] | bytes, params: ModelParams) -> Self:
        """Make a model from its storage words.

        Args:
            words: all words, as integers or as 32 bytes each.
            params: the shape of the model.

        Raises:
            BadInput: not as many words as the model has, or words that no model can have.
        """
        rows = word_rows(words)
        if len(rows) != params.total_words:
            raise BadInput(
                f"A model of {params.n_features} features has {params.total_words} words, not {len(rows)}."
            )
        model = cls(params)
        model._overwrite(0, rows, trained=True)
        return model

    def copy(self) -> Self:
        """Make a model of its own with the same words."""
        twin = type(self)(self.params)
        twin._words[:] = self._words  # noqa: SLF001 (of the same class)
        twin._reload()  # noqa: SLF001 (of the same class)
        return twin

    def words(self) -> list[int]:
        """All storage words."""
        return pack_words(self._words.tobytes())

    def difference(self, words: Sequence[int]) -> Difference | None:
        """Where other words part from this model's first; None if they are the same, bit for bit.

        Args:
            words: as many as the model has, whatever they hold.
        """
        other = word_rows(words)
        parted = np.flatnonzero((other != self._words).any(axis=1))
        if not parted.size:
            return None
        word = int(parted[0])
        own = [rows[word].tobytes() for rows in (self._words, other)]
        if word >= self.params.body_words:
            return Difference(word, None, None, *(int.from_bytes(raw, "big") for raw in own))
        ours, theirs = (np.frombuffer(raw, dtype=self._lane_type) for raw in own)
        lanes = np.flatnonzero(ours != theirs)
        numbers = self._numbers(lanes + word * self.params.word_lanes)
        first = int(numbers.argmin())
        feature, column = divmod(int(numbers[first]), self.params.row_lanes)
        in_use = feature < self.params.n_features and (
            self.params.row_lanes == 1 or column < self.params.classes
        )
        return Difference(
            word,
            feature if in_use else None,
            column if in_use and self.params.row_lanes > 1 else None,
            int(ours[lanes[first]]),
            int(theirs[lanes[first]]),
        )

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """A copy of the numbers by name, as `pretrain` takes them."""

    def write_words(self, first_word: int, words: Sequence[int] | bytes) -> None:
        """Overwrite words, as the owner may before sealing; replays the event WeightsWritten.

        Args:
            first_word: number of the first word.
            words: the words, as integers or as 32 bytes each.

        Raises:
            BadInput: words past the end, or that no model can have; nothing is written then.
        """
        rows = word_rows(words)
        if first_word < 0 or first_word + len(rows) > self.params.total_words:
            raise BadInput(f"{len(rows)} words from word {first_word} on do not fit into the model.")
        self._overwrite(first_word, rows, trained=False)

    def _overwrite(self, first_word: int, rows: NDArray[np.uint8], *, trained: bool) -> None:
        """Take words over, if they can be written, or training can have made them out of such."""
        body = max(self.params.body_words - first_word, 0)
        self._check_body(first_word, rows[:body], trained=trained)
        header = max(first_word - self.params.body_words, 0)
        for number, row in enumerate(rows[body:], start=header):
            self._check_header(number, row.tobytes(), trained=trained)
        self._words[first_word : first_word + len(rows)] = rows
        self._reload()

    def read(self, payload: bytes) -> Batch:
        """Decode and check samples, so that what is asked often is decoded once.

        Raises:
            BadInput: the payload is malformed.
        """
        return read_batch(payload, self.wire, counts=self.counts)

    @abstractmethod
    def train(self, payload: bytes | Batch) -> int:
        """Train on samples as `contribute` does; any number of them, so that pre-training can use it, too.

        Returns:
            The bitmap of informative samples: bit i is set iff the model predicted another label for it.

        Raises:
            BadInput: the payload is malformed; the model is as it was.
        """

    def predict(self, payload: bytes | Batch) -> NDArray[np.uint8]:
        """The predicted class of each sample, shape (samples,); what label it has does not matter.

        Raises:
            BadInput: the payload is malformed.
        """
        return self._predict(self._read(payload)).astype(np.uint8)

    def agree(self, payload: bytes | Batch) -> int:
        """The bitmap of samples whose label the model predicts: what can be refunded.

        Raises:
            BadInput: the payload is malformed.
        """
        batch = self._read(payload)
        return bitmap(self._predict(batch) == batch.labels)

    def leads(self, payload: bytes | Batch) -> NDArray[np.int64]:
        """How far the label of each sample leads, shape (samples,): above 0 where the model predicts it.

        Only comparisons mean something, and only between samples of one model. Models whose scores are no
        integers say no more than 1 or 0.

        Raises:
            BadInput: the payload is malformed.
        """
        batch = self._read(payload)
        agree: NDArray[np.bool_] = self._predict(batch) == batch.labels
        return agree.astype(np.int64)

    def _read(self, payload: bytes | Batch) -> Batch:
        return payload if isinstance(payload, Batch) else self.read(payload)

    @abstractmethod
    def _predict(self, batch: Batch) -> NDArray[np.int64]:
        """The predicted class of each sample."""

    @abstractmethod
    def _reload(self) -> None:
        """Read again what is not looked up in the words themselves."""

    @property
    @abstractmethod
    def _lane_type(self) -> str:
        """The numpy type of a lane."""

    @abstractmethod
    def _lane_limits(self, *, trained: bool) -> tuple[int, int]:
        """The least and the greatest number of a lane: that may be written, or that training can reach."""

    def _body(self) -> NDArray[np.generic]:
        """The lanes of the body, shape (body_words * lanes,): a view into the words."""
        return self._words[: self.params.body_words].reshape(-1).view(self._lane_type)

    def _check_body(self, first_word: int, rows: NDArray[np.uint8], *, trained: bool) -> None:
        """Refuse lanes that the contract's writeWeights refuses, or that no training makes."""
        lanes = rows.reshape(-1).view(self._lane_type).astype(np.int64)
        low, high = self._lane_limits(trained=trained)
        wrong = lanes[(lanes < low) | (lanes > high)]
        if wrong.size:
            raise BadInput(f"A number is {wrong[0]}; those of this model are {low} to {high}.")
        number = self._numbers(np.arange(lanes.size) + first_word * self.params.word_lanes)
        feature, column = np.divmod(number, self.params.row_lanes)
        columns = 1 if self.params.row_lanes == 1 else self.params.classes
        if lanes[(feature >= self.params.n_features) | (column >= columns)].any():
            raise BadInput(
                f"A lane that belongs to no class, or to none of {self.params.n_features} features, is not 0."
            )

    def _numbers(self, lanes: NDArray[np.int64]) -> NDArray[np.int64]:
        """What number of the sequence of weights stands in each lane."""
        return lanes

    @abstractmethod
    def _check_header(self, number: int, word: bytes, *, trained: bool) -> None:
        """Refuse a header word that the contract's writeWeights refuses, or that no training makes."""


def refuse_unused(tail: bytes) -> None:
    """Refuse what stands behind the last lane in use of a header word, unless it is 0."""
    if any(tail):
        raise BadInput("A lane behind the last that is in use is not 0.")
