"""What a user names as data, opened: a file, a folder, standard input, a data set of the Hub."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.readers.arrays import open_npy, open_npz, side_by_side
from dcai_cli.features.readers.blocks import Block, NotInBlocksError, csv_blocks
from dcai_cli.features.readers.cells import Cells, Table, Values
from dcai_cli.features.readers.compression import CHUNK_BYTES, SUFFIXES, open_unpacked
from dcai_cli.features.readers.encodings import check_encoding, find_encoding, verify_encoding
from dcai_cli.features.readers.formats import (
    LABEL_COLUMN,
    TEXT_COLUMN,
    open_csv,
    open_jsonl,
    open_lines,
    read_document,
)
from dcai_cli.features.readers.hub import PREFIX, open_hub
from dcai_cli.features.readers.tables import open_arrow, open_parquet

_TEXTS = ("csv", "tsv", "jsonl", "txt")
_TABLES = {"parquet": open_parquet, "arrow": open_arrow, "npz": open_npz}
_NPY = "npy"
FORMATS = (*_TEXTS, *_TABLES, _NPY)
"""Formats of files, by the endings of their names."""

LARGE_BYTES = 2**20
"""From how many bytes of a table on blocks are worth importing numpy and pyarrow: half a second otherwise."""
PACKED_TIMES = 4
"""How many times as large a packed text is about, when it is unpacked."""

STDIN = "-"
_HINT_FORMATS = f"Use {', '.join(FORMATS)}, each also with .gz, .bz2, .xz or .zst."

Note = Callable[[str], None]
"""Gets a line for people."""


@dataclass(frozen=True, slots=True)
class Source:
    """Data as a user names it.

    Args:
        place: a file, a folder, "-" for standard input, or hf:owner/name[:split].
        format: one of FORMATS, over the ending of the name.
        encoding: of a text, over what its bytes say.
    """

    place: str
    format: str | None = None
    encoding: str | None = None

    def __str__(self) -> str:
        return "standard input" if self.place == STDIN else self.place


class RowSource:
    """Rows of opened data, as often as they are wanted; use it as a context manager.

    Args:
        name: what the data is called in messages.
        table: columns and cells.
        parts: what is to be closed.
        skip: rows left out at the start.
        limit: rows read at most, those left out not among them.
        vector_column: the column that was asked for as vectors, if any.
    """

    def __init__(
        self,
        name: str,
        table: Table,
        parts: ExitStack,
        skip: int = 0,
        limit: int | None = None,
        *,
        vector_column: str = "",
    ) -> None:
        self.name = name
        self._vector_column = vector_column
        self.columns = table.columns
        self._table = table
        self._parts = parts
        self._skip = skip
        self._end = None if limit is None else skip + limit

    def part(self, *, skip: int = 0, limit: int | None = None) -> RowSource:
        """The same data without its first rows, or with so many at most; not to be opened or closed."""
        return RowSource(self.name, self._table, ExitStack(), skip, limit, vector_column=self._vector_column)

    def __iter__(self) -> Iterator[Row]:
        """The rows from the first on, numbered from 1.

        Raises:
            BadInput: a row cannot be read, or there is none.
        """
        return self.rows_from(1)

    def rows_from(self, first: int) -> Iterator[Row]:
        """The rows from that of a number on, as `__iter__` gives them."""
        number = 0
        with _told(self.name):
            for number, values in enumerate(islice(self._table.read(), self._end), start=1):
                if number >= first and number > self._skip:
                    yield _row(number, values, self._vector_column)
        if not number and self._end != 0:
            raise BadInput(f"{self.name} has no rows.", hint="Put at least one row of data into it.")

    @property
    def is_large_table(self) -> bool:
        """Whether it pays to read it in blocks."""
        return self._table.blocks is not None and self._table.size_bytes >= LARGE_BYTES

    def blocks(self, names: Sequence[str]) -> Iterator[Block]:
        """The rows in blocks of some columns.

        Raises:
            NotInBlocksError: at once or after some blocks: the rows behind have to be read by `rows_from`.
        """
        if self._table.blocks is None:
            raise NotInBlocksError
        for block in self._table.blocks(names):
            start = max(0, self._skip - block.first + 1)
            end = block.size if self._end is None else min(block.size, self._end - block.first + 1)
            if start < end:
                yield block if (start, end) == (0, block.size) else block.slice(start, end)
            if self._end is not None and block.first + block.size > self._end:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()


def _row(number: int, values: Values, vector_column: str) -> Row:
    """A row, its vector beside its cells."""
    vector = values.get(vector_column)
    if vector is None or isinstance(vector, str):
        return Row(number, cast("Cells", values))
    cells = {name: value for name, value in values.items() if isinstance(value, str)}
    return Row(number, cells, vector)


def open_rows(source: Source | Path, *, note: Note = lambda _: None, vector_column: str = "") -> RowSource:
    """Open data for its rows; one part of it is in memory at a time.

    Args:
        source: where the rows are.
        note: is told of an encoding other than UTF-8.
        vector_column: the column whose cells are wanted as numbers where the file has lists of them; what the
            only column of npy is called.

    Returns:
        At least one row; all have the same columns in the same order. Blank lines do not count as rows.

    Raises:
        UsageError: the source cannot be meant so.
        BadInput: it cannot be read as what its name says; the message names row and line, if any. A fault
            further down is raised when its row is reached.
    """
    source = check_source(source)
    with ExitStack() as parts:
        with _told(str(source)):
            table = _open(source, _Opening(source, note, parts, vector_column))
        for _ in RowSource(str(source), table, parts):  # at least one, or its fault before anything is done
            break
        return RowSource(str(source), table, parts.pop_all(), vector_column=vector_column)


def check_source(source: Source | Path) -> Source:
    """Refuse what is no source, before anything else is asked about it; what is in it is not looked at.

    Raises:
        UsageError: there is no such format or encoding.
        BadInput: there is no such file.
    """
    if isinstance(source, Path):
        source = Source(source.as_posix())
    if source.encoding is not None:
        check_encoding(source.encoding)
    if source.format is not None and source.format not in FORMATS:
        raise UsageError(f"There is no format {source.format!r}.", hint=f"Choose {', '.join(FORMATS)}.")
    if not source.place.startswith(PREFIX) and source.place != STDIN and not Path(source.place).exists():
        raise BadInput(f"There is no file {source.place}.", hint="Check the name and the folder.")
    return source


def read_rows(source: Source | Path, *, note: Note = lambda _: None, vector_column: str = "") -> list[Row]:
    """Read all rows into memory, as `open_rows` gives them.

    Raises:
        UsageError: the source cannot be meant so.
        BadInput: it cannot be read as what its name says; the message names row and line, if any.
    """
    with open_rows(source, note=note, vector_column=vector_column) as rows:
        return list(rows)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say of a file what the operating system refused."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"{name} cannot be read: {error.strerror or error}.", hint="Check the file and its permissions."
        ) from error
    except UnicodeError as error:  # its encoding was checked before
        raise BadInput(f"{name} was changed while it was read.", hint="Try again.") from error


def _open(source: Source, opening: _Opening) -> Table:
    if source.place.startswith(PREFIX):
        _refuse_options(source, "a data set of the Hub", format=source.format, encoding=source.encoding)
        return open_hub(source.place)
    if source.place == STDIN:
        if source.format not in _TEXTS:
            raise UsageError(
                "What comes from standard input has no name that says its format.",
                hint=f"Add --format with {', '.join(_TEXTS[:-1])} or {_TEXTS[-1]}.",
            )
        if sys.stdin is None:
            raise UsageError("Standard input is closed.", hint="Pipe the rows into it, or name a file.")
        return opening.table(opening.spool(sys.stdin.buffer), "", source.format, str(source))
    path = Path(source.place)
    if path.is_dir():
        return opening.folder(path)
    return opening.file(path)


def _refuse_options(source: Source, what: str, **named: str | None) -> None:
    """Refuse what is said about a text of a source that is none: it would count for nothing."""
    for option, value in named.items():
        if value is not None:
            raise UsageError(
                f"--{option} {value} is for texts, and {source} is {what}, which says it itself.",
                hint=f"Leave out --{option}.",
            )


class _Opening:
    """Opens one source: how its parts are read, and what is to be told and closed.

    Args:
        source: the source.
        note: is told of encodings.
        parts: gets what is to be closed.
        vector_column: the column that is wanted as vectors, if any.
    """

    def __init__(self, source: Source, note: Note, parts: ExitStack, vector_column: str) -> None:
        self._source = source
        self._vector_column = vector_column
        self._note = note
        self._parts = parts
        self._noted: set[str] = set()

    def file(self, path: Path) -> Table:
        """A file; what is no regular file, such as a named pipe, can be read once only and is kept."""
        packed, form = self._suffixes(path)
        if path.is_file():
            return self.table(path, packed, form, str(path))
        with path.open("rb") as pipe:
            return self.table(self.spool(pipe), packed, form, str(path))

    def table(self, path: Path, packed: str, form: str, name: str) -> Table:
        """A regular file of a known format."""
        if form == _NPY or form in _TABLES:
            _refuse_options(self._source, f"a file of {form}", encoding=self._source.encoding)
        if form == _NPY:
            return self._vectors(path, packed, name)
        if form in _TABLES:
            if packed:  # these are read here and there, so they are unpacked as a whole
                with open_unpacked(path, packed, name) as file:
                    path = self.spool(file)
            return _TABLES[form](path, name, self._vector_column)
        before = _state(path)
        encoding = self._encoding(path, packed, name)

        def open_bytes() -> io.BufferedReader:
            if _state(path) != before:  # it might be in another encoding now
                raise BadInput(f"{name} was changed while it was read.", hint="Try again.")
            return open_unpacked(path, packed, name)

        def open_text(newline: str) -> io.TextIOWrapper:
            return io.TextIOWrapper(open_bytes(), encoding, newline=newline)

        if form == "jsonl":
            return open_jsonl(open_text, name)
        if form == "txt":
            return open_lines(open_text, name)
        delimiter = {"csv": ",", "tsv": "\t"}[form]
        table = open_csv(open_text, name, delimiter)
        return replace(
            table,
            blocks=lambda names: csv_blocks(open_bytes, encoding, delimiter, table.columns, names),
            size_bytes=path.stat().st_size * (PACKED_TIMES if packed else 1),
        )

    def _vectors(self, path: Path, packed: str, name: str) -> Table:
        return open_npy(lambda: open_unpacked(path, packed, name), name, self._vector_column)

    def spool(self, stream: BinaryIO | io.BufferedReader) -> Path:
        """Keep a stream in a temporary file until the source is closed."""
        folder = self._parts.enter_context(tempfile.TemporaryDirectory(prefix="dcai-"))
        path = Path(folder) / "rows"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, CHUNK_BYTES)
        return path

    def folder(self, path: Path) -> Table:
        """A folder: files of one format, or a folder of texts for each label; hidden ones do not count."""
        entries = _entries(path)
        if not entries:
            raise BadInput(f"{path} is an empty folder.", hint="Put files into it.")
        folders = [entry for entry in entries if entry.is_dir()]
        if folders and len(folders) < len(entries):
            raise BadInput(
                f"{path} holds files and folders.", hint="Keep files, or one folder for each label, in it."
            )
        return self._labelled(folders) if folders else self._same_files(path, entries)

    def _same_files(self, path: Path, files: Sequence[Path]) -> Table:
        forms = {self._suffixes(file)[1]: file for file in files}
        if len(files) == len(forms) == 2 and _NPY in forms:
            vectors = forms.pop(_NPY)
            (others,) = forms.values()
            # An encoding that was named is that of the other file.
            right = self._vectors(vectors, self._suffixes(vectors)[0], str(vectors))
            return side_by_side(self.file(others), right, (str(others), str(vectors)))
        if len(forms) > 1:
            names = " and ".join(sorted(str(file.name) for file in forms.values())[:2])
            raise BadInput(f"{path} holds files of several formats: {names}.", hint="Keep one format in it.")
        tables = [self.file(file) for file in files]
        known = [table for table in tables if table.columns]
        for file, table in zip(files, tables, strict=True):
            if table.columns and set(table.columns) != set(known[0].columns):
                raise BadInput(
                    f"{file} has other columns than {files[0]}: {', '.join(table.columns)}.",
                    hint="All files of a folder have the same columns.",
                )
        columns = known[0].columns if known else ()

        def read() -> Iterator[Values]:
            for cells in chain.from_iterable(table.read() for table in tables):
                yield {name: cells[name] for name in columns}

        return Table(columns, read)

    def _labelled(self, folders: Sequence[Path]) -> Table:
        """A folder for each label: every file in it is one document, as the field's review sets have them."""
        files = [(folder.name, file) for folder in folders for file in _entries(folder)]
        for _, file in files:
            if file.is_dir() or self._suffixes(file)[1] != "txt":
                raise BadInput(
                    f"{file} is not a text file.",
                    hint="A folder for a label holds .txt files and nothing else.",
                )

        def read() -> Iterator[Cells]:
            for label, file in files:
                yield {TEXT_COLUMN: self._document(file), LABEL_COLUMN: label}

        return Table((TEXT_COLUMN, LABEL_COLUMN), read)

    def _document(self, path: Path) -> str:
        packed, _ = self._suffixes(path)
        encoding = self._encoding(path, packed, str(path))
        with io.TextIOWrapper(open_unpacked(path, packed, str(path)), encoding, newline="") as text:
            return read_document(text, str(path))

    def _encoding(self, path: Path, packed: str, name: str) -> str:
        def open_bytes() -> io.BufferedReader:
            return open_unpacked(path, packed, name)

        if self._source.encoding is not None:
            return verify_encoding(open_bytes, name, self._source.encoding)
        encoding = find_encoding(open_bytes, name)
        if not encoding.startswith("utf-8") and encoding not in self._noted:
            self._noted.add(encoding)  # a folder may hold thousands of such files
            self._note(f"{name} is not UTF-8; it is read as {encoding} (another one: --encoding NAME)")
        return encoding

    def _suffixes(self, path: Path) -> tuple[str, str]:
        """The compression and the format of a file, by its name."""
        name = path.name.lower()
        packed = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
        form = self._source.format or name.removesuffix(packed).rpartition(".")[2]
        if form not in FORMATS or (self._source.format is None and "." not in name.removesuffix(packed)):
            raise BadInput(f"{path} is of a kind that cannot be read.", hint=_HINT_FORMATS)
        return packed, form


def _state(path: Path) -> tuple[int, int, int]:
    """What tells whether a file is the one that it was."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _entries(folder: Path) -> list[Path]:
    return sorted(
        (entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name
    )
