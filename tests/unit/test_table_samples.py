"""Large tables in blocks: the same samples, reasons and errors as row by row, whatever the file."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import DATE_PARTS, Column
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize, featurize_parts
from dcai_cli.features.hash_arrays import feature_indices
from dcai_cli.features.hashing import feature_index
from dcai_cli.features.readers import Source, blocks, open_rows, sources
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.table_samples import TableSamples
from dcai_cli.services.featurize import featurized_samples

COLUMNS = [
    Column("kind", "categorical", missing=("?",)),
    Column("binned", "numeric", ("-1", "0", "0.5", "1e3"), missing=("NA",)),
    Column("rounded", "numeric", step="0.5"),
    Column("flag", "boolean"),
    Column("at", "date", parts=DATE_PARTS),
]
NAMES = ["id", "kind", "binned", "rounded", "flag", "at", "label"]
SPEC = FeatureSpec.tabular(labels=["no", "yes"], columns=COLUMNS, n_features=4096)
SPECS = {
    "presence": SPEC,
    # So few indices that features of a row meet, and more than a sample may have.
    "counts, cut": FeatureSpec.tabular(
        labels=["no", "yes"], columns=COLUMNS, n_features=256, max_features=9, valued=True
    ),
    "24 bits": FeatureSpec.tabular(labels=["no", "yes"], columns=COLUMNS[:3], n_features=2**24),
}
CELLS: dict[str, Sequence[str]] = {
    "id": ["1", "2", ""],
    "kind": ["red", "green", "", " ", "?", " ? ", "\u8ddd", "a=b", "x" * 300, "\U0001f600", "nul"],
    "binned": ["0", "-0", "1", " 7 ", "", "NA", "NA ", "1e3", ".5", "5.", "+2", "1e999", "nan", "1;5", "old"],
    "rounded": ["0.25", "0.75", "1e2", "", "-3.3", "many"],
    "flag": ["yes", "NO", "1", "f", "", "maybe"],
    "at": ["2024-02-29", "1999-12-31 23:59", "", "2024-02-29T01:02:03Z", "2023-02-29", "soon"],
    "label": ["no", "yes", "maybe", ""],
}
Results = tuple[list[FeaturizedRow | Skipped], str]


def rows_of(count: int, seed: int = 1, *, faults: bool = True) -> list[list[str]]:
    """Rows of good and bad cells, empty rows among them."""
    chance = random.Random(seed)  # noqa: S311
    rows = []
    for _ in range(count):
        if faults and chance.random() < 0.05:
            rows.append(["7", "", "", " ", "", "", chance.choice(CELLS["label"])])
            continue
        rows.append([chance.choice(CELLS[name][: None if chance.random() < 0.2 else 3]) for name in NAMES])
    return rows


def write(path: Path, lines: Sequence[Sequence[str]], *, delimiter: str = ",", end: str = "\n") -> Path:
    """Write a csv file as it stands."""
    text = "\n".join(delimiter.join(cells) for cells in lines) + end
    path.write_bytes(text.encode())
    return path


def run(path: Path | Source, spec: FeatureSpec = SPEC, **options: Any) -> Results:
    """All results up to the error, and the error."""
    results: list[FeaturizedRow | Skipped] = []
    part = {name: options.pop(name) for name in ("skip", "limit") if name in options}
    try:
        with open_rows(path) as rows:
            results.extend(featurize(rows.part(**part), spec, **options))
    except BadInput as error:
        return results, f"{error.message} {error.hint}"
    return results, ""


def check(path: Path | Source, spec: FeatureSpec = SPEC, **options: Any) -> Results:
    """Read a file both ways, and compare."""
    plainly = run(path, spec, in_blocks=False, **options)
    assert run(path, spec, in_blocks=True, **options) == plainly
    return plainly


def blocks_of(path: Path | Source, spec: FeatureSpec = SPEC, **options: Any) -> list[int]:
    """The sizes of the blocks that a file is read in."""
    with open_rows(path) as rows:
        parts = featurize_parts(rows, spec, in_blocks=True, **options)
        return [part.block.size for part in parts if isinstance(part, TableSamples)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some rows, so that a small file has many."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 512)
    monkeypatch.setattr("dcai_cli.features.readers.tables.BLOCK_ROWS", 7)
    monkeypatch.setattr("dcai_cli.features.table_arrays.KEPT_CELLS", 10)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("what", SPECS)
@pytest.mark.parametrize("with_labels", [True, False])
def test_blocks_give_the_rows_of_plain_reading(tmp_path: Path, what: str, with_labels: bool) -> None:
    """Samples, keys, units, reasons and order are those of single rows, in many blocks and in one."""
    path = write(tmp_path / "rows.csv", [NAMES, *rows_of(400)])
    results, error = check(path, SPECS[what], with_labels=with_labels)
    assert (len(results), error) == (400, "")
    assert len(blocks_of(path)) > 10
    reasons = {row.fault for row in results if isinstance(row, Skipped)}
    assert reasons == {"empty", "no-sample"} | ({"unknown-label"} if with_labels else set())
    assert any(row.cut for row in results if isinstance(row, FeaturizedRow)) == (what == "counts, cut")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("skip", "limit"), [(0, 1), (0, 37), (5, None), (37, 38), (399, 5), (400, None), (0, 400)]
)
def test_a_part_of_the_rows_is_that_part(tmp_path: Path, skip: int, limit: int | None) -> None:
    """Rows that are left out at the start or the end keep the others' numbers."""
    path = write(tmp_path / "rows.csv", [NAMES, *rows_of(400)])
    results, _ = check(path, skip=skip, limit=limit)
    everything, _ = run(path)
    assert results == everything[skip : None if limit is None else skip + limit]


