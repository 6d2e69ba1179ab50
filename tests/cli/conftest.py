"""The command line in this process, in a home that was prepared once and is copied for each test."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from dcai_cli.chain import Chain, Receipt, open_chain
from dcai_cli.cli.app import run
from dcai_cli.config import Settings, load_settings
from dcai_cli.keystore import Keystore
from dcai_cli.services.accounts import import_account
from dcai_cli.services.workspace import Workspace
from tests.cli.hints import commands_in, fault_of

PASSWORD = "open sesame"
KEYS = {"alice": "0x" + "a1" * 32, "bob": "0x" + "b0" * 32}
STRANGER = "0x" + "5a" * 32
"""The key of somebody with points who is not in every home."""
ADDRESSES = {name: Account.from_key(key).address for name, key in KEYS.items()}

HONEST = [
    ("a wonderful warm film with a great heart", "positive"),
    ("great acting and a wonderful story", "positive"),
    ("the story is warm and the acting great", "positive"),
    ("a dull cold mess without any point", "negative"),
    ("cold acting and a dull plot", "negative"),
    ("the plot is a mess and has no point", "negative"),
]
"""Rows that a small model learns at once."""


@dataclass(frozen=True)
class Result:
    """What one command did: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def invoke(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, typed: str = "") -> Result:
    """Run the command line here, without what this process's environment says about it."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in os.environ:
            if name.startswith(("ETH_", "DCAI_")) or name in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}:
                patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8"))
        code = run(arguments)
    return Result(code, out.getvalue(), err.getvalue())


class Dcai:
    """`dcai` with a home and a working folder of its own.

    Args:
        folder: the working folder; the home is `home` in it, the password stands in `password`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {
            "DCAI_HOME": str(self.home),
            "ETH_PASSWORD": str(folder / "password"),
        }
        (folder / "password").write_text(f"{PASSWORD}\n")

    def __call__(self, *arguments: str | Path, typed: str = "", **environment: str) -> Result:
        """Run a command; keyword arguments are environment variables."""
        words = [str(argument) for argument in arguments]
        return invoke(words, self.environment | environment, self.folder, typed)

    def data(self, *arguments: str | Path, **environment: str) -> dict[str, Any]:
        """Run a command with --json that must succeed, and return its data."""
        result = self(*arguments, "--json", **environment)
        assert result.code == 0, result.err
        data = result.document["data"]
        assert isinstance(data, dict)
        return data

    def error(self, *arguments: str | Path, **environment: str) -> dict[str, Any]:
        """Run a command with --json that must fail, saying what to do, and return its error object."""
        result = self(*arguments, "--json", **environment)
        error = result.document["error"]
        assert isinstance(error, dict)
        assert result.code == error["exit_code"] != 0
        assert error["hint"]
        assert [fault for command in commands_in(error["hint"]) if (fault := fault_of(command))] == []
        return error

    def write(
        self, name: str, rows: Sequence[tuple[str, ...]], header: Sequence[str] = ("text", "label")
    ) -> Path:
        """Write a csv file into the working folder."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    @property
    def settings(self) -> Settings:
        """The settings of this home on the embedded chain."""
        return load_settings(self.environment)

    @contextmanager
    def chain(self) -> Iterator[Chain]:
        """The embedded chain of this home."""
        with open_chain(self.settings) as chain:
            yield chain

    def balance_wei(self, address: str) -> int:
        """What an address has on the embedded chain."""
        with self.chain() as chain:
            return chain.balance_wei(address)

    def send(self, name: str, to: str | None, data: bytes = b"", value_wei: int = 0) -> Receipt:
        """Send a transaction past dcai, as another program would."""
        key = Account.from_key(KEYS[name])
        with self.chain() as chain:
            gas = chain.estimate_gas(key.address, to, data, value_wei)
            nonce = chain.next_nonce(key.address)
            signed = chain.sign(
                key, to=to, data=data, value_wei=value_wei, nonce=nonce, gas=gas, fees=chain.fees()
            )
            receipt = chain.wait(chain.send(signed.raw))
        assert receipt.status
        return receipt

    def ledger_rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table of the ledger, but what looking at the chain alone adds to it."""
        names = self.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'checkpoints'")
        rows = {}
        for (name,) in sorted(names):
            columns = [column for (column,) in self.query("SELECT name FROM pragma_table_info(?)", name)]
            kept = ", ".join(column for column in columns if column != "final")
            sent_here = " WHERE transaction_id IS NOT NULL" if name == "batches" else ""
            rows[name] = self.query(f"SELECT {kept} FROM {name}{sent_here}")  # noqa: S608
        return rows

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the ledger."""
        with closing(sqlite3.connect(self.home / "ledger.sqlite")) as database:
            return database.execute(sql, values).fetchall()

    def state(self) -> dict[str, Any]:
        """All that a refused command must leave as it was: chain, money, ledger and keys."""
        with self.chain() as chain:
            accounts = {
                name: (chain.balance_wei(address), chain.next_nonce(address))
                for name, address in ADDRESSES.items()
            }
            height = chain.block_number()
        keys = {path.name: path.read_bytes() for path in (self.home / "keystore").iterdir()}
        return {"height": height, "accounts": accounts, "ledger": self.ledger_rows(), "keys": keys}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Whatever is run in here leaves chain, money, ledger and keys as they were."""
        before = self.state()
        yield
        after = self.state()
        assert {name: rows for name, rows in after["ledger"].items() if rows != before["ledger"][name]} == {}
        assert after == before


