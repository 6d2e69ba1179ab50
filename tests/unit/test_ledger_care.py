"""Checking a ledger finds what is wrong in it; a backup is all of it at one moment, and can be put back."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from dcai_cli.config import Settings
from dcai_cli.errors import BadInput, DcaiError, Locked
from dcai_cli.ledger import Ledger, open_ledger
from dcai_cli.ledger.care import faults
from dcai_cli.ledger.schema import metadata, transactions
from dcai_cli.services.ledger_care import back_up, check_ledger, restore_ledger
from dcai_cli.services.workspace import Workspace
from tests.conftest import PROJECT

CHAIN, ME = "131337-00000000", "0x" + "11" * 20
NOW = 1_770_000_000


def settings(home: Path, url: str | None = None) -> Settings:
    """Settings of a home."""
    return Settings(home, home, home / "keystore", ledger_url=url)


RELEASED = (PROJECT / "tests" / "golden" / "ledger-1.sql").read_text(encoding="utf-8")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Workspace]:
    """A home whose ledger has an open batch with a sample refunded, one on its way, and a plan."""
    (tmp_path / "home").mkdir()
    with closing(sqlite3.connect(tmp_path / "home" / "ledger.sqlite")) as database:
        database.executescript(RELEASED)
    with Workspace(settings(tmp_path / "home"), clock=lambda: NOW) as workspace:
        assert workspace.ledger  # it is opened, and so has this version's tables
        yield workspace


@pytest.fixture(params=["sqlite", "postgres"])
def workspace(request: pytest.FixtureRequest, local: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """The same, in a file and again on a server."""
    if request.param == "sqlite":
        yield local
        return
    url = request.getfixturevalue("postgres_url")
    back_up(local, tmp_path / "backup")
    with Workspace(settings(tmp_path / "team", url), clock=lambda: NOW) as workspace:
        restore_ledger(workspace, tmp_path / "backup")
        (tmp_path / "backup").unlink()
        yield workspace


def add_transaction(ledger: Ledger, nonce: int) -> str:
    """Write down a signed transaction; return its hash."""
    place = {"chain": CHAIN, "account": ME, "kind": "refund", "hash": f"0x{nonce:064x}", "nonce": nonce}
    with ledger._begin() as connection:
        connection.execute(insert(transactions).values(**place, raw=b"raw", state="signed", created_at=1))
    return str(place["hash"])


def rows(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with ledger.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


# --- check -------------------------------------------------------------------------------------------------


def test_a_sound_ledger_is_found_sound(workspace: Workspace) -> None:
    """Nothing to say, and how much there is."""
    size = check_ledger(workspace)
    assert (size.transactions, size.batches, size.samples) == (3, 3, 5)


BROKEN = {
    "UPDATE batches SET transaction_id = NULL WHERE state = 'signed'": "its transaction is not there",
    "UPDATE transactions SET state = 'mined' WHERE state = 'signed'": "signed, but its transaction is mined",
    "UPDATE batches SET transaction_id = 2 WHERE state = 'planned'": "is a plan, but has a transaction",
    "DELETE FROM samples WHERE position = 1": "has 2 samples, of which 1 are in the ledger",
    "UPDATE batches SET deposit_per_unit_wei = NULL": "its id, time, deposit or informative samples are not",
    "UPDATE batches SET settled = '8'": "marks samples beyond its 2",
    "UPDATE batches SET lost_wei = '36893488147419103234'": "wei of a deposit of 73786976294838206466 wei",
    "UPDATE batches SET state = 'settled' WHERE state = 'open'": "is settled, but 36893488147419103233 wei",
    "UPDATE batches SET payload = NULL": "samples' bytes, which a refund needs, are gone",
    "UPDATE batches SET refunded_wei = '0'": "paid 36893488147419103233 wei by its transactions, 0 wei by",
    "UPDATE claims SET paid = '3'": "was paid for samples of batch 0 that it did not claim",
    "UPDATE transactions SET nonce = 0 WHERE nonce = 1": "2 transactions of 0x1.* with nonce 0",
    "UPDATE transactions SET gas_used = NULL WHERE nonce = 0": "its block, gas or fee is not known",
    "UPDATE batches SET refunded_wei = 'much'": "A value is not of its column's type",
}


@pytest.mark.parametrize("statement", BROKEN)
def test_books_that_do_not_agree_are_found(workspace: Workspace, statement: str) -> None:
    """Each broken rule has a sentence that names the row and the values."""
    with workspace.ledger._begin() as connection:
        connection.execute(text(statement))
    with pytest.raises(BadInput, match=BROKEN[statement]) as caught:
        check_ledger(workspace)
    assert caught.value.exit_code == 15
    assert "restore FILE" in caught.value.hint


def test_all_faults_are_listed(local: Workspace) -> None:
    """Not the first one only."""
    with local.ledger._begin() as connection:
        connection.execute(text("UPDATE batches SET payload = NULL, settled = '8'"))
        connection.execute(text("UPDATE transactions SET fee_wei = NULL"))
    assert len(faults(local.ledger)) == 4


def test_a_broken_page_is_found(local: Workspace) -> None:
    """Bytes that a disk changed, in a file that opens."""
    path = local.settings.ledger_path
    local.ledger.close()
    content = bytearray(path.read_bytes())
    start = len(content) - 4096
    content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        check_ledger(local)


def test_a_row_without_what_it_refers_to_is_found(local: Workspace) -> None:
    """As another program could leave it."""
    path = local.settings.ledger_path
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM batches WHERE state = 'planned'")
    with pytest.raises(BadInput, match="samples refers to a row of batches that is not there"):
        check_ledger(local)


# --- backup ------------------------------------------------------------------------------------------------


def test_a_backup_is_a_ledger_in_one_file(workspace: Workspace, tmp_path: Path) -> None:
    """All rows, readable for its owner only, nothing beside it; the ledger stays as it was."""
    before = rows(workspace.ledger)
    folder = tmp_path / "backups"
    size = back_up(workspace, folder / "ledger.backup")
    assert (size.transactions, size.batches, size.samples) == (3, 3, 5)
    assert [path.name for path in folder.iterdir()] == ["ledger.backup"]
    assert stat.S_IMODE((folder / "ledger.backup").stat().st_mode) == 0o600
    with closing(open_ledger(folder / "ledger.backup")) as copy:
        assert rows(copy) == before
    assert rows(workspace.ledger) == before


def test_a_backup_replaces_a_file_only_when_told_to(local: Workspace, tmp_path: Path) -> None:
    """Without --force what is there stays, whatever it is."""
    path = tmp_path / "ledger.backup"
    path.write_text("precious")
    with pytest.raises(BadInput, match="is there already") as caught:
        back_up(local, path)
    assert "--force" in caught.value.hint
    assert path.read_text() == "precious"
    back_up(local, path, force=True)
    assert path.read_bytes().startswith(b"SQLite format 3")
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["ledger.backup"]


WRITING = """
import itertools, sys
from pathlib import Path
from dcai_cli.ledger import open_ledger
ledger = open_ledger(Path(sys.argv[1]) if sys.argv[1].startswith("/") else sys.argv[1])
for number in itertools.count():
    with ledger._begin() as connection:
        for table in ("one", "two"):
            connection.exec_driver_sql(
                "INSERT INTO choices VALUES ('%s', '%s', 'x')" % (table, number))
    if number == 20:
        print("writes", flush=True)
