"""Samples of labelled texts: bounded, repeatable, without repeats, and refused where nothing can be tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.sampling import LabelledSample, draw_sample


def rows(pairs: Iterable[tuple[str, str]]) -> Iterator[Row]:
    """Texts and labels as rows."""
    for number, (text, label) in enumerate(pairs, start=1):
        yield Row(number, {"text": text, "label": label})


def draw(pairs: Iterable[tuple[str, str]], **options: Any) -> LabelledSample:
    """Draw from texts and labels."""
    return draw_sample(rows(pairs), name="rows.csv", text_column="text", label_column="label", **options)


def pairs(count: int) -> list[tuple[str, str]]:
    """Texts that differ, with two labels in turn."""
    return [(f"text {number:05}", "ba"[number % 2]) for number in range(count)]


def test_a_sample_is_the_same_every_time_and_in_another_order() -> None:
    """Nothing but the rows decides, and the order of the file does not last."""
    sample = draw(pairs(1000), most_rows=100)
    assert sample == draw(pairs(1000), most_rows=100)
    assert sample.texts[:3] == ("text 00402", "text 00993", "text 00040")
    assert list(sample.texts) != sorted(sample.texts)
    assert (len(sample.texts), sample.rows_read, sample.label_rows) == (100, 1000, (500, 500))
    assert sample.labels == ("a", "b")
    for text, number in zip(sample.texts, sample.classes, strict=True):
        assert (text, sample.labels[number]) in pairs(1000)


def test_every_row_is_as_likely() -> None:
    """Of 2,000 rows, about as many of the first half are drawn as of the second."""
    sample = draw(pairs(2000), most_rows=500)
    early = sum(text < "text 01000" for text in sample.texts)
    assert 200 < early < 300


def test_a_sample_has_no_more_text_than_it_may() -> None:
    """Long texts make a smaller sample; a single one that is longer does not empty it."""
    sample = draw(((text * 100, label) for text, label in pairs(500)), most_characters=50_000)
    assert sum(map(len, sample.texts)) <= 50_000
    assert len(sample.texts) == 50


def test_reading_ends_after_so_much_text() -> None:
    """What lies behind it is neither read nor counted, and that is said."""
    sample = draw(pairs(100), read_characters=400)
    assert (sample.rows_read, sample.is_whole, sum(sample.label_rows)) == (40, False, 40)
    assert draw(pairs(40), read_characters=401).is_whole


def test_a_text_with_the_same_label_counts_once() -> None:
    """Else it would be learned and asked; with another label it stays."""
    sample = draw([*pairs(30), *pairs(30), ("text 00000", "a")])
    assert Counter(sample.texts).most_common(1) == [("text 00000", 2)]
    assert (len(sample.texts), sum(sample.label_rows)) == (31, 61)


def test_rows_that_cannot_be_used_are_read_and_left_out() -> None:
    """Blank texts, halves of surrogate pairs, empty labels and labels that were not asked for."""
    useless = [(" \t", "a"), ("\ud800", "a"), ("no label", ""), ("other", "c")]
    sample = draw([*useless, *pairs(30)], labels=["b", "a"])
    assert (sample.rows_read, len(sample.texts), sample.labels, sample.label_rows) == (
        34,
        30,
        ("b", "a"),
        (15, 15),
    )
    assert sample.classes[0] == "ba".index(dict(pairs(30))[sample.texts[0]])


def test_the_majority_is_that_of_the_texts() -> None:
    """The share of the most frequent label; of two equal ones, the first."""
    assert draw(pairs(30)).majority == ("a", 0.5)
    assert draw([*pairs(30), *((f"more {at}", "b") for at in range(10))]).majority == ("b", 25 / 40)


def test_rows_that_stand_by_label_are_noticed() -> None:
    """Sorted, or nearly so; shuffled rows and labels in turn are not."""
    assert draw(sorted(pairs(100), key=lambda pair: pair[1])).is_sorted
    blocks = [(text, "ab"[number // 25 % 2]) for number, (text, _) in enumerate(pairs(100))]
    assert draw(blocks).is_sorted
    assert not draw(pairs(100)).is_sorted
    rare = [(text, "b" if number % 10 == 0 else "a") for number, (text, _) in enumerate(pairs(100))]
    assert not draw(rare).is_sorted


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (pairs(19), "rows.csv has 19 different rows with text and label, of 2 labels"),
        ([*pairs(10), *pairs(10)], "has 10 different rows"),
        ([(text, "a") for text, _ in pairs(50)], "of 1 labels"),
        ([(text, "") for text, _ in pairs(50)], "has 0 different rows with text and label, of 0 labels"),
        ([(text, text) for text, _ in pairs(50)], "more than 16 labels in the column 'label', such as 'text"),
    ],
)
def test_what_nothing_can_be_tried_on_is_refused(found: list[tuple[str, str]], problem: str) -> None:
    """Too few rows, one label, no label, or a column that holds no labels."""
    with pytest.raises(BadInput, match=problem) as caught:
        draw(found)
    assert "--label-column" in caught.value.hint
