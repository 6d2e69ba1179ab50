"""Plain encodings that are read and written here, against eth-abi, which knows all of them."""

from __future__ import annotations

from typing import Any

from eth_abi.exceptions import DecodingError
from hypothesis import example, given
from hypothesis import strategies as st

from dcai_cli.chain import abi, words
from dcai_cli.hashing import checksummed

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: checksummed(raw.hex()))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "uint8": st.integers(0, 2**8 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "uint256": st.integers(0, 2**256 - 1),
    "int256": st.integers(-(2**255), 2**255 - 1),
    "bool": st.booleans(),
    "address": ADDRESSES,
    "bytes4": st.binary(min_size=4, max_size=4),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes": st.binary(max_size=70),
    "string": st.text("aé漢😀", max_size=20),
    "uint256[]": st.lists(st.integers(0, 2**256 - 1), max_size=4).map(tuple),
    "address[]": st.lists(ADDRESSES, max_size=2).map(tuple),
    "bytes32[]": st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple),
    "bool[]": st.lists(st.booleans(), max_size=2).map(tuple),
    "string[]": st.lists(st.text("aé", max_size=3), max_size=2).map(tuple),
}
"""Types of the contracts' ABIs; some of them are not plain."""


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[list[str], list[Any]]:
    """Types, and a value for each."""
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=5))
    return types, [draw(VALUES[name]) for name in types]


@given(typed_values())
def test_values_have_the_bytes_that_eth_abi_gives_them(made: tuple[list[str], list[Any]]) -> None:
    """Written here or there, a call is the same, and both read it back alike."""
    types, values = made
    theirs = abi.codec().encode(types, values)
    assert words.encode(types, values) in (None, theirs)
    assert words.decode(types, theirs) in (None, abi.codec().decode(types, theirs))
    assert abi.decode([{"type": name} for name in types], theirs) == tuple(values)


@given(typed_values(), st.integers(0, 400), st.integers(0, 255), st.sampled_from(["change", "cut", "add"]))
@example((["uint8"], [1]), 0, 1, "change")
@example((["bytes"], [b"a"]), 70, 1, "change")
@example((["bytes", "bytes"], [b"a", b"a"]), 31, 128, "change")
def test_broken_bytes_are_read_as_eth_abi_reads_them(
    made: tuple[list[str], list[Any]], place: int, byte: int, how: str
) -> None:
    """Bytes that no encoder writes are never read here in another way than there, nor where it refuses."""
    types, values = made
    data = bytearray(abi.codec().encode(types, values))
    if how == "cut":
        data = data[:place]
    elif how == "add":
        data += bytes([byte])
    elif data:
        data[place % len(data)] = byte
    found = words.decode(types, bytes(data))
    try:
        theirs = abi.codec().decode(types, bytes(data))
    except (DecodingError, OverflowError):
        assert found is None
    else:
        assert found in (None, theirs)


def test_values_that_do_not_fit_are_left_to_eth_abi() -> None:
    """A number that is too large, a text for an address, or a missing value is never written as something."""
    assert words.encode(["uint8"], [256]) is None
    assert words.encode(["uint256"], [-1]) is None
    assert words.encode(["uint256"], [True]) is None
    assert words.encode(["address"], ["0x1"]) is None
    assert words.encode(["uint256", "uint256"], [1]) is None
    assert words.encode(["uint256"], [7]) == (7).to_bytes(32, "big")
