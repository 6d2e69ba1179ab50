"""Every type of model through the command line: deployed, trained, asked, refunded, equal to its replica."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.readers import read_rows
from dcai_cli.models import make_replica
from dcai_cli.services.models import find_model, snapshot
from dcai_cli.services.workspace import Workspace

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

TWO = ["--labels", "negative,positive"]
THREE = ["--labels", "negative,positive,mixed"]
TYPES = {
    "perceptron of 8 bits": [*TWO, "--weight-bits", "8"],
    "perceptron of three classes": THREE,
    "naive Bayes": [*THREE, "--model-type", "naive-bayes"],
    "naive Bayes of counts": [*TWO, "--model-type", "naive-bayes", "--counts", "--smoothing", "0.5"],
    "Bernoulli": [*THREE, "--model-type", "naive-bayes", "--bernoulli"],
    "nearest centroid": [*THREE, "--model-type", "nearest-centroid"],
    "nearest centroid of counts": [*TWO, "--model-type", "nearest-centroid", "--counts"],
}
ROWS = [
    ("a warm and moving film", "positive"),
    ("a warm film, a warm cast", "positive"),
    ("dull, dull and long", "negative"),
    ("long and dull", "negative"),
    ("warm but long", "positive"),
    ("cold and dull", "negative"),
]
MIXED = [("warm in parts, dull in parts", "mixed"), ("in parts moving, in parts long", "mixed")]


@pytest.mark.parametrize("options", TYPES.values(), ids=TYPES)
def test_a_type_of_model_goes_the_whole_way(dcai: Dcai, options: list[str]) -> None:
    """Contributions train it as the replica says, it predicts what it learned, and deposits come back."""
    deployed = dcai.data("model", "deploy", "--name", "typed", *options, "--n-features", "256", "--yes")
    rows = ROWS + (MIXED if options[1] == THREE[1] else [])
    file = dcai.write("rows.csv", rows)
    sent = dcai.data("contribute", file, "--model", "typed", "--yes", "--batch-size", "4")
    assert sent["contributed"] == len(rows)
    assert dcai.data("model", "verify", "typed")["verified"] is True
    assert dcai.data("model", "evaluate", file, "--model", "typed")["accuracy"] >= 0.75
    assert dcai("predict", "a warm and moving cast", "--model", "typed").out == "positive\n"
    assert dcai("predict", "long, cold and dull", "--model", "typed").out == "negative\n"

    with Workspace(dcai.settings) as workspace:
        model = find_model(workspace, "typed")
        replica = make_replica(model.params)
        samples = [
            row.sample for row in featurize(read_rows(file), model.spec) if isinstance(row, FeaturizedRow)
        ]
        informative = [replica.train(b"".join(samples[at : at + 4])) for at in range(0, len(samples), 4)]
        assert snapshot(workspace.chain, model).words() == replica.words()
        asked = workspace.chain.view("CollaborativeTrainer", model.address, "predict", b"".join(samples))
        assert list(asked) == replica.predict(b"".join(samples)).tolist()
        agreed = replica.agree(b"".join(samples)).bit_count()
    assert [batch["informative"] for batch in sent["batches"]] == [bits.bit_count() for bits in informative]
    assert deployed["model_type"] == model.params.model_type

    dcai.data("devnet", "advance", "25h")
    claimed = dcai.data("refunds", "--claim", "--model", "typed", "--yes")
    assert claimed["claimed_samples"] == agreed


@pytest.mark.parametrize(
    ("options", "arrays"),
    [
        ([*TWO, "--weight-bits", "8"], {"weights": np.full(256, 2), "bias": np.array(-3)}),
        (THREE, {"weights": np.eye(3, 256, dtype=int), "bias": np.arange(3)}),
        (
            [*TWO, "--model-type", "naive-bayes"],
            {"counts": np.ones((2, 256), dtype=int), "samples": np.array([7, 8])},
        ),
        (
            [*TWO, "--model-type", "nearest-centroid"],
            {"sums": np.ones((2, 256), dtype=int), "samples": np.array([7, 8])},
        ),
    ],
    ids=["perceptron", "multi-class", "naive Bayes", "nearest centroid"],
)
def test_every_type_starts_from_arrays(dcai: Dcai, options: list[str], arrays: dict[str, np.ndarray]) -> None:
    """The arrays of an .npz are what the contract then holds."""
    np.savez(dcai.folder / "start.npz", **arrays)  # type: ignore[arg-type] # its stub takes no arrays by name
    deploy = ["model", "deploy", "--name", "typed", *options, "--n-features", "256", "--yes"]
    dcai.data(*deploy, "--pretrain", "start.npz")
    with Workspace(dcai.settings) as workspace:
        assert any(snapshot_words(workspace, "typed"))


def test_a_model_that_starts_at_its_limits_takes_samples_and_gives_deposits_back(dcai: Dcai) -> None:
    """An owner who writes the greatest counts there are cannot lock contributors out of their deposits."""
    counts = np.full((2, 256), 2**30)
    np.savez(dcai.folder / "start.npz", counts=counts, samples=np.array([7, 8]))
    deploy = ["model", "deploy", "--name", "greedy", *TWO, "--model-type", "naive-bayes", "--yes"]
    dcai.data(*deploy, "--n-features", "256", "--pretrain", "start.npz")
    file = dcai.write("rows.csv", [("warm and moving", "positive"), ("a film", "positive")])
    assert dcai.data("contribute", file, "--model", "greedy", "--yes")["contributed"] == 2
    with Workspace(dcai.settings) as workspace:
        words = snapshot_words(workspace, "greedy")[:64]
    assert max(word >> shift & 0xFFFFFFFF for word in words for shift in range(0, 256, 32)) > 2**30
    assert dcai("predict", "a film", "--model", "greedy").out == "positive\n"
    dcai.data("devnet", "advance", "25h")
    assert dcai.data("refunds", "--claim", "--yes")["claimed_samples"] == 2


def snapshot_words(workspace: Workspace, name: str) -> list[int]:
    """The words of a model on the chain."""
    return snapshot(workspace.chain, find_model(workspace, name)).words()


def test_labelled_rows_train_any_type_before_it_is_sealed(dcai: Dcai) -> None:
    """A file of rows is as good as weights."""
    file = dcai.write("rows.csv", ROWS)
    deploy = ["model", "deploy", "--name", "typed", *TWO, "--n-features", "256", "--yes"]
    dcai.data(*deploy, "--model-type", "naive-bayes", "--pretrain", file)
    assert dcai.data("model", "evaluate", file, "--model", "typed")["accuracy"] == 1.0


def forget_models(dcai: Dcai) -> None:
    """Forget all models and the registry, as on another machine; the chain stays."""
    with closing(sqlite3.connect(dcai.home / "ledger.sqlite")) as database, database:
        database.execute("DELETE FROM models")
        database.execute("DELETE FROM choices WHERE name IN ('model', 'registry')")
        database.execute("DELETE FROM transactions")


def test_a_stranger_finds_a_model_by_its_owner_and_name(dcai: Dcai) -> None:
    """The registry lists models; owner and name lead to one that this ledger has never seen."""
    registry = dcai.query("SELECT value FROM choices WHERE name = 'registry'")[0][0]
    (listed,) = dcai.data("model", "list")["models"]
    forget_models(dcai)
    assert dcai.data("model", "list", "--registry", registry)["models"][0]["address"] == listed["address"]
    assert dcai.data("model", "show", f"{listed['owner']}/films")["address"] == listed["address"]
    with closing(sqlite3.connect(dcai.home / "ledger.sqlite")) as database, database:
        database.execute("DELETE FROM models")
    assert dcai.data("model", "show", "alice/films")["address"] == listed["address"]
    error = dcai.error("model", "show", "bob/films")
    assert (error["exit_code"], "films" in error["message"]) == (2, True)


def test_a_superseded_model_says_so_and_still_works(dcai: Dcai) -> None:
    """The owner's recommendation is shown and not followed; it can be taken back."""
    successor = dcai.data("model", "deploy", "--name", "better", *TWO, "--n-features", "256", "--yes")
    dcai.data("model", "supersede", "films", "--by", "better", "--yes")
    old = next(model for model in dcai.data("model", "list")["models"] if model["name"] == "films")
    assert old["superseded_by"] == successor["address"]
    assert f"recommends {successor['address']}" in dcai("model", "list").out
    assert dcai.data("model", "show", "films")["superseded_by"] == successor["address"]
    assert dcai.data("model", "show", "films")["address"] == old["address"]
    dcai.data("model", "supersede", "films", "--none", "--yes")
    assert all(model["superseded_by"] is None for model in dcai.data("model", "list")["models"])


def test_an_address_without_a_registry_is_refused(dcai: Dcai) -> None:
    """Exit code 17, and the address is named."""
    address = "0x" + "12" * 20
    error = dcai.error("model", "list", "--registry", address)
    assert error["exit_code"] == 17
    assert error["message"].lower().count(address) == 1
