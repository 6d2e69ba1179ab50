"""What was shown or set as a limit is never exceeded, however fees rise afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from dcai_cli.chain import NotMined
from dcai_cli.chain.signing import decode_signed
from dcai_cli.config import load_settings
from dcai_cli.errors import PartlyDone
from dcai_cli.services.claims.items import ClaimPolicy
from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest, ContributionPlan
from dcai_cli.services.daemon.cycle import CycleRequest, run_cycle
from dcai_cli.services.deploy import deploy_model
from dcai_cli.services.limits import model_params
from dcai_cli.services.transactions import FEE_RISE
from dcai_cli.services.tx import replace_transaction
from dcai_cli.services.workspace import Workspace
from tests.crash.test_crash_points import SPEC, TERMS, password
from tests.crash.test_stuck import ask_base_fee, die_waiting, offers, pool, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Anvil, Dcai
    from tests.crash.conftest import WriteTexts

ROWS = 5
QUIET_WEI = 10**8
MODELS = 4


def impatient(sealed: Dcai, pause: Callable[[float], object]) -> Workspace:
    """A workspace that replaces after each wait, and waits by doing something."""
    workspace = Workspace(load_settings(sealed.environ | {"DCAI_REPLACE_AFTER": "1s"}))
    waiting(workspace, pause)
    return workspace


def rising(node: Anvil, sealed: Dcai, factor: int) -> Callable[[float], None]:
    """Fees overtake the first offer by a factor; blocks are mined as soon as another one is there."""
    first: list[tuple[int, int]] = []

    def pause(_seconds: float) -> None:
        found = [offers(entry) for entry in pool(node, sealed).values()]
        if not first:
            first.extend(found)
            ask_base_fee(node, found[0][0] * factor)
        elif found and found != first:
            node.rpc("evm_mine")

    return pause


def spent_wei(node: Anvil, sealed: Dcai) -> int:
    """What the fees of all refunds came to, mined in the end at whatever was offered."""
    node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**6))
    node.rpc("evm_setAutomine", True)
    node.rpc("evm_mine")
    sealed("refunds", "--claim", "--yes", "--min-profit=-1ether")
    return sum(int(wei) for (wei,) in sealed.query("SELECT fee_wei FROM transactions WHERE kind = 'refund'"))


def test_replacements_of_a_contribution_stay_within_max_fee(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """Fees rise by half above the offer: what cannot be had within the limit waits."""
    node.rpc("evm_setAutomine", False)
    file = write_texts(ROWS)
    plans: list[ContributionPlan] = []
    with sealed.workspace() as workspace:
        dry = ContributeRequest(file, batch_size=ROWS, dry_run=True)
        plans.append(contribute(workspace, dry, password=password(workspace)).plan)
    limit_wei = plans[0].fee_offer_wei * 24 // 23
    request = ContributeRequest(file, batch_size=ROWS, max_fee_wei=limit_wei)
    with impatient(sealed, rising(node, sealed, 2)) as workspace, pytest.raises((PartlyDone, NotMined)):
        contribute(workspace, request, password=password(workspace))
    (offer,) = [offers(entry)[0] for entry in pool(node, sealed).values()] or [0]
    (gas,) = [int(entry["gas"], 16) for entry in pool(node, sealed).values()] or [0]
    assert offer * gas <= limit_wei
    replaced = sealed.query("SELECT count(*) FROM replaced")
    assert replaced == [(0,)]


def test_replacements_of_a_claim_stay_within_max_fee(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """A limit of one claim's first offer: fees rise to twice that, and it is not exceeded."""
    sealed("contribute", write_texts(ROWS), "--yes")
    sealed("devnet", "advance", "25h")
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, QUIET_WEI)
    with impatient(sealed, rising(node, sealed, 2)) as workspace:
        limit_wei = 200_000 * workspace.chain.fees().max_fee_per_gas_wei
        with suppress(PartlyDone, NotMined):
            claim_refunds(workspace, password=password(workspace), policy=ClaimPolicy(budget_wei=limit_wei))
    assert 0 < spent_wei(node, sealed) <= limit_wei


