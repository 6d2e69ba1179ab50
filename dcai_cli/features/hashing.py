"""Cells to sparse integer vectors: the hashing trick, bit for bit as scikit-learn has it.

Text gives the indices and counts of `HashingVectorizer(alternate_sign=False, norm=None)`, tables those of
`FeatureHasher(input_type="string", alternate_sign=False)`; neither is imported: that takes over a second.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput
from dcai_cli.features.spec import Column, FeatureSpec, is_blank, parse_number

MAX_VALUE = 127
"""Counts of valued models saturate here."""

_WORD = re.compile(r"(?u)\b\w\w+\b")
_MASK = 0xFFFFFFFF
_C1, _C2 = 0xCC9E2D51, 0x1B873593


def murmurhash3_x86_32(data: bytes, seed: int = 0) -> int:
    """Hash bytes with MurmurHash3 x86 32 (Austin Appleby, public domain).

    Args:
        data: the bytes.
        seed: an unsigned 32-bit seed.

    Returns:
        The hash as a signed 32-bit integer.

    >>> murmurhash3_x86_32(b"hello")
    613153351
    """
    state = seed
    body = len(data) & ~3
    for offset in range(0, body, 4):
        state ^= _scramble(int.from_bytes(data[offset : offset + 4], "little"))
        state = (state << 13 | state >> 19) & _MASK
        state = (state * 5 + 0xE6546B64) & _MASK
    if body < len(data):
        state ^= _scramble(int.from_bytes(data[body:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    state ^= state >> 16
    return state - (state >> 31 << 32)


def _scramble(block: int) -> int:
    block = block * _C1 & _MASK
    return (block << 15 | block >> 17) * _C2 & _MASK


# Words repeat (Zipf's law): a memo makes pure Python fast enough, its bound keeps memory in check.
@lru_cache(maxsize=2**17)
def _hash(name: str) -> int:
    return abs(murmurhash3_x86_32(name.encode()))


def feature_index(name: str, n_features: int) -> int:
    """The index of a named feature: |murmur3 of its UTF-8| modulo n_features.

    >>> feature_index("hello", 4096)
    2631
    """
    return _hash(name) % n_features


def feature_names(spec: FeatureSpec, cells: Mapping[str, str]) -> list[str]:
    """Name the features of one row, in order and with repetitions.

    Args:
        spec: the model's feature spec.
        cells: column name to cell; every column of the spec must be there.

    Raises:
        BadInput: a numeric column holds no number.

    >>> feature_names(FeatureSpec.text(labels=["a", "b"], n_features=256), {"text": "So, so good!"})
    ['so', 'so', 'good']
    """
    if spec.kind == "text":
        return _text_names(spec, cells[spec.text_column])
    return [_column_name(column, cells[column.name]) for column in spec.columns]


def count_features(spec: FeatureSpec, cells: Mapping[str, str]) -> dict[int, int]:
    """Count the features of one row by hashed index; names that collide are added.

    Returns:
        Index to count, in no particular order: exactly what scikit-learn gives.

    Raises:
        BadInput: a numeric column holds no number.
    """
    counts: dict[int, int] = {}
    for name, count in Counter(feature_names(spec, cells)).items():
        index = feature_index(name, spec.n_features)
        counts[index] = counts.get(index, 0) + count
    return counts


def vectorize(spec: FeatureSpec, cells: Mapping[str, str]) -> Vector:
    """Turn one row into the vector that travels on the wire.

    Of more than max_features features those with the highest counts stay; of equal counts, those with
    the lower index. A valued model gets the counts, saturated at 127; otherwise every value is 1.

    Args:
        spec: the model's feature spec.
        cells: column name to cell; every column of the spec must be there.

    Raises:
        BadInput: the row cannot be used; the message is the reason.

    >>> vectorize(FeatureSpec.text(labels=["a", "b"], n_features=256, valued=True), {"text": "So, so good!"})
    Vector(indices=(65, 121), values=(1, 2))
    """
    _check_not_empty(spec, cells)
    counts = count_features(spec, cells)
    if not counts:
        least = spec.ngram_range[0]
        words = "no word" if least == 1 else f"fewer than {least} words"
        raise BadInput(f"no features: the text has {words} of two or more letters or digits")
    kept: Iterable[int] = counts
    if len(counts) > spec.max_features:
        kept = sorted(counts, key=lambda index: (-counts[index], index))[: spec.max_features]
    indices = tuple(sorted(kept))
    if not spec.valued:
        return Vector(indices, (1,) * len(indices))
    return Vector(indices, tuple(min(counts[index], MAX_VALUE) for index in indices))


def _text_names(spec: FeatureSpec, text: str) -> list[str]:
    words = _WORD.findall(text.lower() if spec.lowercase else text)
    least, greatest = spec.ngram_range
    if greatest == 1:
        return words
    return [
        " ".join(words[start : start + size])
        for size in range(least, greatest + 1)
        for start in range(len(words) - size + 1)
    ]


def _column_name(column: Column, cell: str) -> str:
    """Name a cell: `column=value`, `column=bin` for numbers, and `column=` where the cell is empty."""
    if column.type == "categorical":
        return f"{column.name}={cell}"
    if is_blank(cell):
        return f"{column.name}="
    try:
        number = parse_number(cell)
    except ValueError as error:
        raise BadInput(f"column {column.name!r}: {error}") from error
    return f"{column.name}={bisect_right(column.edges, number)}"


def _check_not_empty(spec: FeatureSpec, cells: Mapping[str, str]) -> None:
    if spec.kind == "text":
        if is_blank(cells[spec.text_column]):
            raise BadInput("the text is empty")
    elif all(is_blank(cells[column.name]) for column in spec.columns):
        raise BadInput("no features: every cell is empty")
