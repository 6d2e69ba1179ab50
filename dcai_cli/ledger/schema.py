"""The ledger's tables as they are now; `migrations` leads to them.

Every table names its chain, because a reset devnet and a main network may share one ledger.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from dcai_cli.ledger.columns import Integer


class BigInteger(TypeDecorator[int]):
    """An unsigned integer of up to 256 bits (wei, bitmaps), kept as decimal digits."""

    impl = String(78)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> str | None:  # noqa: ANN401, ARG002
        """Write the digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> int | None:  # noqa: ANN401, ARG002
        """Read the digits."""
        return None if value is None else int(value)


metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

choices = Table(
    "choices",
    metadata,
    Column("scope", String(80), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
    comment="what the user or the tool settled on: the account in use, a chain's registry, ...",
)

models = Table(
    "models",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("address", String(42), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("owner", String(42), nullable=False),
    Column("spec", String, nullable=False),
    Column("description", String, nullable=False, comment="addresses, terms and parameters as JSON"),
    Column("from_block", Integer, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain", String(80), nullable=False),
    Column("account", String(42), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("detail", String(200), nullable=False, default=""),
    Column("model", String(42)),
    Column(
        "hash", String(66), nullable=False, unique=True, comment="of the newest attempt, or the mined one"
    ),
    Column("nonce", Integer, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column(
        "state", String(10), nullable=False, comment="signed, sent, mined, reverted, cancelled or dropped"
    ),
    Column("cancels", Boolean, nullable=False, default=False, comment="whether `raw` only uses up the nonce"),
    Column("final", Boolean, nullable=False, default=False, comment="no reorganisation reaches its block"),
    Column("created_at", Integer, nullable=False),
    Column("block_number", Integer),
    Column("block_hash", String(66)),
    Column("gas_used", Integer),
    Column("fee_wei", BigInteger),
    Column("contract_address", String(42)),
    Index("transactions_by_state", "chain", "account", "state"),
    Index("transactions_by_nonce", "chain", "account", "nonce"),
)

replaced = Table(
    "replaced",
    metadata,
    Column("hash", String(66), primary_key=True),
    Column("transaction_id", ForeignKey("transactions.id"), nullable=False, index=True),
    Column("raw", LargeBinary, nullable=False),
    Column("cancels", Boolean, nullable=False),
    comment="earlier attempts at a transaction, with lower fees: each can still be the one that is mined",
)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain", String(80), nullable=False),
    Column("account", String(42), nullable=False, comment="the contributor: this user, or anybody else"),
    Column("model", String(42), nullable=False),
    Column("state", String(10), nullable=False, comment="planned, signed, open or settled"),
    Column("transaction_id", ForeignKey("transactions.id"), index=True, comment="none for what others sent"),
    Column("count", Integer, nullable=False),
    Column("units", Integer, nullable=False),
    Column("samples_root", LargeBinary(32), nullable=False),
    Column("batch_id", BigInteger),
    Column("added_at", Integer),
    Column("deposit_per_unit_wei", BigInteger),
    Column("informative", BigInteger),
    Column("block_number", Integer),
    Column("block_hash", String(66)),
    Column("settled", BigInteger, nullable=False, default=0, comment="bitmap"),
    Column("taken", BigInteger, nullable=False, default=0, comment="bitmap of what reports took whole"),
    Column("refunded_wei", BigInteger, nullable=False, default=0),
    Column("lost_wei", BigInteger, nullable=False, default=0),
    # Last: SQLite reads over all that stands before a column, and most queries want no samples.
    Column("payload", LargeBinary, comment="kept until the batch is settled for good: nodes prune logs"),
    Index("batches_by_state", "chain", "account", "state", "added_at"),
    Index("batches_by_id", "chain", "model", "batch_id", unique=True),
)

payouts = Table(
    "payouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain", String(80), nullable=False),
    Column("model", String(42), nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False, comment="refund, report or sweep"),
    Column("account", String(42), nullable=False, comment="who was paid"),
    Column("bitmap", BigInteger, nullable=False, comment="samples that paid; 0 for a sweep"),
    Column("amount_wei", BigInteger, nullable=False),
    Column("block_number", Integer, nullable=False),
    Column("block_hash", String(66), nullable=False),
    Column("transaction_hash", String(66), nullable=False),
    Column("log_index", Integer, nullable=False),
    Index("payouts_by_batch", "chain", "model", "batch_id"),
    UniqueConstraint("chain", "block_hash", "log_index"),
    comment="what left a batch, by the events of its trainer",
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("model", String(42), primary_key=True),
    Column("block_number", Integer, primary_key=True, autoincrement=False),
    Column("block_hash", String(66), nullable=False),
    comment="up to which blocks the events of a model were read",
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain", String(80), nullable=False),
    Column("account", String(42), nullable=False),
    Column("model", String(42), nullable=False),
    Column("key", LargeBinary(32), nullable=False, comment="identity of the row"),
    Column("occurrence", Integer, nullable=False, comment="0, or more with --allow-duplicates"),
    Column("batch", ForeignKey("batches.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("row_number", Integer, nullable=False, comment="0 where only the sample is known, not the row"),
    # A row that is on-chain, or on its way, cannot be planned again: not even by two processes at once.
    UniqueConstraint("chain", "account", "model", "key", "occurrence"),
)

claims = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_id", ForeignKey("transactions.id"), nullable=False),
    Column("kind", String(10), nullable=False, comment="refund, report or sweep"),
    Column("batch_id", BigInteger, nullable=False),
    Column("mask", BigInteger, nullable=False, comment="samples asked for"),
    Column("paid", BigInteger, comment="bitmap of samples that paid"),
    Column("amount_wei", BigInteger),
    UniqueConstraint("transaction_id", "batch_id"),
)

commitments = Table(
    "commitments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain", String(80), nullable=False),
    Column("account", String(42), nullable=False),
    Column("market", String(42), nullable=False),
    Column("kind", String(20), nullable=False, comment="piece, contribution or weights"),
    Column("number", Integer, nullable=False, comment="of the piece; of the first word of weights; else 0"),
    Column("hash", LargeBinary(32), nullable=False, comment="what the market knows it by"),
    Column("closed", Boolean, nullable=False, default=False, comment="nothing is to be done in the market"),
    Column("payload", LargeBinary, nullable=False, comment="what must be shown; its salt stands nowhere"),
    UniqueConstraint("chain", "account", "market", "hash"),
    comment="what somebody is to show in a prediction market: there before its hash is",
)

accounts = Table(
    "accounts",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("account", String(42), primary_key=True, comment="in small letters"),
    comment="what `database.lock_account` locks",
)
