"""The ledger: each step is written down once, rows cannot be paid for twice, and sums are exact."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from dcai_cli.errors import BadInput, Locked
from dcai_cli.ledger import Claim, Ledger, ModelRecord, StoredBatch, StoredTransaction, open_ledger
from dcai_cli.ledger.records import PlannedSample
from dcai_cli.ledger.store import UNSETTLED, Outcome

CHAIN = "131337-00000000"
ME = "0x" + "11" * 20
MODEL = "0x" + "22" * 20
PRICE_WEI = 2**65 + 1
"""Of one unit: more than SQLite's integers hold."""


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger, in a file and again on a server."""
    on_server = request.param == "postgres"
    place = request.getfixturevalue("postgres_url") if on_server else tmp_path / "ledger.sqlite"
    with closing(open_ledger(place)) as ledger:
        yield ledger


def plan(ledger: Ledger, *numbers: int, occurrence: int = 0, account: str = ME) -> StoredBatch:
    """Plan a batch of rows that are known by a number each."""
    rows = [PlannedSample(bytes([number]) * 32, occurrence, number) for number in numbers]
    return ledger.plan_batch(
        CHAIN, account, MODEL, payload=bytes(numbers), units=len(rows), samples_root=bytes(32), rows=rows
    )


def sign(ledger: Ledger, nonce: int, **values: Any) -> StoredTransaction:
    """Write down a signed transaction."""
    fields: dict[str, Any] = {"kind": "contribute", "model": MODEL, "account": ME} | values
    return ledger.add_transaction(
        chain=CHAIN, hash=f"0x{nonce:064x}", nonce=nonce, raw=b"raw", created_at=1, **fields
    )


def mined(**values: Any) -> Outcome:
    """What became of a transaction that was executed."""
    fields: dict[str, Any] = {"status": True, "block_number": 5, "block_hash": "0xb", "gas_used": 21_000}
    return Outcome(**fields | {"fee_wei": 2**70} | values)


def contribute(ledger: Ledger, nonce: int, *numbers: int) -> StoredBatch:
    """Plan, sign and mine a batch; its id is its nonce."""
    batch = plan(ledger, *numbers)
    ledger.settle(sign(ledger, nonce, batch=batch), mined(contributed=(nonce, 1000, PRICE_WEI, 1)))
    return next(stored for stored in ledger.batches(CHAIN, ME, state="open") if stored.batch_id == nonce)


def states(ledger: Ledger) -> dict[str, int]:
    """How many batches are in each state."""
    names = ("planned", "signed", "open", "settled")
    return {name: found for name in names if (found := len(ledger.batches(CHAIN, ME, state=name)))}


def test_a_batch_goes_from_plan_to_settlement(ledger: Ledger) -> None:
    """Planned, signed, open, settled; the payload stays until the end, and not longer."""
    batch = plan(ledger, 1, 2)
    assert (states(ledger), batch.payload, batch.deposit_wei) == ({"planned": 1}, bytes([1, 2]), 0)
    transaction = sign(ledger, 0, batch=batch)
    assert (states(ledger), transaction.state) == ({"signed": 1}, "signed")
    ledger.mark_sent(transaction)
    assert ledger.transaction(transaction.id).state == "sent"
    ledger.settle(transaction, mined(contributed=(7, 1000, PRICE_WEI, 0b11)))
    (opened,) = ledger.batches(CHAIN, ME, state="open")
    assert (opened.batch_id, opened.deposit_wei, opened.informative) == (7, 2 * PRICE_WEI, 3)
    assert opened.on_chain().deposit_wei == 2 * PRICE_WEI
    assert ledger.batch_of(transaction) == opened

    refund = sign(ledger, 1, kind="refund", asked=[Claim("refund", 7, 0b11)])
    ledger.settle(refund, mined(paid={7: (0b01, PRICE_WEI)}))
    (half,) = ledger.batches(CHAIN, ME, state="open")
    assert (half.settled, half.refunded_wei, half.payload) == (0b01, PRICE_WEI, bytes([1, 2]))
    ledger.settle(
        sign(ledger, 2, kind="refund", asked=[Claim("refund", 7, 0b10)]), mined(paid={7: (2, PRICE_WEI)})
    )
    (settled,) = ledger.batches(CHAIN, ME, state="settled")
    assert (settled.settled, settled.refunded_wei, settled.payload) == (0b11, 2 * PRICE_WEI, None)


def test_a_transaction_is_settled_once(ledger: Ledger) -> None:
    """The same receipt told twice, as by two processes, adds nothing."""
    contribute(ledger, 0, 1, 2)
    refund = sign(ledger, 1, kind="refund", asked=[Claim("refund", 0, 1)])
    for _ in range(2):
        ledger.settle(refund, mined(paid={0: (1, PRICE_WEI)}))
    (batch,) = ledger.batches(CHAIN, ME, state="open")
    assert batch.refunded_wei == PRICE_WEI


@pytest.mark.parametrize("end", ["dropped", "reverted"])
def test_what_never_came_on_chain_is_a_plan_again(ledger: Ledger, end: str) -> None:
    """Dropped or reverted: the batch can be forgotten, and its rows be planned anew."""
    transaction = sign(ledger, 0, batch=plan(ledger, 1))
    if end == "dropped":
        ledger.drop(transaction)
    else:
        ledger.settle(transaction, mined(status=False))
    assert (ledger.transaction(transaction.id).state, states(ledger)) == (end, {"planned": 1})
    assert ledger.transactions(CHAIN, account=ME, states=UNSETTLED) == []
    assert ledger.drop_planned(CHAIN, ME, MODEL) == 1
    assert ledger.contributed_keys(CHAIN, ME, MODEL) == set()
    plan(ledger, 1)


def test_only_plans_are_forgotten(ledger: Ledger) -> None:
    """What is signed or open is on its way or there, and keeps its rows."""
    contribute(ledger, 0, 1)
    sign(ledger, 1, batch=plan(ledger, 2))
    plan(ledger, 3)
    assert {key[0] for key, _ in ledger.contributed_keys(CHAIN, ME, MODEL)} == {1, 2}
    assert ledger.drop_planned(CHAIN, ME, MODEL) == 1
    assert {key[0] for key, _ in ledger.contributed_keys(CHAIN, ME, MODEL)} == {1, 2}


def test_a_row_is_planned_once(ledger: Ledger) -> None:
    """The same row of the same account is refused as a whole batch; another account or occurrence is not."""
    plan(ledger, 1, 2)
    with pytest.raises(IntegrityError):
        plan(ledger, 3, 1)
    (planned,) = ledger.batches(CHAIN, ME, state="planned")
    assert len(ledger.keys_of(planned)) == 2
    plan(ledger, 1, occurrence=1)
    plan(ledger, 1, account="0x" + "33" * 20)


def test_the_rows_of_a_batch_are_known(ledger: Ledger) -> None:
    """Identity and occurrence of each row of one batch, and of no other."""
    plan(ledger, 1)
    assert ledger.keys_of(plan(ledger, 2, 3)) == {(bytes([2]) * 32, 0), (bytes([3]) * 32, 0)}


def test_what_others_took_is_taken_over(ledger: Ledger) -> None:
    """A loss that the chain tells of settles the batch when nothing is left."""
    batch = contribute(ledger, 0, 1, 2)
    ledger.settle_batch(batch, settled=0b01, lost_wei=PRICE_WEI)
    (half,) = ledger.batches(CHAIN, ME, state="open")
    assert (half.settled, half.lost_wei) == (0b01, PRICE_WEI)
    ledger.settle_batch(batch, settled=0b11, lost_wei=2 * PRICE_WEI)
    (settled,) = ledger.batches(CHAIN, ME, state="settled")
    assert (settled.lost_wei, settled.refunded_wei) == (2 * PRICE_WEI, 0)


def test_a_batch_without_a_deposit_is_settled_when_all_its_points_are_earned(ledger: Ledger) -> None:
    """Open while an informative sample is open; the others are not waited for."""
    transaction = sign(ledger, 0, batch=plan(ledger, 1, 2, 3))
    ledger.settle(transaction, mined(contributed=(0, 1000, 0, 0b101)))
    for nonce, (paid, after) in enumerate([(0b001, "open"), (0b010, "open"), (0b100, "settled")], start=1):
        refund = sign(ledger, nonce, kind="refund", asked=[Claim("refund", 0, paid)])
        ledger.settle(refund, mined(paid={0: (paid, 0)}))
        assert states(ledger) == {after: 1}
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert (batch.settled, batch.refunded_wei, batch.lost_wei, batch.payload) == (0b111, 0, 0, None)


def test_a_batch_that_can_earn_nothing_is_settled_at_once(ledger: Ledger) -> None:
    """Neither a deposit nor an informative sample: there is nothing to claim, and the payload may go."""
    ledger.settle(sign(ledger, 0, batch=plan(ledger, 1, 2)), mined(contributed=(0, 1000, 0, 0)))
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert (batch.batch_id, batch.payload) == (0, None)


def test_a_sweep_takes_all_samples_that_were_asked_for(ledger: Ledger) -> None:
    """The event of a sweep names no samples; the mask that was asked for is what is settled."""
    contribute(ledger, 0, 1, 2)
    sweep = sign(ledger, 1, kind="sweep", asked=[Claim("sweep", 0, 0b11)])
    ledger.settle(sweep, mined(paid={0: (0, 2 * PRICE_WEI)}))
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert (batch.settled, batch.refunded_wei) == (0b11, 2 * PRICE_WEI)


def test_claims_on_others_batches_are_not_in_ones_own_books(ledger: Ledger) -> None:
    """A report of somebody else's batch with the id of none of mine changes no batch."""
    contribute(ledger, 0, 1)
    before = ledger.batches(CHAIN, ME, state="open")
    report = sign(ledger, 1, kind="report", asked=[Claim("report", 9, 1)])
    ledger.settle(report, mined(paid={9: (1, 5)}))
    assert ledger.batches(CHAIN, ME, state="open") == before


