"""Signed transactions, made without asking a node."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.answers import to_checksum
from dcai_cli.chain.errors import GasTooHigh
from dcai_cli.chain.records import Fees, SignedFields, SignedTransaction
from dcai_cli.chain.refusals import too_much_gas
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from rlp.sedes import List

PLAIN_GAS = 21_000
"""Gas of a transaction that only moves ether."""

_DYNAMIC = 2
_WORD = 2**256


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
    most_gas: int = MAX_TRANSACTION_GAS,
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
        most_gas: the highest gas limit that the network takes.

    Raises:
        GasTooHigh: more gas or bytes than one transaction may have.
    """
    if gas > most_gas:
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


def unsigned(
    *, chain_id: int, to: str | None, data: bytes, value_wei: int, nonce: int, gas: int, fees: Fees
) -> bytes:
    """The bytes of a transaction that a key would sign: what a layer 2 can price before there is a signature.

    Args:
        chain_id: and the others as for `sign`.
        to: as for `sign`.
        data: as for `sign`.
        value_wei: as for `sign`.
        nonce: as for `sign`.
        gas: as for `sign`.
        fees: as for `sign`.
    """
    from rlp import encode

    receiver = b"" if to is None else bytes.fromhex(to.removeprefix("0x"))
    tail = (gas, receiver, value_wei, data)
    if fees.priority_fee_wei is None:
        return bytes(encode([nonce, fees.max_fee_per_gas_wei, *tail, chain_id, 0, 0]))
    head = (chain_id, nonce, fees.priority_fee_wei, fees.max_fee_per_gas_wei)
    return bytes([_DYNAMIC]) + bytes(encode([*head, *tail, []]))


def created_address(sender: str, nonce: int) -> str:
    """Where a transaction without a receiver puts its contract.

    Args:
        sender: who signs it.
        nonce: the nonce that it uses up.

    >>> created_address("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0", 1)
    '0x343c43A37D37dfF08AE8C4A11544c718AbB4fCF8'
    """
    from eth_utils.address import to_canonical_address
    from eth_utils.crypto import keccak
    from rlp import encode

    return to_checksum(f"0x{keccak(encode([to_canonical_address(sender), nonce]))[12:].hex()}")


def decode_signed(raw: bytes) -> SignedFields:
    """What a signed transaction says: one with EIP-1559 fees, or one before them that is bound to a chain.

    Raises:
        ValueError: the bytes are no such transaction.
    """
    if raw[:1] == bytes([_DYNAMIC]):
        chain_id, nonce, priority, most, gas, to, value, data, access, parity, *signature = _items(
            raw[1:], _dynamic()
        )
        if access or parity > 1 or priority > most:
            raise ValueError(
                "The transaction has an access list, a wrong signature, or fees that no block takes."
            )
        fees = Fees(most, priority)
    elif raw[:1] >= b"\xc0":
        nonce, price, gas, to, value, data, v, *signature = _items(raw, _legacy())
        # EIP-155: v is twice the chain id plus 35 or 36.
        chain_id = (v - 35) // 2
        fees = Fees(price, None)
    else:
        raise ValueError("The bytes are no transaction of a type that dcai signs.")
    if chain_id < 1:
        raise ValueError("The transaction is not bound to a chain.")
    if not all(0 < part < _WORD for part in signature):
        raise ValueError("The transaction is not signed.")
    if max(value, fees.max_fee_per_gas_wei, chain_id) >= _WORD or max(nonce, gas) >= 2**64:
        raise ValueError("A number of the transaction is too large.")
    receiver = to_checksum(f"0x{to.hex()}") if to else None
    return SignedFields(receiver, bytes(data), value, nonce, gas, fees, chain_id)


def _items(payload: bytes, form: List) -> Any:  # noqa: ANN401 - as the form says
    from rlp import decode
    from rlp.exceptions import RLPException

    try:
        return decode(payload, form)
    except (RLPException, RecursionError, TypeError) as error:
        raise ValueError(f"The bytes are no transaction: {str(error)[:80]}") from None


@cache
def _dynamic() -> List:
    from rlp.sedes import CountableList, List, big_endian_int, binary

    empty = CountableList(binary)  # an access list, which dcai does not use
    return List([*[big_endian_int] * 5, _address(), big_endian_int, binary, empty, *[big_endian_int] * 3])


@cache
def _legacy() -> List:
    from rlp.sedes import List, big_endian_int, binary

    return List([*[big_endian_int] * 3, _address(), big_endian_int, binary, *[big_endian_int] * 3])


def _address() -> Any:  # noqa: ANN401 - rlp has no types
    from rlp.sedes import Binary

    return Binary.fixed_length(20, allow_empty=True)
