"""The ledger itself: every method is one database transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, create_engine, delete, event, insert, select, update
from sqlalchemy.exc import DatabaseError, OperationalError

from dcai_cli.errors import BadInput, DcaiError, Locked
from dcai_cli.files import make_folder
from dcai_cli.ledger.records import Claim, ModelRecord, PlannedSample, StoredBatch, StoredTransaction
from dcai_cli.ledger.schema import batches, choices, claims, migrate, models, samples, transactions
from dcai_cli.ledger.totals import SettledClaim, Totals, read_settled_claims, read_totals

UNSETTLED = ("signed", "sent")
"""States of a transaction whose outcome is not known yet."""

WAIT_S = 10
"""How long to wait for another process that writes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction: its receipt, as far as the ledger keeps it.

    Args:
        status: whether it was executed (False: it reverted).
        block_number: its block.
        block_hash: that block's hash.
        gas_used: gas, intrinsic part included.
        fee_wei: gas used times the effective price.
        contract_address: the contract it created, if it did.
        contributed: (batch id, added at, deposit per unit in wei, informative bitmap), if it contributed.
        paid: batch id -> (bitmap of samples that paid, amount in wei), if it claimed.
        points: model points that it earned, if it claimed where there are points.
    """

    status: bool
    block_number: int
    block_hash: str
    gas_used: int
    fee_wei: int
    contract_address: str | None = None
    contributed: tuple[int, int, int, int] | None = None
    paid: dict[int, tuple[int, int]] | None = None
    points: int = 0


class Ledger:
    """What this user did and is owed.

    Args:
        engine: a SQLAlchemy engine whose tables are migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with _mapped_errors(), self._engine.begin() as connection:
            yield connection

    # --- choices -------------------------------------------------------------------------------------

    def choice(self, scope: str, name: str) -> str | None:
        """What was chosen, or None."""
        with self._begin() as connection:
            query = select(choices.c.value).where(choices.c.scope == scope, choices.c.name == name)
            return connection.execute(query).scalar_one_or_none()

    def choose(self, scope: str, name: str, value: str) -> None:
        """Remember a choice, over an earlier one."""
        with self._begin() as connection:
            connection.execute(delete(choices).where(choices.c.scope == scope, choices.c.name == name))
            connection.execute(insert(choices).values(scope=scope, name=name, value=value))

    # --- models --------------------------------------------------------------------------------------

    def add_model(self, model: ModelRecord) -> None:
        """Remember a model, or refresh what is known of it."""
        values = {name: getattr(model, name) for name in ModelRecord.__slots__}
        with self._begin() as connection:
            known = models.c.chain == model.chain, models.c.address == model.address
            connection.execute(delete(models).where(*known))
            connection.execute(insert(models).values(**values))

    def models(self, chain: str) -> list[ModelRecord]:
        """The models known on a chain, oldest first."""
        with self._begin() as connection:
            query = select(models).where(models.c.chain == chain).order_by(models.c.from_block, models.c.name)
            return [ModelRecord(*row) for row in connection.execute(query)]

    # --- contributions -------------------------------------------------------------------------------

    def contributed_keys(self, chain: str, account: str, model: str) -> set[tuple[bytes, int]]:
        """The rows that are on-chain or on their way: (identity, occurrence); a mere plan is neither."""
        query = (
            select(samples.c.key, samples.c.occurrence)
            .join(batches)
            .where(
                samples.c.chain == chain,
                samples.c.account == account,
                samples.c.model == model,
                batches.c.state != "planned",
            )
        )
        with self._begin() as connection:
            return {(bytes(key), occurrence) for key, occurrence in connection.execute(query)}

    def keys_of(self, batch: StoredBatch) -> set[tuple[bytes, int]]:
        """The rows of a batch: (identity, occurrence)."""
        query = select(samples.c.key, samples.c.occurrence).where(samples.c.batch == batch.id)
        with self._begin() as connection:
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
        """Write down a batch before anything is signed."""
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
            return StoredBatch(*connection.execute(select(batches).where(batches.c.id == batch)).one())

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

    def batches(self, chain: str, account: str, *, state: str, model: str | None = None) -> list[StoredBatch]:
        """A contributor's batches in one state, oldest first."""
        query = select(batches).where(
            batches.c.chain == chain, batches.c.account == account, batches.c.state == state
        )
        if model is not None:
            query = query.where(batches.c.model == model)
        with self._begin() as connection:
            return [StoredBatch(*row) for row in connection.execute(query.order_by(batches.c.id))]

    def batch_of(self, transaction: StoredTransaction) -> StoredBatch | None:
        """The batch that a transaction contributed, if it did."""
        with self._begin() as connection:
            query = select(batches).where(batches.c.transaction_id == transaction.id)
            row = connection.execute(query).one_or_none()
            return None if row is None else StoredBatch(*row)

    def settle_batch(self, batch: StoredBatch, *, settled: int, lost_wei: int) -> None:
        """Take over from the chain what others settled of a batch.

        Args:
            batch: the batch.
            settled: bitmap of its settled samples.
            lost_wei: what reports and sweeps took.
        """
        with self._begin() as connection:
            _settle(connection, _reread(connection, batches, batch.id), settled=settled, lost_wei=lost_wei)

    # --- transactions --------------------------------------------------------------------------------

    def add_transaction(
        self,
        *,
        chain: str,
        account: str,
        kind: str,
        hash: str,  # noqa: A002 - the field's word
        nonce: int,
        raw: bytes,
        created_at: int,
        detail: str = "",
        model: str | None = None,
        batch: StoredBatch | None = None,
        asked: Iterable[Claim] = (),
    ) -> StoredTransaction:
        """Write down a signed transaction, with what it is about, before it is sent.

        Signing the same once more gives the same hash: one that is on its way under it is the same, and
        what was dropped under it is forgotten.
        """
        values: dict[str, Any] = {
            "chain": chain,
            "account": account,
            "kind": kind,
            "detail": detail,
            "model": model,
            "hash": hash,
            "nonce": nonce,
            "raw": raw,
            "state": "signed",
            "created_at": created_at,
        }
        with self._begin() as connection:
            under_way = transactions.c.hash == hash, transactions.c.state.in_(UNSETTLED)
            same = connection.execute(select(transactions).where(*under_way)).one_or_none()
            if same is not None:
                return StoredTransaction(*same)
            dropped = transactions.c.hash == hash, transactions.c.state == "dropped"
            asked_before = claims.c.transaction_id.in_(select(transactions.c.id).where(*dropped))
            connection.execute(delete(claims).where(asked_before))
            connection.execute(delete(transactions).where(*dropped))
            result = connection.execute(insert(transactions).values(**values))
            (transaction,) = result.inserted_primary_key or (None,)
            if batch is not None:
                connection.execute(
                    update(batches)
                    .where(batches.c.id == batch.id)
                    .values(state="signed", transaction_id=transaction)
                )
            for claim in asked:
                connection.execute(
                    insert(claims).values(
                        transaction_id=transaction, kind=claim.kind, batch_id=claim.batch_id, mask=claim.mask
                    )
                )
            return StoredTransaction(*_reread(connection, transactions, transaction))

    def mark_sent(self, transaction: StoredTransaction) -> None:
        """A node took the transaction."""
        with self._begin() as connection:
            connection.execute(
                update(transactions)
                .where(transactions.c.id == transaction.id, transactions.c.state == "signed")
                .values(state="sent")
            )

    def drop(self, transaction: StoredTransaction) -> None:
        """The transaction can never be mined: its nonce was used by another; its batch is a plan again."""
        with self._begin() as connection:
            connection.execute(
                update(transactions).where(transactions.c.id == transaction.id).values(state="dropped")
            )
            _unplan(connection, transaction)

    def settle(self, transaction: StoredTransaction, outcome: Outcome) -> None:
        """Write down what became of a transaction, and all that follows from it, once."""
        with self._begin() as connection:
            result = connection.execute(
                update(transactions)
                .where(transactions.c.id == transaction.id, transactions.c.state.in_(UNSETTLED))
                .values(
                    state="mined" if outcome.status else "reverted",
                    block_number=outcome.block_number,
                    block_hash=outcome.block_hash,
                    gas_used=outcome.gas_used,
                    fee_wei=outcome.fee_wei,
                    contract_address=outcome.contract_address,
                )
            )
            if result.rowcount == 0:
                return  # another process was faster; the sums below must not be added twice
            if not outcome.status:
                _unplan(connection, transaction)
            elif outcome.contributed is not None:
                batch_id, added_at, deposit_per_unit_wei, informative = outcome.contributed
                values: dict[str, Any] = {
                    "state": "open",
                    "batch_id": batch_id,
                    "added_at": added_at,
                    "deposit_per_unit_wei": deposit_per_unit_wei,
                    "informative": informative,
                }
                if not deposit_per_unit_wei and not informative:
                    values |= _CLOSED  # nothing was deposited and no point can be earned
                connection.execute(
                    update(batches).where(batches.c.transaction_id == transaction.id).values(**values)
                )
            for batch_id, (paid, amount_wei) in (outcome.paid or {}).items():
                _record_payment(connection, transaction, batch_id, paid, amount_wei)

    def transaction(self, identity: int) -> StoredTransaction:
        """One transaction as it stands now."""
        with self._begin() as connection:
            return StoredTransaction(*_reread(connection, transactions, identity))

    def transactions(
        self, chain: str, *, account: str | None = None, states: Sequence[str] = (), kind: str | None = None
    ) -> list[StoredTransaction]:
        """Transactions of a chain in the order of their nonces per account."""
        query = select(transactions).where(transactions.c.chain == chain)
        if account is not None:
            query = query.where(transactions.c.account == account)
        if states:
            query = query.where(transactions.c.state.in_(states))
        if kind is not None:
            query = query.where(transactions.c.kind == kind)
        with self._begin() as connection:
            rows = connection.execute(query.order_by(transactions.c.nonce, transactions.c.id))
            return [StoredTransaction(*row) for row in rows]

    # --- sums ----------------------------------------------------------------------------------------

    def totals(self, chain: str, account: str, *, since: int) -> Totals:
        """What an account's claims came to, ever and since a time (seconds since 1970)."""
        with self._begin() as connection:
            return read_totals(connection, chain, account, since)

    def settled_claims(self, chain: str, account: str, *, beyond: Totals) -> list[SettledClaim]:
        """The claims that were settled since some totals were read, oldest first."""
        with self._begin() as connection:
            return read_settled_claims(connection, chain, account, beyond)


