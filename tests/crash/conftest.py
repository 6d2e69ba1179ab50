"""What must hold after any crash: the chain has every row once, and the ledger says what the chain says."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.domain import Batch
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.payload import split_payload
from dcai_cli.features.readers import read_rows
from dcai_cli.ledger.care import faults
from dcai_cli.ledger.records import Contribution
from dcai_cli.services.index import read_event
from dcai_cli.services.models import HostedModel, find_model

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace
    from tests.conftest import Anvil, Dcai, MakeDcai, StartAnvil

    WriteTexts = Callable[[int], Path]
    CheckBooks = Callable[["Workspace", Path | None], None]

START_WEI = 1_000 * 10**18
"""What the account began with, on either network."""


@pytest.fixture
def write_texts(tmp_path: Path) -> WriteTexts:
    """Writes a file of short texts with labels; one row in twenty repeats an earlier one."""

    def write(count: int) -> Path:
        rng = random.Random(count)  # noqa: S311 - a fixed seed is the point
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 8))) for _ in range(400)]
        rows: list[list[str]] = []
        for number in range(count):
            if number % 20 == 19:
                rows.append(rng.choice(rows))
                continue
            label = rng.randrange(2)
            text = rng.choices(words[label * 150 : label * 150 + 250], k=rng.randint(3, 9))
            rows.append([" ".join(text), ("ham", "spam")[label]])
        path = tmp_path / f"texts-{count}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["text", "label"], *rows])
        return path

    return write


@pytest.fixture
def check_books() -> CheckBooks:
    """Compares the ledger, the chain and the rows of a file, to the wei."""

    def check(workspace: Workspace, file: Path | None) -> None:
        model = find_model(workspace, None)
        assert faults(workspace.ledger) == []
        _check_transactions(workspace)
        _check_batches(workspace, model)
        _check_money(workspace, model)
        if file is not None:
            assert _on_chain(workspace, model) == _expected(file, model)

    return check


def contributed_batches(workspace: Workspace, model: HostedModel) -> Iterator[tuple[Batch, bytes]]:
    """Every batch of a model from its events: the committed meta-data and the payload, in order."""
    for event in workspace.chain.logs("CollaborativeTrainer", model.address, "Contributed", model.from_block):
        found = read_event(event, model)
        assert isinstance(found, Contribution)
        yield found.batch, found.payload


def _expected(file: Path, model: HostedModel) -> Counter[bytes]:
    """The samples of a file, each distinct row once."""
    rows = featurize(read_rows(file), model.spec)
    samples = {row.key: row.sample for row in rows if isinstance(row, FeaturizedRow)}
    return Counter(samples.values())


def _on_chain(workspace: Workspace, model: HostedModel) -> Counter[bytes]:
    return Counter(
        sample
        for batch, payload in contributed_batches(workspace, model)
        if batch.contributor == _me(workspace)
        for sample in split_payload(payload, model.wire)
    )


def _me(workspace: Workspace) -> str:
    account = workspace.keystore.find("me").address
    assert account is not None
    return account


def _check_transactions(workspace: Workspace) -> None:
    chain = workspace.chain
    nonces = Counter[int]()
    for stored in workspace.ledger.transactions(chain.key):
        receipt = chain.receipt(stored.hash)
        if stored.state == "dropped":
            assert receipt is None
            continue
        assert receipt is not None
        executed = "cancelled" if stored.cancels else "mined"
        assert stored.state == (executed if receipt.status else "reverted")
        assert (stored.block_number, stored.block_hash) == (receipt.block_number, receipt.block_hash)
        assert (stored.gas_used, stored.fee_wei) == (receipt.gas_used, receipt.fee_wei)
        nonces[stored.nonce] += 1
    assert set(nonces.values()) == {1}


def _check_batches(workspace: Workspace, model: HostedModel) -> None:
    chain, ledger = workspace.chain, workspace.ledger
    account = _me(workspace)
    stored = [
        batch
        for state in ("planned", "signed", "open", "settled")
        for batch in ledger.batches(chain.key, account, state=state)
    ]
    committed = {
        batch.id: batch for batch, _ in contributed_batches(workspace, model) if batch.contributor == account
    }
    assert {batch.batch_id for batch in stored} == set(committed)
    assert len(stored) == len(committed)
    for batch in stored:
        assert batch.on_chain() == committed[batch.on_chain().id]
        settled, paid_wei, *_ = chain.view("StakeIncentive", model.incentive, "stakeOf", batch.batch_id)
        assert (batch.settled, batch.refunded_wei + batch.lost_wei) == (settled, paid_wei)
    rows = len(ledger.contributed_keys(chain.key, account, model.address))
    rows += ledger.sample_keys(chain.key, account, model.address).total()
    assert rows == sum(batch.count for batch in stored)


def _check_money(workspace: Workspace, model: HostedModel) -> None:
    chain, ledger = workspace.chain, workspace.ledger
    account = _me(workspace)
    batches = [
        batch
        for state in ("open", "settled")
        for batch in ledger.batches(chain.key, account, state=state, model=model.address)
    ]
    still_open_wei = sum(batch.deposit_wei - batch.refunded_wei - batch.lost_wei for batch in batches)
    fees_wei = sum(stored.fee_wei or 0 for stored in ledger.transactions(chain.key))
    others_wei = sum(
        batch.deposit_wei - chain.view("StakeIncentive", model.incentive, "stakeOf", batch.id)[1]
        for batch, _ in contributed_batches(workspace, model)
        if batch.contributor != account
    )
    assert chain.balance_wei(model.address) == still_open_wei + others_wei
    assert chain.balance_wei(account) == START_WEI - still_open_wei - fees_wei


@pytest.fixture
def node(anvil: StartAnvil) -> Anvil:
    """An anvil that mines each transaction at once until it is told otherwise."""
    return anvil()


@pytest.fixture
def sealed(node: Anvil, make_dcai: MakeDcai) -> Dcai:
    """A home on that node, with a sealed model."""
    from tests.crash.test_crash_points import deploy

    sealed = make_dcai(node)
    deploy(sealed)
    return sealed
