"""Signed transactions, read back: what was signed can be signed again with other fees."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import Signature
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.chain import Fees, GasTooHigh, SignedFields
from dcai_cli.chain.answers import to_checksum
from dcai_cli.chain.signing import decode_signed, sign, unsigned
from dcai_cli.domain import MAX_TRANSACTION_GAS

KEY: LocalAccount = Account.from_key("0x" + "11" * 32)
OTHER = to_checksum("0x" + "22" * 20)

WORDS = st.integers(0, 2**256 - 1)
OFFERS = st.tuples(WORDS, WORDS).map(lambda pair: Fees(max(pair), min(pair)))
FIELDS = st.builds(
    SignedFields,
    to=st.none() | st.binary(min_size=20, max_size=20).map(lambda raw: to_checksum(f"0x{raw.hex()}")),
    data=st.binary(max_size=200),
    value_wei=WORDS,
    nonce=st.integers(0, 2**64 - 2),
    gas=st.integers(0, MAX_TRANSACTION_GAS),
    fees=OFFERS | WORDS.map(lambda price: Fees(price, None)),
    chain_id=st.integers(1, 2**53),
)


def plain(fields: SignedFields) -> dict[str, Any]:
    """The fields as arguments."""
    return {name: getattr(fields, name) for name in SignedFields.__slots__}


@given(FIELDS)
def test_what_is_signed_reads_back(fields: SignedFields) -> None:
    """Every field comes back, and signing it again gives the same transaction."""
    signed = sign(KEY, **plain(fields))
    assert decode_signed(signed.raw) == fields
    assert sign(KEY, **plain(decode_signed(signed.raw))) == signed


@given(FIELDS)
def test_the_unsigned_bytes_are_those_that_are_signed(fields: SignedFields) -> None:
    """The signature of a transaction is one of the hash of its unsigned bytes."""
    raw = sign(KEY, **plain(fields)).raw
    *_, v, r, s = rlp.decode(raw[1:] if raw[0] == 2 else raw)
    parity = int.from_bytes(v) if raw[0] == 2 else (int.from_bytes(v) - 35) % 2
    signature = Signature(vrs=(parity, int.from_bytes(r), int.from_bytes(s)))
    recovered = signature.recover_public_key_from_msg_hash(keccak(unsigned(**plain(fields))))
    assert recovered.to_checksum_address() == KEY.address


@given(FIELDS, st.data())
def test_broken_bytes_are_a_value_error(fields: SignedFields, data: st.DataObject) -> None:
    """Cut, longer or changed bytes are read as another transaction or refused, and nothing else."""
    raw = bytearray(sign(KEY, **plain(fields)).raw)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for broken in (bytes(raw), bytes(raw[:cut]), bytes(raw) + b"\x00"):
        try:
            assert decode_signed(broken).chain_id > 0
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either outcome is right


@given(st.binary(max_size=300))
def test_any_bytes_are_a_transaction_or_a_value_error(raw: bytes) -> None:
    """Whatever stands in a ledger, reading it fails in one way only."""
    for head in (b"", b"\x02", b"\xf8"):
        try:
            decode_signed(head + raw)
        except ValueError as error:
            assert str(error)  # noqa: PT017


def elsewhere(**fields: Any) -> bytes:
    """A transaction that another program signed."""
    usual: dict[str, Any] = {"nonce": 0, "gas": 21_000, "value": 0, "to": OTHER, "chainId": 1}
    return bytes(KEY.sign_transaction({**usual, **fields}).raw_transaction)


LEGACY = rlp.decode(elsewhere(gasPrice=5))
CHEAP = {"maxFeePerGas": 5, "maxPriorityFeePerGas": 1}
DYNAMIC = rlp.decode(elsewhere(type=2, **CHEAP)[1:])


def changed(fields: list[Any], index: int, value: Any) -> bytes:
    """A transaction with another field; its signature is no longer right, which nobody checks."""
    return bytes(rlp.encode([*fields[:index], value, *fields[index + 1 :]]))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "no transaction"),
        (b"\x00", "no transaction"),
        (b"\x02", "no transaction"),
        (b"\x02\xc0", "no transaction"),
        (b"\x01" + elsewhere(gasPrice=5), "no transaction"),
        (elsewhere(type=2, accessList=[{"address": OTHER, "storageKeys": []}], **CHEAP), "no transaction"),
        (b"\xc1" * 5_000 + b"\xc0", "no transaction"),
        (b"\xf9\xff\xff" * 5_000, "no transaction"),
        (bytes(rlp.encode(LEGACY[:-1])), "no transaction"),
        (changed(LEGACY, 6, b"\x1b"), "not bound to a chain"),
        (changed(LEGACY, 6, b""), "not bound to a chain"),
        (changed(LEGACY, 6, b"\xff" * 40), "too large"),
        (changed(LEGACY, 7, b""), "not signed"),
        (changed(LEGACY, 8, b"\xff" * 33), "not signed"),
        (changed(LEGACY, 3, b"\x22" * 19), "no transaction"),
        (changed(LEGACY, 0, b"\x00\x01"), "no transaction"),
        (changed(LEGACY, 0, b"\xff" * 9), "too large"),
        (changed(LEGACY, 1, b"\xff" * 33), "too large"),
        (changed(LEGACY, 4, [b"\x01"]), "no transaction"),
        (b"\x02" + changed(DYNAMIC, 2, b"\x06"), "no block takes"),
        (b"\x02" + changed(DYNAMIC, 9, b"\x02"), "wrong signature"),
        (b"\x02" + changed(DYNAMIC, 0, b""), "not bound to a chain"),
    ],
)  # fmt: skip
def test_what_dcai_does_not_sign_is_refused(raw: bytes, words: str) -> None:
    """Other types, access lists, unbound, unsigned or impossible transactions are named."""
    with pytest.raises(ValueError, match=words):
        decode_signed(raw)


def test_more_gas_is_signed_only_where_the_network_takes_it() -> None:
    """The usual limit holds unless another is given."""
    fields = {"chain_id": 1, "to": OTHER, "data": b"", "value_wei": 0, "nonce": 0, "fees": Fees(5, 1)}
    with pytest.raises(GasTooHigh):
        sign(KEY, gas=MAX_TRANSACTION_GAS + 1, **fields)  # type: ignore[arg-type]
    signed = sign(KEY, gas=MAX_TRANSACTION_GAS + 1, most_gas=2 * MAX_TRANSACTION_GAS, **fields)  # type: ignore[arg-type]
    assert decode_signed(signed.raw).gas == MAX_TRANSACTION_GAS + 1
