"""The ledger's tables, as what is in this folder reads and writes them: all SQL stands here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Query = Callable[..., list[Any]]
"""Runs SQL with `?` for values, and returns the rows."""

IN_FLIGHT = ("signed", "sent")
"""States of a transaction that is signed and whose receipt is not known."""


@dataclass(frozen=True)
class LedgerTransaction:
    """A transaction in the ledger."""

    hash: str
    nonce: int
    state: str
    kind: str
    fee_wei: int
    block_hash: str | None


@dataclass(frozen=True)
class LedgerBatch:
    """A batch in the ledger."""

    batch_id: int | None
    state: str
    count: int
    units: int
    added_at: int | None
    deposit_per_unit_wei: int
    informative: int
    refunded_wei: int
    lost_wei: int

    @property
    def is_on_chain(self) -> bool:
        """Whether the ledger says so."""
        return self.state in {"open", "settled"}


def transactions(query: Query, account: str) -> list[LedgerTransaction]:
    """An account's transactions, oldest first."""
    rows = query(
        "SELECT hash, nonce, state, kind, fee_wei, block_hash FROM transactions "
        "WHERE account = ? ORDER BY nonce, id",
        account,
    )
    return [LedgerTransaction(row[0], row[1], row[2], row[3], int(row[4] or 0), row[5]) for row in rows]


def in_flight(query: Query) -> list[str]:
    """The hashes of the transactions that are signed and not settled."""
    return [found for (found,) in query("SELECT hash FROM transactions WHERE state IN ('signed', 'sent')")]


def batches(query: Query, account: str, model: str) -> list[LedgerBatch]:
    """An account's batches of a model."""
    rows = query(
        "SELECT batch_id, state, count, units, added_at, deposit_per_unit_wei, informative, refunded_wei, "
        "lost_wei FROM batches WHERE account = ? AND model = ? ORDER BY id",
        account,
        model,
    )
    return [
        LedgerBatch(
            batch_id=None if row[0] is None else int(row[0]),
            state=row[1],
            count=row[2],
            units=row[3],
            added_at=row[4],
            deposit_per_unit_wei=int(row[5] or 0),
            informative=int(row[6] or 0),
            refunded_wei=int(row[7]),
            lost_wei=int(row[8]),
        )
        for row in rows
    ]


def row_keys(query: Query, account: str, model: str) -> list[str]:
    """The identities of the rows that the ledger counts as contributed, in hexadecimal."""
    rows = query(
        "SELECT samples.key FROM samples JOIN batches ON samples.batch = batches.id "
        "WHERE samples.account = ? AND samples.model = ? AND batches.state IN ('open', 'settled')",
        account,
        model,
    )
    return [bytes(key).hex() for (key,) in rows]
