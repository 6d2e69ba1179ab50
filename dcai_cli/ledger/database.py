"""Opening the ledger's database: SQLite in a file, or PostgreSQL on a server.

Both are used alike. A transaction that writes is the only one that writes (SQLite: `BEGIN IMMEDIATE`), or
locks the rows that it goes by (PostgreSQL: READ COMMITTED and `FOR UPDATE`); one that reads sees the ledger
at one moment. What a database refuses becomes a `DcaiError` here, and no error has a password in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVarTuple

from sqlalchemy import Connection, Engine, Select, Table, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from dcai_cli import files
from dcai_cli.config import ledger_server
from dcai_cli.errors import BadInput, DcaiError, Locked
from dcai_cli.ledger.migrations import HEAD, current_version, migrate
from dcai_cli.ledger.schema import accounts

WAIT_S = 10.0
"""How long to wait for another process that writes."""

CONNECT_S = 10
"""How long to wait for a server to answer at first."""

_Columns = TypeVarTuple("_Columns")

_READS = "dcai_reads"
"""Execution option of a connection that only reads."""


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
            return cls(*_open_server(place))
        path = Path(os.path.realpath(place))
        return cls(*_open_file(path), path)

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
                connection.execution_options(**_reading(self._engine))
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
        with _advisory_lock(self._engine, self.where, name, what, wait_s) as connection:
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


def _reading(engine: Engine) -> dict[str, Any]:
    if engine.dialect.name == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {_READS: True}


# --- SQLite ------------------------------------------------------------------------------------------------


def _open_file(path: Path) -> tuple[Engine, str]:
    where = f"The ledger {path}"
    files.make_folder(path.parent)
    with mapped_errors(where), files.told(path, "opened"):
        if not path.exists():
            _create_file(path, where)
        check_length(path, where)
        engine = file_engine(path)
        try:
            with engine.connect() as connection:
                connection.execution_options(**_reading(engine))
                found = current_version(connection)
            if found != HEAD:
                migrate_file(path)
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
        except BaseException:
            engine.dispose()
            raise
    return engine, where


def check_length(path: Path, where: str) -> None:
    """Refuse what SQLite would take for a ledger: an empty file, or one whose last page is cut short.

    Raises:
        BadInput: it is one of these.
    """
    size = path.stat().st_size
    if size == 0:
        raise damaged(where, "it is empty")
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return  # another process writes, or died; SQLite completes the file from its log
    with path.open("rb") as file:
        header = file.read(100)
    # Of 2 bytes; 65,536 does not fit them, and is written as 1.
    page = int.from_bytes(header[16:18], "big") if header.startswith(b"SQLite format 3\0") else 0
    if len(header) < 100 or (page and size % (65_536 if page == 1 else page)):
        raise damaged(where, f"it is cut short at {size:,} bytes")


def _create_file(path: Path, where: str) -> None:
    """Make a new ledger under a temporary name, so that a file of the ledger's name is always a ledger."""
    with files.lock(path.parent / "locks" / f"{path.name}.lock", what=where, wait_s=WAIT_S):
        if path.exists():
            return  # another process made it meanwhile
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            # SQLite would mix what the log says into the new ledger.
            raise Damaged(
                f"{where} is missing, but {log.name}, which belongs to it, is there.",
                hint=f"Put {path.name} back, or move {log.name} away, too; then {_LOST}",
            )
        temporary = path.with_name(f".{path.name}.new")
        for name in (temporary.name, f"{temporary.name}-wal", f"{temporary.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        migrate_file(temporary)
        temporary.chmod(0o600)
        temporary.replace(path)
        files.sync_folder(path.parent)


def migrate_file(path: Path, *, is_new: bool = True) -> None:
    """Bring an SQLite file to this version's tables, in one transaction.

    Args:
        path: the file.
        is_new: whether it may have no tables yet.

    Raises:
        BadInput: it is no ledger, a damaged one, or a newer one.
    """
    # Tables are rebuilt under new names, which foreign keys would take for the loss of their rows.
    engine = file_engine(path, foreign_keys=False)
    try:
        with mapped_errors(f"The ledger {path}"), engine.connect() as connection, connection.begin():
            if not is_new and not connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").all():
                raise damaged(f"The ledger {path}", "it has no tables")
            migrate(connection)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise damaged(f"The ledger {path}", f"{len(broken)} rows refer to rows that are not there")
    finally:
        engine.dispose()


def file_engine(path: Path, *, foreign_keys: bool = True, journal: str = "WAL") -> Engine:
    """An engine on an SQLite file, as the ledger is used.

    Args:
        path: the file.
        foreign_keys: whether they are enforced.
        journal: SQLite's way to undo what a crash left; the ledger's is WAL, a backup's DELETE: one file.
    """
    # An error shows the statement; its values are payloads and signed transactions.
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": WAIT_S}, hide_parameters=True)

    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own class
        # The driver would begin transactions itself, but not before it reads or changes tables.
        connection.isolation_level = None
        pragmas = [
            f"journal_mode={journal}",
            # FULL: a transaction that was committed before a send must survive a power cut, too.
            "synchronous=FULL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
            # What was committed is in the file itself as soon as nobody reads, not in its log only.
            "wal_autocheckpoint=1",
        ]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", _begin_file)
    return engine


def _begin_file(connection: Connection) -> None:
    # A transaction that reads before it writes, and begins deferred, fails if another wrote in between.
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")


# --- PostgreSQL --------------------------------------------------------------------------------------------


def _open_server(url: str) -> tuple[Engine, str]:
    where = f"The ledger {ledger_server(url)}"
    engine = _server_engine(url)
    try:
        with mapped_errors(where):
            with engine.connect() as connection:
                found = current_version(connection)
            if found != HEAD:
                with engine.connect() as connection, connection.begin():
                    key = _lock_key("migrations")
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (key,))
                    migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine, where


