"""Readers: cells stay what they are, and a bad file is refused by file, row and line."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.readers import read_rows

CSV = (
    "text,label\n"
    'NA,1\n"two\nlines, ""quoted""",nan\n\n  spaced  ,007\nnull,\n"a\r\nb",1.50\n\U0001f600 é\u2028x,True\n'
)
CELLS = [
    ("NA", "1"),
    ('two\nlines, "quoted"', "nan"),
    ("  spaced  ", "007"),
    ("null", ""),
    ("a\r\nb", "1.50"),
    ("\U0001f600 é\u2028x", "True"),
]


def rows_of(cells: list[tuple[str, str]]) -> list[Row]:
    """Rows of two columns."""
    return [Row(number, {"text": a, "label": b}) for number, (a, b) in enumerate(cells, start=1)]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file for a test."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "ROWS.CSV", "a[1]*?.csv", "white space.csv"])
def test_csv_cells_stay_as_they_are_written(tmp_path: Path, name: str) -> None:
    """Zeros, spaces, quotes, line breaks, emoji and the word NA come through, whatever the file is called."""
    assert read_rows(write(tmp_path, name, CSV)) == rows_of(CELLS)


def test_tsv_gz_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    """Tabs, gzip and a UTF-8 byte order mark make no difference."""
    assert read_rows(write(tmp_path, "rows.tsv", "text\tlabel\na,b\tc\n")) == rows_of([("a,b", "c")])
    assert read_rows(write(tmp_path, "rows.csv.gz", gzip.compress(CSV.encode()))) == rows_of(CELLS)
    assert read_rows(write(tmp_path, "bom.csv", b"\xef\xbb\xbf" + CSV.encode())) == rows_of(CELLS)
    assert read_rows(write(tmp_path, "crlf.csv", "text,label\r\na,b\r\n")) == rows_of([("a", "b")])


def test_long_cells_are_read(tmp_path: Path) -> None:
    """A cell may be longer than Python's csv module takes by default."""
    text = "word " * 60_000
    assert read_rows(write(tmp_path, "rows.csv", f"text,label\n{text},a\n")) == rows_of([(text, "a")])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text,label\na,b\nc\n", "row 2, line 3: expected 2 cells, got 1"),
        ("text,label\na,b,c\n", "row 1, line 2: expected 2 cells, got 3"),
        ('text,label\n"a\nb",c\nd,e,f\n', "row 2, line 4: expected 2 cells, got 3"),
        ("text,label\na,b\nc\0,d\n", "row 2, line 3: there is a NUL byte"),
        ("te\0xt,label\na,b\n", "line 1: there is a NUL byte"),
        (b"text,label\na,b\ncaf\xe9,\x81\n", "line 3: byte 0xe9 at offset 18 is not UTF-8"),
        (b"\xef\xbb\xbftext,label\ncaf\xe9,d\n", "line 2: byte 0xe9 at offset 17 is not UTF-8"),
        ('text,label\na,b\n"c,d\ne,f\n', "row 2, line 3: a quote is opened here and never closed"),
        ('text,label\n"a"x,b\n', "row 1, line 2: the csv is malformed"),
        ("text,label,text\na,b,c\n", "line 1: column 'text' stands twice"),
        ("text,,label\na,b,c\n", "line 1: column 2 has no name"),
        ("", "is empty: it has no header"),
        ("\n\n", "is empty: it has no header"),
        ("text,label\n", "has no rows"),
        ("text,label\n\n\n", "has no rows"),
        ("text,label\na,b\n  \n", "row 2, line 3: expected 2 cells, got 1"),
    ],
)
def test_bad_csv_is_refused_by_row_and_line(tmp_path: Path, content: str | bytes, problem: str) -> None:
    """What a lenient reader would pad, drop or guess is refused, with the place."""
    path = write(tmp_path, "rows.csv", content)
    with pytest.raises(BadInput) as caught:
        read_rows(path)
    assert problem in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_jsonl_values_become_cells(tmp_path: Path) -> None:
    """Strings stay, even those like dates; other values get one documented form; missing keys are empty."""
    lines = [
        {"text": "2020-01-01", "label": 1},
        {"label": None, "text": "NA", "more": [1, {"b": "é", "a": 1.5}]},
        {"text": True, "label": 1.50},
        {"text": 10**30, "label": 1e300},
    ]
    content = "\n\n".join(json.dumps(line) for line in lines)
    expected = [
        {"text": "2020-01-01", "label": "1", "more": ""},
        {"text": "NA", "label": "", "more": '[1,{"a":1.5,"b":"é"}]'},
        {"text": "true", "label": "1.5", "more": ""},
        {"text": "1" + "0" * 30, "label": "1e+300", "more": ""},
    ]
    assert [row.cells for row in read_rows(write(tmp_path, "rows.jsonl", content))] == expected
    packed = write(tmp_path, "rows.jsonl.gz", gzip.compress(content.encode()))
    assert [(row.number, row.cells) for row in read_rows(packed)] == list(enumerate(expected, start=1))


