"""Disks that are full, read-only or broken, and a death at each commit: an error, and nothing is lost."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from dcai_cli.domain import Terms
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.keystore import password_from_file
from dcai_cli.ledger import open_ledger
from dcai_cli.ledger.care import faults
from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.contribution.contribute import Contribution, contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.deploy import deploy_model
from dcai_cli.services.limits import model_params
from tests.conftest import PROJECT

if TYPE_CHECKING:
    from dcai_cli.services.accounts import Password
    from dcai_cli.services.claims.claim import Claimed
    from dcai_cli.services.workspace import Workspace
    from tests.conftest import Dcai
    from tests.crash.conftest import CheckBooks, WriteTexts

DAY_S = 86_400
TERMS = Terms(DAY_S, 2 * DAY_S, 7 * DAY_S, 9 * DAY_S, DAY_S, 3600, 10**11)
SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=256)
ROWS = 8
DISK_BYTES = 4 << 20


class Died(BaseException):
    """The process ended here: no handler of ours may catch it."""


def password(workspace: Workspace) -> Password:
    """Reads the password where the settings say it stands."""
    file = workspace.settings.password_file
    assert file is not None
    return lambda _: password_from_file(file)


def send(dcai: Dcai, file: Path) -> Contribution:
    """Contribute a file in two batches."""
    with dcai.workspace() as workspace:
        return contribute(workspace, ContributeRequest(file, batch_size=4), password=password(workspace))


def claim(dcai: Dcai) -> Claimed:
    """Claim what is due."""
    with dcai.workspace() as workspace:
        return claim_refunds(workspace, password=password(workspace))


@pytest.fixture(scope="module")
def deployed(shared_dcai: Dcai) -> Dcai:
    """A home with a model, to be copied."""
    with shared_dcai.workspace() as workspace:
        deploy_model(
            workspace,
            name="dying",
            spec=SPEC,
            params=model_params(SPEC),
            terms=TERMS,
            password=password(workspace),
        )
    return shared_dcai


@pytest.fixture
def check_finished(write_texts: WriteTexts, check_books: CheckBooks) -> Callable[[Dcai], None]:
    """Runs the same commands again: every row is on-chain once, all that is due is paid, the books agree."""

    def check(dcai: Dcai) -> None:
        file = write_texts(ROWS)
        send(dcai, file)
        with dcai.workspace() as workspace:
            check_books(workspace, file)
            workspace.chain.advance(DAY_S)
        claim(dcai)
        with dcai.workspace() as workspace:
            assert all(item.state == "disputed" for item in pending_refunds(workspace))
            check_books(workspace, file)

    return check


# --- a death at each commit --------------------------------------------------------------------------------


@contextmanager
def dying_at_commit(
    monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool, dies: Callable[[], None] = lambda: None
) -> Iterator[list[int]]:
    """The body dies at a commit that writes to the ledger.

    Args:
        monkeypatch: undoes it.
        number: which commit, from 1.
        after: whether it is done first.
        dies: what happens at that moment.

    Yields:
        The numbers of the commits that were reached.
    """
    reached: list[int] = []
    written: dict[int, int] = {}
    commit: Callable[..., None] = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, connection: Any) -> None:
        driver = connection.driver_connection
        changes = driver.total_changes
        writes = changes != written.get(id(driver), 0)
        written[id(driver)] = changes
        if writes:
            reached.append(len(reached) + 1)
        if not writes or reached[-1] != number:
            commit(self, connection)
            return
        if after:
            commit(self, connection)
        dies()
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(DefaultDialect, "do_commit", do_commit)
        yield reached


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_contribution_that_died_at_any_commit_is_finished_by_the_next(
    after: bool,
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each commit in turn is the last, done or not: every row is on-chain once, the books agree."""
    file = write_texts(ROWS)
    for number in itertools.count(1):
        dcai = deployed.copy(tmp_path / f"home-{number}")
        with dying_at_commit(monkeypatch, number, after=after) as reached, suppress(Died):
            send(dcai, file)
        if len(reached) < number:
            break
        send(dcai, file)
        with dcai.workspace() as workspace:
            check_books(workspace, file)
        shutil.rmtree(dcai.home)
    assert number > 6  # two batches take more than six


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_claim_that_died_at_any_commit_is_finished_by_the_next(
    after: bool,
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each commit in turn is the last, done or not: all that is due is paid once, the books agree."""
    file = write_texts(ROWS)
    contributed = deployed.copy(tmp_path / "contributed")
    send(contributed, file)
    with contributed.workspace() as workspace:
        workspace.chain.advance(DAY_S)
    for number in itertools.count(1):
        dcai = contributed.copy(tmp_path / f"home-{number}")
        with dying_at_commit(monkeypatch, number, after=after) as reached, suppress(Died):
            claim(dcai)
        if len(reached) < number:
            break
        claim(dcai)
        with dcai.workspace() as workspace:
            assert all(item.state == "disputed" for item in pending_refunds(workspace))
            check_books(workspace, file)
        shutil.rmtree(dcai.home)
    assert number > 2


# --- disks -------------------------------------------------------------------------------------------------


class Disk:
    """A file system in memory with little room.

    Args:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def remount(self, option: str) -> None:
        """Change whether it can be written."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], check=True)

    def fill(self, *, leave: int) -> None:
        """Let others use all of it but some bytes."""
        with self._ballast.open("wb") as file:
            room = shutil.disk_usage(self.path).free - leave
            os.posix_fallocate(file.fileno(), 0, room)

    def make_room(self) -> None:
        """Give it back."""
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk; only root can mount one, as CI is."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", path],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"no disk can be mounted: {mounted.stderr.decode()}")
        pytest.skip("only root can mount a small disk")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", path], check=True)


def told(error: DcaiError, says: str = "") -> None:
    """An error of ours with something to type next."""
    assert says in error.message
    assert error.exit_code in {1, 3, 15}
    assert error.message
    assert error.hint


@pytest.mark.parametrize("leave", [0, 20_000, 50_000, 90_000, 150_000, 250_000])
def test_a_full_disk_stops_a_contribution_and_loses_nothing(
    leave: int,
    disk: Disk,
    deployed: Dcai,
    write_texts: WriteTexts,
    check_finished: Callable[[Dcai], None],
) -> None:
    """However much room was left: an error that says so, and with room again the same commands finish."""
    dcai = deployed.copy(disk.path / "home")
    file = write_texts(ROWS)
    disk.fill(leave=leave)
    errors = []
    try:
        send(dcai, file)
    except DcaiError as error:
        told(error)
        errors.append(error)
    assert errors or leave > 100_000
    disk.make_room()
    check_finished(dcai)


@pytest.mark.parametrize("leave", [0, 30_000, 80_000])
def test_a_full_disk_stops_a_claim_and_loses_nothing(
    leave: int,
    disk: Disk,
    deployed: Dcai,
    write_texts: WriteTexts,
    check_finished: Callable[[Dcai], None],
) -> None:
    """The refunds are paid once there is room again."""
    dcai = deployed.copy(disk.path / "home")
    send(dcai, write_texts(ROWS))
    with dcai.workspace() as workspace:
        workspace.chain.advance(DAY_S)
    disk.fill(leave=leave)
    with suppress(DcaiError):
        claim(dcai)
    disk.make_room()
    check_finished(dcai)


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_the_commands_say_what_the_disk_refuses(
    fault: str,
    disk: Disk,
    deployed: Dcai,
    write_texts: WriteTexts,
    check_finished: Callable[[Dcai], None],
) -> None:
    """Exit code 1, one document with message and hint, no traceback; then the same commands finish."""
    dcai = deployed.copy(disk.path / "home")
    file = write_texts(ROWS)
    if fault == "full":
        disk.fill(leave=0)
    else:
        disk.remount("ro")
    for arguments in (("contribute", file, "--yes"), ("refunds", "--claim", "--yes")):
        error = dcai(*arguments, code=1)
        assert "full" in error["message"] if fault == "full" else "written" in error["message"]
        assert error["hint"]
    if fault == "full":
        disk.make_room()
    else:
        disk.remount("rw")
    check_finished(dcai)


def test_a_full_disk_stops_a_migration_and_loses_nothing(disk: Disk) -> None:
    """However much room was left: an error, and the old ledger as it was; with room it is migrated."""
    released = (PROJECT / "tests" / "golden" / "ledger-1.sql").read_text(encoding="utf-8")
    path = disk.path / "ledger.sqlite"
    refused = 0
    for leave in range(0, 400_000, 8_000):
        with closing(sqlite3.connect(path)) as database:
            database.executescript(released)
            before = list(database.iterdump())
        disk.fill(leave=leave)
        try:
            open_ledger(path).close()
        except DcaiError as error:
            told(error, "the disk is full")
            refused += 1
            disk.make_room()
            with closing(sqlite3.connect(path)) as database:
                assert list(database.iterdump()) == before
        else:
            disk.make_room()
            break
        open_ledger(path).close()
        path.unlink()
    assert refused > 2
    with closing(open_ledger(path)) as ledger:
        assert faults(ledger) == []
        assert len(ledger.transactions("131337-00000000")) == 3


# --- broken files ------------------------------------------------------------------------------------------


def test_a_ledger_file_cut_short_anywhere_is_refused_before_anything_is_sent(
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_finished: Callable[[Dcai], None],
) -> None:
    """At any length: bad input with a hint, the chain and the file as they were; whole again, all goes on."""
    dcai = deployed.copy(tmp_path / "home")
    file = write_texts(ROWS)
    path = dcai.home / "ledger.sqlite"
    whole = path.read_bytes()
    height = head(dcai)
    rng = random.Random(5)  # noqa: S311 - a fixed seed is the point
    lengths = {0, 1, 15, 16, 99, 100, 511, 512, 4095, 4096, 4097, len(whole) - 4096, len(whole) - 1}
    for length in sorted(lengths | {rng.randrange(len(whole)) for _ in range(30)}):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput, match=r"ledger\.sqlite is damaged") as caught:
            send(dcai, file)
        assert "dcai ledger restore FILE" in caught.value.hint
        assert path.read_bytes() == whole[:length]
    path.write_bytes(whole)
    assert head(dcai) == height
    check_finished(dcai)


def head(dcai: Dcai) -> int:
    """The height of the chain."""
    with dcai.workspace() as workspace:
        return workspace.chain.block_number()


def test_a_ledger_file_of_garbage_is_refused_before_anything_is_sent(
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_finished: Callable[[Dcai], None],
) -> None:
    """Noise all over, after the header, or in the page that names the tables; and another program's file."""
    dcai = deployed.copy(tmp_path / "home")
    file = write_texts(ROWS)
    path = dcai.home / "ledger.sqlite"
    whole = path.read_bytes()
    height = head(dcai)
    noise = random.Random(7).randbytes(len(whole))  # noqa: S311 - a fixed seed is the point
    for content in (noise, whole[:100] + noise[100:], whole[:200] + noise[200:4096] + whole[4096:], b"{}\n"):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"ledger\.sqlite is damaged"):
            send(dcai, file)
        assert path.read_bytes() == content
    path.write_bytes(whole)
    assert head(dcai) == height
    check_finished(dcai)


