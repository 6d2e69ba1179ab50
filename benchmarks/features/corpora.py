"""The texts that are measured: real ones where they are at hand, else words made up with a fixed seed."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DOCUMENT_CHARACTERS = 820
PROJECT = Path(__file__).resolve().parents[2]


def english(count: int) -> tuple[str, list[str]]:
    """Name and texts of an English corpus, 820 characters each."""
    long = _column("imdb/train-*.csv.gz", "text")
    if long:
        return "imdb", _cut(long)[:count]
    return "generated", _generated("etaoinshrdlucmfwypvbgkjqxz", 7, DOCUMENT_CHARACTERS, count)


def chinese(count: int) -> tuple[str, list[str]]:
    """Name and texts of a Chinese corpus: hotel reviews of some 370 bytes."""
    texts = _column("zh_hotel/data.csv.gz", "text")
    if texts:
        return "zh_hotel", texts[:count]
    return "generated", _generated("".join(map(chr, range(0x4E00, 0x5200))), 10, 120, count, join="\uff0c")


def french(count: int) -> tuple[str, list[str]]:
    """Name and texts of a corpus of Latin letters, some with accents, 820 characters each."""
    return "generated", _generated("etaoinshrdlu\u00e9\u00e8cmfwypvbgkjqx", 7, DOCUMENT_CHARACTERS, count)


CATEGORIES = (70, 9, 20_000, 16, 16, 7, 15, 6, 5, 2)
"""How many categories each column of a table has: those of census data, a weight among them."""


def write_categories(path: Path, count: int) -> list[str]:
    """Write a csv file of ten columns of categories, the first ones most often, and a label; their names."""
    generator = np.random.default_rng(4)
    columns = [
        generator.choice([f"{word}{number}" for number in range(size)], count, p=_zipf(size))
        for word, size in zip(_generated("etaoinshrdlu", 12, 80, 10), CATEGORIES, strict=False)
        for word in [word.partition(" ")[0]]
    ]
    return _write_table(path, {f"column{at}": column for at, column in enumerate(columns)}, generator)


def write_types(path: Path, count: int) -> list[str]:
    """Write a csv file of ten columns of all types and a label; their names."""
    generator = np.random.default_rng(5)
    days = np.datetime64("2020-01-01") + generator.integers(0, 2000, count)
    return _write_table(
        path,
        {
            **{
                f"kind{at}": generator.choice([f"kind {n}" for n in range(9 << at)], count) for at in range(4)
            },
            **{f"price{at}": _written(generator.lognormal(3, 1, count), 2) for at in range(2)},
            "age": _with_gaps(generator.integers(0, 100, count).astype(str), generator),
            "length": _written(generator.normal(100, 20, count), 1),
            "member": generator.choice(["yes", "no"], count),
            "day": days.astype(str),
        },
        generator,
    )


def _zipf(size: int) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = 1 / np.arange(1, size + 1)
    chances /= chances.sum()
    return chances


def _written(numbers: NDArray[np.float64], places: int) -> list[str]:
    return [f"{number:.{places}f}" for number in numbers.tolist()]


def _with_gaps(cells: NDArray[np.str_], generator: np.random.Generator) -> NDArray[np.str_]:
    return np.where(generator.random(len(cells)) < 0.05, "?", cells)


def _write_table(
    path: Path, columns: Mapping[str, Sequence[str] | NDArray[np.str_]], generator: np.random.Generator
) -> list[str]:
    labels = generator.choice(["no", "yes"], len(next(iter(columns.values()))))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, "label"])
        writer.writerows(zip(*columns.values(), labels, strict=True))
    return list(columns)


def in_utf8(texts: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
    """Texts one after the other, as a column of Arrow has them, and where each starts."""
    parts = [text.encode() for text in texts]
    return b"".join(parts), np.cumsum([0, *map(len, parts)], dtype=np.int64)


def _column(pattern: str, column: str) -> list[str]:
    folder = Path(os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data"))
    texts: list[str] = []
    for path in sorted(folder.glob(pattern))[:2]:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            texts += [row[column] for row in csv.DictReader(file)]
    return texts


def _cut(texts: Sequence[str]) -> list[str]:
    size = DOCUMENT_CHARACTERS
    return [text[at : at + size] for text in texts for at in range(0, len(text) - size + 1, size)]


def _generated(letters: str, longest: int, size: int, count: int, join: str = " ") -> list[str]:
    """Texts of made-up words whose frequencies follow Zipf's law."""
    generator = np.random.default_rng(4)
    chances = 1 / np.arange(1, len(letters) + 1)
    chances /= chances.sum()
    words = [
        "".join(generator.choice(list(letters), length, p=chances))
        for length in generator.integers(1, longest, 20_000)
    ]
    ranks = np.minimum(generator.zipf(1.3, (count, size // 2)), len(words)) - 1
    return [join.join(words[rank] for rank in row)[:size] for row in ranks.tolist()]
