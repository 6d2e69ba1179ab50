"""The embedded chain's file: keys and values in SQLite, one transaction a block.

The format is plain: a table of the trie's nodes, blocks and indices as py-evm names them, and a table of
facts of our own. Keys are read when they are needed and only new ones are written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dcai_cli.errors import BadInput, DcaiError

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1

_REFUSED = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_BUSY")
"""Errors of the disk, not of what is in the file."""


class Store:
    """A key-value store that keeps what was written in memory until `commit`.

    Args:
        path: the SQLite file; it is made if it does not exist.

    Raises:
        BadInput: the file is not an embedded chain of this format.
        DcaiError: it cannot be read or written now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: dict[bytes, bytes] = {}
        # None marks a deleted key.
        self._pending: dict[bytes, bytes | None] = {}
        with self._told():
            self._database = sqlite3.connect(path, isolation_level=None)
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._database.close()
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what SQLite refuses: a full disk is no reason to throw the chain away."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "").startswith(_REFUSED):
                raise DcaiError(
                    f"The embedded chain {self._path} cannot be written: {error}.",
                    hint="Check the free space and the permissions, and run the same command again.",
                ) from None
            raise self._unusable(str(error)) from None

    def _unusable(self, why: str) -> BadInput:
        return BadInput(
            f"{self._path} is not an embedded chain: {why}.",
            hint="Type `dcai devnet reset` to start a new one; the old one is lost.",
        )

    def _prepare(self) -> None:
        found = self._database.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, _FORMAT):
            raise self._unusable(f"format {found}, this version reads {_FORMAT}")
        self._database.execute("PRAGMA journal_mode=WAL")
        # A block must survive a power cut once its receipt was handed out.
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(
            f"""
            BEGIN;
            CREATE TABLE IF NOT EXISTS node (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
            PRAGMA user_version={_FORMAT};
            COMMIT;
            """
        )

    def __getitem__(self, key: bytes) -> bytes:
        if key in self._pending:
            value = self._pending[key]
        else:
            value = self._cache.get(key)
            if value is None:
                with self._told():
                    row = self._database.execute("SELECT value FROM node WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    value = self._cache[key] = row[0]
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        self[key]
        self._pending[key] = None

    def __contains__(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def fact(self, name: str) -> int:
        """A number that was committed under this name; 0 if none was."""
        with self._told():
            row = self._database.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def commit(self, **facts: int) -> None:
        """Write everything that is new, and these facts, in one durable transaction.

        Raises:
            DcaiError: it cannot be written; nothing of it was.
        """
        written = [(key, value) for key, value in self._pending.items() if value is not None]
        deleted = [(key,) for key, value in self._pending.items() if value is None]
        with self._told(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", written)
            self._database.executemany("DELETE FROM node WHERE key = ?", deleted)
            self._database.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())
        self._cache.update(written)
        for (key,) in deleted:
            self._cache.pop(key, None)
        self._pending.clear()

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._pending.clear()

    def close(self) -> None:
        """Close the file; what was not committed is gone."""
        self._database.close()