def packed(path: Path) -> Path:
    """The same file, packed."""
    found = path.with_name(f"{path.name}.gz")
    found.write_bytes(gzip.compress(path.read_bytes()))
    return found


def marked(path: Path) -> Path:
    """The same file, with a byte order mark."""
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    return path


def with_blank_lines(path: Path) -> Path:
    """The same file, with blank lines at the start, between rows and at the end."""
    path.write_bytes(b"\n\n" + path.read_bytes().replace(b"\n", b"\n\n") + b"\n\n")
    return path


def with_tabs(path: Path) -> Path:
    """The same file, with tabs."""
    return write(path.with_name("rows.tsv"), [NAMES, *rows_of(60)], delimiter="\t")


def without_end(path: Path) -> Path:
    """The same file, with no line feed at its end."""
    return write(path, [NAMES, *rows_of(60)], end="")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("change", [packed, marked, with_blank_lines, with_tabs, without_end])
def test_other_files_of_the_same_rows_have_blocks(tmp_path: Path, change: Callable[[Path], Path]) -> None:
    """Packed files, byte order marks, blank lines and tabs change nothing."""
    rows = write(tmp_path / "rows.csv", [NAMES, *rows_of(60)])
    expected = run(rows)
    path = change(rows)
    assert check(path) == expected
    assert sum(blocks_of(path)) == 60


FAULTS = {
    "a quote": b'1,"red",1,1,y,2024-01-01,no\n',
    "a quote within a cell": b'1,re"d,1,1,y,2024-01-01,no\n',
    "an open quote": b'1,"red,1,1,y,2024-01-01,no\n',
    "a comma and a line break in quotes": b'1,"r,e\nd",1,1,y,2024-01-01,no\n',
    "a carriage return": b"1,red,1,1,y,2024-01-01,no\r\n",
    "a carriage return in a cell": b"1,r\red,1,1,y,2024-01-01,no\n",
    "NUL": b"1,r\0ed,1,1,y,2024-01-01,no\n",
    "too few cells": b"1,red,1,1,y,2024-01-01\n",
    "too many cells": b"1,red,1,1,y,2024-01-01,no,\n",
    "spaces only": b"  \n",
    "a long line": b"1,%b,1,1,y,2024-01-01,no\n" % (b"red" * 500),
    "no UTF-8": b"1,r\xe9d,1,1,y,2024-01-01,no\n",
    "half of a character, and others": b"\xc3,\xe9,\xc3\xa9\n",
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.parametrize("at", [0, 30, 60])
def test_what_is_not_simple_is_left_to_the_strict_reader(tmp_path: Path, what: str, at: int) -> None:
    """At the start, in the middle and at the end: the same rows, then the same error if there is one."""
    path = tmp_path / "rows.csv"
    lines = write(path, [NAMES, *rows_of(60)]).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[: at + 1], FAULTS[what], *lines[at + 1 :]]))
    try:
        sizes = blocks_of(path)
    except BadInput:
        sizes = []
    results, error = check(path)
    assert error or len(results) == 61
    assert sum(sizes) <= at + (what == "a long line") * 61


