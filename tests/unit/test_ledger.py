"""The ledger: each step is written down once, rows cannot be paid for twice, and sums are exact."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain import SignedTransaction
from dcai_cli.domain import Batch
from dcai_cli.errors import BadInput, Locked
from dcai_cli.ledger import (
    Claim,
    Commitment,
    Ledger,
    ModelRecord,
    StoredBatch,
    StoredTransaction,
    open_ledger,
)
from dcai_cli.ledger.fold import UNSETTLED
from dcai_cli.ledger.records import (
    Checkpoint,
    Contribution,
    Opened,
    Outcome,
    Payout,
    Place,
    PlannedSample,
)
from dcai_cli.ledger.store import KEPT_CHECKPOINTS

CHAIN = "131337-00000000"
ME = "0x" + "11" * 20
MODEL = "0x" + "22" * 20
OTHER = "0x" + "33" * 20
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


def sign(ledger: Ledger, nonce: int, *, fee: int = 0, **values: Any) -> StoredTransaction:
    """Write down a signed transaction; the fee makes another hash of the same nonce."""
    fields: dict[str, Any] = {"kind": "contribute", "model": MODEL, "account": ME} | values
    return ledger.add_transaction(
        chain=CHAIN, next_nonce=nonce, sign=lambda free: signed(free, fee), created_at=1, **fields
    )


def signed(nonce: int, fee: int = 0) -> SignedTransaction:
    """What a key would sign."""
    return SignedTransaction(f"0x{fee:032x}{nonce:032x}", b"raw", nonce, 21_000, 1)


def at(nonce: int, *, block: int = 5, fork: str = "b", log: int = 0) -> Place:
    """Where the event of a transaction stands."""
    return Place(block, f"0x{fork}{block}", f"0x{0:032x}{nonce:032x}", nonce * 10 + log)


def opened(
    nonce: int, batch_id: int, informative: int, *, price_wei: int = PRICE_WEI, **place: Any
) -> Opened:
    """What the chain adds to a batch."""
    return Opened(batch_id, 1000, price_wei, informative, at(nonce, **place))


def paid(
    nonce: int, batch_id: int, bitmap: int, amount_wei: int, kind: str = "refund", to: str = ME, **place: Any
) -> Payout:
    """What left a batch."""
    return Payout(kind, batch_id, to, bitmap, amount_wei, at(nonce, **place))


def mined(*, block: int = 5, fork: str = "b", **values: Any) -> Outcome:
    """What became of a transaction that was executed."""
    fields: dict[str, Any] = {"status": True, "block_number": block, "block_hash": f"0x{fork}{block}"}
    return Outcome(**fields | {"gas_used": 21_000, "fee_wei": 2**70} | values)


def contribute(ledger: Ledger, nonce: int, *numbers: int, **place: Any) -> StoredBatch:
    """Plan, sign and mine a batch; its id is its nonce."""
    batch = plan(ledger, *numbers)
    outcome = mined(contributed=opened(nonce, nonce, 1, **place), **place)
    ledger.settle(sign(ledger, nonce, batch=batch), outcome)
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
    ledger.settle(transaction, mined(contributed=opened(0, 7, 0b11)))
    (batch,) = ledger.batches(CHAIN, ME, state="open")
    assert (batch.batch_id, batch.deposit_wei, batch.informative) == (7, 2 * PRICE_WEI, 3)
    assert batch.on_chain().deposit_wei == 2 * PRICE_WEI
    assert ledger.batch_of(transaction) == batch

    refund = sign(ledger, 1, kind="refund", asked=[Claim("refund", 7, 0b11)])
    ledger.settle(refund, mined(payouts=(paid(1, 7, 0b01, PRICE_WEI),)))
    (half,) = ledger.batches(CHAIN, ME, state="open")
    assert (half.settled, half.refunded_wei, half.payload) == (0b01, PRICE_WEI, bytes([1, 2]))
    ledger.settle(
        sign(ledger, 2, kind="refund", asked=[Claim("refund", 7, 0b10)]),
        mined(block=6, payouts=(paid(2, 7, 2, PRICE_WEI, block=6),)),
    )
    (settled,) = ledger.batches(CHAIN, ME, state="settled")
    assert (settled.settled, settled.refunded_wei, settled.payload) == (0b11, 2 * PRICE_WEI, bytes([1, 2]))
    for final, payload in ((5, bytes([1, 2])), (6, None)):
        ledger.forget_payloads(CHAIN, final)
        (settled,) = ledger.batches(CHAIN, ME, state="settled")
        assert settled.payload == payload


def test_a_transaction_is_settled_once(ledger: Ledger) -> None:
    """The same receipt told twice, as by two processes, adds nothing."""
    contribute(ledger, 0, 1, 2)
    refund = sign(ledger, 1, kind="refund", asked=[Claim("refund", 0, 1)])
    for _ in range(2):
        ledger.settle(refund, mined(payouts=(paid(1, 0, 1, PRICE_WEI),)))
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
    with pytest.raises(Locked, match="rows 3 to 1"):
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
    checkpoint = Checkpoint(9, "0xb9")
    ledger.take_over(CHAIN, MODEL, [paid(1, 0, 0b01, PRICE_WEI, "report", OTHER, block=8)], checkpoint, {ME})
    (half,) = ledger.batches(CHAIN, ME, state="open")
    assert (half.settled, half.lost_wei) == (0, PRICE_WEI)
    ledger.mark_taken(batch, 0b01)
    (half,) = ledger.batches(CHAIN, ME, state="open")
    assert half.settled == 0b01
    assert ledger.reported(half, OTHER) == 0b01
    assert ledger.reported(half, ME) == 0
    ledger.take_over(CHAIN, MODEL, [paid(2, 0, 0b10, PRICE_WEI, "report", OTHER, block=9)], checkpoint, {ME})
    (settled,) = ledger.batches(CHAIN, ME, state="settled")
    assert (settled.lost_wei, settled.refunded_wei, settled.settled) == (2 * PRICE_WEI, 0, 0b11)
    assert ledger.checkpoints(CHAIN, MODEL) == [checkpoint]


def test_a_batch_whose_block_is_gone_is_on_its_way_again(ledger: Ledger) -> None:
    """A roll-back takes back the batch, its payments and its transactions; later events bring them again."""
    contribute(ledger, 0, 1, 2)
    refund = sign(ledger, 1, kind="refund", asked=[Claim("refund", 0, 1)])
    ledger.settle(refund, mined(block=7, payouts=(paid(1, 0, 1, PRICE_WEI, block=7),)))

    ledger.roll_back(CHAIN, MODEL, 6)
    (batch,) = ledger.batches(CHAIN, ME, state="open")
    assert (batch.settled, batch.refunded_wei) == (0, 0)
    assert ledger.transaction(refund.id).state == "sent"

    ledger.roll_back(CHAIN, MODEL, 4)
    (batch,) = ledger.batches(CHAIN, ME, state="signed")
    assert (batch.batch_id, batch.block_hash, batch.payload) == (None, None, bytes([1, 2]))
    assert {stored.state for stored in ledger.transactions(CHAIN)} == {"sent"}
    assert {key[0] for key, _ in ledger.contributed_keys(CHAIN, ME, MODEL)} == {1, 2}

    # In the new branch another batch came first, so that this one has another number.
    first, second = ledger.transactions(CHAIN)
    ledger.settle(first, mined(block=6, fork="c", contributed=opened(0, 3, 1, block=6, fork="c")))
    payment = paid(1, 3, 0b11, 2 * PRICE_WEI, block=8, fork="c")
    ledger.settle(second, mined(block=8, fork="c", payouts=(payment,)))
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert (batch.batch_id, batch.refunded_wei) == (3, 2 * PRICE_WEI)


def test_a_transaction_whose_block_is_gone_takes_back_what_it_did(ledger: Ledger) -> None:
    """Unsettled by its own block: batch and payments go with it, and its old block cannot do it twice."""
    contribute(ledger, 0, 1, 2)
    (stored,) = ledger.transactions(CHAIN)
    assert ledger.unsettle(stored).state == "sent"
    assert states(ledger) == {"signed": 1}
    ledger.settle(stored, mined(block=6, fork="c", contributed=opened(0, 0, 1, block=6, fork="c")))
    assert states(ledger) == {"open": 1}
    assert ledger.unsettle(stored).state == "mined"  # it was of the old block


def test_the_same_event_in_another_block_counts_once(ledger: Ledger) -> None:
    """A payment that moved to another block is the same payment."""
    contribute(ledger, 0, 1, 2)
    for fork in ("b", "c", "c"):
        ledger.take_over(
            CHAIN,
            MODEL,
            [paid(1, 0, 1, PRICE_WEI, block=8, fork=fork)],
            Checkpoint(8, f"0x{fork}8"),
            {ME},
        )
    (batch,) = ledger.batches(CHAIN, ME, state="open")
    assert (batch.refunded_wei, ledger.checkpoints(CHAIN, MODEL)) == (PRICE_WEI, [Checkpoint(8, "0xc8")])


def told(nonce: int, batch_id: int, *numbers: int, contributor: str = ME, **place: Any) -> Contribution:
    """A batch as its event tells it."""
    batch = Batch(batch_id, contributor, 1000, PRICE_WEI, len(numbers), len(numbers), 1, bytes(32))
    keys = tuple(bytes([number]) * 32 for number in numbers)
    return Contribution(batch, bytes(numbers), keys, at(nonce, **place))


def test_ones_own_batches_are_found_again_without_a_ledger(ledger: Ledger) -> None:
    """Of a batch that this ledger did not send, the samples are known, each as often as it is there."""
    events = [told(0, 0, 1, 1, 2), told(1, 1, 1), told(2, 2, 9, contributor=OTHER)]
    for _ in range(2):  # reading them again changes nothing
        ledger.take_over(CHAIN, MODEL, events, Checkpoint(5, "0xb5"), {ME})
    assert states(ledger) == {"open": 2}
    assert ledger.contributed_keys(CHAIN, ME, MODEL) == set()
    found = ledger.sample_keys(CHAIN, ME, MODEL)
    assert found == {bytes([1]) * 32: 3, bytes([2]) * 32: 1}
    (others,) = ledger.batches(CHAIN, ME, state="open", others=True)
    assert (others.account, others.payload) == (OTHER, bytes([9]))
    ledger.roll_back(CHAIN, MODEL, 4)
    assert states(ledger) == {}
    assert ledger.sample_keys(CHAIN, ME, MODEL) == {}


def test_an_event_finds_the_batch_that_was_signed_here(ledger: Ledger) -> None:
    """The index may see a batch before its receipt is read: the planned batch opens, and no second one."""
    stored = sign(ledger, 0, batch=plan(ledger, 1, 2))
    ledger.take_over(CHAIN, MODEL, [told(0, 0, 1, 2)], Checkpoint(5, "0xb5"), {ME})
    assert states(ledger) == {"open": 1}
    ledger.settle(stored, mined(contributed=opened(0, 0, 1)))
    assert states(ledger) == {"open": 1}
    assert ledger.transaction(stored.id).state == "mined"


@pytest.mark.parametrize("which", ["first", "second", "cancellation"])
def test_any_attempt_at_a_transaction_may_be_the_one_that_is_mined(ledger: Ledger, which: str) -> None:
    """A batch opens whichever attempt was mined, and is a plan again if it was the cancellation."""
    first = sign(ledger, 0, batch=plan(ledger, 1))
    second = ledger.replace(first, signed(0, 1), cancels=False)
    third = ledger.replace(second, signed(0, 2), cancels=True)
    assert [attempt.cancels for attempt in ledger.attempts(third)] == [True, False, False]
    with pytest.raises(Locked, match="replaced"):
        ledger.replace(second, signed(0, 3), cancels=False)
    hashes = {"first": first.hash, "second": second.hash, "cancellation": third.hash}
    contributed = None if which == "cancellation" else opened(0, 0, 1)
    ledger.settle(third, mined(hash=hashes[which], contributed=contributed))
    stored = ledger.transaction(first.id)
    assert stored.hash == hashes[which]
    assert (stored.state, states(ledger)) == (
        ("cancelled", {"planned": 1}) if which == "cancellation" else ("mined", {"open": 1})
    )
    assert {attempt.hash for attempt in ledger.attempts(stored)} == set(hashes.values())


def test_a_nonce_is_chosen_behind_all_that_is_known(ledger: Ledger) -> None:
    """Neither a lagging node nor one that forgot what waits makes a nonce be used twice; gaps are filled."""
    assert sign(ledger, 4).nonce == 4
    assert sign(ledger, 4).nonce == 5
    third = sign(ledger, 4)
    assert third.nonce == 6
    ledger.drop(ledger.transactions(CHAIN)[1])
    assert sign(ledger, 4, fee=1).nonce == 5
    ledger.settle(third, mined())
    assert sign(ledger, 0, fee=2).nonce == 7
    # One that no node takes gives its nonce to another.
    refused = ledger.transactions(CHAIN, states=UNSETTLED)[-1]
    assert sign(ledger, 0, fee=3, over={refused.id}).nonce == 7


def test_what_is_claimed_by_one_transaction_is_not_claimed_by_another(ledger: Ledger) -> None:
    """As long as a claim is on its way, its batch is neither free nor asked for again."""
    batch = contribute(ledger, 0, 1, 2)
    with ledger.hold([batch.id], ME) as free:
        assert free == {batch.id}
    first = sign(ledger, 1, kind="refund", asked=[Claim("refund", 0, 1)])
    assert ledger.claims_in_flight(CHAIN, ME) == {(MODEL, 0): first.id}
    with ledger.hold([batch.id], ME) as free:
        assert free == set()
    with pytest.raises(Locked, match="batch 0"):
        sign(ledger, 2, kind="refund", asked=[Claim("refund", 0, 2)])
    assert len(ledger.transactions(CHAIN)) == 2
    ledger.settle(first, mined(payouts=(paid(1, 0, 1, PRICE_WEI),)))
    assert ledger.claims_in_flight(CHAIN, ME) == {}
    sign(ledger, 2, kind="refund", asked=[Claim("refund", 0, 2)])


def test_a_plan_that_another_process_took_is_not_signed(ledger: Ledger) -> None:
    """A batch is signed once."""
    batch = plan(ledger, 1)
    sign(ledger, 0, batch=batch)
    with pytest.raises(Locked, match="planned batch"):
        sign(ledger, 1, batch=batch)


def test_finality_is_kept_and_fees_are_summed(ledger: Ledger) -> None:
    """Only what was told to be final is; fees count by kind and time of signing."""
    contribute(ledger, 0, 1)
    (stored,) = ledger.transactions(CHAIN, final=False)
    ledger.finalize([stored])
    assert ledger.transactions(CHAIN, final=False) == []
    assert ledger.fees_wei(CHAIN, ME, kinds=("contribute",), since=1) == 2**70
    assert ledger.fees_wei(CHAIN, ME, kinds=("contribute",), since=2) == 0
    assert ledger.fees_wei(CHAIN, ME, kinds=("refund",), since=0) == 0


def test_only_so_many_checkpoints_are_kept(ledger: Ledger) -> None:
    """The newest ones, so that a reorganisation of the usual depth finds one."""
    for block in range(100):
        ledger.take_over(CHAIN, MODEL, [], Checkpoint(block, f"0xb{block}"), {ME})
    kept = [checkpoint.block_number for checkpoint in ledger.checkpoints(CHAIN, MODEL)]
    assert kept == list(range(99, 99 - KEPT_CHECKPOINTS, -1))


def test_a_batch_without_a_deposit_is_settled_when_all_its_points_are_earned(ledger: Ledger) -> None:
    """Open while an informative sample is open; the others are not waited for."""
    transaction = sign(ledger, 0, batch=plan(ledger, 1, 2, 3))
    ledger.settle(transaction, mined(contributed=opened(0, 0, 0b101, price_wei=0)))
    for nonce, (earned, after) in enumerate([(0b001, "open"), (0b010, "open"), (0b100, "settled")], start=1):
        refund = sign(ledger, nonce, kind="refund", asked=[Claim("refund", 0, earned)])
        ledger.settle(refund, mined(payouts=(paid(nonce, 0, earned, 0),)))
        assert states(ledger) == {after: 1}
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert (batch.settled, batch.refunded_wei, batch.lost_wei) == (0b111, 0, 0)


def test_a_batch_that_can_earn_nothing_is_settled_at_once(ledger: Ledger) -> None:
    """Neither a deposit nor an informative sample: there is nothing to claim."""
    stored = sign(ledger, 0, batch=plan(ledger, 1, 2))
    ledger.settle(stored, mined(contributed=opened(0, 0, 0, price_wei=0)))
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert batch.batch_id == 0


def test_a_sweep_takes_all_samples_that_were_asked_for(ledger: Ledger) -> None:
    """The event of a sweep names no samples; the mask that was asked for is what is settled."""
    contribute(ledger, 0, 1, 2)
    sweep = sign(ledger, 1, kind="sweep", asked=[Claim("sweep", 0, 0b11)])
    ledger.settle(sweep, mined(payouts=(paid(1, 0, 0, 2 * PRICE_WEI, "sweep"),)))
    (batch,) = ledger.batches(CHAIN, ME, state="settled")
    assert (batch.settled, batch.refunded_wei) == (0b11, 2 * PRICE_WEI)


def test_claims_on_others_batches_are_not_in_ones_own_books(ledger: Ledger) -> None:
    """A report of somebody else's batch with the id of none of mine changes no batch."""
    contribute(ledger, 0, 1)
    before = ledger.batches(CHAIN, ME, state="open")
    report = sign(ledger, 1, kind="report", asked=[Claim("report", 9, 1)])
    ledger.settle(report, mined(payouts=(paid(1, 9, 1, 5, "report"),)))
    assert ledger.batches(CHAIN, ME, state="open") == before


