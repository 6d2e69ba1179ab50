"""What a command may spend, and how it spreads what it sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dcai_cli.chain import Chain
from dcai_cli.chain.price import deposit_per_unit_wei
from dcai_cli.config import load_settings
from dcai_cli.domain import format_ether, parse_amount
from dcai_cli.errors import LimitExceeded, PartlyDone
from dcai_cli.services.claims.items import ClaimPolicy
from dcai_cli.services.claims.refund import claim_refunds
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest, ContributionPlan
from dcai_cli.services.workspace import Workspace
from tests.crash.test_crash_points import DAY_S, TERMS, deploy, password, send

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.conftest import Anvil, Dcai, MakeDcai, StartAnvil
    from tests.crash.conftest import CheckBooks, WriteTexts

ROWS = 40
BATCH_SIZE = 10
HOUR_S = 3600


@pytest.fixture
def node(anvil: StartAnvil) -> Anvil:
    """An anvil that mines each transaction at once."""
    return anvil()


@pytest.fixture
def deployed(node: Anvil, make_dcai: MakeDcai) -> Dcai:
    """A home with a sealed model on anvil."""
    dcai = make_dcai(node)
    deploy(dcai)
    return dcai


def request(file: Path, **fields: Any) -> ContributeRequest:
    """Contribute a file in four batches."""
    return ContributeRequest(file, batch_size=BATCH_SIZE, **fields)


def test_a_spread_contribution_costs_what_the_price_says_after_each_pause(
    deployed: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """Every batch but the first comes a quarter later, and its deposit is that of so long an idle time."""
    file = write_texts(ROWS)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        node.rpc("evm_increaseTime", int(seconds))
        node.rpc("evm_mine")

    settings = load_settings(deployed.environ)
    with Workspace(settings, sleep=sleep) as workspace:
        spread_s = 4 * HOUR_S
        done = contribute(workspace, request(file, spread_s=spread_s), password=password(workspace))
        check_books(workspace, file)

    later = done.batches[1:]
    assert len(later) == 3
    back_to_back_wei = 0
    for before, batch in zip(done.batches, later, strict=False):
        idle_s = batch.added_at - before.added_at
        assert abs(idle_s - spread_s * before.samples // done.plan.to_send) <= 30
        assert batch.deposit_wei == batch.samples * deposit_per_unit_wei(TERMS, batch.samples, idle_s)
        back_to_back_wei += batch.samples * deposit_per_unit_wei(TERMS, batch.samples, 0)
    assert sum(batch.deposit_wei for batch in later) * 10 < back_to_back_wei
    assert sum(naps) >= spread_s * (done.plan.to_send - later[-1].samples) // done.plan.to_send - 30


def test_a_spread_contribution_goes_on_where_the_chain_stands_still(
    deployed: Dcai, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """A node that mines only what is sent has no blocks between: this machine's clock counts, too."""
    file = write_texts(ROWS)
    now = [1_000_000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        assert now[0] < 1_000_000 + 2 * HOUR_S, "it waits for ever"

    with Workspace(load_settings(deployed.environ), clock=lambda: now[0], sleep=sleep) as workspace:
        done = contribute(workspace, request(file, spread_s=HOUR_S), password=password(workspace))
        assert done.contributed == done.plan.to_send
        check_books(workspace, file)
    assert now[0] >= 1_000_000 + HOUR_S // 2


def test_fees_above_the_limit_are_refused_before_anything_is_sent(
    deployed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """Exit code 16; chain and ledger stay as they were."""
    file = write_texts(ROWS)
    height = node.rpc("eth_blockNumber")

    error = deployed("contribute", file, "--max-fee", "1gwei", "--yes", code=16)

    assert "above the limit of 0.000000001 ETH" in error["message"]
    assert node.rpc("eth_blockNumber") == height
    assert deployed.query("SELECT count(*) FROM batches") == [(0,)]


@pytest.mark.parametrize("batch_size", ["10", "100"])
def test_what_a_refusal_names_is_enough_of_a_limit(
    deployed: Dcai, write_texts: WriteTexts, batch_size: str
) -> None:
    """A limit of just that lets the whole file through, in one batch or several."""
    command = ("contribute", write_texts(ROWS), "--batch-size", batch_size, "--yes", "--max-fee")
    error = deployed(*command, "1", code=16)
    amount, unit = error["message"].split(" can reach ")[1].split()[:2]
    # The price's root takes a little more or less gas from one second to the next.
    named = str(parse_amount(f"{amount} {unit}") * 51 // 50)

    done = deployed(*command, named)

    assert done["contributed"] == done["plan"]["samples"]
    assert int(done["fee_wei"]) <= int(named)


def test_fees_that_reach_the_limit_on_the_way_stop_the_command(
    deployed: Dcai, write_texts: WriteTexts, check_books: CheckBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gas grows dearer after two batches: what is sent stays within the limit, and the rest goes later."""
    file = write_texts(ROWS)
    plans: list[ContributionPlan] = []
    honest = Chain.estimate_gas
    calls: list[int] = []

    def dear(chain: Chain, *args: Any, **options: Any) -> int:
        calls.append(1)
        return honest(chain, *args, **options) * (1 if len(calls) <= 2 else 20)

    with deployed.workspace() as workspace:
        contribute(workspace, request(file, dry_run=True), password=password(workspace), confirm=plans.append)
        dry = contribute(workspace, request(file, dry_run=True), password=password(workspace)).plan
        limit_wei = dry.fee_offer_wei * 13 // 10
        monkeypatch.setattr(Chain, "estimate_gas", dear)
        with pytest.raises(PartlyDone, match=f"limit of {format_ether(limit_wei)}"):
            contribute(workspace, request(file, max_fee_wei=limit_wei), password=password(workspace))
        monkeypatch.undo()
        fees = deployed.query("SELECT sum(fee_wei) FROM transactions WHERE kind = 'contribute'")
        assert 0 < int(fees[0][0]) <= limit_wei
        assert contribute(workspace, request(file), password=password(workspace)).contributed > 0
        check_books(workspace, file)


def test_a_claim_that_pays_too_little_is_left_with_its_reason(
    deployed: Dcai, node: Anvil, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """With a least profit above the deposits nothing is sent; at a loss, everything is."""
    file = write_texts(ROWS)
    send(deployed, file)
    node.rpc("evm_increaseTime", DAY_S + HOUR_S)
    node.rpc("evm_mine")
    height = node.rpc("eth_blockNumber")

    left = deployed("refunds", "--claim", "--min-profit", "1ether", "--yes")

    assert node.rpc("eth_blockNumber") == height
    assert left["transactions"] == []
    items = {item["batch_id"]: item for item in deployed("refunds")["items"]}
    claimable = {number for number, item in items.items() if item["claimable_samples"]}
    by_batch = {entry["batch_id"]: entry for entry in left["left"]}
    assert {number for number, entry in by_batch.items() if entry["code"] == "unprofitable"} == claimable
    assert by_batch.keys() == items.keys()
    for number in claimable:
        assert by_batch[number]["model"] == items[number]["model"]
        assert "it would pay" in by_batch[number]["reason"]
    done = deployed("refunds", "--claim", "--min-profit", "-1ether", "--yes")
    assert int(done["refunded_wei"]) > 0
    with deployed.workspace() as workspace:
        check_books(workspace, file)


def test_claims_stop_at_the_limit_for_their_fees_and_say_so(
    deployed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """A limit below one fee lets nothing be claimed: exit code 16 and why; waiting ones have theirs."""
    file = write_texts(ROWS)
    send(deployed, file)
    early = deployed("refunds", "--claim", "--yes")
    assert {entry["code"] for entry in early["left"]} == {"waiting"}
    node.rpc("evm_increaseTime", DAY_S + HOUR_S)
    node.rpc("evm_mine")

    height = node.rpc("eth_blockNumber")

    error = deployed("refunds", "--claim", "--max-fee", "1", "--yes", code=16)

    assert node.rpc("eth_blockNumber") == height
    assert "Nothing was claimed" in error["message"]
    assert "would exceed what is left of the budget" in error["message"]
    assert "--max-fee" in error["hint"]


def test_a_claim_above_the_ceiling_is_left_with_both_prices(
    deployed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """The base fee is above what the policy allows: nothing is sent, and the reason names it."""
    file = write_texts(ROWS)
    send(deployed, file)
    node.rpc("evm_increaseTime", DAY_S + HOUR_S)
    node.rpc("evm_mine")
    with deployed.workspace() as workspace:
        policy = replace(ClaimPolicy(), max_fee_per_gas_wei=1)
        done = claim_refunds(workspace, password=password(workspace), policy=policy)
    assert done.transactions == ()
    assert "fee-ceiling" in {left.code for left in done.left}
    with pytest.raises(LimitExceeded), deployed.workspace() as workspace:
        contribute(workspace, request(write_texts(ROWS + 5), max_deposit_wei=1), password=password(workspace))
