"""The audit and the harness of this folder: both must be able to say no."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.books import Books
from tests.chaos.harness import Run, Scenario, play
from tests.chaos.world import deploy, new_program, write_rows
from tests.conftest import RICH_WEI, Anvil, Dcai, start_anvil

ROWS = 20


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dcai, Anvil, str, Path]:
    """A home with two batches that were refunded, its node, its model, and its file."""
    folder = tmp_path_factory.mktemp("books")
    node = start_anvil()
    try:
        dcai = new_program(folder / "home", node)
        trainer = deploy(dcai)
        file = write_rows(folder / "rows.csv", ROWS, seed=1)
        dcai("contribute", file, "--batch-size", "10", "--yes")
        dcai("devnet", "advance", "25h")
        dcai("refunds", "--claim", "--min-profit=-1ether", "--yes")
    except BaseException:
        node.stop()
        raise
    return dcai, node, trainer, file


@pytest.fixture(scope="module", autouse=True)
def _ended(kept: tuple[Dcai, Anvil, str, Path]) -> object:
    yield
    kept[1].stop()


def audited(kept: tuple[Dcai, Anvil, str, Path], home: Path, *tampering: str) -> list[str]:
    """What the audit finds in a copy of the ledger that statements changed."""
    original, node, trainer, file = kept
    dcai = original.copy(home)
    with closing(sqlite3.connect(dcai.home / "ledger.sqlite")) as ledger:
        for statement in tampering:
            assert ledger.execute(statement).rowcount
        ledger.commit()
    return Books(node.rpc, dcai.query, dcai.address, trainer).audit(file, is_claimed=True)


def test_honest_books_have_no_differences(kept: tuple[Dcai, Anvil, str, Path], tmp_path: Path) -> None:
    """Contributed and refunded without a fault, nothing differs."""
    assert audited(kept, tmp_path / "home") == []


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("DELETE FROM samples WHERE id = (SELECT min(id) FROM samples)", "the ledger lacks 1 rows"),
        ("UPDATE batches SET refunded_wei = '7' WHERE batch_id = '0'", "the ledger has 7 and 0 wei"),
        ("UPDATE batches SET lost_wei = '7' WHERE batch_id = '1'", "batch 1: "),
        ("UPDATE batches SET added_at = 1 WHERE batch_id = '1'", "batch 1: added at"),
        ("UPDATE batches SET state = 'signed', batch_id = NULL WHERE batch_id = '1'", "not in the ledger"),
        ("UPDATE transactions SET fee_wei = '7' WHERE kind = 'refund'", "(refund, mined) cost"),
        ("UPDATE transactions SET nonce = 99 WHERE kind = 'refund'", "nonces are used"),
        ("UPDATE transactions SET state = 'sent' WHERE kind = 'refund'", "is on-chain and not settled"),
        ("UPDATE transactions SET state = 'dropped' WHERE kind = 'refund'", "is on-chain"),
        ("UPDATE transactions SET hash = '0x' || hex(zeroblob(32)) WHERE kind = 'refund'", "is not on-chain"),
        ("UPDATE transactions SET block_hash = '0x01' WHERE kind = 'refund'", "in 0x01 in the ledger"),
    ],
)
def test_a_ledger_that_lies_is_found_out(
    kept: tuple[Dcai, Anvil, str, Path], tmp_path: Path, tampering: str, found: str
) -> None:
    """Every field that the books compare is really compared."""
    assert found in "; ".join(audited(kept, tmp_path / "home", tampering))


def test_wei_that_nobody_accounts_for_are_found(kept: tuple[Dcai, Anvil, str, Path], tmp_path: Path) -> None:
    """One wei more on the account, and one in the contract, differ."""
    dcai, node, trainer, _ = kept
    for address, what in ((dcai.address, "the account has"), (trainer, "the trainer holds")):
        before_wei = int(node.rpc("eth_getBalance", address, "latest"), 16)
        node.set_balance(address, before_wei + 1)
        differences = audited(kept, tmp_path / what)
        node.set_balance(address, before_wei)
        assert [what in difference for difference in differences] == [True]
        assert "+1 wei" in differences[0]


def test_rows_and_refunds_that_are_missing_are_found(
    kept: tuple[Dcai, Anvil, str, Path], tmp_path: Path
) -> None:
    """A row that was never sent is named by its key, and a deposit that is due is not forgotten."""
    original, node, trainer, file = kept
    dcai = original.copy(tmp_path / "home")
    more = write_rows(tmp_path / "more.csv", ROWS + 1, seed=2)
    books = Books(node.rpc, dcai.query, dcai.address, trainer, RICH_WEI)
    assert any("rows are not on-chain" in line for line in books.audit(file, more))

    dcai("contribute", more, "--batch-size", "10", "--yes")
    assert books.audit(file, more) == []
    dcai("devnet", "advance", "25h")
    assert any("refunds are due" in line for line in books.audit(file, more, is_claimed=True))
    dcai("refunds", "--claim", "--min-profit=-1ether", "--yes")
    assert books.audit(file, more, is_claimed=True) == []


def test_a_scenario_without_faults_does_not_hold(tmp_path: Path) -> None:
    """A kind that was injected too rarely fails a scenario in which all else is well."""

    def work(run: Run) -> None:
        run.faults["cut"] += run.scaled(10)

    scenario = Scenario("empty", "nothing", {"cut": 10, "lost": 10}, work)
    full, half = (play(scenario, tmp_path, seed=1, scale=scale, is_quiet=True) for scale in (1.0, 0.5))
    assert full.reason == "lost: 0 faults were injected, not 10"
    assert half.reason == "lost: 0 faults were injected, not 5"
    assert full.as_json()["held"] is False
    assert full.faults == {"cut": 10, "lost": 0}


def test_an_error_of_a_scenario_is_a_verdict(tmp_path: Path) -> None:
    """What was injected until then stays counted, and what it started is ended."""
    ended: list[bool] = []

    def work(run: Run) -> None:
        run.stack.callback(ended.append, True)
        run.faults["cut"] += 1
        raise ValueError("broken")

    verdict = play(Scenario("broken", "fails", {"cut": 1}, work), tmp_path, seed=1, is_quiet=True)
    assert (verdict.held, verdict.reason, verdict.faults, ended) == (
        False,
        "ValueError: broken",
        {"cut": 1},
        [True],
    )
