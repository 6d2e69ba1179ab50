"""A ledger on a server: locks between machines, and errors in our words, without the password."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from dcai_cli.errors import BadInput, DcaiError, Locked
from dcai_cli.ledger import open_ledger
from dcai_cli.ledger.database import lock_account, skip_locked
from dcai_cli.ledger.schema import accounts, transactions
from tests.conftest import PROJECT
from tests.postgres import PASSWORD, Postgres, programs

CHAIN, ME = "131337-00000000", "0x" + "Aa" * 20


@pytest.fixture
def place(postgres_url: str) -> str:
    """The URL of a new ledger."""
    open_ledger(postgres_url).close()
    return postgres_url


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may stop."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed: tools/install_packages")
    server = Postgres(folder)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """The place of a new ledger, in a file and again on a server."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return tmp_path / "ledger.sqlite"


@contextmanager
def told(*, of: type[DcaiError], says: str, hint: str) -> Iterator[None]:
    """The body ends with this error; neither it nor its traceback has the password."""
    with pytest.raises(of, match=says) as caught:
        yield
    assert type(caught.value) is of
    assert hint in caught.value.hint
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.hint
    assert PASSWORD not in shown


# --- transactions ------------------------------------------------------------------------------------------


def test_a_transaction_that_writes_keeps_other_writers_out_from_its_first_read(tmp_path: Path) -> None:
    """On SQLite: it reads, another wants to write, it writes; begun deferred, it would fail for good."""
    path = tmp_path / "ledger.sqlite"
    with closing(open_ledger(path)) as mine, closing(open_ledger(path)) as other:
        entered, written = threading.Event(), []

        def write() -> None:
            entered.wait()
            other.choose("", "account", "bob")
            written.append("other")

        thread = threading.Thread(target=write)
        thread.start()
        with mine._begin() as connection:
            connection.execute(text("SELECT count(*) FROM choices")).one()
            entered.set()
            thread.join(0.2)  # it waits: this transaction would break if it did not
            assert written == []
            connection.execute(text("INSERT INTO choices VALUES ('', 'account', 'alice')"))
        thread.join()
        assert (written, mine.choice("", "account")) == (["other"], "bob")


def test_a_transaction_that_reads_sees_one_moment_and_holds_nobody_up(shared: Path | str) -> None:
    """What another commits meanwhile is seen by the next transaction, not by this one."""
    with closing(open_ledger(shared)) as mine, closing(open_ledger(shared)) as other:
        with mine._begin(write=False) as connection:
            count = text("SELECT count(*) FROM choices")
            assert connection.execute(count).scalar_one() == 0
            other.choose("", "account", "bob")
            assert connection.execute(count).scalar_one() == 0
        assert mine.choice("", "account") == "bob"


