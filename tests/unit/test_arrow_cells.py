"""Typed values become one cell each, whatever the machine: row by row, in blocks, and within lists."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.readers import Source, hub, open_rows, read_rows
from dcai_cli.features.readers.arrow_cells import array_cells
from dcai_cli.features.readers.blocks import NotInBlocksError

DAY = 86_400
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""How many of each are a second."""
FAR = 2**63 - 1


def in_units(kind: str, seconds: Any, zone: str | None = None) -> list[pa.Array]:
    """The same time in every unit that holds it."""
    found = []
    for unit, count in UNITS.items():
        whole = Decimal(seconds) * count
        if whole == int(whole) and abs(whole) < 2**63:
            make = {"timestamp": pa.timestamp, "duration": pa.duration}[kind]
            found.append(pa.array([int(whole)], make(unit, zone) if zone else make(unit)))
    return found


def timestamps(seconds: Any, zone: str | None = None) -> list[pa.Array]:
    """A timestamp in every unit."""
    return in_units("timestamp", seconds, zone)


def decimals(text: str, digits: int, scale: int) -> list[pa.Array]:
    """A decimal in all widths that hold it."""
    makers = {9: pa.decimal32, 18: pa.decimal64, 38: pa.decimal128, 76: pa.decimal256}
    return [pa.array([Decimal(text)], make(digits, scale)) for most, make in makers.items() if digits <= most]


def clocks(seconds: Any) -> list[pa.Array]:
    """A time of the day in every unit that holds it."""
    makers = {"s": pa.time32, "ms": pa.time32, "us": pa.time64, "ns": pa.time64}
    whole = {unit: Decimal(seconds) * count for unit, count in UNITS.items()}
    return [
        pa.array([int(whole[unit])], make(unit))
        for unit, make in makers.items()
        if whole[unit] == int(whole[unit])
    ]


def typed(value: Any, *types: pa.DataType) -> list[pa.Array]:
    """A value in some types."""
    return [pa.array([value], kind) for kind in types]


FLOATS = (pa.float16(), pa.float32(), pa.float64())
STRINGS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
BYTES = (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2))
LISTS = [make(pa.int8()) for make in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view)]
OBJECT = pa.struct([("b", pa.int8()), ("a", pa.int8()), ("\u00e9", pa.string())])
LISTS.append(pa.list_(pa.int8(), 2))

# What a cell is, and whether lists have it as it stands there: else it is a string in them.
CASES: list[tuple[list[pa.Array], str, bool]] = [
    (typed("2020-01-01", *STRINGS), "2020-01-01", False),
    (typed('a"\\\u2028\n', pa.string()), 'a"\\\u2028\n', False),
    (typed(True, pa.bool_()), "true", True),
    (typed(-7, pa.int8(), pa.int16(), pa.int32(), pa.int64()), "-7", True),
    (typed(2**64 - 1, pa.uint64()), "18446744073709551615", True),
    (typed(1.5, *FLOATS), "1.5", True),
    (typed(-0.0, *FLOATS), "-0.0", True),
    (typed(0.1, pa.float16()), "0.0999755859375", True),
    (typed(0.1, pa.float32()), "0.10000000149011612", True),
    (typed(0.1, pa.float64()), "0.1", True),
    (typed(1e300, pa.float64()), "1e+300", True),
    (typed(1e16, pa.float64()), "1e+16", True),
    (typed(float("nan"), *FLOATS), "NaN", True),
    (typed(float("inf"), *FLOATS), "Infinity", True),
    (typed(float("-inf"), *FLOATS), "-Infinity", True),
    (typed(b"\x00\xff", *BYTES), "00ff", False),
    (decimals("0", 9, 9) + decimals("0", 38, 9), "0.000000000", False),
    (decimals("0", 38, 10), "0.0000000000", False),
    (decimals("1.50", 5, 2), "1.50", False),
    (decimals("-0.000001", 9, 6), "-0.000001", False),
    (decimals("500", 5, -2), "500", False),
    (decimals("0", 5, -2), "0", False),
    (decimals("9" * 76, 76, 0), "9" * 76, False),
    (typed(19_782, pa.date32()), "2024-02-29", False),
    (typed(-719_162, pa.date32()), "0001-01-01", False),
    (typed(-719_163, pa.date32()), "0000-12-31", False),
    (typed(-719_529, pa.date32()), "-0001-12-31", False),
    (typed(2_932_896, pa.date32()), "9999-12-31", False),
    (typed(2_932_897, pa.date32()), "+10000-01-01", False),
    (typed(2**31 - 1, pa.date32()), "+5881580-07-11", False),
    (typed(-(2**31), pa.date32()), "-5877641-06-23", False),
    (typed(-DAY * 1000, pa.date64()), "1969-12-31", False),
    (timestamps(1_704_164_645), "2024-01-02T03:04:05", False),
    (timestamps(1_704_164_645, "Europe/Vienna"), "2024-01-02T03:04:05+00:00", False),
    (timestamps(1_704_164_645, "No/Such zone"), "2024-01-02T03:04:05+00:00", False),
    (timestamps(1_704_164_645, "+05:30"), "2024-01-02T03:04:05+00:00", False),
    (timestamps("1704164645.5"), "2024-01-02T03:04:05.5", False),
    (timestamps("1704164645.000123", "UTC"), "2024-01-02T03:04:05.000123+00:00", False),
    (timestamps("-0.000000001"), "1969-12-31T23:59:59.999999999", False),
    (timestamps(253_402_300_800), "+10000-01-01T00:00:00", False),
    (typed(2**62, pa.timestamp("s")), "+146138514283-06-19T07:45:04", False),
    (typed(-FAR, pa.timestamp("ns")), "1677-09-21T00:12:43.145224193", False),
    (clocks(0), "00:00:00", False),
    (clocks("86399.999"), "23:59:59.999", False),
    (clocks("3661.00000001"), "01:01:01.00000001", False),
    (in_units("duration", 0), "0", False),
    (in_units("duration", 90_061), "90061", False),
    (in_units("duration", "-1.5"), "-1.5", False),
    (typed([1, -2], *LISTS), "[1,-2]", True),
    (typed({"b": 1, "a": None, "\u00e9": "x"}, OBJECT), '{"a":null,"b":1,"\u00e9":"x"}', True),
    (typed([("b", 1), ("a", None)], pa.map_(pa.string(), pa.int8())), '[["b",1],["a",null]]', True),
    (typed({}, pa.struct([])), "{}", True),
    ([pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16)))], "30" * 16, False),
    ([pc.run_end_encode(pa.array(["a"]))], "a", False),
]


