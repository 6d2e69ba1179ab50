"""Arrays of pyarrow to cells: for each type how its values are written (docs/feature-spec.md, "Cells").

Whatever has to do with time is a whole number of some unit, and is written from that: neither the machine's
time zones nor the years that Python has say what a cell is. No other library writes values here, either:
theirs change what they write, and not all values can be written by them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from dcai_cli.errors import BadInput
from dcai_cli.features.nesting import MAX_NESTING, TOO_DEEP
from dcai_cli.features.readers.cells import Cells, cell_text

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Units of time, by the digits of their fractions of a second."""
_DAY_SECONDS = 86_400
_DAYS_TO_1970 = dt.date(1970, 1, 1).toordinal() - 1
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
"""The calendar repeats itself after so many years."""


def array_cells(column: Any) -> list[str]:  # noqa: ANN401 - pyarrow has no types
    """Write an array of pyarrow as cells.

    Raises:
        ValueError: a value has no cell; nothing is said about which.

    >>> import pyarrow as pa
    >>> array_cells(pa.array([0, -1, 1_500, None], pa.timestamp("ms", "Asia/Tokyo")))[1:]
    ['1969-12-31T23:59:59.999+00:00', '1970-01-01T00:00:01.5+00:00', '']
    """
    import pyarrow as pa

    try:
        values = _values(column, 0)
    except pa.ArrowException as error:  # not all of them are of ValueError
        raise ValueError(" ".join(str(error).split())) from error
    return [value if type(value) is str else cell_text(value) for value in values]


def batch_cells(batch: Any, name: str, first: int) -> Iterator[Cells]:  # noqa: ANN401
    """The rows of a record batch of pyarrow.

    Args:
        batch: the rows.
        name: what the file is called in messages.
        first: the number of the first row, from 1.

    Raises:
        BadInput: a value has no cell; all rows before it were given.
    """
    names = batch.schema.names
    try:
        columns = [array_cells(column) for column in batch.columns]
    except ValueError:
        yield from _single_rows(batch, name, first)
        return
    for cells in zip(*columns, strict=True):
        yield dict(zip(names, cells, strict=True))


def _single_rows(batch: Any, name: str, first: int) -> Iterator[Cells]:  # noqa: ANN401
    """The rows one by one, to find the value that is at fault."""
    for at in range(batch.num_rows):
        cells: Cells = {}
        for column, values in zip(batch.schema.names, batch.columns, strict=True):
            try:
                (cells[column],) = array_cells(values.slice(at, 1))
            except ValueError as error:
                raise BadInput(
                    f"{name}, row {first + at}, column {column!r}: {error}.",
                    hint="Mend the value, or leave the column out of the file.",
                ) from error
        yield cells


def _values(array: Any, depth: int) -> list[Any]:  # noqa: ANN401
    """The values as JSON has them; whatever JSON has not is a string, and floats may not be finite.

    Args:
        array: of pyarrow.
        depth: in how many lists and objects the values stand.
    """
    import pyarrow as pa

    if depth > MAX_NESTING:
        raise ValueError(TOO_DEEP)
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _values(array.storage, depth)
    for names, write in _SCALARS.items():
        if _is(kind, names):
            return [None if value is None else write(kind, value) for value in _whole(array)]
    for names, unfold in _FOLDED.items():
        if _is(kind, names):
            return unfold(array, depth)
    if not _is(kind, _PLAIN):
        raise ValueError(f"values of type {kind} have no cell")
    plain: list[Any] = array.to_pylist()
    return plain


def _is(kind: Any, names: str) -> bool:  # noqa: ANN401
    """Whether a type is one of those that pyarrow calls so."""
    import pyarrow as pa

    return any(getattr(pa.types, f"is_{name}")(kind) for name in names.split())


