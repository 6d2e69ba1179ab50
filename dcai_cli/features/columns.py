"""Columns of tables: what a model publishes of each, and what is refused of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dcai_cli.errors import BadInput
from dcai_cli.features.checks import as_tuple, check_fields, check_string, check_unique, refuse
from dcai_cli.features.numbers import ASCII_SPACE, is_step, parse_bare_number

CATEGORICAL, NUMERIC, BOOLEAN, DATE = COLUMN_TYPES = ("categorical", "numeric", "boolean", "date")
"""Types of columns."""

DATE_PARTS = ("year", "quarter", "month", "day", "weekday", "hour", "minute")
"""What can be read off a date, one feature each."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tabular model.

    Args:
        name: the column's name in the header; without "=", so that feature names stay unambiguous.
        type: one of COLUMN_TYPES.
        bins: for numeric columns, the strictly increasing edges as they were written; or
        step: for numeric columns, the decimal to whose multiples numbers are rounded.
        parts: for dates, those of DATE_PARTS that make features.
        missing: what cells say that have no value, beside nothing; without white space around it.
    """

    name: str
    type: str
    bins: tuple[str, ...] = ()
    step: str = ""
    parts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def edges(self) -> tuple[float, ...]:
        """The bins as numbers."""
        return _edges(self.bins)


def is_blank(cell: str) -> bool:
    """Whether a cell is empty but for ASCII spaces."""
    return not cell.strip(ASCII_SPACE)


@lru_cache(maxsize=1024)
def _edges(bins: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(parse_bare_number(edge) for edge in bins)


def write_column(column: Column) -> dict[str, Any]:
    """A column as the fields of a spec: its name, its type, and what it has of the others."""
    fields: dict[str, Any] = {"name": column.name, "type": column.type}
    own = {"bins": column.bins, "step": column.step, "parts": column.parts, "missing": column.missing}
    for name, value in own.items():
        if value:
            fields[name] = list(value) if isinstance(value, tuple) else value
    return fields


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
    if {"bins", "step"} <= set(fields):
        refuse(f"{where} has bins and a step; a numeric column has one of them.")
    own = {
        NUMERIC: {"step"} if "step" in fields else {"bins"},
        DATE: {"parts"},
    }.get(str(fields.get("type")), set())
    check_fields(f"{where}.", fields, {"name", "type"} | own | ({"missing"} & set(fields)))
    lists = {
        name: as_tuple(f"{where}.{name}", fields[name])
        for name in ("bins", "parts", "missing")
        if name in fields
    }
    if lists.get("missing") == ():
        refuse(f"{where}.missing is empty.", "Leave it out: an empty cell is missing anyway.")
    return Column(fields["name"], fields["type"], step=fields.get("step", ""), **lists)


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
    if column.type not in COLUMN_TYPES:
        known = ", ".join(COLUMN_TYPES)
        refuse(f"column {column.name!r} has type {column.type!r}; this program knows {known}.")
    for name, value, owner in (
        ("bins", column.bins, NUMERIC),
        ("a step", column.step, NUMERIC),
        ("parts", column.parts, DATE),
    ):
        if value and column.type != owner:
            refuse(f"column {column.name!r} is {column.type} and has {name}.")
    if column.type == NUMERIC:
        _check_numeric(column)
    elif column.type == DATE:
        _check_parts(column)
    for text in column.missing:
        check_string(f"a missing value of column {column.name!r}", text)
        if text != text.strip(ASCII_SPACE):
            refuse(
                f"a missing value of column {column.name!r} is {text!r}.",
                "Leave out the white space around it: cells are compared without.",
            )
    check_unique(f"missing value of column {column.name!r}", column.missing)


def _check_numeric(column: Column) -> None:
    if column.step != "":
        if not isinstance(column.step, str) or not is_step(column.step):
            refuse(
                f"the step of column {column.name!r} is {column.step!r}; it must be a decimal above 0 with "
                'at most 15 digits before the point and behind it, such as "0.5".'
            )
        if column.bins:
            refuse(f"column {column.name!r} has bins and a step; a numeric column has one of them.")
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


def _check_parts(column: Column) -> None:
    if not column.parts:
        refuse(f"column {column.name!r} is a date and has no parts.", f"Add parts: {', '.join(DATE_PARTS)}.")
    for part in column.parts:
        if part not in DATE_PARTS:
            refuse(
                f"column {column.name!r} has the part {part!r}; this program knows {', '.join(DATE_PARTS)}."
            )
    check_unique(f"part of column {column.name!r}", column.parts)
