"""Files of a model: its weights for numpy and scikit-learn, and the compiler's input of its parts."""

from __future__ import annotations

import doctest
import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

from dcai_cli.chain.artifacts import artifact, names
from dcai_cli.chain.sources import compiler_input, qualified_name
from dcai_cli.errors import BadInput
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.readers import read_rows
from dcai_cli.services.models import find_model, read_words
from dcai_cli.services.weights import load_weights
from dcai_cli.services.workspace import Workspace
from dcai_cli.sklearn import OnChainClassifier
from tests.cli.test_model_types import MIXED, ROWS, THREE, TWO, TYPES
from tests.cli.test_predict_and_deploy import PASSENGERS, SCHEMA
from tests.cli.test_vector_models import make_vectors
from tests.conftest import PROJECT

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

TABLES = {
    "table of a perceptron": TWO,
    "table of three classes": THREE,
    "table of naive Bayes": [*TWO, "--model-type", "naive-bayes"],
    "table of centroids": [*TWO, "--model-type", "nearest-centroid"],
}
VECTORS = {
    "vectors of a perceptron": [*TWO, "--model-type", "perceptron"],
    "vectors of three classes": [*THREE, "--model-type", "perceptron"],
    "vectors of centroids": [*TWO, "--model-type", "nearest-centroid"],
}


def on_chain(dcai: Dcai, name: str, file: Path) -> list[str]:
    """What the contract itself predicts of the rows of a file, and what it holds."""
    with Workspace(dcai.settings) as workspace:
        model = find_model(workspace, name)
        rows = featurize(read_rows(file, vector_column=model.spec.vector_column), model.spec)
        samples = b"".join(row.sample for row in rows if isinstance(row, FeaturizedRow))
        asked = workspace.chain.view("CollaborativeTrainer", model.address, "predict", samples)
        return [model.spec.labels[number] for number in asked]


def check_alike(dcai: Dcai, monkeypatch: pytest.MonkeyPatch, file: Path, rows: Any) -> OnChainClassifier:
    """The estimator, of a file and of the chain, predicts as the contract and as the replica do."""
    for command in ("export", "snapshot"):
        dcai.data("model", command, "typed", "--output", f"{command}.npz")
    wanted = on_chain(dcai, "typed", file)
    by_replica = dcai.data("predict", "--file", file, "--model", "typed")["predictions"]
    assert [item["label"] for item in by_replica] == wanted
    assert len(set(wanted)) > 1
    for variable, value in dcai.environment.items():
        monkeypatch.setenv(variable, value)
    found = [
        OnChainClassifier.from_file(dcai.folder / "export.npz"),
        OnChainClassifier.from_file(dcai.folder / "snapshot.npz"),
        OnChainClassifier.from_chain("typed", rpc_url="embedded"),
    ]
    for classifier in found:
        assert classifier.predict(rows).tolist() == wanted
    return found[0]


