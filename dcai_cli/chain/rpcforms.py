"""Blocks, transactions and receipts of the embedded chain in the forms of JSON-RPC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.blocks import decode
from dcai_cli.chain.headers import DATA, FIELDS
from dcai_cli.hashing import checksummed

if TYPE_CHECKING:
    from dcai_cli.chain.blocks import Header, Log

Json = dict[str, Any]


def to_hex(value: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return f"0x{value.hex()}"


def to_bytes(text: str) -> bytes:
    """Bytes as JSON-RPC writes them, back."""
    return bytes.fromhex(text.removeprefix("0x"))


def block_form(header: Header) -> Json:
    """A block, without its transactions."""
    fields = zip(FIELDS, decode(header.raw), strict=True)
    return {
        "hash": to_hex(header.hash),
        **{
            name: to_hex(value) if name in DATA else hex(int.from_bytes(value, "big"))
            for name, value in fields
        },
    }


def log_form(header: Header, log: Log) -> Json:
    """An event of a block."""
    return {
        "address": _address(log.address),
        "topics": [to_hex(topic) for topic in log.topics],
        "data": to_hex(log.data),
        "blockNumber": hex(header.number),
        "blockHash": to_hex(header.hash),
        "transactionHash": to_hex(log.transaction_hash),
        "logIndex": hex(log.index),
        "removed": False,
    }


def transaction_form(header: Header, transaction: Any) -> Json:  # noqa: ANN401 - py-evm's own; so below
    """A mined transaction."""
    return {
        "hash": to_hex(transaction.hash),
        "blockNumber": hex(header.number),
        "blockHash": to_hex(header.hash),
        "from": _address(transaction.sender),
        "to": _address(transaction.to) if transaction.to else None,
        "input": to_hex(transaction.data),
        "value": hex(transaction.value),
        "gas": hex(transaction.gas),
        "nonce": hex(transaction.nonce),
    }


def receipt_form(header: Header, transaction: Any, receipt: Any, logs: Iterable[Log]) -> Json:  # noqa: ANN401
    """The receipt of the only transaction of a block."""
    from eth._utils.address import generate_contract_address

    tip = min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - header.base_fee_wei)
    created = None
    if not transaction.to:
        created = _address(generate_contract_address(transaction.sender, transaction.nonce))
    return {
        "transactionHash": to_hex(transaction.hash),
        "status": hex(int(receipt.state_root == b"\x01")),
        "blockNumber": hex(header.number),
        "blockHash": to_hex(header.hash),
        "gasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(header.base_fee_wei + tip),
        "contractAddress": created,
        "logs": [log_form(header, log) for log in logs],
    }


def _address(address: bytes) -> str:
    return checksummed(address.hex())
