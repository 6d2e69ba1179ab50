"""One key file: reading it, whatever it holds, opening it in good time, and making one.

A key file may be somebody else's input: an archive, a mail or a shared folder brought it. A file says itself
how much memory and time its opening takes, so nothing of it is believed before it was looked at.
"""

from __future__ import annotations

import json
import os
import re
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcai_cli.errors import BadInput, NoAccount, WrongPassword
from dcai_cli.hashing import checksummed
from dcai_cli.keystore.passwords import as_bytes

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

ADDRESS = re.compile(r"(?:0x|0X)?([0-9a-fA-F]{40})")
WORK_FACTOR = 2**18
"""scrypt's n for new files: geth's standard, half a second."""

_FILE_BYTES = 64 * 1024
_SCRYPT_BYTES = 128 * 2**18 * 8
"""What scrypt mixes at most (128 n r p): as much as in the standard files of geth, and in the examples
of the format. They take half a second to a second; no file may take longer."""
_SCRYPT_BLOCKS = 128
"""r p at most; geth has 48 in light files, 128 in its tests. Time grows with p squared, whatever n is."""
_PBKDF2_ROUNDS = 2_000_000
"""Half a second; wallets write 262,144 at most."""
_BRACKETS = 64
"""Objects and lists in a key file at most; four are needed. Python itself is no guard against deep ones:
libraries raise its limit so far that the parser runs out of stack first and takes the process with it."""
_KEY_BYTES = 32
_CRYPTO = ("cipher", "cipherparams", "ciphertext", "kdf", "kdfparams", "mac")
_BYTES = {"iv": (16, 16), "ciphertext": (1, _KEY_BYTES), "mac": (32, 32), "salt": (0, _FILE_BYTES)}
"""How many bytes each field may have; a key with zeros in front may be shorter, as geth once wrote them."""


def read(path: Path) -> dict[str, Any]:
    """Read a key file's JSON, whatever it says; the names of all members in lower case.

    Other readers tell `crypto` from `Crypto` or do not; a file in which both stand would be checked by one
    and used by the other, so it is refused.

    Raises:
        NoAccount: there is no such file.
        BadInput: it is no small regular file, or not a JSON object.
    """
    try:
        text = _read_bytes(path)
        if text.count(b"{") + text.count(b"[") > _BRACKETS:
            raise damaged(path, "it has too many objects and lists")
        content = json.loads(text, object_pairs_hook=_members)
    except FileNotFoundError:
        raise NoAccount(f"There is no key file {path}.", hint="Type `dcai account list`.") from None
    except OSError as error:
        raise damaged(path, str(error.strerror)) from None
    except _Twice:
        raise damaged(path, "a member of it stands twice") from None
    except ValueError:
        raise damaged(path, "it is not JSON") from None
    if not isinstance(content, dict):
        raise damaged(path, "it is not a JSON object")
    return content


def _read_bytes(path: Path) -> bytes:
    # A device may act when it is opened, so that is looked at before. And a named pipe that took the file's
    # place since would make the opening wait.
    _check_kind(path, path.stat())
    with open(path, "rb", opener=_open_at_once) as file:
        _check_kind(path, os.fstat(file.fileno()))
        content: bytes = file.read(_FILE_BYTES + 1)
    if len(content) > _FILE_BYTES:
        raise damaged(path, "it is not a small file")
    return content


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise damaged(path, "it is not a small file")


