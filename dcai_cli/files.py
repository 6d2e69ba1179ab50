"""Files that survive a crash, and locks between processes."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from dcai_cli.errors import DcaiError, Locked


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can enter (0700), if it is not there yet; those above it, too.

    Raises:
        DcaiError: it cannot be made.
    """
    with _told(path, "made"):
        for missing in [folder for folder in reversed((path, *path.parents)) if not folder.exists()]:
            missing.mkdir(exist_ok=True, mode=0o700)
        path.mkdir(exist_ok=True)  # refuses what stands there and is no folder


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """Say of a file or folder what the operating system refused."""
    try:
        yield
    except OSError as error:
        raise DcaiError(
            f"{path} cannot be {done}: {error.strerror or error}.",
            hint="Check the name, the permissions and the free space.",
        ) from error


def write_atomically(path: Path, content: bytes | BinaryIO, *, mode: int = 0o600) -> None:
    """Write a whole file or nothing: temporary name, fsync, rename, fsync of the folder.

    Behind a link it is the link's target that is written. What is no regular file (a device, a named pipe)
    gets the bytes as they are.

    Args:
        path: where the file shall stand; its folder is made (0700) if need be.
        content: all of its bytes, or an open file that has them from where it stands.
        mode: permission bits of the file.

    Raises:
        DcaiError: it cannot be written; what stood there stays.
    """
    with _told(path, "written"):
        special = path.exists() and not path.is_file() and not path.is_dir()
    target = Path(os.path.realpath(path))
    if not special:
        make_folder(target.parent)
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    with _told(path, "written"):
        if special:
            with path.open("wb") as file:
                shutil.copyfileobj(source, file)
        else:
            _write_atomically(target, source, mode)


def _write_atomically(path: Path, content: BinaryIO, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            shutil.copyfileobj(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, *, what: str, wait_s: float = 0) -> Iterator[None]:
    """Hold a lock between processes; the operating system frees it when a process dies.

    Args:
        path: the lock file; it keeps the holder's process id for the message.
        what: what is locked, for the message.
        wait_s: how long to wait for another holder, in seconds.

    Raises:
        Locked: another process holds it.
        DcaiError: its file cannot be made.
    """
    make_folder(path.parent)
    # The holder's pid stands in a file of its own: opening a lock file truncates it.
    holder = path.with_suffix(".pid")
    guard = FileLock(path, mode=0o600)
    with _told(path, "locked"):
        try:
            guard.acquire(timeout=wait_s)
        except Timeout:
            pid = holder.read_text().strip() if holder.exists() else "unknown"
            raise Locked(
                f"{what} is in use by another dcai process (pid {pid}).",
                hint="Wait until it ends, or stop it, and run the same command again.",
            ) from None
    try:
        with _told(holder, "written"), open(holder, "w", opener=_open_private) as file:
            file.write(f"{os.getpid()}\n")
        yield
    finally:
        guard.release()
