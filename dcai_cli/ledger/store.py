"""The ledger itself: every method is one database transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from sqlalchemy import delete, func, insert, select, update

from dcai_cli.ledger import fold
from dcai_cli.ledger.batch_store import BatchStore
from dcai_cli.ledger.commitment_store import CommitmentStore
from dcai_cli.ledger.database import upsert
from dcai_cli.ledger.records import Checkpoint, Contribution, ModelRecord, Payout
from dcai_cli.ledger.schema import batches, checkpoints, choices, models
from dcai_cli.ledger.totals import OpenSum, SettledClaim, Totals, read_open, read_settled_claims, read_totals
from dcai_cli.ledger.transaction_store import TransactionStore

KEPT_CHECKPOINTS = 64
"""How many places a model's events can be read on from, after a reorganisation."""


class Ledger(BatchStore, CommitmentStore, TransactionStore):
    """What this user did and is owed."""

    # --- choices -------------------------------------------------------------------------------------

    def choice(self, scope: str, name: str) -> str | None:
        """What was chosen, or None."""
        with self._begin(write=False) as connection:
            query = select(choices.c.value).where(choices.c.scope == scope, choices.c.name == name)
            return connection.execute(query).scalar_one_or_none()

    def choose(self, scope: str, name: str, value: str) -> None:
        """Remember a choice, over an earlier one."""
        with self._begin() as connection:
            upsert(connection, choices, {"scope": scope, "name": name, "value": value})

    # --- models --------------------------------------------------------------------------------------

    def add_model(self, model: ModelRecord) -> None:
        """Remember a model, or refresh what is known of it."""
        values = {name: getattr(model, name) for name in ModelRecord.__slots__}
        with self._begin() as connection:
            upsert(connection, models, values)

    def models(self, chain: str | None) -> list[ModelRecord]:
        """The models known on a chain, oldest first; on all chains if None."""
        query = select(models).order_by(models.c.from_block, models.c.name)
        with self._begin(write=False) as connection:
            if chain is not None:
                query = query.where(models.c.chain == chain)
            return [ModelRecord(*row) for row in connection.execute(query)]

    # --- what the chain says -------------------------------------------------------------------------

    def checkpoints(self, chain: str, model: str) -> list[Checkpoint]:
        """Up to which blocks the events of a model were read, the last first."""
        query = (
            select(checkpoints.c.block_number, checkpoints.c.block_hash)
            .where(checkpoints.c.chain == chain, checkpoints.c.model == model)
            .order_by(checkpoints.c.block_number.desc())
        )
        with self._begin(write=False) as connection:
            return [Checkpoint(*row) for row in connection.execute(query)]

    def take_over(
        self,
        chain: str,
        model: str,
        events: Iterable[Contribution | Payout],
        checkpoint: Checkpoint,
        own: Collection[str],
    ) -> None:
        """Take over events of a model, and up to where they were read.

        Args:
            chain: the chain's key.
            model: the trainer's address.
            events: in their order; those that are known change nothing.
            checkpoint: the block up to which they were read.
            own: the accounts of this user.
        """
        with self._begin() as connection:
            fold.lock_model(connection, chain, model)
            read = list(events)
            # What left a batch is folded by itself, whenever it comes: the batches can come first, together.
            contributions = [found for found in read if isinstance(found, Contribution)]
            fold.take_contributions(connection, chain, model, contributions, own)
            for found in read:
                if isinstance(found, Payout):
                    fold.take_payout(connection, chain, model, found)
            of_model = checkpoints.c.chain == chain, checkpoints.c.model == model
            connection.execute(
                delete(checkpoints).where(*of_model, checkpoints.c.block_number >= checkpoint.block_number)
            )
            connection.execute(
                insert(checkpoints).values(
                    chain=chain,
                    model=model,
                    block_number=checkpoint.block_number,
                    block_hash=checkpoint.block_hash,
                )
            )
            kept = (
                select(checkpoints.c.block_number)
                .where(*of_model)
                .order_by(checkpoints.c.block_number.desc())
                .offset(KEPT_CHECKPOINTS)
                .limit(1)
            )
            oldest = connection.execute(kept).scalar_one_or_none()
            if oldest is not None:
                connection.execute(delete(checkpoints).where(*of_model, checkpoints.c.block_number <= oldest))

    def roll_back(self, chain: str, model: str, block_number: int) -> None:
        """Forget what later blocks said of a model: they were reorganised away."""
        with self._begin() as connection:
            fold.lock_model(connection, chain, model)
            fold.roll_back(connection, chain, model, block_number)
            connection.execute(
                delete(checkpoints).where(
                    checkpoints.c.chain == chain,
                    checkpoints.c.model == model,
                    checkpoints.c.block_number > block_number,
                )
            )

    def forget_payloads(self, chain: str, block_number: int) -> None:
        """Forget the samples of batches that were settled for good: by this block, or an earlier one."""
        with self._begin() as connection:
            connection.execute(
                update(batches)
                .where(
                    batches.c.chain == chain,
                    batches.c.state == "settled",
                    batches.c.payload.is_not(None),
                    ~fold.has_payout_after(block_number),
                )
                .values(payload=None)
            )

    # --- sums ----------------------------------------------------------------------------------------

    def totals(self, chain: str, account: str, *, since: int) -> Totals:
        """What an account's claims came to, ever and since a time (seconds since 1970)."""
        with self._begin(write=False) as connection:
            return read_totals(connection, chain, account, since)

    def open_sums(
        self, chain: str, account: str, model: str, *, due_before: int, has_points: bool
    ) -> tuple[OpenSum, OpenSum]:
        """What an account's open batches of a model come to: those that wait, and those that are due.

        Args:
            chain: the chain's key.
            account: the contributor.
            model: the trainer's address.
            due_before: those that came on-chain by this time are due.
            has_points: whether only samples count of which the model predicted another label.
        """
        with self._begin(write=False) as connection:
            return read_open(connection, chain, account, model, due_before=due_before, has_points=has_points)

    def first_added_after(self, chain: str, account: str, model: str, *, after: int) -> int | None:
        """When the first open batch of an account came that came after a time; None if none did."""
        query = select(func.min(batches.c.added_at)).where(
            batches.c.chain == chain,
            batches.c.account == account,
            batches.c.state == "open",
            batches.c.model == model,
            batches.c.added_at > after,
        )
        with self._begin(write=False) as connection:
            return connection.execute(query).scalar_one_or_none()

    def settled_claims(self, chain: str, account: str, *, beyond: Totals) -> list[SettledClaim]:
        """The claims that were settled since some totals were read, oldest first."""
        with self._begin(write=False) as connection:
            return read_settled_claims(connection, chain, account, beyond)


def open_ledger(place: Path | str) -> Ledger:
    """Open the ledger, making or migrating it as need be.

    Args:
        place: the SQLite file, or the URL of a PostgreSQL database.

    Raises:
        BadInput: it is no ledger, a damaged one, or a newer one.
        Locked: another process keeps it from being opened.
        DcaiError: it cannot be reached, read or written.
    """
    return Ledger.open(place)
