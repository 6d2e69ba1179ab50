"""Tables as they are typed: columns of every type from the schema to the chain, bins learned, notes said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

SCHEMA = """
label_column = "paid"
labels = ["no", "yes"]

[[columns]]
name = "amount"
type = "numeric"
quantiles = 3
missing = ["?"]

[[columns]]
name = "height"
type = "numeric"
step = 0.5

[[columns]]
name = "member"
type = "boolean"

[[columns]]
name = "due"
type = "date"
parts = ["month", "weekday"]
"""
HEADER = ["id", "amount", "height", "member", "due", "paid"]
ROWS = [
    ("1", "10", "1.2", "yes", "2024-01-31", "yes"),
    ("2", "20", "1.8", "no", "2024-02-29", "no"),
    ("3", "30", "", "t", "", "yes"),
    ("4", "?", "1.75", "F", "2024-02-29T10:00Z", "no"),
    ("5", "40", "tall", "F", "2024-02-29", "no"),
]
DEPLOY = ["model", "deploy", "--name", "bills", "--kind", "tabular", "--schema", "schema.toml", "--yes"]


@pytest.fixture
def bills(dcai: Dcai) -> Dcai:
    """A home with a schema and rows."""
    (dcai.folder / "schema.toml").write_text(SCHEMA)
    dcai.write("rows.csv", ROWS, header=HEADER)
    return dcai


def test_bins_are_learned_and_every_type_is_read(bills: Dcai) -> None:
    """Edges of quantiles are published; contribute, featurize and predict read the same columns."""
    bills.data(*DEPLOY, "--quantiles-from", "rows.csv", "--n-features", "4096")
    spec = json.loads(bills.data("model", "show", "bills")["spec"])
    assert spec["columns"] == [
        {"bins": ["20", "30"], "missing": ["?"], "name": "amount", "type": "numeric"},
        {"name": "height", "step": "0.5", "type": "numeric"},
        {"name": "member", "type": "boolean"},
        {"name": "due", "parts": ["month", "weekday"], "type": "date"},
    ]
    done = bills.data("contribute", "rows.csv", "--model", "bills", "--yes")
    assert (done["contributed"], [row["row"] for row in done["skipped"]]) == (4, [5])
    assert "'tall' is not a number" in done["skipped"][0]["reason"]
    samples = bills.data("featurize", "rows.csv", "--spec", "bills")["samples"]
    assert [len(item.get("indices", [])) for item in samples] == [5, 5, 4, 5, 0]
    row = {"amount": 15, "height": 1.1, "member": True, "due": "2024-03-01"}
    assert bills("predict", json.dumps(row), "--model", "bills").out in {"yes\n", "no\n"}
    found = bills.data("predict", "--file", "rows.csv", "--model", "bills")["predictions"]
    assert [item["label"] is None for item in found] == [False] * 4 + [True]


def test_columns_that_are_not_used_are_a_note(bills: Dcai) -> None:
    """One line on stderr names them, and --quiet leaves it out."""
    bills.data(*DEPLOY, "--quantiles-from", "rows.csv")
    for command in (
        ["featurize", "rows.csv", "--spec", "bills"],
        ["predict", "--file", "rows.csv", "--model", "bills"],
        ["contribute", "rows.csv", "--model", "bills", "--dry-run"],
        ["model", "evaluate", "rows.csv", "--model", "bills"],
    ):
        said = [line for line in bills(*command).err.splitlines() if "does not use" in line]
        assert said == ["columns that the model does not use: id"]
        assert "does not use" not in bills(*command, "--quiet").err


def test_a_column_that_is_absent_is_an_error(bills: Dcai) -> None:
    """Its name, those that are there, and what to do."""
    bills.data(*DEPLOY, "--quantiles-from", "rows.csv")
    bills.write("other.csv", [row[:4] for row in ROWS], header=HEADER[:4])
    error = bills.error("predict", "--file", "other.csv", "--model", "bills")
    assert "no column 'due'; the columns are: id, amount, height, member" in error["message"]
    assert error["hint"] == "Rename the column in the file."


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        ([*DEPLOY], 2, "has quantiles for column 'amount'"),
        ([*DEPLOY, "--quantiles-from", "none.csv"], 15, "There is no file none.csv"),
        (["model", "deploy", "--name", "x", "--quantiles-from", "rows.csv"], 2, "is for tabular models"),
    ],
)
def test_quantiles_that_cannot_be_learned_are_refused(
    bills: Dcai, options: list[str], code: int, problem: str
) -> None:
    """Nothing is sent without the rows, or for a text."""
    with bills.unchanged():
        error = bills.error(*options)
    assert (error["exit_code"], problem in error["message"]) == (code, True), error
