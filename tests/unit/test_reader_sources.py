"""Sources of rows: formats, compressions, folders, standard input, the Hub; one part in memory at a time."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.readers import Source, open_rows, read_rows
from dcai_cli.features.readers.hub import hub_rows, parse_name

CELLS = [{"text": "a, b", "label": "x"}, {"text": "c", "label": "y"}]
CSV = b'text,label\n"a, b",x\nc,y\n'
PROJECT = Path(__file__).parent.parent.parent


def zst(data: bytes) -> bytes:
    """Pack with zstd."""
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
}


def table_bytes(kind: str) -> bytes:
    """The cells as parquet, or as an arrow file or stream."""
    table = pa.Table.from_pylist(CELLS)
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, out)
    else:
        new = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
        with new(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


FILES = {
    "rows.csv": CSV,
    "rows.tsv": b"text\tlabel\na, b\tx\nc\ty\n",
    "rows.jsonl": b'{"text": "a, b", "label": "x"}\n\n{"text": "c", "label": "y"}',
    "rows.parquet": table_bytes("parquet"),
    "rows.arrow": table_bytes("arrow"),
    "stream.arrow": table_bytes("stream"),
}


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file for a test, and the folders that it needs."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", ["", *PACKERS])
@pytest.mark.parametrize("name", FILES)
def test_every_format_is_read_in_every_compression(tmp_path: Path, name: str, suffix: str) -> None:
    """Six formats, packed in four ways or not at all, give the same rows."""
    packed = PACKERS[suffix](FILES[name]) if suffix else FILES[name]
    rows = read_rows(write(tmp_path, name + suffix, packed))
    assert [row.cells for row in rows] == CELLS
    assert [row.number for row in rows] == [1, 2]


def test_a_line_of_text_is_a_document(tmp_path: Path) -> None:
    """Only a line feed ends a line, blank lines are none, and a return before it goes."""
    path = write(tmp_path, "rows.txt", "one\r\n\n  two \u2028 2\n \t\nthr\ree".encode())
    assert [row.cells for row in read_rows(path)] == [
        {"text": "one"},
        {"text": "  two \u2028 2"},
        {"text": "thr\ree"},
    ]


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "tail", "empty", "plain", "flipped"])
def test_a_packed_file_that_is_not_whole_is_refused(tmp_path: Path, suffix: str, damage: str) -> None:
    """Cut off, followed by something else, empty, not packed at all, or with a bit that is wrong."""
    good = PACKERS[suffix](CSV * 99)
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 0x55]) + good[middle + 1 :]
    bad = {"cut": good[:-6], "tail": good + b"rest", "empty": b"", "plain": CSV, "flipped": flipped}[damage]
    if (suffix, damage) == (".zst", "flipped"):
        bad = bytes([good[0] ^ 0x55]) + good[1:]  # its frames carry no checksum unless asked for
    with pytest.raises(BadInput, match="is not a whole") as caught:
        read_rows(write(tmp_path, f"rows.csv{suffix}", bad))
    assert caught.value.hint


@pytest.mark.parametrize("suffix", PACKERS)
def test_streams_behind_one_another_are_one_file(tmp_path: Path, suffix: str) -> None:
    """What `cat a.gz b.gz` makes is read to its end."""
    pack = PACKERS[suffix]
    rows = read_rows(write(tmp_path, f"rows.csv{suffix}", pack(CSV) + pack(b"d,z\n")))
    assert [row.cells["text"] for row in rows] == ["a, b", "c", "d"]


@pytest.mark.parametrize("kind", ["arrow", "stream"])
@pytest.mark.parametrize("offset", [-5, 2**31 - 1, 2**20])
def test_arrow_with_damaged_offsets_is_refused(tmp_path: Path, kind: str, offset: int) -> None:
    """Offsets outside of the text would make pyarrow read memory that is not the file's."""
    table = pa.table({"text": ["aaaaa", "bbbbb"]})
    out = io.BytesIO()
    new = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
    with new(out, table.schema) as writer:
        writer.write_table(table)
    good = struct.pack("<3i", 0, 5, 10)
    assert out.getvalue().count(good) == 1
    bad = out.getvalue().replace(good, struct.pack("<3i", 0, 5, offset))
    with pytest.raises(BadInput, match="is not a whole arrow file"):
        read_rows(write(tmp_path, "rows.arrow", bad))


def test_a_folder_of_files_is_read_by_name(tmp_path: Path) -> None:
    """Files of one format follow one another by name; hidden ones do not count; rows are numbered through."""
    write(tmp_path, "d/2.csv", b"label,text\nq,r\n")
    write(tmp_path, "d/10.csv.gz", gzip.compress(b"text,label\na,b\n"))
    write(tmp_path, "d/.hidden", b"")
    rows = read_rows(tmp_path / "d")
    assert [(row.number, list(row.cells.items())) for row in rows] == [
        (1, [("text", "a"), ("label", "b")]),
        (2, [("text", "r"), ("label", "q")]),
    ]


