"""A real PostgreSQL server for tests: in a folder of its own, on a loopback port, ended by its process."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

USER = "dcai"
PASSWORD = "not-to-be-seen"
"""Its superuser, who logs in with a password as on any server."""


def programs() -> Path | None:
    """The folder of the newest server's programs: Debian's are not on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Postgres:
    """A server that runs until it is stopped.

    Args:
        folder: the programs' folder.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = folder
        # It refuses to run as root.
        self._user = "postgres" if _exists("postgres") else "nobody"
        self._home = Path(tempfile.mkdtemp(prefix="dcai-postgres-", dir=_fast_folder()))
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(self._home, self._user)
        password_file = self._home / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        options = ("--username", USER, "--pwfile", password_file, "--auth", "scram-sha-256")
        subprocess.run(
            [folder / "initdb", *options, "--encoding", "UTF8", "--locale", "C", "-D", self._data],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._home,
            **self._unprivileged(),
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _unprivileged(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}

    def start(self) -> None:
        """Start it; return when it takes connections."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self._home}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd=self._home,
                **self._unprivileged(),
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.02)  # the server tells no earlier
            else:
                return
        raise RuntimeError(f"PostgreSQL does not start: {(self._home / 'log').read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: by SIGINT its clients are cut off; by SIGQUIT it recovers when it starts again."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    def remove(self) -> None:
        """End it, and remove its folder."""
        self.stop(signal.SIGQUIT)  # nobody wants its last checkpoint
        shutil.rmtree(self._home)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """The URL of a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, *options: str) -> str:
        """Make an empty database.

        Returns:
            Its URL.
        """
        name = f"ledger{next(self._names)}"
        self.execute(f"CREATE DATABASE {name} {' '.join(options)}")
        return self.url(name)

    def execute(self, statement: str, *, database: str = "postgres") -> list[Any]:
        """Run one statement of the test's; return its rows, if it has any."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _fast_folder() -> str | None:
    """Where files are in memory, if there is room: a database for each test is 8 MB in 300 files."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of this user's own is made in it
    is_usable = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    return str(shared) if is_usable else None


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
