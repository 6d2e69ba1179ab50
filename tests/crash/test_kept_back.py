"""One thing that cannot be done keeps no other deposit from coming back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain import Chain
from dcai_cli.chain.errors import PrunedLogs
from dcai_cli.config import load_settings
from dcai_cli.errors import PartlyDone
from dcai_cli.keystore import Keystore
from dcai_cli.services.claims.items import ClaimPolicy
from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.claims.report import claim_reports
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.daemon.cycle import CycleRequest, run_cycle
from dcai_cli.services.deploy import deploy_model
from dcai_cli.services.limits import model_params
from dcai_cli.services.workspace import Workspace
from tests.conftest import LIGHT_SCRYPT, PASSWORD, RICH_WEI
from tests.crash.test_crash_points import SPEC, TERMS, password
from tests.crash.test_stuck import Died, ask_base_fee, die, die_waiting, offers, pool, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from dcai_cli.services.claims.claim import Claimed
    from tests.conftest import Anvil, Dcai
    from tests.crash.conftest import CheckBooks, WriteTexts

HOUR_S = 3_600
ROWS = 5


def claim(sealed: Dcai, **options: Any) -> Claimed:
    """Claim as the daemon does."""
    with sealed.workspace() as workspace:
        options.setdefault("policy", ClaimPolicy(deadline_margin_s=6 * HOUR_S))
        return claim_refunds(workspace, password=password(workspace), **options)


def put(sealed: Dcai, folder: Path, name: str, *rows: tuple[str, str], account: str | None = None) -> None:
    """Contribute some rows."""
    file = folder / f"{name}.csv"
    file.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    with sealed.workspace() as workspace:
        contribute(workspace, ContributeRequest(file, account=account), password=password(workspace))


def later(node: Anvil, seconds: float) -> None:
    """Let time pass."""
    node.rpc("evm_increaseTime", int(seconds))
    node.rpc("evm_mine")


def deploy_other(sealed: Dcai) -> None:
    """A second model; the first stays in use."""
    with sealed.workspace() as workspace:
        deploy_model(
            workspace,
            name="other",
            spec=SPEC,
            params=model_params(SPEC),
            incentive_type="stake",
            terms=TERMS,
            password=password(workspace),
        )
    sealed("model", "use", "dying")


def evict(node: Anvil) -> None:
    """Forget what waits, as a busy pool does."""
    node.rpc("anvil_dropAllTransactions")


def test_a_deposit_that_pays_is_claimed_though_others_beside_it_do_not(
    sealed: Dcai, node: Anvil, tmp_path: Path
) -> None:
    """A dozen batches that cost little, since they came after pauses, and one that came at once."""
    for number in range(6):
        later(node, 2 * HOUR_S)
        put(sealed, tmp_path, f"cheap{number}", (f"word{number} again{number} more{number}", "spam"))
    put(sealed, tmp_path, "dear", ("this batch follows another at once and so costs much", "spam"))
    later(node, 40 * HOUR_S)
    with sealed.workspace() as workspace:
        items = pending_refunds(workspace)
    dear = max(items, key=lambda item: item.pays_wei)
    ask_base_fee(node, 2 * 10**8)

    done = claim(sealed)

    assert dear.pays_wei <= done.amount_wei
    assert done.fee_wei < done.amount_wei
    assert dear.batch.id not in {left.item.batch.id for left in done.left}
    assert {left.code for left in done.left} == {"unprofitable"}


def test_many_batches_that_do_not_pay_are_not_simulated_one_by_one(
    sealed: Dcai, node: Anvil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dozen alike are found out by halves; each is left with its reason."""
    for number in range(12):
        later(node, HOUR_S)
        put(sealed, tmp_path, f"cheap{number}", (f"word{number} again{number} more{number}", "spam"))
    later(node, 30 * HOUR_S)
    ask_base_fee(node, 10**8)
    simulated: list[bytes] = []
    call_number = Chain.call_number

    def counted(chain: Chain, to: str, data: bytes, *, sender: str) -> int:
        simulated.append(data)
        return call_number(chain, to, data, sender=sender)

    monkeypatch.setattr(Chain, "call_number", counted)
    done = claim(sealed, policy=ClaimPolicy())
    assert done.transactions == ()
    assert [left.code for left in done.left] == ["unprofitable"] * 12
    assert len(simulated) <= 5


