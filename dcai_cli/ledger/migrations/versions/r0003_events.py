"""What the chain says of batches, of everybody's; attempts at transactions, and whether they are final.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dcai_cli.ledger.migrations.types import DIGITS, INTEGER

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add tables, columns and indexes; the index of events reads anew what is in no table yet."""
    _extend_transactions()
    _extend_batches()
    _add_tables()


def _extend_transactions() -> None:
    # What was settled before counted as final: nobody looked at it again.
    with op.batch_alter_table("transactions") as table:
        table.add_column(sa.Column("cancels", sa.Boolean, nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("final", sa.Boolean, nullable=False, server_default=sa.true()))
    with op.batch_alter_table("transactions") as table:
        table.alter_column("cancels", server_default=None)
        table.alter_column("final", server_default=None)
    op.create_index("transactions_by_nonce", "transactions", ["chain", "account", "nonce"])
    op.execute(
        sa.text("UPDATE transactions SET final = :no WHERE state IN ('signed', 'sent')").bindparams(no=False)
    )
    op.create_table(
        "replaced",
        sa.Column("hash", sa.String(66), primary_key=True),
        sa.Column("transaction_id", INTEGER, sa.ForeignKey("transactions.id"), nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("cancels", sa.Boolean, nullable=False),
    )
    op.create_index("ix_replaced_transaction_id", "replaced", ["transaction_id"])


def _extend_batches() -> None:
    op.drop_index("batches_by_state", "batches")
    op.drop_index("batches_by_id", "batches")
    with op.batch_alter_table("batches") as table:
        table.add_column(sa.Column("block_number", INTEGER))
        table.add_column(sa.Column("block_hash", sa.String(66)))
        table.add_column(sa.Column("taken", DIGITS, nullable=False, server_default="0"))
    # Samples last: SQLite reads over all that stands before a column, and most queries want no samples.
    with op.batch_alter_table("batches", partial_reordering=[("taken", "payload")]) as table:
        table.alter_column("taken", server_default=None)
    op.create_index("batches_by_state", "batches", ["chain", "account", "state", "added_at"])
    op.create_index("batches_by_id", "batches", ["chain", "model", "batch_id"], unique=True)
    op.create_index("ix_batches_transaction_id", "batches", ["transaction_id"])


def _add_tables() -> None:
    op.create_table(
        "payouts",
        sa.Column("id", INTEGER, primary_key=True),
        sa.Column("chain", sa.String(80), nullable=False),
        sa.Column("model", sa.String(42), nullable=False),
        sa.Column("batch_id", DIGITS, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("bitmap", DIGITS, nullable=False),
        sa.Column("amount_wei", DIGITS, nullable=False),
        sa.Column("block_number", INTEGER, nullable=False),
        sa.Column("block_hash", sa.String(66), nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
        sa.Column("log_index", INTEGER, nullable=False),
        sa.UniqueConstraint("chain", "block_hash", "log_index"),
    )
    op.create_index("payouts_by_batch", "payouts", ["chain", "model", "batch_id"])
    op.create_table(
        "checkpoints",
        sa.Column("chain", sa.String(80), primary_key=True),
        sa.Column("model", sa.String(42), primary_key=True),
        sa.Column("block_number", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("block_hash", sa.String(66), nullable=False),
    )