def add_account(dcai: Dcai, name: str, key: str | None = None) -> None:
    """Import a fixed key into a home; its file opens quickly."""
    keystore = Keystore(dcai.home / "keystore", work_factor=2)
    with Workspace(dcai.settings, keystore=keystore) as workspace:
        import_account(workspace, name, private_key=key or KEYS[name], password=PASSWORD)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What `prepared` and `after_contribution` are.

    Idle time makes deposits cheap, so the contribution follows at once: its deposit is worth its claim.
    """
    dcai = Dcai(tmp_path_factory.mktemp("prepared"))
    for name in KEYS:
        add_account(dcai, name)
    deploy = ("model", "deploy", "--name", "films", "--labels", "negative,positive", "--n-features", "256")
    dcai.data(*deploy, "--max-idle", "1m", "--yes")
    contributed = Dcai(tmp_path_factory.mktemp("contributed"))
    shutil.copytree(dcai.folder, contributed.folder, dirs_exist_ok=True)
    contributed.data("contribute", contributed.write("films.csv", HONEST), "--limit", "3", "--yes")
    return dcai.folder, contributed.folder


@pytest.fixture(scope="session")
def prepared(homes: tuple[Path, Path]) -> Path:
    """A folder with a home: two accounts (alice is in use) and a sealed text model, `films`, of alice's."""
    return homes[0]


@pytest.fixture
def dcai(prepared: Path, tmp_path: Path) -> Dcai:
    """The command line in a copy of the prepared home."""
    shutil.copytree(prepared / "home", tmp_path / "home")
    return Dcai(tmp_path)


@pytest.fixture
def empty(tmp_path: Path) -> Dcai:
    """The command line of somebody who has nothing yet."""
    return Dcai(tmp_path)


@pytest.fixture
def films(dcai: Dcai) -> Path:
    """Six honest rows for the prepared model."""
    return dcai.write("films.csv", HONEST)


