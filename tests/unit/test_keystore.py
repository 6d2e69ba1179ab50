"""Key files: what is stored, what is refused, and how long a hostile file may take."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from eth_account import Account
from eth_keyfile.keyfile import create_keyfile_json
from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.errors import BadInput, DcaiError, NoAccount, WrongPassword
from dcai_cli.keystore import Keystore, StoredAccount, others_can_read, password_from_file

KEY = "0x" + "11" * 32
ADDRESS = Account.from_key(KEY).address
PASSWORD = "pässwörd, with spaces"


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    """An empty keystore whose files open quickly."""
    return Keystore(tmp_path / "keystore", work_factor=2)


def key_file(path: Path, **changes: Any) -> Path:
    """A key file of KEY with changed or, if None, missing fields; `crypto__kdf` reaches into `crypto`."""
    content = create_keyfile_json(bytes.fromhex(KEY[2:]), PASSWORD.encode(), kdf="scrypt", iterations=2)
    for name, value in changes.items():
        *parents, last = name.split("__")
        target = content
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def stored(path: Path) -> StoredAccount:
    """A file as an account."""
    return StoredAccount(path.stem, None, path)


def test_a_new_account_is_random_and_opens_with_its_password(keystore: Keystore) -> None:
    """Two new accounts differ; each decrypts to the key of its address."""
    first, second = keystore.new("first", PASSWORD), keystore.new("second", PASSWORD)
    assert first.address != second.address
    assert keystore.unlock(first, PASSWORD).address == first.address
    with pytest.raises(WrongPassword, match=r"does not open first\.json"):
        keystore.unlock(first, PASSWORD + " ")


def test_the_default_work_factor_is_geths_standard(tmp_path: Path) -> None:
    """Files are as hard to guess as those of geth: n = 2^18, r = 8, p = 1."""
    account = Keystore(tmp_path).import_key("hard", KEY, PASSWORD)
    parameters = json.loads(account.path.read_text())["crypto"]["kdfparams"]
    assert (parameters["n"], parameters["r"], parameters["p"]) == (262_144, 8, 1)
    assert Keystore(tmp_path).unlock(account, PASSWORD).address == ADDRESS


def test_an_imported_key_comes_out_again(keystore: Keystore) -> None:
    """Import and export are inverse, with or without 0x."""
    account = keystore.import_key("mine", KEY[2:], PASSWORD)
    assert account == StoredAccount("mine", ADDRESS, account.path)
    assert keystore.export(account, PASSWORD) == KEY


def test_files_and_folder_are_the_owners_only(keystore: Keystore) -> None:
    """0600 and 0700, whatever the umask."""
    account = keystore.new("mine", PASSWORD)
    assert stat.S_IMODE(account.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(account.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in account.path.parent.iterdir()] == ["mine.json"]


def test_a_file_is_web3_secret_storage(keystore: Keystore) -> None:
    """Version 3, scrypt, AES-128-CTR, and the address as geth writes it: lower case without 0x."""
    content = json.loads(keystore.import_key("mine", KEY, PASSWORD).path.read_text())
    assert content["version"] == 3
    assert content["address"] == ADDRESS[2:].lower()
    assert (content["crypto"]["cipher"], content["crypto"]["kdf"]) == ("aes-128-ctr", "scrypt")
    assert KEY[2:] not in json.dumps(content)


@pytest.mark.parametrize("taken", ["mine", "MINE"])
def test_an_account_is_never_overwritten(keystore: Keystore, taken: str) -> None:
    """A taken name, in any case of letters, is refused, and the file stays."""
    account = keystore.import_key("mine", KEY, PASSWORD)
    before = account.path.read_bytes()
    with pytest.raises(BadInput, match="already"):
        keystore.new(taken, "other")
    assert account.path.read_bytes() == before
    assert len(keystore.list()) == 1


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "../a", "a b", "a\n", "é", "x" * 65, "a.json", ADDRESS, "a\x00"]
)
def test_names_that_are_no_file_names_are_refused(keystore: Keystore, name: str) -> None:
    """A name cannot leave the folder, hide, or be taken for an address or a file."""
    with pytest.raises(BadInput, match="cannot be the name"):
        keystore.new(name, PASSWORD)
    assert keystore.list() == []


@pytest.mark.parametrize(
    "key",
    ["", "0x", "11" * 31, "11" * 33, "zz" * 32, "00" * 32, "ff" * 32, "11" * 31 + "1 ", "é" * 64],
)
def test_what_is_no_private_key_is_refused_without_showing_it(keystore: Keystore, key: str) -> None:
    """Wrong lengths, digits and ranges are refused; the message holds none of what was typed."""
    with pytest.raises(BadInput, match="not a private key") as refused:
        keystore.import_key("mine", key, PASSWORD)
    assert len(key) < 4 or key not in refused.value.message + refused.value.hint


def test_accounts_are_found_by_name_file_and_address(keystore: Keystore) -> None:
    """Each of the ways in which other programs name an account works."""
    account = keystore.import_key("mine", KEY, PASSWORD)
    for name in (
        "mine",
        "mine.json",
        ADDRESS,
        ADDRESS.lower(),
        ADDRESS[2:],
        ADDRESS.upper().replace("0X", "0x"),
    ):
        assert keystore.find(name) == account
    with pytest.raises(NoAccount, match="'yours'") as missing:
        keystore.find("yours")
    assert "mine" in missing.value.hint


def test_an_empty_keystore_says_how_to_begin(keystore: Keystore) -> None:
    """Without any account the hint is the command that makes one."""
    assert keystore.list() == []
    with pytest.raises(NoAccount) as missing:
        keystore.find("mine")
    assert "dcai init" in missing.value.hint


def test_files_of_other_programs_are_accounts(keystore: Keystore, tmp_path: Path) -> None:
    """Names as geth gives, files without an address, upper-case 0X and a capital `Crypto` all work."""
    folder = tmp_path / "keystore"
    key_file(folder / f"UTC--2026-11-22T10-00-00.123456789Z--{ADDRESS[2:].lower()}")
    key_file(folder / "cast", address=None)
    key_file(folder / "ape.json", address="0X" + ADDRESS[2:].upper())
    old = json.loads(key_file(folder / "old").read_text())
    old["Crypto"] = old.pop("crypto")
    (folder / "old").write_text(json.dumps(old))
    (folder / ".hidden").write_text("not an account")
    found = {account.name: account for account in keystore.list()}
    assert len(found) == 4
    assert found["cast"].address is None
    assert found["ape"].address == ADDRESS
    for account in found.values():
        assert keystore.unlock(account, PASSWORD).address == ADDRESS


def test_a_file_can_be_imported_after_its_password_opened_it(keystore: Keystore, tmp_path: Path) -> None:
    """The copy states the address even where the original did not; a wrong password stores nothing."""
    path = key_file(tmp_path / "theirs", address=None)
    with pytest.raises(WrongPassword):
        keystore.import_file(path, "mine", "wrong")
    assert keystore.list() == []
    account = keystore.import_file(path, "mine", PASSWORD)
    assert account.address == ADDRESS
    assert keystore.export(account, PASSWORD) == KEY


def test_pbkdf2_files_open(tmp_path: Path, keystore: Keystore) -> None:
    """The other key derivation of the format is read too."""
    content = create_keyfile_json(bytes.fromhex(KEY[2:]), PASSWORD.encode(), kdf="pbkdf2", iterations=10)
    path = tmp_path / "pbkdf2"
    path.write_text(json.dumps(content))
    assert keystore.unlock(stored(path), PASSWORD).address == ADDRESS


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 4},
        {"version": None},
        {"version": "3"},
        {"crypto": None},
        {"crypto": "text"},
        {"crypto": []},
        {"crypto__cipher": "aes-256-gcm"},
        {"crypto__kdf": "argon2"},
        {"crypto__kdf": {}},
        {"crypto__kdfparams": None},
        {"crypto__kdfparams": 5},
        {"crypto__kdfparams__n": "262144"},
        {"crypto__kdfparams__n": 3},
        {"crypto__kdfparams__n": True},
        {"crypto__kdfparams__n": 2.0},
        {"crypto__kdfparams__n": -2},
        {"crypto__kdfparams__n": 0},
        {"crypto__kdfparams__n": 2**40},
        {"crypto__kdfparams__r": 2**30},
        {"crypto__kdfparams__p": 2**30},
        {"crypto__kdfparams__n": 2**24},
        {"crypto__kdfparams__dklen": 2**40},
        {"crypto__kdfparams__dklen": 16},
        {"crypto__kdfparams__salt": None},
        {"crypto__kdfparams__salt": 5},
        {"crypto__kdfparams__salt": "zz"},
        {
            "crypto__kdf": "pbkdf2",
            "crypto__kdfparams": {"c": 10**9, "dklen": 32, "prf": "hmac-sha256", "salt": "00"},
        },
        {
            "crypto__kdf": "pbkdf2",
            "crypto__kdfparams": {"c": 10, "dklen": 32, "prf": "hmac-md5", "salt": "00"},
        },
        {"crypto__cipherparams": None},
        {"crypto__cipherparams__iv": "zz"},
        {"crypto__ciphertext": None},
        {"crypto__ciphertext": ["00"]},
        {"crypto__mac": 5},
        {"address": "0x" + "99" * 20},
    ],
    ids=str,
)
def test_a_damaged_or_hostile_file_is_refused_quickly(
    keystore: Keystore, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Missing, mistyped and enormous values name the file within two seconds, and take no memory."""
    path = key_file(tmp_path / "bad", **changes)
    began = time.monotonic()
    with pytest.raises(BadInput, match="bad is not a key file that can be used"):
        keystore.unlock(stored(path), PASSWORD)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 60_000, b" " * 70_000, b'{"version": 3}', b"1" * 5_000],
)
def test_a_file_that_is_no_json_object_is_refused(keystore: Keystore, tmp_path: Path, content: bytes) -> None:
    """Truncated, binary, deep and large files are listed without an address and refused when used."""
    folder = tmp_path / "keystore"
    folder.mkdir()
    (folder / "bad").write_bytes(content)
    account = keystore.find("bad")
    assert account.address is None
    with pytest.raises(BadInput, match="not a key file"):
        keystore.unlock(account, PASSWORD)


