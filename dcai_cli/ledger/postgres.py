"""The ledger on a server: PostgreSQL, READ COMMITTED; what a transaction goes by, it locks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from dcai_cli.config import ledger_server
from dcai_cli.errors import BadInput, DcaiError, Locked
from dcai_cli.ledger.database_errors import mapped_errors
from dcai_cli.ledger.migrations import HEAD, current_version, migrate

WAIT_S = 10.0
"""How long to wait for another process that writes."""

CONNECT_S = 10
"""How long to wait for a server to answer at first."""

READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Execution options of a connection that only reads."""


def open_server(url: str) -> tuple[Engine, str]:
    """Open a database on a server, making or migrating its tables as need be.

    Returns:
        Its engine, and what it is called in messages.

    Raises:
        DcaiError: as `Database.open` says.
    """
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
def advisory_lock(engine: Engine, where: str, name: str, what: str, wait_s: float) -> Iterator[Connection]:
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