def _server_engine(url: str) -> Engine:
    try:
        import psycopg  # noqa: F401 - SQLAlchemy imports it by its name
    except ImportError:
        raise DcaiError(
            "A ledger on PostgreSQL needs the package psycopg, which is not installed.",
            hint="Install it: pip install 'dcai[postgres]'",
        ) from None
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,  # a connection may have died with the server while nobody used it
        connect_args={
            "application_name": f"dcai {os.getpid()}@{socket.gethostname()}"[:63],
            "connect_timeout": CONNECT_S,
            # Neither side may believe for hours in a connection to a machine that is gone.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "options": f"-c lock_timeout={round(WAIT_S * 1000)} -c client_encoding=UTF8 "
            "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
        },
    )
    event.listen(engine, "connect", _check_server)
    event.listen(engine, "checkin", _forget_mode)
    return engine


def _forget_mode(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own class
    if connection is not None:
        # Not False, which would overrule a server that lets nobody write.
        connection.read_only = None


def _check_server(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own class
    with connection.cursor() as cursor:
        # What was committed before a send must survive a power cut of the server, too.
        cursor.execute(
            "SELECT current_setting('server_encoding'), CASE current_setting('synchronous_commit')"
            " WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END"
        )
        (encoding, _) = cursor.fetchone()
    connection.commit()
    if encoding != "UTF8":
        raise BadInput(
            f"The ledger's database is encoded in {encoding}, which does not hold every text.",
            hint="Make another one: createdb --encoding UTF8 --template template0 NAME",
        )


def _lock_key(name: str) -> int:
    """A lock's number on a server: 64 bits of a hash of its name."""
    return int.from_bytes(hashlib.sha256(f"dcai {name}".encode()).digest()[:8], "big", signed=True)


@contextmanager
def _advisory_lock(engine: Engine, where: str, name: str, what: str, wait_s: float) -> Iterator[Connection]:
    """Hold a lock of the server's on a connection of its own, which frees it however it ends."""
    key = _lock_key(name)
    with mapped_errors(where):
        connection = engine.connect()
    try:
        with mapped_errors(where):
            connection.execution_options(isolation_level="AUTOCOMMIT")
            deadline = time.monotonic() + wait_s
            while not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar_one():
                if time.monotonic() >= deadline:
                    raise Locked(
                        f"{what} is in use by another dcai process ({_holder(connection, key)}).",
                        hint="Wait until it ends, or stop it, and run the same command again.",
                    )
                time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))
        yield connection
    finally:
        with contextlib.suppress(SQLAlchemyError):
            connection.invalidate()  # not back to the pool: the lock lasts as long as its connection
        connection.close()


