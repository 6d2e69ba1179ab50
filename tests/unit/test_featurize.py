"""Rows to samples: golden samples, skipped rows, columns, and what makes a repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.hashing import feature_names
from dcai_cli.features.payload import decode_payload
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "features.json").read_text())
SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=4096)
TABLE = FeatureSpec.tabular(
    labels=["no", "yes"],
    columns=[Column("sex", "categorical"), Column("age", "numeric", ("18",))],
    n_features=4096,
)


def one(row: dict[str, str], spec: FeatureSpec = SPEC, **options: Any) -> FeaturizedRow:
    """The sample of one row."""
    (result,) = featurize([Row(1, row)], spec, **options)
    assert isinstance(result, FeaturizedRow)
    return result


def golden_cells(case: dict[str, Any]) -> dict[str, str]:
    """The cells of a golden case; a long text is given as what repeats in it."""
    cells: dict[str, str] = dict(case["cells"])
    return cells | {"text": cells["text"] * case["repeat"]} if "repeat" in case else cells


@pytest.mark.parametrize("case", [case for case in GOLDEN if "sample" in case])
def test_golden_rows_give_their_samples(case: dict[str, Any]) -> None:
    """Golden rows have the features, indices and bytes that scikit-learn gave."""
    spec, cells = FeatureSpec.from_json(case["spec"]), golden_cells(case)
    assert spec.to_json() == case["spec"]
    if "features" in case:
        assert sorted(feature_names(spec, cells)) == sorted(case["features"])
    row = one(cells, spec)
    assert row.sample.hex() == case["sample"][2:]
    assert [*decode_payload(row.sample, spec.wire)[0][1].indices] == case["indices"]


@pytest.mark.parametrize("case", [case for case in GOLDEN if "reason" in case])
def test_golden_rows_without_a_sample_give_their_reason(case: dict[str, Any]) -> None:
    """Texts that no sample can be made of are skipped, each with its reason."""
    rows = featurize([Row(1, case["cells"])], FeatureSpec.from_json(case["spec"]))
    assert [row.reason for row in rows if isinstance(row, Skipped)] == [case["reason"]]


def test_a_sample_comes_with_its_label_size_and_units() -> None:
    """The row's number, class, features and units stand beside the bytes."""
    rows = [Row(7, {"text": " ".join(f"w{number}" for number in range(65)), "label": "spam"})]
    (row,) = featurize(rows, SPEC)
    assert isinstance(row, FeaturizedRow)
    ((label, vector),) = decode_payload(row.sample, SPEC.wire)
    assert (row.number, row.label, label, row.n_indices, row.units) == (7, 1, 1, len(vector.indices), 2)


def test_unusable_rows_are_skipped_with_reasons_in_order() -> None:
    """Rows that give no sample are listed by number and reason, the others go on."""
    texts = [("good film", "ham"), ("", "ham"), ("! ?", "spam"), ("good film", "eggs"), ("bad film", "spam")]
    rows = [Row(at, {"text": text, "label": label}) for at, (text, label) in enumerate(texts, start=1)]
    results = list(featurize(rows, SPEC))
    assert [row.number for row in results if isinstance(row, FeaturizedRow)] == [1, 5]
    assert [row for row in results if isinstance(row, Skipped)] == [
        Skipped(2, "the text is empty", "empty"),
        Skipped(3, "no features: the text has no word of two or more letters or digits", "no-sample"),
        Skipped(4, "unknown label 'eggs'; the model knows ham, spam", "unknown-label"),
    ]


def test_bad_cells_of_tables_are_skipped_with_the_column() -> None:
    """A numeric cell without a number, and a row of empty cells, are skipped."""
    cells = [("f", "old"), ("", ""), ("f", "")]
    rows = [Row(at, {"sex": sex, "age": age}) for at, (sex, age) in enumerate(cells, start=1)]
    results = list(featurize(rows, TABLE, with_labels=False))
    assert results[:2] == [
        Skipped(1, "column 'age': 'old' is not a number", "no-sample"),
        Skipped(2, "no features: every cell is missing", "empty"),
    ]
    assert isinstance(results[2], FeaturizedRow)


def test_labels_are_not_needed_for_predictions() -> None:
    """Without labels the column may be absent, and the sample says class 0."""
    row = one({"text": "good film"}, with_labels=False)
    assert row.label is None
    assert row.sample == one({"text": "good film", "label": "ham"}).sample


def test_columns_can_be_called_otherwise() -> None:
    """Columns named by flags give the same sample and key as those of the spec."""
    row = one({"review": "good film", "verdict": "ham"}, text_column="review", label_column="verdict")
    assert row == one({"text": "good film", "label": "ham"})


@pytest.mark.parametrize(
    ("spec", "options", "missing"),
    [
        (SPEC, {}, "'label'"),
        (SPEC, {"text_column": "body", "with_labels": False}, "'body'"),
        (SPEC, {"label_column": "verdict"}, "'verdict'"),
        (TABLE, {"label_column": "text"}, "'sex'"),
    ],
)
def test_a_missing_column_is_named_before_any_row(
    spec: FeatureSpec, options: dict[str, Any], missing: str
) -> None:
    """A missing column is refused at the call, with the columns that there are."""
    with pytest.raises(BadInput, match=f"no column {missing}; the columns are: text, stars"):
        featurize([Row(1, {"text": "a", "stars": "5"})], spec, **options)


def test_a_text_column_for_a_table_is_a_usage_error() -> None:
    """A flag that a tabular model cannot use is refused."""
    with pytest.raises(UsageError, match="--text-column"):
        featurize([], TABLE, text_column="text")


def test_no_rows_give_no_samples() -> None:
    """Nothing comes of nothing."""
    assert list(featurize([], SPEC)) == []


def test_the_key_is_of_the_cells_used_and_the_label() -> None:
    """Equal cells and label are a repeat; other texts with equal features, or another label, are not."""
    row = one({"text": "good film", "label": "ham", "id": "1"})
    assert row.key == one({"text": "good film", "label": "ham", "id": "2"}).key
    other = one({"text": "film, good", "label": "ham", "id": "1"})
    assert (other.sample, other.key == row.key) == (row.sample, False)
    assert one({"text": "good film", "label": "spam", "id": "1"}).key != row.key
    table = [
        one({"sex": sex, "age": age}, TABLE, with_labels=False).key for sex, age in (("1", ""), ("", "1"))
    ]
    assert table[0] != table[1]


def test_real_messages_give_samples(shared_data: Path) -> None:
    """Of 5,574 messages all but the four without a word give a sample; 403 rows are repeats."""
    results = list(featurize(read_rows(shared_data / "sms_spam" / "data.csv"), SPEC))
    samples = [row for row in results if isinstance(row, FeaturizedRow)]
    assert (len(results), len(samples)) == (5574, 5570)
    assert len(samples) - len({row.key for row in samples}) == 403


def test_real_passengers_give_samples(shared_data: Path) -> None:
    """Every passenger of the Titanic gives one feature for each column, empty cells included."""
    columns = [
        Column("sex", "categorical"),
        Column("deck", "categorical"),
        Column("age", "numeric", ("16", "60")),
    ]
    spec = FeatureSpec.tabular(labels=["0", "1"], columns=columns, n_features=2**16)
    results = list(featurize(read_rows(shared_data / "titanic" / "data.csv"), spec))
    assert [row.n_indices for row in results if isinstance(row, FeaturizedRow)] == [3] * 891
