"""Ctrl-C in the middle of what takes long: exit code 130, books that agree, a second run that finishes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain.embedded import EmbeddedNode
from dcai_cli.cli.app import GOES_ON, SHOWN_BY
from tests.cli.conftest import ADDRESSES, HONEST, WRONG, Dcai, Result, distinct
from tests.cli.test_epilog_examples import KEY_FILE, stocked, stuck
from tests.cli.test_help import COMMANDS
from tests.cli.test_processes import StartTerminal, surroundings, terminal

__all__ = ["stocked", "stuck", "terminal"]  # the fixtures

ROWS = 40

OUTPUTS = ("weights.npz", "data.parquet", "data.csv", "out.csv", "confusion.png", "contributions.svg")
"""Files that are there before, and that commands write over."""

STRUCK = [
    "contribute many.csv --batch-size 3 --model reviews --yes --json",
    "model deploy --name fresh --labels negative,positive --n-features 256 --pretrain reviews.csv --yes",
    "model deploy --name fresh --labels negative,positive --suggest reviews.csv --incentive points --yes",
    "model evaluate test.csv --model reviews --plot confusion.png",
    "model evaluate test.csv --model reviews --publish --yes",
    "model seal news --yes",
    "model supersede reviews --by reviews-2 --yes",
    "model audit reviews",
    "model snapshot reviews --output weights.npz --force",
    "model export reviews --output weights.npz --force",
    "model verify reviews --standard-json explorer",
    "model suggest reviews.csv",
    "model list --json",
    "refunds --json",
    "refunds --claim --yes",
    "reports --claim --yes",
    "validate bob --model club --yes",
    "leaderboard --by validation --trust alice",
    "data export --model reviews --output data.parquet --force",
    "data export --model reviews --output data.csv --force",
    "data export --model reviews --format hf --output folder",
    "data stats --model reviews --plot contributions.svg",
    "featurize reviews.csv --spec spec.json --json",
    "predict --file test.csv --output out.csv --model reviews --force",
    "ledger rebuild",
    "ledger backup ledger.backup --force",
    "ledger restore ledger.backup --force",
    "ledger check",
    "daemon run --once",
    "init --new-account fresh --rpc-url embedded",
    "account new --name fresh",
    f"account import --name fresh --file {KEY_FILE}",
    "account use bob",
    "config set replace_after 90s",
    "devnet advance 25h",
    "devnet reset --yes",
    "tx speed-up --yes",
    "tx cancel --yes",
]
"""What is struck at its first, its middle and its last moment."""

DONE = {
    "model deploy": 15,
    "account new": 15,
    "account import": 15,
    "init": 15,
    "data export": 2,
    "validate": 14,
    "tx speed-up": 2,
    "tx cancel": 2,
}
"""How the same command ends after an interruption that came when all was done: nothing is left to do."""


class Moments:
    """Counts what a command asks of the chain and which of its own files it opens, and presses Ctrl-C at one.

    Args:
        folder: where its files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._strike_at: int | None = None
        self.count = 0

    def pass_by(self) -> None:
        """Count a moment; at the chosen one Ctrl-C is pressed."""
        self.count += 1
        if self.count == self._strike_at:
            signal.raise_signal(signal.SIGINT)

    def on_audit(self, event: str, values: tuple[Any, ...]) -> None:
        """Called by Python for what it does; files of other places, such as modules, do not count."""
        if event in {"open", "sqlite3.connect", "os.rename"} and isinstance(values[0], str):
            path = os.path.abspath(values[0])  # noqa: PTH100 - pathlib would look at the file system
            if path.startswith(self._folder):
                self.pass_by()

    @contextmanager
    def watch(self, *, strike_at: int | None = None) -> Iterator[None]:
        """Count for a while."""
        self._strike_at, self.count = strike_at, 0
        ask = EmbeddedNode.request

        def request(node: EmbeddedNode, method: str, *params: Any) -> Any:
            self.pass_by()
            return ask(node, method, *params)

        # Python tells its hooks for ever; this one hears it while it counts.
        hooks.append(self.on_audit)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(EmbeddedNode, "request", request)
                yield
        finally:
            hooks.clear()


hooks: list[Callable[[str, tuple[Any, ...]], None]] = []
sys.addaudithook(lambda event, values: [hook(event, values) for hook in hooks] and None)


