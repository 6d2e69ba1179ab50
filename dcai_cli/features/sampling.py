"""A bounded sample of labelled texts: the same for the same rows, on every machine."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import is_blank
from dcai_cli.features.findings import LabelOrder
from dcai_cli.features.spec import MAX_CLASSES

SAMPLE_ROWS = 5_000
SAMPLE_CHARACTERS = 2**23
"""What a sample has at most. It may have one text that is longer."""

READ_CHARACTERS = 2**28
"""How much text of a file is read at most: it takes some seconds."""

LEAST_ROWS = 20


@dataclass(frozen=True, slots=True)
class LabelledSample:
    """Some of the rows of a file, in an order that has nothing to do with that of the file.

    Args:
        labels: the labels, the class 0 first.
        texts: texts that are not blank; none stands twice with the same label.
        classes: the class of each.
        label_rows: how many rows of those that were read have each label.
        rows_read: how many rows were read, with other labels or without text, too.
        is_whole: whether these were all.
        is_sorted: whether their labels change so rarely that they must stand in groups.
    """

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    classes: tuple[int, ...]
    label_rows: tuple[int, ...]
    rows_read: int
    is_whole: bool
    is_sorted: bool

    @property
    def majority(self) -> tuple[str, float]:
        """The most frequent label (of equals, the first), and the accuracy of always saying it."""
        counts = [self.classes.count(number) for number in range(len(self.labels))]
        most = max(counts)
        return self.labels[counts.index(most)], most / len(self.classes)


def draw_sample(
    rows: Iterable[Row],
    *,
    name: str,
    text_column: str,
    label_column: str,
    labels: Sequence[str] | None = None,
    most_rows: int = SAMPLE_ROWS,
    most_characters: int = SAMPLE_CHARACTERS,
    read_characters: int = READ_CHARACTERS,
) -> LabelledSample:
    """Draw rows at random, by a fixed seed, in one pass; no more than the sample is in memory.

    Args:
        rows: rows with both columns.
        name: what the data is called in messages.
        text_column: the column of the text.
        label_column: the column of the label.
        labels: the labels that count; None for all that are found, in the order of their code points.
        most_rows: rows of the sample at most.
        most_characters: characters of the sample at most, but for its last text.
        read_characters: characters of texts after which no more rows are read.

    Raises:
        BadInput: a row cannot be read; or there are not 2 to 16 labels, or too few rows.
    """
    draw = random.Random(0).random  # noqa: S311 - no secret; python promises these numbers for ever
    pool = _Pool(most_rows, most_characters)
    order = LabelOrder()
    counts = order.counts
    read = characters = 0
    is_whole = True
    for row in rows:
        if characters >= read_characters:
            is_whole = False
            break
        read += 1
        key = draw()
        text, label = row.cells[text_column], row.cells[label_column]
        characters += len(text)
        if not label or (labels is not None and label not in labels) or not _is_usable(text):
            continue
        order.add(label)
        if len(counts) > MAX_CLASSES:
            raise BadInput(
                f"{name} has more than {MAX_CLASSES} labels in the column {label_column!r}, such as "
                f"{', '.join(map(repr, list(counts)[-3:]))}.",
                hint="Name the column of the labels with --label-column, or the labels that count with "
                "--labels.",
            )
        pool.add(key, text, label)
    names = tuple(labels) if labels is not None else tuple(sorted(counts))
    kept = pool.distinct()
    if len({label for _, label in kept}) < 2 or len(kept) < LEAST_ROWS:
        raise BadInput(
            f"{name} has {len(kept)} different rows with text and label, of {len(counts)} labels; to try "
            f"settings on takes {LEAST_ROWS} rows and 2 labels.",
            hint="Add rows, or look at --text-column, --label-column and --labels.",
        )
    return LabelledSample(
        labels=names,
        texts=tuple(text for text, _ in kept),
        classes=tuple(names.index(label) for _, label in kept),
        label_rows=tuple(counts[label] for label in names),
        rows_read=read,
        is_whole=is_whole,
        is_sorted=order.is_sorted,
    )


def _is_usable(text: str) -> bool:
    """Whether a text can have features: it is not blank, and UTF-8 can carry it."""
    if is_blank(text):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(slots=True)
class _Pool:
    """The rows with the least keys, as many as there is room for.

    Args:
        most_rows: rows at most.
        most_characters: characters of texts at most; one text may be longer.
    """

    most_rows: int
    most_characters: int
    _heap: list[tuple[float, str, str]] = field(default_factory=list)
    _characters: int = 0

    def add(self, key: float, text: str, label: str) -> None:
        """Take a row in; those with the greatest keys go."""
        heapq.heappush(self._heap, (-key, text, label))
        self._characters += len(text)
        while len(self._heap) > self.most_rows or (
            self._characters > self.most_characters and len(self._heap) > 1
        ):
            self._characters -= len(heapq.heappop(self._heap)[1])

    def distinct(self) -> list[tuple[str, str]]:
        """Texts and labels by their keys, the least first; what stands twice, once."""
        return list(dict.fromkeys((text, label) for _, text, label in sorted(self._heap, reverse=True)))
