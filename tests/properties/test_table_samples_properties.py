"""Tables in blocks against the strict reader, whatever the bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import featurize
from dcai_cli.features.readers import blocks, open_rows
from dcai_cli.features.spec import FeatureSpec

COLUMNS = {
    "a": Column("a", "categorical", missing=("?",)),
    "b": Column("b", "numeric", ("1", "10")),
    "c": Column("c", "boolean"),
}
CELLS = st.sampled_from(
    ["", " ", "1", "0", "?", "y", "10.0", "a\tb", "\ufeff", "\u00e9", "'", "\\", "#", "\x1c\x85"]
)
LINES = st.lists(st.lists(CELLS, min_size=3, max_size=3).map(",".join), max_size=12)
# Mostly whole rows, and now and then what breaks them.
BROKEN = st.lists(st.sampled_from(['"', "\r", "\0", ",", "\n", "\ud800", "x,y\n", '""']), max_size=2)
LABELS = ("1", "y")


def results(path: Path, columns: Sequence[Column], *, in_blocks: bool) -> list[object]:
    """What each row gives, and the error if there is one."""
    spec = FeatureSpec.tabular(labels=LABELS, columns=columns, n_features=256, label_column="c")
    found: list[object] = []
    try:
        with open_rows(path) as rows:
            found.extend(featurize(rows, spec, in_blocks=in_blocks))
    except BadInput as error:
        found.append(error.message)
    return found


@settings(deadline=None)  # the first row imports pyarrow
@given(LINES, BROKEN, st.integers(0, 100), st.integers(8, 64), st.booleans())
def test_any_csv_is_read_in_blocks_as_row_by_row(
    lines: list[str], broken: list[str], at: int, block_bytes: int, ends: bool
) -> None:
    """The same rows and then the same error, wherever blocks begin."""
    text = "\n".join(["a,b,c", *lines]) + "\n" * ends
    at = min(at, len(text))
    text = text[:at] + "".join(broken) + text[at:]
    with tempfile.TemporaryDirectory() as folder, patch.object(blocks, "BLOCK_BYTES", block_bytes):
        path = Path(folder) / "rows.csv"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        columns = [COLUMNS["a"], COLUMNS["b"]]
        assert results(path, columns, in_blocks=True) == results(path, columns, in_blocks=False)


@settings(deadline=None)  # the first row imports pyarrow
@given(st.lists(CELLS, min_size=1, max_size=12), st.integers(8, 64))
def test_any_column_alone_is_read_in_blocks_as_row_by_row(cells: list[str], block_bytes: int) -> None:
    """In a file of one column a blank line is no row."""
    spec = FeatureSpec.tabular(labels=LABELS, columns=[COLUMNS["a"]], n_features=256)
    with tempfile.TemporaryDirectory() as folder, patch.object(blocks, "BLOCK_BYTES", block_bytes):
        path = Path(folder) / "rows.csv"
        path.write_bytes("\n".join(["a", *cells]).encode())
        found: list[list[object]] = []
        for in_blocks in (True, False):
            try:
                with open_rows(path) as rows:
                    found.append(list(featurize(rows, spec, in_blocks=in_blocks, with_labels=False)))
            except BadInput as error:
                found.append([error.message])
        assert found[0] == found[1]