def save(array: pa.Array, path: Path) -> Path:
    """An arrow file of one column."""
    table = pa.table({"x": array})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)
    return path


def with_nulls(array: pa.Array) -> pa.Array:
    """An array between two nulls."""
    if isinstance(array, pa.RunEndEncodedArray):
        return pc.run_end_encode(with_nulls(pc.run_end_decode(array)))
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(array.type, with_nulls(array.storage))
    null = pa.nulls(1, array.type)
    return pa.concat_arrays([null, array, null])


def row_cells(path: Path) -> list[str]:
    """The cells of a file, row by row."""
    return [row.cells["x"] for row in read_rows(path)]


def block_cells(path: Path) -> list[str] | None:
    """The cells of a file in blocks; None if it has none."""
    try:
        with open_rows(path) as rows:
            return [
                block.columns["x"].cells[code]
                for block in rows.blocks(["x"])
                for code in block.columns["x"].codes
            ]
    except NotInBlocksError:
        return None


@pytest.mark.parametrize(
    ("array", "cell", "as_it_stands"),
    [
        pytest.param(array, cell, as_it_stands, id=f"{array.type}: {cell[:40]!r}")
        for arrays, cell, as_it_stands in CASES
        for array in arrays
    ],
)
def test_each_type_has_its_cell(tmp_path: Path, array: pa.Array, cell: str, as_it_stands: bool) -> None:
    """Rows and blocks have the same, null is empty, and lists have JSON of it."""
    path = save(with_nulls(array), tmp_path / "rows.arrow")
    assert row_cells(path) == ["", cell, ""]
    in_blocks = block_cells(path)
    assert in_blocks == ["", cell, ""] or (in_blocks is None and is_unlike_text(array.type))
    listed = pa.LargeListArray.from_arrays([0, 1], array)
    written = cell if as_it_stands else json.dumps(cell, ensure_ascii=False)
    assert array_cells(listed) == [f"[{written}]"]
    named = pa.StructArray.from_arrays([array], ["k"])
    assert array_cells(named) == [f'{{"k":{written}}}']


def is_unlike_text(kind: pa.DataType) -> bool:
    """Whether pyarrow finds no different values in such arrays, so that they are read row by row."""
    is_short = pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind)
    is_long = pa.types.is_nested(kind) or pa.types.is_run_end_encoded(kind)
    return is_short or is_long or isinstance(kind, pa.UuidType)


def test_slices_and_nulls_within_keep_their_places() -> None:
    """A part of an array is that part, and null lists and objects have nothing in them."""
    lists = pa.array([[1], None, [], [2, None], [3]], pa.list_(pa.int8()))
    objects = pa.array([{"a": 1}, None, {"a": None}, {"a": 4}])
    maps = pa.array([[("a", 1)], None, [], [("b", 2)]], pa.map_(pa.string(), pa.int8()))
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1]), pa.array(["a", None]))
    assert array_cells(lists.slice(1, 3)) == ["", "[]", "[2,null]"]
    assert array_cells(objects.slice(1)) == ["", '{"a":null}', '{"a":4}']
    assert array_cells(maps.slice(1)) == ["", "[]", '[["b",2]]']
    assert array_cells(codes.slice(0, 3)) == ["a", "", ""]
    assert array_cells(pa.nulls(2)) == ["", ""]


