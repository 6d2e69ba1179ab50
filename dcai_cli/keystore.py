"""Encrypted key files: Web3 Secret Storage, version 3.

A file `<name>.json` in the keystore's folder is the account `<name>`; so geth, ape and `cast wallet` (where
the name is the file's) read ours, and theirs are read here whatever their names. Passwords are passed in,
never asked for.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.errors import BadInput, DcaiError, NoAccount, WrongPassword
from dcai_cli.files import lock, write_atomically
from dcai_cli.hashing import checksummed

if TYPE_CHECKING:
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADDRESS = re.compile(r"(?:0x|0X)?([0-9a-fA-F]{40})")
_FILE_BYTES = 64 * 1024
_SCRYPT_BYTES = 2**30
_PBKDF2_ROUNDS = 5_000_000
_WORK_FACTOR = 2**18


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """One key file.

    Args:
        name: the file's name without `.json`.
        address: with its EIP-55 checksum; None where the file does not say (cast writes none).
        path: the file.
    """

    name: str
    address: str | None
    path: Path


class Keystore:
    """A folder of key files.

    Args:
        folder: made (0700) with the first account.
        work_factor: scrypt's n for new files, a power of two; the default takes half a second.
    """

    def __init__(self, folder: Path, *, work_factor: int = _WORK_FACTOR) -> None:
        self._folder = folder
        self._work_factor = work_factor

    def new(self, name: str, password: str) -> StoredAccount:
        """Make a key of the operating system's randomness and store it.

        Raises:
            BadInput: the name is taken, or cannot be one.
        """
        from eth_account import Account

        return self._store(name, bytes(Account.create().key), password)

    def import_key(self, name: str, private_key_hex: str, password: str) -> StoredAccount:
        """Store a private key.

        Args:
            name: of the new account.
            private_key_hex: 64 hex digits, with or without 0x.
            password: encrypts the file.

        Raises:
            BadInput: the key is none, or the name is taken or cannot be one.
        """
        return self._store(name, _private_key(private_key_hex), password)

    def import_file(self, path: Path, name: str, password: str) -> StoredAccount:
        """Copy a key file of another program, once its password opened it.

        Raises:
            BadInput: it is no key file, or the name is taken or cannot be one.
            WrongPassword: the password does not open it.
        """
        if not path.exists():
            raise BadInput(f"There is no file {path}.", hint="Check the name and the folder.")
        content = _read(path)
        account = _decrypt(content, password, path)
        return self._write(name, {**content, "address": account.address[2:].lower()})

    def list(self) -> list[StoredAccount]:
        """Every file of the folder by name; unreadable ones too, as accounts without an address."""
        if not self._folder.is_dir():
            return []
        paths = (path for path in self._folder.iterdir() if path.is_file() and not path.name.startswith("."))
        return sorted(map(_stored, paths), key=lambda stored: stored.name)

    def find(self, name_or_address: str) -> StoredAccount:
        """Find an account by its name, its file's name or its address.

        Raises:
            NoAccount: there is none.
        """
        accounts = self.list()
        for stored in accounts:
            if name_or_address in (stored.name, stored.path.name):
                return stored
        digits = _ADDRESS.fullmatch(name_or_address)
        for stored in accounts:
            if digits and stored.address and stored.address[2:].lower() == digits[1].lower():
                return stored
        known = ", ".join(stored.name for stored in accounts)
        raise NoAccount(
            f"There is no account {name_or_address!r} in {self._folder}.",
            hint=f"There are: {known}." if known else "Type `dcai account new --name NAME` to make one.",
        )

    def unlock(self, stored: StoredAccount, password: str) -> LocalAccount:
        """Decrypt an account; what comes back shows its key nowhere.

        Raises:
            WrongPassword: the password does not open the file.
            BadInput: the file is no key file, or a damaged one.
            NoAccount: the file is gone.
        """
        return _decrypt(_read(stored.path), password, stored.path)

    def export(self, stored: StoredAccount, password: str) -> str:
        """Decrypt an account's private key: 0x and 64 hex digits.

        Raises:
            WrongPassword: the password does not open the file.
            BadInput: the file is no key file, or a damaged one.
        """
        return f"0x{bytes(self.unlock(stored, password).key).hex()}"

    def check_free(self, name: str) -> None:
        """Make sure that a new account can have this name, before anybody is asked for a password.

        Raises:
            BadInput: the name is taken, or cannot be one.
        """
        if not _NAME.fullmatch(name) or name.endswith(".json") or _ADDRESS.fullmatch(name):
            raise BadInput(
                f"{name!r} cannot be the name of an account.",
                hint="Use up to 64 letters, digits, dots, dashes and underscores.",
            )
        # Two names that differ in case only are one file on some systems.
        if any(stored.name.lower() == name.lower() for stored in self.list()):
            raise BadInput(
                f"There is an account {name!r} in {self._folder} already.", hint="Choose another name."
            )

    def _store(self, name: str, key: bytes, password: str) -> StoredAccount:
        from eth_keyfile.keyfile import create_keyfile_json

        self.check_free(name)
        content = create_keyfile_json(
            key, password.encode(), version=3, kdf="scrypt", iterations=self._work_factor
        )
        return self._write(name, {**content, "address": content["address"].lower()})

    def _write(self, name: str, content: Mapping[str, Any]) -> StoredAccount:
        path = self._folder / f"{name}.json"
        # Beside the folder: some programs take every file in it for a key.
        with lock(self._folder.parent / f".{self._folder.name}.lock", what="The keystore", wait_s=10):
            self.check_free(name)
            write_atomically(path, json.dumps(content, indent=1).encode() + b"\n")
        return _stored(path)


def password_from_file(path: Path) -> str:
    """Read a password from a file; one line break at its end does not belong to it.

    Raises:
        BadInput: the file cannot be read as text.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(
            f"The password file {path} cannot be read: {why}.",
            hint="Set ETH_PASSWORD or --password-file to a file that holds the password.",
        ) from None
    return text.removesuffix("\n").removesuffix("\r")


