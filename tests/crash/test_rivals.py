"""What others do to a transaction: races, taken nonces, forgetful nodes, empty accounts."""

from __future__ import annotations

import os
import subprocess
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from dcai_cli.chain import Chain, GasTooHigh, NonceTaken
from dcai_cli.chain.signing import decode_signed
from dcai_cli.domain import Terms, bits
from dcai_cli.errors import InsufficientFunds, LimitExceeded, PartlyDone, Reverted
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.keystore import password_from_file
from dcai_cli.services.claims.claim import Claimed
from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.contribution.contribute import Contribution, contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.deploy import deploy_model
from dcai_cli.services.limits import model_params

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from dcai_cli.services.accounts import Password
    from dcai_cli.services.workspace import Workspace
    from tests.conftest import Anvil, Dcai, MakeDcai, StartAnvil
    from tests.crash.conftest import CheckBooks, WriteTexts

DAY_S = 86_400
TERMS = Terms(DAY_S, 2 * DAY_S, 7 * DAY_S, 9 * DAY_S, DAY_S, 3600, 10**11)
LITTLE_WEI = 3 * 10**15
"""Enough for the gas of a refund, not for a deposit and its gas."""

SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=256)


@pytest.fixture
def node(anvil: StartAnvil) -> Anvil:
    """An anvil that mines each transaction at once."""
    return anvil()


@pytest.fixture
def rival(node: Anvil, make_dcai: MakeDcai) -> Dcai:
    """A home with a sealed model on anvil."""
    dcai = make_dcai(node)
    with dcai.workspace() as workspace:
        deploy_model(
            workspace,
            name="raced",
            spec=SPEC,
            params=model_params(SPEC),
            terms=TERMS,
            password=password(workspace),
        )
    return dcai


def password(workspace: Workspace) -> Password:
    """Reads the password where the settings say it stands."""
    file = workspace.settings.password_file
    assert file is not None
    return lambda _: password_from_file(file)


def send(workspace: Workspace, file: Path) -> Contribution:
    """Contribute a file in two batches."""
    return contribute(workspace, ContributeRequest(file, batch_size=10), password=password(workspace))


def claim(workspace: Workspace) -> Claimed:
    """Claim what is due."""
    return claim_refunds(workspace, password=password(workspace))


class Died(BaseException):
    """The process ended here: no handler of ours may catch it."""


def die() -> None:
    """End the process."""
    raise Died