def _whole(array: Any) -> list[Any]:  # noqa: ANN401
    """Values as Python's; those of time as whole numbers of their unit."""
    import pyarrow as pa

    if pa.types.is_temporal(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    values: list[Any] = array.to_pylist()
    return values


def _date(days: int) -> str:
    cycles, day = divmod(days + _DAYS_TO_1970, _CYCLE_DAYS)
    date = dt.date.fromordinal(day + 1)
    year = date.year + cycles * _CYCLE_YEARS
    return f"{year:{'04d' if 0 <= year <= 9999 else '+05d'}}{date.isoformat()[4:]}"


def _split(count: int, unit: str) -> tuple[int, str]:
    """Whole seconds, and their fraction as it is written: nothing if it is 0, and no zeros at its end."""
    digits = _DIGITS[unit]
    seconds, fraction = divmod(count, 10**digits)
    return seconds, f".{fraction:0{digits}d}".rstrip("0") if fraction else ""


def _clock(count: int, unit: str) -> str:
    seconds, fraction = _split(abs(count), unit)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{'-' if count < 0 else ''}{hours:02d}:{minutes:02d}:{seconds % 60:02d}{fraction}"


def _timestamp(count: int, unit: str, zone: str | None) -> str:
    days, rest = divmod(count, _DAY_SECONDS * 10 ** _DIGITS[unit])
    return f"{_date(days)}T{_clock(rest, unit)}{'' if zone is None else '+00:00'}"


def _duration(count: int, unit: str) -> str:
    seconds, fraction = _split(abs(count), unit)
    return f"{'-' if count < 0 else ''}{seconds}{fraction}"


def _list_values(array: Any, depth: int) -> list[Any]:  # noqa: ANN401
    lengths = array.value_lengths().to_pylist()
    inner = iter(_values(array.flatten(), depth + 1))  # null lists are left out of it
    return [None if length is None else list(islice(inner, length)) for length in lengths]


def _map_values(array: Any, depth: int) -> list[Any]:  # noqa: ANN401
    """Lists of pairs, in their order: keys may be of any type, and stand twice."""
    import pyarrow as pa

    pair = pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])
    return [
        None if pairs is None else [[pair["key"], pair["value"]] for pair in pairs]
        for pairs in _list_values(array.cast(pa.list_(pair)), depth)
    ]


def _struct_values(array: Any, depth: int) -> list[Any]:  # noqa: ANN401
    names = [field.name for field in array.type]
    if len(set(names)) < len(names):
        raise ValueError("a key stands twice in one object")
    fields = [_values(field, depth + 1) for field in array.flatten()]
    return [
        {name: values[at] for name, values in zip(names, fields, strict=True)} if is_valid else None
        for at, is_valid in enumerate(array.is_valid().to_pylist())
    ]


def _dictionary_values(array: Any, depth: int) -> list[Any]:  # noqa: ANN401
    return _values(array.dictionary.take(array.indices), depth)


def _run_values(array: Any, depth: int) -> list[Any]:  # noqa: ANN401
    import pyarrow.compute as pc

    return _values(pc.run_end_decode(array), depth)


def _float_values(array: Any, _: int) -> list[Any]:  # noqa: ANN401
    import pyarrow as pa

    values: list[Any] = array.cast(pa.float64()).to_pylist()
    return values


# What types are called is what pyarrow calls them: is_date32, is_time and so on.
_PLAIN = "null boolean integer string large_string string_view"
_SCALARS: dict[str, Callable[[Any, Any], str]] = {
    "binary large_binary binary_view fixed_size_binary": lambda _, value: value.hex(),
    "decimal": lambda _, value: format(value, "f"),
    "date32": lambda _, days: _date(days),
    "date64": lambda _, count: _date(count // (_DAY_SECONDS * 1000)),
    "time": lambda kind, count: _clock(count, kind.unit),
    "timestamp": lambda kind, count: _timestamp(count, kind.unit, kind.tz),
    "duration": lambda kind, count: _duration(count, kind.unit),
}
_FOLDED: dict[str, Callable[[Any, int], list[Any]]] = {
    "floating": _float_values,
    "list large_list fixed_size_list list_view large_list_view": _list_values,
    "map": _map_values,
    "struct": _struct_values,
    "dictionary": _dictionary_values,
    "run_end_encoded": _run_values,
}
