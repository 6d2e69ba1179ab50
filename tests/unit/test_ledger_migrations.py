"""The ledger's tables come from its migrations, each of which happens as a whole or not at all."""

from __future__ import annotations

import gc
import itertools
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import PendingRollbackError

from dcai_cli.errors import BadInput
from dcai_cli.ledger import open_ledger
from dcai_cli.ledger.migrations import BASELINE, HEAD, _upgrade, scripts
from dcai_cli.ledger.schema import metadata
from tests.conftest import PROJECT

RELEASED = (PROJECT / "tests" / "golden" / "ledger-1.sql").read_text(encoding="utf-8")
CHAIN, ME = "131337-00000000", "0x" + "11" * 20


class Died(BaseException):
    """The process ended here."""


DEATHS = (Died, PendingRollbackError)
"""What comes of it: the second where Alembic still wants to tidy up."""


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A ledger that dcai 0.1 wrote: an open batch with a sample refunded, one on its way, and a plan."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(RELEASED)
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where there is no ledger yet."""
    return (
        str(request.getfixturevalue("postgres_url"))
        if request.param == "postgres"
        else tmp_path / "ledger.sqlite"
    )


def plain_engine(place: Path | str) -> Engine:
    """An engine of the test's own."""
    return create_engine(
        f"sqlite:///{place}" if isinstance(place, Path) else place.replace(":", "+psycopg:", 1)
    )


def tables(place: Path | str) -> list[str]:
    """What tables are there."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if isinstance(place, Path)
        else "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    engine = plain_engine(place)
    with engine.connect() as connection:
        found = sorted(connection.execute(text(query)).scalars())
    engine.dispose()
    return found


def version(place: Path | str) -> list[Any]:
    """What the ledger says of its version, in both places."""
    engine = plain_engine(place)
    with engine.connect() as connection:
        query = text("SELECT version_num, version FROM alembic_version, schema_version")
        found = [tuple(row) for row in connection.execute(query)]
    engine.dispose()
    return found


@contextmanager
def dying_after(statement: int) -> Iterator[Callable[[], int]]:
    """The body dies when a statement, counted from 1 on, was executed; yields how many were."""
    count = 0

    def executed(_connection: object, _cursor: object, statement_text: str, *_: Any) -> None:
        nonlocal count
        if statement_text.startswith("BEGIN"):
            return  # nothing has happened yet
        count += 1
        if count == statement:
            raise Died

    event.listen(Engine, "after_cursor_execute", executed)
    try:
        yield lambda: count
    finally:
        event.remove(Engine, "after_cursor_execute", executed)
        gc.collect()  # this process lives on, and must not keep the dead one's statements


def test_after_all_migrations_the_tables_are_those_of_the_program(place: Path | str) -> None:
    """Alembic finds no difference between a new ledger and the tables that the program uses."""
    open_ledger(place).close()
    engine = plain_engine(place)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        # Comments stand in the program, for its readers.
        differences = [
            found for found in compare_metadata(context, metadata) if not _is_about_comments(found)
        ]
    engine.dispose()
    assert differences == []
    assert version(place) == [(HEAD, int(HEAD))]


def _is_about_comments(found: Any) -> bool:
    kind = found[0][0] if isinstance(found, list) else found[0]
    return kind in {"add_table_comment", "remove_table_comment", "modify_comment"}


def test_a_table_that_lacks_a_column_is_seen(tmp_path: Path) -> None:
    """The comparison above can fail: a column that no migration made is a difference."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    engine = plain_engine(path)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE claims DROP COLUMN paid"))
        context = MigrationContext.configure(connection)
        kinds = [found[0] for found in compare_metadata(context, metadata)]
    engine.dispose()
    assert kinds == ["add_column"]


def test_the_first_revision_makes_what_dcai_0_1_made(released: Path, tmp_path: Path) -> None:
    """The same tables and indexes, to the letter but for white space."""

    def statements(database: sqlite3.Connection) -> set[str]:
        rows = database.execute("SELECT sql FROM sqlite_master WHERE sql NOT LIKE '%alembic%'")
        return {" ".join(sql.split()) for (sql,) in rows}

    new = tmp_path / "new.sqlite"
    engine = plain_engine(new)
    with engine.begin() as connection:
        _upgrade(connection, BASELINE)
    engine.dispose()
    with closing(sqlite3.connect(released)) as old, closing(sqlite3.connect(new)) as made:
        assert statements(made) == statements(old)


