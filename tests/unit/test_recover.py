"""What samples still say of their rows, from specs of every kind."""

from __future__ import annotations

import pytest

from dcai_cli.domain import Row, Vector
from dcai_cli.features.columns import Column
from dcai_cli.features.hashing import feature_index, vectorize
from dcai_cli.features.recover import recoverable
from dcai_cli.features.spec import FeatureSpec

COLUMNS = (
    Column("size", "numeric", bins=("1.5", "10")),
    Column("fare", "numeric", step="0.5"),
    Column("member", "boolean"),
    Column("kind", "categorical"),
    Column("at", "date", parts=("year", "weekday", "hour")),
)


def recovered(spec: FeatureSpec, cells: dict[str, str]) -> dict[str, object]:
    """What the sample of a row says of it."""
    vector = vectorize(spec, Row(1, cells).cells)
    return {name: cell(vector) for name, (_, cell) in recoverable(spec).items()}


def test_few_features_of_a_table_are_looked_up() -> None:
    """Bins, booleans and parts of dates come back; categories, rounded numbers and years are not said."""
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=COLUMNS, n_features=2**20)
    cells = {"size": "7", "fare": "3", "member": "yes", "kind": "x", "at": "2024-02-29 23:05"}
    assert recovered(spec, cells) == {
        "column.size": "1.5 to 10",
        "column.member": "true",
        "column.at.weekday": "4",
        "column.at.hour": "23",
    }
    assert recovered(spec, cells | {"size": "10", "member": "no"})["column.size"] == "10 to inf"
    assert recovered(spec, cells | {"size": "-3"})["column.size"] == "-inf to 1.5"


@pytest.mark.parametrize("cell", ["", "  "])
def test_a_missing_value_is_not_said(cell: str) -> None:
    """A cell without a value gives nothing, as its column has no such bin."""
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=COLUMNS, n_features=2**20)
    cells = {"size": cell, "fare": "3", "member": cell, "kind": "x", "at": "2024-02-29"}
    found = recovered(spec, cells)
    assert (found["column.size"], found["column.member"], found["column.at.hour"]) == (None, None, None)


def test_where_two_features_have_one_index_nothing_is_said() -> None:
    """In a space of 256 some of 200 bins collide: every other bin is right, and these are None."""
    bins = tuple(str(edge) for edge in range(199))
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=[Column("n", "numeric", bins=bins)], n_features=256)
    indices = [feature_index(f"n={at}", 256) for at in range(200)]
    said = 0
    for at in range(200):
        found = recovered(spec, {"n": str(at - 0.5)})["column.n"]
        if indices.count(indices[at]) > 1:
            assert found is None
        else:
            said += 1
            assert found == f"{('-inf', *bins)[at]} to {(*bins, 'inf')[at]}"
    assert 0 < said < 200


def test_vectors_come_back_in_the_steps_of_the_scale() -> None:
    """Numbers are divided by the scale; what a sample leaves out is 0, and the constant is no number."""
    spec = FeatureSpec.dense(labels=["a", "b"], length=3, scale="100", constant=127)
    ((name, (_, cell)),) = recoverable(spec).items()
    assert (name, cell(Vector((0, 2, 3), (50, -127, 127)))) == ("vector", [0.5, 0.0, -1.27])


def test_hashed_text_says_nothing() -> None:
    """Without a vocabulary there is no column."""
    assert recoverable(FeatureSpec.text(labels=["a", "b"], n_features=256)) == {}
