"""Files that survive a crash, locks between processes, and the examples that come along."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dcai_cli.errors import DcaiError, Locked, UsageError

STREAM = Path("-")
"""What people type for standard output, where a file is asked for."""

NOTE_S = 0.5
"""So long after a lock was taken the note of who has it may come."""


def example(name: str) -> Path:
    """A file or folder of the examples: inside the installed package, or beside it in a checkout.

    Args:
        name: its name.

    Raises:
        DcaiError: it is not there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / name).exists():
            return folder / name
    raise DcaiError(
        f"The example {name} is not installed.", hint="Install dcai again: pip install --force-reinstall dcai"
    )


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can enter (0700), if it is not there yet; those above it, too.

    Raises:
        DcaiError: it cannot be made.
    """
    with told(path, "made"):
        for missing in [folder for folder in reversed((path, *path.parents)) if not folder.exists()]:
            missing.mkdir(exist_ok=True, mode=0o700)
        path.mkdir(exist_ok=True)  # refuses what stands there and is no folder


@contextmanager
def told(path: Path, done: str) -> Iterator[None]:
    """Say of a file or folder what the operating system refused.

    Args:
        path: the file or folder.
        done: what was to be done with it, as in "written".

    Raises:
        DcaiError: the body raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise DcaiError(
            f"{path} cannot be {done}: {error.strerror or error}.",
            hint="Check the name, the permissions and the free space.",
        ) from error


def write_atomically(path: Path, content: bytes | BinaryIO, *, mode: int = 0o600) -> None:
    """Write a whole file or nothing, as `open_atomically` does.

    Args:
        path: where the file shall stand; its folder is made (0700) if need be.
        content: all of its bytes, or an open file that has them from where it stands.
        mode: permission bits of the file.

    Raises:
        DcaiError: it cannot be written; what stood there stays.
    """
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    with open_atomically(path, mode=mode) as file:
        shutil.copyfileobj(source, file)


@contextmanager
def open_atomically(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Write a file part by part, and yet whole or not at all.

    The bytes go to a temporary name beside it; when the body ends, fsync, rename, fsync of the folder.
    Behind a link it is the link's target that is written. What is no regular file (a device, a named pipe)
    gets the bytes as they are.

    Args:
        path: where the file shall stand; its folder is made (0700) if need be.
        mode: permission bits of the file.

    Raises:
        DcaiError: it cannot be written; what stood there stays.
    """
    with told(path, "written"):
        special = path.exists() and not path.is_file() and not path.is_dir()
    target = Path(os.path.realpath(path))
    if not special:
        make_folder(target.parent)
    with told(path, "written"):
        if special:
            with path.open("wb") as file:
                yield file
        else:
            with _replacing(target, mode) as file:
                yield file


@contextmanager
def _replacing(path: Path, mode: int) -> Iterator[BinaryIO]:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def make_folder_atomically(path: Path) -> Iterator[Path]:
    """Fill a new folder, and yet have it whole or not at all: it gets its name when the body ends.

    Args:
        path: where the folder shall stand; nothing may be there, or an empty folder.

    Yields:
        The folder under its temporary name.

    Raises:
        UsageError: something is there.
        DcaiError: it cannot be made.
    """
    target = Path(os.path.realpath(path))
    with told(path, "written"):
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise UsageError(f"{path} exists already, and is not empty.", hint="Name another folder.")
    make_folder(target.parent)
    with told(path, "written"):
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            for folder in (temporary, *(found for found in temporary.rglob("*") if found.is_dir())):
                sync_folder(folder)
            temporary.replace(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(target.parent)


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Write what a user asked for: into standard output (`STREAM`), or into a file that all can read.

    Raises:
        DcaiError: it cannot be written.
    """
    if path == STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open_atomically(path, mode=0o644) as file:
        yield file


def write_output(path: Path, content: BinaryIO) -> None:
    """Write all of a file to where a user wants it, as `open_output` does."""
    with open_output(path) as file:
        shutil.copyfileobj(content, file)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wrote the note beside a lock.

    Args:
        pid: the process id.
        host: the machine's name; empty in notes of the first version.
        started: when the process began, in the system's own count; tells a process from a later one that got
            the same id. Empty where the system does not say.
    """

    pid: int
    host: str = ""
    started: str = ""

    def __str__(self) -> str:
        elsewhere = f" on {self.host}" if self.host not in {"", socket.gethostname()} else ""
        return f"pid {self.pid}{elsewhere}"

    @property
    def is_gone(self) -> bool:
        """Whether the process that wrote the note has ended; of another machine nobody here knows."""
        if self.host not in {"", socket.gethostname()}:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False  # it lives, and is somebody else's
        return bool(self.started) and self.started != _started(self.pid)


def _started(pid: int) -> str:
    """When a process began, in clock ticks since the machine did; empty where /proc does not say."""
    try:
        # The second field is the program's name in brackets, which may hold spaces and brackets itself.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _read_holder(path: Path) -> Holder | None:
    try:
        pid, *rest = path.read_text(encoding="utf-8").split()
        return Holder(int(pid), *rest[:2])
    except (OSError, ValueError):
        return None


def _wait_for_note(path: Path) -> Holder | None:
    """The living holder's note; it comes a moment after the lock, and until then it may be a dead one's."""
    deadline = time.monotonic() + NOTE_S
    while True:
        holder = _read_holder(path)
        if holder is not None and not holder.is_gone:
            return holder
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)


def lock_holder(path: Path) -> Holder | None:
    """Who holds a lock now; None if nobody does. A note that a dead process left says nothing.

    Args:
        path: the lock file.

    Raises:
        DcaiError: its file cannot be opened.
    """
    if not path.exists():
        return None
    from filelock import FileLock, Timeout

    guard = FileLock(path)
    with told(path, "looked at"):
        try:
            guard.acquire(blocking=False)
        except Timeout:
            return _wait_for_note(path.with_suffix(".pid")) or Holder(0)
        guard.release()
    return None


@contextmanager
def lock(path: Path, *, what: str, wait_s: float = 0) -> Iterator[None]:
    """Hold a lock between processes; the operating system frees it when a process dies.

    So what a dead process leaves (the file, and the note of who held it) locks nobody out.

    Args:
        path: the lock file; a note beside it says who holds it, for the message.
        what: what is locked, for the message.
        wait_s: how long to wait for another holder, in seconds.

    Raises:
        Locked: another process holds it.
        DcaiError: its file cannot be made.
    """
    from filelock import FileLock, Timeout

    make_folder(path.parent)
    # The note stands in a file of its own: opening a lock file truncates it on some systems.
    note = path.with_suffix(".pid")
    guard = FileLock(path, mode=0o600)
    try:
        with told(path, "locked"):
            try:
                guard.acquire(timeout=wait_s)
            except Timeout:
                raise Locked(
                    f"{what} is in use by another dcai process ({_wait_for_note(note) or 'pid unknown'}).",
                    hint="Wait until it ends, or stop it, and run the same command again.",
                ) from None
        with told(note, "written"), open(note, "w", opener=_open_private) as file:
            file.write(f"{os.getpid()} {socket.gethostname()} {_started(os.getpid())}\n")
        yield
    finally:
        if guard.is_locked:
            with suppress(OSError):
                note.unlink()
            guard.release()
