"""A process that dies before or after each step of sending, one step at a time, in this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain import Chain
from dcai_cli.domain import Terms
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.keystore import password_from_file
from dcai_cli.ledger import Ledger
from dcai_cli.services.accounts import acting_account
from dcai_cli.services.claims.claim import Claimed
from dcai_cli.services.claims.refund import claim_refunds, pending_refunds
from dcai_cli.services.contribution.contribute import Contribution, contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.deploy import Deployment, deploy_model
from dcai_cli.services.limits import model_params, points_terms
from dcai_cli.services.models import find_model
from tests.conftest import new_dcai

if TYPE_CHECKING:
    from pathlib import Path

    from dcai_cli.ledger import StoredBatch
    from dcai_cli.services.accounts import Password
    from dcai_cli.services.workspace import Workspace
    from tests.conftest import Dcai, MakeDcai
    from tests.crash.conftest import CheckBooks, WriteTexts

DAY_S = 86_400
TERMS = Terms(DAY_S, 2 * DAY_S, 7 * DAY_S, 9 * DAY_S, DAY_S, 3600, 10**11)
SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=256)
ROWS = 12
BATCH_SIZE = 4
STEPS = (
    (Ledger, "plan_batch"),
    (Ledger, "add_transaction"),
    (Chain, "sign"),
    (Chain, "send"),
    (Ledger, "mark_sent"),
    (Chain, "wait_for"),
    (Ledger, "settle"),
)
"""What a transaction goes through, in order."""


class Died(BaseException):
    """The process ended here: no handler of ours may catch it."""


class Dying:
    """Lets steps of sending kill the process.

    Args:
        monkeypatch: undoes it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    @contextmanager
    def at(self, owner: type, step: str, *, after: bool, call: int) -> Iterator[None]:
        """The body dies at a call of a step.

        Args:
            owner: the class of the step.
            step: its method.
            after: whether its work is done first.
            call: which call of it dies, from 1.
        """
        work: Callable[..., Any] = getattr(owner, step)
        calls = itertools.count(1)

        def die(*args: Any, **kwargs: Any) -> Any:
            if next(calls) != call:
                return work(*args, **kwargs)
            if after:
                work(*args, **kwargs)
            raise Died

        with self._monkeypatch.context() as patch:
            patch.setattr(owner, step, die)
            with pytest.raises(Died):
                yield


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Dying:
    """Lets steps of sending kill the process."""
    return Dying(monkeypatch)


def password(workspace: Workspace) -> Password:
    """Reads the password where the settings say it stands."""
    file = workspace.settings.password_file
    assert file is not None
    return lambda _: password_from_file(file)


def deploy(dcai: Dcai, incentive_type: str = "stake") -> Deployment:
    """Deploy the model that the tests use, or one with points."""
    with dcai.workspace() as workspace:
        return deploy_model(
            workspace,
            name="dying",
            spec=SPEC,
            params=model_params(SPEC),
            incentive_type=incentive_type,
            terms=points_terms(DAY_S) if incentive_type == "points" else TERMS,
            password=password(workspace),
        )


def send(dcai: Dcai, file: Path) -> Contribution:
    """Contribute a file in small batches."""
    with dcai.workspace() as workspace:
        request = ContributeRequest(file, batch_size=BATCH_SIZE)
        return contribute(workspace, request, password=password(workspace))


def batches(workspace: Workspace) -> list[StoredBatch]:
    """The account's batches that are on-chain."""
    ledger, chain = workspace.ledger, workspace.chain
    account = acting_account(workspace).address
    return [
        batch for state in ("open", "settled") for batch in ledger.batches(chain.key, account, state=state)
    ]


def claim(dcai: Dcai) -> Claimed:
    """Claim what is due."""
    with dcai.workspace() as workspace:
        return claim_refunds(workspace, password=password(workspace))


@pytest.fixture(scope="module")
def deployed(shared_dcai: Dcai) -> Dcai:
    """A home with the model, to be copied."""
    deploy(shared_dcai)
    return shared_dcai


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
def test_a_contribution_that_died_at_any_step_is_finished_by_the_next(
    owner: type,
    step: str,
    after: bool,
    dying: Dying,
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_books: CheckBooks,
) -> None:
    """Whatever step of the second batch was the last, the next run brings every row on-chain once."""
    dcai = deployed.copy(tmp_path / "home")
    file = write_texts(ROWS)

    with dying.at(owner, step, after=after, call=2):
        send(dcai, file)
    done = send(dcai, file)

    # What the dead process settled itself is on-chain before; the rest is this run's.
    assert done.plan.already + done.contributed >= ROWS
    with dcai.workspace() as workspace:
        check_books(workspace, file)
    assert send(dcai, file).contributed == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS[1:], ids=[step for _, step in STEPS[1:]])