@pytest.mark.parametrize(
    "header", ['"id",kind,binned,rounded,flag,at,label', "id,kind,binned,rounded,flag,at,label\r", "\0"]
)
def test_a_header_that_is_not_simple_is_read_strictly(tmp_path: Path, header: str) -> None:
    """Quotes and carriage returns in the header leave the whole file to rows."""
    path = write(tmp_path / "rows.csv", [[header], *rows_of(20)])
    check(path)


def test_a_byte_order_mark_in_a_cell_is_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start of the rows, and of any block."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10)
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=[Column("kind", "categorical")], n_features=256)
    path = write(tmp_path / "rows.csv", [["kind"], *([f"\ufeff{number}"] for number in range(9))])
    results, _ = check(path, spec, with_labels=False)
    plain = Row(1, {"kind": "\ufeff0"})
    assert results[:1] == list(featurize([plain], spec, with_labels=False))
    assert len(blocks_of(path, spec, with_labels=False)) > 2


def test_one_column_and_other_encodings(tmp_path: Path) -> None:
    """A table of one column, where blank lines are no rows, and a file in Windows-1252 are read alike."""
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=[Column("kind", "categorical")], n_features=256)
    path = tmp_path / "rows.csv"
    path.write_bytes(b"kind\nred\n\n \nblue\n")
    results, _ = check(path, spec, with_labels=False)
    assert len(results) == 3
    path.write_bytes("kind\nred\ncaf\u00e9\n".encode("cp1252"))
    assert len(check(path, spec, with_labels=False)[0]) == 2
    check(Source(str(path), encoding="latin-1"), spec, with_labels=False)
    path.write_bytes("kind\nred\ncaf\u00e9\n".encode())
    check(Source(str(path), encoding="utf8"), spec, with_labels=False)


def table_of(count: int) -> pa.Table:
    """A table of many types: what is no string becomes a cell by the rule of the spec."""
    chance = np.random.default_rng(5)
    zeros = pa.array([0.0, -0.0, 1.5, None, float("nan"), 1e300] * count).slice(0, count)
    return pa.table(
        {
            "kind": pa.array(["a", None, "b", "\u8ddd"] * count).slice(0, count).dictionary_encode(),
            "binned": zeros,
            "rounded": pa.array(chance.integers(0, 9, count), pa.int8()),
            "flag": pa.array([True, False, None] * count).slice(0, count),
            "at": pa.array([date(2024, 2, 29), None, date(1, 1, 1)] * count).slice(0, count),
            "label": pa.array(["no", "yes"] * count, pa.large_string()).slice(0, count),
            "id": pa.array(zeros, pa.float32()),
            "price": pa.array([Decimal("1.50"), None] * count).slice(0, count),
            "seen": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None] * count).slice(0, count),
            "raw": pa.array([b"\xff", None] * count).slice(0, count),
            "nothing": pa.nulls(count),
        }
    )


def write_parquet(table: pa.Table, path: Path) -> Path:
    """Several row groups."""
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=30)
    return path.with_suffix(".parquet")


def write_arrow(table: pa.Table, path: Path) -> Path:
    """An arrow file."""
    with pa.OSFile(str(path.with_suffix(".arrow")), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table, max_chunksize=30)
    return path.with_suffix(".arrow")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("writer", [write_parquet, write_arrow])
def test_binary_tables_are_read_in_blocks(tmp_path: Path, writer: Callable[[pa.Table, Path], Path]) -> None:
    """Numbers, booleans, dates, nulls and both zeros become the cells that they are row by row."""
    table = table_of(100)
    if writer is write_arrow:  # parquet has no nulls among the values of a dictionary
        codes, values = pa.array([0, 1, 2, None] * 25), pa.array(["a", None, "a"])
        table = table.append_column("coded", pa.DictionaryArray.from_arrays(codes, values))
    path = writer(table, tmp_path / "rows")
    categories = [Column(name, "categorical") for name in table.column_names if name != "label"]
    spec = FeatureSpec.tabular(labels=["no", "yes"], columns=categories, n_features=2**20)
    results, error = check(path, spec)
    assert (len(results), error) == (100, "")
    assert sum(blocks_of(path, spec)) == 100
    check(path)


