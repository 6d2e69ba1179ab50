"""Looking after a ledger: whether its books are sound, a copy of it in one file, and back from there."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from dcai_cli import files
from dcai_cli.errors import BadInput
from dcai_cli.ledger.database import Database
from dcai_cli.ledger.database_errors import mapped_errors
from dcai_cli.ledger.schema import batches, claims, metadata, samples, transactions
from dcai_cli.ledger.sqlite import check_length, file_engine, migrate_file

ON_CHAIN = ("mined", "reverted", "cancelled")
"""States of a transaction that used its nonce up."""

UNDER_WAY = ("signed", "sent")

CHUNK = 1_000
"""Rows that are copied at a time."""


# --- check -------------------------------------------------------------------------------------------------


def faults(database: Database) -> list[str]:
    """What is wrong in a ledger, each fault in a sentence; nothing is changed.

    Raises:
        DcaiError: it cannot be read at all.
    """
    with database.reading() as connection:
        if not database.is_server:
            broken = _broken_file(connection)
            if broken:
                return broken  # what its tables say cannot be relied on
        try:
            return [*_transaction_faults(connection), *_batch_faults(connection), *_claim_faults(connection)]
        except (ValueError, TypeError) as error:
            return [f"A value is not of its column's type: {error}."]


def _broken_file(connection: Connection) -> list[str]:
    found = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
    broken = [f"The file is damaged: {line}." for line in found if line != "ok"]
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        broken.append(f"Row {row} of {table} refers to a row of {parent} that is not there.")
    return broken


def _transaction_faults(connection: Connection) -> Iterator[str]:
    columns = transactions.c
    for states, what in ((ON_CHAIN, "are on-chain"), (UNDER_WAY, "are on their way")):
        twice = (
            select(columns.chain, columns.account, columns.nonce, func.count())
            .where(columns.state.in_(states))
            .group_by(columns.chain, columns.account, columns.nonce)
            .having(func.count() > 1)
        )
        for chain, account, nonce, count in connection.execute(twice):
            yield f"{count} transactions of {account} on chain {chain} {what} with nonce {nonce}."
    without = select(columns.hash).where(
        columns.state.in_(ON_CHAIN),
        columns.block_number.is_(None) | columns.gas_used.is_(None) | columns.fee_wei.is_(None),
    )
    for hash_ in connection.execute(without).scalars():
        yield f"Transaction {hash_} is on-chain, but its block, gas or fee is not known."


def _batch_faults(connection: Connection) -> Iterator[str]:
    columns = batches.c
    counted = select(samples.c.batch, func.count(), func.max(samples.c.position)).group_by(samples.c.batch)
    rows_of = {batch: (count, last) for batch, count, last in connection.execute(counted)}
    query = select(
        *(column for column in columns if column.name not in {"payload", "samples_root"}),
        columns.payload.is_(None).label("lacks_payload"),
        transactions.c.state.label("transaction_state"),
    ).select_from(batches.outerjoin(transactions, columns.transaction_id == transactions.c.id))
    with connection.execute(query, execution_options={"yield_per": CHUNK}) as rows:
        for row in rows:
            of = f" ({row.batch_id} of {row.model})" if row.batch_id is not None else ""
            for fault in _faults_of_batch(row, *rows_of.get(row.id, (0, None))):
                yield f"Batch {row.id}{of} {fault}."


def _faults_of_batch(row: Any, kept: int, last: int | None) -> Iterator[str]:  # noqa: ANN401 - a row
    if (kept or row.transaction_id is not None) and (kept, last) != (row.count, row.count - 1):
        yield f"has {row.count} samples, of which {kept} are in the ledger"
    if row.state == "signed" and row.transaction_state not in UNDER_WAY:
        yield f"is signed, but its transaction is {row.transaction_state or 'not there'}"
    if row.state == "planned" and row.transaction_id is not None:
        yield "is a plan, but has a transaction"
    if row.state in {"open", "settled"}:
        yield from _faults_on_chain(row)


def _faults_on_chain(row: Any) -> Iterator[str]:  # noqa: ANN401 - a row
    if None in {row.batch_id, row.added_at, row.deposit_per_unit_wei, row.informative}:
        yield "is on-chain, but its id, time, deposit or informative samples are not known"
        return
    if row.transaction_id is not None and row.transaction_state != "mined":
        yield f"is {row.state}, but its transaction is {row.transaction_state}"
    if (row.settled | row.informative) >> row.count:
        yield f"marks samples beyond its {row.count}"
    deposit_wei = row.deposit_per_unit_wei * row.units
    gone_wei = row.refunded_wei + row.lost_wei
    if gone_wei > deposit_wei:
        yield f"lost or got back {gone_wei} wei of a deposit of {deposit_wei} wei"
    if row.state == "settled" and gone_wei < deposit_wei:
        yield f"is settled, but {deposit_wei - gone_wei} wei of its deposit are left"
    if row.state == "open" and row.lacks_payload:
        yield "is open, but its samples' bytes, which a refund needs, are gone"


def _claim_faults(connection: Connection) -> Iterator[str]:
    """Payments are in the books twice: with the transaction that claimed, and with the batch that paid."""
    query = (
        select(
            transactions.c.chain,
            transactions.c.account,
            transactions.c.model,
            claims.c.batch_id,
            claims.c.amount_wei,
            claims.c.paid,
            claims.c.mask,
            transactions.c.hash,
        )
        .join(transactions, claims.c.transaction_id == transactions.c.id)
        .where(transactions.c.state == "mined", claims.c.amount_wei.is_not(None))
    )
    paid_wei: dict[tuple[Any, ...], int] = {}
    for chain, account, model, batch, amount_wei, paid, mask, hash_ in connection.execute(query):
        key = (chain, account, model, batch)
        paid_wei[key] = paid_wei.get(key, 0) + amount_wei
        if (paid or 0) & ~mask:
            yield f"Transaction {hash_} was paid for samples of batch {batch} that it did not claim."
    own = select(
        batches.c.chain, batches.c.account, batches.c.model, batches.c.batch_id, batches.c.refunded_wei
    )
    for *found, refunded_wei in connection.execute(own.where(batches.c.batch_id.is_not(None))):
        claimed_wei = paid_wei.get(tuple(found), 0)
        if claimed_wei > refunded_wei:
            yield (
                f"Batch {found[3]} of {found[2]} paid {claimed_wei} wei by its transactions, "
                f"{refunded_wei} wei by its own account."
            )


def size_of(database: Database) -> dict[str, int]:
    """How many transactions, batches and samples a ledger has."""
    with database.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (transactions, batches, samples)
        }


# --- backup ------------------------------------------------------------------------------------------------


def write_backup(database: Database, path: Path, *, replace: bool) -> dict[str, int]:
    """Copy a ledger, as it is at one moment, into one SQLite file; others may write meanwhile.

    Args:
        database: the ledger, in a file or on a server.
        path: the file; 0600, there as a whole or not at all.
        replace: whether to replace what is there.

    Returns:
        How many transactions, batches and samples are in it.

    Raises:
        BadInput: the ledger is damaged, or the file is there.
        DcaiError: the file cannot be written.
    """
    with files.told(path, "written"):
        folder = Path(os.path.realpath(path)).parent
        files.make_folder(folder)
    with _temporary(folder, path.name) as copy:
        if database.is_server:
            _copy_rows(database, copy)
        else:
            _copy_file(database.path, copy, database.where)
        _make_single(copy)
        with closing(Database(file_engine(copy, journal="DELETE"), f"The backup {path}", copy)) as written:
            with written.reading() as connection:
                broken = _broken_file(connection)
            if broken:
                raise BadInput(
                    f"{database.where} is damaged:\n" + "\n".join(broken),
                    hint="Keep a copy of it as it is, and bring back a backup: dcai ledger restore FILE",
                )
            size = size_of(written)
        _put(copy, path, replace=replace)
        return size


@contextmanager
def _temporary(folder: Path, name: str) -> Iterator[Path]:
    """A new file beside the one that it becomes; it, and SQLite's files beside it, are gone afterwards."""
    with files.told(folder / name, "written"):
        handle, copy = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        os.close(handle)
    try:
        yield Path(copy)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{copy}{ending}").unlink(missing_ok=True)