def test_amounts_are_exact_beyond_64_bits(ledger: Ledger) -> None:
    """Wei, bitmaps and ids up to 256 bits come back as they were written."""
    batch = plan(ledger, 1)
    largest = 2**256 - 1
    transaction = sign(ledger, 0, batch=batch)
    ledger.settle(
        transaction, mined(fee_wei=largest, contributed=opened(0, largest, largest, price_wei=largest))
    )
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
    monkeypatch.setattr("dcai_cli.ledger.sqlite.WAIT_S", 0.05)
    path = tmp_path / "ledger.sqlite"
    with closing(open_ledger(path)) as mine, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="in use by another dcai process"):
            mine.choose("", "account", "alice")
        other.execute("ROLLBACK")
        mine.choose("", "account", "alice")
        assert mine.choice("", "account") == "alice"


MARKET = "0x" + "44" * 20


def piece(number: int, payload: bytes) -> Commitment:
    """A piece of a test set, known by a hash of what is in it."""
    return Commitment("piece", number, bytes([number]) + payload.ljust(31, b"\0"), payload)


def test_what_was_committed_to_stays_whatever_is_planned_later(ledger: Ledger) -> None:
    """Another plan adds to what is kept, since the first may be on its way; the same changes nothing."""
    first, second = [piece(0, b"a"), piece(1, b"b")], [piece(0, b"c")]
    for found in (first, second, first):
        ledger.keep(CHAIN, ME, MARKET, found)
    assert ledger.kept(CHAIN, ME, MARKET, kind="piece") == [first[0], second[0], first[1]]
    assert ledger.kept(CHAIN, OTHER, MARKET, kind="piece") == []
    assert ledger.kept(CHAIN, ME, MARKET, kind="contribution") == []