def test_a_folder_for_each_label_gives_labelled_documents(tmp_path: Path) -> None:
    """The name of the folder is the label, and each file is one document, line breaks included."""
    write(tmp_path, "d/pos/b.txt", b"good\r\nfilm\n")
    write(tmp_path, "d/pos/a.txt.xz", lzma.compress(b"fine"))
    write(tmp_path, "d/neg/z.txt", "schlecht, öde".encode("cp1252"))
    notes: list[str] = []
    rows = read_rows(tmp_path / "d", note=notes.append)
    assert [row.cells for row in rows] == [
        {"text": "schlecht, öde", "label": "neg"},
        {"text": "fine", "label": "pos"},
        {"text": "good\r\nfilm\n", "label": "pos"},
    ]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([], "is an empty folder"),
        (["a.csv", "b.tsv"], "several formats: a.csv and b.tsv"),
        (["a.csv", "b/c.csv"], "holds files and folders"),
        (["a/b.csv"], "is not a text file"),
        (["a/b/c.txt"], "is not a text file"),
        (["a.csv", "README"], "kind that cannot be read"),
        (["a.csv", "other.csv"], "has other columns than"),
    ],
)
def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path, files: list[str], problem: str) -> None:
    """Empty, mixed, nested or unequal folders are named with what is wrong in them."""
    (tmp_path / "d").mkdir()
    for name in files:
        write(tmp_path / "d", name, b"other,columns\n1,2\n" if name == "other.csv" else CSV)
    with pytest.raises(BadInput, match=problem) as caught:
        read_rows(tmp_path / "d")
    assert caught.value.hint


