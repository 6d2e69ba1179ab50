"""The hashing of text and tables against scikit-learn, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from dcai_cli.features.columns import Column
from dcai_cli.features.hashing import count_features, murmurhash3_x86_32
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec

SIZES = st.integers(2**8, 2**24)
RANGES = st.tuples(st.integers(1, 3), st.integers(0, 2)).map(lambda pair: (pair[0], pair[0] + pair[1]))
# Texts with words in them, and characters of a special case or class: sigma, dotted I, marks, digits.
WORDS = st.lists(st.text("abAB_1 \u03a3\u03c2\u0130\u00df\u0307\u0663\u8ddd\U0001d7d8-'", max_size=8)).map(
    " ".join
)
TEXTS = st.one_of(st.text(), WORDS)


def check(texts: Iterable[str], n_features: int, ngram_range: tuple[int, int], lowercase: bool) -> int:
    """Compare our counts of some texts with scikit-learn's; returns how many had features."""
    texts = list(texts)
    spec = FeatureSpec.text(
        labels=["a", "b"], n_features=n_features, ngram_range=ngram_range, lowercase=lowercase, valued=True
    )
    vectorizer = HashingVectorizer(
        n_features=n_features, ngram_range=ngram_range, lowercase=lowercase, alternate_sign=False, norm=None
    )
    matrix = vectorizer.transform(texts)
    matrix.sum_duplicates()
    for at, text in enumerate(texts):
        row = slice(matrix.indptr[at], matrix.indptr[at + 1])
        expected = dict(zip(matrix.indices[row].tolist(), matrix.data[row].tolist(), strict=True))
        assert count_features(spec, {"text": text}) == expected
    return int((matrix.getnnz(axis=1) > 0).sum())


@given(st.lists(TEXTS, min_size=1, max_size=4), SIZES, RANGES, st.booleans())
def test_any_text_is_hashed_as_scikit_learn_does(
    texts: list[str], n_features: int, ngram_range: tuple[int, int], lowercase: bool
) -> None:
    """Whatever the text, the indices and counts are those of HashingVectorizer."""
    check(texts, n_features, ngram_range, lowercase)


@given(st.dictionaries(st.sampled_from(["a", "b c", "\u00e9"]), st.text(), min_size=1), SIZES)
def test_any_table_is_hashed_as_scikit_learn_does(cells: dict[str, str], n_features: int) -> None:
    """Whatever the cells, the indices and counts are those of FeatureHasher over column=value."""
    columns = [Column(name, "categorical") for name in cells]
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=columns, n_features=n_features)
    hasher = FeatureHasher(n_features, input_type="string", alternate_sign=False)
    row = hasher.transform([[f"{name}={value}" for name, value in cells.items()]])
    row.sum_duplicates()
    expected = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
    assert count_features(spec, cells) == expected


@given(st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_any_bytes_have_the_hash_that_scikit_learn_gives(data: bytes, seed: int) -> None:
    """MurmurHash3 in Python equals scikit-learn's in C, with any seed."""
    assert murmurhash3_x86_32(data, seed) == murmurhash3_32(data, seed)


@pytest.mark.parametrize(
    ("name", "rows", "with_features"),
    [
        ("sms_spam/data.csv", 5574, 5570),
        ("imdb/test-0.csv.gz", 400, 400),
        ("zh_hotel/data.csv.gz", 1000, 1000),
    ],
)
def test_real_texts_are_hashed_as_scikit_learn_does(
    shared_data: Path, name: str, rows: int, with_features: int
) -> None:
    """English messages, film reviews and Chinese hotel reviews come out equal, words and pairs."""
    texts = [row.cells["text"] for row in islice(read_rows(shared_data / name), rows)]
    assert check(texts, 2**12, (1, 1), lowercase=True) == with_features
    check(texts[:200], 2**20, (1, 2), lowercase=False)
