"""Cells of tables: what each type of column makes of them, and what it refuses."""

from __future__ import annotations

import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import NAMES_SHOWN, FeaturizedRow, Skipped, featurize
from dcai_cli.features.numbers import round_number, write_number
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.table import cell_features

BOOLEAN = Column("b", "boolean")
WHEN = Column("at", "date", parts=("year", "hour"))
HALVES = Column("x", "numeric", step="0.5")


@pytest.mark.parametrize(
    ("text", "step", "written"),
    [
        ("0.25", "0.5", "0"), ("0.75", "0.5", "1"), ("-0.75", "0.5", "-1"), ("1.25", "0.5", "1"),
        ("0.250000000000000000000000000000001", "0.5", "0.5"), ("12", "0.5", "12"), ("1e2", "0.001", "100"),
        ("149", "100", "100"), ("150", "100", "200"), ("250", "100", "200"), ("-0.2", "1", "0"),
        ("1.005", "0.01", "1"), ("1.015", "0.01", "1.02"), ("5e-324", "0.000000000000001", "0"),
        ("5e-16", "0.000000000000001", "0"), ("6e-16", "0.000000000000001", "0.000000000000001"),
        ("7", "3", "6"), ("1.7976931348623157e308", "1", "17976931348623157" + "0" * 292),
        ("0.1", "0.30", "0"), ("0.2", "0.30", "0.3"), ("1", "000.25", "1"),
    ],
)  # fmt: skip
def test_numbers_are_rounded_by_their_digits(text: str, step: str, written: str) -> None:
    """The nearest multiple of the step, the even one in the middle, as a plain decimal."""
    assert round_number(text, step) == written


@pytest.mark.parametrize("zeros", [3, 10**6])
def test_a_number_of_many_digits_is_rounded_exactly(zeros: int) -> None:
    """A digit behind a million zeros decides, and an exponent moves the point as far as it says."""
    assert round_number(f"0.5{'0' * zeros}", "1") == "0"
    assert round_number(f"0.5{'0' * zeros}1", "1") == "1"
    assert round_number(f"0.{'0' * zeros}15e{zeros}", "0.1") == "0.2"
    assert round_number(f"25{'0' * zeros}e-{zeros}", "10") == "20"


@pytest.mark.parametrize("number", [1.0, -2.5, 1e22, 1e300, 0.1, 5e-324, 123456789.125])
def test_written_numbers_read_back_as_the_same(number: float) -> None:
    """The shortest decimal of a double is a number of the spec, and that double."""
    assert float(write_number(number)) == number
    assert cell_features(Column("x", "numeric", (write_number(number),)), repr(number)) == ["x=1"]


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        (BOOLEAN, "maybe", "column 'b': 'maybe' is not a boolean"),
        (BOOLEAN, "01", "'01' is not a boolean"),
        (BOOLEAN, "\u212aes", "is not a boolean"),
        (HALVES, "half", "column 'x': 'half' is not a number"),
        (HALVES, "1e309", "'1e309' is out of range"),
        (WHEN, "yesterday", "column 'at': 'yesterday' is not a date, such as 2024-02-29 or"),
        (WHEN, "2023-02-29T10:00", "'2023-02-29T10:00' is not a day of the calendar"),
        (WHEN, "2024-02-29T10:00 Z", "is not a date"),
        (WHEN, "2024-02-29T10:00+24:00", "is not a date"),
        (WHEN, "\ud800", "half of a surrogate pair at character 1"),
    ],
)
def test_a_cell_of_another_type_makes_the_row_unusable(column: Column, cell: str, reason: str) -> None:
    """The reason names the column and the cell, and the row is skipped for it."""
    with pytest.raises(BadInput) as caught:
        cell_features(column, cell)
    assert reason in caught.value.message
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=[column], n_features=256)
    rows = featurize([Row(1, {column.name: cell})], spec, with_labels=False)
    assert list(rows) == [Skipped(1, caught.value.message, "no-sample")]


@pytest.mark.parametrize(
    ("column", "cell", "features"),
    [
        (Column("c", "categorical", missing=("?",)), " ?\t", ["c="]),
        (Column("c", "categorical", missing=("?",)), "?!", ["c=?!"]),
        (Column("c", "categorical", missing=("?",)), "  ", ["c=  "]),
        (Column("c", "categorical"), "?", ["c=?"]),
        (Column("x", "numeric", ("0",), missing=("-1", "NA")), " NA", ["x="]),
        (Column("x", "numeric", ("0",), missing=("-1", "NA")), "-1", ["x="]),
        (Column("x", "numeric", ("0",), missing=("-1", "NA")), "-1.0", ["x=0"]),
        (Column("x", "numeric", ("0",)), "  ", ["x="]),
        (Column("b", "boolean", missing=("no",)), "no", ["b="]),
        (Column("b", "boolean", missing=("no",)), "No", ["b=false"]),
        (Column("at", "date", parts=("day", "hour")), "", ["at="]),
        (Column("at", "date", parts=("day", "hour")), "2024-02-29", ["at=day:29", "at=hour:"]),
    ],
)
def test_a_missing_value_is_a_value_of_its_own(column: Column, cell: str, features: list[str]) -> None:
    """What is missing makes one feature without a value; comparing is exact but for white space around."""
    assert cell_features(column, cell) == features


def test_a_row_in_which_all_is_missing_is_empty() -> None:
    """It has nothing to tell the model, whether its cells are blank or say so."""
    columns = [Column("c", "categorical", missing=("?",)), BOOLEAN]
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=columns, n_features=256)
    cells = [("?", ""), (" ", "\t"), ("?", "n")]
    rows = [Row(at, {"c": first, "b": second}) for at, (first, second) in enumerate(cells, start=1)]
    results = list(featurize(rows, spec, with_labels=False))
    reason = "no features: every cell is missing"
    assert results[:2] == [Skipped(1, reason, "empty"), Skipped(2, reason, "empty")]
    assert isinstance(results[2], FeaturizedRow)


def test_columns_that_are_not_used_are_told_once() -> None:
    """Names of the file's other columns, but for the label's, are said before any row; texts say nothing."""
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=[BOOLEAN], n_features=256, label_column="y")
    told: list[str] = []
    cells = {"id": "7", "b": "1", "y": "a", "e-mail": ""}
    assert len(list(featurize([Row(1, cells), Row(2, cells)], spec, note=told.append))) == 2
    assert told == ["columns that the model does not use: id, e-mail"]
    list(featurize([Row(1, {"b": "1", "y": "a"})], spec, note=told.append))
    list(featurize([Row(1, {"b": "1", "y": "a"})], spec, note=told.append, with_labels=False))
    text = FeatureSpec.text(labels=["a", "b"], n_features=256, label_column="y", text_column="b")
    list(featurize([Row(1, cells)], text, note=told.append))
    assert len(told) == 1
    many = {f"c{number}": "" for number in range(NAMES_SHOWN + 2)}
    list(featurize([Row(1, {"b": "1", "y": "a"} | many)], spec, note=told.append))
    assert told[1].endswith("c8, c9 and 2 more")
