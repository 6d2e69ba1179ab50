"""Long reviews in a large model: batches shrink to fit a transaction, and every bit is the replica's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from dcai_cli.domain import MAX_BATCH_SAMPLES, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.readers import read_rows
from dcai_cli.models import make_replica
from dcai_cli.models.replica import Replica
from dcai_cli.services.models import HostedModel, find_model, snapshot

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace
    from tests.conftest import Dcai, MakeDcai, StartAnvil

COLUMNS = ("--text-column", "text", "--label-column", "label")
PREDICTIONS = 500


def check_limits(dcai: Dcai) -> None:
    """No transaction passes the limits of real networks, which local nodes do not enforce."""
    mined = dcai.query("SELECT raw, gas_used FROM transactions WHERE state = 'mined'")
    assert mined
    for raw, gas_used in mined:
        assert len(raw) <= MAX_TRANSACTION_BYTES
        assert TypedTransaction.from_bytes(HexBytes(raw)).as_dict()["gas"] <= MAX_TRANSACTION_GAS
        assert gas_used <= MAX_TRANSACTION_GAS


def replay(workspace: Workspace, model: HostedModel) -> Replica:
    """Train a replica on what the events say was contributed."""
    replica = make_replica(model.params)
    for event in workspace.chain.logs("CollaborativeTrainer", model.address, "Contributed", model.from_block):
        assert replica.train(event.args["payload"]) == event.args["informative"]
    return replica


def samples_of(file: Path, model: HostedModel, count: int) -> Sequence[bytes]:
    """The first samples of a file."""
    rows = (row for row in featurize(read_rows(file), model.spec) if isinstance(row, FeaturizedRow))
    return [row.sample for row in itertools.islice(rows, count)]


def payloads(samples: Sequence[bytes]) -> Iterator[bytes]:
    """Samples in payloads of as many as the contract takes."""
    for first in range(0, len(samples), MAX_BATCH_SAMPLES):
        yield b"".join(samples[first : first + MAX_BATCH_SAMPLES])


@pytest.mark.parametrize(("network", "rows"), [("anvil", 1_000), ("embedded", 100)])
def test_reviews_fit_transactions_and_train_the_replicas_bits(
    network: str, rows: int, make_dcai: MakeDcai, anvil: StartAnvil, shared_data: Path
) -> None:
    """All reviews come on-chain within the limits; weights and predictions equal the replica's."""
    dcai = make_dcai(anvil() if network == "anvil" else None)
    imdb = shared_data / "imdb"
    dcai.deploy("imdb", labels="neg,pos", n_features=16_384)

    done = dcai(
        "contribute", imdb / "train-0.csv.gz", *COLUMNS, "--limit", str(rows), "--batch-size", "256", "--yes"
    )

    assert done["rows"] == rows
    assert done["contributed"] == rows - len(done["skipped"])
    assert {skip["reason"].split(" row ")[0] for skip in done["skipped"]} <= {"repeats"}
    # Nearly every word of the first batches is new, and a fresh slot costs 20,000 gas: 256 cannot fit.
    assert done["batches"][0]["samples"] < 100
    check_limits(dcai)
    with dcai.workspace() as workspace:
        model = find_model(workspace, "imdb")
        replica = replay(workspace, model)
        assert snapshot(workspace.chain, model).words() == replica.words()
        samples = samples_of(imdb / "test-0.csv.gz", model, PREDICTIONS if network == "anvil" else 50)
        labels = b"".join(
            bytes(workspace.chain.view("CollaborativeTrainer", model.address, "predict", payload))
            for payload in payloads(samples)
        )
        assert list(labels) == replica.predict(b"".join(samples)).tolist()
        assert set(labels) == {0, 1}