@given(cut=st.integers(0, 480))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Wherever the file ends too early, the error is one of ours."""
    folder = tmp_path_factory.mktemp("cut")
    whole = key_file(folder / "whole").read_bytes()
    path = folder / "cut"
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(BadInput):
        Keystore(folder).unlock(stored(path), PASSWORD)


def test_a_file_that_went_away_is_no_account(keystore: Keystore, tmp_path: Path) -> None:
    """Between listing and using, a file may be deleted."""
    with pytest.raises(NoAccount, match="no key file"):
        keystore.unlock(stored(tmp_path / "gone"), PASSWORD)


def test_what_is_no_regular_file_is_not_read(keystore: Keystore, tmp_path: Path) -> None:
    """A directory, a device that never ends, a pipe that nobody writes to, a socket: refused at once."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in (tmp_path, Path("/dev/zero"), Path("/dev/null"), pipe, link, tmp_path / "socket"):
            with pytest.raises(BadInput, match="not a small file"):
                keystore.unlock(stored(path), PASSWORD)
            with pytest.raises(BadInput, match="not a small file"):
                keystore.import_file(path, "mine", PASSWORD)


def test_a_name_that_leads_nowhere_is_refused(keystore: Keystore, tmp_path: Path) -> None:
    """Links in a circle, names that are too long, a file taken for a folder: errors that name the path."""
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    (tmp_path / "file").write_text("")
    for path in (circle, tmp_path / ("x" * 300), tmp_path / "file" / "key"):
        with pytest.raises(BadInput, match=r"can be used|There is no file"):
            keystore.import_file(path, "mine", PASSWORD)
    with pytest.raises(BadInput, match="There is no file"):
        keystore.import_file(tmp_path / "missing", "mine", PASSWORD)


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, if the tests have them."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_files_and_folders_that_may_not_be_read_are_named(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """A file without the right to read it is an account without an address; a closed folder is an error."""
    # Not below pytest's own folder, which nobody else may enter. Imports come before: python may stand there.
    key_file(tmp_path / "warm")
    Keystore(tmp_path).find("warm")
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        keystore = Keystore(folder / "keystore")
        path = key_file(folder / "keystore" / "closed")
        path.chmod(0)
        (folder / "keystore" / "link").symlink_to(tmp_path_factory.getbasetemp() / "somewhere" / "key")
        with nobody():
            assert [(account.name, account.address) for account in keystore.list()] == [("closed", None)]
            with pytest.raises(
                BadInput, match="closed is not a key file that can be used: Permission denied"
            ):
                keystore.unlock(stored(path), PASSWORD)
        path.parent.chmod(0)
        with (
            nobody(),
            pytest.raises(BadInput, match=r"keystore cannot be read: Permission denied") as refused,
        ):
            keystore.list()
        assert "ETH_KEYSTORE" in refused.value.hint
        path.parent.chmod(0o700)


def test_a_folder_of_hostile_files_is_listed_at_once(keystore: Keystore) -> None:
    """Pipes, loops, deep JSON and files that ask for terabytes do not keep listing from the rest."""
    account = keystore.import_key("mine", KEY, PASSWORD)
    folder = account.path.parent
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "folder").mkdir()
    for number in range(200):
        key_file(folder / f"huge{number}", crypto__kdfparams__n=2**40, crypto__kdfparams__p=2**30)
        (folder / f"deep{number}").write_bytes(b"[" * 65_536)
        (folder / f"large{number}").write_bytes(b" " * 70_000)
    (folder / os.fsdecode(b"\xff\xfe\x1b[2J")).write_bytes(b"{}")
    began_s = time.process_time()
    assert keystore.find(ADDRESS).address == ADDRESS
    assert len(keystore.list()) == 602
    assert time.process_time() - began_s < 2


def test_a_file_named_like_an_address_does_not_stand_in_for_it(keystore: Keystore) -> None:
    """Whoever types an address means the account that has it, whatever foreign files are called."""
    account = keystore.import_key("mine", KEY, PASSWORD)
    other = keystore.import_key("other", "0x" + "22" * 32, PASSWORD)
    other.path.rename(account.path.with_name(ADDRESS))
    assert keystore.find(ADDRESS) == account


@pytest.mark.parametrize("twice", ["crypto", "Crypto", "CRYPTO"])
def test_a_member_that_stands_twice_is_refused(keystore: Keystore, tmp_path: Path, twice: str) -> None:
    """The one that is checked must be the one that is used, also for readers that ignore case."""
    path = key_file(tmp_path / "twice")
    content = json.loads(path.read_text())
    hostile = json.dumps(content["crypto"]).replace('"n": 2', f'"n": {2**40}')
    path.write_text(path.read_text()[:-1] + f', "{twice}": {hostile}}}')
    with pytest.raises(BadInput, match="stands twice"):
        keystore.unlock(stored(path), PASSWORD)


def test_a_copy_has_nothing_that_does_not_belong_into_it(keystore: Keystore, tmp_path: Path) -> None:
    """Members of other programs, and values that are no JSON, are not taken over."""
    path = key_file(tmp_path / "theirs", id="no uuid", extra=float("nan"), **{"x-notes": ["a"]})
    content = json.loads(keystore.import_file(path, "mine", PASSWORD).path.read_text())
    assert sorted(content) == ["address", "crypto", "id", "version"]
    assert content["id"] != "no uuid"


@pytest.mark.parametrize("work", [{"n": 262_144, "r": 8, "p": 1}, {"n": 4096, "r": 8, "p": 6}])
def test_the_hardest_files_of_wallets_open_within_two_seconds(
    keystore: Keystore, tmp_path: Path, work: dict[str, int]
) -> None:
    """Geth's standard and light parameters are not refused: a wrong password is what is wrong with them."""
    path = key_file(
        tmp_path / "hard", **{f"crypto__kdfparams__{name}": value for name, value in work.items()}
    )
    began_s = time.process_time()
    with pytest.raises(WrongPassword):
        keystore.unlock(stored(path), PASSWORD)
    assert time.process_time() - began_s < 2


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private_whatever_the_umask_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """Key files 0600, every folder that is made 0700, while they are written, too."""
    seen = []
    replace = Path.replace

    def watch(path: Path, target: Path) -> Path:
        seen.append(stat.S_IMODE(path.stat().st_mode))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watch)
    keystore = Keystore(tmp_path / "a" / "b" / "keystore", work_factor=2)
    old = os.umask(umask)
    try:
        account = keystore.import_key("mine", KEY, PASSWORD)
        keystore.import_file(account.path, "copy", PASSWORD)
    finally:
        os.umask(old)
    assert seen == [0o600, 0o600]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        "a": 0o700,
        "b": 0o700,
        "keystore": 0o700,
        "mine.json": 0o600,
        "copy.json": 0o600,
        ".keystore.lock": 0o600,
    }


