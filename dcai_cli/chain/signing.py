"""Signed transactions, made without asking a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dcai_cli.chain.answers import to_checksum
from dcai_cli.chain.errors import GasTooHigh
from dcai_cli.chain.records import Fees, SignedTransaction
from dcai_cli.chain.refusals import too_much_gas
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


def sign(
    key: LocalAccount,
    *,
    chain_id: int,
    to: str | None,
    data: bytes,
    value_wei: int,
    nonce: int,
    gas: int,
    fees: Fees,
) -> SignedTransaction:
    """Sign a transaction.

    Args:
        key: the sender's.
        chain_id: where it is valid.
        to: the receiver; None deploys.
        data: the input.
        value_wei: sent along.
        nonce: the sender's nonce that it uses up.
        gas: its gas limit.
        fees: what it offers for gas; without a priority fee, it is of the type before EIP-1559.

    Raises:
        GasTooHigh: more gas or bytes than one transaction may have.
    """
    if gas > MAX_TRANSACTION_GAS:
        raise too_much_gas()
    fields: dict[str, Any] = {
        "chainId": chain_id,
        "nonce": nonce,
        "gas": gas,
        "value": value_wei,
        "data": data,
    }
    if to is not None:
        fields["to"] = to_checksum(to)
    if fees.priority_fee_wei is None:
        fields["gasPrice"] = fees.max_fee_per_gas_wei
    else:
        fields["type"] = 2
        fields["maxFeePerGas"] = fees.max_fee_per_gas_wei
        fields["maxPriorityFeePerGas"] = fees.priority_fee_wei
    signed = key.sign_transaction(fields)
    raw = bytes(signed.raw_transaction)
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise GasTooHigh(
            f"The signed transaction has {len(raw):,} bytes; most nodes take {MAX_TRANSACTION_BYTES:,}.",
            hint="Send fewer samples in one batch (--batch-size).",
        )
    return SignedTransaction(f"0x{signed.hash.hex()}", raw, nonce, gas, gas * fees.max_fee_per_gas_wei)