@contextmanager
def _sqlite_told(where: str) -> Iterator[None]:
    """What SQLite refuses where it is used without SQLAlchemy."""
    from sqlalchemy.exc import DBAPIError

    with mapped_errors(where):
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise DBAPIError(None, None, error) from error


def _copy_file(source: Path, target: Path, where: str, *, mode: str = "rw") -> None:
    """Copy a database, page by page, as it is at one moment; into one that is there in one transaction."""
    with (
        _sqlite_told(where),
        closing(sqlite3.connect(f"{source.as_uri()}?mode={mode}", uri=True, timeout=10)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)


def _copy_rows(database: Database, target: Path) -> None:
    """Copy a ledger from a server into a file with the same tables."""
    migrate_file(target)
    engine = file_engine(target)
    try:
        with (
            mapped_errors(f"The ledger {target}"),
            engine.connect() as copy,
            copy.begin(),
            database.reading() as connection,
        ):
            _copy_tables(connection, copy)
    finally:
        engine.dispose()


def _copy_tables(source: Connection, target: Connection) -> None:
    for table in metadata.sorted_tables:
        if table.name == "schema_version":
            continue  # the target has its own
        with source.execute(select(table), execution_options={"yield_per": CHUNK}) as rows:
            for part in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in part])


def _make_single(path: Path) -> None:
    """Let a database be one file, all of it on the disk."""
    with _sqlite_told(f"The backup {path}"), closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()
    path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(copy: Path, path: Path, *, replace: bool) -> None:
    """Give a finished file its name."""
    target = Path(os.path.realpath(path))
    with files.told(path, "written"):
        if replace:
            copy.replace(target)
        else:
            try:
                _name(copy, target)
            except FileExistsError:
                raise BadInput(
                    f"{path} is there already.", hint="Name another file, or replace this one: --force"
                ) from None
        files.sync_folder(target.parent)


def _name(copy: Path, target: Path) -> None:
    """Rename a file, but not over another."""
    try:
        target.hardlink_to(copy)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}:
            raise
        if target.exists():  # this file system knows no links; the moment in between has to be risked
            raise FileExistsError from None
        copy.replace(target)


# --- restore -----------------------------------------------------------------------------------------------


@contextmanager
def opened_backup(path: Path, folder: Path) -> Iterator[Database]:
    """A copy of a backup, with the tables of this version, checked; the backup itself is only read.

    Args:
        path: the backup.
        folder: where the copy stands while it is used.

    Raises:
        BadInput: it is no ledger, a damaged one, or a newer one.
    """
    where = f"The backup {path}"
    if not path.is_file():
        raise BadInput(f"{path} is no file.", hint="Name a backup, as made by: dcai ledger backup FILE")
    files.make_folder(folder)
    with _temporary(folder, "ledger.restored") as copy:
        try:
            check_length(path, where)
            _copy_file(Path(os.path.realpath(path)), copy, where, mode="ro")
            migrate_file(copy, is_new=False)
            _make_single(copy)
            engine = file_engine(copy, journal="DELETE")
            with closing(Database(engine, where, copy)) as database:
                found = faults(database)
                if found:
                    raise BadInput(f"{where} is damaged:\n" + "\n".join(found))  # noqa: TRY301
                yield database
        except BadInput as error:
            if not error.message.startswith((where, f"The ledger {copy}")):
                raise
            message = error.message.replace(f"The ledger {copy}", where)
            hint = error.hint if "pgrade" in error.hint else "Name another backup; nothing was changed."
            raise BadInput(message, hint=hint) from None


def missing_transactions(present: Database, backup: Database) -> list[str]:
    """The hashes of the transactions that a ledger has, and a backup of it has not, oldest first."""
    query = select(transactions.c.hash).order_by(transactions.c.id)
    with backup.reading() as connection:
        known = set(connection.execute(query).scalars())
    with present.reading() as connection:
        return [hash_ for hash_ in connection.execute(query).scalars() if hash_ not in known]


def put_back(backup: Database, path: Path, kept: Path, *, is_usable: bool) -> bool:
    """Replace a ledger in a file by a backup; the caller holds the accounts' locks.

    Args:
        backup: the checked copy of the backup, in the same folder.
        path: the ledger.
        kept: where what is there now is kept.
        is_usable: whether what is there now is a ledger that SQLite can read.

    Returns:
        Whether there was something to keep.

    Raises:
        DcaiError: something cannot be written; the ledger is what it was.
    """
    source = backup.path
    backup.close()
    if is_usable:
        _copy_file(path, kept, f"The ledger {path}")
        _make_single(kept)
        files.sync_folder(path.parent)
        # Into the file, in one transaction: other processes may have it open.
        _copy_file(source, path, f"The ledger {path}")
        return True
    with files.told(path, "written"):
        there = [ending for ending in ("", "-wal") if path.with_name(f"{path.name}{ending}").exists()]
        for ending in there:
            with path.with_name(f"{path.name}{ending}").open("rb") as content:
                files.write_atomically(kept.with_name(f"{kept.name}{ending}"), content)
        for ending in ("-wal", "-shm"):
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
        source.replace(path)
        files.sync_folder(path.parent)
    return bool(there)


def load_into_server(backup: Database, server: Database) -> None:
    """Copy a backup into an empty ledger on a server, in one transaction.

    Raises:
        BadInput: the ledger is not empty.
    """
    with mapped_errors(server.where), server.engine.connect() as target, target.begin():
        tables = [table for table in metadata.sorted_tables if table.name != "schema_version"]
        names = ", ".join(table.name for table in tables)
        target.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
        for table in tables:
            if target.execute(select(table).limit(1)).first() is not None:
                raise BadInput(
                    f"{server.where} is not empty: {table.name} has rows.",
                    hint="Restore into an empty database: createdb NAME",
                )
        with backup.reading() as connection:
            _copy_tables(connection, target)
        for table in tables:
            if "id" in table.c:  # the next row must not get the number of one of these
                highest = select(func.max(table.c.id))
                sequence = func.pg_get_serial_sequence(table.name, "id")
                target.execute(select(func.setval(sequence, highest.scalar_subquery())))


@contextmanager
def nobody_sends(folder: Path) -> Iterator[None]:
    """Hold the lock of every account that ever sent from here.

    Args:
        folder: where the locks are.

    Raises:
        Locked: one of them sends now.
    """
    with ExitStack() as stack:
        for path in sorted(folder.glob("*-*.lock")):  # CHAIN-ADDRESS
            stack.enter_context(files.lock(path, what=f"Lock {path.stem}"))
        yield
