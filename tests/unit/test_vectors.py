"""Vectors to samples: golden ones, every form that a file can have them in, and what makes a repeat."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.dense import NamedEncoder
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.readers import open_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.vectors import LEARN_NUMBERS, column_of_vectors, learn_scale

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "vectors.json").read_text())
SPEC = FeatureSpec.dense(labels=["ham", "spam"], length=3, scale="100")
LABELS = ["ham", "spam", "spam", "ham"]
VECTORS = np.array(
    [[0.5, -0.25, 0.1], [0.3, 0.0, -0.005], [1e9, -1e9, 0.015], [0.015, 0.025, 0.035]], dtype=np.float32
)


def samples(rows: Iterable[Row], spec: FeatureSpec = SPEC, **options: Any) -> list[str]:
    """The samples of rows in hex, and the reason in place of one that is skipped."""
    return [
        row.reason if isinstance(row, Skipped) else row.sample.hex()
        for row in featurize(rows, spec, **options)
    ]


def of_file(path: Path, spec: FeatureSpec = SPEC) -> list[str]:
    """The samples of a file."""
    with open_rows(path, vector_column=spec.vector_column) as rows:
        return samples(rows, spec)


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_golden_vectors_give_their_samples(case: dict[str, Any]) -> None:
    """A vector gives the bytes, or the reason, that fractions gave."""
    spec = FeatureSpec.from_json(case["spec"])
    assert spec.to_json() == case["spec"]
    (result,) = samples([Row(1, case["cells"])], spec)
    assert result == (case["reason"] if "reason" in case else case["sample"][2:])


def write_forms(folder: Path, vectors: NDArray[Any]) -> list[Path]:
    """The same vectors and labels in every form that can hold them."""
    lists = [vector.tolist() for vector in vectors]
    kind = pa.from_numpy_dtype(vectors.dtype)
    columns = {
        "list": pa.array(lists, pa.list_(kind)),
        "large": pa.array(lists, pa.large_list(kind)),
        "fixed": pa.array(lists, pa.list_(kind, vectors.shape[1])),
        "strings": pa.array([json.dumps(one) for one in lists]),
    }
    paths = []
    for name, column in columns.items():
        table = pa.table({"label": LABELS, "vector": column, "n": [1, 2, 3, 4]})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=3)
        with pa.ipc.new_file(folder / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
        paths += [folder / f"{name}.parquet", folder / f"{name}.arrow"]
    np.savez(folder / "plain.npz", vector=vectors, label=np.array(LABELS))
    np.savez_compressed(folder / "packed.npz", label=np.array(LABELS), vector=vectors)
    lines = [json.dumps({"vector": v, "label": label}) for v, label in zip(lists, LABELS, strict=True)]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    (folder / "pair").mkdir()
    np.save(folder / "pair" / "v.npy", vectors)
    (folder / "pair" / "labels.csv").write_text("id,label\n" + "".join(f"7,{label}\n" for label in LABELS))
    return [*paths, *(folder / name for name in ("plain.npz", "packed.npz", "rows.jsonl", "pair"))]


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", "i1", "i8", "u2"])
def test_every_form_of_a_vector_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    """Of what type and in what file the numbers are makes no difference, only what they are."""
    vectors = (np.abs(VECTORS) if kind == "u2" else VECTORS).clip(-100, 100)
    vectors = (vectors if "f" in kind else vectors * 20).astype(kind)
    expected = samples(
        Row(number, {"vector": json.dumps(vector.tolist()), "label": label})
        for number, (vector, label) in enumerate(zip(vectors, LABELS, strict=True), start=1)
    )
    assert len(expected[0]) == 2 * (3 + 3 * 3)
    native = vectors.astype(vectors.dtype.newbyteorder("="))
    for path in write_forms(tmp_path, native):
        assert of_file(path) == expected, path
    np.savez(tmp_path / "own.npz", vector=vectors, label=np.array(LABELS))
    assert of_file(tmp_path / "own.npz") == expected


def test_nulls_and_numbers_that_are_none_skip_their_row(tmp_path: Path) -> None:
    """A row without a usable vector is skipped with its reason, and its neighbours are what they are."""
    cells = [[1.0, 2.0, 3.0], None, [1.0, None, 3.0], [1.0, 2.0], [], [0.0, float("inf"), 1.0], [0.0] * 3]
    table = pa.table({"vector": pa.array(cells, pa.list_(pa.float32())), "label": ["ham"] * len(cells)})
    pq.write_table(table, tmp_path / "rows.parquet")
    with open_rows(tmp_path / "rows.parquet", vector_column="vector") as rows:
        results = list(featurize(rows, SPEC))
    assert isinstance(results[0], FeaturizedRow)
    skipped = [(row.row, row.fault, row.reason) for row in results if isinstance(row, Skipped)]
    assert skipped == [
        (2, "empty", "the vector is empty"),
        (3, "no-sample", "number 2 of the vector is nan"),
        (4, "no-sample", "the vector has 2 numbers; the model takes 3"),
        (5, "empty", "the vector is empty"),
        (6, "no-sample", "number 2 of the vector is inf"),
        (7, "no-sample", "no features: every number of it rounds to 0"),
    ]


def test_a_null_among_vectors_of_fixed_size_takes_no_numbers_of_others(tmp_path: Path) -> None:
    """The numbers that lie below a null of such a column are nobody's."""
    column = pa.array([[1.0, 2.0, 3.0], None, [4.0, 5.0, 6.0]], pa.list_(pa.float32(), 3))
    with pa.ipc.new_stream(tmp_path / "rows.arrow", pa.schema({"vector": column.type})) as writer:
        writer.write_batch(pa.record_batch({"vector": column}))
    with open_rows(tmp_path / "rows.arrow", vector_column="vector") as rows:
        assert [None if row.vector is None else row.vector.tolist() for row in rows] == [
            [1.0, 2.0, 3.0],
            [],
            [4.0, 5.0, 6.0],
        ]


