"""Files that are whole or not there, and locks that name their holder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from dcai_cli.errors import DcaiError, Locked
from dcai_cli.files import lock, make_folder, write_atomically


def test_a_file_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    """0600 unless said otherwise; a folder that is made is 0700; no other file stays behind."""
    path = tmp_path / "new" / "file"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    write_atomically(path, b"", mode=0o644)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"", 0o644)


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    """What was asked for is what the file has."""
    old = os.umask(0o077)
    try:
        write_atomically(tmp_path / "file", b"", mode=0o644)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    """A full disk, here a limit on file sizes: the old file stays whole, and no half one stays behind."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    program = (
        "import resource, signal, sys; from pathlib import Path; from dcai_cli.files import write_atomically;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "write_atomically(Path(sys.argv[1]), bytes(100_000))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{path} cannot be written: File too large." in done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_target_that_is_a_folder_is_named(tmp_path: Path) -> None:
    """The error is ours and names the path; nothing is left behind."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(DcaiError, match="folder cannot be written: Is a directory"):
        write_atomically(tmp_path / "folder", b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_folder_on_a_file_is_named(tmp_path: Path) -> None:
    """A file in the way of a folder is an error of ours."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DcaiError, match="cannot be made"):
            make_folder(path)


HOLD = (
    "import sys; from pathlib import Path; from dcai_cli.files import lock;"
    "guard = lock(Path(sys.argv[1]), what='The thing'); guard.__enter__(); print('held', flush=True); input()"
)


def test_a_lock_names_what_is_locked_and_by_whom(tmp_path: Path) -> None:
    """A second process is told the first one's pid; when that is killed, the lock is free."""
    path = tmp_path / "locks" / "thing.lock"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Locked, match=rf"The thing is in use by another dcai process \(pid {holder.pid}\)"),
            lock(path, what="The thing"),
        ):
            pytest.fail("the lock was had twice")
        holder.kill()
        holder.wait()
        with lock(path, what="The thing"):
            assert path.with_suffix(".pid").read_text().split()[0] == str(os.getpid())


def test_a_holder_whose_note_comes_a_moment_later_is_named(tmp_path: Path) -> None:
    """Between lock and note stands a dead process's note, or none: the living one's is waited for."""
    path = tmp_path / "thing.lock"
    note, held = path.with_suffix(".pid"), FileLock(path)
    with held:
        note.write_text(f"999999999 {os.uname().nodename} 1\n")
        with pytest.raises(Locked, match="pid unknown"), lock(path, what="It"):
            pass
        late = threading.Timer(0.05, note.write_text, [f"{os.getppid()} {os.uname().nodename}\n"])
        late.start()
        with pytest.raises(Locked, match=rf"\(pid {os.getppid()}\)"), lock(path, what="It"):
            pass
        late.join()
    with lock(path, what="It"):
        assert note.exists()
    assert not note.exists()


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    """Whatever happens while it is held, it is given back."""
    path = tmp_path / "thing.lock"
    with pytest.raises(ZeroDivisionError), lock(path, what="The thing"):
        raise ZeroDivisionError
    with lock(path, what="The thing"):
        pass


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    """A link to a file, and one to a file that is not there yet."""
    for name in ("there", "new"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(name)
        (tmp_path / "there").write_bytes(b"old")
        write_atomically(tmp_path / "link", b"content")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / name).read_bytes() == b"content"


def test_a_named_pipe_gets_the_bytes(tmp_path: Path) -> None:
    """What is no regular file is written into, not replaced."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(path, b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("name", ["guard.lock", "guard.pid"])
def test_a_lock_that_cannot_be_written_says_so(tmp_path: Path, name: str) -> None:
    """A folder in the way, as on a read-only disk: an error that names the path, and the lock is free."""
    (tmp_path / name).mkdir()
    with pytest.raises(DcaiError, match=str(tmp_path / name)), lock(tmp_path / "guard.lock", what="It"):
        pass
    (tmp_path / name).rmdir()
    with lock(tmp_path / "guard.lock", what="It"):
        pass
