"""Data sets on the Hugging Face Hub, streamed through `datasets`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.readers.arrow_cells import batch_cells
from dcai_cli.features.readers.cells import Cells, Table, check_columns

PREFIX = "hf:"
_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?::(\w[\w.-]*))?", re.ASCII)
_BATCH_ROWS = 1024


def parse_name(place: str) -> tuple[str, str]:
    """Owner/name and split of a data set on the Hub.

    Raises:
        UsageError: it is not written so.

    >>> parse_name("hf:stanfordnlp/imdb:test"), parse_name("hf:owner/name")
    (('stanfordnlp/imdb', 'test'), ('owner/name', 'train'))
    """
    match = _NAME.fullmatch(place)
    if match is None:
        raise UsageError(
            f"{place} is no name of a data set on the Hub.",
            hint="Write hf:owner/name or hf:owner/name:split.",
        )
    return match[1], match[2] or "train"


def open_hub(place: str) -> Table:
    """Open a data set of the Hub.

    Args:
        place: hf:owner/name[:split]; the split is train if it is left out.

    Raises:
        UsageError: the name is not written so.
        BadInput: the Hub cannot be reached, has no such data set or split, or it cannot be read.
    """
    name, split = parse_name(place)
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        found = datasets.load_dataset(name, split=split, streaming=True)
        names = found.column_names or list(next(iter(found)))
    except Exception as error:  # the library raises whatever its many parts raise
        raise _fault(place, error) from error
    check_columns(place, names)
    return Table(tuple(names), lambda: hub_rows(place, found))


def hub_rows(place: str, found: Any) -> Iterator[Cells]:  # noqa: ANN401 - `datasets` has no types
    """The rows of a data set that is streamed.

    Raises:
        BadInput: the connection broke off, the data cannot be read, or a value has no cell.
    """
    tables = iter(found.with_format("arrow").iter(batch_size=_BATCH_ROWS))
    first = 1
    while True:
        try:
            table = next(tables, None)
            batches = [] if table is None else table.to_batches()
        except Exception as error:
            raise _fault(place, error) from error
        if table is None:
            return
        for batch in batches:
            yield from batch_cells(batch, place, first)
            first += batch.num_rows


def _fault(place: str, error: Exception) -> BadInput:
    problem = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return BadInput(
        f"{place} cannot be read from the Hub: {problem}.",
        hint="Check the name and the connection, or download the data and name the file.",
    )