def test_a_budget_lets_a_claim_offer_less_than_usual(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """Where twice the base fee does not fit the limit, but what blocks ask does, it is claimed."""
    sealed("contribute", write_texts(ROWS), "--yes")
    sealed("devnet", "advance", "25h")
    ask_base_fee(node, QUIET_WEI)
    with sealed.workspace() as workspace:
        price_wei = workspace.chain.fees().likely_price_wei
        poor = ClaimPolicy(budget_wei=100_000 * price_wei)
        left = claim_refunds(workspace, password=password(workspace), policy=poor)
        assert ([item.code for item in left.left], left.transactions) == (["budget"], ())
        enough = ClaimPolicy(budget_wei=260_000 * price_wei)
        done = claim_refunds(workspace, password=password(workspace), policy=enough)
    assert 0 < done.fee_wei <= 260_000 * price_wei


def test_what_is_on_its_way_counts_against_the_daily_budget(
    sealed: Dcai, node: Anvil, tmp_path: Path
) -> None:
    """One batch gets due after the other, and nothing is mined: the budget is promised once."""
    for number in range(4):
        file = tmp_path / f"{number}.csv"
        file.write_text(f"text,label\nbatch {number} costs what it costs,spam\nhello {number} world,ham\n")
        sealed("contribute", file, "--yes")
        sealed("devnet", "advance", "20m")
    sealed("devnet", "advance", "1365m")
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, 10**7)
    budget_wei = 0
    for _ in range(4):
        with sealed.workspace() as workspace:
            waiting(workspace, lambda _seconds: None)
            budget_wei = budget_wei or 300_000 * workspace.chain.fees().likely_price_wei
            request = CycleRequest(
                password(workspace),
                daily_budget_wei=budget_wei,
                deadline_margin_s=0,
                min_profit_wei=-(10**18),
            )
            run_cycle(workspace, request, is_stopped=lambda: False, wait=lambda _seconds: None)
        held = [node.rpc("eth_getRawTransactionByHash", one["hash"]) for one in pool(node, sealed).values()]
        node.rpc("anvil_dropAllTransactions")
        node.rpc("evm_increaseTime", 1_200)
        node.rpc("evm_mine")
        for raw in held:
            node.rpc("eth_sendRawTransaction", raw)
    promised = sealed.query("SELECT count(*) FROM transactions WHERE kind = 'refund'")
    most_wei = sum(int(one["gas"], 16) * offers(one)[0] for one in pool(node, sealed).values())
    assert 0 < most_wei <= budget_wei
    assert promised == [(len(pool(node, sealed)),)]


@pytest.mark.parametrize("cancels", [False, True], ids=["speed-up", "cancel"])
def test_a_replacement_never_costs_far_more_than_was_shown(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts, *, cancels: bool
) -> None:
    """While it waits, fees rise twentyfold: what it offers stays below four times what the question said."""
    node.rpc("evm_setAutomine", False)
    die_waiting(sealed, write_texts(ROWS), ROWS)
    shown: list[int] = []
    waits = itertools.count()

    def pause(_seconds: float) -> None:
        if next(waits) == 1:
            ask_base_fee(node, 20 * offers(next(iter(pool(node, sealed).values())))[0])

    with impatient(sealed, pause) as workspace, pytest.raises(NotMined):
        replace_transaction(
            workspace,
            None,
            cancels=cancels,
            password=password(workspace),
            confirm=lambda asked: shown.append(asked.fee_at_most_wei),
        )
    with sealed.workspace() as workspace:
        (stored,) = workspace.ledger.transactions(workspace.chain.key, states=("sent", "signed"))
        fields = decode_signed(stored.raw)
    assert fields.gas * fields.fees.max_fee_per_gas_wei <= FEE_RISE * shown[0]