@pytest.mark.parametrize("options", [TWO, *TYPES.values()], ids=["perceptron", *TYPES])
def test_estimators_of_texts_predict_as_the_chain(
    dcai: Dcai, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """For every type of model, the contract, the replica and the estimator agree on each row."""
    dcai.data("model", "deploy", "--name", "typed", *options, "--n-features", "256", "--yes")
    rows = ROWS + (MIXED if options[1] == THREE[1] else [])
    file = dcai.write("rows.csv", rows)
    dcai.data("contribute", file, "--model", "typed", "--yes")
    check_alike(dcai, monkeypatch, file, [text for text, _ in rows])


@pytest.mark.parametrize("options", TABLES.values(), ids=TABLES)
def test_estimators_of_tables_predict_as_the_chain(
    dcai: Dcai, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """A table may come as mappings or as a DataFrame, with numbers as numbers."""
    import pandas as pd

    (dcai.folder / "schema.toml").write_text(SCHEMA)
    deploy = ("model", "deploy", "--name", "typed", "--kind", "tabular", "--schema", "schema.toml")
    dcai.data(*deploy, *options, "--n-features", "256", "--yes")
    labels = {"no": "negative", "yes": "positive"}
    rows = [(cls, age, labels[label]) for cls, age, label in PASSENGERS]
    file = dcai.write("rows.csv", rows, header=["class", "age", "survived"])
    dcai.data("contribute", file, "--model", "typed", "--yes")
    mappings = [{"class": cls, "age": int(age)} for cls, age, _ in rows]
    classifier = check_alike(dcai, monkeypatch, file, mappings)
    frame = pd.DataFrame(mappings)
    assert classifier.predict(frame).tolist() == classifier.predict(mappings).tolist()
    gap = [{"class": "first", "age": None}, {"class": "first", "age": float("nan")}]
    assert len(set(classifier.predict(gap).tolist())) == 1
    with pytest.raises(ValueError, match="mapping of column to cell"):
        classifier.predict(["first"])


@pytest.mark.parametrize("options", VECTORS.values(), ids=VECTORS)
def test_estimators_of_vectors_predict_as_the_chain(
    dcai: Dcai, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """Vectors are an array, as other estimators take them; another length is refused."""
    vectors, labels = make_vectors(20)
    file = dcai.folder / "rows.npz"
    np.savez(file, vector=vectors, label=np.array(labels))
    deploy = ("model", "deploy", "--name", "typed", "--kind", "dense", "--vectors-from", file)
    dcai.data(*deploy, *options, "--yes")
    dcai.data("contribute", file, "--model", "typed", "--yes")
    classifier = check_alike(dcai, monkeypatch, file, vectors)
    assert classifier.score(vectors, labels) == 1
    with pytest.raises(ValueError, match=r"shape \(20, 15\)"):
        classifier.predict(vectors[:, :15])


@pytest.fixture
def exported(contributed: Dcai) -> Path:
    """The file of a model of texts that learned three rows."""
    contributed.data("model", "export", "--output", "films.npz")
    return contributed.folder / "films.npz"


def test_an_estimator_stands_in_a_pipeline_and_is_cloned_and_pickled(exported: Path) -> None:
    """All copies predict alike; fitting a pipeline leaves the weights of the chain as they are."""
    texts = ["A GREAT WARM FILM", "a dull cold mess"]
    classifier = OnChainClassifier.from_file(exported)
    wanted = classifier.predict(texts).tolist()
    upper = FunctionTransformer(lambda rows: [row.upper() for row in rows])
    pipeline = make_pipeline(upper, clone(classifier)).fit(texts, ["other", "labels"])
    assert pipeline.predict(texts).tolist() == wanted
    assert pipeline.classes_.tolist() == ["negative", "positive"]
    assert pickle.loads(pickle.dumps(classifier)).predict(texts).tolist() == wanted  # noqa: S301 - our own
    check_is_fitted(classifier)
    assert clone(classifier).get_params() == classifier.get_params()
    with pytest.raises(NotFittedError, match="from_file"):
        OnChainClassifier().predict(texts)


def test_the_example_of_the_page_runs(dcai: Dcai, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/models.md shows of scikit-learn is what comes out."""
    dcai.data("contribute", films, "--yes")
    dcai.data("model", "export", "--output", "films.npz")
    monkeypatch.chdir(dcai.folder)
    page = str(PROJECT / "docs" / "models.md")
    assert doctest.testfile(page, module_relative=False) == (0, 3)


def test_rows_without_features_are_an_error_or_a_label_that_was_named(exported: Path) -> None:
    """The contract cannot predict them, so nothing is guessed unasked; the others keep their places."""
    texts = ["a great film", "?", "a great film"]
    with pytest.raises(ValueError, match="Row 1 cannot be predicted: no features"):
        OnChainClassifier.from_file(exported).predict(texts)
    found = OnChainClassifier.from_file(exported, empty="negative").predict(texts)
    assert found[1] == "negative"
    assert found[0] == found[2] == OnChainClassifier.from_file(exported).predict(texts[:1])[0]
    with pytest.raises(ValueError, match="'neutral'"):
        OnChainClassifier.from_file(exported, empty="neutral").predict(texts)
    with pytest.raises(ValueError, match="One str"):
        OnChainClassifier.from_file(exported).predict("a great film")


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_of_the_interface_hold(check: Any) -> None:
    """Those that fit nothing on random numbers; the module says why the others do not apply."""
    check("OnChainClassifier", OnChainClassifier())


def test_a_snapshot_is_the_words_of_the_chain(contributed: Dcai) -> None:
    """Bit for bit, with spec, type and block; nothing in it is pickled."""
    done = contributed.data("model", "snapshot", "--output", "now.npz")
    before = str(done["block_number"] - 1)
    contributed.data("model", "snapshot", "--block", before, "--output", "before.npz")
    with Workspace(contributed.settings) as workspace:
        model = find_model(workspace, "films")
        words = read_words(workspace.chain, model)
    with np.load(contributed.folder / "now.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert [int.from_bytes(row.tobytes(), "big") for row in arrays["words"]] == words
    assert any(words)
    assert str(arrays["spec"]) == model.spec.to_json()
    assert json.loads(str(arrays["params"]))["model_type"] == "perceptron"
    assert (str(arrays["address"]), int(arrays["block_number"])) == (model.address, done["block_number"])
    assert not any(load_weights(contributed.folder / "before.npz")[1].words())
    error = contributed.error("model", "snapshot", "--block", "999", "--output", "later.npz")
    assert (error["exit_code"], (contributed.folder / "later.npz").exists()) == (2, False)


def test_an_export_is_what_another_model_can_start_with(contributed: Dcai, exported: Path) -> None:
    """Deployed with it, the new model has the same words."""
    deploy = ("model", "deploy", "--name", "twin", "--labels", "negative,positive", "--n-features", "256")
    contributed.data(*deploy, "--pretrain", exported, "--yes")
    with Workspace(contributed.settings) as workspace:
        words = [read_words(workspace.chain, find_model(workspace, name)) for name in ("films", "twin")]
    assert words[0] == words[1]


@pytest.mark.parametrize("kind", ["absent", "text", "pickle", "arrays", "words", "format"])
def test_a_file_that_holds_no_weights_is_refused(exported: Path, tmp_path: Path, kind: str) -> None:
    """Named, and without running anything that stands in it."""
    path = tmp_path / "other.npz"
    with np.load(exported) as file:
        arrays: dict[str, Any] = dict(file)
    if kind == "text":
        path.write_text("weights")
    elif kind == "pickle":
        np.savez(path, **(arrays | {"words": np.array([_Trap(tmp_path)], dtype=object)}), allow_pickle=True)
    elif kind == "arrays":
        np.savez(path, weights=arrays["weights"])
    elif kind == "words":
        np.savez(path, **(arrays | {"words": arrays["words"][:-1]}))
    elif kind == "format":
        np.savez(path, **(arrays | {"format": np.array("dcai-weights-9")}))
    with pytest.raises(BadInput, match="other.npz" if kind != "words" else "words"):
        OnChainClassifier.from_file(path)
    assert not (tmp_path / "sprung").exists()


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder / "sprung"),)


def test_the_compiler_input_of_each_part_is_written(dcai: Dcai) -> None:
    """One file for each part of the model, with what an explorer asks for beside it."""
    data = dcai.data("model", "verify", "--standard-json", "explorer")
    assert [Path(item["path"]).name for item in data["standard_json"]] == [
        "CollaborativeTrainer.json",
        "Perceptron.json",
        "StakeIncentive.json",
        "DataHandler.json",
    ]
    with dcai.chain() as chain:
        for item in data["standard_json"]:
            name = item["contract"].rpartition(":")[2]
            assert chain.code(item["implementation"]) == artifact(name).deployed_bytecode
            written = json.loads((dcai.folder / item["path"]).read_text())
            assert written == compiler_input(name)
    assert [data["standard_json"][0]["address"], data["address"]] == [data["address"]] * 2
    assert dcai.data("model", "verify")["standard_json"] == []


@pytest.mark.parametrize("name", names())
def test_compiled_again_the_input_gives_the_shipped_bytecode(name: str) -> None:
    """The project's solc makes the same bytes, creation code and runtime code, of each contract."""
    done = subprocess.run(
        [PROJECT / "tools" / "solc", "--standard-json"],
        input=json.dumps(compiler_input(name)).encode(),
        env=os.environ | {"PATH": f"{os.environ['PATH']}:{PROJECT / '.venv' / 'bin'}"},
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    path, _, contract = qualified_name(name).partition(":")
    compiled = json.loads(done.stdout)["contracts"][path][contract]["evm"]
    assert compiled["bytecode"]["object"] == artifact(name).bytecode.hex()
    assert compiled["deployedBytecode"]["object"] == artifact(name).deployed_bytecode.hex()
