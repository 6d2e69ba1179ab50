"""The kernel against scikit-learn, bit for bit, over settings and Unicode."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from dcai_cli.features.kernel import SparseRows, TextSettings, hash_texts
from dcai_cli.features.kernel.engine import ANALYZERS, CHUNK_BYTES

pytestmark = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="scikit-learn reads text as this Python's Unicode does"
)

# Words, white space of every kind, characters whose case is special, and all widths of UTF-8.
NASTY = (
    "abAB_1 \t\n\x1c\x85\u00a0\u2028\u3000.'\u00ad\u03a3\u03c3\u03c2\u0130\u00df\u0307\u02b0\u0345"
    "\u212a\u023a\u0663\u8ddd\uac00\ufb00\U0001d7d8\U00010400\U0001f600\U0010ffff\x00"
)
TEXTS = st.one_of(st.text(max_size=60), st.text(NASTY, max_size=200), st.text("ab \u03a3.", max_size=300))
RANGES = st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda pair: (min(pair), max(pair)))
SIZES = st.one_of(st.integers(1, 2**24), st.integers(0, 18).map(lambda power: 2**power))
SETTINGS = st.builds(TextSettings, st.sampled_from(ANALYZERS), RANGES, st.booleans(), st.booleans(), SIZES)


def in_utf8(texts: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
    """Texts one after the other, and where each starts."""
    parts = [text.encode() for text in texts]
    return b"".join(parts), np.cumsum([0, *map(len, parts)], dtype=np.int64)


def assert_as_scikit_learn(rows: SparseRows, texts: Sequence[str], chosen: TextSettings) -> None:
    """The rows of some texts are those of HashingVectorizer: same places, same counts, explicit zeros too."""
    expected = HashingVectorizer(
        analyzer=chosen.analyzer,
        ngram_range=chosen.ngram_range,
        lowercase=chosen.lowercase,
        alternate_sign=chosen.alternate_sign,
        norm=None,
        n_features=chosen.n_features,
    ).transform(texts)
    assert rows.indptr.tolist() == expected.indptr.tolist()
    assert np.array_equal(rows.indices, expected.indices)
    assert np.array_equal(rows.counts, expected.data)


def check(texts: Sequence[str], chosen: TextSettings) -> None:
    """Hash texts both ways."""
    assert_as_scikit_learn(hash_texts(*in_utf8(texts), chosen), texts, chosen)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), SETTINGS)
@example([""], TextSettings())
@example(
    ["\u03a3", "A\u03a3", "A\u03a3.", "A.\u03a3'B", "\u03a3\u03a3\u03a3", "a\u03a3\u02b0"], TextSettings()
)
@example(["\u0130\u0130 x\u0130y"], TextSettings("char", (1, 3)))
@example(["one two two"] * 3, TextSettings("word", (2, 8), n_features=1, alternate_sign=True))
def test_any_text_is_hashed_as_scikit_learn_does(texts: list[str], chosen: TextSettings) -> None:
    """Whatever the texts and the settings, the rows are those of HashingVectorizer."""
    check(texts, chosen)


@pytest.mark.parametrize("analyzer", ANALYZERS)
@pytest.mark.parametrize("pattern", ["{0}", "a{0}B", "{0}{0}", "x{0} \u03a3{0}\u03a3 {0}A\u03a3{0}"])
def test_every_code_point_is_read_as_python_reads_it(analyzer: str, pattern: str) -> None:
    """Each code point alone, beside letters, doubled, around a capital sigma: scikit-learn's rows."""
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    # Sixteen code points to a text keep the comparison short; a line feed keeps them apart.
    texts = [
        "\n".join(pattern.format(point) for point in points[start : start + 16])
        for start in range(0, len(points), 16)
    ]
    check(texts, TextSettings(analyzer, (1, 1), n_features=2**20))


@pytest.mark.parametrize("analyzer", ANALYZERS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_long_texts_are_hashed_as_short_ones(analyzer: str, lowercase: bool) -> None:
    """Texts larger than the list of hashes and than a chunk, beside empty ones, give scikit-learn's rows."""
    generator = np.random.default_rng(4)
    letters = list("abcde ABC \u00e9\u4e2d\u03a3. ")
    texts = ["".join(generator.choice(letters, size)) for size in (50_000, 0, 3_000, 1, 260, 0)]
    texts.append("\u00e9" * 20_000)
    check(texts, TextSettings(analyzer, (1, 2), lowercase=lowercase, n_features=5_003))


def test_chunks_and_threads_change_nothing() -> None:
    """Several chunks, on one thread or three, give the same rows as scikit-learn."""
    generator = np.random.default_rng(5)
    words = ["".join(generator.choice(list("abcdefg\u00e9"), 6)) for _ in range(500)]
    texts = [" ".join(generator.choice(words, 3_000)) for _ in range(2 * CHUNK_BYTES // 20_000 + 1)]
    data, offsets = in_utf8(texts)
    assert len(data) > 2 * CHUNK_BYTES
    chosen = TextSettings(n_features=2**14)
    for threads in (1, 3):
        assert_as_scikit_learn(hash_texts(data, offsets, chosen, threads=threads), texts, chosen)


def test_a_slice_of_the_data_is_hashed_alone() -> None:
    """Offsets that start late and end early hash just what is between them, cut within words too."""
    data = np.frombuffer("one two three \u03a3".encode(), dtype=np.uint8)
    rows = hash_texts(data, np.array([4, 6, 7, 13]), TextSettings())
    assert_as_scikit_learn(rows, ["tw", "o", " three"], TextSettings())