def test_a_claim_that_the_balance_no_longer_covers_is_offered_for_less(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """The pool forgot it after a spike, and ether went elsewhere: a cheaper one takes its place."""
    file = write_texts(20)
    sealed("contribute", file, "--yes")
    sealed("devnet", "advance", "25h")
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, 10**8)
    with sealed.workspace() as workspace:
        waiting(workspace, die)
        with pytest.raises(Died):
            claim_refunds(workspace, password=password(workspace))
    ((offer, gas),) = [(offers(one)[0], int(one["gas"], 16)) for one in pool(node, sealed).values()]
    evict(node)
    node.set_balance(sealed.address, offer * gas * 9 // 10)
    node.rpc("evm_setAutomine", True)
    ask_base_fee(node, 10**7)

    done = claim(sealed)

    assert done.amount_wei > 0
    assert claim(sealed).transactions == ()
    states = sealed.query("SELECT state FROM transactions WHERE kind = 'refund' ORDER BY id")
    assert states == [("dropped",), ("mined",)]


def test_a_replacement_that_the_balance_does_not_cover_is_not_made(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """What is on its way stays what is sent again."""
    sealed("contribute", write_texts(ROWS), "--yes")
    sealed("devnet", "advance", "25h")
    node.rpc("evm_setAutomine", False)
    with sealed.workspace() as workspace:
        waiting(workspace, die)
        with pytest.raises(Died):
            claim_refunds(workspace, password=password(workspace))
    ((offer, gas),) = [(offers(one)[0], int(one["gas"], 16)) for one in pool(node, sealed).values()]
    node.set_balance(sealed.address, offer * gas * 21 // 20)

    error = sealed("tx", "speed-up", "--yes", "--no-wait", code=12)

    assert "higher offer" in error["message"]
    assert sealed.query("SELECT count(*) FROM replaced") == [(0,)]


def test_another_accounts_claim_keeps_nobody_from_ones_own(sealed: Dcai, node: Anvil, tmp_path: Path) -> None:
    """Somebody's report of one's batch was signed and never mined: one's refund of the rest is paid."""
    other = Keystore(sealed.home / "keystore", work_factor=LIGHT_SCRYPT).new("other", PASSWORD)
    node.set_balance(str(other.address), RICH_WEI)
    good = [(f"good{number} alpha beta", "ham") for number in range(6)]
    put(sealed, tmp_path, "mine", *good, ("poison pill venom", "ham"), account="me")
    later(node, HOUR_S)
    for number in range(3):
        more = [(f"poison pill venom x{number}{at}", "spam") for at in range(3)]
        put(sealed, tmp_path, f"others{number}", ("poison pill venom", "spam"), *more, account="other")
    later(node, 25 * HOUR_S)
    assert claim(sealed, account="other").amount_wei > 0
    later(node, 23 * HOUR_S)
    node.rpc("evm_setAutomine", False)
    with sealed.workspace() as workspace:
        waiting(workspace, die)
        with pytest.raises(Died):
            claim_reports(workspace, password=password(workspace), account="other")
    evict(node)
    node.rpc("evm_setAutomine", True)

    done = claim(sealed, account="me")

    assert done.amount_wei > 0
    assert done.left == ()


def test_a_contribution_that_no_node_takes_keeps_no_claim_back(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """It needs more gas than blocks have now: the daemon's claim takes its nonce, and it is planned anew."""
    sealed("contribute", write_texts(ROWS), "--yes")
    node.rpc("evm_setAutomine", False)
    file = write_texts(60)
    die_waiting(sealed, file, 60)
    ((_, entry),) = pool(node, sealed).items()
    evict(node)
    node.rpc("evm_setAutomine", True)
    gas_limit = int(node.rpc("eth_getBlockByNumber", "latest", False)["gasLimit"], 16)
    node.rpc("evm_setBlockGasLimit", hex(int(entry["gas"], 16) - 1))
    later(node, 30 * HOUR_S)

    report = sealed("daemon", "run", "--once")

    assert report["outcome"] == "good"
    assert [claim["kind"] for claim in report["claims"]] == ["refund"]
    node.rpc("evm_setBlockGasLimit", hex(gas_limit))
    node.rpc("evm_mine")
    sealed("contribute", file, "--yes")
    with sealed.workspace() as workspace:
        check_books(workspace, None)
    assert sealed("contribute", file, "--yes")["contributed"] == 0


def test_a_claim_behind_a_contribution_that_no_node_takes_is_mined(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """Its process died, the pool forgot both, and nothing else is due: the contribution's nonce is filled."""
    deploy_other(sealed)
    sealed("contribute", write_texts(ROWS), "--yes", "--model", "other")
    later(node, 30 * HOUR_S)
    ask_base_fee(node, 10**8)
    node.rpc("evm_setAutomine", False)
    die_waiting(sealed, write_texts(60), 60)
    with sealed.workspace() as workspace:
        waiting(workspace, die)
        with pytest.raises(Died):
            claim_refunds(workspace, password=password(workspace))
    waits = pool(node, sealed)
    assert len(waits) == 2
    evict(node)
    node.rpc("evm_setAutomine", True)
    node.rpc("evm_setBlockGasLimit", hex(int(waits[min(waits)]["gas"], 16) - 1))
    node.rpc("evm_mine")

    assert claim(sealed).amount_wei > 0

    kinds = sealed.query(
        "SELECT nonce, kind FROM transactions WHERE state = 'mined' ORDER BY nonce DESC LIMIT 2"
    )
    assert kinds == [(max(waits), "refund"), (min(waits), "fill")]


def test_a_model_whose_past_cannot_be_read_keeps_no_other_back(
    sealed: Dcai, write_texts: WriteTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' claims are made, and then it is said."""
    deploy_other(sealed)
    sealed("contribute", write_texts(ROWS), "--yes", "--model", "dying")
    sealed("devnet", "advance", "25h")
    ((address,),) = sealed.query("SELECT address FROM models WHERE name = 'other'")
    logs_of = Chain.logs_of

    def pruned(chain: Chain, contract: str, of: str, *rest: Any, **options: Any) -> Any:
        if of == address:
            raise PrunedLogs("The node does not have blocks 1 to 10 any more.")
        return logs_of(chain, contract, of, *rest, **options)

    monkeypatch.setattr(Chain, "logs_of", pruned)
    with pytest.raises(PartlyDone, match="1 claim is on-chain; then: The node does not have blocks"):
        claim(sealed)
    assert sealed.query("SELECT refunded_wei > 0 FROM batches") == [(1,)]


def test_the_daemon_claims_in_the_pauses_of_a_contribution_that_is_spread(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Over four days, with a cycle in each pause: what gets due on the way is claimed."""
    first, second = write_texts(ROWS), write_texts(60)
    sealed("contribute", first, "--yes")
    outcomes: list[str] = []

    def sleep(_seconds: float) -> None:
        later(node, 12 * HOUR_S)
        with sealed.workspace() as other:
            request = CycleRequest(password(other), lock_wait_s=0)
            cycle = run_cycle(other, request, is_stopped=lambda: False, wait=lambda _seconds: None)
            outcomes.append(cycle.outcome)

    with Workspace(load_settings(sealed.environ), sleep=sleep) as workspace:
        request = ContributeRequest(second, batch_size=20, spread_s=4 * 86_400)
        done = contribute(workspace, request, password=password(workspace))

    assert set(outcomes) == {"good"}
    assert done.contributed > 0
    assert sealed.query("SELECT count(*) > 0 FROM transactions WHERE kind = 'refund'") == [(1,)]
    with sealed.workspace() as workspace:
        check_books(workspace, None)


def test_others_may_send_while_a_person_reads_the_question(
    sealed: Dcai, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """A claim goes through meanwhile; a contribution of the same rows makes the answer worth nothing."""
    file = write_texts(ROWS)
    sealed("contribute", file, "--yes")
    sealed("devnet", "advance", "25h")
    more = write_texts(2 * ROWS)

    def claim_meanwhile(_plan: object) -> None:
        claim(sealed)

    with sealed.workspace() as workspace:
        done = contribute(
            workspace,
            ContributeRequest(more),
            password=password(workspace),
            confirm=claim_meanwhile,
        )
    assert done.contributed > 0
    assert sealed.query("SELECT count(*) FROM transactions WHERE kind = 'refund'") == [(1,)]
    last = write_texts(3 * ROWS)
    with (
        sealed.workspace() as workspace,
        pytest.raises(Exception, match=r"contributed \d+ of these rows meanwhile"),
    ):
        contribute(
            workspace,
            ContributeRequest(last),
            password=password(workspace),
            confirm=lambda _plan: sealed("contribute", last, "--yes") and None,
        )
    with sealed.workspace() as workspace:
        check_books(workspace, None)


def test_what_was_given_up_before_a_question_is_not_claimed_again_after_it(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """While a person reads, ether comes in, and the daemon sends the claim again: it is one claim."""
    sealed("contribute", write_texts(20), "--yes")
    sealed("devnet", "advance", "25h")
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, 10**8)
    with sealed.workspace() as workspace:
        waiting(workspace, die)
        with pytest.raises(Died):
            claim_refunds(workspace, password=password(workspace))
    ((offer, gas),) = [(offers(one)[0], int(one["gas"], 16)) for one in pool(node, sealed).values()]
    evict(node)
    node.set_balance(sealed.address, offer * gas * 9 // 10)
    ask_base_fee(node, 10**7)

    def top_up(_items: object) -> None:
        node.set_balance(sealed.address, RICH_WEI)
        with sealed.workspace() as other:
            waiting(other, die)
            request = CycleRequest(password(other))
            with pytest.raises(Died):
                run_cycle(other, request, is_stopped=lambda: False, wait=lambda _seconds: None)

    with sealed.workspace() as workspace:
        waiting(workspace, lambda _seconds: node.rpc("evm_mine"))
        claim_refunds(workspace, password=password(workspace), confirm=top_up)
    assert sealed.query("SELECT count(*) FROM claims") == [(1,)]
    assert sealed.query("SELECT refunded_wei > 0 FROM batches") == [(1,)]
