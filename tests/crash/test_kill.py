"""SIGKILL at any moment: the same command again finishes the work, and nothing happens twice."""

from __future__ import annotations

import csv
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.services.models import find_model

if TYPE_CHECKING:
    from tests.conftest import Dcai, MakeDcai, StartAnvil
    from tests.crash.conftest import CheckBooks, WriteTexts

KILLS = 10
IN_FLIGHT_KILLS = 5
ROWS = 1_000
PATIENCE_S = 60.0
LOOK_S = 0.002
LONGEST_S = 0.2
"""A kill comes within so many seconds after its moment, so that the file outlasts all of them."""

Moment = Callable[[list[str]], bool]
"""Whether the time to kill has come, by the states of the transactions that were added since the start."""


def states(dcai: Dcai) -> list[str]:
    """The states of all transactions, oldest first; none while there is no ledger."""
    with suppress(sqlite3.OperationalError):
        return [state for (state,) in dcai.query("SELECT state FROM transactions ORDER BY id")]
    return []


def in_flight(found: list[str]) -> bool:
    """Whether a transaction is signed and its receipt is not known."""
    return any(state in {"signed", "sent"} for state in found)


def added(count: int) -> Moment:
    """The moment when so many transactions were added."""
    return lambda new: len(new) >= count


def kill_at(dcai: Dcai, moment: Moment, delay_s: float, *arguments: str | Path) -> list[str]:
    """Start a command and kill it some time after a moment; it must not end before by itself.

    Returns:
        The states of the transactions in the ledger that it left.
    """
    before = len(states(dcai))
    process = dcai.start(*arguments)
    deadline = time.monotonic() + PATIENCE_S
    while not moment(states(dcai)[before:]):
        if process.poll() is not None:
            break
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(LOOK_S)
    with suppress(subprocess.TimeoutExpired):
        process.wait(delay_s)
    process.kill()
    out, talk = process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it ended by itself: {out}{talk}"
    return states(dcai)


def kill_repeatedly(dcai: Dcai, rng: random.Random, *arguments: str | Path) -> tuple[int, int]:
    """Kill a command again and again, at random moments.

    Every other time the test waits for a signed transaction first, so that a part of the kills falls between
    signing and receipt; the others come whenever they come.

    Returns:
        How many kills there were, and how many of them with a transaction in flight.
    """
    kills = flying = 0
    while kills < KILLS or flying < IN_FLIGHT_KILLS:
        assert kills < 3 * KILLS
        if kills % 2:
            left = kill_at(dcai, added(rng.randint(1, 3)), rng.uniform(0, LONGEST_S), *arguments)
        else:
            left = kill_at(dcai, in_flight, rng.uniform(0, 0.05), *arguments)
        kills += 1
        flying += in_flight(left)
    return kills, flying


def exported(dcai: Dcai, output: Path) -> Counter[tuple[str, str]]:
    """Label and features of every sample on-chain."""
    dcai("data", "export", "--output", output, "--force")
    with output.open(newline="", encoding="utf-8") as file:
        return Counter((row["label"], row["features"]) for row in csv.DictReader(file))


@pytest.fixture
def sms(shared_data: Path, tmp_path: Path) -> Path:
    """The first rows of the real messages."""
    with (shared_data / "sms_spam" / "data.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.reader(source))[: ROWS + 1]
    path = tmp_path / "sms.csv"
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows(rows)
    return path


@pytest.mark.complaint("uploads start from zero")
@pytest.mark.parametrize(
    ("network", "source", "batch_size"), [("embedded", "texts", "10"), ("anvil", "sms", "5")]
)
def test_a_contribution_killed_ten_times_is_finished_by_the_same_command(
    network: str,
    source: str,
    batch_size: str,
    make_dcai: MakeDcai,
    anvil: StartAnvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """After ten kills, five with a transaction in flight, every row is on-chain once and the books agree."""
    # Blocks at intervals open a real gap between sending and receipt.
    dcai = make_dcai(anvil("--block-time", "0.2") if network == "anvil" else None)
    file = write_texts(ROWS) if source == "texts" else request.getfixturevalue("sms")
    dcai.deploy("killed", labels="ham,spam", n_features=1024)
    command = ("contribute", file, "--batch-size", batch_size, "--yes")

    kills, flying = kill_repeatedly(dcai, random.Random(f"{network} {source}"), *command)  # noqa: S311
    done = dcai(*command)

    assert kills >= KILLS
    assert flying >= IN_FLIGHT_KILLS
    assert done["contributed"] > 0
    assert done["contributed"] + done["already_contributed"] + len(done["skipped"]) >= ROWS
    with dcai.workspace() as workspace:
        check_books(workspace, file)
    on_chain = exported(dcai, tmp_path / "export.csv")
    again = dcai(*command)
    assert (again["contributed"], again["batches"]) == (0, [])
    assert exported(dcai, tmp_path / "export.csv") == on_chain


def test_a_claim_killed_midway_is_finished_by_the_same_command(
    dcai: Dcai, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Killed with refunds signed but unsettled, the next claim settles them; no deposit is lost."""
    file = write_texts(100)
    dcai.deploy("killed", labels="ham,spam", n_features=256)
    deposit_wei = int(dcai("contribute", file, "--batch-size", "50", "--yes")["deposit_wei"])
    dcai("devnet", "advance", "25h")
    command = ("refunds", "--claim", "--yes")

    left = kill_at(dcai, in_flight, 0.0, *command)
    dcai(*command)

    assert in_flight(left)
    items = dcai("refunds", "--all")["items"]
    refunded_wei = sum(int(wei) for (wei,) in dcai.query("SELECT refunded_wei FROM batches"))
    assert refunded_wei > 0
    assert refunded_wei + sum(int(item["amount_wei"]) for item in items) == deposit_wei
    assert dcai(*command)["transactions"] == []
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_a_killed_deployment_is_finished_and_not_repeated(
    make_dcai: MakeDcai, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Killed at two of its transactions, a deployment ends with one registry and one model."""
    dcai = make_dcai(None)
    what = ("--name", "killed", "--kind", "text", "--labels", "ham,spam", "--n-features", "256")
    deploy = ("model", "deploy", *what, "--yes")
    for wanted in (1, 1):
        kill_at(dcai, added(wanted), 0.0, *deploy)
    dcai(*deploy)

    steps = [kind for (kind,) in dcai.query("SELECT kind FROM transactions WHERE state = 'mined'")]
    assert Counter(steps) == {"deploy": 1, "install": 1, "create": 1, "seal": 1}
    file = write_texts(20)
    dcai("contribute", file, "--yes")
    with dcai.workspace() as workspace:
        assert find_model(workspace, "killed").name == "killed"
        check_books(workspace, file)
