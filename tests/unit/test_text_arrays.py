"""Many texts to samples: the kernel gives what one row at a time gives, in the same order."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.domain import Row, Vector
from dcai_cli.errors import BadInput
from dcai_cli.features import featurize as featurize_module
from dcai_cli.features import text_arrays
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.kernel import SparseRows, engine
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text import ANALYZERS
from dcai_cli.features.text_arrays import select

LABELS = ["ham", "spam"]
SPEC = FeatureSpec.text(labels=LABELS, n_features=256)
SPECS = st.builds(
    FeatureSpec.text,
    labels=st.just(LABELS),
    n_features=st.sampled_from([256, 300, 2**18]),
    max_features=st.integers(1, 12),
    valued=st.booleans(),
    analyzer=st.sampled_from(ANALYZERS),
    ngram_range=st.sampled_from([(1, 1), (1, 3), (2, 2)]),
    lowercase=st.booleans(),
    alternate_sign=st.booleans(),
)
# Few letters: counts above 127, too many features, blank texts and halves of surrogate pairs are common.
TEXTS = st.one_of(
    st.text(),
    st.text("ab \u03a3\u0130\ud800", max_size=40),
    st.sampled_from(["aa " * 300, " \t", "\u3000", "?"]),
)
ROWS = st.lists(st.tuples(TEXTS, st.sampled_from([*LABELS, "eggs"])), max_size=6).map(
    lambda pairs: [Row(at, {"text": text, "label": label}) for at, (text, label) in enumerate(pairs, 1)]
)


def both_ways(rows: list[Row], spec: FeatureSpec, *, with_labels: bool) -> list[FeaturizedRow | Skipped]:
    """The results for some rows, which must not depend on the kernel."""
    plain = list(featurize(rows, spec, with_labels=with_labels, use_kernel=False))
    assert list(featurize(rows, spec, with_labels=with_labels, use_kernel=True)) == plain
    return plain


@settings(deadline=None)
@given(ROWS, SPECS, st.booleans())
def test_the_kernel_gives_the_results_of_one_row_at_a_time(
    rows: list[Row], spec: FeatureSpec, with_labels: bool
) -> None:
    """Samples, units, cuts, keys, and the reasons of rows that are skipped, unknown labels among them."""
    assert len(both_ways(rows, spec, with_labels=with_labels)) == len(rows)


@pytest.mark.parametrize("analyzer", ANALYZERS)
@pytest.mark.parametrize(("valued", "alternate_sign"), [(False, False), (True, False), (True, True)])
def test_real_texts_give_the_same_results_both_ways(
    shared_data: Path, analyzer: str, valued: bool, alternate_sign: bool
) -> None:
    """Messages and Hindi questions; some have more features than a sample takes, and say so."""
    spec = FeatureSpec.text(
        labels=["ham", "spam"],
        n_features=2**14,
        max_features=40,
        valued=valued,
        analyzer=analyzer,
        ngram_range=(1, 2),
        alternate_sign=alternate_sign,
    )
    for name in ("sms_spam", "trec_hi"):
        rows = list(itertools.islice(read_rows(shared_data / name / "data.csv"), 1500))
        results = both_ways(rows, spec, with_labels=name == "sms_spam")
        cut = [row.cut for row in results if isinstance(row, FeaturizedRow)]
        assert len(results) == len(rows)
        assert True in cut
        assert False in cut


def test_a_large_file_gives_the_same_results_when_the_kernel_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 10 MB the kernel, if it is compiled, gets what comes after 8; the results do not show where."""
    assert engine.is_available()
    monkeypatch.setattr(engine, "PAYS_BYTES", engine.PAYS_COMPILED_BYTES)  # whether or not a cache has it
    spec = FeatureSpec.text(labels=LABELS, n_features=2**18, max_features=60)
    text = "Caf\u00e9 \u039f\u03a3 It's number {0}, and {1} more. " * 22
    rows = [
        Row(at, {"text": "?" if at % 7 == 0 else text.format(at, at % 100), "label": LABELS[at % 2]})
        for at in range(1, 15_000)
    ]
    taken: list[Row] = []
    results, read_ahead = [], []
    for result in featurize((taken.append(row) or row for row in rows), spec):  # type: ignore[func-returns-value]
        results.append(result)
        read_ahead.append(len(taken) > len(results))
    assert results == list(featurize(rows, spec, use_kernel=False))
    hashed = [row for row in rows[: read_ahead.index(True)] if row.cells["text"] != "?"]
    plain = sum(len(row.cells["text"]) + featurize_module.ROW_CHARACTERS for row in hashed)
    assert 2**23 <= plain < 2**23 + 7000
    assert sum(len(row.cells["text"]) for row in rows) > 10 * 2**20


