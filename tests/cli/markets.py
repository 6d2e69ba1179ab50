"""A market with three participants, as far as tests want it: made, open, joined, revealed, published."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import KEYS, STRANGER, Dcai, add_account

DORA = "0x" + "d0" * 32
PEOPLE = {**KEYS, "carol": STRANGER, "dora": DORA}
"""alice makes the market; bob helps, carol harms, dora shows nothing."""

BURN = "0x000000000000000000000000000000000000dEaD"
GOOD = ["warm", "great", "wonderful", "fine", "lovely", "brilliant"]
BAD = ["dull", "cold", "awful", "boring", "messy", "weak"]
OTHERS = [f"word{number}" for number in range(40)]

RULES = (
    *("--labels", "negative,positive", "--n-features", "256", "--pieces", "4", "--bounty", "1ether"),
    *("--quota", "64", "--quota-each", "30", "--yes"),
)


def rows(count: int, seed: int, *, is_wrong: bool = False) -> list[tuple[str, str]]:
    """Texts with two words that say the label, and three that say nothing."""
    chance = random.Random(seed)  # noqa: S311 - rows of a test
    made = []
    for _ in range(count):
        is_good = chance.random() < 0.5
        words = [*chance.sample(GOOD if is_good else BAD, 2), *chance.sample(OTHERS, 3)]
        made.append((" ".join(words), "positive" if is_good != is_wrong else "negative"))
    return made


def make_market(dcai: Dcai, *more: str, name: str = "bounty") -> None:
    """Alice makes a market of 24 test samples in four pieces."""
    dcai.data("market", "create", name, "--test", dcai.write("test.csv", rows(24, 5)), *RULES, *more)


def join_all(dcai: Dcai) -> None:
    """Bob, carol and dora take part."""
    for name, count, is_wrong in (("bob", 16, False), ("carol", 10, True), ("dora", 3, False)):
        file = dcai.write(f"{name}.csv", rows(count, len(name) + count, is_wrong=is_wrong))
        dcai.data("market", "join", "alice/bounty", file, "--account", name, "--yes")


@pytest.fixture(scope="session")
def made_market(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared home with four accounts and a market that is not open yet."""
    folder = tmp_path_factory.mktemp("market")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    dcai = Dcai(folder)
    for name in PEOPLE.keys() - KEYS:
        add_account(dcai, name, PEOPLE[name])
    make_market(dcai)
    return folder


@pytest.fixture(scope="session")
def open_market(made_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and open."""
    folder = tmp_path_factory.mktemp("open-market")
    shutil.copytree(made_market, folder, dirs_exist_ok=True)
    Dcai(folder).data("market", "reveal", "bounty", "--yes")
    return folder


@pytest.fixture(scope="session")
def joined_market(open_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after three joined, when their samples can be revealed."""
    folder = tmp_path_factory.mktemp("joined-market")
    shutil.copytree(open_market, folder, dirs_exist_ok=True)
    dcai = Dcai(folder)
    join_all(dcai)
    dcai.data("devnet", "advance", "7d")
    return folder


def copied(source: Path, folder: Path) -> Dcai:
    """A folder of a test's own."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return Dcai(folder)


@pytest.fixture
def made(made_market: Path, tmp_path: Path) -> Dcai:
    """The command line where a market is made."""
    return copied(made_market, tmp_path / "made")


@pytest.fixture
def opened(open_market: Path, tmp_path: Path) -> Dcai:
    """The command line where a market is open."""
    return copied(open_market, tmp_path / "opened")


@pytest.fixture
def joined(joined_market: Path, tmp_path: Path) -> Dcai:
    """The command line where samples can be revealed."""
    return copied(joined_market, tmp_path / "joined")