@pytest.fixture(autouse=True)
def _listens() -> Iterator[None]:
    """A job in the background ignores Ctrl-C, and these tests may run in one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def disputed(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stocked folder with wrong rows of bob's that alice can report."""
    folder = tmp_path_factory.mktemp("disputed")
    shutil.copytree(stocked, folder, dirs_exist_ok=True)
    dcai = Dcai(folder)
    what = ("--name", "dear", "--labels", "negative,positive", "--n-features", "256")
    dcai.data("model", "deploy", *what, "--cost-weight", str(10**12), "--yes")
    into = ("--model", "dear", "--yes")
    dcai.data("contribute", dcai.write("wrong.csv", WRONG), "--account", "bob", "--batch-size", "1", *into)
    dcai.data("contribute", dcai.write("films.csv", HONEST * 2), "--allow-duplicates", *into)
    dcai.data("devnet", "advance", "25h")
    dcai.data("refunds", "--claim", "--yes")
    dcai.data("devnet", "advance", "25h")
    return folder


def name_of(typed: str) -> str:
    """The command's words."""
    return max((" ".join(words) for words in COMMANDS if typed.startswith(" ".join(words))), key=len)


def prepare(base: Path, folder: Path) -> Dcai:
    """A copy of a folder, with rows to contribute and old files to write over."""
    shutil.copytree(base, folder)
    dcai = Dcai(folder)
    dcai.write("many.csv", distinct("many", 12))
    for name in OUTPUTS:
        (folder / name).write_bytes(b"old")
    return dcai


