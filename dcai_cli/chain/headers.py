"""Headers of blocks in RLP, as contracts read them, made of what nodes answer.

JSON-RPC gives the fields of a header, and not its bytes, whose hash is that of the block. Later forks added
fields at the end; a node leaves out those that its block does not have yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dcai_cli.chain.answers import to_data, to_hash, to_number
from dcai_cli.chain.blocks import decode
from dcai_cli.chain.errors import RpcError
from dcai_cli.hashing import keccak256

DATA = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "extraData",
    "mixHash",
    "nonce",
    "withdrawalsRoot",
    "parentBeaconBlockRoot",
    "requestsHash",
)
"""Fields that are bytes; all others are numbers."""

FIRST_FIELDS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
)
"""Every header has them, in this order."""

LATER_FIELDS = (
    "baseFeePerGas",  # London
    "withdrawalsRoot",  # Shanghai
    "blobGasUsed",  # Cancun
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",  # Prague
)
"""Headers have the first so many of them, by their fork."""

FIELDS = FIRST_FIELDS + LATER_FIELDS


def header_rlp(block: Mapping[str, Any]) -> bytes:
    """The header of a block in RLP, whose hash is the block's.

    Args:
        block: what a node answers of the block.

    Raises:
        RpcError: a field is missing or strange, or the header does not have the hash that the node says.
    """
    present = [*FIRST_FIELDS, *(name for name in LATER_FIELDS if block.get(name) is not None)]
    encoded = encode([_field(name, block.get(name)) for name in present])
    claimed = to_hash(block.get("hash"))
    if f"0x{keccak256(encoded).hex()}" != claimed:
        raise RpcError(
            f"What the node says of block {claimed} does not make a header of that hash.",
            hint="Give --rpc-url the URL of another node. Chains whose headers have fields of their own "
            "cannot draw for a market.",
        )
    return encoded


def mix_hash(header: bytes) -> bytes:
    """The random number of a block since the merge: 32 bytes.

    Args:
        header: of the block, in RLP.
    """
    number: bytes = decode(header)[FIRST_FIELDS.index("mixHash")]
    return number


def _field(name: str, value: object) -> bytes:
    if name in DATA:
        return to_data(value)
    number = to_number(value)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode(items: Sequence[bytes]) -> bytes:
    """A list of texts in RLP.

    >>> encode([b"cat", b"dog"]).hex()
    'c88363617483646f67'
    """
    body = b"".join(item if len(item) == 1 and item[0] < 0x80 else _prefixed(item, 0x80) for item in items)
    return _prefixed(body, 0xC0)


def _prefixed(body: bytes, kind: int) -> bytes:
    if len(body) <= 55:
        return bytes([kind + len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(size)]) + size + body
