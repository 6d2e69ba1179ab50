"""Types of columns as revisions write them: what they mean never changes."""

from __future__ import annotations

import sqlalchemy as sa

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64 bits; SQLite's keys count up by themselves only if they are called INTEGER."""

DIGITS = sa.String(78)
"""An unsigned integer of up to 256 bits, in decimal digits."""