def test_secrets_are_in_no_error_or_repr(keystore: Keystore) -> None:
    """Neither key nor password shows in what may be printed or logged."""
    account = keystore.import_key("mine", KEY, PASSWORD)
    unlocked = keystore.unlock(account, PASSWORD)
    with pytest.raises(DcaiError) as refused:
        keystore.unlock(account, "wrong secret")
    shown = repr(unlocked) + str(unlocked) + repr(account) + repr(keystore)
    shown += "".join(traceback.format_exception(refused.value))
    assert KEY[2:] not in shown
    assert "wrong secret" not in refused.value.message + refused.value.hint
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"abc\n", "abc"),
        (b"abc", "abc"),
        (b"abc\n\n", "abc\n"),
        (b"abc\r\n", "abc"),
        (b" abc ", " abc "),
        (b"", ""),
    ],
)
def test_one_line_break_ends_a_password_file(tmp_path: Path, content: bytes, password: str) -> None:
    """Editors add a line break; spaces belong to the password."""
    path = tmp_path / "password"
    path.write_bytes(content)
    assert password_from_file(path) == password


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, no text, or without an end: the error names the file and the setting."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, binary, Path("/dev/zero")):
        with pytest.raises(BadInput, match=path.name) as refused:
            password_from_file(path)
        assert "ETH_PASSWORD" in refused.value.hint


