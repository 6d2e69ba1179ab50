"""Key files of geth's format that others wrote: published vectors, and ethers in both directions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eth_account import Account

from dcai_cli.errors import WrongPassword
from dcai_cli.keystore import Keystore, StoredAccount

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "golden" / "keyfiles.json").read_text()
)["vectors"]
GETH_NAME = "UTC--2026-11-22T10-00-00.123456789Z--{}"
KEY = "0x" + "33" * 32
PASSWORD = "a password, with ünïcode"


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    """An empty keystore whose files open quickly."""
    return Keystore(tmp_path / "keystore", work_factor=2)


@pytest.mark.parametrize("name", VECTORS)
def test_published_files_open_as_geth_opens_them(keystore: Keystore, tmp_path: Path, name: str) -> None:
    """The examples of the format and geth's own files, keys with leading zeros among them; then as a copy."""
    vector = VECTORS[name]
    path = tmp_path / "theirs"
    path.write_text(json.dumps(vector["file"]))
    theirs = StoredAccount("theirs", None, path)
    key = keystore.export(theirs, vector["password"])
    address = Account.from_key(key).address
    assert vector["private_key"] is None or key == f"0x{vector['private_key']}"
    assert vector["address"] in (None, address.lower())
    copy = keystore.import_file(path, "mine", vector["password"])
    assert copy.address == address
    assert json.loads(copy.path.read_text())["id"] == vector["file"]["id"]
    assert keystore.export(copy, vector["password"]) == key
    with pytest.raises(WrongPassword):
        keystore.export(theirs, vector["password"] + " ")


def test_geths_names_are_read_and_found_by_address(keystore: Keystore, tmp_path: Path) -> None:
    """A folder of geth's, with its names: each account is found by its address, however that is written."""
    folder = tmp_path / "keystore"
    folder.mkdir(mode=0o700)
    for vector in VECTORS.values():
        if vector["address"] is not None:
            content = json.dumps(vector["file"], separators=(",", ":"))
            (folder / GETH_NAME.format(vector["address"][2:])).write_text(content)
    (folder / "README").write_text("no key")
    (folder / ".hiddenfile").write_text("no key")
    for vector in VECTORS.values():
        if vector["address"] is None:
            continue
        digits = vector["address"][2:]
        for written in (digits, f"0x{digits}", f"0X{digits.upper()}", GETH_NAME.format(digits)):
            found = keystore.find(written)
            assert found.path.name == GETH_NAME.format(digits)
            assert Account.from_key(keystore.export(found, vector["password"])).address == found.address


def test_our_files_have_geths_members_and_types(keystore: Keystore) -> None:
    """Go reads JSON into fixed types: a file of ours has geth's members and no others, new or copied."""
    new = keystore.import_key("new", KEY, PASSWORD)
    for account in (new, keystore.import_file(new.path, "copied", PASSWORD)):
        content = json.loads(account.path.read_text())
        assert sorted(content) == ["address", "crypto", "id", "version"]
        assert re.fullmatch(r"[0-9a-f]{40}", content["address"])
        assert UUID(content["id"]).version == 4
        assert type(content["version"]) is int
        crypto = content["crypto"]
        assert sorted(crypto) == ["cipher", "cipherparams", "ciphertext", "kdf", "kdfparams", "mac"]
        assert sorted(crypto["kdfparams"]) == ["dklen", "n", "p", "r", "salt"]
        assert all(type(crypto["kdfparams"][name]) is int for name in ("dklen", "n", "p", "r"))
        values = {
            "ciphertext": crypto["ciphertext"],
            "mac": crypto["mac"],
            "salt": crypto["kdfparams"]["salt"],
            "iv": crypto["cipherparams"]["iv"],
        }
        assert all(re.fullmatch(r"(?:[0-9a-f]{2})+", value) for value in values.values())
        assert [len(values[name]) // 2 for name in ("ciphertext", "mac", "iv")] == [32, 32, 16]


def ethers(*asked: tuple[str, str, str]) -> list[str]:
    """What ethers answers; keys and passwords go through a pipe."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("node is not on the PATH, and ethers needs it")
    done = subprocess.run(
        [node, str(Path(__file__).with_name("keyfiles.mjs"))],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers: list[str] = json.loads(done.stdout)
    return answers


def test_ethers_reads_our_files_and_we_read_its(keystore: Keystore, tmp_path: Path) -> None:
    """Both ways the same key; a password that is wrong by a letter is refused by both."""
    ours = keystore.import_key("ours", KEY, PASSWORD)
    content = ours.path.read_text()
    whole, wrong, written = ethers(
        ("decrypt", content, PASSWORD), ("decrypt", content, PASSWORD[:-1]), ("encrypt", KEY, PASSWORD)
    )
    assert whole == KEY
    assert "incorrect password" in wrong
    path = tmp_path / "keystore" / GETH_NAME.format("theirs")
    path.write_text(written)
    account = keystore.find(Account.from_key(KEY).address)
    assert keystore.export(account, PASSWORD) == KEY
    with pytest.raises(WrongPassword):
        keystore.export(StoredAccount("theirs", None, path), PASSWORD[:-1])
    copy = keystore.import_file(path, "copy", PASSWORD)
    assert ethers(("decrypt", copy.path.read_text(), PASSWORD)) == [KEY]