def test_amounts_are_exact_beyond_64_bits(ledger: Ledger) -> None:
    """Wei, bitmaps and ids up to 256 bits come back as they were written."""
    batch = plan(ledger, 1)
    largest = 2**256 - 1
    transaction = sign(ledger, 0, batch=batch)
    ledger.settle(transaction, mined(fee_wei=largest, contributed=(largest, 1, largest, largest)))
    (found,) = ledger.batches(CHAIN, ME, state="open")
    assert (found.batch_id, found.deposit_per_unit_wei, found.informative) == (largest, largest, largest)
    assert ledger.transaction(transaction.id).fee_wei == largest


def test_transactions_come_in_the_order_of_their_nonces(ledger: Ledger) -> None:
    """Whatever the order of writing; filters by state, kind and chain hold."""
    for nonce in (2, 0, 1):
        sign(ledger, nonce, kind="deploy" if nonce else "seal")
    assert [stored.nonce for stored in ledger.transactions(CHAIN)] == [0, 1, 2]
    assert [stored.nonce for stored in ledger.transactions(CHAIN, kind="deploy")] == [1, 2]
    assert ledger.transactions("1-other") == ledger.transactions(CHAIN, states=("mined",)) == []


def test_choices_and_models_are_replaced(ledger: Ledger) -> None:
    """A later choice, or a model's fresh description, takes the place of the earlier one."""
    assert ledger.choice("", "account") is None
    for name in ("alice", "bob"):
        ledger.choose("", "account", name)
        ledger.add_model(ModelRecord(CHAIN, MODEL, name, ME, "{}", "{}", 0))
    assert ledger.choice("", "account") == "bob"
    assert [model.name for model in ledger.models(CHAIN)] == ["bob"]
    assert ledger.models("1-other") == []