class _Twice(Exception):
    """A member stands twice."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {name.lower(): value for name, value in pairs}
    if len(members) < len(pairs):
        raise _Twice
    return members


def address_in(content: Mapping[str, Any]) -> str | None:
    """The address that a key file states, with its checksum; None if it states none."""
    found = content.get("address")
    match = ADDRESS.fullmatch(found) if isinstance(found, str) else None
    return checksummed(match[1]) if match else None


def encrypt(key: bytes, password: str, work_factor: int) -> dict[str, Any]:
    """A new key file of a private key.

    Raises:
        BadInput: the password is no text.
    """
    from eth_keyfile.keyfile import create_keyfile_json

    content = create_keyfile_json(key, as_bytes(password), version=3, kdf="scrypt", iterations=work_factor)
    return {**content, "address": content["address"].lower()}


def decrypt(content: Mapping[str, Any], password: str, path: Path) -> LocalAccount:
    """Open a key file, after making sure that this ends in good time.

    Args:
        content: as `read` returned it.
        password: the password.
        path: the file, for messages.

    Raises:
        BadInput: it is no key file, or a damaged one; or the password is no text.
        WrongPassword: the password does not open it.
    """
    from eth_account import Account
    from eth_keyfile.keyfile import decode_keyfile_json

    fault = _fault(content)
    if fault:
        raise damaged(path, fault)
    secret = as_bytes(password)
    try:
        key = decode_keyfile_json(_known(content), secret)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassword(
                f"The password does not open {path.name}.",
                hint="Check what you typed, --password-file or ETH_PASSWORD, and try again.",
            ) from None
        raise damaged(path, "its values do not fit together") from None
    if not is_private_key(key):
        raise damaged(path, "what it holds is no private key")
    account: LocalAccount = Account.from_key(key.rjust(_KEY_BYTES, b"\0"))
    stated = address_in(content)
    if stated is None and content.get("address"):
        # What it was would tell whether the key is the right one: nothing else covers the initial vector.
        raise damaged(path, "what it says of its address is none")
    if stated not in (None, account.address):
        raise damaged(path, f"it says {stated}, but its key is that of {account.address}")
    return account


def copied(content: Mapping[str, Any], address: str) -> dict[str, Any]:
    """A key file that was opened, with its address, and without anything that does not belong into one."""
    try:
        number = uuid.UUID(str(content.get("id")))
    except ValueError:
        number = uuid.uuid4()
    return {"address": address[2:].lower(), **_known(content), "id": str(number)}


def is_private_key(key: bytes) -> bool:
    """Whether bytes are a number that can be a private key."""
    from eth_keys.constants import SECPK1_N

    return len(key) <= _KEY_BYTES and 0 < int.from_bytes(key, "big") < SECPK1_N


def damaged(path: Path, why: str) -> BadInput:
    """The error of a file that is no key file."""
    return BadInput(
        f"{path} is not a key file that can be used: {why}.",
        hint="Restore it from a backup, or import the account again.",
    )


def _known(content: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a checked key file that opening it takes."""
    return {"crypto": {name: content["crypto"][name] for name in _CRYPTO}, "version": 3}


def _fault(content: Mapping[str, Any]) -> str:
    """What makes a JSON object no key file, or one that would take long to open; empty if nothing does."""
    version, crypto = content.get("version"), content.get("crypto")
    if type(version) is not int or version != 3:
        return f"its version is {version!r:.40}, not 3"
    if not isinstance(crypto, Mapping):
        return 'it has no "crypto"'
    kdf, limits, cipher = crypto.get("kdf"), crypto.get("kdfparams"), crypto.get("cipherparams")
    if crypto.get("cipher") != "aes-128-ctr" or not isinstance(cipher, Mapping):
        return "its cipher is not aes-128-ctr"
    if kdf not in ("scrypt", "pbkdf2") or not isinstance(limits, Mapping):
        return "its key derivation is neither scrypt nor pbkdf2"
    values = {**crypto, "iv": cipher.get("iv"), "salt": limits.get("salt")}
    for name, (least, most) in _BYTES.items():
        if not _has_bytes(values.get(name), least, most):
            return f'its "{name}" is not so many bytes in hex as it must be'
    return _kdf_fault(kdf, limits)


def _has_bytes(value: object, least: int, most: int) -> bool:
    digits = value.removeprefix("0x") if isinstance(value, str) else "?"
    whole = re.fullmatch(r"(?:[0-9a-fA-F]{2})*", digits) is not None
    return whole and least <= len(digits) // 2 <= most


def _kdf_fault(kdf: str, limits: Mapping[str, Any]) -> str:
    names = ("n", "r", "p") if kdf == "scrypt" else ("c",)
    numbers = [limits.get(name) for name in (*names, "dklen")]
    if not all(type(number) is int and number > 0 for number in numbers):
        return f"the numbers of its {kdf} are not positive whole numbers"
    *costs, length = [int(str(number)) for number in numbers]
    if length != _KEY_BYTES:
        return f"its derived key has {length!s:.20} bytes, not {_KEY_BYTES}"
    if kdf == "pbkdf2":
        if limits.get("prf") != "hmac-sha256":
            return "its pbkdf2 is not with hmac-sha256"
        return "its pbkdf2 takes too many rounds" if costs[0] > _PBKDF2_ROUNDS else ""
    n, r, p = costs
    if n < 2 or n & (n - 1):
        return "the n of its scrypt is no power of two"
    too_much = 128 * n * r * p > _SCRYPT_BYTES or r * p > _SCRYPT_BLOCKS
    return "its scrypt takes too much memory or time" if too_much else ""
