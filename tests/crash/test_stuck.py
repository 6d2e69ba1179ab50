"""Transactions that nobody mines: how many are on their way, what replaces them, which one is mined."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain import Chain
from dcai_cli.chain.signing import decode_signed
from dcai_cli.config import load_settings
from dcai_cli.services.claims.claim import Claimed
from dcai_cli.services.claims.items import ANY_PROFIT, ClaimPolicy
from dcai_cli.services.claims.refund import claim_refunds
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.settling import settle_mined
from dcai_cli.services.workspace import Workspace
from tests.crash.test_crash_points import deploy, password

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Anvil, Dcai, MakeDcai, StartAnvil
    from tests.crash.conftest import CheckBooks, WriteTexts

BATCH_SIZE = 5
ROWS = 100
IN_FLIGHT = 8


class Died(BaseException):
    """The process ended here: no handler of ours may catch it."""


@pytest.fixture
def node(anvil: StartAnvil) -> Anvil:
    """An anvil that mines each transaction at once until it is told otherwise."""
    return anvil()


@pytest.fixture
def dcai(node: Anvil, make_dcai: MakeDcai) -> Dcai:
    """A home with a sealed model on a node that mines nothing any more."""
    dcai = make_dcai(node)
    deploy(dcai)
    node.rpc("evm_setAutomine", False)
    return dcai


def waiting(workspace: Workspace, pause: Callable[[float], object]) -> None:
    """Let something happen whenever the chain is waited for, in the place of waiting."""
    workspace.chain._sleep = pause


def run(dcai: Dcai, file: Path, batch_size: int, pause: Callable[[float], object], **settings: str) -> Any:
    """Contribute a file; what the command would wait for is made up."""
    with Workspace(load_settings(dcai.environ | settings)) as workspace:
        waiting(workspace, pause)
        request = ContributeRequest(file, batch_size=batch_size)
        return contribute(workspace, request, password=password(workspace))


def die(_seconds: float) -> None:
    """End the process."""
    raise Died


def claim(dcai: Dcai, pause: Callable[[float], object], policy: ClaimPolicy = ANY_PROFIT) -> Claimed:
    """Claim refunds; what the command would wait for is made up, and each wait counts for a second."""
    with Workspace(load_settings(dcai.environ | {"DCAI_REPLACE_AFTER": "1s"})) as workspace:
        waiting(workspace, pause)
        return claim_refunds(workspace, password=password(workspace), policy=policy)


def claim_and_die(dcai: Dcai, node: Anvil, file: Path) -> None:
    """Contribute a file; when it is due, a process claims it and dies before anything is mined."""
    node.rpc("evm_setAutomine", True)
    dcai("contribute", file, "--yes")
    dcai("devnet", "advance", "25h")
    node.rpc("evm_setAutomine", False)
    with pytest.raises(Died):
        claim(dcai, die)


def die_waiting(dcai: Dcai, file: Path, batch_size: int) -> None:
    """Contribute a file; the process dies when it first waits."""
    with pytest.raises(Died):
        run(dcai, file, batch_size, die)


def pool(node: Anvil, dcai: Dcai) -> dict[int, dict[str, Any]]:
    """What waits in the node's pool of this account, by nonce, whether it can be mined next or not."""
    content = node.rpc("txpool_content")
    return {
        int(nonce): entry
        for part in content.values()
        for account, entries in part.items()
        if account.lower() == dcai.address.lower()
        for nonce, entry in entries.items()
    }


def offers(entry: dict[str, Any]) -> tuple[int, int]:
    """Maximum and tip of a transaction in the pool."""
    return int(entry["maxFeePerGas"], 16), int(entry["maxPriorityFeePerGas"], 16)


def ask_base_fee(node: Anvil, wei: int) -> None:
    """Mine a block of this base fee; anvil drops from its pool what offers less."""
    node.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))
    node.rpc("evm_mine")


def mine(node: Anvil) -> None:
    """Mine what is there, and everything from now on."""
    node.rpc("evm_setAutomine", True)
    node.rpc("evm_mine")


