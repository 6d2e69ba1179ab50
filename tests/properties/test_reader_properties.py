"""Readers, for whatever cells: what is written is read back, in every form, encoding and packing."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcai_cli.features.readers import read_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.tuples(
        st.lists(TEXT.filter(str.strip), min_size=width, max_size=width, unique=True),
        st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=5),
    )
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder; what an example leaves in it, the next one overwrites."""
    return tmp_path


def write_csv(names: list[str], cells: list[list[str]], delimiter: str) -> str:
    """Csv, every cell in quotes: a blank cell alone in its row would be a blank line."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *cells])
    return out.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TABLES)
def test_what_is_written_is_read_back(folder: Path, table: tuple[list[str], list[list[str]]]) -> None:
    """The same cells through csv, tsv, jsonl and arrow; UTF-8 with and without a mark, and UTF-16."""
    names, cells = table
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    text, tabs = write_csv(names, cells, ","), write_csv(names, cells, "\t")
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    out = io.BytesIO()
    columns = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(out, columns.schema) as writer:
        writer.write_table(columns)
    for name, content in {
        "rows.csv": text.encode("utf-8-sig"),
        "rows.csv.gz": gzip.compress(text.encode("utf-16")),
        "rows.tsv.xz": lzma.compress(tabs.encode("utf-8-sig"), preset=0),
        "rows.jsonl": lines.encode("utf-8"),
        "rows.arrow": out.getvalue(),
    }.items():
        (folder / name).write_bytes(content)
        assert [row.cells for row in read_rows(folder / name)] == rows, name
