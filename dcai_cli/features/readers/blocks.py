"""Large tables in blocks: thousands of rows at once, each column as its different cells and a code a row.

Cells of tables repeat, so whatever is done with them is done once for each different one. Blocks hold the
rows that reading row by row gives, or there are none: what is not simple is left to the strict readers, which
have the error messages.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.readers.arrow_cells import array_cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_BYTES = 2**23
"""Bytes of csv in a block; a longer line is left to the strict reader, whose limit is above it."""
BLOCK_ROWS = 2**15
"""Rows of a binary table in a block."""

_NOT_SIMPLE = (b'"', b"\r", b"\0")
"""What has a meaning in csv beside delimiters and line feeds, or none."""


class NotInBlocksError(Exception):
    """Rows from here on have to be read one by one."""


@dataclass(frozen=True, slots=True)
class CodedColumn:
    """The cells of one column.

    Args:
        codes: int32[rows], where each row's cell stands among the cells.
        cells: all different cells, perhaps others and some twice.
    """

    codes: NDArray[np.int32]
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that follow one another.

    Args:
        first: the number of the first row, from 1.
        size: how many rows.
        columns: the columns that were asked for, by name.
    """

    first: int
    size: int
    columns: Mapping[str, CodedColumn]

    def row(self, at: int) -> Row:
        """One row, counted from 0; it has no other columns than the block."""
        cells = {name: column.cells[column.codes[at]] for name, column in self.columns.items()}
        return Row(self.first + at, cells)

    def slice(self, start: int, end: int) -> Block:
        """The rows from start on and before end, counted from 0."""
        columns = {
            name: CodedColumn(column.codes[start:end], column.cells) for name, column in self.columns.items()
        }
        return Block(self.first + start, max(0, min(end, self.size) - start), columns)


def csv_blocks(
    open_bytes: Callable[[], io.BufferedReader],
    encoding: str,
    delimiter: str,
    columns: Sequence[str],
    names: Sequence[str],
) -> Iterator[Block]:
    """Read csv that is UTF-8, without quotes, carriage returns and NUL.

    Args:
        open_bytes: opens the text.
        encoding: what it is in.
        delimiter: a comma or a tab.
        columns: all names in the order of the header.
        names: the columns that are wanted.

    Raises:
        NotInBlocksError: after the blocks that could be read.
    """
    codec = codecs.lookup(encoding).name
    if codec not in {"utf-8", "utf-8-sig"}:
        raise NotInBlocksError
    wanted = {name: columns.index(name) for name in names}
    first = 1
    with _left_to_rows(), open_bytes() as file:
        chunks = _line_chunks(file, codecs.BOM_UTF8 if codec == "utf-8-sig" else b"")
        head, _, rest = next(chunks, b"").partition(b"\n")
        if head.decode().split(delimiter) != list(columns):
            raise NotInBlocksError
        for chunk in chain([rest], chunks):
            if chunk.strip(b"\n"):
                coded = _parse_csv(chunk, delimiter, len(columns), wanted)
                size = len(next(iter(coded.values())).codes)
                yield Block(first, size, coded)
                first += size


def _line_chunks(file: io.BufferedReader, mark: bytes) -> Iterator[bytes]:
    """Whole lines, some megabytes at once, from the first that is not blank."""
    is_start = True
    while chunk := file.read(BLOCK_BYTES):
        if not chunk.endswith(b"\n"):
            rest = file.readline(BLOCK_BYTES)
            if len(rest) == BLOCK_BYTES:
                raise NotInBlocksError
            chunk += rest
        if any(byte in chunk for byte in _NOT_SIMPLE):
            raise NotInBlocksError
        if is_start:
            chunk = chunk.removeprefix(mark).lstrip(b"\n")
        is_start = is_start and not chunk
        if chunk:
            yield chunk


def _parse_csv(chunk: bytes, delimiter: str, width: int, wanted: Mapping[str, int]) -> dict[str, CodedColumn]:
    import pyarrow as pa
    import pyarrow.csv as pc

    if chunk.startswith(codecs.BOM_UTF8):
        chunk = codecs.BOM_UTF8 + chunk  # here it is part of a cell, and pyarrow drops one
    # Columns go by their places: names may be anything.
    coded = pa.dictionary(pa.int32(), pa.string())
    places = [str(place) for place in wanted.values()]
    table = pc.read_csv(
        pa.BufferReader(chunk),
        read_options=pc.ReadOptions(
            use_threads=False, block_size=len(chunk) + 1, column_names=[str(place) for place in range(width)]
        ),
        parse_options=pc.ParseOptions(
            delimiter=delimiter, quote_char=False, double_quote=False, escape_char=False
        ),
        convert_options=pc.ConvertOptions(
            include_columns=places,
            column_types=dict.fromkeys(places, coded),
            null_values=[],
            strings_can_be_null=False,
            check_utf8=False,  # it was checked when the file was opened
        ),
    )
    return {name: _code(table.column(str(place)).combine_chunks()) for name, place in wanted.items()}


def arrow_blocks(
    batches: Callable[[], AbstractContextManager[tuple[list[str], Iterable[Any]]]],
    columns: Sequence[str],
    names: Sequence[str],
) -> Iterator[Block]:
    """Read the record batches of pyarrow.

    Args:
        batches: opens the table for its names and batches.
        columns: all names that it had.
        names: the columns that are wanted.

    Raises:
        NotInBlocksError: after the blocks that could be read.
    """
    first = 1
    with _left_to_rows(), batches() as (now, found):
        if list(now) != list(columns):
            raise NotInBlocksError
        for batch in found:
            # The others are coded for their faults: whoever reads row by row finds them, too.
            coded = {name: _code(batch.column(name)) for name in batch.schema.names}
            if batch.num_rows:
                yield Block(first, batch.num_rows, {name: coded[name] for name in names})
            first += batch.num_rows


def _code(column: Any) -> CodedColumn:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind):
        # By their bits: the two zeros are different cells.
        bits = column.view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width])
        coded = bits.dictionary_encode()
        cells = array_cells(coded.dictionary.view(kind))
    else:
        coded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
        cells = array_cells(coded.dictionary)
    codes = coded.indices.cast(pa.int32())
    if codes.null_count:
        codes = codes.fill_null(len(cells))
        cells.append("")
    return CodedColumn(codes.to_numpy(), cells)


@contextmanager
def _left_to_rows() -> Iterator[None]:
    """Whatever is wrong is left to the reader that can say it."""
    import pyarrow as pa

    try:
        yield
    except (BadInput, pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, TypeError) as error:
        raise NotInBlocksError from error
