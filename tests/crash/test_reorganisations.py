"""Blocks that are replaced: what was in them is sent again as it was signed, or found where it stands now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.config import load_settings
from dcai_cli.ledger.care import faults
from dcai_cli.services.claims.items import CLAIM_KINDS, ClaimPolicy
from dcai_cli.services.claims.refund import claim_refunds, open_refunds, pending_refunds
from dcai_cli.services.claims.report import pending_reports
from dcai_cli.services.contribution.contribute import Contribution, contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.index import follow
from dcai_cli.services.models import find_model
from dcai_cli.services.settling import settle_mined
from dcai_cli.services.workspace import Workspace
from tests.conftest import new_dcai
from tests.crash.test_crash_points import DAY_S, deploy, password

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Anvil, Dcai, MakeDcai, StartAnvil
    from tests.crash.conftest import CheckBooks, WriteTexts

ROWS = 20
BATCH_SIZE = 10
DISTINCT = 19
"""One row of twenty repeats another, and is not sent."""


@pytest.fixture
def node(anvil: StartAnvil) -> Anvil:
    """An anvil that mines each transaction at once, and remembers every state."""
    return anvil("--prune-history", "100000")


@pytest.fixture
def dcai(node: Anvil, make_dcai: MakeDcai) -> Dcai:
    """A home with a sealed model, whose blocks no reorganisation here reaches."""
    dcai = make_dcai(node)
    deploy(dcai)
    node.rpc("anvil_mine", hex(20))
    return dcai


def send(dcai: Dcai, file: Path, model: str | None = None) -> Contribution:
    """Contribute a file in small batches, by a process of its own."""
    with dcai.workspace() as workspace:
        request = ContributeRequest(file, model=model, batch_size=BATCH_SIZE)
        return contribute(workspace, request, password=password(workspace))


def head(node: Anvil) -> int:
    """The number of the newest block."""
    return int(node.rpc("eth_blockNumber"), 16)


def raw_since(node: Anvil, number: int) -> list[str]:
    """The bytes of the transactions after a block, in their order."""
    blocks = [node.rpc("eth_getBlockByNumber", hex(at), True) for at in range(number + 1, head(node) + 1)]
    return [
        node.rpc("eth_getRawTransactionByHash", found["hash"])
        for block in blocks
        for found in block["transactions"]
    ]


def replace_blocks(node: Anvil, number: int, transactions: list[str], *, one_each: bool = False) -> None:
    """Replace all blocks after one by others that hold these transactions only."""
    depth = head(node) - number
    pairs = [[raw, at if one_each else 0] for at, raw in enumerate(transactions)]
    node.rpc("anvil_reorg", depth, pairs)


def sent(dcai: Dcai, *kinds: str) -> list[Any]:
    """Hash, nonce and bytes of the transactions of some kinds."""
    marks = ", ".join("?" * len(kinds))
    return dcai.query(f"SELECT hash, nonce, hex(raw) FROM transactions WHERE kind IN ({marks})", *kinds)  # noqa: S608


def test_a_contribution_that_a_reorganisation_dropped_is_sent_again_as_it_was_signed(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """The next command sends the same bytes: each row is on-chain once, and the books agree."""
    file, before = write_texts(ROWS), head(node)
    first = send(dcai, file)
    bytes_before = sent(dcai, "contribute")

    replace_blocks(node, before, [])
    assert raw_since(node, before) == []
    again = send(dcai, file)

    assert first.contributed == again.contributed == DISTINCT
    assert sent(dcai, "contribute") == bytes_before
    assert len(raw_since(node, before)) == len(bytes_before) == 2
    with dcai.workspace() as workspace:
        check_books(workspace, file)
    assert send(dcai, file).contributed == 0


def test_a_batch_of_the_middle_that_a_reorganisation_dropped_takes_its_followers_along(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """The first of three stays in another block, the others vanish: only these are sent again."""
    file, before = write_texts(2 * ROWS), head(node)
    send(dcai, file)
    first, *others = raw_since(node, before)

    replace_blocks(node, before, [first])
    done = send(dcai, file)

    assert raw_since(node, before) == [first, *others]
    assert done.contributed == 2 * DISTINCT
    with dcai.workspace() as workspace:
        check_books(workspace, file)


@pytest.mark.parametrize("words", ["warm", "fresh"])
def test_batches_of_two_accounts_that_change_places_get_the_other_number_and_price(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks, tmp_path: Path, words: str
) -> None:
    """Each ledger says what the new blocks say; what ran out of gas there is contributed anew."""
    rival, stranger = (new_dcai(tmp_path / name, node) for name in ("rival", "stranger"))
    with dcai.workspace() as workspace:
        model = find_model(workspace, None).address
    if words == "warm":
        send(stranger, write_texts(5 * ROWS), model)
    file, others = write_texts(BATCH_SIZE), write_texts(BATCH_SIZE - 1)
    node.rpc("evm_increaseTime", 1800)
    node.rpc("anvil_mine", hex(3))  # a reorganisation would undo the balances, too
    before = head(node)
    send(dcai, file)
    send(rival, others, model)
    columns = "SELECT batch_id, deposit_per_unit_wei, added_at FROM batches WHERE transaction_id IS NOT NULL"
    ((mine_before,), (theirs_before,)) = dcai.query(columns), rival.query(columns)
    assert int(theirs_before[0]) == int(mine_before[0]) + 1

    mine, theirs = raw_since(node, before)
    replace_blocks(node, before, [theirs, mine], one_each=True)
    for home, texts in ((dcai, file), (rival, others)):
        again = send(home, texts, model)
        # Who comes first pays for fresh words, which the second had not reckoned with.
        assert bool(again.plan.to_send) == (words == "fresh" and home is rival)
        with home.workspace() as workspace:
            check_books(workspace, texts)

    ((mine_after,), (theirs_after,)) = dcai.query(columns), rival.query(columns)
    if words == "warm":
        assert raw_since(node, before) == [theirs, mine]
        assert (mine_after[0], theirs_after[0]) == (theirs_before[0], mine_before[0])
        assert int(mine_after[1]) > int(mine_before[1])  # it does not come after an idle time any more
    node.rpc("evm_increaseTime", DAY_S + 3600)
    node.rpc("evm_mine")
    for home, texts in ((dcai, file), (rival, others)):
        with home.workspace() as workspace:
            (item,) = pending_refunds(workspace)
            at_a_loss = ClaimPolicy(min_profit_wei=-(10**18))
            done = claim_refunds(workspace, password=password(workspace), policy=at_a_loss)
            assert done.amount_wei == item.pays_wei > 0
            check_books(workspace, texts)


@pytest.mark.parametrize("noticed_by", ["refunds", "sums", "claim"])
def test_a_refund_that_a_reorganisation_dropped_is_paid_by_the_next_claim(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks, noticed_by: str
) -> None:
    """The list shows it as pending again; the next claim sends the same bytes, and it is paid once."""
    file = write_texts(ROWS)
    send(dcai, file)
    node.rpc("evm_increaseTime", DAY_S + 3600)
    node.rpc("anvil_mine", hex(3))
    before = head(node)
    with dcai.workspace() as workspace:
        paid = claim_refunds(workspace, password=password(workspace))
    bytes_before = sent(dcai, *CLAIM_KINDS)
    assert paid.amount_wei > 0

    replace_blocks(node, before, [])
    with dcai.workspace() as workspace:
        if noticed_by == "sums":
            assert open_refunds(workspace).all.amount_wei >= paid.amount_wei
        if noticed_by == "refunds":
            assert sum(item.amount_wei for item in pending_refunds(workspace)) >= paid.amount_wei
        claim_refunds(workspace, password=password(workspace))
        check_books(workspace, file)

    assert sent(dcai, *CLAIM_KINDS) == bytes_before
    assert dcai.query("SELECT sum(refunded_wei) FROM batches") == [(paid.amount_wei,)]
    with dcai.workspace() as workspace:
        assert claim_refunds(workspace, password=password(workspace)).transactions == ()


def test_what_others_did_in_replaced_blocks_is_forgotten(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, tmp_path: Path
) -> None:
    """Others' batches of the old blocks leave the index, and those of the new ones come, whatever is new."""
    rival = new_dcai(tmp_path / "rival", node)
    with dcai.workspace() as workspace:
        model = find_model(workspace, None).address
    file, others = write_texts(BATCH_SIZE), write_texts(2 * ROWS)
    send(dcai, file)
    node.rpc("anvil_mine", hex(3))
    before = head(node)
    send(rival, others, model)
    with dcai.workspace() as workspace:
        assert [item.batch.id for item in pending_reports(workspace)] == [1, 2, 3, 4]
        first, *_ = raw_since(node, before)

        replace_blocks(node, before, [first])

        (left,) = pending_reports(workspace)
        assert left.batch.id == 1
        (block,) = dcai.query("SELECT block_hash FROM batches WHERE batch_id = '1'")
        assert block == (node.rpc("eth_getBlockByNumber", hex(before + 1), False)["hash"],)
        # The same blocks, read once more, change nothing.
        state = dcai.query("SELECT * FROM batches")
        follow(workspace, [find_model(workspace, None)])
        assert dcai.query("SELECT * FROM batches") == state


