"""The hashing of text and tables against scikit-learn, bit for bit."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.utils import murmurhash3_32

from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.hashing import count_features, murmurhash3_x86_32, vectorize
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text import text_features
from dcai_cli.features.unicode14 import _ranges
from dcai_cli.features.unicode14_data import UNASSIGNED

ON_UNICODE_14 = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="scikit-learn reads by this interpreter's newer Unicode"
)
SIZES = st.integers(2**8, 2**24)
RANGES = st.tuples(st.integers(1, 8), st.integers(0, 3)).map(lambda pair: (pair[0], min(sum(pair), 8)))
ANALYZERS = st.sampled_from(["word", "char", "char_wb"])
# Only what Unicode 14 knows, whatever Unicode the interpreter and Hypothesis have.
ASSIGNED = st.characters(exclude_categories=["Cs", "Cn"]).filter(
    lambda one: not any(first <= ord(one) <= last for first, last in _ranges(UNASSIGNED))
)
# Texts with words in them, and characters of a special case or class: sigma, dotted I, marks, digits, spaces.
SPECIAL = "abAB_1 \u03a3\u03c2\u0130\u00df\u0307\u0663\u8ddd\U0001d7d8-'.\n\t\u00a0\u3000\x1c\x85\u200b\u02b0"
WORDS = st.lists(st.text(SPECIAL, max_size=8)).map(" ".join)
TEXTS = st.one_of(st.text(ASSIGNED), WORDS)


def rows_of(matrix: Any) -> list[dict[int, int]]:
    """The rows of a sparse matrix as index to count, explicit zeros included."""
    matrix.sum_duplicates()
    bounds = pairwise(matrix.indptr.tolist())
    return [
        dict(zip(matrix.indices[start:end].tolist(), matrix.data[start:end].tolist(), strict=True))
        for start, end in bounds
    ]


def check(texts: Iterable[str], spec: FeatureSpec) -> int:
    """Compare our counts of some texts with scikit-learn's; returns how many had features."""
    texts = list(texts)
    vectorizer = HashingVectorizer(
        n_features=spec.n_features,
        analyzer=spec.analyzer,
        ngram_range=spec.ngram_range,
        lowercase=spec.lowercase,
        alternate_sign=spec.alternate_sign,
        norm=None,
    )
    expected = rows_of(vectorizer.transform(texts))
    assert [count_features(spec, {"text": text}) for text in texts] == expected
    return sum(map(bool, expected))


def text_spec(**options: Any) -> FeatureSpec:
    """A text spec of two labels."""
    return FeatureSpec.text(labels=["a", "b"], **options)


@ON_UNICODE_14
@given(st.lists(TEXTS, min_size=1, max_size=4), SIZES, ANALYZERS, RANGES, st.booleans(), st.booleans())
def test_any_text_is_hashed_as_scikit_learn_does(
    texts: list[str],
    n_features: int,
    analyzer: str,
    ngram_range: tuple[int, int],
    lowercase: bool,
    alternate_sign: bool,
) -> None:
    """Whatever the text and the settings, the indices and counts are those of HashingVectorizer."""
    spec = text_spec(
        n_features=n_features,
        analyzer=analyzer,
        ngram_range=ngram_range,
        lowercase=lowercase,
        alternate_sign=alternate_sign,
    )
    check(texts, spec)


@ON_UNICODE_14
@given(WORDS.filter(str.strip), ANALYZERS, st.booleans())
def test_a_sample_has_what_scikit_learn_gives(text: str, analyzer: str, valued: bool) -> None:
    """Values are the counts but for zeros; presence is what binary=True says, cancelled features included."""
    spec = text_spec(
        n_features=256, analyzer=analyzer, ngram_range=(1, 3), alternate_sign=True, valued=valued
    )
    vectorizer = HashingVectorizer(
        n_features=256, analyzer=analyzer, ngram_range=(1, 3), norm=None, binary=not valued
    )
    (row,) = rows_of(vectorizer.transform([text]))
    expected = {index: max(-127, min(int(count), 127)) for index, count in row.items() if count}
    try:
        vector = vectorize(spec, {"text": text})
    except BadInput:
        assert not expected
    else:
        assert dict(zip(vector.indices, vector.values, strict=True)) == expected


@ON_UNICODE_14
@given(TEXTS, st.data(), ANALYZERS, RANGES, st.booleans())
def test_any_text_is_counted_by_its_vocabulary_as_scikit_learn_does(
    text: str, data: st.DataObject, analyzer: str, ngram_range: tuple[int, int], lowercase: bool
) -> None:
    """Whatever the vocabulary, the indices and counts are those of CountVectorizer."""
    made = text_features(text, analyzer=analyzer, ngram_range=ngram_range, lowercase=lowercase)
    some = data.draw(st.lists(st.sampled_from(made), max_size=8)) if made else []
    vocabulary = list(dict.fromkeys([*some, "not there", "zz"]))
    spec = text_spec(
        vocabulary=vocabulary, analyzer=analyzer, ngram_range=ngram_range, lowercase=lowercase, valued=True
    )
    vectorizer = CountVectorizer(
        vocabulary=vocabulary, analyzer=analyzer, ngram_range=ngram_range, lowercase=lowercase
    )
    assert [count_features(spec, {"text": text})] == rows_of(vectorizer.transform([text]))


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


@ON_UNICODE_14
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
    """English messages, film reviews and Chinese hotel reviews come out equal, by words and by characters."""
    texts = [row.cells["text"] for row in islice(read_rows(shared_data / name), rows)]
    assert check(texts, text_spec(n_features=2**12)) == with_features
    pairs = text_spec(n_features=2**20, ngram_range=(1, 2), lowercase=False, alternate_sign=True)
    check(texts[:200], pairs)
    check(texts[:50], text_spec(n_features=2**18, analyzer="char", ngram_range=(1, 2)))
    check(texts[:50], text_spec(n_features=2**18, analyzer="char_wb", ngram_range=(2, 4)))
