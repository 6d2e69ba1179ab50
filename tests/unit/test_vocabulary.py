"""Vocabularies: their order, and which lines of a file are features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcai_cli.errors import BadInput
from dcai_cli.features.readers import read_rows
from dcai_cli.features.vocabulary import column_of_texts, learn_vocabulary, read_vocabulary

WORDS: dict[str, Any] = {"analyzer": "word", "ngram_range": (1, 1), "lowercase": True}


def test_frequent_features_come_first_and_equals_by_code_point() -> None:
    """Every occurrence counts; equally frequent features are ordered by code point, not as they were seen."""
    texts = ["zz Zz \U0001d7d8\U0001d7d9", "yy \uff46\uff46 b\u00e9 be", "xx xx"]
    expected = ("xx", "zz", "be", "b\u00e9", "yy", "\uff46\uff46", "\U0001d7d8\U0001d7d9")
    assert learn_vocabulary(texts, 10, **WORDS) == expected
    assert learn_vocabulary(texts[::-1], 3, **WORDS) == expected[:3]


def test_real_messages_give_the_words_that_stand_most_often(shared_data: Path) -> None:
    """The commonest words of 5,574 messages are those that anybody would count."""
    texts = column_of_texts(read_rows(shared_data / "sms_spam" / "data.csv"), "text")
    assert learn_vocabulary(texts, 5, **WORDS) == ("to", "you", "the", "and", "in")


@pytest.mark.parametrize(
    ("analyzer", "ngram_range", "lines"),
    [
        ("char", (1, 2), [" ", " a", "a ", "\t", "ab", "\u8ddd\u79bb"]),
        ("char_wb", (1, 3), [" ", " a ", "b ", "abc"]),
        ("char_wb", (6, 8), [" ab ", " abcde", "abcdefgh"]),
        ("word", (1, 2), ["ab", "ab cd", "\u03bf\u03b4\u03bf\u03c2"]),
    ],
)
def test_what_an_analyzer_can_make_is_a_feature(
    tmp_path: Path, analyzer: str, ngram_range: tuple[int, int], lines: list[str]
) -> None:
    """Spaces belong to the features of characters, and stay as they stand in the file."""
    path = tmp_path / "words.txt"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    found = read_vocabulary(path, analyzer=analyzer, ngram_range=ngram_range, lowercase=True)
    assert list(found) == lines


@pytest.mark.parametrize(
    ("analyzer", "ngram_range", "line"),
    [
        ("char", (1, 2), "  "),
        ("char", (1, 2), "abc"),
        ("char", (1, 2), "A"),
        ("char_wb", (2, 3), "a b"),
        ("char_wb", (2, 3), " "),
        ("word", (1, 2), "ab  cd"),
        ("word", (2, 2), "ab"),
        ("word", (1, 1), "a"),
    ],
)
def test_what_no_analyzer_makes_is_refused(
    tmp_path: Path, analyzer: str, ngram_range: tuple[int, int], line: str
) -> None:
    """A line that could never be counted is named, with its number."""
    path = tmp_path / "words.txt"
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 1"):
        read_vocabulary(path, analyzer=analyzer, ngram_range=ngram_range, lowercase=True)
