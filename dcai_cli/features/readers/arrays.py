"""Arrays of numpy to rows: npy, and npz with an array for each column; read in stretches, never pickled."""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dcai_cli.errors import BadInput
from dcai_cli.features.dense import VECTOR_COLUMN
from dcai_cli.features.readers.cells import Table, Values, cell_text, check_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK_BYTES = 2**21
_MAX_HEADER_BYTES = 10_000
_MAX_PROBLEM = 200
"""Characters of what numpy says of a broken file: it quotes whole headers."""
_MAX_ROW_BYTES = 2**24
_SUFFIX = ".npy"

Opener = Callable[[], IO[bytes]]
"""Opens the same bytes anew, from the start."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What an array says of itself.

    Args:
        rows: how many there are.
        width: numbers in a row of an array of two dimensions; None if it has one.
        dtype: the type of its elements.
    """

    rows: int
    width: int | None
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * (1 if self.width is None else self.width)


def open_npy(open_bytes: Opener, name: str, vector_column: str = "") -> Table:
    """Open an npy file: a table of one column, which is called as it is wanted.

    Args:
        open_bytes: opens the file.
        name: what it is called in messages.
        vector_column: the name of the column, as vectors are wanted of it; if empty, its name is "vector".

    Raises:
        BadInput: it is no npy file, or not of texts or numbers in one or two dimensions.
    """
    column = vector_column or VECTOR_COLUMN
    with open_bytes() as file:
        _read_header(file, name)

    def read() -> Iterator[Values]:
        with open_bytes() as file:
            yield from ({column: value} for value in _values(file, name, as_vector=bool(vector_column)))

    return Table((column,), read)


def open_npz(path: Path, name: str, vector_column: str = "") -> Table:
    """Open an npz file: each array is a column.

    Args:
        path: the file.
        name: what it is called in messages.
        vector_column: the column that is wanted as numbers.

    Raises:
        BadInput: it is no npz file, or its arrays do not have as many rows as one another.
    """
    with _told(name, "npz"), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        columns = tuple(member.removesuffix(_SUFFIX) for member in members)
        check_columns(name, columns)
        rows: dict[str, int] = {}
        for member, column in zip(members, columns, strict=True):
            with archive.open(member) as file:
                rows[column] = _read_header(file, _array(name, column)).rows
    for column, count in rows.items():
        if count != rows[columns[0]]:
            raise BadInput(
                f"{name}: array {column!r} has {count:,} rows, and {columns[0]!r} {rows[columns[0]]:,}.",
                hint="All arrays of an npz file are columns of one table.",
            )

    def read() -> Iterator[Values]:
        with _told(name, "npz"), zipfile.ZipFile(path) as archive, ExitStack() as parts:
            values = [
                _values(
                    parts.enter_context(archive.open(member)),
                    _array(name, column),
                    as_vector=column == vector_column,
                )
                for member, column in zip(members, columns, strict=True)
            ]
            for cells in zip(*values, strict=True):
                yield dict(zip(columns, cells, strict=True))

    return Table(columns, read)


def side_by_side(left: Table, right: Table, names: tuple[str, str]) -> Table:
    """Two tables as one: a row is made of a row of each.

    Args:
        left: the columns that come first.
        right: those that come behind.
        names: what both are called in messages.

    Raises:
        BadInput: they share a column; while reading: one has more rows.
    """
    check_columns(" and ".join(names), [*left.columns, *right.columns])

    def read() -> Iterator[Values]:
        lefts, rights = left.read(), right.read()
        rows = 0
        for rows, mine in enumerate(lefts, start=1):
            other = next(rights, None)
            if other is None:
                raise _uneven(names[0], names[1], rows - 1)
            yield {**mine, **other}
        if next(rights, None) is not None:
            raise _uneven(names[1], names[0], rows)

    return Table((*left.columns, *right.columns), read)


def _uneven(longer: str, shorter: str, rows: int) -> BadInput:
    return BadInput(
        f"{longer} has more rows than {shorter}, which has {rows:,}.",
        hint="A row of one belongs to the row of the other in the same place.",
    )


