"""What the chain answers, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers for a unit of gas.

    Args:
        max_fee_per_gas_wei: at most, base fee and priority fee together.
        priority_fee_wei: on top of the base fee; None on chains without EIP-1559.
        base_fee_wei: what the next block asks, if that is known; not part of the offer.
    """

    max_fee_per_gas_wei: int
    priority_fee_wei: int | None
    base_fee_wei: int | None = field(default=None, compare=False)

    @property
    def likely_price_wei(self) -> int:
        """What a unit of gas costs if the next block takes it."""
        if self.priority_fee_wei is None or self.base_fee_wei is None:
            return self.max_fee_per_gas_wei
        return min(self.max_fee_per_gas_wei, self.base_fee_wei + self.priority_fee_wei)


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction that is ready to send.

    Args:
        hash: its hash, known before it is sent.
        raw: the signed bytes.
        nonce: the account's nonce that it uses up.
        gas: its gas limit.
        max_fee_wei: what its gas may cost at most.
    """

    hash: str
    raw: bytes = field(repr=False)
    nonce: int
    gas: int
    max_fee_wei: int


@dataclass(frozen=True, slots=True)
class SignedFields:
    """What a signed transaction says, so that it can be signed again with other fees.

    Args:
        to: the receiver; None deploys.
        data: the input.
        value_wei: sent along.
        nonce: the account's nonce that it uses up.
        gas: its gas limit.
        fees: what it offers for gas.
        chain_id: where it is valid.
    """

    to: str | None
    data: bytes = field(repr=False)
    value_wei: int
    nonce: int
    gas: int
    fees: Fees
    chain_id: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a mined transaction.

    Args:
        hash: the transaction's hash.
        status: whether it succeeded.
        block_number: where it was mined.
        block_hash: tells whether it was reorganised into another block.
        gas_used: intrinsic part included.
        effective_gas_price_wei: paid for a unit of gas.
        contract_address: what it deployed, if it did.
        logs: as the node sent them.
        data_fee_wei: what a layer 2 charged on top for the transaction's bytes.
    """

    hash: str
    status: bool
    block_number: int
    block_hash: str
    gas_used: int
    effective_gas_price_wei: int
    contract_address: str | None
    logs: tuple[dict[str, Any], ...] = field(repr=False)
    data_fee_wei: int = 0

    @property
    def fee_wei(self) -> int:
        """What it cost: its gas, and on a layer 2 its bytes."""
        return self.gas_used * self.effective_gas_price_wei + self.data_fee_wei


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded log.

    Args:
        name: the event's name.
        address: the contract that emitted it.
        args: its arguments by name.
        block_number: where it was mined.
        block_hash: tells whether it was reorganised into another block.
        transaction_hash: what caused it.
        log_index: its place in the block.
    """

    name: str
    address: str
    args: dict[str, Any]
    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int


@dataclass(frozen=True, slots=True)
class Block:
    """What tells a block from all others.

    Args:
        number: its place in the chain.
        hash: changes with anything in it.
        parent_hash: the block before it.
        timestamp: the chain's time.
    """

    number: int
    hash: str
    parent_hash: str
    timestamp: int
