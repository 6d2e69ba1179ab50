"""Bins learned from rows: which edges, and what cannot be learned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.columns import Column
from dcai_cli.features.quantiles import learn_bins, quantile_edges
from dcai_cli.features.readers import read_rows
from dcai_cli.features.schema import tabular_spec_from_schema
from dcai_cli.features.table import cell_features

AGE = Column("age", "numeric", ("0",), missing=("?",))
SCHEMA = """
labels = ["no", "yes"]
label_column = "y"
columns = [
    { name = "age", type = "numeric", quantiles = 4, missing = ["?"] },
    { name = "fare", type = "numeric", step = 0.5 },
    { name = "at", type = "date", parts = ["year", "month"] },
    { name = "alone", type = "boolean" },
    { name = "size", type = "numeric", step = 10 },
]
"""


def rows_of(*cells: str) -> list[Row]:
    """Rows of one column."""
    return [Row(at, {"age": cell}) for at, cell in enumerate(cells, start=1)]


@pytest.mark.parametrize(
    ("numbers", "shares", "edges"),
    [
        ([1, 2], 2, [2]),
        ([1, 2], 256, [2]),
        ([1, 2, 3], 2, [2]),
        ([1, 2, 3, 4, 5], 2, [3]),
        ([1, 1, 1, 1, 2, 3, 4, 5], 4, [2, 4]),
        ([0] * 99 + [7], 8, [7]),
        ([0] + [7] * 99, 8, [7]),
        (list(range(100)), 4, [25, 50, 75]),
    ],
)
def test_edges_part_numbers_into_equal_shares(numbers: list[float], shares: int, edges: list[float]) -> None:
    """Edges are numbers of the data; where numbers repeat there are fewer, but never none."""
    assert quantile_edges(numbers, shares) == edges


def test_bins_are_written_as_the_shortest_decimals() -> None:
    """Cells in any order and notation, missing ones left out, give decimals as a spec has them."""
    rows = rows_of("1e1", " 2.50", "?", "-0", "", "30", "0.0", "0.1")
    assert learn_bins(rows, {AGE: 6}, "rows") == {"age": ("0.1", "2.5", "10", "30")}


def test_learned_bins_have_equal_shares_of_real_ages(shared_data: Path) -> None:
    """Eight bins of the Titanic's ages hold an eighth of the passengers each, as far as ages repeat."""
    rows = read_rows(shared_data / "titanic" / "data.csv")
    bins = learn_bins(rows, {AGE: 8}, "rows")["age"]
    column = Column("age", "numeric", bins)
    found = [cell_features(column, row.cells["age"])[0] for row in rows if row.cells["age"]]
    shares = [found.count(f"age={number}") / len(found) for number in range(8)]
    assert sum(shares) == pytest.approx(1)
    assert all(0.09 < share < 0.16 for share in shares)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["", "?"], "rows, column 'age': there is no numbers"),
        (["7", "7.0", ""], "rows, column 'age': there is only 7"),
        (["7", "old"], "rows, row 2, column 'age': 'old' is not a number"),
    ],
)
def test_what_cannot_be_parted_is_refused(cells: list[str], problem: str) -> None:
    """Less than two different numbers, and cells that are none, are named with the next thing to do."""
    with pytest.raises(BadInput, match=problem) as caught:
        learn_bins(rows_of(*cells), {AGE: 4}, "rows")
    assert caught.value.hint


def test_a_cell_that_is_no_number_is_shown_as_a_missing_value() -> None:
    """The hint is a line of TOML, whatever the cell."""
    with pytest.raises(BadInput) as caught:
        learn_bins(rows_of('say "old"\n'), {AGE: 4}, "rows")
    assert caught.value.hint.endswith(r'missing = ["say \"old\""]')


