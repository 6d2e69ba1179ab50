"""Texts to features: n-grams of words or characters, as scikit-learn's analyzers make them.

What is a word, white space or a lower-case letter is fixed by Unicode 14; see `unicode14`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dcai_cli.features.unicode14 import collapse_spaces, find_words, lower, split_at_spaces

WORD, CHAR, CHAR_WB = "word", "char", "char_wb"
ANALYZERS = (WORD, CHAR, CHAR_WB)


def text_features(text: str, *, analyzer: str, ngram_range: tuple[int, int], lowercase: bool) -> list[str]:
    r"""Name the features of a text, with repetitions.

    Args:
        text: valid Unicode.
        analyzer: "word": words of two or more letters or digits, joined by a space; "char": characters, where
            white spaces that follow each other count as one space; "char_wb": characters of each word with a
            space before and behind it, words being what white space parts.
        ngram_range: the least and the greatest number of words or characters in a feature.
        lowercase: whether the text is lower-cased first.

    >>> text_features("So, so good!", analyzer="word", ngram_range=(1, 2), lowercase=True)
    ['so', 'so', 'good', 'so so', 'so good']
    >>> text_features("a \n b", analyzer="char", ngram_range=(2, 2), lowercase=True)
    ['a ', ' b']
    >>> text_features("ab c", analyzer="char_wb", ngram_range=(3, 4), lowercase=True)
    [' ab', 'ab ', ' ab ', ' c ']
    """
    if lowercase:
        text = lower(text)
    if analyzer == WORD:
        words = find_words(text)
        return words if ngram_range == (1, 1) else [" ".join(run) for run in _runs(words, ngram_range)]
    text = collapse_spaces(text)
    if analyzer == CHAR:
        return ["".join(run) for run in _runs(text, ngram_range)]
    return [feature for word in split_at_spaces(text) for feature in _inside(f" {word} ", ngram_range)]


def _runs(parts: Sequence[str], ngram_range: tuple[int, int]) -> Iterator[Sequence[str]]:
    """All runs of neighbours, the shortest first."""
    least, greatest = ngram_range
    for size in range(least, min(greatest, len(parts)) + 1):
        for start in range(len(parts) - size + 1):
            yield parts[start : start + size]


def _inside(padded: str, ngram_range: tuple[int, int]) -> Iterator[str]:
    """The features of a padded word; one that is shorter than the least size is a feature itself, once."""
    least, greatest = ngram_range
    if len(padded) < least:
        yield padded
    for run in _runs(padded, (least, greatest)):
        yield str(run)