def test_a_claim_that_died_at_any_step_is_finished_by_the_next(
    owner: type,
    step: str,
    after: bool,
    dying: Dying,
    deployed: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_books: CheckBooks,
) -> None:
    """Whatever step was the last, the next claim leaves nothing that the model agrees with unpaid."""
    dcai = deployed.copy(tmp_path / "home")
    file = write_texts(ROWS)
    send(dcai, file)
    with dcai.workspace() as workspace:
        workspace.chain.advance(DAY_S)

    with dying.at(owner, step, after=after, call=1):
        claim(dcai)
    with dcai.workspace() as workspace:
        pending_refunds(workspace)  # looking at it in between must not take what was paid for lost
    claim(dcai)

    with dcai.workspace() as workspace:
        assert sum(batch.lost_wei for batch in batches(workspace)) == 0
        assert all(item.state == "disputed" for item in pending_refunds(workspace))
        assert sum(batch.refunded_wei for batch in batches(workspace)) > 0
        check_books(workspace, file)
    assert claim(dcai).transactions == ()


@pytest.fixture(scope="module")
def with_points(tmp_path_factory: pytest.TempPathFactory) -> Dcai:
    """A home with a model whose contributions earn points, to be copied."""
    dcai = new_dcai(tmp_path_factory.mktemp("points") / "home", None)
    deploy(dcai, "points")
    return dcai


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS[1:], ids=[step for _, step in STEPS[1:]])
def test_a_claim_of_points_that_died_at_any_step_is_finished_and_not_repeated(
    owner: type,
    step: str,
    after: bool,
    dying: Dying,
    with_points: Dcai,
    tmp_path: Path,
    write_texts: WriteTexts,
    check_books: CheckBooks,
) -> None:
    """Whatever step was the last, one claim is on-chain in the end, and each sample of it earned."""
    dcai = with_points.copy(tmp_path / "home")
    file = write_texts(ROWS)
    send(dcai, file)
    with dcai.workspace() as workspace:
        workspace.chain.advance(DAY_S)
        due = sum(item.points for item in pending_refunds(workspace))

    with dying.at(owner, step, after=after, call=1):
        claim(dcai)
    claim(dcai)

    assert due > 0
    with dcai.workspace() as workspace:
        model = find_model(workspace, None)
        earned, *_ = workspace.chain.view("PointsIncentive", model.incentive, "pointsOf", dcai.address)
        settled = sum((batch.settled & (batch.informative or 0)).bit_count() for batch in batches(workspace))
        assert earned == settled == due
        assert all(item.state == "disputed" for item in pending_refunds(workspace))
        check_books(workspace, file)
        mined = workspace.ledger.transactions(workspace.chain.key, states=("mined",), kind="refund")
        assert len(mined) == 1
    assert claim(dcai).transactions == ()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS[1:], ids=[step for _, step in STEPS[1:]])
@pytest.mark.parametrize("call", [1, 2, 3, 4], ids=["registry", "install", "model", "seal"])
def test_a_deployment_that_died_at_any_step_is_finished_by_the_next(
    call: int,
    owner: type,
    step: str,
    after: bool,
    dying: Dying,
    make_dcai: MakeDcai,
    write_texts: WriteTexts,
    check_books: CheckBooks,
) -> None:
    """Whatever step was the last, the next run ends with each part once, and a model that takes samples."""
    dcai = make_dcai(None)
    file = write_texts(BATCH_SIZE)

    with dying.at(owner, step, after=after, call=call):
        deploy(dcai)
    settled_by_the_dead = call == 4 and step == "settle" and after
    if not settled_by_the_dead:  # nothing was left to do then, and the name is taken
        assert deploy(dcai).sealed

    send(dcai, file)
    with dcai.workspace() as workspace:
        mined = workspace.ledger.transactions(workspace.chain.key, states=("mined",))
        assert [stored.kind for stored in mined] == ["deploy", "install", "create", "seal", "contribute"]
        check_books(workspace, file)
