"""Key files that `cast wallet` writes and reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

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
