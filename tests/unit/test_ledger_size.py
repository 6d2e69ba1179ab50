"""What is asked of chain and ledger does not grow with the batches; a benchmark says how long it takes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from benchmarks.ledger_size import DAY_S, Size, contribute, fill, payload
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.services.claims.refund import open_refunds
from dcai_cli.services.daemon.cycle import CycleRequest, run_cycle
from dcai_cli.services.index import follow
from dcai_cli.services.models import known_models
from dcai_cli.services.workspace import Workspace
from tests.conftest import PASSWORD, Anvil, Dcai, new_dcai, start_anvil

FEW, MANY = 60, 240


@dataclass
class Asked:
    """What a piece of work asked for."""

    methods: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """One anvil for all of these tests; batches come in blocks of any size."""
    started = start_anvil("--gas-limit", "400000000")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def home(node: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Dcai:
    """A home with a model."""
    home = new_dcai(tmp_path_factory.mktemp("size") / "home", node)
    home.deploy("reviews", labels="bad,good", n_features=4096)
    return home


@contextmanager
def asked(home: Dcai, patch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, Asked]]:
    """Open a home, and note what is asked of node and database from then on."""
    found = Asked()
    request_many = RemoteNode.request_many

    def noted(node: RemoteNode, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        found.methods += [method for method, _ in requests]
        return request_many(node, requests)

    def executed(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        found.statements.append(statement)

    with home.workspace() as workspace, patch.context() as patched:
        event.listen(workspace.ledger.engine, "before_cursor_execute", executed)
        patched.setattr(RemoteNode, "request_many", noted)
        yield workspace, found


def listed(home: Dcai, patch: pytest.MonkeyPatch) -> Asked:
    """List what is out, the first fifty."""
    with asked(home, patch) as (workspace, found):
        assert len(list(open_refunds(workspace, first=50).items)) == 50
    return found


def cycled(home: Dcai, patch: pytest.MonkeyPatch) -> Asked:
    """Run a cycle of the daemon."""
    with asked(home, patch) as (workspace, found):
        request = CycleRequest(password=lambda _: PASSWORD, reports=True)
        report = run_cycle(workspace, request, is_stopped=lambda: False, wait=time.sleep)
        assert report.outcome == "good"
    return found


@pytest.mark.parametrize(("work", "others"), [(listed, False), (cycled, False), (cycled, True)])
def test_with_nothing_due_no_batch_is_asked_for_by_itself(
    home: Dcai, node: Anvil, monkeypatch: pytest.MonkeyPatch, *, work: Any, others: bool
) -> None:
    """Four times the batches, one's own or others', take the same requests and statements, and no samples."""
    found = []
    for batches in (FEW, MANY):
        fill(home, node, Size(batches, samples=2, features=3, others=others))
        found.append(work(home, monkeypatch))
    few, many = found
    assert many.methods == few.methods
    assert many.statements == few.statements
    reads = [statement for statement in many.statements if "payload" in statement.split("FROM")[0]]
    assert all("NULL AS payload" in statement for statement in reads)


def test_samples_of_due_batches_are_read_together(
    home: Dcai, node: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's verdict on fifty batches takes one reading of their samples, and one of the weights."""
    found = []
    for due in (10, 50):
        fill(home, node, Size(FEW, samples=2, features=3, due=due))
        found.append(listed(home, monkeypatch))
    few, many = found
    assert many.methods == few.methods
    assert len(many.statements) == len(few.statements)


def test_samples_stand_behind_all_that_is_read_without_them(home: Dcai) -> None:
    """SQLite reads over what stands before a column: kilobytes of samples a batch, were they not the last."""
    columns = [row[1] for row in home.query("PRAGMA table_info(batches)")]
    assert columns[-1] == "payload"


def test_sums_are_exact_and_of_all_batches(home: Dcai, node: Anvil) -> None:
    """Deposits above 64 bits, refunds, losses and settled samples are added up as whole numbers."""
    fill(home, node, Size(FEW, samples=2, features=3, due=20))
    huge_wei = 2**127 - 1
    home.execute("UPDATE batches SET deposit_per_unit_wei = ? WHERE id IN (1, 60)", str(huge_wei))
    home.execute("UPDATE batches SET refunded_wei = '5', settled = '1' WHERE id IN (2, 59)")
    home.execute("UPDATE batches SET lost_wei = '7' WHERE id IN (3, 58)")
    rows = home.query("SELECT id, deposit_per_unit_wei FROM batches WHERE id NOT IN (1, 60)")
    small = {True: 0, False: 0}
    for identity, unit_wei in rows:
        small[identity <= 20] += 2 * int(unit_wei)
    with home.workspace() as workspace:
        found = open_refunds(workspace, first=7)
        shown = list(found.items)
    assert (found.due.batches, found.due.samples) == (20, 39)
    assert (found.waiting.batches, found.waiting.samples) == (40, 79)
    assert found.due.amount_wei == small[True] + 2 * huge_wei - 12
    assert found.waiting.amount_wei == small[False] + 2 * huge_wei - 12
    assert [item.batch.id for item in shown] == list(range(7))
    assert {item.state for item in shown} <= {"due", "disputed"}


def test_the_first_due_come_first_whatever_the_ledger_heard_first(home: Dcai, node: Anvil) -> None:
    """A batch that the ledger learnt of last, but that is due first, heads the list."""
    fill(home, node, Size(FEW, samples=2, features=3))
    home.execute("UPDATE batches SET added_at = added_at - ? WHERE id = 60", 7 * 3600)
    data = home("refunds")
    assert [item["batch_id"] for item in data["items"]][:2] == [59, 0]
    assert (data["shown"], len(data["items"]), data["totals"]["batches"]) == (50, 50, FEW)
    data = home("refunds", "--all")
    assert (data["shown"], len(data["items"])) == (FEW, FEW)
    assert sum(int(item["amount_wei"]) for item in data["items"]) == int(data["totals"]["amount_wei"])


def test_the_index_reads_many_batches_with_the_statements_of_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine times the batches in one range of blocks take as many requests and statements; none is missed."""
    counts = []
    for batches in (5, 45):
        node = start_anvil("--gas-limit", "400000000")
        try:
            home = new_dcai(tmp_path / f"home{batches}", node)
            trainer = home.deploy("reviews", labels="bad,good", n_features=4096)
            contribute(node, home.address, trainer, Size(batches, samples=2, features=3))
            with asked(home, monkeypatch) as (workspace, found):
                follow(workspace, known_models(workspace))
        finally:
            node.stop()
        ((read, samples),) = home.query(
            "SELECT (SELECT count(*) FROM batches WHERE state = 'open'), (SELECT count(*) FROM samples)"
        )
        assert (read, samples) == (batches, 2 * batches)
        counts.append((found.methods, len(found.statements)))
    assert counts[0] == counts[1]


def test_made_up_payloads_are_whole_samples() -> None:
    """What the benchmark measures with has as many bytes as real samples of so many words."""
    made = payload(random.Random(1), 100, 140)  # noqa: S311 - a seed is the point
    assert len(made) == 100 * (3 + 140 * 2)
    assert DAY_S == 86_400
