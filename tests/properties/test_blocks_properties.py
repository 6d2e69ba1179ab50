"""What is read of the embedded chain's file without py-evm, against the libraries that wrote it."""

from __future__ import annotations

from typing import Any

import rlp
from eth_bloom.bloom import BloomFilter
from hypothesis import example, given
from hypothesis import strategies as st
from trie import HexaryTrie

from dcai_cli.chain.blocks import bloom_of, decode, look_up

ITEMS = st.recursive(st.binary(max_size=70), lambda items: st.lists(items, max_size=20), max_leaves=40)
KEYS = st.binary(min_size=1, max_size=4)
SENDER = "0x" + "22" * 20
SHOUT = bytes.fromhex("635f5fa0005f526004601cf3")
"""Deploys code that shouts: an event with nothing in it."""


@given(ITEMS)
@example(b"")
@example(b"\x7f")
@example(b"\x80")
@example([[], [b"a" * 56], b"b" * 55, b"c" * 300])
def test_rlp_is_read_as_it_was_written(item: Any) -> None:
    """Texts and lists of every length come back."""
    assert decode(rlp.encode(item)) == item


@given(st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), max_size=30), st.lists(KEYS, max_size=5))
@example({}, [b"a"])
@example({b"a": b"1", b"ab": b"2", b"abc": b"3", b"b": b"4"}, [b"abcd", b"ac"])
def test_a_trie_has_the_values_that_were_put_there(values: dict[bytes, bytes], others: list[bytes]) -> None:
    """Every key is found, in nodes of their own and in nodes inside of others; none is found that is not."""
    written = HexaryTrie({})
    for key, value in values.items():
        written[key] = value
    for key in [*values, *others]:
        assert look_up(written.db, written.root_hash, key) == values.get(key, b"")


@given(st.binary(max_size=40))
def test_the_bits_of_a_bloom_filter(value: bytes) -> None:
    """They are those that eth-bloom sets."""
    assert bloom_of(value) == int(BloomFilter.from_iterable([value]))