def test_the_revisions_are_one_line_of_numbers() -> None:
    """0001, 0002, ... to the one that the program asks for, so that versions can be compared."""
    revisions = [script.revision for script in scripts().walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert (revisions[0], revisions[-1]) == (BASELINE, HEAD)


def test_a_ledger_of_dcai_0_1_is_taken_over(released: Path) -> None:
    """All that it says is there afterwards, amounts beyond 64 bits included."""
    with closing(open_ledger(released)) as ledger:
        (opened,) = ledger.batches(CHAIN, ME, state="open")
        assert (opened.settled, opened.refunded_wei, opened.payload) == (1, 2**65 + 1, b"\1\2")
        assert [stored.state for stored in ledger.transactions(CHAIN)] == ["mined", "mined", "signed"]
        assert len(ledger.contributed_keys(CHAIN, ME, opened.model)) == 3
        assert (ledger.choice("", "account"), len(ledger.models(CHAIN))) == ("alice", 1)
    assert version(released) == [(HEAD, int(HEAD))]


def test_a_newer_ledger_is_refused(place: Path | str) -> None:
    """A version that this dcai does not know is not touched; the hint says what to do."""
    open_ledger(place).close()
    engine = plain_engine(place)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
        connection.execute(text("UPDATE schema_version SET version = 99"))
    engine.dispose()
    with pytest.raises(BadInput, match="version 99") as caught:
        open_ledger(place)
    assert "upgrade" in caught.value.hint
    assert version(place) == [("0099", 99)]


def test_a_database_of_something_else_is_refused(place: Path | str) -> None:
    """Tables of another program are named and left alone."""
    engine = plain_engine(place)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    engine.dispose()
    with pytest.raises(BadInput, match="something else: customers") as caught:
        open_ledger(place)
    assert "a database of its own" in caught.value.hint
    assert tables(place) == ["customers"]


def test_a_migration_that_dies_leaves_everything_as_it_was(released: Path) -> None:
    """Whatever statement was the last, the old ledger is untouched, and the next opening migrates it."""
    before = released.read_bytes()
    for statement in itertools.count(1):
        released.write_bytes(before)
        with closing(sqlite3.connect(released)) as database:
            dump = list(database.iterdump())
        with dying_after(statement) as executed:
            try:
                open_ledger(released).close()
            except DEATHS:
                pass
            else:
                assert executed() < statement
                break
        with closing(sqlite3.connect(released)) as database:
            assert list(database.iterdump()) == dump
        open_ledger(released).close()
        assert version(released) == [(HEAD, int(HEAD))]
    assert statement > 8  # it did die in the middle


def test_a_new_ledger_is_made_as_a_whole(place: Path | str) -> None:
    """Dying after any statement leaves no table behind, or all of them, and the next opening makes them."""
    every = {*metadata.tables, "alembic_version"}
    for statement in itertools.count(1):
        with dying_after(statement), suppress(*DEATHS):
            open_ledger(place).close()
        made = set() if isinstance(place, Path) and not place.exists() else set(tables(place))
        if made:
            break
    assert statement > 12
    assert made == every
    open_ledger(place).close()
    assert version(place) == [(HEAD, int(HEAD))]


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from dcai_cli.ledger import open_ledger

def executed(connection, cursor, statement, *_):
    if "CREATE TABLE accounts" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "after_cursor_execute", executed)
open_ledger(Path(sys.argv[1]) if sys.argv[1].startswith("/") else sys.argv[1])
"""


def test_a_migration_that_is_killed_never_happened(released: Path) -> None:
    """SIGKILL in the middle: the ledger is still that of dcai 0.1, and is migrated when it is next opened."""
    process = subprocess.run([sys.executable, "-c", KILLED, released], cwd=PROJECT, check=False)
    assert process.returncode == -9
    with closing(sqlite3.connect(released)) as database:
        dump = "\n".join(database.iterdump())
    assert dump.strip() in RELEASED
    open_ledger(released).close()
    assert version(released) == [(HEAD, int(HEAD))]


def test_a_new_ledger_whose_making_was_killed_is_made_by_the_next(place: Path | str) -> None:
    """Neither an empty file nor half of the tables is left."""
    process = subprocess.run([sys.executable, "-c", KILLED, str(place)], cwd=PROJECT, check=False)
    assert process.returncode == -9
    open_ledger(place).close()
    assert version(place) == [(HEAD, int(HEAD))]


OPENED = """
import sys
from pathlib import Path
from dcai_cli.ledger import open_ledger
import alembic.runtime.environment
print("ready", flush=True)
sys.stdin.readline()
open_ledger(Path(sys.argv[1]) if sys.argv[1].startswith("/") else sys.argv[1]).choose("", sys.argv[2], "here")
"""


def test_processes_that_open_a_new_ledger_at_once_make_it_once(place: Path | str) -> None:
    """Four start together: all of them work, in one ledger with one version."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENED, str(place), f"process{number}"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, talk = process.communicate()
        assert process.returncode == 0, talk
    with closing(open_ledger(place)) as ledger:
        assert [ledger.choice("", f"process{number}") for number in range(4)] == ["here"] * 4
    assert version(place) == [(HEAD, int(HEAD))]


def test_a_ledger_of_this_version_is_opened_without_alembic(tmp_path: Path) -> None:
    """Alembic takes a quarter of a second to import, which each command would have to wait for."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    program = (
        "import sys; from pathlib import Path; from dcai_cli.ledger import open_ledger;"
        "open_ledger(Path(sys.argv[1])).choose('', 'a', 'b'); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, path], cwd=PROJECT, check=True)