def test_a_ledger_that_is_gone_while_its_log_is_there_is_not_made_anew(
    deployed: Dcai, tmp_path: Path, write_texts: WriteTexts, check_finished: Callable[[Dcai], None]
) -> None:
    """What the log says would be mixed into a new file; put back, the ledger works."""
    dcai = deployed.copy(tmp_path / "home")
    path = dcai.home / "ledger.sqlite"
    path.rename(dcai.home / "elsewhere")
    log = dcai.home / "ledger.sqlite-wal"
    log.write_bytes(b"log")
    with pytest.raises(BadInput, match=r"is missing, but ledger\.sqlite-wal") as caught:
        send(dcai, write_texts(ROWS))
    assert "Put ledger.sqlite back" in caught.value.hint
    (dcai.home / "elsewhere").rename(path)
    log.unlink()
    check_finished(dcai)


@pytest.mark.parametrize("fault", ["lost", "cut"])
def test_a_log_that_is_lost_after_a_death_takes_nothing_with_it(
    fault: str,
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was committed is in the ledger's file itself: without SQLite's log the next run finishes, too."""
    file = write_texts(ROWS)
    rng = random.Random(11)  # noqa: S311 - a fixed seed is the point
    logs = 0
    for number in itertools.count(1):
        dcai = deployed.copy(tmp_path / f"home-{number}")
        left = replace(dcai, home=tmp_path / f"left-{number}")

        def leave(dcai: Dcai = dcai, left: Dcai = left) -> None:
            shutil.copytree(dcai.home, left.home)  # SQLite tidies up where a process goes on

        with dying_at_commit(monkeypatch, number, after=True, dies=leave) as reached, suppress(Died):
            send(dcai, file)
        if len(reached) < number:
            break
        log = left.home / "ledger.sqlite-wal"
        size = log.stat().st_size
        logs += size > 0
        (left.home / "ledger.sqlite-shm").unlink()
        if fault == "lost":
            log.unlink()
        else:
            log.write_bytes(log.read_bytes()[: rng.randrange(size)])
        send(left, file)
        with left.workspace() as workspace:
            check_books(workspace, file)
    assert logs == number - 1 > 6