def test_unknown_labels_are_skipped_between_others() -> None:
    """A row whose label the model does not know takes no vector of its neighbours."""
    rows = [
        Row(number, {"vector": f"[{number}, 0, 0]", "label": label})
        for number, label in enumerate(["ham", "eggs", "spam"], start=1)
    ]
    assert samples(rows) == [
        "000001000064",
        "unknown label 'eggs'; the model knows ham, spam",
        "01000100007f",
    ]


def test_a_repeat_is_what_sends_the_same(tmp_path: Path) -> None:
    """Two vectors that round alike are one row twice, in whatever form; another label makes another key."""
    np.savez(tmp_path / "rows.npz", vector=VECTORS[:1], label=np.array(["ham"]))
    cells = {"vector": "[0.5001, -0.25, 0.1]", "label": "ham"}
    with open_rows(tmp_path / "rows.npz", vector_column="vector") as rows:
        (first,) = featurize(rows, SPEC)
    (same,) = featurize([Row(1, cells)], SPEC)
    (other,) = featurize([Row(1, cells | {"label": "spam"})], SPEC)
    assert isinstance(first, FeaturizedRow)
    assert isinstance(same, FeaturizedRow)
    assert isinstance(other, FeaturizedRow)
    assert (first.key, first.content) == (same.key, same.content)
    assert (first.key == other.key, first.content == other.content) == (False, True)


def test_a_missing_column_is_named() -> None:
    """Without the column of the vectors there is nothing to send."""
    with pytest.raises(BadInput, match="no column 'vector'; the columns are: embedding, label"):
        featurize([Row(1, {"embedding": "[1]", "label": "ham"})], SPEC)
    with pytest.raises(UsageError, match="this model reads vectors"):
        featurize([Row(1, {"vector": "[1]", "label": "ham"})], SPEC, text_column="text")