@pytest.fixture
def closed_url() -> Iterator[str]:
    """The URL of a loopback port at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(scope="session")
def after_contribution(homes: tuple[Path, Path]) -> Path:
    """The prepared home after a contribution of three rows."""
    return homes[1]


@pytest.fixture
def contributed(after_contribution: Path, tmp_path: Path) -> Dcai:
    """The command line in a copy of the home after a contribution."""
    shutil.copytree(after_contribution, tmp_path, dirs_exist_ok=True)
    return Dcai(tmp_path)


def distinct(name: str, count: int) -> list[tuple[str, str]]:
    """Rows that share no word; with margin 0, a model of zeros predicts of each the other label."""
    return [
        (" ".join(f"{name}{number}{part}" for part in ("x", "y", "z")), ("positive", "negative")[number % 2])
        for number in range(count)
    ]


@pytest.fixture(scope="session")
def after_points(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared home with a second model, `club`, in use: alice has 24 points, bob 3, the stranger 1."""
    folder = tmp_path_factory.mktemp("club")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    dcai = Dcai(folder)
    what = ("--name", "club", "--labels", "negative,positive", "--n-features", "4096", "--margin", "0")
    dcai.data("model", "deploy", *what, "--incentive", "points", "--yes")
    dcai.data("model", "use", "club")
    add_account(dcai, "stranger", STRANGER)
    senders, rows = {"alice": 24, "bob": 3, "stranger": 1}, iter(distinct("first", 28))
    for name, count in senders.items():
        file = dcai.write(f"{name}.csv", list(itertools.islice(rows, count)))
        data = dcai.data("contribute", file, "--account", name, "--yes")
        assert [batch["informative"] for batch in data["batches"]] == [count]
    dcai.data("devnet", "advance", "25h")
    for name, count in senders.items():
        assert dcai.data("refunds", "--claim", "--account", name, "--yes")["points"] == count
    shutil.rmtree(dcai.home / "locks")
    (dcai.home / "keystore" / "stranger.json").unlink()
    return folder


@pytest.fixture
def club(after_points: Path, tmp_path: Path) -> Dcai:
    """The command line in a copy of the home with points; the stranger's key is not there."""
    shutil.copytree(after_points, tmp_path, dirs_exist_ok=True)
    return Dcai(tmp_path)


WRONG = [(text, "negative" if label == "positive" else "positive") for text, label in HONEST[:2]]
"""Rows with the other label."""


def tell_a_story(dcai: Dcai) -> None:
    """Refunds, parts of the same deposits taken by two reporters, a sweep of what is left, a new batch."""
    add_account(dcai, "carol", STRANGER)
    # Deposits so high that reports pay for their gas, however little time passes between contributions.
    what = ("--name", "dear", "--labels", "negative,positive", "--n-features", "4096")
    dcai.data("model", "deploy", *what, "--cost-weight", str(10**12), "--yes")
    dcai.data("model", "use", "dear")
    dcai.data("contribute", dcai.write("wrong.csv", WRONG), "--account", "bob", "--yes")
    dcai.data("contribute", dcai.write("films.csv", HONEST * 2), "--allow-duplicates", "--yes")
    for name, word in (("bob", "indeed"), ("carol", "truly")):
        good = [(f"{text} {word}", label) for text, label in HONEST]
        # Of new words in both labels the model predicts one otherwise, whatever it learned: a standing.
        good += distinct(name, 2)
        sent = dcai.data("contribute", dcai.write(f"{name}.csv", good), "--account", name, "--yes")
        assert sent["batches"][0]["informative"] > 0
    dcai.data("devnet", "advance", "25h")
    for name in ("alice", "bob", "carol"):
        dcai.data("refunds", "--claim", "--account", name, "--yes")
    dcai.data("devnet", "advance", "25h")
    for name in ("alice", "carol"):
        claimed = dcai.data("reports", "--claim", "--account", name, "--yes")
        assert int(claimed["reported_wei"]) > 0
    dcai.data("devnet", "advance", "5d")
    assert int(dcai.data("reports", "--claim", "--yes")["reported_wei"]) > 0  # the owner's sweep
    own = [("warm acting and a great heart", "positive")]
    dcai.data("contribute", dcai.write("own.csv", own), "--account", "carol", "--yes")


@pytest.fixture(scope="session")
def told(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared home after the story."""
    folder = tmp_path_factory.mktemp("told")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    tell_a_story(Dcai(folder))
    return folder


@pytest.fixture
def story(told: Path, tmp_path: Path) -> Dcai:
    """The command line in a copy of the home after the story."""
    shutil.copytree(told, tmp_path, dirs_exist_ok=True)
    return Dcai(tmp_path)
