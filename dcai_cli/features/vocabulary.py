"""Vocabularies: the features that a model counts, learned from texts or read from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.text import text_features

DEFAULT_SIZE = 1000


def learn_vocabulary(
    texts: Iterable[str], size: int, *, analyzer: str, ngram_range: tuple[int, int], lowercase: bool
) -> tuple[str, ...]:
    """Find the most frequent features of some texts.

    Args:
        texts: the texts; each occurrence of a feature counts, also within one text.
        size: how many features at most.
        analyzer: "word", "char" or "char_wb".
        ngram_range: the least and the greatest number of words or characters in a feature.
        lowercase: whether texts are lower-cased first.

    Returns:
        The features, the most frequent first; of equally frequent ones, in the order of their code points.

    >>> texts = ["to be", "or not to be"]
    >>> learn_vocabulary(texts, 3, analyzer="word", ngram_range=(1, 1), lowercase=True)
    ('be', 'to', 'not')
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text_features(text, analyzer=analyzer, ngram_range=ngram_range, lowercase=lowercase))
    return tuple(sorted(counts, key=lambda feature: (-counts[feature], feature))[:size])


def column_of_texts(rows: Iterable[Row], column: str) -> list[str]:
    """The cells of a column, to learn from.

    Raises:
        BadInput: there is no such column.
    """
    texts = []
    for row in rows:
        if column not in row.cells:
            raise BadInput(
                f"There is no column {column!r}; the columns are: {', '.join(row.cells)}.",
                hint="Rename the column in the file, or name another with --text-column.",
            )
        texts.append(row.cells[column])
    return texts


def read_vocabulary(
    path: Path, *, analyzer: str, ngram_range: tuple[int, int], lowercase: bool
) -> tuple[str, ...]:
    """Read a file with one feature a line, in UTF-8, blanks included.

    Args:
        path: the file.
        analyzer: "word", "char" or "char_wb".
        ngram_range: the least and the greatest number of words or characters in a feature.
        lowercase: whether texts are lower-cased first.

    Raises:
        BadInput: the file cannot be read, or a line, which the message names, is no feature or stands twice.
    """
    lines: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}, line {number}: {line!r}"
        if line in lines:
            raise BadInput(f"{where} stands in line {lines[line]} already.", hint="Leave one of them out.")
        # What the analyzer never makes of a text would take an index and never count.
        around = line if line.strip() else f"a{line}a"
        made = text_features(around, analyzer=analyzer, ngram_range=ngram_range, lowercase=lowercase)
        if line not in made:
            raise BadInput(
                f"{where} is a feature that --analyzer {analyzer} never makes of a text.",
                hint="Write one feature a line, in lower case unless --no-lowercase; --ngrams says how long.",
            )
        lines[line] = number
    return tuple(lines)


def _lines(path: Path) -> list[str]:
    """The lines of a file without their ends; nothing behind the last end is no line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", hint="Check the name and the folder."
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8: {error}.", hint="Save it as UTF-8.") from error
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines
