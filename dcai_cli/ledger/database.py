"""Opening the ledger's database: SQLite in a file, or PostgreSQL on a server.

Both are used alike. A transaction that writes is the only one that writes (SQLite: `BEGIN IMMEDIATE`), or
locks the rows that it goes by (PostgreSQL: READ COMMITTED and `FOR UPDATE`); one that reads sees the ledger
at one moment. What a database refuses becomes a `DcaiError` here, and no error has a password in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVarTuple

from sqlalchemy import Connection, Engine, Select, Table, select
from sqlalchemy.exc import SQLAlchemyError

from dcai_cli import files
from dcai_cli.errors import Locked
from dcai_cli.ledger import postgres, sqlite
from dcai_cli.ledger.database_errors import mapped_errors
from dcai_cli.ledger.schema import accounts

_Columns = TypeVarTuple("_Columns")


class Database:
    """An open database whose tables are those of this version.

    Args:
        engine: its SQLAlchemy engine.
        where: what it is, for messages: a path, or host and name.
        path: SQLite: its file; lock files stand beside it.
    """

    def __init__(self, engine: Engine, where: str, path: Path | None = None) -> None:
        self._engine = engine
        self.where = where
        self._path = path

    @classmethod
    def open(cls, place: Path | str) -> Self:
        """Open a database, making or migrating it as need be.

        Args:
            place: the SQLite file, or the URL of a PostgreSQL database.

        Raises:
            BadInput: it is no ledger, a damaged one, or a newer one.
            Locked: another process keeps it from being opened.
            DcaiError: it cannot be reached, read or written.
        """
        if isinstance(place, str):
            return cls(*postgres.open_server(place))
        path = Path(os.path.realpath(place))
        return cls(*sqlite.open_file(path), path)

    @property
    def is_server(self) -> bool:
        """Whether it is on a server, which several machines may use."""
        return self._engine.dialect.name == "postgresql"

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return self._engine

    @property
    def path(self) -> Path:
        """Its file; one on a server has none."""
        assert self._path is not None
        return self._path

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees the database at one moment, and writes nothing."""
        with self._begin(write=False) as connection:
            yield connection

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def _begin(self, *, write: bool = True) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back by any exception.

        Args:
            write: whether it writes; on SQLite it then waits for other writers at once. One that does not
                sees the ledger at one moment, whatever others commit meanwhile, and holds nobody up.
        """
        with mapped_errors(self.where), self._engine.connect() as connection:
            if not write:
                how = postgres.READING if self.is_server else sqlite.READING
                connection.execution_options(**how)
            with connection.begin():
                yield connection

    @contextmanager
    def exclusive(self, name: str, wait_s: float = 0, *, what: str = "") -> Iterator[Hold]:
        """Hold a lock between all processes that use this ledger; it is freed when the process dies.

        Args:
            name: what is locked; part of a file name.
            wait_s: how long to wait for another holder.
            what: the same for the message, as in "Account 0x12...".

        Yields:
            The lock; ask it before what must not happen without it.

        Raises:
            Locked: another process holds it.
        """
        what = what or name
        if self._path is not None:
            with files.lock(self._path.parent / "locks" / f"{name}.lock", what=what, wait_s=wait_s):
                yield Hold(None, self.where, what)
            return
        with postgres.advisory_lock(self._engine, self.where, name, what, wait_s) as connection:
            yield Hold(connection, self.where, what)


class Hold:
    """A lock that this process holds.

    Args:
        connection: on a server: the connection that holds it.
        where: the ledger, for messages.
        what: what is locked, for messages.
    """

    def __init__(self, connection: Connection | None, where: str, what: str) -> None:
        self._connection = connection
        self._where = where
        self._what = what

    def check(self) -> None:
        """Make sure that the lock is still held: a server frees it when its connection breaks.

        Raises:
            Locked: it is not.
        """
        if self._connection is None:
            return  # the system keeps it as long as the process lives
        try:
            self._connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            raise Locked(
                f"{self._what} is no longer held by this process: the connection to {self._where} broke.",
                hint="Run the same command again.",
            ) from None


# --- what a transaction may need ---------------------------------------------------------------------------


def lock_account(connection: Connection, chain: str, account: str) -> None:
    """Let no other transaction that locks the same account go on before this one ends.

    Args:
        connection: in a transaction that writes.
        chain: the chain's key.
        account: the address; its letters' case does not matter.
    """
    values = {"chain": chain, "account": account.lower()}
    connection.execute(_insert(connection, accounts).values(**values).on_conflict_do_nothing())
    row = select(accounts).where(*(accounts.c[name] == value for name, value in values.items()))
    connection.execute(row.with_for_update()).one()


def skip_locked(query: Select[*_Columns]) -> Select[*_Columns]:
    """A query that locks its rows and leaves out those that another transaction has locked.

    SQLite has one writer at a time, and so no rows to leave out.
    """
    return query.with_for_update(skip_locked=True)


def upsert(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or update the one with the same primary key, also if another process just inserted it."""
    keys = [column.name for column in table.primary_key]
    statement = _insert(connection, table).values(**values)
    rest = {name: value for name, value in values.items() if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest))


def _insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401 - two classes with the same methods
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    return insert(table)
