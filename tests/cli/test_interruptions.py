"""Ctrl-C in the middle of what takes long: exit code 130, books that agree, a second run that finishes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import distinct
from tests.cli.test_processes import StartTerminal, terminal

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["terminal"]  # the fixture

ROWS = 40

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