def test_jsonl_keeps_the_characters_that_python_takes_for_line_breaks(tmp_path: Path) -> None:
    """Only a line feed ends a line of jsonl: a raw U+2028 or U+0085 in a string does not."""
    text = "a\u2028b\u0085c"
    content = json.dumps({"text": text, "label": "x"}, ensure_ascii=False) + "\r\n"
    assert read_rows(write(tmp_path, "rows.jsonl", content)) == rows_of([(text, "x")])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"text": "a"}\n\n{"text": \n', "line 3: Expecting value"),
        ('{"text": "a"}\n["a"]\n', "line 2: this is not a JSON object"),
        ('{"text": "a", "text": "b"}\n', "line 1: a key stands twice"),
        ('{"text": "\\ud800"}\n', "line 1: half of a surrogate pair"),
        (b'{"text": "\xc3\xa4"}\n{"text": "\xe9"}\n', "line 2: byte 0xe9 at offset 25"),
        ('{"text": "a"}\n{"text": "\0"}\n', "line 2: there is a NUL byte"),
        ("[" * 100_000, "line 1: "),
        ("", "has no rows"),
        ("\n \n", "has no rows"),
    ],
)
def test_bad_jsonl_is_refused_by_line(tmp_path: Path, content: str | bytes, problem: str) -> None:
    """Broken JSON, other values than objects and invalid Unicode are refused, with the line."""
    with pytest.raises(BadInput) as caught:
        read_rows(write(tmp_path, "rows.jsonl", content))
    assert problem in caught.value.message
    assert caught.value.hint


