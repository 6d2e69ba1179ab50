"""Typed values to cells: one documented string for each, the same on every machine."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.errors import BadInput
from dcai_cli.features.nesting import MAX_NESTING, check_json_nesting, check_nesting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcai_cli.features.readers.blocks import Block

_HINT_JSONL = 'Each line holds one JSON object, such as {"text": "hello", "label": "ham"}.'
MAX_DIGITS = 4300
"""Digits of an integer of JSON at most."""
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_quote = json.JSONEncoder(ensure_ascii=False).encode

Cells = dict[str, str]
"""Column name to cell."""

Values = Mapping[str, "str | NDArray[np.float64]"]
"""Column name to cell, or to the numbers of the one column that was asked for as vectors."""


@dataclass(frozen=True, slots=True)
class Table:
    """One file that was opened: its columns, and its rows as often as they are wanted.

    Args:
        columns: names in the order of the file.
        read: starts at the first row; raises BadInput at the row that is at fault.
        blocks: the same rows in blocks of some columns, where the format has such.
        size_bytes: how large the file is; 0 where nobody needs to know.
    """

    columns: tuple[str, ...]
    read: Callable[[], Iterator[Values]]
    blocks: Callable[[Sequence[str]], Iterator[Block]] | None = None
    size_bytes: int = 0


class _Digits(str):
    """An integer of JSON as it stands: how long a number Python reads is a setting of each machine."""

    __slots__ = ()


def cell_text(value: object) -> str:
    """Write a value that JSON has, or a float that it has not, as a cell (docs/feature-spec.md, "Cells").

    Raises:
        ValueError: lists and objects are nested too deeply.

    >>> [cell_text(value) for value in (None, True, 1.50, float("-inf"), [1, {"b": None}])]
    ['', 'true', '1.5', '-Infinity', '[1,{"b":null}]']
    """
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else _NOT_FINITE[float.__repr__(value)]
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        check_nesting(value)
        return _json_text(value)
    return str(value)


def _json_text(value: object) -> str:
    """Write a value as it stands in a list or an object; floats that JSON has not have their names."""
    if isinstance(value, float):  # first: vectors have hundreds of them
        return cell_text(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json_text, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(name)}:{_json_text(value[name])}" for name in sorted(value)) + "}"
    if value is None:
        return "null"
    if isinstance(value, str) and not isinstance(value, _Digits):
        return _quote(value)
    return cell_text(value)


def json_cells(where: str, content: str) -> Cells:
    """Read one JSON object as a row of cells.

    Args:
        where: what the content is, for messages.
        content: JSON.

    Raises:
        BadInput: it is no JSON object, has a key twice, or is not valid Unicode.
    """
    try:
        check_json_nesting(content, MAX_NESTING + 1)  # the row itself is one level
        fields = json.loads(content, object_pairs_hook=_unique_keys, parse_int=_digits)
        cells = (
            {name: cell_text(value) for name, value in fields.items()} if isinstance(fields, dict) else None
        )
    except ValueError as error:
        raise BadInput(f"{where}: {error}.", hint=_HINT_JSONL) from error
    if cells is None:
        raise BadInput(f"{where}: this is not a JSON object.", hint=_HINT_JSONL)
    try:
        "".join([*cells, *cells.values()]).encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{where}: half of a surrogate pair is not valid Unicode.", hint=_HINT_JSONL
        ) from error
    return cells


def check_columns(where: str, names: Sequence[str]) -> None:
    """Refuse columns that cannot be told apart.

    Raises:
        BadInput: a column has no name, or that of another.
    """
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise BadInput(f"{where}: column {position} has no name.", hint="Name every column.")
    for name, times in Counter(names).items():
        if times > 1:
            raise BadInput(
                f"{where}: column {name!r} stands twice in the header.", hint="Rename one of them."
            )


def _digits(text: str) -> _Digits:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise ValueError(f"an integer has more than {MAX_DIGITS:,} digits")
    return _Digits("0" if text == "-0" else text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields
