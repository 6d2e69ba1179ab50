"""Texts to rows: csv, tsv, jsonl, and plain text with one document a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

from dcai_cli.errors import BadInput
from dcai_cli.features.readers.cells import Cells, Table, check_columns, json_cells

MAX_LINE_CHARS = 2**24
"""Characters of a line or a cell at most: a quote that is never closed must not eat the memory."""

TEXT_COLUMN = "text"
LABEL_COLUMN = "label"
"""The columns of plain text."""

TextOpener = Callable[[str], io.TextIOWrapper]
"""Opens a text from the start; the argument says what ends a line, as `newline` of `open`."""

_BLANK = " \t\r\n\v\f"


class _NulError(Exception):
    """There is a NUL character in a line."""


class _LongLineError(Exception):
    """A line has more than MAX_LINE_CHARS characters."""


def open_csv(open_text: TextOpener, name: str, delimiter: str) -> Table:
    """Open a csv or tsv text by its header.

    Raises:
        BadInput: it has no header, or one with columns that cannot be told apart.
    """
    with open_text("") as text:
        header = next(_csv_records(text, name, delimiter), None)
    if header is None:
        raise BadInput(f"{name} is empty: it has no header.", hint="The first line names the columns.")
    _, cells = header
    check_columns(f"{name}, line 1", cells)
    columns = tuple(cells)
    return Table(columns, lambda: _read_csv(open_text, name, delimiter, columns))


def open_jsonl(open_text: TextOpener, name: str) -> Table:
    """Open JSON lines; all of them are read once to know the columns.

    Raises:
        BadInput: a line is not a JSON object.
    """
    columns: dict[str, None] = {}
    for cells in _json_lines(open_text, name):
        columns.update(dict.fromkeys(cells))
    blank = dict.fromkeys(columns, "")
    return Table(tuple(columns), lambda: ({**blank, **cells} for cells in _json_lines(open_text, name)))


def open_lines(open_text: TextOpener, name: str) -> Table:
    """Open plain text: each line that is not blank is a document, in the column `text`."""
    return Table((TEXT_COLUMN,), lambda: ({TEXT_COLUMN: line} for _, line in _lines(open_text, name)))


def read_document(text: io.TextIOWrapper, name: str) -> str:
    """Read a text that is one document.

    Raises:
        BadInput: there is a NUL character in it, or it is too long.
    """
    content = text.read(MAX_LINE_CHARS + 1)
    if "\0" in content:
        raise _nul_fault(name)
    if len(content) > MAX_LINE_CHARS:
        raise _long_fault(name, "Cut it into several.", what="document")
    return content


def _read_csv(open_text: TextOpener, name: str, delimiter: str, columns: tuple[str, ...]) -> Iterator[Cells]:
    with open_text("") as text:
        records = _csv_records(text, name, delimiter)
        _, header = next(records, (0, []))
        if header != list(columns):
            raise BadInput(f"{name} was changed while it was read.", hint="Try again.")
        width = len(header)
        for row, (line, cells) in enumerate(records, start=1):
            if len(cells) != width:
                raise BadInput(
                    f"{name}, row {row}, line {line}: expected {width} cells, got {len(cells)}.",
                    hint="A cell with a comma or a line break in it must stand in quotes.",
                )
            yield dict(zip(header, cells, strict=True))


def _csv_records(text: io.TextIOWrapper, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, each with the line that it starts in; blank lines are none."""
    csv.field_size_limit(MAX_LINE_CHARS)
    reader = csv.reader(_checked_lines(text), delimiter=delimiter, strict=True)
    number, line = 0, 1
    while True:
        try:
            cells = next(reader, None)
        except (csv.Error, _NulError, _LongLineError) as error:
            where = f"{name}, row {number}, line {line}" if number else f"{name}, line {line}"
            raise _csv_fault(where, error) from error
        if cells is None:
            return
        if cells:
            yield line, cells
            number += 1
        line = reader.line_num + 1


def _csv_fault(where: str, error: Exception) -> BadInput:
    if isinstance(error, _NulError):
        return _nul_fault(where)
    if isinstance(error, _LongLineError) or "field larger" in str(error):
        return _long_fault(where, "A quote may be opened here and never closed.")
    if "unexpected end of data" in str(error):
        problem = "a quote is opened here and never closed"
    else:
        problem = f"the csv is malformed ({error})"
    return BadInput(f"{where}: {problem}.", hint="Quotes inside a cell are doubled.")


def _nul_fault(where: str) -> BadInput:
    return BadInput(
        f"{where}: there is a NUL byte.",
        hint="The file may be damaged, or UTF-16 without a byte order mark: --encoding utf-16-le",
    )


def _long_fault(where: str, hint: str, what: str = "cell or line") -> BadInput:
    return BadInput(f"{where}: a {what} has more than {MAX_LINE_CHARS:,} characters.", hint=hint)


def _checked_lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE_CHARS + 2):
        if "\0" in line:
            raise _NulError
        if len(line) > MAX_LINE_CHARS:
            raise _LongLineError
        yield line


def _lines(open_text: TextOpener, name: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers; only a line feed ends a line, a return before it goes."""
    number = 0
    with open_text("\n") as text:
        try:
            for number, line in enumerate(_checked_lines(text), start=1):
                if line.strip(_BLANK):
                    yield number, line.removesuffix("\n").removesuffix("\r")
        except _NulError as error:
            raise _nul_fault(f"{name}, line {number + 1}") from error
        except _LongLineError as error:
            raise _long_fault(f"{name}, line {number + 1}", "Put each document into a line.") from error


def _json_lines(open_text: TextOpener, name: str) -> Iterator[Cells]:
    return (json_cells(f"{name}, line {number}", line) for number, line in _lines(open_text, name))