def open_ledger(path: Path) -> Ledger:
    """Open the ledger, making or migrating it as need be.

    Args:
        path: the SQLite file.

    Raises:
        BadInput: the file is no ledger, or a newer one.
    """
    make_folder(path.parent)
    # An error shows the statement; its values are payloads and signed transactions.
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": WAIT_S}, hide_parameters=True)
    event.listen(engine, "connect", _set_pragmas)
    try:
        with _mapped_errors(path):
            with engine.begin() as connection:
                migrate(connection)
            path.chmod(0o600)
    except BaseException:
        engine.dispose()
        raise
    return Ledger(engine)


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own class
    # FULL: a transaction that was committed before a send must survive a power cut, too.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


@contextmanager
def _mapped_errors(path: Path | None = None) -> Iterator[None]:
    where = f"The ledger {path}" if path else "The ledger"
    try:
        yield
    except OperationalError as error:
        if "locked" in str(error.orig):
            raise Locked(
                f"{where} is in use by another dcai process.", hint="Run the same command again."
            ) from error
        raise DcaiError(
            f"{where} cannot be written: {error.orig}.", hint="Check the disk and the folder's permissions."
        ) from error
    except DatabaseError as error:
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise BadInput(
                f"{where} is damaged: {error.orig}.", hint="Move the file away; the chain knows your batches."
            ) from error
        raise