def test_parquet_values_become_cells(tmp_path: Path) -> None:
    """Typed columns get the same forms as in jsonl; dates are ISO 8601, bytes hexadecimal."""
    table = pa.table(
        {
            "text": ["NA", None],
            "label": [1, None],
            "float": [0.1, float("nan")],
            "flag": [True, False],
            "day": [date(2020, 1, 2), None],
            "raw": [b"\x00\xff", None],
            "list": [[1, 2], None],
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    assert [row.cells for row in read_rows(tmp_path / "rows.parquet")] == [
        {
            "text": "NA", "label": "1", "float": "0.1", "flag": "true", "day": "2020-01-02", "raw": "00ff",
            "list": "[1,2]",
        },
        {"text": "", "label": "", "float": "NaN", "flag": "false", "day": "", "raw": "", "list": ""},
    ]  # fmt: skip


def test_decimals_and_durations_become_plain_decimals(tmp_path: Path) -> None:
    """Without an exponent, whatever the size, and alike for all units of time."""
    table = pa.table(
        {
            "price": pa.array([Decimal("0.0000001"), Decimal("-12.5")], pa.decimal128(20, 10)),
            "coarse": pa.array([-1, 86_400], pa.duration("s")),
            "fine": pa.array([1, -(10**9) - 1], pa.duration("us")),
            "finest": pa.array([1, -10_000_000_001], pa.duration("ns")),
            "within": [[timedelta(milliseconds=1500)], []],
        }
    )
    pq.write_table(table.drop_columns(["finest", "within"]), tmp_path / "rows.parquet")
    with pa.ipc.new_file(tmp_path / "rows.arrow", table.schema) as file:
        file.write_table(table)
    rows = [row.cells for row in read_rows(tmp_path / "rows.arrow")]
    assert [list(cells.values()) for cells in rows] == [
        ["0.0000001000", "-1", "0.000001", "0.000000001", '["1.5"]'],
        ["-12.5000000000", "86400", "-1000.000001", "-10.000000001", "[]"],
    ]
    assert [row.cells["price"] for row in read_rows(tmp_path / "rows.parquet")] == [
        "0.0000001000",
        "-12.5000000000",
    ]


def test_bad_parquet_is_refused(tmp_path: Path) -> None:
    """A file that is no parquet, a cut one and an empty table are refused."""
    with pytest.raises(BadInput, match="is not a whole parquet file"):
        read_rows(write(tmp_path, "text.parquet", "text,label\n"))
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "whole.parquet")
    with pytest.raises(BadInput, match="is not a whole parquet file"):
        read_rows(write(tmp_path, "cut.parquet", (tmp_path / "whole.parquet").read_bytes()[:-9]))
    broken = bytearray((tmp_path / "whole.parquet").read_bytes())
    broken[4:40] = bytes(36)
    with pytest.raises(BadInput, match=r"broken\.parquet is not a whole parquet file"):
        read_rows(write(tmp_path, "broken.parquet", bytes(broken)))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    with pytest.raises(BadInput, match="has no rows"):
        read_rows(tmp_path / "empty.parquet")


@pytest.mark.parametrize("depth", [101, 1_500, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_values_are_nested_as_deep_as_the_limit_and_no_deeper(
    tmp_path: Path, depth: int, opening: str, closing: str, request: pytest.FixtureRequest
) -> None:
    """The limit is ours, whatever that of Python is; canonical JSON comes out below it."""
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(50_000)  # py-evm raises it, too
    value = opening * 100 + "0" + closing * 100
    (row,) = read_rows(write(tmp_path, "rows.jsonl", f'{{"text": {value}}}'))
    assert row.cells["text"] == value
    value = opening * depth + "0" + closing * depth
    with pytest.raises(BadInput, match="line 1: lists and objects are nested more than 100 deep") as caught:
        read_rows(write(tmp_path, "rows.jsonl", f'{{"text": {value}}}'))
    assert caught.value.hint


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl", ".parquet", ".txt", ""])
def test_missing_files_are_named(tmp_path: Path, suffix: str) -> None:
    """No such file: it is refused by its name, whatever its kind."""
    with pytest.raises(BadInput, match=r"There is no file .*none"):
        read_rows(tmp_path / f"none{suffix}")


@pytest.mark.parametrize("name", ["rows.text", "rows", "csv", "rows.gz", "rows.json"])
def test_other_kinds_of_files_are_refused(tmp_path: Path, name: str) -> None:
    """A file of another kind is refused, and the hint names the kinds that are read."""
    with pytest.raises(BadInput, match="kind that cannot be read") as caught:
        read_rows(write(tmp_path, name, "text\na\n"))
    assert "jsonl" in caught.value.hint


@pytest.mark.parametrize(
    "content", [b"text,label\na,b\n", gzip.compress(b"text,label\na,b\n" * 99, mtime=0)[:-20]]
)
def test_broken_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is not, or not wholly, a gzip file is refused."""
    with pytest.raises(BadInput, match="is not a whole gzip file"):
        read_rows(write(tmp_path, "rows.csv.gz", content))


def test_reading_leaves_nothing_behind_and_says_nothing(tmp_path: Path) -> None:
    """No cache, no temporary file, no progress bar and no log line stay after a good and a bad file."""
    good, bad = (
        write(tmp_path, "good.csv", CSV),
        write(tmp_path, "bad.parquet", b"PAR1" + bytes(99) + b"PAR1"),
    )
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    script = (
        "import sys; from pathlib import Path; from dcai_cli.errors import BadInput\n"
        "from dcai_cli.features.readers import read_rows\n"
        "read_rows(Path(sys.argv[1]))\n"
        "try: read_rows(Path(sys.argv[2]))\n"
        "except BadInput: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(good), str(bad)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary)},
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