def test_the_file_is_its_owners_and_lasts(tmp_path: Path) -> None:
    """0600, and what was written is there when it is opened again."""
    path = tmp_path / "new" / "ledger.sqlite"
    with closing(open_ledger(path)) as ledger:
        ledger.choose("", "account", "alice")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(open_ledger(path)) as ledger:
        assert ledger.choice("", "account") == "alice"


@pytest.mark.parametrize(
    "content", [b"this is no database, but it is long enough to be one" * 99, b"SQLite format 3\0"]
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """Bad input with the path; the file keeps its bytes."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"ledger\.sqlite is damaged"):
        open_ledger(path)
    assert path.read_bytes() == content


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    """A version that this dcai does not know is not touched; the hint says what to do."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(BadInput, match="version 99") as caught:
        open_ledger(path)
    assert "upgrade" in caught.value.hint


def test_a_ledger_that_another_process_writes_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer elsewhere that does not end in time makes it Locked, and nothing is lost by trying again."""
    monkeypatch.setattr("dcai_cli.ledger.database.WAIT_S", 0.05)
    path = tmp_path / "ledger.sqlite"
    with closing(open_ledger(path)) as mine, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="in use by another dcai process"):
            mine.choose("", "account", "alice")
        other.execute("ROLLBACK")
        mine.choose("", "account", "alice")
        assert mine.choice("", "account") == "alice"
