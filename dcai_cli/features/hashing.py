"""Cells to sparse integer vectors: the hashing trick, bit for bit as scikit-learn has it.

Text gives the indices and counts of `HashingVectorizer(norm=None)`, or of `CountVectorizer` if the spec has
a vocabulary; tables those of `FeatureHasher(input_type="string", alternate_sign=False)`. None of them is
imported: that takes over a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import is_blank
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.table import cell_features, is_missing
from dcai_cli.features.text import CHAR_WB, WORD, text_features

MAX_VALUE = 127
"""Counts of valued models saturate here, and at its negative."""

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
    return murmurhash3_x86_32(name.encode())


def feature_index(name: str, n_features: int) -> int:
    """The index of a named feature: |murmur3 of its UTF-8| modulo n_features.

    >>> feature_index("hello", 4096)
    2631
    """
    return abs(_hash(name)) % n_features


def feature_names(spec: FeatureSpec, cells: Mapping[str, str]) -> list[str]:
    """Name the features of one row, with repetitions, whether or not a vocabulary has them.

    Args:
        spec: the model's feature spec.
        cells: column name to cell; every column of the spec must be there.

    Raises:
        BadInput: a cell is not valid Unicode, or not of its column's type.

    >>> feature_names(FeatureSpec.text(labels=["a", "b"], n_features=256), {"text": "So, so good!"})
    ['so', 'so', 'good']
    """
    if spec.kind == "text":
        text = cells[spec.text_column]
        _check_unicode(text)
        return text_features(
            text, analyzer=spec.analyzer, ngram_range=spec.ngram_range, lowercase=spec.lowercase
        )
    return [name for column in spec.columns for name in cell_features(column, cells[column.name])]


def count_features(spec: FeatureSpec, cells: Mapping[str, str]) -> dict[int, int]:
    """Count the features of one row by index.

    Features that collide are added. With alternate_sign those with a negative hash count -1, so that a sum
    may be negative, or 0 where features cancel each other out. Features outside the vocabulary are dropped.

    Returns:
        Index to count, in no particular order: exactly what scikit-learn gives, its explicit zeros included.

    Raises:
        BadInput: a cell is not valid Unicode, or not of its column's type.
    """
    names = Counter(feature_names(spec, cells))
    if spec.vocabulary:
        return {spec.positions[name]: count for name, count in names.items() if name in spec.positions}
    counts: dict[int, int] = {}
    for name, count in names.items():
        index = feature_index(name, spec.n_features)
        signed = -count if spec.alternate_sign and _hash(name) < 0 else count
        counts[index] = counts.get(index, 0) + signed
    return counts


def vectorize(spec: FeatureSpec, cells: Mapping[str, str]) -> Vector:
    """Turn one row into the vector that travels on the wire.

    A valued model gets the counts that are not 0, cut to -127 to 127; otherwise every value is 1, also where
    features cancel each other out. Of more than max_features indices those whose counts are farthest from 0
    stay; of equal ones, the lower index.

    Args:
        spec: the model's feature spec.
        cells: column name to cell; every column of the spec must be there.

    Raises:
        BadInput: the row cannot be used; the message is the reason.

    >>> vectorize(FeatureSpec.text(labels=["a", "b"], n_features=256, valued=True), {"text": "So, so good!"})
    Vector(indices=(65, 121), values=(1, 2))
    """
    if is_empty(spec, cells):
        raise BadInput("the text is empty" if spec.kind == "text" else "no features: every cell is missing")
    counts = count_features(spec, cells)
    kept = _travelling(spec, counts)
    if not kept:
        raise BadInput(f"no features: {_why_none(spec, cells)}")
    if len(kept) > spec.max_features:
        kept = sorted(kept, key=lambda index: (-abs(counts[index]), index))[: spec.max_features]
    indices = tuple(sorted(kept))
    if not spec.valued:
        return Vector(indices, (1,) * len(indices))
    return Vector(indices, tuple(max(-MAX_VALUE, min(counts[index], MAX_VALUE)) for index in indices))


def is_cut(spec: FeatureSpec, cells: Mapping[str, str]) -> bool:
    """Whether a row has more features than the spec's `max_features`, so that `vectorize` drops some."""
    return len(_travelling(spec, count_features(spec, cells))) > spec.max_features


def _travelling(spec: FeatureSpec, counts: Mapping[int, int]) -> list[int]:
    """The indices that may travel: no value is 0, but without values it is enough to be there."""
    return [index for index, count in counts.items() if count or not spec.valued]


def _why_none(spec: FeatureSpec, cells: Mapping[str, str]) -> str:
    """Why a text makes no features, or none that count."""
    if feature_names(spec, cells):
        return "nothing of the text is in the vocabulary" if spec.vocabulary else "all cancel each other out"
    least = spec.ngram_range[0]
    if spec.analyzer == WORD:
        words = "no word" if least == 1 else f"fewer than {least} words"
        return f"the text has {words} of two or more letters or digits"
    if spec.analyzer == CHAR_WB:
        return "the text has nothing but white space"
    return f"the text has fewer than {least} characters"


def is_empty(spec: FeatureSpec, cells: Mapping[str, str]) -> bool:
    """Whether there is nothing in a row that features could be made of."""
    if spec.kind == "text":
        return is_blank(cells[spec.text_column])
    return all(is_missing(column, cells[column.name]) for column in spec.columns)


def _check_unicode(text: str) -> None:
    """Refuse half of a surrogate pair: no UTF-8 can say it, so nobody could hash it the same way."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"the text is not valid Unicode: half of a surrogate pair at character {error.start + 1}"
        ) from error