def test_an_account_is_locked_by_one_transaction_at_a_time(
    shared: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits, whatever the case of the address, and says so when it waited too long."""
    for server in ("sqlite", "postgres"):
        monkeypatch.setattr(f"dcai_cli.ledger.{server}.WAIT_S", 0.2)
    with closing(open_ledger(shared)) as mine, closing(open_ledger(shared)) as other:
        with mine._begin() as connection:
            lock_account(connection, CHAIN, ME)
            with pytest.raises(Locked, match="in use by another dcai process"), other._begin() as second:
                lock_account(second, CHAIN, ME.lower())
        with other._begin() as second:
            lock_account(second, CHAIN, ME.upper())
            assert second.execute(select(accounts)).all() == [(CHAIN, ME.lower())]


def test_accounts_do_not_wait_for_each_other_on_a_server(place: str) -> None:
    """Two accounts, or one on two chains, are locked by two transactions at once."""
    with (
        closing(open_ledger(place)) as mine,
        closing(open_ledger(place)) as other,
        mine._begin() as connection,
        other._begin() as second,
    ):
        lock_account(connection, CHAIN, ME)
        lock_account(second, CHAIN, "0x" + "bb" * 20)
        lock_account(second, "1-main", ME)


def test_locked_rows_are_left_out(place: str) -> None:
    """Two workers that take work from one table never take the same row."""
    query = skip_locked(select(accounts.c.account).order_by(accounts.c.account).limit(1))
    with closing(open_ledger(place)) as mine, closing(open_ledger(place)) as other:
        for account in ("0xa", "0xb"):
            with mine._begin() as connection:
                lock_account(connection, CHAIN, account)
        with mine._begin() as connection, other._begin() as second:
            assert connection.execute(query).scalars().all() == ["0xa"]
            assert second.execute(query).scalars().all() == ["0xb"]


def test_two_that_choose_at_once_both_succeed(place: str) -> None:
    """Neither finds the other's row when it begins; the later one's value stays."""
    with closing(open_ledger(place)) as mine, closing(open_ledger(place)) as other:
        with mine._begin() as connection:
            connection.execute(text("INSERT INTO choices VALUES ('', 'account', 'alice')"))
            thread = threading.Thread(target=other.choose, args=("", "account", "bob"))
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
        thread.join()
        assert mine.choice("", "account") == "bob"


# --- locks between processes -------------------------------------------------------------------------------

HOLDING = """
import sys
from pathlib import Path
from dcai_cli.ledger import open_ledger
with open_ledger(Path(sys.argv[1]) if sys.argv[1].startswith("/") else sys.argv[1]).exclusive("daemon"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holding(place: Path | str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(place)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_names_its_holder_and_is_free_when_it_is_killed(shared: Path | str) -> None:
    """Exit code 18 with process id (and host, on a server); after SIGKILL the next one has it."""
    with closing(open_ledger(shared)) as ledger:
        with holding(shared) as process:
            where = f"pid {process.pid}"
            if isinstance(shared, str):
                where += f" on {socket.gethostname()}"
            named = rf"Account 0x1 is in use .*\({where}\)"
            with pytest.raises(Locked, match=named), ledger.exclusive("daemon", what="Account 0x1"):
                pass
            with ledger.exclusive("another") as held:
                held.check()
            process.kill()
            process.wait()
            with ledger.exclusive("daemon", wait_s=10) as held:
                held.check()
        with ledger.exclusive("daemon"):
            pass


def test_a_lock_can_be_waited_for(shared: Path | str) -> None:
    """Who waits gets it as soon as the holder lets it go."""
    with ExitStack() as stack:
        mine, other = (stack.enter_context(closing(open_ledger(shared))) for _ in range(2))
        first = stack.enter_context(ExitStack())
        first.enter_context(mine.exclusive("daemon"))
        got = threading.Event()

        def wait() -> None:
            with other.exclusive("daemon", wait_s=20):
                got.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.wait(0.1)
        first.close()
        assert got.wait(20)
        thread.join()


def test_a_lock_whose_connection_broke_is_known_to_be_lost(place: str, postgres: Postgres) -> None:
    """The server ends the connection: another may have the lock, and the first one is told before it acts."""
    with closing(open_ledger(place)) as ledger, closing(open_ledger(place)) as other:
        with ledger.exclusive("daemon", what="Account 0x1") as held:
            held.check()
            terminate(postgres, place)
            with told(of=Locked, says="Account 0x1 is no longer held", hint="again"):
                held.check()
            with other.exclusive("daemon", wait_s=10):
                pass
        assert ledger.choice("", "account") is None


def terminate(server: Postgres, place: str) -> None:
    """End every connection to a database, as its administrator can."""
    name = place.rpartition("/")[2]
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
    server.execute(ended)


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_what_a_server_refuses_is_said_in_words(postgres: Postgres, place: str) -> None:
    """Password, user, database, host and port: each has a message with the place, and a hint."""
    name = place.rpartition("/")[2]
    where = rf"^The ledger {name} on 127\.0\.0\.1:{postgres.port}"
    with told(of=DcaiError, says=f"{where} refuses the user or the password", hint="ledger_url"):
        open_ledger(postgres.url(name, password=f"{PASSWORD}x"))
    with told(of=DcaiError, says=f"{where} refuses the user or the password", hint=".pgpass"):
        open_ledger(postgres.url(name, user="nobody-here"))
    with told(of=DcaiError, says=r"^The ledger missing on 127.* no such database", hint="createdb"):
        open_ledger(postgres.url("missing"))
    with told(of=DcaiError, says=r"^The ledger x on 127\.0\.0\.1:1 cannot be reached", hint="host and port"):
        open_ledger(f"postgresql://me:{PASSWORD}@127.0.0.1:1/x")
    with told(
        of=DcaiError, says=r"^The ledger x on nowhere\.invalid cannot be reached", hint="host and port"
    ):
        open_ledger(f"postgresql://me:{PASSWORD}@nowhere.invalid/x")
    with told(of=DcaiError, says="cannot be reached with the options", hint="libpq"):
        open_ledger(f"{place}?no_such_option={PASSWORD}")


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: Postgres) -> None:
    """Names and labels are UTF-8."""
    url = postgres.new_database("ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    with told(of=BadInput, says="encoded in LATIN1", hint="--encoding UTF8"):
        open_ledger(url)


def test_a_user_without_rights_is_told_so(postgres: Postgres, place: str) -> None:
    """Neither an empty database nor a ledger can be used without them."""
    postgres.execute("CREATE ROLE guest LOGIN PASSWORD 'not-to-be-seen'")
    name = place.rpartition("/")[2]
    with told(of=DcaiError, says="does not let this user", hint="owner"):
        open_ledger(postgres.url(name, user="guest"))
    empty = postgres.new_database().rpartition("/")[2]
    with told(of=DcaiError, says="does not let this user", hint="owner"):
        open_ledger(postgres.url(empty, user="guest"))


def test_a_server_that_only_reads_is_told_so(postgres: Postgres, place: str) -> None:
    """As a stand-by does."""
    postgres.execute(f"ALTER DATABASE {place.rpartition('/')[2]} SET default_transaction_read_only = on")
    with closing(open_ledger(place)) as ledger:
        assert ledger.choice("", "account") is None
        with told(of=DcaiError, says="the server only reads", hint="takes writes"):
            ledger.choose("", "account", "alice")


def test_tables_that_somebody_dropped_are_missed(postgres: Postgres, place: str) -> None:
    """A damaged ledger is named as such."""
    postgres.execute("DROP TABLE claims, samples, batches", database=place.rpartition("/")[2])
    with closing(open_ledger(place)) as ledger, told(of=BadInput, says="lacks tables", hint="restore"):
        ledger.batches(CHAIN, ME, state="open")


def test_a_commit_waits_for_the_disk_whatever_the_database_says(postgres: Postgres, place: str) -> None:
    """What is written before a send survives a power cut of the server."""
    postgres.execute(f"ALTER DATABASE {place.rpartition('/')[2]} SET synchronous_commit = off")
    with closing(open_ledger(place)) as ledger, ledger._begin() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


def test_a_connection_that_breaks_inside_a_transaction_loses_it_whole(postgres: Postgres, place: str) -> None:
    """A clear error; the next transaction has a new connection, and nothing of the broken one is there."""
    with closing(open_ledger(place)) as ledger:
        broke = told(of=DcaiError, says="broke the connection", hint="same command again")
        with broke, ledger._begin() as connection:
            connection.execute(text("INSERT INTO choices VALUES ('', 'account', 'alice')"))
            terminate(postgres, place)
            connection.execute(text("SELECT 1"))
        assert ledger.choice("", "account") is None
        ledger.choose("", "account", "bob")


def test_a_connection_that_breaks_before_the_commit_loses_nothing_in_silence(
    postgres: Postgres, place: str
) -> None:
    """The commit fails with an error, not as if it had been done."""
    with closing(open_ledger(place)) as ledger:
        broke = told(of=DcaiError, says="broke the connection", hint="same command again")
        with broke, ledger._begin() as connection:
            connection.execute(text("INSERT INTO choices VALUES ('', 'account', 'alice')"))
            terminate(postgres, place)
        assert ledger.choice("", "account") is None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_restarts_is_used_again(own_postgres: Postgres, how: signal.Signals) -> None:
    """Down: an error with a hint. Up again, also after a crash: the same open ledger goes on."""
    with closing(open_ledger(own_postgres.new_database())) as ledger:
        ledger.choose("", "account", "alice")
        own_postgres.stop(how)
        with told(of=DcaiError, says="cannot be reached|broke the connection", hint=""):
            ledger.choose("", "account", "bob")
        own_postgres.start()
        assert ledger.choice("", "account") == "alice"
        ledger.choose("", "account", "carol")
        assert ledger.choice("", "account") == "carol"


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain installation has no psycopg."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with told(of=DcaiError, says="psycopg, which is not installed", hint=r"pip install 'dcai[postgres]'"):
        open_ledger(f"postgresql://me:{PASSWORD}@127.0.0.1/x")


def test_the_password_is_nowhere_to_be_seen(place: str) -> None:
    """Not in what a ledger says of itself, nor in the process list of the server."""
    with closing(open_ledger(place)) as ledger:
        assert PASSWORD not in repr(vars(ledger)) + repr(ledger)
        with ledger._begin() as connection:
            names = connection.execute(text("SELECT application_name FROM pg_stat_activity")).scalars().all()
    assert f"dcai {os.getpid()}@{socket.gethostname()}" in names


def test_whole_numbers_beyond_32_bits_fit(shared: Path | str) -> None:
    """Times after 2038, blocks and nonces."""
    large = 2**40
    values = {"chain": CHAIN, "account": ME, "kind": "refund", "hash": "0x1", "raw": b"\0\xff"}
    numbers = {"nonce": large, "created_at": large, "block_number": large, "gas_used": large}
    with closing(open_ledger(shared)) as ledger:
        with ledger._begin() as connection:
            connection.execute(insert(transactions).values(**values, **numbers, state="mined"))
        (stored,) = ledger.transactions(CHAIN)
    assert {name: getattr(stored, name) for name in numbers} == numbers
    assert stored.raw == b"\0\xff"