def _holder(connection: Connection, key: int) -> str:
    """Who holds a lock, as far as the server tells."""
    query = """
        SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND classid::bigint = %s AND objid::bigint = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    high, low = divmod(key % (1 << 64), 1 << 32)
    name = connection.exec_driver_sql(query, (high, low)).scalar()
    found = re.fullmatch(r"dcai (\d+)@(.+)", name or "")
    return f"pid {found[1]} on {found[2]}" if found else "pid unknown"


# --- errors ------------------------------------------------------------------------------------------------

_LOST = (
    "dcai ledger restore FILE brings back a backup. Without one, dcai ledger rebuild reads your batches from "
    "the chain."
)


class Damaged(BadInput):
    """A ledger that is no ledger any more."""


def damaged(where: str, why: str) -> Damaged:
    """The error of a ledger that is no ledger any more."""
    return Damaged(f"{where} is damaged: {why}.", hint=f"Move the file away; then {_LOST}")


@contextmanager
def mapped_errors(where: str) -> Iterator[None]:
    """Turn what a database refuses into errors of ours.

    Args:
        where: the database, for the message.

    Raises:
        Locked: another process has what is needed.
        BadInput: it is damaged.
        DcaiError: it cannot be reached, read or written.
    """
    try:
        yield
    except IntegrityError:
        raise  # the caller's business: it asked for what must not be
    except DBAPIError as error:
        sqlite_name = getattr(error.orig, "sqlite_errorname", None)
        mapped = _file_error(where, sqlite_name, error) if sqlite_name else _server_error(where, error)
        if mapped is None:
            raise
        # The chain of exceptions would show the statement, and what the server says of the user.
        raise mapped from None


_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
_UNWRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH", "SQLITE_IOERR")
_KEPT = "Run the same command again; what it had done is kept."


def _file_error(where: str, name: str, error: DBAPIError) -> DcaiError | None:
    said = str(error.orig)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Locked(f"{where} is in use by another dcai process.", hint="Run the same command again.")
    if name.startswith(_FULL):
        return DcaiError(f"{where} cannot be written: the disk is full.", hint=f"Make room on it. {_KEPT}")
    if name.startswith(_UNWRITABLE):
        return DcaiError(
            f"{where} cannot be written: {said}.",
            hint=f"Check the disk and the folder's permissions. {_KEPT}",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or said.startswith(
        ("no such table", "no such col")
    ):
        return damaged(where, said)
    return None


_BY_STATE = {
    "40001": "busy",
    "40P01": "busy",
    "55P03": "busy",
    "53100": "full",
    "25006": "readonly",
    "42501": "forbidden",
    "53300": "crowded",
    "57P01": "lost",
    "57P02": "lost",
    "57P03": "starting",
    "28P01": "password",
    "28000": "password",
    "3D000": "database",
    "XX001": "corrupt",
    "XX002": "corrupt",
    "42P01": "tables",
    "42703": "tables",
}
"""What PostgreSQL's codes mean here."""

_BY_WORDS = {
    r"authentication failed|no password supplied|role .* does not exist|no pg_hba\.conf entry": "password",
    r"database .* does not exist": "database",
    r"too many connections|remaining connection slots": "crowded",
    r"invalid connection option|invalid .* value|SSL": "options",
    r"starting up|shutting down|in recovery mode": "starting",
}
"""The same where a connection was refused: the driver then has no code."""

_SERVER_ERRORS: dict[str, tuple[type[DcaiError], str, str]] = {
    "busy": (Locked, "is in use by another dcai process", "Run the same command again."),
    "full": (DcaiError, "cannot be written: the server's disk is full", f"Make room on it. {_KEPT}"),
    "readonly": (
        DcaiError,
        "cannot be written: the server only reads, as a stand-by does",
        "Name the server that takes writes.",
    ),
    "forbidden": (
        DcaiError,
        "does not let this user read or write its tables",
        "Make the user the owner of the database, or grant it all on its schema and tables.",
    ),
    "crowded": (DcaiError, "has no connection left", "Try again later, or raise max_connections."),
    "lost": (DcaiError, "broke the connection", _KEPT),
    "starting": (DcaiError, "does not take connections now: it starts or stops", "Try again in a moment."),
    "password": (
        DcaiError,
        "refuses the user or the password",
        "Check both in ledger_url or DCAI_LEDGER (special characters are written %XX), or in .pgpass.",
    ),
    "database": (DcaiError, "is not there: the server has no such database", "Make it: createdb NAME"),
    "corrupt": (BadInput, "is damaged, its server says", "Restore the server's own backup."),
    "tables": (
        BadInput,
        "lacks tables that it should have",
        "Name the database that dcai made, or restore a backup into an empty one: dcai ledger restore FILE",
    ),
    "options": (
        DcaiError,
        "cannot be reached with the options of its URL",
        "Check what follows the question mark in ledger_url or DCAI_LEDGER; its names are those of libpq.",
    ),
    "unreachable": (
        DcaiError,
        "cannot be reached",
        "Check that the server runs, and host and port in ledger_url or DCAI_LEDGER.",
    ),
}


def _server_error(where: str, error: DBAPIError) -> DcaiError | None:
    from psycopg import InterfaceError, OperationalError, ProgrammingError

    state = getattr(error.orig, "sqlstate", None) or ""
    kind = _BY_STATE.get(state)
    refused = isinstance(error.orig, ProgrammingError) and not state
    if kind is None and (refused or isinstance(error.orig, OperationalError | InterfaceError)):
        words = str(error.orig)
        found = (kind for pattern, kind in _BY_WORDS.items() if re.search(pattern, words))
        kind = next(found, "lost" if error.connection_invalidated else "unreachable")
    if kind is None:
        return None
    of_class, what, hint = _SERVER_ERRORS[kind]
    return of_class(f"{where} {what}.", hint=hint)