def _reread(connection: Connection, table: Table, identity: int | None) -> Any:  # noqa: ANN401
    return connection.execute(select(table).where(table.c.id == identity)).one()


def _unplan(connection: Connection, transaction: StoredTransaction) -> None:
    connection.execute(
        update(batches)
        .where(batches.c.transaction_id == transaction.id)
        .values(state="planned", transaction_id=None)
    )


def _record_payment(
    connection: Connection, transaction: StoredTransaction, batch_id: int, paid: int, amount_wei: int
) -> None:
    claim = claims.c.transaction_id == transaction.id, claims.c.batch_id == batch_id
    if transaction.kind == "sweep":  # it takes what is left of every sample that was open
        paid = connection.execute(select(claims.c.mask).where(*claim)).scalar_one()
    connection.execute(update(claims).where(*claim).values(paid=paid, amount_wei=amount_wei))
    own = connection.execute(
        select(batches).where(
            batches.c.chain == transaction.chain,
            batches.c.model == transaction.model,
            batches.c.account == transaction.account,
            batches.c.batch_id == batch_id,
        )
    ).one_or_none()
    if own is not None:  # others' batches are not in this account's books
        _settle(connection, own, settled=own.settled | paid, refunded_wei=own.refunded_wei + amount_wei)


_CLOSED = {"state": "settled", "payload": None}
"""What becomes of a batch when there is nothing more to get for it."""


def _settle(
    connection: Connection,
    row: Row[Any],
    *,
    settled: int,
    refunded_wei: int | None = None,
    lost_wei: int | None = None,
) -> None:
    refunded_wei = row.refunded_wei if refunded_wei is None else refunded_wei
    lost_wei = row.lost_wei if lost_wei is None else lost_wei
    values: dict[str, Any] = {"settled": settled, "refunded_wei": refunded_wei, "lost_wei": lost_wei}
    deposit_wei = row.deposit_per_unit_wei * row.units
    # Without a deposit there are points, which only informative samples can earn.
    if refunded_wei + lost_wei == deposit_wei if deposit_wei else not row.informative & ~settled:
        values |= _CLOSED
    connection.execute(update(batches).where(batches.c.id == row.id).values(**values))
