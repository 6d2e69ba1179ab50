"""A row for each account that sends, so that machines that share a ledger can lock it.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "accounts",
        sa.Column("chain", sa.String(80), primary_key=True),
        sa.Column("account", sa.String(42), primary_key=True),
    )
