"""Bins learned from data: the edges that part a numeric column's numbers into equal shares.

A publisher learns them once; what is published are the edges, so nobody else needs the data.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.numbers import ASCII_SPACE, parse_number, write_number
from dcai_cli.features.table import is_missing

MIN_QUANTILES, MAX_QUANTILES = 2, 256


def quantile_edges(numbers: Sequence[float], shares: int) -> list[float]:
    """The edges that part sorted numbers into so many shares, as equal as their repeats allow.

    Edge k of 1 to shares - 1 is the number at position floor(k * count / shares), from 0; no edge lies
    between two numbers. An edge at the least number would part nothing, so the next greater one takes its
    place. Equal edges are one.

    Args:
        numbers: at least two different ones, in rising order.
        shares: how many shares.

    >>> quantile_edges([1, 2, 3, 4, 5, 6, 7, 8], 4)
    [3, 5, 7]
    >>> quantile_edges([0, 0, 0, 0, 0, 0, 2, 9], 4)
    [2]
    """
    least, count = numbers[0], len(numbers)
    second = next(number for number in numbers if number > least)
    return sorted({max(numbers[k * count // shares], second) for k in range(1, shares)})


def learn_bins(rows: Iterable[Row], columns: Mapping[Column, int], where: str) -> dict[str, tuple[str, ...]]:
    """Learn the bins of some numeric columns.

    Args:
        rows: rows with the same columns; all are read, whatever their label.
        columns: which columns, and into how many shares each is parted.
        where: what messages call the rows.

    Returns:
        The bins of each column, by its name, as a spec has them.

    Raises:
        BadInput: a column is absent, has a cell that is neither missing nor a number, or has less than two
            different numbers.
    """
    found = {column.name: array("d") for column in columns}
    for row in rows:
        for column in columns:
            if column.name not in row.cells:
                raise BadInput(
                    f"{where} has no column {column.name!r}; its columns are: {', '.join(row.cells)}.",
                    hint="Name the file that has the columns of the schema.",
                )
            cell = row.cells[column.name]
            if not is_missing(column, cell):
                found[column.name].append(_number(cell, f"{where}, row {row.number}, column {column.name!r}"))
    return {
        column.name: _bins(found[column.name], shares, f"{where}, column {column.name!r}")
        for column, shares in columns.items()
    }


def _bins(numbers: array[float], shares: int, where: str) -> tuple[str, ...]:
    ordered = sorted(numbers)
    if not ordered or ordered[0] == ordered[-1]:
        what = f"only {write_number(ordered[0])}" if ordered else "no numbers"
        raise BadInput(
            f"{where}: there is {what}, so there is nothing to part.",
            hint="Leave the column out of the schema, or give it bins.",
        )
    return tuple(write_number(edge) for edge in quantile_edges(ordered, shares))


def _number(cell: str, where: str) -> float:
    try:
        return parse_number(cell) + 0.0  # the negative zero is the same number
    except ValueError as error:
        written = json.dumps(cell.strip(ASCII_SPACE), ensure_ascii=False)  # as TOML has it, too
        raise BadInput(
            f"{where}: {error}.",
            hint=f"If it stands for a missing value, add to the schema: missing = [{written}]",
        ) from error
