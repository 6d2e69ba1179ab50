"""py-evm's blocks, transactions and receipts in the forms of JSON-RPC."""

from __future__ import annotations

from typing import Any

from eth._utils.address import generate_contract_address
from eth_utils.address import to_checksum_address

Json = dict[str, Any]


def to_hex(value: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return f"0x{value.hex()}"


def to_bytes(text: str) -> bytes:
    """Bytes as JSON-RPC writes them, back."""
    return bytes.fromhex(text.removeprefix("0x"))


def block_form(header: Any) -> Json:  # noqa: ANN401 - py-evm has no types to speak of; so below
    """A block, without its transactions."""
    return {
        "number": hex(header.block_number),
        "hash": to_hex(header.hash),
        "parentHash": to_hex(header.parent_hash),
        "timestamp": hex(header.timestamp),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "baseFeePerGas": hex(header.base_fee_per_gas),
    }


def transaction_form(header: Any, transaction: Any) -> Json:  # noqa: ANN401
    """A mined transaction."""
    return {
        "hash": to_hex(transaction.hash),
        "blockNumber": hex(header.block_number),
        "blockHash": to_hex(header.hash),
        "from": to_checksum_address(transaction.sender),
        "to": to_checksum_address(transaction.to) if transaction.to else None,
        "input": to_hex(transaction.data),
        "value": hex(transaction.value),
        "gas": hex(transaction.gas),
        "nonce": hex(transaction.nonce),
    }


def receipt_form(header: Any, transaction: Any, receipt: Any) -> Json:  # noqa: ANN401
    """The receipt of the only transaction of a block."""
    tip = min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - header.base_fee_per_gas)
    created = None
    if not transaction.to:
        created = to_checksum_address(generate_contract_address(transaction.sender, transaction.nonce))
    return {
        "transactionHash": to_hex(transaction.hash),
        "status": hex(int(receipt.state_root == b"\x01")),
        "blockNumber": hex(header.block_number),
        "blockHash": to_hex(header.hash),
        "gasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(header.base_fee_per_gas + tip),
        "contractAddress": created,
        "logs": [_log_form(header, transaction, index, log) for index, log in enumerate(receipt.logs)],
    }


def _log_form(header: Any, transaction: Any, index: int, log: Any) -> Json:  # noqa: ANN401
    return {
        "address": to_checksum_address(log.address),
        "topics": [f"0x{topic:064x}" for topic in log.topics],
        "data": to_hex(log.data),
        "blockNumber": hex(header.block_number),
        "blockHash": to_hex(header.hash),
        "transactionHash": to_hex(transaction.hash),
        "logIndex": hex(index),
        "removed": False,
    }
