"""Features of a table: what each cell is called, by the type of its column (docs/feature-spec.md)."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right

from dcai_cli.errors import BadInput, shown
from dcai_cli.features.columns import BOOLEAN, CATEGORICAL, NUMERIC, Column
from dcai_cli.features.numbers import ASCII_SPACE, parse_number, round_number

_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([01][0-9]|2[0-3]):([0-5][0-9])(?::(?:[0-5][0-9]|60)(?:[.,][0-9]+)?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?[0-5][0-9])?)?)?)?"
)


def is_missing(column: Column, cell: str) -> bool:
    """Whether a cell has no value: nothing but white space, or what the column calls missing.

    >>> [is_missing(Column("age", "categorical", missing=("?",)), cell) for cell in (" ", " ?", "7")]
    [True, True, False]
    """
    bare = cell.strip(ASCII_SPACE)
    return not bare or bare in column.missing


def cell_features(column: Column, cell: str) -> list[str]:
    """Name the features of one cell; of a cell without a value there is one, `column=`.

    Args:
        column: the cell's column.
        cell: the cell.

    Raises:
        BadInput: the column does not take such a cell; the message is the reason.

    >>> cell_features(Column("fare", "numeric", step="0.5"), " 7.25 ")
    ['fare=7']
    >>> cell_features(Column("at", "date", parts=("weekday", "hour")), "2024-02-29 23:05:00+01:00")
    ['at=weekday:4', 'at=hour:23']
    """
    try:
        cell.encode()
    except UnicodeEncodeError as error:  # no UTF-8 can say it, so nobody could hash it the same way
        raise BadInput(
            f"column {column.name!r} is not valid Unicode: half of a surrogate pair at character "
            f"{error.start + 1}"
        ) from error
    if is_missing(column, cell):
        # White space is a category as any other, but for columns that do not look at it.
        blank = cell if column.type == CATEGORICAL and cell.strip(ASCII_SPACE) == "" else ""
        return [f"{column.name}={blank}"]
    try:
        return [f"{column.name}={value}" for value in _values(column, cell)]
    except ValueError as error:
        raise BadInput(f"column {column.name!r}: {error}") from error


def _values(column: Column, cell: str) -> list[str]:
    """What the features of a cell that has a value say of it.

    Raises:
        ValueError: it is not of the column's type.
    """
    if column.type == CATEGORICAL:
        return [cell]
    if column.type == NUMERIC:
        if column.step:
            return [round_number(cell, column.step)]
        return [str(bisect_right(column.edges, parse_number(cell)))]
    if column.type == BOOLEAN:
        return ["true" if _parse_boolean(cell) else "false"]
    found = _parse_date(cell)
    return [f"{part}:{found[part]}" for part in column.parts]


def _parse_boolean(text: str) -> bool:
    bare = text.strip(ASCII_SPACE)
    # Only ASCII has cases here: other letters turn into these when they are lower-cased.
    word = bare.lower() if bare.isascii() else bare
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{shown(text)} is not a boolean, such as true or false, yes or no, 1 or 0")
    return word in _TRUE


def _parse_date(text: str) -> dict[str, str]:
    """The parts of a date as it stands, whatever its offset from UTC; without a time they are blank."""
    match = _DATE.fullmatch(text.strip(ASCII_SPACE))
    if match is None:
        raise ValueError(f"{shown(text)} is not a date, such as 2024-02-29 or 2024-02-29T23:05:00Z")
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    try:
        weekday = dt.date(year, month, day).isoweekday()
    except ValueError:
        raise ValueError(f"{shown(text)} is not a day of the calendar") from None
    return {
        "year": str(year),
        "quarter": str((month + 2) // 3),
        "month": str(month),
        "day": str(day),
        "weekday": str(weekday),
        "hour": str(int(match[4])) if match[4] else "",
        "minute": str(int(match[5])) if match[5] else "",
    }
