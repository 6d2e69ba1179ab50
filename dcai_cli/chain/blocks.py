"""What an embedded chain's file says of blocks, accounts and logs, read without py-evm.

py-evm takes as long to import as all else that a short command does, and most of them only look. It alone
writes the file and executes; what is read here has the forms that Ethereum gives it: RLP, and Merkle Patricia
tries whose nodes are kept by their hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from dcai_cli.chain.errors import RpcError
from dcai_cli.hashing import keccak256

REFUSED = -32_000
"""What geth answers with where it cannot serve a request."""

_FIRST_KEY = b"\x80"
"""The key of a block's first transaction and its receipt: the number 0 in RLP."""

_NOTHING = keccak256(b"")
_EMPTY_TRIE = keccak256(b"\x80")
_BLOOM_BITS = 2048


class Source(Protocol):
    """Values by keys."""

    def __getitem__(self, key: bytes) -> bytes:
        """The value, or KeyError."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is asked of a block's header.

    Args:
        hash: of the block.
        parent_hash: of the block before.
        state_root: of the trie of accounts.
        transaction_root: of the trie of transactions.
        receipt_root: of the trie of receipts.
        bloom: which addresses and topics the block's logs may have.
        number: of the block.
        gas_limit: of the block.
        gas_used: by its transaction.
        timestamp: seconds since 1970.
        base_fee_wei: for a unit of gas.
        raw: all of it, in RLP.
    """

    hash: bytes
    parent_hash: bytes
    state_root: bytes
    transaction_root: bytes
    receipt_root: bytes
    bloom: int
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    base_fee_wei: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is after a block.

    Args:
        nonce: how many transactions it sent.
        balance_wei: what it has.
        code: what it executes; nothing if it is no contract.
    """

    nonce: int = 0
    balance_wei: int = 0
    code: bytes = b""


@dataclass(frozen=True, slots=True)
class Log:
    """An event.

    Args:
        transaction_hash: of the only transaction of its block.
        index: its place there.
        address: the contract.
        topics: of 32 bytes each.
        data: the rest.
    """

    transaction_hash: bytes
    index: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Blocks:
    """The blocks in an embedded chain's store.

    Args:
        store: its keys and values, as py-evm writes them.
    """

    def __init__(self, store: Source) -> None:
        self._store = store

    def head(self) -> Header:
        """The header of the latest block."""
        return self._header(self._store[b"v1:canonical_head_hash"])

    def header(self, block: str) -> Header:
        """The header of a block, by its number in hexadecimal digits; of the latest one by any name.

        Raises:
            RpcError: the chain does not reach it.
        """
        if not block.startswith("0x"):
            return self.head()
        number = int(block, 16)
        try:
            block_hash = self._store[f"block-number-to-hash:{number}".encode()]
        except KeyError:
            raise RpcError(f"no block {number}", rpc_code=REFUSED) from None
        return self._header(decode(block_hash))

    def _header(self, block_hash: bytes) -> Header:
        raw = self._store[block_hash]
        fields = decode(raw)
        bloom, number, gas_limit, gas_used, timestamp, base_fee_wei = (
            int.from_bytes(fields[place], "big") for place in (6, 8, 9, 10, 11, 15)
        )
        return Header(
            hash=block_hash,
            parent_hash=fields[0],
            state_root=fields[3],
            transaction_root=fields[4],
            receipt_root=fields[5],
            bloom=bloom,
            number=number,
            gas_limit=gas_limit,
            gas_used=gas_used,
            timestamp=timestamp,
            base_fee_wei=base_fee_wei,
            raw=raw,
        )

    def account(self, header: Header, address: bytes) -> Account:
        """An account as it is after a block; a new one if nobody knows it."""
        found = look_up(self._store, header.state_root, keccak256(address))
        if not found:
            return Account()
        nonce, balance, _, code_hash = decode(found)
        code = b"" if code_hash == _NOTHING else self._store[code_hash]
        return Account(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), code)

    def logs(self, header: Header) -> Iterator[Log]:
        """The events of a block, in their order."""
        receipt = look_up(self._store, header.receipt_root, _FIRST_KEY)
        if not receipt:
            return
        transaction_hash = keccak256(look_up(self._store, header.transaction_root, _FIRST_KEY))
        # Before the list there is a byte for the type of the transaction, but for the oldest one.
        *_, logs = decode(receipt if receipt[0] >= _LIST else receipt[1:])
        for index, (address, topics, data) in enumerate(logs):
            yield Log(transaction_hash, index, address, tuple(topics), data)


def look_up(store: Source, root: bytes, key: bytes) -> bytes:
    """The value under a key of a Merkle Patricia trie; nothing if there is none.

    Args:
        store: its nodes by their hashes.
        root: the hash of its root.
        key: the key; in tries of accounts the hash of an address.
    """
    node: Any = b"" if root == _EMPTY_TRIE else root
    path = key.hex()
    while node:
        if isinstance(node, bytes):
            node = decode(store[node])
        elif len(node) == 17:  # a branch: a child for each digit, and a value
            if not path:
                return bytes(node[16])
            node, path = node[int(path[0], 16)], path[1:]
        else:
            part, is_leaf = _path(node[0])
            if is_leaf:
                return bytes(node[1]) if path == part else b""
            node, path = (node[1], path[len(part) :]) if path.startswith(part) else (b"", "")
    return b""


def _path(encoded: bytes) -> tuple[str, bool]:
    """The digits that a node of two stands for, and whether it is a leaf: the first digit says how many."""
    digits = encoded.hex()
    kind = int(digits[0], 16)
    return digits[1:] if kind & 1 else digits[2:], kind >= 2


def bloom_of(value: bytes) -> int:
    """The bits that a value sets in a header's Bloom filter."""
    digest = keccak256(value)
    bits = (int.from_bytes(digest[at : at + 2], "big") % _BLOOM_BITS for at in (0, 2, 4))
    return sum(1 << bit for bit in set(bits))


# RLP: https://ethereum.org/en/developers/docs/data-structures-and-encoding/rlp

_TEXT, _LIST, _SHORT = 0x80, 0xC0, 55


def decode(data: bytes) -> Any:  # noqa: ANN401 - bytes, or a list of such and of lists
    """What RLP wrote.

    >>> decode(bytes.fromhex("c88363617483646f67"))
    [b'cat', b'dog']
    """
    return _item(data, 0)[0]


def _item(data: bytes, at: int) -> tuple[Any, int]:
    """The item that begins somewhere, and where the next one does."""
    first = data[at]
    if first < _TEXT:
        return data[at : at + 1], at + 1
    kind = _LIST if first >= _LIST else _TEXT
    size, begin = first - kind, at + 1
    if size > _SHORT:
        begin += size - _SHORT
        size = int.from_bytes(data[at + 1 : begin], "big")
    end = begin + size
    if kind == _TEXT:
        return data[begin:end], end
    items = []
    while begin < end:
        item, begin = _item(data, begin)
        items.append(item)
    return items, end