def test_many_rows_come_in_order() -> None:
    """Rows that fill more than one chunk come each with its number and its own vector."""
    spec = FeatureSpec.dense(labels=["ham", "spam"], length=4096, scale="1")
    vector = np.zeros(4096)
    rows = (Row(number, {"label": "ham"}, vector + number) for number in range(1, 600))
    results = list(featurize(rows, spec))
    assert [row.number for row in results if isinstance(row, FeaturizedRow)] == list(range(1, 600))
    for row in (results[0], results[255], results[256], results[-1]):
        assert isinstance(row, FeaturizedRow)
        assert row.sample[-1] == min(row.number, 127)


def test_an_error_in_the_file_comes_after_the_rows_before_it() -> None:
    """What was read well is given before a fault further down is raised."""

    def rows() -> Iterable[Row]:
        yield Row(1, {"vector": "[1, 2, 3]", "label": "ham"})
        raise BadInput("row 2 is broken")

    results = iter(featurize(rows(), SPEC))
    assert isinstance(next(results), FeaturizedRow)
    with pytest.raises(BadInput, match="row 2 is broken"):
        next(results)


def test_an_encoder_is_not_needed_where_there_are_vectors() -> None:
    """A spec may name an encoder that nobody has: rows with vectors do not ask for it, texts do."""
    spec = FeatureSpec.dense(
        labels=["ham", "spam"], length=3, scale="100", encoder=NamedEncoder("of nobody", "1")
    )
    cells = {"vector": "[1, 2, 3]", "text": "hello", "label": "ham"}
    assert samples([Row(1, cells)], spec) == samples([Row(1, cells)], SPEC)
    with pytest.raises(UsageError, match="There is no encoder 'of nobody' here"):
        featurize([Row(1, {"text": "hello", "label": "ham"})], spec)
    with pytest.raises(UsageError, match="There is no encoder 'of nobody' here"):
        featurize([Row(1, cells)], spec, text_column="text")
    with pytest.raises(BadInput, match="There is no column 'text'") as caught:
        featurize([Row(1, {"body": "hello", "label": "ham"})], spec)
    assert "--text-column" in caught.value.hint


def test_the_scale_lets_one_number_of_a_thousand_be_cut() -> None:
    """999 of 1,000 numbers come into -127..127; zeros alone have no scale."""
    numbers = np.concatenate([np.linspace(-2.0, 2.0, 9_990), np.full(10, 1e6)])
    assert learn_scale([numbers[:5000], numbers[5000:]]) == "63.5"
    assert learn_scale([np.array([1e-320, 0.0])]) == "1e+300"
    with pytest.raises(BadInput, match="no number but 0"):
        learn_scale([np.zeros(3)])


def test_a_scale_is_learned_from_usable_rows_only() -> None:
    """Rows without a vector are left out; other lengths, no vectors and no column are refused."""
    rows = [Row(n, {"v": cell}) for n, cell in enumerate(["", "[1, 2]", "[1e999, 1]", "[3, 4]"], start=1)]
    assert [vector.tolist() for vector in column_of_vectors(rows, "v")] == [[1, 2], [3, 4]]
    with pytest.raises(BadInput, match=r"Row 5 has 3 numbers in 'v', earlier ones have 2"):
        column_of_vectors([*rows, Row(5, {"v": "[1, 2, 3]"})], "v")
    with pytest.raises(BadInput, match=r"No row has a vector in 'v': the vector is empty"):
        column_of_vectors(rows[:1], "v")
    with pytest.raises(BadInput, match=r"no column 'w'; the columns are: v") as caught:
        column_of_vectors(rows, "w")
    assert "--vector-column" in caught.value.hint
    large = (Row(n, {}, np.ones(4096)) for n in range(1, 10**9))
    assert len(column_of_vectors(large, "v")) == LEARN_NUMBERS // 4096
