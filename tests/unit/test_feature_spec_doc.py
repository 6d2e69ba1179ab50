"""The examples of docs/feature-spec.md."""

from __future__ import annotations

import doctest
from pathlib import Path

from dcai_cli.features.columns import Column
from dcai_cli.features.schema import tabular_spec_from_schema

PAGE = Path(__file__).parent.parent.parent / "docs" / "feature-spec.md"


def test_the_examples_of_the_page_are_true() -> None:
    """Every example of the page gives what stands below it."""
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert (results.failed, results.attempted) == (0, 40)


def test_the_schema_of_the_page_can_be_used(tmp_path: Path) -> None:
    """The TOML of the page makes the spec of its examples."""
    page = PAGE.read_text()
    start, end = page.index("    label_column ="), page.index("In place of `bins`")
    path = tmp_path / "schema.toml"
    path.write_text("\n".join(line.strip() for line in page[start:end].splitlines()))
    spec = tabular_spec_from_schema(path, n_features=4096)
    assert spec.columns == (
        Column("sex", "categorical", missing=("?", "n/a")),
        Column("age", "numeric", bins=("0", "18", "65.5")),
        Column("fare", "numeric", step="0.5"),
        Column("alone", "boolean"),
        Column("boarded", "date", parts=("month", "hour")),
    )