def test_a_document_may_have_no_nul_and_not_too_many_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a folder for a label is held to what a line of a file is held to."""
    monkeypatch.setattr("dcai_cli.features.readers.formats.MAX_LINE_CHARS", 100)
    write(tmp_path, "d/neg/a.txt", b"fine")
    longest = write(tmp_path, "d/pos/b.txt", "\u00e9".encode() * 100)
    assert len(read_rows(tmp_path / "d")[1].cells["text"]) == 100
    with longest.open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadInput, match=r"b\.txt: a document has more than 100 characters"):
        read_rows(tmp_path / "d")
    longest.write_bytes(b"two\0words")
    with pytest.raises(BadInput, match=r"b\.txt: there is a NUL byte"):
        read_rows(tmp_path / "d")


def test_standard_input_and_pipes_are_read_more_than_once(tmp_path: Path) -> None:
    """A stream that can be read once only gives its rows twice, and leaves no file behind."""
    script = (
        "import sys; from pathlib import Path; from dcai_cli.features.readers import *\n"
        "with open_rows(Source(sys.argv[1], format='csv')) as rows:\n"
        "    print([row.cells for row in rows] == [row.cells for row in rows], len(list(rows)))\n"
    )
    (tmp_path / "temporary").mkdir()
    for place in ("-", "/dev/stdin"):
        done = subprocess.run(
            [sys.executable, "-c", script, place],
            input=CSV,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "temporary")},
            cwd=PROJECT,
            capture_output=True,
            check=True,
        )
        assert (done.stdout, done.stderr) == (b"True 2\n", b"")
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("form", [None, "parquet"])
def test_standard_input_needs_the_format_of_a_text(form: str | None) -> None:
    """Nothing else says what comes there."""
    with pytest.raises(UsageError, match="standard input") as caught:
        open_rows(Source("-", format=form))
    assert "--format" in caught.value.hint


def test_a_format_that_is_named_goes_over_the_name(tmp_path: Path) -> None:
    """--format reads a file of any name; one that does not exist is refused."""
    path = write(tmp_path, "rows.data.gz", gzip.compress(FILES["rows.tsv"]))
    assert [row.cells for row in read_rows(Source(str(path), format="tsv"))] == CELLS
    with pytest.raises(UsageError, match="no format 'xlsx'"):
        read_rows(Source(str(path), format="xlsx"))


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.parquet.gz"])
def test_an_encoding_of_what_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    """Tables say how their texts are written; a folder of them, too, and by --format as well."""
    content = gzip.compress(FILES["rows.parquet"]) if name.endswith(".gz") else FILES[name]
    path = write(tmp_path, f"d/{name}", content)
    for source in (Source(str(path), encoding="cp1252"), Source(str(path.parent), encoding="cp1252")):
        with pytest.raises(UsageError, match="--encoding cp1252 is for texts") as caught:
            open_rows(source)
        assert caught.value.hint == "Leave out --encoding."
    other = write(tmp_path, "rows.data", FILES["rows.parquet"])
    with pytest.raises(UsageError, match="is a file of parquet"):
        open_rows(Source(str(other), format="parquet", encoding="utf-8"))


@pytest.mark.parametrize(("option", "value"), [("format", "csv"), ("encoding", "utf-8")])
def test_the_hub_takes_neither_format_nor_encoding(option: str, value: str) -> None:
    """They would count for nothing; that is said before the Hub is asked."""
    with pytest.raises(UsageError, match=f"--{option} {value} is for texts, and hf:a/b is a data set"):
        open_rows(Source("hf:a/b", **{option: value}))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("hf:stanfordnlp/imdb", ("stanfordnlp/imdb", "train")),
        ("hf:a-b/c.d_e:test", ("a-b/c.d_e", "test")),
    ],
)
def test_names_on_the_hub_are_read(place: str, name: tuple[str, str]) -> None:
    """Owner, name, and the split if there is one."""
    assert parse_name(place) == name


@pytest.mark.parametrize("place", ["hf:", "hf:imdb", "hf:a/b/c", "hf:a/b:", "hf:a/b:c:d", "hf:../x y"])
def test_other_names_on_the_hub_are_refused(place: str) -> None:
    """A name without an owner, or with more than a split."""
    with pytest.raises(UsageError, match="no name of a data set"):
        open_rows(Source(place))


def test_being_offline_is_said(tmp_path: Path) -> None:
    """Without the Hub there is one error with a hint, and no traceback."""
    script = (
        "from dcai_cli.errors import BadInput; from dcai_cli.features.readers import *\n"
        "try: open_rows(Source('hf:owner/name'))\n"
        "except BadInput as error: print(error.message); print(error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    message, hint = done.stdout.splitlines()
    assert message.startswith("hf:owner/name cannot be read from the Hub: ")
    assert "connection" in hint
    assert done.stderr == ""


def test_what_the_hub_streams_becomes_rows() -> None:
    """A data set of `datasets`, streamed, gives the cells that its files would."""
    import datasets

    streamed = datasets.Dataset.from_list([{"text": "a", "label": 1}, {"text": None, "label": 0}])
    rows = list(hub_rows("hf:owner/name", streamed.to_iterable_dataset()))
    assert rows == [{"text": "a", "label": "1"}, {"text": "", "label": "0"}]


@pytest.mark.parametrize("form", ["csv", "csv.zst", "jsonl", "parquet", "arrow"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    """Twenty times the rows take no more memory: a part of a file is held at a time."""
    peaks = []
    for count in (2_000, 40_000):
        path = tmp_path / f"{count}.{form}"
        texts = [f"row {number} " + "word " * 20 for number in range(count)]
        if form in {"parquet", "arrow"}:
            table = pa.table({"text": texts})
            if form == "parquet":
                pq.write_table(table, path)
            else:
                with pa.ipc.new_file(path, table.schema) as writer:
                    writer.write_table(table, max_chunksize=1000)
        else:
            out = io.StringIO(newline="")
            csv.writer(out).writerows([["text"], *([text] for text in texts)])
            content = out.getvalue() if form != "jsonl" else "".join(f'{{"text": "{t}"}}\n' for t in texts)
            path.write_bytes(zst(content.encode()) if form == "csv.zst" else content.encode())
        del texts
        tracemalloc.start()
        with open_rows(path) as rows:
            assert sum(1 for _ in rows) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20


def test_rows_come_before_a_fault_further_down(tmp_path: Path) -> None:
    """A fault is raised when its row is reached: what comes before it is there."""
    path = write(tmp_path, "rows.csv", b"text,label\na,b\nc,d\ne\n")
    with open_rows(path) as rows:
        assert [row.number for row in islice(rows, 2)] == [1, 2]
        with pytest.raises(BadInput, match="row 3, line 4"):
            list(rows)


def test_a_cell_without_an_end_does_not_eat_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open quote, or a line that never ends, is refused at a limit."""
    monkeypatch.setattr("dcai_cli.features.readers.formats.MAX_LINE_CHARS", 100)
    for name, content in {
        "quote.csv": 'text\n"' + "a\n" * 99,
        "line.csv": "text\n" + "a" * 200,
        "line.txt": "a" * 200,
        "line.jsonl": '{"text": "' + "a" * 200 + '"}',
    }.items():
        with pytest.raises(BadInput, match="more than 100 characters"):
            read_rows(write(tmp_path, name, content.encode()))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.txt"])
@pytest.mark.parametrize(
    "after", [b"", "text,label\ncaf\u00e9,ham\n".encode()], ids=["emptied", "re-encoded"]
)
def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path: Path, name: str, after: bytes) -> None:
    """Its encoding and its columns were found in what it was before."""
    path = tmp_path / name
    row = '{"text": "caf\u00e9"}' if name.endswith("jsonl") else "text,label\ncaf\u00e9,ham"
    path.write_bytes(f"{row}\n".encode("cp1252"))
    with open_rows(Source(str(path))) as rows:
        path.write_bytes(after)
        with pytest.raises(BadInput, match="was changed while it was read"):
            list(rows)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_a_table_whose_columns_change_after_it_was_opened_is_refused(tmp_path: Path, name: str) -> None:
    """The rows of a folder's files would not fit together."""

    def write_table(column: str) -> None:
        table = pa.table({column: ["a"]})
        path = tmp_path / name
        if name.endswith("parquet"):
            pq.write_table(table, path)
        else:
            with pa.ipc.new_file(path, table.schema) as file:
                file.write(table)

    write_table("text")
    with open_rows(Source(str(tmp_path))) as rows:
        write_table("other")
        with pytest.raises(BadInput, match="was changed while it was read"):
            list(rows)
