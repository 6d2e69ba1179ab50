"""Our reader of files beside that of `datasets`: whatever ours lets through, both read alike."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dcai_cli.errors import BadInput
from dcai_cli.features.readers import read_rows
from dcai_cli.features.readers.cells import cell_text

SETS = ["adult/data.csv.gz", "ag_news/data.csv.gz", "sms_spam/data.csv", "titanic/data.csv"]
SETS += ["trec_en/data.csv", "trec_hi/data.csv", "zh_hotel/data.csv.gz", "imdb/test-0.csv.gz"]
PIECES = ["a", "NA", "007", " ", "é", "\u2028", "\u0085", "🎈", "1e5", "-", "null", "'", "\t", ";", "#", "\\"]
QUOTED = [",", "\n", "\r\n", '""', "\n\n"]


def read_by_datasets(path: Path, folder: Path, kind: str, **options: Any) -> list[dict[str, Any]]:
    """The rows as `datasets` has them."""
    reader = getattr(datasets.Dataset, f"from_{kind}")
    dataset = reader(str(path), cache_dir=str(folder), keep_in_memory=True, **options)
    return list(dataset.with_format("arrow")[:].to_pylist())


def read_csv_by_datasets(path: Path, folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """The rows of a csv file, every cell a string."""
    features = datasets.Features({name: datasets.Value("string") for name in names})
    return read_by_datasets(path, folder, "csv", features=features, keep_default_na=False, na_filter=False)


@pytest.mark.parametrize("name", SETS)
def test_real_csv_is_read_alike(name: str, shared_data: Path, tmp_path: Path) -> None:
    """Every cell of eight real sets."""
    rows = read_rows(shared_data / name)
    assert [row.cells for row in rows] == read_csv_by_datasets(
        shared_data / name, tmp_path, list(rows[0].cells)
    )


def made_up_csv(rng: random.Random) -> str:
    """Some rows of odd cells, in quotes or not, now and then with a fault."""
    out = io.StringIO(newline="")
    end = rng.choice(["\n", "\r\n"])
    out.write(f"text,label{end}")
    for _ in range(rng.randint(1, 8)):
        cells = []
        for _ in range(2 if rng.random() < 0.98 else rng.randint(1, 3)):
            quoted = rng.random() < 0.4
            pieces = rng.choices(PIECES + QUOTED * 2 if quoted else PIECES, k=rng.randint(0, 5))
            cells.append('"' + "".join(pieces) + '"' if quoted else "".join(pieces))
        out.write(",".join(cells) + (end if rng.random() < 0.95 else end * 2))
    return out.getvalue()


def test_made_up_csv_is_read_alike(tmp_path: Path) -> None:
    """150 files of odd cells: those that we let through have the same cells in both readers."""
    rng = random.Random(42)  # noqa: S311
    agreed = 0
    for number in range(150):
        path = tmp_path / f"{number}.csv"
        path.write_text(made_up_csv(rng), encoding="utf-8", newline="")
        try:
            rows = read_rows(path)
        except BadInput:
            continue
        theirs = read_csv_by_datasets(path, tmp_path / "cache", ["text", "label"])
        assert [row.cells for row in rows] == theirs, path.read_text(encoding="utf-8")
        agreed += 1
    assert agreed > 100


def test_tables_are_read_alike(tmp_path: Path) -> None:
    """Typed values of parquet and arrow become the same cells."""
    rng = random.Random(43)  # noqa: S311
    rows = [
        {"text": f"{n} é", "label": n % 3, "x": rng.random(), "flag": n % 2 == 0, "more": [n, None]}
        for n in range(3000)
    ]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=700)
    theirs = read_by_datasets(tmp_path / "rows.parquet", tmp_path / "cache", "parquet")
    expected = [{name: cell_text(value) for name, value in row.items()} for row in theirs]
    assert [row.cells for row in read_rows(tmp_path / "rows.parquet")] == expected
    with pa.ipc.new_file(tmp_path / "rows.arrow", table.schema) as writer:
        writer.write_table(table)
    assert [row.cells for row in read_rows(tmp_path / "rows.arrow")] == expected
