"""dcai ledger check, backup and restore; and all commands with a ledger on a server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.postgres import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Dcai

ROWS = [("a wonderful film", "positive"), ("a dull mess", "negative"), ("great acting", "positive")]


def test_a_ledger_is_checked_backed_up_and_restored(contributed: Dcai) -> None:
    """The words for people: what was found, where it is, what is kept."""
    result = contributed("ledger", "check")
    assert result.code == 0
    assert "ledger.sqlite is sound: " in result.out
    assert "1 batch, 3 samples" in result.out
    result = contributed("ledger", "backup", "ledger.backup")
    assert "Wrote ledger.backup: " in result.out
    assert "key files" in result.out
    before = contributed.ledger_rows()
    (contributed.home / "ledger.sqlite").write_bytes(b"")
    error = contributed.error("refunds")
    assert (error["code"], error["exit_code"]) == ("bad-input", 15)
    assert "ledger.sqlite is damaged: it is empty" in error["message"]
    assert "dcai ledger restore FILE" in error["hint"]
    result = contributed("ledger", "restore", "ledger.backup")
    assert "before-restore-" in result.out
    assert contributed.ledger_rows() == before
    assert contributed.data("refunds")["items"]


def test_every_fault_of_a_damaged_ledger_is_listed(contributed: Dcai) -> None:
    """Exit code 15, a line for each."""
    with closing(sqlite3.connect(contributed.home / "ledger.sqlite")) as database, database:
        database.execute("UPDATE batches SET payload = NULL, settled = '1024'")
    error = contributed.error("ledger", "check")
    assert error["exit_code"] == 15
    _, *faults = error["message"].splitlines()
    assert len(faults) == 2
    assert all(fault.startswith("Batch 1 (0 of 0x") for fault in faults)


def test_a_file_that_is_there_is_not_written_over(contributed: Dcai) -> None:
    """Unless --force says so."""
    contributed("ledger", "backup", "ledger.backup")
    error = contributed.error("ledger", "backup", "ledger.backup")
    assert (error["exit_code"], "--force" in error["hint"]) == (15, True)
    assert contributed("ledger", "backup", "ledger.backup", "--force").code == 0


def test_a_restored_ledger_lets_a_contribution_go_on(contributed: Dcai) -> None:
    """What was contributed after the backup is not in it: restoring is refused, then forced, then kept."""
    contributed.data("ledger", "backup", "ledger.backup")
    contributed.data("contribute", "films.csv", "--yes")
    error = contributed.error("ledger", "restore", "ledger.backup")
    assert "1 transaction that ledger.backup lacks" in error["message"]
    data = contributed.data("ledger", "restore", "ledger.backup", "--force")
    assert (data["left_out"], data["batches"]) == (1, 1)
    data = contributed.data("ledger", "restore", data["kept"])
    assert (data["left_out"], data["batches"]) == (0, 2)
    contributed.data("devnet", "advance", "25h")
    assert contributed.data("refunds", "--claim", "--yes")["claimed_samples"] > 3


def test_all_goes_with_a_ledger_on_a_server(dcai: Dcai, postgres_url: str, tmp_path: Path) -> None:
    """Deploy, contribute, claim, from one machine and then another one; nothing shows the password."""
    (dcai.home / "ledger.sqlite").unlink(missing_ok=True)
    dcai.environment["DCAI_LEDGER"] = postgres_url
    words = ("--name", "films", "--labels", "negative,positive", "--n-features", "256", "--yes")
    dcai.data("account", "use", "alice")
    dcai.data("model", "deploy", *words)
    file = dcai.write("films.csv", ROWS)
    assert dcai.data("contribute", file, "--limit", "2", "--yes")["contributed"] == 2
    assert dcai.data("contribute", file, "--yes")["contributed"] == 1
    dcai.data("devnet", "advance", "25h")
    claimed = dcai.data("refunds", "--claim", "--yes")
    assert claimed["claimed_samples"] > 0
    assert not (dcai.home / "ledger.sqlite").exists()
    size = dcai.data("ledger", "check")
    assert size["batches"] == 2
    shown = dcai("config", "show")
    assert "on 127.0.0.1:" in shown.out
    assert size["ledger"] in shown.out
    dcai.data("ledger", "backup", tmp_path / "ledger.backup")
    dcai.environment["DCAI_LEDGER"] = postgres_url.replace(PASSWORD, "wrong-password")
    refused = dcai("refunds")
    assert refused.code == 1
    assert "refuses the user or the password" in refused.err
    assert "wrong-password" not in refused.err + refused.out
    assert PASSWORD not in shown.out + shown.err
    dcai.environment["DCAI_LEDGER"] = "file"
    dcai.data("ledger", "restore", tmp_path / "ledger.backup")
    assert dcai.data("ledger", "check")["transactions"] == size["transactions"]
    assert dcai.data("contribute", file, "--yes")["contributed"] == 0