def listing(folder: Path) -> set[str]:
    """The files of a folder without their times, but locks, and what SQLite writes beside a ledger."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (path for path in paths if "locks" not in path.parts and not path.name.endswith(("-wal", "-shm")))
    return {re.sub(r"\d[\dT-]{7,}Z.*", "", str(path)) for path in kept}


def check_interrupted(result: Result, typed: str) -> None:
    """Exit code 130, one error and what to type next, and nothing else on stdout.

    The daemon has words of its own, and ends well if it had nothing left to do.
    """
    if result.code == 0 and typed.startswith("daemon"):
        assert "stopping: SIGINT" in result.err
        return
    assert (result.code, result.err.count("error: ")) == (130, 1), result
    assert re.search(r"^error: (Interrupted|Stopped after \d+ claims)\.\nhint: .", result.err, re.MULTILINE)
    assert "Traceback" not in result.err
    if "--json" in typed:
        assert result.document["error"]["code"] == "interrupted"
    else:
        assert result.out == ""


def check_books(dcai: Dcai) -> None:
    """The ledger is sound, and knows each transaction and each deposit that is on-chain."""
    assert dcai("ledger", "check").code == 0
    with dcai.chain() as chain:
        for address in ADDRESSES.values():
            known = dcai.query(
                "SELECT count(*) FROM transactions WHERE account = ? AND state NOT IN ('signed', 'sent')",
                address,
            )
            assert known == [(chain.next_nonce(address),)]
        for (model,) in dcai.query("SELECT DISTINCT model FROM batches"):
            batches = dcai.query(
                "SELECT deposit_per_unit_wei, units, refunded_wei, lost_wei FROM batches "
                "WHERE model = ? AND state IN ('open', 'settled')",
                model,
            )
            deposits = (
                int(per_unit) * units - int(back) - int(lost) for per_unit, units, back, lost in batches
            )
            assert chain.balance_wei(model) == sum(deposits)


def test_every_command_that_changes_something_says_how_to_see_whether_it_did() -> None:
    """Whatever asks before it acts goes on where it was, or names what shows its state."""
    asking = {
        " ".join(words)
        for words, command in COMMANDS.items()
        if any("--yes" in option.opts for option in command.params)
    }
    assert asking - {"account export"} <= GOES_ON | SHOWN_BY.keys()
    assert {hint.removeprefix("dcai").strip() for hint in SHOWN_BY.values()} - {""} <= {
        " ".join(words) for words in COMMANDS
    }


@pytest.mark.parametrize("typed", STRUCK)
def test_a_command_that_is_struck_at_any_moment_is_finished_by_the_next_run(
    stocked: Path, disputed: Path, stuck: Path, tmp_path: Path, typed: str
) -> None:
    """Nothing half-written, no stray file, sound books; and the same command again does what was left."""
    name = name_of(typed)
    base = {"reports": disputed, "tx speed-up": stuck, "tx cancel": stuck}.get(name, stocked)
    whole = prepare(base, tmp_path / "whole")
    moments = Moments(tmp_path)
    with moments.watch():
        assert whole(*typed.split()).code == 0
    count = moments.count
    assert count > 1
    for moment in sorted({1, count // 2, count}):
        dcai = prepare(base, tmp_path / str(moment))
        with moments.watch(strike_at=moment):
            result = dcai(*typed.split())
        check_interrupted(result, typed)
        assert listing(dcai.folder) <= listing(base) | listing(whole.folder)
        for output in OUTPUTS:
            written = (dcai.folder / output).read_bytes()
            assert written == b"old" or len(written) == (whole.folder / output).stat().st_size
        assert dcai("ledger", "check").code == 0
        again = dcai(*typed.split())
        assert again.code in {0, DONE.get(name, 0)}, again.err
        if name != "devnet reset":  # a new chain, of which the ledger knows nothing
            check_books(dcai)
        shutil.rmtree(dcai.folder)


LONG = {
    "contribute many.csv --batch-size 1 --yes": "contributing",
    "contribute many.csv --batch-size 1 --yes --json": "deposits  at most",
    "model deploy --name club --labels a,b --incentive points --yes": "installing",
    "model suggest many.csv": "trying settings",
    "demo": "\n",
}
"""A command, and what its screen shows when it is well under way."""


@pytest.mark.parametrize("typed", LONG)
def test_an_interruption_ends_with_130_and_the_books_agree(
    dcai: Dcai, terminal: StartTerminal, typed: str
) -> None:
    """Nothing but a document of the error on stdout, no traceback, a sound ledger, and no lock left."""
    dcai.write("many.csv", distinct("many", ROWS))
    command = terminal(dcai, *typed.split())
    command.until(LONG[typed])
    command.interrupt()
    code, out = command.end()
    assert code == 130, command.seen
    assert "Traceback" not in command.seen
    if "--json" in typed:
        assert json.loads(out)["error"]["code"] == "interrupted"
    else:
        assert out == ""
    assert dcai.data("ledger", "check")["transactions"] > 0
    assert dcai().code == 0


def test_an_interrupted_contribution_is_finished_by_the_same_command(
    dcai: Dcai, terminal: StartTerminal
) -> None:
    """In the middle of its batches it stops; every row is on-chain once after the second run."""
    file = dcai.write("many.csv", distinct("many", ROWS))
    command = terminal(dcai, "contribute", file, "--batch-size", "1", "--yes")
    command.until(f"3/{ROWS}")
    command.interrupt()
    code, _ = command.end()
    assert code == 130
    assert "The same command again goes on where this one stopped." in " ".join(command.seen.split())
    before = dcai.data("data", "export", "--output", "before.csv")["samples"]
    assert 0 < before < ROWS
    done = dcai.data("contribute", file, "--yes")
    assert done["contributed"] + done["already_contributed"] == ROWS
    assert dcai.data("data", "export", "--output", "after.csv")["samples"] == ROWS
    dcai.data("ledger", "check")


def test_interrupted_claims_are_finished_by_the_same_command(dcai: Dcai, terminal: StartTerminal) -> None:
    """At the question, after reading the chain: nothing was claimed; then all of it is, once."""
    dcai.data("contribute", dcai.write("many.csv", distinct("many", 6)), "--batch-size", "2", "--yes")
    dcai.data("devnet", "advance", "25h")
    with dcai.unchanged():
        command = terminal(dcai, "refunds", "--claim")
        command.until("[y/N]")
        command.interrupt()
        assert command.end()[0] == 130
    claimed = dcai.data("refunds", "--claim", "--yes")
    assert claimed["claimed_samples"] + claimed["disagreed_samples"] == 6
    assert dcai.data("refunds", "--claim", "--yes")["claimed_samples"] == 0


def test_ctrl_c_at_a_password_prompt_makes_no_account(empty: Dcai, terminal: StartTerminal) -> None:
    """Exit code 130, no key file, and the terminal is told how to see that there is none."""
    command = terminal(empty, "account", "new", "--name", "me", ETH_PASSWORD="")
    command.until("Password for me: ")
    command.interrupt()
    assert command.end() == (130, "")
    assert "Whether it was done says: dcai account list" in command.seen
    assert "Traceback" not in command.seen
    assert empty.data("account", "list")["accounts"] == []


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be held back here")
def test_ctrl_c_while_python_starts_is_told_as_any_other(dcai: Dcai) -> None:
    """Pressed before the first line of ours runs, it waits until there is a command to end."""
    pressed = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}); "
        "os.kill(os.getpid(), signal.SIGINT); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", pressed, "-m", "dcai_cli", "refunds", "--json"],
        env=surroundings(dcai),
        cwd=dcai.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (130, "interrupted")
    assert done.stderr.startswith("error: Interrupted.\nhint: ")