def _array(name: str, column: str) -> str:
    return f"{name}, array {column!r}"


@contextmanager
def _told(name: str, kind: str) -> Iterator[None]:
    """Say of a broken file what zipfile and numpy say."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        ValueError,
        TypeError,  # numpy of headers that are no dict of strings
        IndexError,
        SyntaxError,
        tokenize.TokenError,
        SystemError,  # texts with numbers beyond Unicode
        OverflowError,
        RuntimeError,  # among them NotImplementedError: a compression that zipfile does not know
        MemoryError,
    ) as error:
        problem = " ".join(str(error).split()).rstrip(".")[:_MAX_PROBLEM] or type(error).__name__
        raise BadInput(
            f"{name} is not a whole {kind} file: {problem}.", hint="Make or download it again."
        ) from error


def _read_header(file: IO[bytes], name: str) -> _Header:
    """Read what stands before the numbers.

    Raises:
        BadInput: it is no npy file, or one that cannot be read row by row.
    """
    from numpy.lib import format as npy

    with _told(name, "npy"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of files from Python 2
        version = npy.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"its version is {version[0]}.{version[1]}")
        size = file.read(2 if version == (1, 0) else 4)
        if int.from_bytes(size, "little") > _MAX_HEADER_BYTES:  # numpy would read all of it
            raise ValueError(f"its header has {int.from_bytes(size, 'little'):,} bytes")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(io.BytesIO(size + file.read(int.from_bytes(size, "little"))))
    problem = _problem(shape, dtype)
    if problem:
        raise BadInput(
            f"{name} cannot be read: {problem}.",
            hint="Save an array of numbers with a row for each vector, or of texts, dtype=str.",
        )
    header = _Header(shape[0], shape[1] if len(shape) == 2 else None, dtype)
    if is_fortran and header.width is not None and header.width > 1 and header.rows > 1:
        raise BadInput(
            f"{name} holds columns one behind the other, and is read row by row.",
            hint="Save it with numpy.save(..., numpy.ascontiguousarray(array)).",
        )
    return header


def _problem(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Why an array is no column; empty if it is one."""
    if len(shape) not in {1, 2} or min(shape) < 0:
        return f"its shape is {shape}"
    kinds = "fiubU" if len(shape) == 1 else "fiu"
    if dtype.kind not in kinds or (dtype.kind != "U" and dtype.itemsize > 8):
        return f"it holds {'Python objects' if dtype.hasobject else dtype}"
    if not 0 < dtype.itemsize * math.prod(shape[1:]) <= _MAX_ROW_BYTES:
        return f"its rows have {dtype.itemsize * math.prod(shape[1:]):,} bytes"
    return ""


def _values(file: IO[bytes], name: str, *, as_vector: bool) -> Iterator[str | NDArray[np.float64]]:
    """The rows of an array: vectors where it has two dimensions and is wanted so, else cells."""
    header = _read_header(file, name)
    at_once = max(1, _CHUNK_BYTES // header.row_bytes)
    for first in range(0, header.rows, at_once):
        rows = _read_rows(file, name, header, min(at_once, header.rows - first))
        if as_vector and header.width is not None:
            yield from rows.astype("f8")
        else:
            with _told(name, "npy"):
                cells = [cell_text(value) for value in rows.tolist()]
                "".join(cells).encode()
            yield from cells
    with _told(name, "npy"):
        if file.read(1):
            raise ValueError("something follows its last row")


def _read_rows(file: IO[bytes], name: str, header: _Header, count: int) -> NDArray[Any]:
    import numpy as np

    wanted = count * header.row_bytes
    with _told(name, "npy"):
        data = bytearray()
        while len(data) < wanted:
            part = file.read(wanted - len(data))
            if not part:
                raise EOFError("it ends too early")
            data += part
        rows = np.frombuffer(data, dtype=header.dtype)
    return rows if header.width is None else rows.reshape(count, header.width)