def test_a_schema_learns_its_quantiles(tmp_path: Path) -> None:
    """Quantiles become bins; numbers of the TOML become text; the rest stays."""
    schema, rows = tmp_path / "schema.toml", tmp_path / "rows.csv"
    schema.write_text(SCHEMA)
    rows.write_text("id,age\n" + "".join(f"0,{age}\n" for age in ("?", 4, 3, 2, 1)))
    spec = tabular_spec_from_schema(schema, n_features=256, quantiles_from=rows)
    assert spec.columns == (
        Column("age", "numeric", ("2", "3", "4"), missing=("?",)),
        Column("fare", "numeric", step="0.5"),
        Column("at", "date", parts=("year", "month")),
        Column("alone", "boolean"),
        Column("size", "numeric", step="10"),
    )


def test_quantiles_and_rows_go_together(tmp_path: Path) -> None:
    """Quantiles without rows, rows without quantiles, and rows without the column are refused."""
    schema, rows = tmp_path / "schema.toml", tmp_path / "rows.csv"
    schema.write_text(SCHEMA)
    rows.write_text("year\n1\n")
    with pytest.raises(UsageError, match="has quantiles for column 'age', and there are no rows") as caught:
        tabular_spec_from_schema(schema, n_features=256)
    assert "--quantiles-from" in caught.value.hint
    with pytest.raises(BadInput, match=r"rows\.csv has no column 'age'; its columns are: year"):
        tabular_spec_from_schema(schema, n_features=256, quantiles_from=rows)
    schema.write_text(SCHEMA.replace("quantiles = 4", "bins = [4]"))
    with pytest.raises(UsageError, match="has quantiles to be learned"):
        tabular_spec_from_schema(schema, n_features=256, quantiles_from=rows)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("quantiles = 1", "quantiles of column 'age' is 1; it must be a whole number from 2 to 256"),
        ("quantiles = 257", "is 257"),
        ("quantiles = 4.0", "is 4.0"),
        ("quantiles = true", "is True"),
        ("quantiles = 4, bins = [1]", "column 'age' has quantiles and bins"),
        ("quantiles = 4, step = 1", "column 'age' has quantiles and step"),
        ("step = 1, bins = [1]", r"columns\[0\] has bins and a step"),
        ("step = 1e3", "the step of column 'age' is '1e3'"),
    ],
)
def test_bad_quantiles_are_refused_before_rows_are_read(tmp_path: Path, text: str, problem: str) -> None:
    """What the schema says wrong is said, although there are no rows."""
    schema = tmp_path / "schema.toml"
    schema.write_text(SCHEMA.replace("quantiles = 4", text))
    with pytest.raises(BadInput, match=problem):
        tabular_spec_from_schema(schema, n_features=256, quantiles_from=tmp_path / "none.csv")


def test_quantiles_are_for_numbers(tmp_path: Path) -> None:
    """Other types have no quantiles."""
    schema = tmp_path / "schema.toml"
    schema.write_text(SCHEMA.replace('"boolean"', '"boolean", quantiles = 4'))
    with pytest.raises(BadInput, match="column 'alone' is boolean and has quantiles"):
        tabular_spec_from_schema(schema, n_features=256)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("labels = [1.0, 2.5]", "label is 1.0; it must be a string"),
        ("label_column = 1.5", "label_column is 1.5; it must be a string"),
        ("labels = " + "[" * 3000 + "]" * 3000, "is not TOML: .*deep"),
        ("labels" + ".a" * 3000 + " = 1", "is not TOML: .*deep"),
    ],
    ids=["labels", "label column", "lists", "tables"],
)
def test_what_no_schema_can_say_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """A number is no text, however it is written, and no nesting ends the program."""
    schema = tmp_path / "schema.toml"
    field = re.split(r"\W", text)[0]
    rest = "\n".join(line for line in SCHEMA.splitlines() if not line.startswith(f"{field} "))
    schema.write_text(f"{text}\n{rest}")
    with pytest.raises(BadInput, match=problem):
        tabular_spec_from_schema(schema, n_features=256)
