"""What an earlier run signed and left unsent: it counts, it is shown, and nothing is sent before a yes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain import Chain, NonceTaken
from dcai_cli.chain.embedded import EmbeddedNode
from dcai_cli.errors import BadInput, DcaiError, LimitExceeded, WrongChain
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.services import models
from dcai_cli.services.claims.refund import pending_refunds
from dcai_cli.services.contribution import contribute as contributing
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest, ContributionPlan
from dcai_cli.services.deploy import WORDS_PER_TRANSACTION, Deployment, deploy_model
from dcai_cli.services.limits import model_params
from dcai_cli.services.models import snapshot
from tests.crash.test_crash_points import BATCH_SIZE, ROWS, SPEC, TERMS, Dying, deploy, password, send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.conftest import Dcai, MakeDcai
    from tests.crash.conftest import CheckBooks, WriteTexts


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Dying:
    """Lets steps of sending kill the process."""
    return Dying(monkeypatch)


@pytest.fixture
def broken_off(make_dcai: MakeDcai, write_texts: WriteTexts, dying: Dying) -> tuple[Dcai, Path]:
    """A home whose second batch is signed and not sent, and the file."""
    dcai = make_dcai(None)
    deploy(dcai)
    file = write_texts(ROWS)
    with dying.at(Chain, "send", after=False, call=2):
        send(dcai, file)
    return dcai, file


def refuse(_plan: ContributionPlan) -> None:
    """Answer no."""
    raise DcaiError("no")


@pytest.mark.parametrize("how", ["limit", "no", "dry run"])
def test_a_signed_batch_is_not_sent_before_a_yes(broken_off: tuple[Dcai, Path], how: str) -> None:
    """A limit, a no and a dry run leave the chain as it is, and the plan counts the batch."""
    dcai, file = broken_off
    request = ContributeRequest(file, batch_size=BATCH_SIZE)
    with dcai.workspace() as workspace:
        height = workspace.chain.block_number()
        plans: list[ContributionPlan] = []
        if how == "limit":
            with pytest.raises(LimitExceeded):
                contribute(
                    workspace,
                    replace(request, max_deposit_wei=1),
                    password=password(workspace),
                    confirm=plans.append,
                )
        elif how == "no":
            with pytest.raises(DcaiError, match="no"):
                contribute(workspace, request, password=password(workspace), confirm=refuse)
        else:
            done = contribute(workspace, replace(request, dry_run=True), password=password(workspace))
            assert done.plan.unfinished == 1
        assert workspace.chain.block_number() == height
        assert plans == []
    assert dcai.query("SELECT state FROM transactions WHERE state = 'signed'") == [("signed",)]


def test_an_unfinished_batch_counts_against_the_limit(
    broken_off: tuple[Dcai, Path], check_books: CheckBooks
) -> None:
    """What is left to plan fits the limit, and together with the signed batch it does not."""
    dcai, file = broken_off
    price_wei = TERMS.cost_weight_wei * 3600
    left = ROWS - BATCH_SIZE  # the first batch is on-chain; the second is signed, the third not planned
    request = ContributeRequest(file, batch_size=BATCH_SIZE, max_deposit_wei=left * price_wei - 1)
    with dcai.workspace() as workspace:
        with pytest.raises(LimitExceeded):
            contribute(workspace, request, password=password(workspace))
        enough = replace(request, max_deposit_wei=left * price_wei)
        assert contribute(workspace, enough, password=password(workspace)).contributed == left
        check_books(workspace, file)


def test_gas_that_became_dear_since_it_was_shown_stops_the_command(
    make_dcai: MakeDcai, write_texts: WriteTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that names a higher price at signing than in the plan is not paid."""
    dcai = make_dcai(None)
    deploy(dcai)
    file = write_texts(ROWS)
    honest = EmbeddedNode.request

    def dear(node: EmbeddedNode, method: str, *params: Any) -> Any:
        answer = honest(node, method, *params)
        if method == "eth_feeHistory":
            base_fees = [hex(int(fee, 16) * 40) for fee in answer["baseFeePerGas"]]
            return {**answer, "baseFeePerGas": base_fees}
        return answer

    with dcai.workspace() as workspace:
        height = workspace.chain.block_number()
        with pytest.raises(LimitExceeded, match="unit of gas"):
            contribute(
                workspace,
                ContributeRequest(file),
                password=password(workspace),
                confirm=lambda _: monkeypatch.setattr(EmbeddedNode, "request", dear),
            )
        assert workspace.chain.block_number() == height