def test_claims_that_wait_for_each_other_never_cost_more_than_they_pay(
    sealed: Dcai, node: Anvil, tmp_path: Path
) -> None:
    """Four claims are stuck while gas costs twice what one pays: fees stay below what all pay."""
    names = ["dying", *(f"more{number}" for number in range(MODELS - 1))]
    file = tmp_path / "one.csv"
    file.write_text("text,label\na batch which comes at once and costs so much,spam\nhello free world,ham\n")
    with sealed.workspace() as workspace:
        for name in names[1:]:
            deploy_model(
                workspace,
                name=name,
                spec=SPEC,
                params=model_params(SPEC),
                incentive_type="stake",
                terms=TERMS,
                password=password(workspace),
            )
    for name in names:
        sealed("contribute", file, "--yes", "--model", name)
    sealed("devnet", "advance", "25h")
    with sealed.workspace() as workspace:
        pays_wei = min(item.pays_wei for item in pending_refunds(workspace))
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, 10**7)
    base_wei = 0

    def pause(_seconds: float) -> None:
        nonlocal base_wei
        waits = pool(node, sealed)
        if not base_wei:
            base_wei = 2 * pays_wei // max(int(entry["gas"], 16) for entry in waits.values())
        left = sealed.query("SELECT count(*) FROM transactions WHERE kind = 'refund' AND state != 'mined'")
        ask_base_fee(node, base_wei if left[0][0] > MODELS - 2 else base_wei // 10)

    with impatient(sealed, pause) as workspace, suppress(PartlyDone, NotMined):
        claim_refunds(workspace, password=password(workspace))
    ask_base_fee(node, 10**7)
    node.rpc("evm_setAutomine", True)
    sealed("refunds", "--claim", "--yes")
    rows = sealed.query(
        "SELECT t.fee_wei, c.amount_wei FROM transactions t JOIN claims c ON c.transaction_id = t.id "
        "WHERE t.kind = 'refund' AND t.state = 'mined'"
    )
    assert len(rows) == MODELS
    assert sum(int(fee) for fee, _ in rows) < sum(int(paid) for _, paid in rows)


def test_a_loss_that_is_allowed_bounds_what_a_claim_may_cost(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """One wei may be lost, and gas gets very dear: the fee is no more than what the claim pays."""
    sealed("contribute", write_texts(ROWS), "--yes")
    sealed("devnet", "advance", "25h")
    with sealed.workspace() as workspace:
        (item,) = pending_refunds(workspace)
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, 10**7)
    with impatient(sealed, rising(node, sealed, 5_000)) as workspace, suppress(PartlyDone, NotMined):
        claim_refunds(workspace, password=password(workspace), policy=ClaimPolicy(min_profit_wei=-1))
    node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**7))
    node.rpc("evm_setAutomine", True)
    node.rpc("evm_mine")
    sealed("refunds", "--claim", "--yes")
    ((fee_wei,),) = sealed.query("SELECT fee_wei FROM transactions WHERE kind = 'refund' AND state = 'mined'")
    assert 0 < int(fee_wei) <= item.pays_wei + 1


def test_the_parts_of_a_batch_cost_no_more_than_each_of_them_pays(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gas gets as dear as the whole batch is worth: no part of it costs more than it pays."""
    sealed("contribute", write_texts(40), "--yes")
    sealed("devnet", "advance", "25h")
    with sealed.workspace() as workspace:
        (item,) = pending_refunds(workspace)
    monkeypatch.setattr("dcai_cli.services.claims.sender.USABLE_GAS", 110_000)
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, 10**7)

    def pause(_seconds: float) -> None:
        waits = pool(node, sealed)
        gas = max([int(entry["gas"], 16) for entry in waits.values()] or [100_000])
        ask_base_fee(node, item.pays_wei * 9 // 10 // gas if waits else 10**7)

    with impatient(sealed, pause) as workspace, suppress(PartlyDone, NotMined):
        claim_refunds(workspace, password=password(workspace))
    masks = dict(sealed.query("SELECT transaction_id, mask FROM claims"))
    with sealed.workspace() as workspace:
        claims = workspace.ledger.transactions(workspace.chain.key, kind="refund")
    assert claims
    for stored in claims:
        part, fields = int(masks[stored.id]).bit_count(), decode_signed(stored.raw)
        assert part < item.claimable.bit_count()
        assert fields.gas * fields.fees.max_fee_per_gas_wei <= item.pays_wei * part // item.samples * 23 // 20


def test_max_fee_binds_what_an_earlier_command_left(
    sealed: Dcai, node: Anvil, write_texts: WriteTexts
) -> None:
    """It is stuck, and the limit of the next command leaves nothing for a higher offer: it stays as it is."""
    node.rpc("evm_setAutomine", False)
    ask_base_fee(node, QUIET_WEI)
    file = write_texts(ROWS)
    die_waiting(sealed, file, ROWS)
    request = ContributeRequest(file, batch_size=ROWS, max_fee_wei=1)
    with impatient(sealed, rising(node, sealed, 2)) as workspace, pytest.raises((PartlyDone, NotMined)):
        contribute(workspace, request, password=password(workspace))
    assert sealed.query("SELECT count(*) FROM replaced") == [(0,)]
