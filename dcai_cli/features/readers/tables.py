"""Binary tables to rows: parquet and arrow (IPC file and stream), batch by batch through pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from dcai_cli.errors import BadInput
from dcai_cli.features.readers.arrow_cells import batch_cells
from dcai_cli.features.readers.blocks import BLOCK_ROWS, arrow_blocks
from dcai_cli.features.readers.cells import Cells, Table, Values, check_columns
from dcai_cli.features.readers.vectors import column_vectors

_BATCH_ROWS = 1024
_BUFFER_BYTES = 2**20
_ARROW_MAGIC = b"ARROW1"

_Batches = Callable[[int], AbstractContextManager[tuple[list[str], Iterable[Any]]]]
"""Opens a table for its names and its batches, of so many rows at most."""


def open_parquet(path: Path, name: str, vector_column: str = "") -> Table:
    """Open a parquet file by its schema.

    Args:
        path: the file.
        name: what it is called in messages.
        vector_column: the column that is wanted as numbers, if its cells are lists of them.

    Raises:
        BadInput: it is no parquet file, or has columns that cannot be told apart.
    """
    size_bytes = path.stat().st_size
    return _open(lambda rows: _parquet_batches(path, rows), name, "parquet", size_bytes, vector_column)


def open_arrow(path: Path, name: str, vector_column: str = "") -> Table:
    """Open an arrow file, or a file that holds an arrow stream, by its schema.

    Args:
        path: the file.
        name: what it is called in messages.
        vector_column: the column that is wanted as numbers, if its cells are lists of them.

    Raises:
        BadInput: it is neither, or has columns that cannot be told apart.
    """
    size_bytes = path.stat().st_size
    return _open(lambda rows: _arrow_batches(path, rows), name, "arrow", size_bytes, vector_column)


def _batch_values(batch: Any, name: str, first: int, vector_column: str) -> Iterator[Values]:  # noqa: ANN401 - pyarrow has no types
    """The rows of a record batch of pyarrow from a number on, one column as vectors if it can be that."""
    place = batch.schema.get_field_index(vector_column)
    vectors = None if place < 0 else column_vectors(batch.column(place))
    if vectors is None:
        yield from batch_cells(batch, name, first)
        return
    rest = batch.select([name for name in batch.schema.names if name != vector_column])
    cells: Iterable[Cells] = batch_cells(rest, name, first) if rest.num_columns else ({} for _ in vectors)
    for others, vector in zip(cells, vectors, strict=True):
        yield {**others, vector_column: vector}


def _open(batches: _Batches, name: str, kind: str, size_bytes: int, vector_column: str) -> Table:
    with _told(name, kind), batches(_BATCH_ROWS) as (names, _):
        columns = tuple(names)
    check_columns(name, columns)

    def read() -> Iterator[Values]:
        with _told(name, kind), batches(_BATCH_ROWS) as (now, found):
            if tuple(now) != columns:
                raise BadInput(f"{name} was changed while it was read.", hint="Try again.")
            first = 1
            for batch in found:
                yield from _batch_values(batch, name, first, vector_column)
                first += batch.num_rows

    return Table(
        columns, read, lambda names: arrow_blocks(lambda: batches(BLOCK_ROWS), columns, names), size_bytes
    )


@contextmanager
def _told(name: str, kind: str) -> Iterator[None]:
    """Say of a broken file what pyarrow says; it raises errors of many kinds for them."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        problem = " ".join(str(error).split()).rstrip(".")
        raise BadInput(
            f"{name} is not a whole {kind} file: {problem}.", hint="Make or download it again."
        ) from error


@contextmanager
def _parquet_batches(path: Path, rows: int) -> Iterator[tuple[list[str], Iterable[Any]]]:
    import pyarrow.parquet as pq

    # Without the buffer a row group would be read as a whole.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
        yield file.schema_arrow.names, file.iter_batches(rows)


@contextmanager
def _arrow_batches(path: Path, rows: int) -> Iterator[tuple[list[str], Iterable[Any]]]:
    import pyarrow as pa

    with path.open("rb") as file:
        is_file = file.read(len(_ARROW_MAGIC)) == _ARROW_MAGIC
    with pa.OSFile(str(path)) as file:
        if is_file:
            with pa.ipc.open_file(file) as reader:
                count = reader.num_record_batches
                yield reader.schema.names, _slices((reader.get_batch(at) for at in range(count)), rows)
        else:
            with pa.ipc.open_stream(file) as reader:
                yield reader.schema.names, _slices(reader, rows)


def _slices(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """Cut batches that are large: their rows as Python values take much more than the batch does.

    Arrow is read as it lies in the file: where offsets in it are damaged, pyarrow would read past its end.
    """
    for batch in batches:
        batch.validate(full=True)
        for first in range(0, batch.num_rows, rows):
            yield batch.slice(first, rows)