def test_nothing_of_the_index_outlives_a_reorganisation_deeper_than_its_checkpoints(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """All blocks since the model's first are replaced: it is read anew from there."""
    file, before = write_texts(ROWS), head(node)
    send(dcai, file)
    with dcai.workspace() as workspace:
        assert len(pending_refunds(workspace)) == 2
    dcai_checkpoints = "DELETE FROM checkpoints WHERE block_number <= ?"
    dcai.query(dcai_checkpoints, before)

    replace_blocks(node, before, [])
    with dcai.workspace() as workspace:
        assert pending_refunds(workspace) == []
    send(dcai, file)
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_a_transaction_is_final_only_below_so_many_blocks(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """With three confirmations it stays open to reorganisations until three blocks are on top of its own."""
    file = write_texts(BATCH_SIZE)
    settings = replace(load_settings(dcai.environ), confirmations=3)

    def final() -> list[Any]:
        with Workspace(settings) as workspace:
            request = ContributeRequest(file, batch_size=BATCH_SIZE)
            contribute(workspace, request, password=password(workspace))
        return dcai.query("SELECT final FROM transactions WHERE kind = 'contribute'")

    seen = []
    for _ in range(5):
        seen += final()
        node.rpc("evm_mine")

    assert seen == [(0,), (0,), (0,), (1,), (1,)]


@pytest.mark.parametrize("is_seen", [False, True], ids=["", "after another command settled it"])
def test_a_cancelled_contribution_that_comes_back_in_other_blocks_is_not_sent_twice(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks, *, is_seen: bool
) -> None:
    """A reorganisation brings the contribution in place of its cancellation: its rows are on-chain once."""
    from dcai_cli.services.tx import replace_transaction
    from tests.crash.test_stuck import die_waiting, pool

    file, before = write_texts(BATCH_SIZE), head(node)
    node.rpc("evm_setAutomine", False)
    die_waiting(dcai, file, BATCH_SIZE)
    ((_, contribution),) = pool(node, dcai).items()
    raw = node.rpc("eth_getRawTransactionByHash", contribution["hash"])
    with dcai.workspace() as workspace:
        replace_transaction(workspace, None, cancels=True, password=password(workspace), wait=False)
    node.rpc("evm_mine")
    assert raw_since(node, before) != [raw]
    dcai("refunds", "--claim", "--yes")  # takes over what was mined
    assert dcai.query("SELECT state FROM transactions WHERE kind = 'contribute'") == [("cancelled",)]

    replace_blocks(node, before, [raw])
    node.rpc("evm_setAutomine", True)
    if is_seen:
        with dcai.workspace() as workspace, workspace.sending(dcai.address):
            assert len(settle_mined(workspace, dcai.address)) == 1
    assert send(dcai, file).plan.to_send == 0

    assert raw_since(node, before) == [raw]
    with dcai.workspace() as workspace:
        assert [item.samples for item in pending_refunds(workspace)] == [BATCH_SIZE]
        assert dcai.query("SELECT state FROM transactions WHERE kind = 'contribute'") == [("mined",)]
        check_books(workspace, file)


def test_a_report_that_a_reorganisation_dropped_leaves_its_sample_open(
    dcai: Dcai, node: Anvil, tmp_path: Path
) -> None:
    """Two reports of a batch took a sample each, the second is gone: its sample is refunded after all."""
    other = new_dcai(tmp_path / "other", node)
    with dcai.workspace() as workspace:
        model = find_model(workspace, None).address

    def put(of: Dcai, name: str, *rows: tuple[str, str]) -> None:
        file = tmp_path / f"{name}.csv"
        file.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
        send(of, file, model)

    def dispute(name: str, text: str) -> None:
        """Let the model forget what a sample said."""
        for number in range(3):
            more = [(f"{text} {name}{number}{at}", "spam") for at in range(4)]
            put(other, f"{name}{number}", ("good old friend", "ham"), (text, "spam"), *more)

    mine = [("good old friend", "ham"), ("poison pill venom", "ham"), ("toxic waste barrel", "ham")]
    put(dcai, "mine", *mine)
    dcai("devnet", "advance", "1h")
    dispute("first", "poison pill venom")
    dcai("devnet", "advance", "25h")
    other("refunds", "--claim", "--yes")
    dcai("devnet", "advance", "23h")
    other("reports", "--claim", "--yes")
    node.rpc("anvil_mine", hex(2))
    before = head(node)
    dispute("second", "toxic waste barrel")
    dcai("devnet", "advance", "30s")
    other("reports", "--claim", "--yes", "--min-profit=-1ether")
    with dcai.workspace() as workspace:
        (item,) = pending_refunds(workspace)
        assert item.open == 0b001

    replace_blocks(node, before, [])

    with dcai.workspace() as workspace:
        (item,) = pending_refunds(workspace)
        assert item.open == 0b101
    dcai("refunds", "--claim", "--yes", "--min-profit=-1ether")
    with dcai.workspace() as workspace:
        assert faults(workspace.ledger) == []
    assert dcai.query("SELECT paid FROM claims") == [("5",)]
