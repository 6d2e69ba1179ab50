"""The tables of dcai 0.1.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dcai_cli.ledger.migrations.types import DIGITS, INTEGER

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them in an empty database."""
    versions = op.create_table("schema_version", sa.Column("version", INTEGER, nullable=False))
    op.bulk_insert(versions, [{"version": 1}])
    op.create_table(
        "choices",
        sa.Column("scope", sa.String(80), primary_key=True),
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    op.create_table(
        "models",
        sa.Column("chain", sa.String(80), primary_key=True),
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("owner", sa.String(42), nullable=False),
        sa.Column("spec", sa.String, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("from_block", INTEGER, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("id", INTEGER, primary_key=True),
        sa.Column("chain", sa.String(80), nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("model", sa.String(42)),
        sa.Column("hash", sa.String(66), nullable=False, unique=True),
        sa.Column("nonce", INTEGER, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("block_number", INTEGER),
        sa.Column("block_hash", sa.String(66)),
        sa.Column("gas_used", INTEGER),
        sa.Column("fee_wei", DIGITS),
        sa.Column("contract_address", sa.String(42)),
    )
    op.create_index("transactions_by_state", "transactions", ["chain", "account", "state"])
    op.create_table(
        "batches",
        sa.Column("id", INTEGER, primary_key=True),
        sa.Column("chain", sa.String(80), nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("model", sa.String(42), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("transaction_id", INTEGER, sa.ForeignKey("transactions.id")),
        sa.Column("count", INTEGER, nullable=False),
        sa.Column("units", INTEGER, nullable=False),
        sa.Column("samples_root", sa.LargeBinary(32), nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("batch_id", DIGITS),
        sa.Column("added_at", INTEGER),
        sa.Column("deposit_per_unit_wei", DIGITS),
        sa.Column("informative", DIGITS),
        sa.Column("settled", DIGITS, nullable=False),
        sa.Column("refunded_wei", DIGITS, nullable=False),
        sa.Column("lost_wei", DIGITS, nullable=False),
    )
    op.create_index("batches_by_state", "batches", ["chain", "account", "state"])
    op.create_index("batches_by_id", "batches", ["chain", "model", "batch_id"])
    op.create_table(
        "samples",
        sa.Column("id", INTEGER, primary_key=True),
        sa.Column("chain", sa.String(80), nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("model", sa.String(42), nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("occurrence", INTEGER, nullable=False),
        sa.Column("batch", INTEGER, sa.ForeignKey("batches.id"), nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("row_number", INTEGER, nullable=False),
        sa.UniqueConstraint("chain", "account", "model", "key", "occurrence"),
    )
    op.create_index("ix_samples_batch", "samples", ["batch"])
    op.create_table(
        "claims",
        sa.Column("id", INTEGER, primary_key=True),
        sa.Column("transaction_id", INTEGER, sa.ForeignKey("transactions.id"), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("batch_id", DIGITS, nullable=False),
        sa.Column("mask", DIGITS, nullable=False),
        sa.Column("paid", DIGITS),
        sa.Column("amount_wei", DIGITS),
        sa.UniqueConstraint("transaction_id", "batch_id"),
    )
