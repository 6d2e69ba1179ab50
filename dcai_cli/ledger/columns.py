"""Types of columns that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlalchemy

Integer = sqlalchemy.BigInteger().with_variant(sqlalchemy.Integer(), "sqlite")
"""64 bits on both: PostgreSQL's INTEGER has 32; SQLite's keys count up only if they are called INTEGER."""