@pytest.mark.parametrize(
    ("analyzer", "ngram_range", "plain_rows"),
    [("word", (1, 1), 60), ("word", (1, 2), 30), ("char", (1, 1), 20), ("char_wb", (2, 3), 10)],
)
def test_the_kernel_takes_over_sooner_where_plain_python_is_slower(
    analyzer: str, ngram_range: tuple[int, int], plain_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows of ten characters, and forty for the row, so many go one by one if 3,000 make it pay."""
    monkeypatch.setattr(featurize_module, "ASK_CHARACTERS", 3000)
    monkeypatch.setattr(engine, "PAYS_COMPILED_BYTES", 3000)
    monkeypatch.setattr(engine, "PAYS_BYTES", 3000)
    spec = FeatureSpec.text(labels=LABELS, n_features=256, analyzer=analyzer, ngram_range=ngram_range)
    taken: list[Row] = []
    rows = (Row(at, {"text": "good films"}) for at in range(100))
    noted = (taken.append(row) or row for row in rows)  # type: ignore[func-returns-value]
    read = [len(taken) for _ in featurize(noted, spec, with_labels=False)]
    assert read == [*range(1, plain_rows + 1), *[100] * (100 - plain_rows)]


def test_a_text_that_is_too_long_for_the_kernel_takes_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the same sample between others that are hashed by the kernel."""
    monkeypatch.setattr(text_arrays, "MAX_CHARACTERS", 10)
    rows = [Row(at, {"text": "film " * at}) for at in (1, 2, 3)]
    samples = text_arrays.make_samples(SPEC, [row.cells["text"] for row in rows], [0, 0, 0])
    assert [sample is None for sample in samples] == [False, False, True]
    assert all(isinstance(row, FeaturizedRow) for row in both_ways(rows, SPEC, with_labels=False))


def test_small_inputs_never_load_numba() -> None:
    """A megabyte of text is done in plain Python, without numpy and numba."""
    program = (
        "import sys\n"
        "from dcai_cli.domain import Row\n"
        "from dcai_cli.features.featurize import featurize\n"
        "from dcai_cli.features.spec import FeatureSpec\n"
        "spec = FeatureSpec.text(labels=['a', 'b'], n_features=256)\n"
        "rows = (Row(at, {'text': 'word ' * 200}) for at in range(1000))\n"
        "assert len(list(featurize(rows, spec, with_labels=False))) == 1000\n"
        "sys.exit(bool({'numba', 'llvmlite', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_rows_are_taken_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reads ahead to the end of its chunk and no further, whether rows or characters fill it."""
    monkeypatch.setattr(featurize_module, "CHUNK_ROWS", 5)
    taken = itertools.count()
    rows = (Row(next(taken), {"text": "good film"}) for _ in range(100))
    results = featurize(rows, SPEC, with_labels=False, use_kernel=True)
    first = [row.number for row in itertools.islice(results, 5) if isinstance(row, FeaturizedRow)]
    assert first == [0, 1, 2, 3, 4]
    assert next(taken) == 5
    monkeypatch.setattr(featurize_module, "CHUNK_CHARACTERS", 20)
    assert len(list(itertools.islice(results, 6))) == 6
    assert next(taken) == 12


@pytest.mark.parametrize("use_kernel", [True, False])
@pytest.mark.parametrize("sound", [1, 3, 4, 7])
def test_an_error_of_the_source_comes_after_the_rows_before_it(
    use_kernel: bool, sound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in row n is told when all rows before it have been given, at whatever place in a chunk."""
    monkeypatch.setattr(featurize_module, "CHUNK_ROWS", 4)

    def rows() -> Iterator[Row]:
        for number in range(1, sound + 1):
            yield Row(number, {"text": "good film"})
        raise BadInput(f"Row {sound + 1} is torn.")

    given_rows: list[int] = []
    results = featurize(rows(), SPEC, with_labels=False, use_kernel=use_kernel)
    with pytest.raises(BadInput, match=f"Row {sound + 1} is torn"):
        given_rows.extend(row.number for row in results if isinstance(row, FeaturizedRow))
    assert given_rows == list(range(1, sound + 1))


@pytest.mark.parametrize("use_kernel", [True, False])
def test_a_vocabulary_and_no_rows_are_nothing_for_the_kernel(use_kernel: bool) -> None:
    """Features that are not hashed take the plain way, and nothing comes of nothing."""
    spec = FeatureSpec.text(labels=LABELS, vocabulary=["good", "film"])
    (row,) = featurize([Row(1, {"text": "film"})], spec, with_labels=False, use_kernel=use_kernel)
    assert isinstance(row, FeaturizedRow)
    assert row.sample == bytes([0, 0, 1, 0, 1])
    assert list(featurize([], spec, use_kernel=use_kernel)) == []


def vectors(rows: SparseRows) -> list[Vector]:
    """Sparse rows one by one."""
    return [
        Vector(tuple(rows.indices[start:stop].tolist()), tuple(rows.counts[start:stop].tolist()))
        for start, stop in itertools.pairwise(rows.indptr.tolist())
    ]


@pytest.mark.parametrize(
    ("max_features", "valued", "expected", "cut"),
    [
        (2, True, Vector((3, 9), (-3, 127)), True),
        (3, True, Vector((3, 4, 9), (-3, 2, 127)), True),
        (4, True, Vector((3, 4, 6, 9), (-3, 2, 2, 127)), False),
        (5, False, Vector((1, 3, 4, 6, 9), (1,) * 5), False),
        (4, False, Vector((3, 4, 6, 9), (1,) * 4), True),
    ],
)
def test_the_farthest_from_zero_stay_and_zeros_go_first(
    max_features: int, valued: bool, expected: Vector, cut: bool
) -> None:
    """Of counts 0, -3, 2, 2 and 200, two places go to 200 and -3; unvalued, the zero is as present as any."""
    rows = SparseRows(
        np.array([0, 5, 6]), np.array([1, 3, 4, 6, 9, 0], np.int32), np.array([0, -3, 2, 2, 200, 0], np.int32)
    )
    selected, is_cut = select(rows, max_features, valued=valued)
    assert vectors(selected) == [expected, Vector((), ()) if valued else Vector((0,), (1,))]
    assert is_cut.tolist() == [cut, False]
