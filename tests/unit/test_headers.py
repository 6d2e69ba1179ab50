"""Headers in RLP out of what nodes answer: their hash is the block's, on every fork."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth.chains.mainnet import MAINNET_GENESIS_HEADER
from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.chain import Chain, RpcError, open_chain
from dcai_cli.chain.headers import DATA, FIELDS, FIRST_FIELDS, LATER_FIELDS, encode, header_rlp, mix_hash
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import Settings
from dcai_cli.hashing import keccak256
from tests.conftest import Hardhat, StartAnvil

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "headers.json").read_text(encoding="utf-8")
)


def hash_of(header: bytes) -> str:
    """The hash of a block by its header."""
    return f"0x{keccak256(header).hex()}"


@pytest.mark.parametrize("block", GOLDEN, ids=lambda block: block["name"])
def test_headers_of_public_networks(block: dict[str, Any]) -> None:
    """Blocks of public networks, as their nodes answer with them, give headers of their hashes."""
    header = header_rlp(block)
    assert hash_of(header) == block["hash"]
    assert f"0x{mix_hash(header).hex()}" == block["mixHash"]


def test_a_header_from_before_all_forks() -> None:
    """Ethereum's first block has none of the later fields, and its header is what py-evm writes."""
    written: list[bytes] = rlp.decode(rlp.encode(MAINNET_GENESIS_HEADER))
    block = {
        name: f"0x{value.hex()}" if name in DATA else hex(int.from_bytes(value, "big"))
        for name, value in zip(FIRST_FIELDS, written, strict=True)
    }
    block["hash"] = "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
    assert header_rlp(block) == rlp.encode(MAINNET_GENESIS_HEADER)


@pytest.mark.parametrize(
    ("fork", "later"), [("berlin", 0), ("london", 1), ("shanghai", 2), ("cancun", 5), ("osaka", 6)]
)
def test_headers_of_anvil(anvil: StartAnvil, fork: str, later: int) -> None:
    """Blocks of each fork that added fields give headers of their hashes, with these fields."""
    node = anvil("--hardfork", fork)
    node.rpc("anvil_mine", "0x3")
    with closing(RemoteNode([node.url], {})) as remote:
        chain = Chain(remote, Settings(Path(), Path(), Path()))
        for number in range(4):
            header = chain.header(number)
            assert hash_of(header) == chain.block_hash(number)
            assert len(rlp.decode(header)) >= len(FIRST_FIELDS) + later
    assert set(LATER_FIELDS[:later]) <= set(node.rpc("eth_getBlockByNumber", "latest", False))


def test_headers_of_hardhat(hardhat: Hardhat) -> None:
    """A client that shares no code with anvil answers with fields that make headers, too."""
    block = hardhat.rpc("eth_getBlockByNumber", "latest", False)
    assert hash_of(header_rlp(block)) == block["hash"]


def test_headers_of_the_embedded_chain(tmp_path: Path) -> None:
    """It answers with all fields of its headers."""
    settings = Settings(tmp_path, tmp_path, tmp_path)
    with open_chain(settings, clock=lambda: 1_800_000_000) as chain:
        chain.advance(10)
        last = chain.block_number()
        for number in range(last + 1):
            header = chain.header(number)
            assert hash_of(header) == chain.block_hash(number)
            assert len(rlp.decode(header)) == len(FIELDS)
        with pytest.raises(RpcError, match="no block"):
            chain.header(last + 1)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_was_changed_is_noticed(field: str) -> None:
    """Whatever field a node lies about, the hash does not match."""
    block = dict(GOLDEN[0])
    old = block[field]
    block[field] = old[:-1] + ("1" if old[-1] == "0" else "0")
    with pytest.raises(RpcError, match="does not make a header of that hash"):
        header_rlp(block)


@pytest.mark.parametrize("field", ["mixHash", "number", "hash"])
def test_a_field_that_is_missing_is_an_error_of_the_node(field: str) -> None:
    """A block without a field that every block has is refused, and no fault of ours."""
    block = {name: value for name, value in GOLDEN[0].items() if name != field}
    with pytest.raises(RpcError, match="cannot be understood"):
        header_rlp(block)


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_lists_are_written_as_the_library_does(items: list[bytes]) -> None:
    """Texts of every length, in lists of every length."""
    assert encode(items) == rlp.encode(items)