"""


def test_a_backup_is_of_one_moment_while_another_process_writes(workspace: Workspace, tmp_path: Path) -> None:
    """Two rows that are always written together are both in a backup, or neither is."""
    place = str(workspace.settings.ledger)
    command = [sys.executable, "-c", WRITING, place]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writes\n"
        for number in range(5):
            path = tmp_path / f"backup-{number}"
            back_up(workspace, path)
            with closing(sqlite3.connect(path)) as copy:
                query = "SELECT scope, count(*) FROM choices WHERE scope != '' GROUP BY scope"
                counts = dict(copy.execute(query).fetchall())
            assert counts["one"] == counts["two"] > 20
        assert writer.poll() is None
        writer.kill()


def test_a_damaged_ledger_makes_no_backup(local: Workspace, tmp_path: Path) -> None:
    """An earlier, good one must not be replaced by a bad one."""
    with closing(sqlite3.connect(local.settings.ledger_path)) as database, database:
        database.execute("DELETE FROM batches WHERE state = 'planned'")
    with pytest.raises(BadInput, match="is damaged"):
        back_up(local, tmp_path / "ledger.backup")
    assert not (tmp_path / "ledger.backup").exists()


def test_a_folder_that_cannot_be_made_is_told(local: Workspace, tmp_path: Path) -> None:
    """Where a file stands in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DcaiError, match="cannot be"):
        back_up(local, tmp_path / "file" / "ledger.backup")


# --- restore -----------------------------------------------------------------------------------------------


def test_a_backup_is_put_back_and_what_was_there_is_kept(local: Workspace, tmp_path: Path) -> None:
    """The ledger is that of the backup again; the other one stands beside it, whole."""
    before = rows(local.ledger)
    back_up(local, tmp_path / "ledger.backup")
    local.ledger.choose("", "account", "bob")
    later = rows(local.ledger)
    local.ledger.close()
    with Workspace(local.settings, clock=lambda: NOW) as again:
        done = restore_ledger(again, tmp_path / "ledger.backup")
        assert rows(again.ledger) == before
    assert done.kept == local.settings.data_dir / "ledger.sqlite.before-restore-20260202T024000Z"
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o600
    with closing(open_ledger(done.kept)) as kept:
        assert rows(kept) == later


