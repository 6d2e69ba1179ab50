"""Reading npy and npz: columns, packed files, pairs in a folder, and what is refused."""

from __future__ import annotations

import gzip
import io
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.readers import Source, open_rows, read_rows

VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def npy(array: NDArray[Any], **options: Any) -> bytes:
    """An array as the bytes of an npy file."""
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def vectors_of(place: Path, column: str = "vector") -> list[list[float]]:
    """The vectors of data."""
    return [
        [] if row.vector is None else row.vector.tolist() for row in read_rows(place, vector_column=column)
    ]


def test_npy_is_one_column_of_vectors(tmp_path: Path) -> None:
    """Its column is called as the model wants it, packed or not; numbers keep their value."""
    path = write(tmp_path, "v.npy", npy(VECTORS))
    assert vectors_of(path) == vectors_of(path, "embedding") == VECTORS.tolist()
    with open_rows(path, vector_column="embedding") as rows:
        assert rows.columns == ("embedding",)
    assert vectors_of(write(tmp_path, "v.npy.gz", gzip.compress(npy(VECTORS)))) == VECTORS.tolist()
    assert [row.cells for row in read_rows(path, vector_column="v")] == [{}] * 4
    assert read_rows(path)[0].cells == {"vector": "[0.0,0.125,0.25]"}


def test_npz_has_a_column_for_each_array(tmp_path: Path) -> None:
    """Texts and numbers become cells as everywhere; an array of two dimensions that nobody wants is JSON."""
    arrays: dict[str, Any] = {
        "vector": VECTORS[:2],
        "label": np.array(["ä", "距离"]),
        "n": np.array([1, -2]),
        "x": np.array([1.5, 0.1], dtype=np.float32),
        "ok": np.array([True, False]),
        "other": np.array([[1, 2], [3, 4]], dtype=np.int8),
    }
    np.savez(tmp_path / "rows.npz", **arrays)
    rows = read_rows(tmp_path / "rows.npz", vector_column="vector")
    assert [row.cells for row in rows] == [
        {"label": "ä", "n": "1", "x": "1.5", "ok": "true", "other": "[1,2]"},
        {"label": "距离", "n": "-2", "x": "0.10000000149011612", "ok": "false", "other": "[3,4]"},
    ]
    assert vectors_of(tmp_path / "rows.npz") == VECTORS[:2].tolist()
    assert read_rows(tmp_path / "rows.npz")[0].cells["vector"] == "[0.0,0.125,0.25]"


def test_a_folder_pairs_vectors_with_a_table(tmp_path: Path) -> None:
    """One npy and one other file in a folder are one table, a row beside a row."""
    write(tmp_path, "pair/vectors.npy", npy(VECTORS))
    write(tmp_path, "pair/rows.tsv", b"id\tlabel\n" + b"".join(b"%d\ta\n" % at for at in range(4)))
    rows = read_rows(tmp_path / "pair", vector_column="v")
    assert [row.cells for row in rows] == [{"id": str(at), "label": "a"} for at in range(4)]
    assert vectors_of(tmp_path / "pair") == VECTORS.tolist()
    write(tmp_path, "parts/1.npy", npy(VECTORS[:3]))
    write(tmp_path, "parts/2.npy", npy(VECTORS[3:]))
    assert vectors_of(tmp_path / "parts") == VECTORS.tolist()


