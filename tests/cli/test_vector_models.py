"""Models of vectors, from deploying to contributing and predicting, with an encoder and without."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dcai_cli.features.sentences import VARIABLE
from dcai_cli.features.spec import FeatureSpec
from tests import plugins
from tests.cli.conftest import HONEST, Dcai
from tests.golden.sentence_model import make_model

DEPLOY = ("model", "deploy", "--name", "vectors", "--labels", "negative,positive", "--kind", "dense", "--yes")
LENGTH = 16


def make_vectors(count: int) -> tuple[np.ndarray[Any, np.dtype[np.float32]], list[str]]:
    """Vectors about two centres, and their labels."""
    rng = np.random.default_rng(2026)
    labels = ["positive" if at % 2 else "negative" for at in range(count)]
    centres = {"positive": 0.2, "negative": -0.2}
    vectors = [rng.normal(centres[label], 0.1, LENGTH) for label in labels]
    return np.array(vectors, dtype=np.float32), labels


@pytest.fixture
def files(dcai: Dcai) -> dict[str, Path]:
    """The same twenty vectors as npz, parquet, and npy beside csv."""
    vectors, labels = make_vectors(20)
    np.savez(dcai.folder / "rows.npz", vector=vectors, label=np.array(labels))
    table = pa.table({"vector": [vector.tolist() for vector in vectors], "label": labels})
    pq.write_table(table.cast(pa.schema({"vector": pa.list_(pa.float32()), "label": pa.string()})),
                   dcai.folder / "rows.parquet")  # fmt: skip
    (dcai.folder / "pair").mkdir()
    np.save(dcai.folder / "pair" / "vectors.npy", vectors)
    (dcai.folder / "pair" / "labels.csv").write_text("\n".join(["label", *labels]) + "\n")
    return {name: dcai.folder / name for name in ("rows.npz", "rows.parquet", "pair")}


def spec_of(dcai: Dcai, *options: str | Path) -> FeatureSpec:
    """Deploy a model of vectors, and read what it published."""
    dcai.data(*DEPLOY, *options)
    return FeatureSpec.from_json(dcai.data("model", "show", "vectors")["spec"])


@pytest.mark.parametrize("model_type", ["nearest-centroid", "perceptron"])
def test_vectors_go_from_a_file_to_the_chain_and_are_predicted(
    dcai: Dcai, files: dict[str, Path], model_type: str
) -> None:
    """A model of vectors learns its scale, takes contributions, and predicts rows of every form alike."""
    spec = spec_of(dcai, "--vectors-from", files["rows.npz"], "--model-type", model_type)
    vectors, labels = make_vectors(20)
    constant = 127 if model_type == "perceptron" else 0
    assert (spec.length, spec.constant, spec.encoder) == (LENGTH, constant, None)
    assert float(spec.scale) == pytest.approx(127 / np.abs(vectors).max(), rel=0.001)
    done = dcai.data("contribute", files["rows.npz"], "--model", "vectors", "--yes")
    assert (done["contributed"], done["skipped"]) == (20, [])
    for name in ("rows.parquet", "pair"):
        again = dcai.data("contribute", files[name], "--model", "vectors", "--dry-run")
        assert (again["rows"], again["already_contributed"]) == (20, 20), name
        told = dcai.data("predict", "--file", files[name], "--model", "vectors")
        assert [item["label"] for item in told["predictions"]] == labels
    typed = json.dumps(vectors[1].tolist())
    assert dcai.data("predict", typed, "--model", "vectors")["predictions"][0]["label"] == "positive"
    assert dcai.data("model", "evaluate", files["pair"], "--model", "vectors")["accuracy"] == 1
    shown = dcai("model", "show", "vectors").out
    assert "vector (16 numbers), and the label in label" in shown


def test_predictions_of_vectors_are_written_beside_the_other_columns(
    dcai: Dcai, files: dict[str, Path]
) -> None:
    """The csv has what was no vector, and the prediction; a vector that cannot be typed is refused."""
    spec_of(dcai, "--scale", "500", "--n-features", "16", "--pretrain", files["pair"])
    out = dcai.folder / "out.csv"
    dcai.data("predict", "--file", files["rows.npz"], "--model", "vectors", "--output", out)
    lines = out.read_text().splitlines()
    assert (lines[0], len(lines), lines[1]) == ("label,prediction", 21, "negative,negative")
    error = dcai.error("predict", "[1, 2]", "--model", "vectors")
    assert error["message"] == "'[1, 2]' cannot be predicted: the vector has 2 numbers; the model takes 16."
    assert "16 numbers as JSON" in error["hint"]


def test_predictions_of_a_folder_stand_under_their_columns(dcai: Dcai, files: dict[str, Path]) -> None:
    """A column may hold vectors in one file and nothing in another: cells do not move for it."""
    spec_of(dcai, "--scale", "500", "--n-features", "16", "--pretrain", files["pair"])
    shards = dcai.folder / "shards"
    shards.mkdir()
    whole = pq.read_table(files["rows.parquet"]).slice(0, 2)
    pq.write_table(whole, shards / "a.parquet")
    empty = pa.table({"vector": pa.nulls(1), "label": ["positive"]})
    pq.write_table(empty, shards / "b.parquet")
    out = dcai.folder / "out.csv"
    dcai.data("predict", "--file", shards, "--model", "vectors", "--output", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["label"] for row in rows] == ["negative", "positive", "positive"]
    assert (rows[2]["prediction"], {len(row) for row in rows}) == ("", {2})


def test_featurize_shows_what_vectors_become(dcai: Dcai, files: dict[str, Path]) -> None:
    """Without a chain, each form gives the same payloads; a file without labels says what is missing."""
    spec = FeatureSpec.dense(labels=["negative", "positive"], length=LENGTH, scale="400")
    (dcai.folder / "spec.json").write_text(spec.to_json())
    told = [dcai.data("featurize", place, "--spec", "spec.json") for place in files.values()]
    assert told[0] == told[1] == told[2]
    assert (told[0]["rows"], told[0]["skipped"]) == (20, 0)
    values = [round(float(number) * 400) for number in make_vectors(20)[0][0]]
    assert told[0]["samples"][0]["values"] == [max(-127, min(127, value)) for value in values if value]
    alone = files["pair"] / "vectors.npy"
    assert "no column 'label'" in dcai.error("featurize", alone, "--spec", "spec.json")["message"]
    assert dcai.data("featurize", alone, "--spec", "spec.json", "--no-labels")["rows"] == 20


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[None]:
    """The encoder `letters` is installed."""
    with plugins.installed(tmp_path, "lettersmith", {"letters": "Letters"}, plugins.LETTERS):
        yield


@pytest.mark.usefixtures("letters")
def test_texts_go_through_an_encoder(dcai: Dcai) -> None:
    """A model that names an encoder takes texts, and vectors in their place."""
    rows = [("abab", "negative"), ("aab", "negative"), ("cdcd", "positive"), ("dcc", "positive")]
    file = dcai.write("rows.csv", rows, header=("body", "label"))
    options = ("--encoder", "letters", "--text-column", "body", "--vectors-from", file)
    spec = spec_of(dcai, *options, "--model-type", "nearest-centroid")
    assert spec.encoder is not None
    assert (spec.encoder.name, spec.encoder.version, spec.encoder.text_column) == ("letters", "1", "body")
    assert (spec.n_features, spec.scale) == (4, "63.5")
    assert dcai.data("contribute", file, "--model", "vectors", "--yes")["contributed"] == 4
    texts = dcai.write("texts.csv", [("ba",), ("dd",), ("",)], header=("body",))
    told = dcai.data("predict", "--file", texts, "--model", "vectors")["predictions"]
    assert [item["label"] for item in told] == ["negative", "positive", None]
    assert dcai.data("predict", "bbb", "--model", "vectors")["predictions"][0]["label"] == "negative"
    vectors = dcai.write("vectors.csv", [("[0, 0, 2, 1]",)], header=("vector",))
    told = dcai.data("predict", "--file", vectors, "--model", "vectors")["predictions"]
    assert told[0]["label"] == "positive"
    assert "vector (4 numbers) or body (text for encoder letters)" in dcai("model", "show", "vectors").out


def test_whoever_lacks_the_encoder_is_told(dcai: Dcai, tmp_path: Path) -> None:
    """A contributor without the encoder gets its name and no code; another version is refused as well."""
    file = dcai.write("rows.csv", [("abab", "negative"), ("cdcd", "positive")])
    with plugins.installed(tmp_path / "1", "lettersmith", {"letters": "Letters"}, plugins.LETTERS):
        spec_of(dcai, "--encoder", "letters", "--scale", "50")
    with dcai.unchanged():
        error = dcai.error("contribute", file, "--model", "vectors", "--yes")
    assert error["message"] == "There is no encoder 'letters' here; installed: sentences."
    newer = plugins.LETTERS.replace('"1"', '"2"')
    with plugins.installed(tmp_path / "2", "lettersmith", {"letters": "Letters"}, newer), dcai.unchanged():
        error = dcai.error("contribute", file, "--model", "vectors", "--yes")
    assert "of version '1'; the one that is installed has '2'" in error["message"]


def test_sentences_are_encoded_by_a_net(dcai: Dcai) -> None:
    """The shipped encoder takes texts from a file to the chain, by a model in a folder."""
    folder = make_model(dcai.folder / "net", [text for text, _ in HONEST] * 3, dimension=6)
    films = dcai.write("films.csv", HONEST)
    environment = {VARIABLE: str(folder)}
    what = ("--encoder", "sentences", "--vectors-from", films, "--model-type", "nearest-centroid")
    dcai.data(*DEPLOY, *what, **environment)
    done = dcai.data("contribute", films, "--model", "vectors", "--yes", **environment)
    assert done["contributed"] == len(HONEST)
    told = dcai.data("model", "evaluate", films, "--model", "vectors", **environment)
    assert told["accuracy"] == 1
    told = dcai.data("predict", "a wonderful warm story", "--model", "vectors", **environment)
    assert told["predictions"][0]["label"] == "positive"
    error = dcai.error("predict", "a wonderful warm story", "--model", "vectors")
    assert (error["exit_code"], VARIABLE in error["hint"]) == (2, True)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "Vectors need a scale"),
        (["--scale", "1"], "length of the vectors is not known"),
        (["--scale", "1", "--vectors-from", "rows.npz"], "typed or learned"),
        (["--scale", "-1", "--n-features", "16"], "scale is -1; it must be above 0"),
        (["--scale", "x", "--n-features", "16"], "scale: 'x' is not a number"),
        (["--scale", "1", "--n-features", "5000"], "n_features is 5001"),
        (["--scale", "1", "--n-features", "16", "--text-column", "t"], "--text-column is what an encoder"),
        (["--scale", "1", "--n-features", "16", "--counts"], "--counts is not for vectors"),
        (["--scale", "1", "--n-features", "16", "--ngrams", "2"], "--ngrams is not for vectors"),
        (["--scale", "1", "--n-features", "16", "--vocabulary", "w"], "--vocabulary is not for vectors"),
        (["--scale", "1", "--n-features", "16", "--schema", "s"], "--schema is not for vectors"),
        (["--vectors-from", "rows.npz", "--n-features", "15"], "the vectors have 16 numbers"),
        (["--scale", "1", "--n-features", "4096"], "4,096 numbers leave no room for the constant"),
        (["--scale", "1", "--encoder", "nobody"], "There is no encoder 'nobody' here"),
        (["--scale", "1", "--encoder", "sentences"], "The encoder 'sentences' needs a model"),
        (["--scale", "1", "--n-features", "16", "--model-type", "naive-bayes"], "have negative numbers"),
        (["--kind", "text", "--scale", "1"], "--scale is for vectors"),
        (["--kind", "text", "--encoder", "sentences"], "--encoder is for vectors"),
        (["--kind", "text", "--n-features", "16"], "--n-features 16 is not possible"),
    ],
)
@pytest.mark.usefixtures("files")
def test_options_that_contradict_are_refused(dcai: Dcai, options: list[str], problem: str) -> None:
    """Each refusal is one of usage, names what was typed, and sends nothing."""
    error = dcai.error(*DEPLOY, *options)
    assert (error["exit_code"], problem in error["message"], error["hint"] != "") == (2, True, True), error


def test_files_to_learn_from_are_refused_by_name(dcai: Dcai) -> None:
    """A file that is missing, has no such column, or nothing but zeros has no scale."""
    np.savez(dcai.folder / "zeros.npz", vector=np.zeros((3, 4)), x=np.array(["a", "b", "c"]))
    np.savez(dcai.folder / "one.npz", vector=np.ones((3, 1)))
    error = dcai.error(*DEPLOY, "--vectors-from", "one.npz", "--format", "npz")
    assert (error["exit_code"], "have 1 numbers; a model takes 2" in error["message"]) == (15, True)
    assert "no file none.npy" in dcai.error(*DEPLOY, "--vectors-from", "none.npy")["message"]
    assert "no number but 0" in dcai.error(*DEPLOY, "--vectors-from", "zeros.npz")["message"]
    error = dcai.error(*DEPLOY, "--vectors-from", "zeros.npz", "--vector-column", "embedding")
    assert "no column 'embedding'; the columns are: vector, x" in error["message"]
    assert "--vector-column" in error["hint"]
    error = dcai.error(*DEPLOY, "--vectors-from", "zeros.npz", "--vector-column", "x")
    assert "No row has a vector in 'x': the vector is not JSON" in error["message"]
