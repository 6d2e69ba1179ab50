"""Many texts to vectors: both ways give what one text at a time gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput
from dcai_cli.features.batch import select, vectorize_texts, vectors
from dcai_cli.features.hashing import vectorize
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec


def one_by_one(spec: FeatureSpec, texts: list[str]) -> list[Vector]:
    """The vectors that `hashing.vectorize` gives; empty where it refuses."""
    found = []
    for text in texts:
        try:
            found.append(vectorize(spec, {"text": text}))
        except BadInput:
            found.append(Vector((), ()))
    return found


# Few letters and few indices: collisions, counts above 127 and too many features are common.
TEXTS = st.lists(
    st.one_of(st.text(), st.text("ab \u03a3\ud800", max_size=40), st.just("aa " * 300)), max_size=5
)


@settings(deadline=None)
@given(
    TEXTS, st.integers(1, 8), st.booleans(), st.sampled_from([(1, 1), (1, 3)]), st.booleans(), st.booleans()
)
def test_both_ways_give_the_vectors_of_one_text_at_a_time(
    texts: list[str],
    max_features: int,
    valued: bool,
    ngram_range: tuple[int, int],
    lowercase: bool,
    use_kernel: bool,
) -> None:
    """Selection, saturation, blank texts and lone surrogates included."""
    spec = FeatureSpec.text(
        labels=["a", "b"],
        n_features=256,
        max_features=max_features,
        valued=valued,
        ngram_range=ngram_range,
        lowercase=lowercase,
    )
    rows = vectorize_texts(spec, texts, use_kernel=use_kernel)
    assert list(vectors(rows)) == one_by_one(spec, texts)


def test_real_texts_give_the_same_vectors_both_ways(shared_data: Path) -> None:
    """Messages, Hindi questions and their odd characters, with and without values."""
    for name in ("sms_spam", "trec_hi"):
        texts = [row.cells["text"] for row in read_rows(shared_data / name / "data.csv")][:2000]
        for valued in (False, True):
            spec = FeatureSpec.text(labels=["a", "b"], n_features=2**14, max_features=12, valued=valued)
            expected = one_by_one(spec, texts)
            assert list(vectors(vectorize_texts(spec, texts, use_kernel=True))) == expected
            assert list(vectors(vectorize_texts(spec, texts))) == expected


def test_the_farthest_from_zero_stay_and_zeros_go_first() -> None:
    """Of counts 0, -3, 2, 2 and 200, two places go to 200 and -3; unvalued, the zero is as present as any."""
    rows = SparseRows(
        np.array([0, 5, 6]), np.array([1, 3, 4, 6, 9, 0], np.int32), np.array([0, -3, 2, 2, 200, 0], np.int32)
    )
    assert list(vectors(select(rows, 2, valued=True))) == [Vector((3, 9), (-3, 127)), Vector((), ())]
    assert list(vectors(select(rows, 3, valued=True))) == [Vector((3, 4, 9), (-3, 2, 127)), Vector((), ())]
    assert list(vectors(select(rows, 5, valued=False))) == [
        Vector((1, 3, 4, 6, 9), (1,) * 5),
        Vector((0,), (1,)),
    ]


@pytest.mark.parametrize("use_kernel", [True, False])
def test_no_texts_give_no_rows(use_kernel: bool) -> None:
    """An empty list is not an error."""
    spec = FeatureSpec.text(labels=["a", "b"], n_features=256)
    assert len(vectorize_texts(spec, [], use_kernel=use_kernel)) == 0