def test_a_receipt_that_comes_late_is_waited_for(
    make_dcai: MakeDcai,
    write_texts: WriteTexts,
    check_books: CheckBooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One node says the nonce is used before another knows the receipt: no row is sent twice."""
    dcai = make_dcai(None)
    deploy(dcai)
    file = write_texts(ROWS)
    deliver, receipt = Chain.send, Chain.receipt
    asked: list[str] = []

    def deliver_and_deny(chain: Chain, raw: bytes) -> str:
        deliver(chain, raw)
        raise NonceTaken("nonce too low")

    def lag(chain: Chain, transaction_hash: str) -> Any:
        asked.append(transaction_hash)
        return receipt(chain, transaction_hash) if len(asked) > 1 else None

    with dcai.workspace() as workspace:
        with monkeypatch.context() as patch:
            patch.setattr(Chain, "send", deliver_and_deny)
            with pytest.raises(NonceTaken):
                contribute(workspace, ContributeRequest(file), password=password(workspace))
        monkeypatch.setattr(Chain, "receipt", lag)
        assert (
            contribute(workspace, ContributeRequest(file), password=password(workspace)).contributed == ROWS
        )
        check_books(workspace, file)


def pretrain(dcai: Dcai, words: Sequence[int]) -> Deployment:
    """Deploy a larger model with weights."""
    spec = replace(SPEC, n_features=16 * 2 * WORDS_PER_TRANSACTION)
    with dcai.workspace() as workspace:
        return deploy_model(
            workspace,
            name="pretrained",
            spec=spec,
            params=model_params(spec),
            terms=TERMS,
            password=password(workspace),
            pretrained_words=words,
        )


def test_half_written_weights_are_completed_and_never_sealed(make_dcai: MakeDcai, dying: Dying) -> None:
    """Without its weights the deployment is refused; with them it is finished."""
    dcai = make_dcai(None)
    words = [int.from_bytes(bytes(30) + b"\x00\x07", "big")] * (2 * WORDS_PER_TRANSACTION) + [0]
    with dying.at(Chain, "send", after=False, call=4):  # the contracts, the model, its first half, its second
        pretrain(dcai, words)

    with pytest.raises(BadInput, match="began to write weights"):
        pretrain(dcai, [])
    done = pretrain(dcai, words)

    assert done.sealed
    with dcai.workspace() as workspace:
        found = snapshot(workspace.chain, done.model)
        assert found.words() == words
        assert isinstance(found, Perceptron)


def test_deposits_in_an_unverified_model_are_found_again(
    make_dcai: MakeDcai, write_texts: WriteTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However its address was typed, the model is one, its rows are sent once, and its refunds are listed."""
    dcai = make_dcai(None)
    address = deploy(dcai).model.address
    (dcai.home / "ledger.sqlite").unlink()
    file = write_texts(ROWS)

    def foreign(_chain: Chain, where: str) -> None:
        raise WrongChain(f"{where} is foreign")

    monkeypatch.setattr(models, "is_ours", foreign)
    monkeypatch.setattr(contributing, "is_ours", foreign)
    with dcai.workspace() as workspace:
        request = ContributeRequest(file, model=address.lower(), unverified=True)
        with pytest.raises(WrongChain):
            contribute(workspace, replace(request, unverified=False), password=password(workspace))
        assert contribute(workspace, request, password=password(workspace)).contributed == ROWS
        again = replace(request, model=address)
        assert contribute(workspace, again, password=password(workspace)).contributed == 0
        assert sum(item.samples for item in pending_refunds(workspace)) == ROWS
