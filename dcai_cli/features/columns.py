"""Columns of tables, and their cells: what a column may be, and how a cell becomes a number."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dcai_cli.errors import BadInput
from dcai_cli.features.checks import as_tuple, check_fields, check_string, check_unique, refuse

_COLUMN_TYPES = ("categorical", "numeric")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ASCII_SPACE = " \t\n\v\f\r"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tabular model.

    Args:
        name: the column's name in the header; without "=", so that feature names stay unambiguous.
        type: "categorical" or "numeric".
        bins: for numeric columns, the strictly increasing edges as they were written.
    """

    name: str
    type: str
    bins: tuple[str, ...] = ()

    @property
    def edges(self) -> tuple[float, ...]:
        """The bins as numbers."""
        return _edges(self.bins)


def is_blank(cell: str) -> bool:
    """Whether a cell is empty but for ASCII spaces."""
    return not cell.strip(_ASCII_SPACE)


def parse_number(text: str) -> float:
    """Read a decimal number the same way on every machine.

    ASCII spaces around it are dropped, and what is left must match
    `[+-]?(digits[.[digits]]|.digits)([eE][+-]?digits)?`. It is rounded to the nearest IEEE 754
    double. Names ("nan"), hexadecimal, underscores and other digits are refused.

    Raises:
        ValueError: the text is not a finite number.

    >>> parse_number(" 7.25 ")
    7.25
    """
    stripped = text.strip(_ASCII_SPACE)
    if _NUMBER.fullmatch(stripped) is None:
        raise ValueError(f"{text!r} is not a number")
    number = float(stripped)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is out of range")
    return number


@lru_cache(maxsize=1024)
def _edges(bins: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(parse_number(edge) for edge in bins)


def write_column(column: Column) -> dict[str, Any]:
    """A column as the fields of a spec."""
    fields: dict[str, Any] = {"name": column.name, "type": column.type}
    return fields | {"bins": list(column.bins)} if column.type == "numeric" else fields


def read_column(where: str, fields: object) -> Column:
    """Read a column.

    Args:
        where: what messages call it.
        fields: an object of a spec, or of a schema.

    Raises:
        BadInput: it is no object, or has other fields than a column.
    """
    if not isinstance(fields, dict):
        refuse(f"{where} is {fields!r}; it must be an object.")
    known = {"name", "type", "bins"} if fields.get("type") == "numeric" else {"name", "type"}
    check_fields(f"{where}.", fields, known)
    return Column(fields["name"], fields["type"], as_tuple(f"{where}.bins", fields.get("bins", ())))


def check_columns(columns: Sequence[Column], label_column: str) -> None:
    """Refuse columns that no model can have.

    Raises:
        BadInput: there are none, one is not as it must be, or two clash.
    """
    if not columns:
        refuse("there are no columns.", "Add a [[columns]] table for each column.")
    for column in columns:
        _check_column(column)
    check_unique("column", [column.name for column in columns])
    if label_column in {column.name for column in columns}:
        refuse(f"label_column {label_column!r} is also a column: the model would read the answer.")


def _check_column(column: Column) -> None:
    check_string("a column's name", column.name)
    if "=" in column.name:
        refuse(f"column {column.name!r} has '=' in its name: feature names would be ambiguous.", "Rename it.")
    if column.type not in _COLUMN_TYPES:
        refuse(f"column {column.name!r} has type {column.type!r}; it must be categorical or numeric.")
    if column.type == "categorical":
        if column.bins:
            refuse(f"column {column.name!r} is categorical and has bins.")
        return
    if not column.bins:
        refuse(f"column {column.name!r} is numeric and has no bins.", "Add bins, the edges in rising order.")
    for edge in column.bins:
        check_string(f"a bin of column {column.name!r}", edge)
    try:
        edges = column.edges
    except ValueError as error:
        raise BadInput(f"Feature spec: a bin of column {column.name!r}: {error}.") from error
    for (low, high), (left, right) in zip(
        itertools.pairwise(edges), itertools.pairwise(column.bins), strict=True
    ):
        if low >= high:
            refuse(f"the bins of column {column.name!r} do not rise: {left} is followed by {right}.")
