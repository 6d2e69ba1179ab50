"""What the ledger hands out: frozen records."""

from __future__ import annotations

from dataclasses import dataclass

from dcai_cli.domain import Batch


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that this user deployed or used.

    Args:
        chain: the chain's key.
        address: the trainer's address.
        name: the name this user calls it by.
        owner: the owner's address.
        spec: the feature spec as canonical JSON.
        description: addresses, terms and parameters as JSON.
        from_block: its first block.
    """

    chain: str
    address: str
    name: str
    owner: str
    spec: str
    description: str
    from_block: int


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A signed transaction: it is in the ledger before it is sent."""

    id: int
    chain: str
    account: str
    kind: str
    detail: str
    model: str | None
    hash: str
    nonce: int
    raw: bytes
    state: str
    created_at: int
    block_number: int | None
    block_hash: str | None
    gas_used: int | None
    fee_wei: int | None
    contract_address: str | None


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch of this user's samples, from plan to settlement."""

    id: int
    chain: str
    account: str
    model: str
    state: str
    transaction_id: int | None
    count: int
    units: int
    samples_root: bytes
    payload: bytes | None
    batch_id: int | None
    added_at: int | None
    deposit_per_unit_wei: int | None
    informative: int | None
    settled: int
    refunded_wei: int
    lost_wei: int

    @property
    def deposit_wei(self) -> int:
        """The whole deposit; 0 until the batch is on-chain."""
        return (self.deposit_per_unit_wei or 0) * self.units

    def on_chain(self) -> Batch:
        """The committed meta-data; only a batch that is on-chain has any."""
        assert self.batch_id is not None
        assert self.added_at is not None
        assert self.deposit_per_unit_wei is not None
        assert self.informative is not None
        return Batch(
            id=self.batch_id,
            contributor=self.account,
            added_at=self.added_at,
            deposit_per_unit_wei=self.deposit_per_unit_wei,
            count=self.count,
            units=self.units,
            informative=self.informative,
            samples_root=self.samples_root,
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """What one transaction asks for of one batch."""

    kind: str
    batch_id: int
    mask: int


@dataclass(frozen=True, slots=True)
class PlannedSample:
    """A row on its way into a batch: its identity and where it comes from."""

    key: bytes
    occurrence: int
    row_number: int
