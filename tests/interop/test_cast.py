"""Key files that `cast wallet` writes and reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dcai_cli.errors import WrongPassword
from dcai_cli.keystore import Keystore

KEY = "0x" + "22" * 32
ADDRESS = "0x1563915e194D8CfBA1943570603F7606A3115508"
PASSWORD = "a password, with spaces"


def run(*command: str) -> str:
    """Run a program and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_cast_reads_our_files(cast: str, tmp_path: Path) -> None:
    """By path and by name in the folder, cast finds the address and the same signature."""
    keystore = Keystore(tmp_path / "keystore", work_factor=2)
    account = keystore.import_key("mine", KEY, PASSWORD)
    assert run(cast, "wallet", "address", "--keystore", str(account.path), "--password", PASSWORD) == ADDRESS
    assert "mine.json" in run(cast, "wallet", "list", "--dir", str(account.path.parent))
    signature = run(cast, "wallet", "sign", "--keystore", str(account.path), "--password", PASSWORD, "hello")
    from eth_account.messages import encode_defunct

    ours = keystore.unlock(account, PASSWORD).sign_message(encode_defunct(text="hello"))
    assert signature == f"0x{ours.signature.hex()}"


def test_we_read_casts_files(cast: str, tmp_path: Path) -> None:
    """A file that `cast wallet import` wrote, without an address, is an account under its name."""
    secrets = ("--private-key", KEY, "--unsafe-password", PASSWORD)
    run(cast, "wallet", "import", "theirs", "--keystore-dir", str(tmp_path), *secrets)
    keystore = Keystore(tmp_path)
    account = keystore.find("theirs")
    assert account.address is None
    assert keystore.export(account, PASSWORD) == KEY
    assert keystore.import_file(account.path, "ours", PASSWORD).address == ADDRESS


def test_cast_decrypts_our_files(cast: str, tmp_path: Path) -> None:
    """`decrypt-keystore` finds our key, by the file's name in the folder; a new one and a copied one."""
    keystore = Keystore(tmp_path / "keystore", work_factor=4096)
    keystore.import_key("mine", KEY, PASSWORD)
    keystore.import_file(tmp_path / "keystore" / "mine.json", "copy", PASSWORD)
    folder = str(tmp_path / "keystore")
    for name in ("mine.json", "copy.json"):
        secrets = ("--unsafe-password", PASSWORD)
        shown = run(cast, "wallet", "decrypt-keystore", name, "--keystore-dir", folder, *secrets)
        assert shown.endswith(f"private key is: {KEY}")


def test_we_read_accounts_that_cast_made(cast: str, tmp_path: Path) -> None:
    """`cast wallet new` writes a random key: its address is the one that cast prints."""
    folder = tmp_path / "keystore"
    folder.mkdir(mode=0o700)
    shown = run(cast, "wallet", "new", str(folder), "fresh", "--unsafe-password", PASSWORD)
    keystore = Keystore(folder)
    account = keystore.find("fresh")
    assert keystore.unlock(account, PASSWORD).address in shown
    assert str(keystore.import_file(account.path, "copy", PASSWORD).address) in shown


def test_a_password_that_cast_changed_opens_our_file(cast: str, tmp_path: Path) -> None:
    """`change-password` writes our file anew: the new password opens it, the old one does not."""
    keystore = Keystore(tmp_path / "keystore", work_factor=2)
    account = keystore.import_key("mine", KEY, PASSWORD)
    old_and_new = ("--unsafe-password", PASSWORD, "--unsafe-new-password", "another")
    run(
        cast,
        "wallet",
        "change-password",
        account.path.name,
        "--keystore-dir",
        str(tmp_path / "keystore"),
        *old_and_new,
    )
    assert keystore.export(account, "another") == KEY
    with pytest.raises(WrongPassword):
        keystore.export(account, PASSWORD)