def test_eight_transactions_are_on_their_way_at_once_without_a_gap(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """With nobody mining, the pool holds eight in a row of nonces; the rest waits, and follows."""
    file = write_texts(ROWS)
    begin = int(node.rpc("eth_getTransactionCount", dcai.address, "latest"), 16)

    die_waiting(dcai, file, BATCH_SIZE)

    assert sorted(pool(node, dcai)) == list(range(begin, begin + IN_FLIGHT))
    assert node.rpc("txpool_status") == {"pending": hex(IN_FLIGHT), "queued": "0x0"}
    most: list[int] = []

    def mine_one_block(_seconds: float) -> None:
        most.append(len(pool(node, dcai)))
        node.rpc("evm_mine")

    done = run(dcai, file, BATCH_SIZE, mine_one_block)
    assert max(most) == IN_FLIGHT
    assert done.contributed == done.plan.to_send + IN_FLIGHT * BATCH_SIZE
    mine(node)
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_what_is_stuck_is_replaced_by_itself_after_a_while(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """The base fee rises above what was offered: after a while a higher offer goes out, and is mined."""
    file = write_texts(BATCH_SIZE)
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []

    def look(_seconds: float) -> None:
        found = [offers(entry) for entry in pool(node, dcai).values()]
        if not before:
            before.extend(found)
            ask_base_fee(node, 2 * before[0][0])
        elif found and found != before:
            after.extend(found)
            node.rpc("evm_mine")

    done = run(dcai, file, BATCH_SIZE, look, DCAI_REPLACE_AFTER="1s")

    assert done.contributed == BATCH_SIZE
    for old, new in zip(before[0], after[0], strict=True):
        assert new >= old * 9 / 8
    assert dcai.query("SELECT count(*) FROM replaced") == [(1,)]
    with dcai.workspace() as workspace:
        check_books(workspace, file)


@pytest.mark.parametrize("mined", ["first", "replacement"])
def test_a_transaction_that_is_sped_up_counts_once_whichever_attempt_is_mined(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks, mined: str
) -> None:
    """Both fees rise by an eighth at least; the one that is mined is the transaction's own in the books."""
    file = write_texts(BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    ((nonce, old),) = pool(node, dcai).items()
    first = node.rpc("eth_getRawTransactionByHash", old["hash"])
    (listed,) = dcai("tx", "list")["transactions"]
    assert (listed["hash"], listed["nonce"], listed["state"]) == (old["hash"], nonce, "sent")

    replaced = dcai("tx", "speed-up", str(nonce), "--no-wait", "--yes")

    ((_, new),) = pool(node, dcai).items()
    assert new["hash"] == replaced["hash"] != old["hash"]
    assert replaced["attempts"] == 2
    for before, after in zip(offers(old), offers(new), strict=True):
        assert after >= before * 9 / 8
    if mined == "first":
        node.rpc("anvil_dropTransaction", new["hash"])
        node.rpc("eth_sendRawTransaction", first)
    mine(node)
    contribute_again = dcai("contribute", file, "--yes")
    assert contribute_again["contributed"] == BATCH_SIZE
    shown = dcai("tx", "show", old["hash"][:12])
    assert shown["hash"] == (old["hash"] if mined == "first" else new["hash"])
    assert shown["state"] == "mined"
    with dcai.workspace() as workspace:
        check_books(workspace, file)


@pytest.mark.parametrize("mined", ["contribution", "cancellation"])
def test_a_cancelled_contribution_gives_its_rows_free_unless_it_is_mined_itself(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks, mined: str
) -> None:
    """If the cancellation is mined, the next command sends the rows anew; else they are on-chain already."""
    file = write_texts(BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    ((_, old),) = pool(node, dcai).items()
    first = node.rpc("eth_getRawTransactionByHash", old["hash"])

    cancelled = dcai("tx", "cancel", "--no-wait", "--yes")

    assert (cancelled["cancels"], cancelled["state"], cancelled["value_wei"]) == (True, "sent", "0")
    ((_, new),) = pool(node, dcai).items()
    for before, after in zip(offers(old), offers(new), strict=True):
        assert after >= before * 9 / 8
    if mined == "contribution":
        node.rpc("anvil_dropTransaction", new["hash"])
        node.rpc("eth_sendRawTransaction", first)
    mine(node)
    done = dcai("contribute", file, "--yes")
    assert done["contributed"] == BATCH_SIZE
    states = [state for (state,) in dcai.query("SELECT state FROM transactions WHERE kind = 'contribute'")]
    assert states == (["mined"] if mined == "contribution" else ["cancelled", "mined"])
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_the_oldest_of_several_is_cancelled_and_the_others_go_on(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Its nonce is used up, those behind it are mined, and the next command sends its rows."""
    file = write_texts(4 * BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    first = min(pool(node, dcai))

    dcai("tx", "cancel", "--no-wait", "--yes")
    mine(node)
    dcai("contribute", file, "--yes")

    assert dcai("tx", "show", str(first))["state"] == "cancelled"
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_a_replacement_above_the_ceiling_is_not_sent(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """What was on its way stays as it is, and the error names both prices."""
    file = write_texts(BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    before = pool(node, dcai)

    error = dcai("tx", "speed-up", "--max-gas-price", "1gwei", "--yes", code=16)

    assert pool(node, dcai) == before
    assert "1000000000" in error["message"].replace(",", "") or "1 gwei" in error["message"]
    assert dcai.query("SELECT count(*) FROM replaced") == [(0,)]


def test_a_replacement_of_what_was_mined_meanwhile_counts_for_nothing(
    dcai: Dcai,
    node: Anvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mined between signing and sending the higher offer: the command ends well, and the first one counts."""
    from dcai_cli.services.tx import replace_transaction

    file = write_texts(BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    deliver = Chain.send

    def late(chain: Chain, raw: bytes) -> str:
        node.rpc("evm_mine")
        return deliver(chain, raw)

    with dcai.workspace() as workspace:
        monkeypatch.setattr(Chain, "send", late)
        done = replace_transaction(workspace, None, cancels=True, password=password(workspace))
        monkeypatch.undo()

    assert (done.stored.state, done.stored.cancels) == ("mined", False)
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_a_gap_between_nonces_is_closed_by_the_next_command(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """One of the middle is gone for good, in the ledger and the pool: the next command fills its place."""
    file = write_texts(4 * BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    nonces = sorted(pool(node, dcai))
    lost = nonces[1]
    node.rpc("anvil_dropTransaction", pool(node, dcai)[lost]["hash"])
    with dcai.workspace() as workspace:
        (stored,) = (
            found
            for found in workspace.ledger.transactions(workspace.chain.key, states=("sent",))
            if found.nonce == lost
        )
        workspace.ledger.drop(stored)
    mine(node)
    waits = itertools.count()

    def impatient(_seconds: float) -> None:
        assert next(waits) < 60, "it waits for what can never be mined"

    done = run(dcai, file, BATCH_SIZE, impatient)

    assert done.contributed >= BATCH_SIZE
    with dcai.workspace() as workspace:
        check_books(workspace, file)
    used = [nonce for (nonce,) in dcai.query("SELECT nonce FROM transactions WHERE state != 'dropped'")]
    assert sorted(used) == list(range(max(used) + 1))


@pytest.mark.parametrize("is_urgent", [False, True])
def test_a_claim_of_before_that_fees_overtook_is_replaced_if_it_may_cost_that(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks, *, is_urgent: bool
) -> None:
    """Nothing else is due: above the ceiling it is claimed only when its deadline is near."""
    file = write_texts(BATCH_SIZE)
    claim_and_die(dcai, node, file)
    (before,) = (offers(entry) for entry in pool(node, dcai).values())
    ask_base_fee(node, 2 * before[0])
    margin_s = 30 * 86_400 if is_urgent else 0
    policy = ClaimPolicy(max_fee_per_gas_wei=before[0], deadline_margin_s=margin_s)

    done = claim(dcai, lambda _seconds: node.rpc("evm_mine"), policy)

    assert [left.code for left in done.left] == ([] if is_urgent else ["fee-ceiling"])
    paid = dcai.query("SELECT refunded_wei > 0 FROM batches")
    assert (paid, bool(done.transactions)) == ([(is_urgent,)], is_urgent)
    ask_base_fee(node, before[0] // 4)
    claim(dcai, lambda _seconds: node.rpc("evm_mine"), policy)
    assert dcai.query("SELECT refunded_wei > 0 FROM batches") == [(True,)]
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_a_claim_of_before_behind_a_gap_is_mined_by_the_next_claim(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Another program's transaction before it is gone for good: the next claim fills its place."""
    file = write_texts(BATCH_SIZE)
    nonce = int(node.rpc("eth_getTransactionCount", dcai.address, "latest"), 16)
    node.rpc("anvil_impersonateAccount", dcai.address)
    node.rpc("evm_setAutomine", True)
    dcai("contribute", file, "--yes")
    dcai("devnet", "advance", "25h")
    node.rpc("evm_setAutomine", False)
    other = node.rpc(
        "eth_sendTransaction", {"from": dcai.address, "to": dcai.address, "nonce": hex(nonce + 1)}
    )
    with pytest.raises(Died):
        claim(dcai, die)
    assert sorted(pool(node, dcai)) == [nonce + 1, nonce + 2]
    node.rpc("anvil_dropTransaction", other)

    done = claim(dcai, lambda _seconds: node.rpc("evm_mine"))

    assert done.amount_wei > 0
    kinds = dcai.query(
        "SELECT nonce, kind FROM transactions WHERE state = 'mined' ORDER BY nonce DESC LIMIT 2"
    )
    assert kinds == [(nonce + 2, "refund"), (nonce + 1, "fill")]
    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_the_same_offer_can_be_made_again_after_a_reorganisation(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """The first attempt was mined in a block that is gone; sped up once more, it has the bytes of before."""
    ask_base_fee(node, 10**7)
    file = write_texts(BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    ((nonce, entry),) = pool(node, dcai).items()
    first = node.rpc("eth_getRawTransactionByHash", entry["hash"])
    before = node.rpc("evm_snapshot")
    speed_up = ("tx", "speed-up", str(nonce), "--no-wait", "--yes", "--max-gas-price", "1000gwei")
    hashes = [dcai(*speed_up)["hash"]]
    node.rpc("anvil_dropAllTransactions")
    node.rpc("eth_sendRawTransaction", first)
    node.rpc("evm_mine")
    with dcai.workspace() as workspace, workspace.sending(dcai.address):
        settle_mined(workspace, dcai.address)
    node.rpc("evm_revert", before)
    ask_base_fee(node, 10**7)
    with dcai.workspace() as workspace, workspace.sending(dcai.address):
        settle_mined(workspace, dcai.address)
    hashes.append(dcai(*speed_up)["hash"])
    assert len(set(hashes)) == 1
    node.rpc("anvil_dropAllTransactions")
    node.rpc("eth_sendRawTransaction", first)
    mine(node)

    run(dcai, file, BATCH_SIZE, lambda _seconds: None)

    with dcai.workspace() as workspace:
        check_books(workspace, file)


def test_the_raw_bytes_in_the_ledger_are_those_that_the_pool_has(
    dcai: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """What `tx show` says of a transaction is what the node was told."""
    file = write_texts(BATCH_SIZE)
    die_waiting(dcai, file, BATCH_SIZE)
    ((nonce, entry),) = pool(node, dcai).items()
    raw = bytes.fromhex(node.rpc("eth_getRawTransactionByHash", entry["hash"])[2:])
    fields = decode_signed(raw)

    shown = dcai("tx", "show", str(nonce))

    assert shown["max_fee_per_gas_wei"] == str(fields.fees.max_fee_per_gas_wei)
    assert shown["priority_fee_wei"] == str(fields.fees.priority_fee_wei)
    assert (shown["to"], shown["gas"], shown["value_wei"]) == (fields.to, fields.gas, str(fields.value_wei))
    assert (shown["block_number"], shown["final"], shown["fee_wei"]) == (None, False, None)