def _private_key(text: str) -> bytes:
    """The bytes of a private key; no error shows any of it."""
    from eth_keys.constants import SECPK1_N

    digits = text.strip().removeprefix("0x")
    if re.fullmatch(r"[0-9a-fA-F]{64}", digits) and 0 < int(digits, 16) < SECPK1_N:
        return bytes.fromhex(digits)
    raise BadInput("This is not a private key.", hint="A private key has 64 hex digits, with or without 0x.")


def _stored(path: Path) -> StoredAccount:
    try:
        address = _address_in(_read(path))
    except DcaiError:
        address = None
    return StoredAccount(path.name.removesuffix(".json"), address, path)


def _address_in(content: Mapping[str, Any]) -> str | None:
    found = content.get("address")
    match = _ADDRESS.fullmatch(found) if isinstance(found, str) else None
    return checksummed(match[1]) if match else None


def _read(path: Path) -> dict[str, Any]:
    """Read a key file's JSON, whatever it holds."""
    try:
        if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size > _FILE_BYTES:
            raise _damaged(path, "it is not a small file")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NoAccount(f"There is no key file {path}.", hint="Type `dcai account list`.") from None
    except OSError as error:
        raise _damaged(path, str(error.strerror)) from None
    except (ValueError, RecursionError):
        raise _damaged(path, "it is not JSON") from None
    if not isinstance(content, dict):
        raise _damaged(path, "it is not a JSON object")
    return content


def _decrypt(content: dict[str, Any], password: str, path: Path) -> LocalAccount:
    """Open a key file, after making sure that this ends in good time."""
    from eth_account import Account
    from eth_keyfile.keyfile import decode_keyfile_json

    fault = _fault(content)
    if fault:
        raise _damaged(path, fault)
    try:
        key = decode_keyfile_json(content, password.encode())
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassword(
                f"The password does not open {path.name}.", hint="Check --password-file or ETH_PASSWORD."
            ) from None
        raise _damaged(path, "its values do not fit together") from None
    except (KeyError, TypeError, AttributeError, OverflowError, MemoryError):
        raise _damaged(path, "its values do not fit together") from None
    account: LocalAccount = Account.from_key(_private_key(key.hex()))
    stated = _address_in(content)
    if stated not in (None, account.address):
        raise _damaged(path, f"it says {stated}, but its key is that of {account.address}")
    return account


def _fault(content: Mapping[str, Any]) -> str:
    """What makes a JSON object no key file, or one that would take minutes to open; empty if nothing does."""
    if content.get("version") != 3:
        return f"its version is {content.get('version')!r:.40}, not 3"
    crypto = next((value for name, value in content.items() if name.lower() == "crypto"), None)
    if not isinstance(crypto, Mapping):
        return 'it has no "crypto"'
    fields = {name.lower(): value for name, value in crypto.items()}
    kdf, limits = fields.get("kdf"), fields.get("kdfparams")
    if fields.get("cipher") != "aes-128-ctr":
        return "its cipher is not aes-128-ctr"
    if kdf not in ("scrypt", "pbkdf2") or not isinstance(limits, Mapping):
        return "its key derivation is neither scrypt nor pbkdf2"
    numbers = [limits.get(name) for name in (("n", "r", "p") if kdf == "scrypt" else ("c",))]
    if not all(type(number) is int and number > 0 for number in [*numbers, limits.get("dklen")]):
        return f"the numbers of its {kdf} are not positive whole numbers"
    return _kdf_fault(kdf, [int(str(number)) for number in numbers], limits)


def _kdf_fault(kdf: str, numbers: list[int], limits: Mapping[str, Any]) -> str:
    if limits["dklen"] != 32:
        return f"its derived key has {limits['dklen']} bytes, not 32"
    if kdf == "pbkdf2":
        if limits.get("prf") != "hmac-sha256":
            return "its pbkdf2 is not with hmac-sha256"
        return "its pbkdf2 takes too many rounds" if numbers[0] > _PBKDF2_ROUNDS else ""
    n, r, p = numbers
    return "its scrypt takes too much memory" if 128 * n * r * p > _SCRYPT_BYTES else ""


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{path} is not a key file that can be used: {why}.",
        hint="Restore it from a backup, or import the account again.",
    )
