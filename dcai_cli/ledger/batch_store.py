"""Batches in the ledger: planned, contributed, and what is left of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, delete, insert, null, select, update
from sqlalchemy.exc import IntegrityError

from dcai_cli.errors import Locked
from dcai_cli.ledger import fold
from dcai_cli.ledger.database import Database
from dcai_cli.ledger.records import (
    ContributionTotals,
    PlannedSample,
    StoredBatch,
    StoredTransaction,
)
from dcai_cli.ledger.schema import batches, payouts, samples, transactions


class BatchStore(Database):
    """The part of the ledger that has batches and samples; every method is one database transaction."""

    def contributed_keys(self, chain: str, account: str, model: str) -> set[tuple[bytes, int]]:
        """The rows that are on-chain or on their way: (identity, occurrence); a mere plan is neither."""
        query = (
            select(samples.c.key, samples.c.occurrence)
            .join(batches)
            .where(
                samples.c.chain == chain,
                samples.c.account == account,
                samples.c.model == model,
                samples.c.row_number > 0,
                batches.c.state != "planned",
            )
        )
        with self._begin(write=False) as connection:
            return {(bytes(key), occurrence) for key, occurrence in connection.execute(query)}

    def sample_keys(self, chain: str, account: str, model: str) -> Counter[bytes]:
        """Samples on-chain whose rows this ledger does not know: the hash of their bytes, and how many."""
        query = select(samples.c.key).where(
            samples.c.chain == chain,
            samples.c.account == account,
            samples.c.model == model,
            samples.c.row_number == 0,
        )
        with self._begin(write=False) as connection:
            return Counter(bytes(key) for key in connection.execute(query).scalars())

    def keys_of(self, batch: StoredBatch) -> set[tuple[bytes, int]]:
        """The rows of a batch: (identity, occurrence)."""
        query = select(samples.c.key, samples.c.occurrence).where(samples.c.batch == batch.id)
        with self._begin(write=False) as connection:
            return {(bytes(key), occurrence) for key, occurrence in connection.execute(query)}

    def plan_batch(
        self,
        chain: str,
        account: str,
        model: str,
        *,
        payload: bytes,
        units: int,
        samples_root: bytes,
        rows: Sequence[PlannedSample],
    ) -> StoredBatch:
        """Write down a batch before anything is signed.

        Raises:
            Locked: another process has planned or contributed one of its rows.
        """
        place = {"chain": chain, "account": account, "model": model}
        with self._begin() as connection:
            result = connection.execute(
                insert(batches).values(
                    **place,
                    state="planned",
                    count=len(rows),
                    units=units,
                    samples_root=samples_root,
                    payload=payload,
                )
            )
            (batch,) = result.inserted_primary_key or (None,)
            try:
                connection.execute(
                    insert(samples),
                    [
                        {
                            **place,
                            "key": row.key,
                            "occurrence": row.occurrence,
                            "batch": batch,
                            "position": position,
                            "row_number": row.row_number,
                        }
                        for position, row in enumerate(rows)
                    ],
                )
            except IntegrityError:
                raise Locked(
                    f"Another process has contributed some of the rows {rows[0].row_number} to "
                    f"{rows[-1].row_number} meanwhile.",
                    hint="Run the same command again.",
                ) from None
            return StoredBatch(*connection.execute(select(batches).where(batches.c.id == batch)).one())

    def has_lost_contribution(self, chain: str, account: str, model: str) -> bool:
        """Whether a contribution is mined of which no batch knows the rows, since they were given free.

        A reorganisation can take a cancellation, and bring the contribution.
        """
        query = (
            select(transactions.c.id)
            .outerjoin(batches, batches.c.transaction_id == transactions.c.id)
            .where(
                transactions.c.chain == chain,
                transactions.c.account == account,
                transactions.c.model == model,
                transactions.c.kind == "contribute",
                transactions.c.state == "mined",
                batches.c.id.is_(None),
            )
        )
        with self._begin(write=False) as connection:
            return connection.execute(query.limit(1)).first() is not None

    def drop_planned(self, chain: str, account: str, model: str) -> int:
        """Forget plans that nobody signed; their rows can be planned anew.

        Returns:
            How many batches were dropped.
        """
        with self._begin() as connection:
            query = select(batches.c.id).where(
                batches.c.chain == chain,
                batches.c.account == account,
                batches.c.model == model,
                batches.c.state == "planned",
            )
            planned = list(connection.execute(query).scalars())
            connection.execute(delete(samples).where(samples.c.batch.in_(planned)))
            connection.execute(delete(batches).where(batches.c.id.in_(planned)))
            return len(planned)

    def batches(
        self,
        chain: str,
        account: str,
        *,
        state: str,
        model: str | None = None,
        others: bool = False,
        payloads: bool = True,
        added_by: int | None = None,
        first: int | None = None,
    ) -> list[StoredBatch]:
        """Batches in one state, in the order in which this ledger heard of them.

        Args:
            chain: the chain's key.
            account: the contributor.
            state: planned, signed, open or settled.
            model: only of this model.
            others: those of everybody else, instead of the account's.
            payloads: whether to read their samples, too.
            added_by: only those that came on-chain by this time.
            first: only so many, those that came on-chain first, in that order.
        """
        columns = [
            column if payloads or column.name != "payload" else null().label("payload")
            for column in batches.c
        ]
        query: Select[Any] = select(*columns).where(
            batches.c.chain == chain,
            batches.c.account != account if others else batches.c.account == account,
            batches.c.state == state,
        )
        if model is not None:
            query = query.where(batches.c.model == model)
        if added_by is not None:
            query = query.where(batches.c.added_at <= added_by)
        if first is None:
            query = query.order_by(batches.c.id)
        else:
            query = query.order_by(batches.c.added_at, batches.c.id).limit(first)
        with self._begin(write=False) as connection:
            return [StoredBatch(*row) for row in connection.execute(query)]

    def contribution_totals(self, chain: str, model: str) -> ContributionTotals:
        """Sums over all batches of a model that this ledger knows to be on-chain, whoever sent them.

        Args:
            chain: the chain's key.
            model: the trainer's address.
        """
        query = select(batches.c.account, batches.c.count, batches.c.informative).where(
            batches.c.chain == chain, batches.c.model == model, batches.c.batch_id.is_not(None)
        )
        with self._begin(write=False) as connection:
            rows = connection.execute(query).all()
        return ContributionTotals(
            samples=sum(count for _, count, _ in rows),
            informative=sum(informative.bit_count() for _, _, informative in rows),
            contributors=len({account.lower() for account, _, _ in rows}),
        )

    def batch(self, identity: int) -> StoredBatch | None:
        """One batch as it stands now; None if it is gone."""
        with self._begin(write=False) as connection:
            row = connection.execute(select(batches).where(batches.c.id == identity)).one_or_none()
            return None if row is None else StoredBatch(*row)

    def payloads(self, identities: Collection[int]) -> dict[int, bytes]:
        """The samples of some batches by their numbers in the ledger; those that are gone are left out."""
        if not identities:
            return {}
        query = select(batches.c.id, batches.c.payload).where(
            batches.c.id.in_(identities), batches.c.payload.is_not(None)
        )
        with self._begin(write=False) as connection:
            return {identity: bytes(payload) for identity, payload in connection.execute(query)}

    def batch_of(self, transaction: StoredTransaction) -> StoredBatch | None:
        """The batch that a transaction contributed, if it did."""
        with self._begin(write=False) as connection:
            query = select(batches).where(batches.c.transaction_id == transaction.id)
            row = connection.execute(query).one_or_none()
            return None if row is None else StoredBatch(*row)

    def reported(self, batch: StoredBatch, account: str) -> int:
        """Bitmap of the samples of a batch that an account reported: nobody can do so twice."""
        query = select(payouts.c.bitmap).where(
            payouts.c.chain == batch.chain,
            payouts.c.model == batch.model,
            payouts.c.batch_id == batch.batch_id,
            payouts.c.kind == "report",
            payouts.c.account == account,
        )
        reported = 0
        with self._begin(write=False) as connection:
            for bitmap in connection.execute(query).scalars():
                reported |= bitmap
        return reported

    def mark_taken(self, batch: StoredBatch, taken: int) -> None:
        """Write down which samples reports took whole: their events do not say it.

        Args:
            batch: a batch of which reports took something.
            taken: bitmap of samples of which nothing is left.
        """
        with self._begin() as connection:
            fold.lock_model(connection, batch.chain, batch.model)
            connection.execute(update(batches).where(batches.c.id == batch.id).values(taken=taken))
            if batch.batch_id is not None:
                fold.refold(connection, batch.chain, batch.model, batch.batch_id)
