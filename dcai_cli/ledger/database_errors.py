"""What databases refuse, as errors of ours: each with what to do next, and none with a password in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError

from dcai_cli.errors import BadInput, DcaiError, Locked

LOST = (
    "bring back a backup: dcai ledger restore FILE. Without one, read your batches from the chain: "
    "dcai ledger rebuild"
)
"""What to do without the file."""


class Damaged(BadInput):
    """A ledger that is no ledger any more."""


def damaged(where: str, why: str) -> Damaged:
    """The error of a ledger that is no ledger any more."""
    return Damaged(f"{where} is damaged: {why}.", hint=f"Move the file away; then {LOST}")


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