def test_times_beyond_a_day_are_written_all_the_same() -> None:
    """No table should have them, but one that has them is read."""
    assert array_cells(pa.array([DAY, -1], pa.time32("s"))) == ["24:00:00", "-00:00:01"]


INTERVALS = pa.array([None, (1, 2, 3)], pa.month_day_nano_interval())
UNION = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])
TWICE = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (INTERVALS, "values of type month_day_nano_interval have no cell"),
        (UNION, "values of type sparse_union<0: int64=0, 1: string=1> have no cell"),
        (TWICE, "a key stands twice in one object"),
    ],
    ids=["interval", "union", "key twice"],
)
def test_what_has_no_cell_is_refused_by_column_and_row(tmp_path: Path, array: pa.Array, problem: str) -> None:
    """The file is whole, so nobody is told to make it again."""
    path = save(array, tmp_path / "rows.arrow")
    with pytest.raises(BadInput) as caught:
        read_rows(path)
    assert caught.value.message == f"{path}, row 1, column 'x': {problem}."
    assert caught.value.hint == "Mend the value, or leave the column out of the file."


def nested(levels: int) -> pa.Array:
    """Lists in lists."""
    array = pa.array([1])
    for _ in range(levels):
        array = pa.ListArray.from_arrays([0, 1], array)
    return array


def test_lists_are_nested_as_deep_as_the_limit_and_no_deeper() -> None:
    """As in JSON; the files have limits of their own, which are lower."""
    assert array_cells(nested(100)) == ["[" * 100 + "1" + "]" * 100]
    with pytest.raises(ValueError, match="lists and objects are nested more than 100 deep"):
        array_cells(nested(101))


def bad_text(rows: int) -> pa.Table:
    """A table of texts, the last of which is no UTF-8; it has another column, too."""
    texts = pa.array([b"a"] * (rows - 1) + [b"\xff"]).view(pa.string())
    return pa.table({"n": range(rows), "x": texts})


def test_the_rows_before_a_bad_value_are_read(tmp_path: Path) -> None:
    """In a batch behind the first; the message has the number of the row."""
    path = tmp_path / "rows.parquet"
    pq.write_table(bad_text(1500), path)
    found: list[Row] = []
    with pytest.raises(BadInput, match=r"row 1500, column 'x': 'utf-8' codec"), open_rows(path) as rows:
        found.extend(rows)
    assert (len(found), found[-1].number, found[-1].cells) == (1499, 1499, {"n": "1498", "x": "a"})


class Streamed:
    """What `datasets` gives of a data set that is streamed, for values that it cannot make itself."""

    def with_format(self, name: str) -> Streamed:
        """The same: it has arrow only."""
        assert name == "arrow"
        return self

    def iter(self, batch_size: int) -> Iterator[pa.Table]:
        """Two tables."""
        assert batch_size > 3
        yield pa.table({"n": [7, 8, 9], "x": ["b"] * 3})
        yield bad_text(2)


def test_the_hub_names_the_column_too() -> None:
    """A connection would not mend the value."""
    rows = hub.hub_rows("hf:owner/name", Streamed())
    assert [next(rows)["n"] for _ in range(4)] == ["7", "8", "9", "0"]
    with pytest.raises(BadInput, match="hf:owner/name, row 5, column 'x'") as caught:
        next(rows)
    assert "connection" not in caught.value.hint


@pytest.fixture(params=[0, 640, 4300])
def most_digits(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many digits of a whole number Python reads: an environment variable says it."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(request.param)
    yield request.param
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("most_digits")
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("9" * 4300, "9" * 4300),
        ("-" + "9" * 4300, "-" + "9" * 4300),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1E3", "1000.0"),
        ("1e999", "Infinity"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        (f"[{'9' * 4300}, -0, -1e999, NaN]", f"[{'9' * 4300},0,-Infinity,NaN]"),
        (
            '{"b": [true, null, 1.0], "a": "\\u00e9\\u001f\\n"}',
            '{"a":"\u00e9\\u001f\\n","b":[true,null,1.0]}',
        ),
    ],
)
def test_numbers_of_json_are_the_same_on_every_machine(tmp_path: Path, value: str, cell: str) -> None:
    """The digits of integers are kept; floats that JSON has not stand in lists by their names."""
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"x": {value}}}\n')
    (row,) = read_rows(Source(str(path)))
    assert row.cells == {"x": cell}
    assert type(row.cells["x"]) is str


@pytest.mark.usefixtures("most_digits")
@pytest.mark.parametrize("value", ["-" + "9" * 4301, f"[{'9' * 4301}]"])
def test_how_long_an_integer_is_has_a_limit_of_our_own(tmp_path: Path, value: str) -> None:
    """Whatever that of Python is set to."""
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"x": {value}}}\n')
    with pytest.raises(BadInput, match=r"line 1: an integer has more than 4,300 digits\."):
        read_rows(path)
