"""Passwords from files, and as the bytes that encrypt a key."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from dcai_cli.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

_FILE_BYTES = 64 * 1024


def password_from_file(path: Path) -> str:
    """Read a password from a file; one line break at its end does not belong to it.

    A named pipe works, too: shells make one of `<(pass show wallet)`.

    Raises:
        BadInput: the file cannot be read as text, or is too long for a password.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            raise _unusable(path, f"it has more than {_FILE_BYTES:,} bytes")
        text = content.decode()
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from None
    except ValueError:
        # A name with a NUL byte, or bytes of another encoding; the exception would show them.
        raise _unusable(path, "it is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def others_can_read(path: Path) -> bool:
    """Whether other users may read a regular file, by its permissions and those of the folders above."""
    try:
        mode = path.stat().st_mode
        folders = [parent.stat().st_mode for parent in path.absolute().parents]
    except (OSError, ValueError):
        return False
    readable, open_ = (stat.S_IRGRP, stat.S_IROTH), (stat.S_IXGRP, stat.S_IXOTH)
    return stat.S_ISREG(mode) and any(
        mode & read and all(folder & enter for folder in folders)
        for read, enter in zip(readable, open_, strict=True)
    )


def as_bytes(password: str) -> bytes:
    """A password in UTF-8, as other wallets take it.

    Raises:
        BadInput: a terminal of another encoding gave bytes that are no text.
    """
    try:
        return password.encode()
    except UnicodeEncodeError:
        raise BadInput(
            "The password is not text in UTF-8.",
            hint="Set the terminal to UTF-8, or put the password into a file: --password-file FILE.",
        ) from None


def _unusable(path: Path, why: str) -> BadInput:
    return BadInput(
        f"The password file {path} cannot be read: {why}.",
        hint="Set ETH_PASSWORD or --password-file to a file that holds the password.",
    )
