"""A folder of encrypted key files: Web3 Secret Storage, version 3.

A file `<name>.json` in the keystore's folder is the account `<name>`; so geth, ape and `cast wallet` (where
the name is the file's) read ours, and theirs are read here whatever their names. Passwords are passed in,
never asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.errors import BadInput, DcaiError, NoAccount
from dcai_cli.files import lock, write_atomically
from dcai_cli.keystore import keyfile
from dcai_cli.keystore.keyfile import ADDRESS, WORK_FACTOR

if TYPE_CHECKING:
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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

    def __init__(self, folder: Path, *, work_factor: int = WORK_FACTOR) -> None:
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
        try:
            content = keyfile.read(path)
        except NoAccount:
            raise BadInput(f"There is no file {path}.", hint="Check the name and the folder.") from None
        account = keyfile.decrypt(content, password, path)
        return self._write(name, keyfile.copied(content, account.address))

    def list(self) -> list[StoredAccount]:
        """Every file of the folder by name; unreadable ones too, as accounts without an address.

        Raises:
            BadInput: the folder cannot be read.
        """
        try:
            names = sorted(path for path in self._folder.iterdir() if not path.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise BadInput(
                f"The keystore {self._folder} cannot be read: {error.strerror}.",
                hint="Check the folder's permissions, or name another one: ETH_KEYSTORE.",
            ) from None
        return sorted(map(_stored, filter(_is_file, names)), key=lambda stored: stored.name)

    def find(self, name_or_address: str) -> StoredAccount:
        """Find an account by its name, its file's name or its address.

        Raises:
            NoAccount: there is none.
        """
        accounts = self.list()
        # An address is never a name of ours; a foreign file that has one for its name may hold another key.
        digits = ADDRESS.fullmatch(name_or_address)
        for stored in accounts:
            if digits and stored.address and stored.address[2:].lower() == digits[1].lower():
                return stored
        for stored in accounts:
            if name_or_address in (stored.name, stored.path.name):
                return stored
        known = ", ".join(stored.name for stored in accounts)
        raise NoAccount(
            f"There is no account {name_or_address!r} in {self._folder}.",
            hint=f"Choose one of these: {known}." if known else "Set it up: dcai init",
        )

    def unlock(self, stored: StoredAccount, password: str) -> LocalAccount:
        """Decrypt an account; what comes back shows its key nowhere.

        Raises:
            WrongPassword: the password does not open the file.
            BadInput: the file is no key file, or a damaged one.
            NoAccount: the file is gone.
        """
        return keyfile.decrypt(keyfile.read(stored.path), password, stored.path)

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
        if not _NAME.fullmatch(name) or name.endswith(".json") or ADDRESS.fullmatch(name):
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
        self.check_free(name)
        return self._write(name, keyfile.encrypt(key, password, self._work_factor))

    def _write(self, name: str, content: Mapping[str, Any]) -> StoredAccount:
        path = self._folder / f"{name}.json"
        # Beside the folder: some programs take every file in it for a key.
        with lock(self._folder.parent / f".{self._folder.name}.lock", what="The keystore", wait_s=10):
            self.check_free(name)
            write_atomically(path, json.dumps(content, indent=1).encode() + b"\n")
        return _stored(path)


def _private_key(text: str) -> bytes:
    """The bytes of a private key; no error shows any of it."""
    digits = text.strip().removeprefix("0x")
    if re.fullmatch(r"[0-9a-fA-F]{64}", digits) and keyfile.is_private_key(bytes.fromhex(digits)):
        return bytes.fromhex(digits)
    raise BadInput("This is not a private key.", hint="A private key has 64 hex digits, with or without 0x.")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a link into a folder that is closed


def _stored(path: Path) -> StoredAccount:
    try:
        address = keyfile.address_in(keyfile.read(path))
    except DcaiError:
        address = None
    return StoredAccount(path.name.removesuffix(".json"), address, path)