def test_a_password_may_come_through_a_pipe(tmp_path: Path) -> None:
    """`--password-file <(pass show wallet)` is a named pipe to us."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=(b"abc\n",))
    writing.start()
    assert password_from_file(pipe) == "abc"
    writing.join()


@pytest.mark.parametrize(
    ("file", "folder", "seen"),
    [
        *((0o600, 0o755, False), (0o400, 0o777, False), (0o604, 0o755, True), (0o640, 0o755, True)),
        *((0o644, 0o700, False), (0o644, 0o711, True), (0o640, 0o701, False), (0o604, 0o710, False)),
    ],
)
def test_it_is_known_whether_others_can_read_a_password_file(file: int, folder: int, seen: bool) -> None:
    """The file's permissions count, and those of the folders above it."""
    with TemporaryDirectory() as name:
        path = Path(name) / "password"
        path.write_text("secret")
        path.chmod(file)
        path.parent.chmod(folder)
        assert others_can_read(path) is seen
        path.parent.chmod(0o700)
        assert not others_can_read(path.with_name("missing"))


def test_a_password_that_is_no_text_is_refused_without_showing_it(keystore: Keystore) -> None:
    """A terminal of another encoding gives half characters; nothing is stored, and nothing shown."""
    account = keystore.import_key("mine", KEY, PASSWORD)
    for act in (
        lambda: keystore.new("other", "se\udcffcret"),
        lambda: keystore.unlock(account, "se\udcffcret"),
    ):
        with pytest.raises(BadInput, match="not text in UTF-8") as refused:
            act()
        assert "cret" not in refused.value.message + refused.value.hint
    assert [stored.name for stored in keystore.list()] == ["mine"]
