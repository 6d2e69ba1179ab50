"""The ledger in a file: SQLite, where a transaction that writes is the only one that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from dcai_cli import files
from dcai_cli.ledger.database_errors import LOST, Damaged, damaged, mapped_errors
from dcai_cli.ledger.migrations import HEAD, current_version, migrate

WAIT_S = 10.0
"""How long to wait for another process that writes."""

_READS = "dcai_reads"

READING = {_READS: True}
"""Execution options of a connection that only reads."""


def open_file(path: Path) -> tuple[Engine, str]:
    """Open a file, making or migrating it as need be.

    Returns:
        Its engine, and what it is called in messages.

    Raises:
        DcaiError: as `Database.open` says.
    """
    where = f"The ledger {path}"
    files.make_folder(path.parent)
    with mapped_errors(where), files.told(path, "opened"):
        if not path.exists():
            _create_file(path, where)
        check_length(path, where)
        engine = file_engine(path)
        try:
            with engine.connect() as connection:
                connection.execution_options(**READING)
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
                hint=f"Put {path.name} back, or move {log.name} away, too; then {LOST}",
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