def test_an_encoding_is_that_of_the_table_beside(tmp_path: Path) -> None:
    """A named encoding reads the file beside the vectors; arrays alone have none."""
    path = write(tmp_path, "pair/vectors.npy", npy(VECTORS[:1]))
    write(tmp_path, "pair/rows.csv", "label\nф\n".encode("cp1251"))
    pair = Source(str(tmp_path / "pair"), encoding="cp1251")
    assert [row.cells for row in read_rows(pair, vector_column="v")] == [{"label": "ф"}]
    with pytest.raises(UsageError, match=r"is for texts, and .* is a file of npy"):
        read_rows(Source(str(path), encoding="cp1251"))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("label\na\nb\nc\n", r"vectors.npy has more rows than .*rows.csv, which has 3"),
        ("label\na\nb\nc\nd\ne\n", r"rows.csv has more rows than .*vectors.npy, which has 4"),
        ("vector\n1\n2\n3\n4\n", r"column 'vector' stands twice"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(tmp_path: Path, table: str, problem: str) -> None:
    """As many rows in one as in the other, and no column in both."""
    write(tmp_path, "pair/vectors.npy", npy(VECTORS))
    write(tmp_path, "pair/rows.csv", table.encode())
    with pytest.raises(BadInput, match=problem) as caught:
        read_rows(tmp_path / "pair", vector_column="vector")
    assert caught.value.hint


BROKEN: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("v.npy", lambda: b"", "is not a whole npy file"),
    "no magic": ("v.npy", lambda: b"PK\3\4" + npy(VECTORS), "is not a whole npy file"),
    "no header": ("v.npy", lambda: npy(VECTORS)[:20], "is not a whole npy file"),
    "a damaged header": ("v.npy", lambda: npy(VECTORS).replace(b"descr", b"desks"), "is not a whole npy"),
    "a header that is no dict": ("v.npy", lambda: npy(VECTORS).replace(b"}", b" "), "is not a whole npy"),
    "a header of numbers": ("v.npy", lambda: header("{1: 2, 3: 4, 5: 6}"), "is not a whole npy"),
    "no type": (
        "v.npy",
        lambda: header("{'descr': (), 'fortran_order': False, 'shape': (4, 3)}"),
        "not a whole",
    ),
    "a long header": ("v.npy", lambda: header(" " * 20_000), "its header has 20,001 bytes"),
    "no characters": (
        "v.npy",
        lambda: npy(np.array(["a"])).replace(b"a\0\0\0", b"\0\0\xff\xff"),
        "is not a whole npy file",
    ),
    "cut off": ("v.npy", lambda: npy(VECTORS)[:-1], "not a whole npy file: it ends too early"),
    "followed": (
        "v.npy",
        lambda: npy(VECTORS) + b"\0",
        "not a whole npy file: something follows its last row",
    ),
    "version 3": ("v.npy", lambda: b"\x93NUMPY\3\0" + npy(VECTORS)[8:], "its version is 3.0"),
    "pickled": ("v.npy", lambda: npy(np.array([{}, []], dtype=object)), "it holds Python objects"),
    "dates": ("v.npy", lambda: npy(np.array(["2026-01-01"], dtype="M8[D]")), "it holds datetime64"),
    "complex": ("v.npy", lambda: npy(VECTORS.astype(complex)), "it holds complex128"),
    "long doubles": ("v.npy", lambda: npy(VECTORS.astype("f2").astype("g")), "it holds float128"),
    "records": ("v.npy", lambda: npy(np.zeros(2, dtype=[("a", "i4")])), "it holds "),
    "tables of texts": ("v.npy", lambda: npy(np.array([["a"]])), "it holds <U1"),
    "no dimension": ("v.npy", lambda: npy(np.array(1.0)), r"its shape is \(\)"),
    "three dimensions": ("v.npy", lambda: npy(np.zeros((2, 2, 2))), r"its shape is \(2, 2, 2\)"),
    "no numbers": ("v.npy", lambda: npy(np.zeros((2, 0))), "its rows have 0 bytes"),
    "columns first": ("v.npy", lambda: npy(np.asfortranarray(VECTORS)), "columns one behind the other"),
    "no rows": ("v.npy", lambda: npy(VECTORS[:0]), "has no rows"),
    "half a pair": ("v.npz", lambda: npz(label=np.array(["\ud800"])), "is not a whole npy file"),
    "no zip": ("v.npz", lambda: npy(VECTORS), "is not a whole npz file"),
    "a damaged zip": ("v.npz", lambda: npz(vector=VECTORS)[:-9], "is not a whole npz file"),
    "a damaged array": (
        "v.npz",
        lambda: npz(vector=VECTORS).replace(VECTORS.tobytes(), (VECTORS + 1).tobytes()),
        "array 'vector' is not a whole npy file: Bad CRC-32",
    ),
    "other files": ("v.npz", lambda: zipped({"README": b"hello"}), "array 'README' is not a whole npy"),
    "uneven": (
        "v.npz",
        lambda: npz(vector=VECTORS, label=np.array(["a"])),
        "array 'label' has 1 rows, and 'vector' 4",
    ),
    "no arrays": ("v.npz", lambda: zipped({}), "has no rows"),
    "twice": ("v.npz", lambda: zipped({"a.npy": npy(VECTORS), "a": npy(VECTORS)}), "'a' stands twice"),
    "no name": ("v.npz", lambda: zipped({".npy": npy(VECTORS)}), "column 1 has no name"),
}


def header(text: str) -> bytes:
    """An npy file of version 2 with this for a header, and no numbers."""
    written = f"{text}\n".encode()
    return b"\x93NUMPY\2\0" + len(written).to_bytes(4, "little") + written


def npz(**arrays: NDArray[Any]) -> bytes:
    """Arrays as the bytes of an npz file."""
    return zipped({f"{name}.npy": npy(array) for name, array in arrays.items()})


def zipped(files: dict[str, bytes]) -> bytes:
    """Files as a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(("name", "make", "problem"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_array_of_rows_is_refused(
    tmp_path: Path, name: str, make: Callable[[], bytes], problem: str
) -> None:
    """Each is refused by name, with what is wrong and a hint, and nothing in it is unpickled."""
    path = write(tmp_path, name, make())
    with pytest.raises(BadInput, match=problem) as caught:
        read_rows(path, vector_column="vector")
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_one_column_saved_by_columns_is_read(tmp_path: Path) -> None:
    """A single row lies in the file the same way in either order."""
    assert vectors_of(write(tmp_path, "v.npy", npy(np.asfortranarray(VECTORS[:1])))) == VECTORS[:1].tolist()


def test_a_file_larger_than_memory_is_read(tmp_path: Path) -> None:
    """A process with less memory than the numbers take reads all of them."""
    path = tmp_path / "large.npy"
    rows, width = 2**16, 2048
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, width), dtype=np.float32))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header | {"shape": (rows, width)})
        file.truncate(file.tell() + rows * width * 4)  # 512 MB of zeros that take no room on the disk
    script = (
        "import sys; from pathlib import Path; from dcai_cli.features.readers import open_rows\n"
        "with open_rows(Path(sys.argv[1]), vector_column='v') as rows:\n"
        "    print(sum(len(row.vector) for row in rows))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (2**28, 2**28)),
    )
    assert (done.returncode, done.stdout) == (0, f"{rows * width}\n"), done.stderr


def test_standard_input_takes_no_arrays() -> None:
    """What is read here and there cannot come through a pipe that says no length."""
    with pytest.raises(Exception, match="standard input"):
        open_rows(Source("-", format="npy"))