@pytest.mark.parametrize("writer", [write_parquet, write_arrow])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], None] * 50),
        pa.array([{"a": 1}, None] * 50),
        pa.array([0] * 99 + [2**50], pa.timestamp("s")),
        pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
        ),
    ],
    ids=["lists", "objects", "far in the future", "no UTF-8"],
)
def test_binary_tables_of_other_types_are_read_alike(
    tmp_path: Path, writer: Callable[[pa.Table, Path], Path], column: pa.Array
) -> None:
    """What cannot be coded, or not be read, gives the same rows or the same error, used or not."""
    table = table_of(100).slice(0, len(column)).append_column("odd", column)
    path = writer(table, tmp_path / "rows")
    check(path)
    spec = FeatureSpec.tabular(
        labels=["no", "yes"], columns=[*COLUMNS, Column("odd", "categorical")], n_features=4096
    )
    check(path, spec)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_that_changes_is_refused(tmp_path: Path, form: str) -> None:
    """Between opening and reading it got other columns."""
    path = tmp_path / f"rows.{form}"

    def save(names: Sequence[str]) -> None:
        table = pa.table({name: ["1", "0"] for name in names})
        pq.write_table(table, path) if form == "parquet" else write(path, [names, ["1"] * len(names)])

    save(NAMES)
    with open_rows(path) as rows:
        save([*NAMES, "other"])
        with pytest.raises(BadInput, match="was changed while it was read"):
            list(featurize(rows, SPEC, in_blocks=True))


def test_real_tables_are_read_alike(shared_data: Path) -> None:
    """The Titanic's passengers, and 32,561 adults of a packed file, with repeats and missing cells."""
    for name, file, label in (("titanic", "data.csv", "0 1"), ("adult", "data.csv.gz", "<=50K >50K")):
        with open_rows(shared_data / name / file) as rows:
            names = [column for column in rows.columns if column != "label"]
        columns = [
            Column(column, "numeric", ("18", "30", "50"), missing=("?",))
            if column in {"age", "fare"}
            else Column(column, "categorical", missing=("?",))
            for column in names
        ]
        spec = FeatureSpec.tabular(labels=label.split(), columns=columns, n_features=2**16)
        results, _ = check(shared_data / name / file, spec)
        assert sum(blocks_of(shared_data / name / file, spec)) == len(results) > 800


def test_large_tables_are_read_in_blocks_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From some size on; a packed file counts for more."""
    path = write(tmp_path / "rows.csv", [NAMES, *rows_of(100)])
    for size, is_large in ((path.stat().st_size, True), (path.stat().st_size + 1, False)):
        monkeypatch.setattr(sources, "LARGE_BYTES", size)
        with open_rows(path) as rows:
            assert rows.is_large_table is is_large
    small = packed(path)
    monkeypatch.setattr(sources, "LARGE_BYTES", 4 * small.stat().st_size)
    with open_rows(small) as rows:
        assert rows.is_large_table


@pytest.mark.usefixtures("small_blocks")
def test_what_is_shown_of_a_block_is_what_is_shown_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dcai featurize` reads payloads back in blocks, too."""
    path = write(tmp_path / "rows.csv", [NAMES, *rows_of(200)])

    def shown() -> Iterator[list[Any]]:
        for spec in SPECS.values():
            for with_labels in (True, False):
                with featurized_samples(path, spec, with_labels=with_labels, limit=150) as rows:
                    yield list(rows)

    plainly = list(shown())
    monkeypatch.setattr(sources, "LARGE_BYTES", 1)
    assert list(shown()) == plainly


def test_a_small_table_needs_neither_numpy_nor_pyarrow(tmp_path: Path) -> None:
    """Importing them takes longer than its rows."""
    path = write(tmp_path / "rows.csv", [NAMES, *rows_of(20)])
    program = (
        "import sys; from pathlib import Path; from dcai_cli.features.featurize import featurize; "
        "from dcai_cli.features.readers import open_rows; from dcai_cli.features.spec import FeatureSpec; "
        "spec, path = FeatureSpec.from_json(sys.argv[1]), Path(sys.argv[2]); "
        "sys.exit(len(list(featurize(open_rows(path), spec))) != 20 or "
        "bool({'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program, SPEC.to_json(), str(path)], check=True)


@pytest.mark.parametrize("size", [256, 1000, 2**24])
def test_many_names_are_hashed_as_one(size: int) -> None:
    """Of every length, alone or among many of it, and beyond ASCII."""
    names = [f"{'x' * length}{number}" for length in range(20) for number in range(length % 12)]
    names += ["", "\u8ddd\u79bb", "\U0001f600" * 99, "x" * 5000]
    assert feature_indices(names, size).tolist() == [feature_index(name, size) for name in names]
    assert feature_indices([], size).tolist() == []
