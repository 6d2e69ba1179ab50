"""Tables as Arrow columns give the vectors of one row at a time."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput
from dcai_cli.features.batch import vectors
from dcai_cli.features.hashing import vectorize
from dcai_cli.features.spec import Column, FeatureSpec
from dcai_cli.features.table_arrays import vectorize_columns

CELLS = st.one_of(
    st.sampled_from(["", " ", "1", "2.5", "-3", "nan", "red", "blue", " 7 "]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
)
COLUMNS = [Column("colour", "categorical"), *(Column(f"n{i}", "numeric", ("0", "2")) for i in range(9))]


@settings(deadline=None)
@given(
    st.integers(2, 10).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width))),
    st.integers(1, 4),
    st.booleans(),
)
def test_columns_give_the_vectors_of_one_row_at_a_time(
    table: list[list[str]], max_features: int, valued: bool
) -> None:
    """Blank rows, unusable numbers, collisions and rows with too many features included."""
    columns = COLUMNS[: len(table[0]) if table else 2]
    spec = FeatureSpec.tabular(
        labels=["a", "b"], columns=columns, n_features=256, max_features=max_features, valued=valued
    )
    expected = []
    for row in table:
        try:
            expected.append(
                vectorize(spec, {column.name: cell for column, cell in zip(columns, row, strict=True)})
            )
        except BadInput:
            expected.append(Vector((), ()))
    arrow = {
        column.name: pa.chunked_array(
            [[row[at] for row in table[:2]], [row[at] for row in table[2:]]], pa.string()
        )
        for at, column in enumerate(columns)
    }
    assert list(vectors(vectorize_columns(spec, arrow))) == expected


def test_null_is_the_empty_cell() -> None:
    """A missing cell is what an empty one is."""
    spec = FeatureSpec.tabular(
        labels=["a", "b"], columns=[Column("x", "categorical"), Column("y", "categorical")], n_features=256
    )
    rows = vectorize_columns(
        spec, {"x": pa.chunked_array([[None, None]], pa.string()), "y": pa.chunked_array([["1", None]])}
    )
    assert list(vectors(rows)) == [vectorize(spec, {"x": "", "y": "1"}), Vector((), ())]
