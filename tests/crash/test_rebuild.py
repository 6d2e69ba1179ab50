"""The loss of everything but the key file: the chain alone says what was contributed, and refunds it."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

import pytest

from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from tests.crash.test_crash_points import BATCH_SIZE, DAY_S, deploy, password, send

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Dcai
    from tests.crash.conftest import CheckBooks, WriteTexts

ROWS = 40


def lose(dcai: Dcai, what: str) -> None:
    """Lose the ledger, or all of the home but key, password and, if there is no node, the chain."""
    kept = {"keystore", "password", "devnet.sqlite"}
    for path in list(dcai.home.iterdir()):
        if path.name in kept or (what == "ledger" and not path.name.startswith("ledger")):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def advance(dcai: Dcai) -> None:
    """Let the refund wait pass."""
    with dcai.workspace() as workspace:
        workspace.chain.advance(DAY_S + 3600)


@pytest.mark.parametrize("what", ["ledger", "home"])
def test_with_the_key_alone_every_deposit_is_found_and_refunded_to_the_wei(
    dcai: Dcai, write_texts: WriteTexts, what: str
) -> None:
    """Lost after a first part was refunded: what is left comes back, and it is what would have come."""
    deploy(dcai)
    file = write_texts(ROWS)
    first = send(dcai, write_texts(ROWS // 2))
    advance(dcai)
    dcai("refunds", "--claim", "--yes")
    second = send(dcai, file)
    advance(dcai)
    with dcai.workspace() as workspace:
        expected = [
            (item.batch.id, item.open, item.amount_wei, item.pays_wei) for item in pending_refunds(workspace)
        ]
        before_wei = workspace.chain.balance_wei(dcai.address)

    lose(dcai, what)
    assert what == "ledger" or not (dcai.home / "ledger.sqlite").exists()
    found = dcai("ledger", "rebuild")

    assert found["foreign"] == []
    assert found["samples"] == first.contributed + second.contributed
    assert found["batches"] == len(first.batches) + len(second.batches)
    assert found["open_wei"] == str(sum(amount_wei for _, _, amount_wei, _ in expected))
    with dcai.workspace() as workspace:
        items = pending_refunds(workspace)
        assert [(item.batch.id, item.open, item.amount_wei, item.pays_wei) for item in items] == expected
        done = claim_refunds(workspace, password=password(workspace))
        assert done.amount_wei == sum(pays_wei for _, _, _, pays_wei in expected) > 0
        assert workspace.chain.balance_wei(dcai.address) == before_wei + done.amount_wei - done.fee_wei


def test_after_a_rebuild_the_same_file_sends_nothing_and_new_rows_go_out(dcai: Dcai, tmp_path: Path) -> None:
    """Rows are known again by their samples, those with equal samples by their number, too."""
    deploy(dcai)
    file = tmp_path / "equal.csv"
    # Different rows, and one sample: the order of words does not count.
    rows = [["cold and wet", "ham"], ["wet and cold", "ham"], ["and wet cold", "ham"], ["dry day", "spam"]]

    def write(rows: list[list[str]]) -> None:
        with file.open("w", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows([["text", "label"], *rows])

    write(rows[:2] + rows[3:])
    assert send(dcai, file).contributed == 3
    lose(dcai, "home")
    dcai("ledger", "rebuild")

    again = send(dcai, file)
    assert (again.contributed, again.plan.already) == (0, 3)
    write(rows)
    third = send(dcai, file)
    assert (third.contributed, third.plan.already) == (1, 3)
    fourth = send(dcai, file)
    assert (fourth.contributed, fourth.plan.already) == (0, 4)
    with dcai.workspace() as workspace:
        (item, other) = pending_refunds(workspace)
        assert item.samples + other.samples == 4


def test_a_rebuild_of_a_sound_ledger_changes_nothing(
    dcai: Dcai, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Twice in a row, with everything known: the books agree as before."""
    deploy(dcai)
    file = write_texts(ROWS)
    send(dcai, file)
    before = dcai.query("SELECT * FROM batches ORDER BY id"), dcai.query("SELECT * FROM samples ORDER BY id")

    first, second = dcai("ledger", "rebuild"), dcai("ledger", "rebuild")

    assert first == second
    assert (
        dcai.query("SELECT * FROM batches ORDER BY id"),
        dcai.query("SELECT * FROM samples ORDER BY id"),
    ) == before
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_what_is_on_its_way_when_the_ledger_is_lost_is_found_once_it_is_mined(
    dcai: Dcai, write_texts: WriteTexts
) -> None:
    """A rebuild after the loss of a ledger that knew a transaction in the pool: no row is sent twice."""
    if dcai.rpc_url is None:
        pytest.skip("the embedded chain has no pool")
    from tests.crash.test_stuck import die_waiting

    deploy(dcai)
    file = write_texts(BATCH_SIZE)
    with dcai.workspace() as workspace:
        node = workspace.chain._node
        node.request("evm_setAutomine", False)
        die_waiting(dcai, file, BATCH_SIZE)
        workspace.release_chain()
    lose(dcai, "home")
    with dcai.workspace() as workspace:
        workspace.chain._node.request("evm_setAutomine", True)
        workspace.chain.advance(1)
    assert dcai("ledger", "rebuild")["samples"] == BATCH_SIZE
    assert send(dcai, file).contributed == 0