def once(monkeypatch: pytest.MonkeyPatch, step: str, before: Callable[[], object]) -> None:
    """Let something happen right before the next call of a step of the chain."""
    work: Callable[..., Any] = getattr(Chain, step)

    def meddled(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(Chain, step, work)
        before()
        return work(*args, **kwargs)

    monkeypatch.setattr(Chain, step, meddled)


def test_a_batch_that_runs_out_of_gas_is_contributed_by_the_next_run(
    rival: Dcai, write_texts: WriteTexts, check_books: CheckBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mined transaction that failed costs its fee and nothing else; the next run sends its rows again."""
    file = write_texts(20)
    with rival.workspace() as workspace:
        # Others touched words first, so the estimate is far too low when it is mined.
        monkeypatch.setattr(Chain, "estimate_gas", lambda *_, **__: 100_000)
        with pytest.raises(Reverted, match="ran out of its 115,000 gas"):
            send(workspace, file)
        monkeypatch.undo()

        done = send(workspace, file)

        assert done.contributed == done.plan.to_send
        check_books(workspace, file)
    assert rival.query("SELECT count(*) FROM transactions WHERE state = 'reverted'") == [(2,)]


def test_a_nonce_that_another_program_took_is_left_to_it(
    rival: Dcai,
    node: Anvil,
    cast: str,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cast sends with the same key between choosing a nonce and sending: the run stops, the next finishes."""
    file = write_texts(20)

    def take_nonce() -> None:
        before_wei = node.rpc("eth_getBalance", rival.address, "latest")
        key = ("--private-key", rival.key())
        send_one = [cast, "send", rival.address, *key, "--rpc-url", node.url]
        # Without what this machine may have set for cast.
        subprocess.run(send_one, check=True, stdout=-1, env={"PATH": os.environ["PATH"]})
        node.rpc("anvil_setBalance", rival.address, before_wei)  # its fee is not in our books

    with rival.workspace() as workspace:
        once(monkeypatch, "send", take_nonce)
        with pytest.raises(NonceTaken):
            send(workspace, file)
        done = send(workspace, file)

        assert done.contributed == done.plan.to_send > 0
        check_books(workspace, file)
    assert rival.query("SELECT count(*) FROM transactions WHERE state = 'dropped'") == [(1,)]


def test_a_transaction_that_the_node_forgot_is_sent_again_as_it_was_signed(
    rival: Dcai,
    node: Anvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sent, not mined, then dropped from the pool: the next run sends the same bytes."""
    file = write_texts(20)
    with rival.workspace() as workspace:
        node.rpc("evm_setAutomine", False)
        once(monkeypatch, "wait_for", die)
        with pytest.raises(Died):
            send(workspace, file)
        forgotten = [name for (name,) in rival.query("SELECT hash FROM transactions WHERE state = 'sent'")]
        assert len(forgotten) == 2
        for name in reversed(forgotten):
            assert node.rpc("anvil_dropTransaction", name) == name
        node.rpc("evm_setAutomine", True)

        send(workspace, file)

        for name in forgotten:
            assert rival.query("SELECT state FROM transactions WHERE hash = ?", name) == [("mined",)]
        check_books(workspace, file)


def test_a_batch_refused_for_want_of_ether_can_be_signed_again_alike(
    rival: Dcai,
    node: Anvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ether leaves before sending; once it is back, the same nonce, fee and data make the same hash."""
    file = write_texts(10)
    with rival.workspace() as workspace:
        balance_wei = node.rpc("eth_getBalance", rival.address, "latest")
        once(monkeypatch, "send", lambda: node.rpc("anvil_setBalance", rival.address, "0x1"))
        with pytest.raises(InsufficientFunds):
            send(workspace, file)
        node.rpc("anvil_setBalance", rival.address, balance_wei)

        assert send(workspace, file).contributed > 0
        check_books(workspace, file)


def test_a_signed_batch_without_ether_waits_but_refunds_do_not(
    rival: Dcai,
    node: Anvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What cannot be sent for want of ether is kept; a refund, which brings ether, takes its nonce."""
    first, second = write_texts(10), write_texts(20)
    with rival.workspace() as workspace:
        send(workspace, first)
        workspace.chain.advance(DAY_S)
        once(monkeypatch, "send", die)
        with pytest.raises(Died):
            send(workspace, second)
        balance_wei = workspace.chain.balance_wei(rival.address)
        node.rpc("anvil_setBalance", rival.address, hex(LITTLE_WEI))
        with pytest.raises(InsufficientFunds):
            send(workspace, second)
        assert rival.query("SELECT count(*) FROM transactions WHERE state = 'signed'") == [(1,)]

        assert claim(workspace).amount_wei > 0

        gained_wei = workspace.chain.balance_wei(rival.address) - LITTLE_WEI
        node.rpc("anvil_setBalance", rival.address, hex(balance_wei + gained_wei))
        done = send(workspace, second)
        assert done.contributed == done.plan.to_send > 0
        check_books(workspace, None)
    assert rival.query("SELECT count(*) FROM transactions WHERE state = 'dropped'") == [(1,)]


def test_samples_that_no_transaction_can_refund_hold_up_no_others(
    rival: Dcai, write_texts: WriteTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that fits is paid, the rest of the sample's batch too; the sample is named and stays open."""
    with rival.workspace() as workspace:
        send(workspace, write_texts(20))
        rival("devnet", "advance", "25h")
        dear, other = pending_refunds(workspace)
        sample = bits(dear.claimable)[3]
        asked: dict[bytes, list[tuple[int, int]]] = {}
        encode, estimate = Chain.encode, Chain.estimate_gas

        def remembering(self: Chain, contract_name: str, function: str, *args: Any) -> bytes:
            data = encode(self, contract_name, function, *args)
            if function == "refund":
                asked[data] = [(batch[0], mask) for batch, _, mask in args[0]]
            return data

        def estimate_gas(self: Chain, sender: str, to: str | None, data: bytes, value_wei: int = 0) -> int:
            if any(batch == dear.batch.id and mask >> sample & 1 for batch, mask in asked[data]):
                raise GasTooHigh("It needs too much gas.")
            return estimate(self, sender, to, data, value_wei)

        monkeypatch.setattr(Chain, "encode", remembering)
        monkeypatch.setattr(Chain, "estimate_gas", estimate_gas)
        with pytest.raises(PartlyDone, match=f"16,777,216 gas: {sample} of batch {dear.batch.id} of raced"):
            claim(workspace)
        (left,) = pending_refunds(workspace)
        assert (left.batch, left.claimable, left.state) == (dear.batch, 1 << sample, "due")
        monkeypatch.undo()
        assert other.claimable
        assert claim(workspace).amount_wei > 0


def copied_first(monkeypatch: pytest.MonkeyPatch, node: Anvil) -> None:
    """Let somebody else copy the next transaction and be mined before it, in the same block."""
    copier = node.rpc("eth_accounts")[0]
    honest = Chain.send

    def send_behind(chain: Chain, raw: bytes) -> str:
        monkeypatch.setattr(Chain, "send", honest)
        fields = decode_signed(raw)
        copy = {"from": copier, "to": fields.to, "data": "0x" + fields.data.hex(), "value": hex(10**18)}
        offer = {"maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": hex(10**11)}
        node.rpc("evm_setAutomine", False)
        node.rpc("eth_sendTransaction", {**copy, **offer, "gas": hex(fields.gas)})
        sent = honest(chain, raw)
        node.rpc("evm_mine")
        node.rpc("evm_setAutomine", True)
        return sent

    monkeypatch.setattr(Chain, "send", send_behind)


def capped(workspace: Workspace, file: Path, percent: int = 25) -> Contribution:
    """Contribute a file in batches of ten, the first of them with a ceiling."""
    request = ContributeRequest(file, batch_size=10, max_rise=Fraction(percent))
    return contribute(workspace, request, password=password(workspace))


def test_a_batch_that_a_copier_made_too_dear_costs_its_fee_and_goes_out_again(
    rival: Dcai,
    node: Anvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy is mined first, in the same block: the contract refuses the original, and no deposit is gone."""
    file = write_texts(10)
    with rival.workspace() as workspace:
        workspace.chain.advance(3600)
        before_wei = workspace.chain.balance_wei(rival.address)
        copied_first(monkeypatch, node)

        with pytest.raises(
            LimitExceeded, match=r"a batch would have cost .*its fee of .* is gone"
        ) as refused:
            capped(workspace, file)

        ((name, fee_wei),) = rival.query("SELECT hash, fee_wei FROM transactions WHERE state = 'reverted'")
        assert name in refused.value.message
        assert before_wei - workspace.chain.balance_wei(rival.address) == int(fee_wei) > 0
        workspace.chain.advance(3600)
        assert capped(workspace, file).contributed == 10
        check_books(workspace, file)


def test_only_the_first_of_several_batches_has_a_ceiling(
    rival: Dcai, write_texts: WriteTexts, check_books: CheckBooks
) -> None:
    """The second follows it at once, so it offers the highest price; the plan has the sum of both."""
    file = write_texts(20)
    with rival.workspace() as workspace:
        workspace.chain.advance(3600)
        done = capped(workspace, file)
        stored = workspace.ledger.transactions(workspace.chain.key, account=rival.address)
        offers = [decode_signed(one.raw).value_wei for one in stored if one.kind == "contribute"]
        first, second = done.batches
        assert done.plan.ceiling is not None
        assert offers == [done.plan.ceiling.offer_wei, TERMS.cost_weight_wei * 3600 * second.samples]
        assert offers[0] * 5 < TERMS.cost_weight_wei * 3600 * first.samples
        assert done.plan.deposit_at_most_wei == sum(offers)
        check_books(workspace, file)


def test_a_batch_of_an_earlier_run_that_is_refused_is_said_and_goes_out_with_the_next(
    rival: Dcai,
    node: Anvil,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run dies with a signed batch; sent again behind a copy it is refused, and its rows are free."""
    file, notes = write_texts(10), list[str]()
    with rival.workspace() as workspace:
        workspace.chain.advance(3600)
        once(monkeypatch, "send", die)
        with pytest.raises(Died):
            capped(workspace, file)
        copied_first(monkeypatch, node)
        request = ContributeRequest(file, max_rise=Fraction(25))
        plan = contribute(workspace, request, password=password(workspace), note=notes.append).plan
        assert (plan.unfinished, plan.ceiling) == (1, None)
        assert notes == [
            "The contract refused 1 batch of an earlier run; type the same command again to send the rows."
        ]
        assert capped(workspace, file).contributed == 10
        check_books(workspace, file)