def test_weights_to_start_with_are_those_of_the_last_plan(ledger: Ledger) -> None:
    """No hash on the chain tells them apart, so none of an earlier plan may be left."""
    plans = [[Commitment("weights", 0, bytes([n]) * 32, bytes([n]) * 64), piece(0, b"a")] for n in (1, 2)]
    for found in plans:
        ledger.keep(CHAIN, ME, MARKET, found)
    assert [one.payload for one in ledger.kept(CHAIN, ME, MARKET, kind="weights")] == [bytes([2]) * 64]
    ledger.keep(CHAIN, ME, MARKET, [piece(0, b"a")])
    assert ledger.kept(CHAIN, ME, MARKET, kind="weights") == []


def test_a_market_is_open_to_its_account_until_nothing_is_to_be_done(ledger: Ledger) -> None:
    """Each is listed once, in their order; closing is one account's, taking part again undoes it."""
    ledger.keep(CHAIN, ME, MARKET, [piece(0, b"a"), piece(1, b"b")])
    ledger.keep(CHAIN, OTHER, MARKET, [piece(0, b"c")])
    ledger.keep(CHAIN, ME, MODEL, [piece(0, b"d")])
    assert ledger.markets(CHAIN, ME, closed=False) == [MARKET, MODEL]
    ledger.close_market(CHAIN, ME, MARKET)
    assert (ledger.markets(CHAIN, ME, closed=False), ledger.markets(CHAIN, ME)) == ([MODEL], [MARKET, MODEL])
    assert ledger.markets(CHAIN, OTHER, closed=False) == [MARKET]
    ledger.keep(CHAIN, ME, MARKET, [piece(2, b"e")])
    assert ledger.markets(CHAIN, ME, closed=True) == []
