"""What this user committed to in prediction markets, and has to show later.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dcai_cli.ledger.migrations.types import INTEGER

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "commitments",
        sa.Column("id", INTEGER, primary_key=True),
        sa.Column("chain", sa.String(80), nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("market", sa.String(42), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("chain", "account", "market", "hash"),
    )