def test_trainers_that_are_not_ours_are_named_and_left_out(dcai: Dcai, write_texts: WriteTexts) -> None:
    """A contract that only looks like a trainer has its reason; what is ours is found all the same."""
    deploy(dcai)
    file = write_texts(BATCH_SIZE)
    send(dcai, file)
    impostor = emit_contributed(dcai)
    lose(dcai, "home")

    found = dcai("ledger", "rebuild")

    assert [foreign["address"] for foreign in found["foreign"]] == [impostor]
    assert found["foreign"][0]["reason"]
    assert found["samples"] == BATCH_SIZE
    assert [model["address"] for model in found["models"]] != [impostor]


def emit_contributed(dcai: Dcai) -> str:
    """Deploy a contract whose constructor emits the event of a contribution by `me`; returns its address."""
    from eth_account import Account

    from dcai_cli.chain.artifacts import artifact

    (topic,) = (
        topic
        for topic, entry in artifact("CollaborativeTrainer").events_by_topic.items()
        if entry["name"] == "Contributed"
    )
    me = dcai.address[2:].rjust(64, "0")
    topic_hex = topic.hex() if isinstance(topic, bytes) else str(topic).removeprefix("0x")
    # log3(0, 0, topic, 0, me); return one byte of code
    code = f"7f{me}" + f"7f{0:064x}" + f"7f{topic_hex}" + "5f5fa3" + "60015ff3"
    code = code.replace("5f5f", "60006000").replace("60015ff3", "60016000f3")
    with dcai.workspace() as workspace:
        chain = workspace.chain
        key = Account.from_key(dcai.key())
        signed = chain.sign(
            key,
            to=None,
            data=bytes.fromhex(code),
            value_wei=0,
            nonce=chain.next_nonce(key.address),
            gas=200_000,
            fees=chain.fees(),
        )
        receipt = chain.wait(chain.send(signed.raw))
        assert receipt.status
        assert receipt.contract_address is not None
        return receipt.contract_address


def test_a_file_is_contributed_to_the_end_after_a_rebuild_in_the_middle(
    dcai: Dcai, write_texts: WriteTexts
) -> None:
    """Half of a file was sent when the ledger was lost: the other half goes out, each row once."""
    deploy(dcai)
    file = write_texts(ROWS)
    with dcai.workspace() as workspace:
        half = contribute(
            workspace,
            ContributeRequest(file, batch_size=BATCH_SIZE, limit=ROWS // 2),
            password=password(workspace),
        )
    lose(dcai, "home")
    dcai("ledger", "rebuild")

    rest = send(dcai, file)

    assert rest.plan.already == half.contributed
    with dcai.workspace() as workspace:
        samples = sum(item.samples for item in pending_refunds(workspace))
        assert samples == half.contributed + rest.contributed
    assert send(dcai, file).contributed == 0