def test_a_ledger_with_newer_transactions_is_not_replaced_unless_told_to(
    local: Workspace, tmp_path: Path
) -> None:
    """The newest is named; with --force it is left out, and kept."""
    back_up(local, tmp_path / "ledger.backup")
    newest = add_transaction(local.ledger, 3)
    with pytest.raises(BadInput, match=f"1 transaction that .* lacks, the newest {newest}") as caught:
        restore_ledger(local, tmp_path / "ledger.backup")
    assert "--force" in caught.value.hint
    assert len(local.ledger.transactions(CHAIN)) == 4
    done = restore_ledger(local, tmp_path / "ledger.backup", force=True)
    # The same open ledger sees it: the file is the same one.
    assert (done.left_out, len(local.ledger.transactions(CHAIN))) == (1, 3)
    assert done.kept is not None
    with closing(open_ledger(done.kept)) as kept:
        assert len(kept.transactions(CHAIN)) == 4


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "gone", "log"])
def test_a_ledger_that_is_no_more_comes_back(local: Workspace, tmp_path: Path, damage: str) -> None:
    """Whatever is in its place is kept as it is."""
    before = rows(local.ledger)
    back_up(local, tmp_path / "ledger.backup")
    local.ledger.close()
    path = local.settings.ledger_path
    whole = path.read_bytes()
    log = path.with_name("ledger.sqlite-wal")
    broken = {"cut": whole[:5000], "empty": b"", "garbage": b"\1" * len(whole)}.get(damage)
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken)
    if damage == "log":
        log.write_bytes(b"what was not yet in the file")
    with Workspace(local.settings, clock=lambda: NOW) as again:
        done = restore_ledger(again, tmp_path / "ledger.backup")
        assert rows(again.ledger) == before
        assert check_ledger(again).transactions == 3
    if damage == "gone":
        assert done.kept is None
        return
    assert done.kept is not None
    if broken is None:
        assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"what was not yet in the file"
    else:
        assert done.kept.read_bytes() == broken


def test_what_is_no_backup_is_refused_and_nothing_changes(local: Workspace, tmp_path: Path) -> None:
    """Damaged, empty, of a newer dcai, or with books that do not agree: the ledger stays."""
    before = rows(local.ledger)
    good = tmp_path / "good"
    back_up(local, good)
    local.ledger.close()
    whole = good.read_bytes()
    bad = tmp_path / "bad"
    with closing(sqlite3.connect(bad)) as database:
        database.executescript("CREATE TABLE t (c); DROP TABLE t; VACUUM;")
    without_tables = bad.read_bytes()
    for content, says in (
        (whole[:9000], "damaged"),
        (b"", "it is empty"),
        (without_tables, "it has no tables"),
        (b"#" * 9000, "damaged"),
    ):
        bad.write_bytes(content)
        with pytest.raises(BadInput, match=f"^The backup {bad} .*{says}") as caught:
            restore_ledger(local, bad)
        assert "nothing was changed" in caught.value.hint
        assert bad.read_bytes() == content
    for statement, says in (
        ("UPDATE batches SET settled = '8'", "marks samples beyond"),
        ("UPDATE alembic_version SET version_num = '0099'", "version 99"),
    ):
        bad.write_bytes(whole)
        with closing(sqlite3.connect(bad)) as database, database:
            database.execute(statement)
        with pytest.raises(BadInput, match=says):
            restore_ledger(local, bad)
    with pytest.raises(BadInput, match="is no file"):
        restore_ledger(local, tmp_path / "missing")
    assert rows(local.ledger) == before
    assert not list(local.settings.data_dir.glob("*before-restore*"))
    assert not list(local.settings.data_dir.glob(".*"))


def test_a_backup_of_dcai_0_1_is_brought_up_to_date(local: Workspace, tmp_path: Path) -> None:
    """Its file stays as it was."""
    old = tmp_path / "old"
    with closing(sqlite3.connect(old)) as database:
        database.executescript(RELEASED)
    content = old.read_bytes()
    restore_ledger(local, old, force=True)
    assert len(local.ledger.batches(CHAIN, ME, state="open")) == 1
    assert old.read_bytes() == content


def test_nothing_is_restored_while_a_command_sends(local: Workspace, tmp_path: Path) -> None:
    """What it is about to write down would be lost."""
    back_up(local, tmp_path / "ledger.backup")
    with local.ledger.exclusive(f"{CHAIN}-{ME}"), pytest.raises(Locked):
        restore_ledger(local, tmp_path / "ledger.backup")
    restore_ledger(local, tmp_path / "ledger.backup")


def test_a_backup_goes_to_an_empty_server_and_on_from_there(
    local: Workspace, tmp_path: Path, postgres_url: str
) -> None:
    """From file to server and back to a file: the same rows; new ones get new numbers."""
    before = rows(local.ledger)
    back_up(local, tmp_path / "ledger.backup")
    with Workspace(settings(tmp_path / "other", postgres_url)) as server:
        done = restore_ledger(server, tmp_path / "ledger.backup")
        assert (done.size.transactions, done.kept) == (3, None)
        assert rows(server.ledger) == before
        back_up(server, tmp_path / "again.backup")
        with closing(open_ledger(tmp_path / "again.backup")) as copy:
            assert rows(copy) == before
        add_transaction(server.ledger, 7)
        assert len(server.ledger.transactions(CHAIN)) == 4
        with pytest.raises(BadInput, match="is not empty") as caught:
            restore_ledger(server, tmp_path / "ledger.backup", force=True)
        assert "createdb" in caught.value.hint
        assert len(server.ledger.transactions(CHAIN)) == 4
