"""Eight real sets from file to payload and back with `dcai featurize`, beside scikit-learn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer

from dcai_cli.cli.app import run
from dcai_cli.domain import Vector
from dcai_cli.features.columns import Column
from dcai_cli.features.payload import decode_payload
from dcai_cli.features.spec import FeatureSpec

N_FEATURES = 2**18
MAX_FEATURES = 4096


@dataclass(frozen=True)
class TextSet:
    """A set of texts: its file and labels, and the settings of spec and vectorizer alike."""

    file: str
    labels: Sequence[str]
    settings: dict[str, Any] = field(default_factory=dict)


TREC = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
TEXTS = {
    "sms_spam": TextSet("data.csv", ("ham", "spam")),
    "ag_news": TextSet("data.csv.gz", ("Business", "SciTech", "Sports", "World"), {"ngram_range": (1, 2)}),
    "trec_en": TextSet("data.csv", TREC, {"lowercase": False}),
    # Word tokens of two letters or more fail on both.
    "trec_hi": TextSet("data.csv", TREC, {"analyzer": "char_wb", "ngram_range": (1, 3)}),
    "zh_hotel": TextSet("data.csv.gz", ("neg", "pos"), {"analyzer": "char", "ngram_range": (1, 2)}),
}
IMDB_SHARDS = ("train-0.csv.gz", "test-0.csv.gz")
TABLES = {
    "titanic": (
        "data.csv",
        ("0", "1"),
        {"age": ("1", "12", "18.5", "30", "60"), "fare": ("5", "10", "7.5e1"), "sibsp": ("1",)},
    ),
    "adult": (
        "data.csv.gz",
        ("<=50K", ">50K"),
        {"age": ("25", "40", "60"), "fnlwgt": ("1e5", "2e5"), "hr_per_week": ("20", "40")},
    ),
}


def featurized(file: Path, spec: FeatureSpec, folder: Path) -> dict[str, Any]:
    """What `dcai featurize --json` prints of a file."""
    (folder / "spec.json").write_text(spec.to_json(), encoding="utf-8")
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = run(["featurize", str(file), "--spec", str(folder / "spec.json"), "--json"])
    assert code == 0, printed.getvalue()
    data = json.loads(printed.getvalue())["data"]
    assert isinstance(data, dict)
    return data


def read_plainly(file: Path) -> pd.DataFrame:
    """The rows by another reader, every cell a string."""
    return pd.read_csv(file, dtype=str, keep_default_na=False, na_filter=False)


def vectors(matrix: csr_matrix) -> Iterator[tuple[list[int], list[int]]]:
    """Indices and counts of each row of a matrix of scikit-learn."""
    matrix.sum_duplicates()
    matrix.sort_indices()
    for row in range(matrix.shape[0]):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        yield matrix.indices[part].tolist(), matrix.data[part].astype(int).tolist()


def check(data: dict[str, Any], spec: FeatureSpec, labels: Sequence[str], matrix: csr_matrix) -> None:
    """Each row has the label and the features that scikit-learn gives, in the document and in the payload."""
    samples = data["samples"]
    assert data["rows"] == len(samples) == len(labels) > 0
    for item, label, (indices, counts) in zip(samples, labels, vectors(matrix), strict=True):
        if not indices:
            assert "no features" in item["skipped"] or "empty" in item["skipped"]
            continue
        values = np.minimum(counts, 127).tolist()
        assert (item["label"], item["indices"], item["values"]) == (label, indices, values)
        ((index, vector),) = decode_payload(bytes.fromhex(item["payload"]), spec.wire)
        assert (spec.labels[index], vector) == (label, Vector(tuple(indices), tuple(values)))
    assert data["skipped"] < len(samples) / 25


def check_text(file: Path, labels: Sequence[str], settings: dict[str, Any], folder: Path) -> None:
    """A set of texts, hashed by both."""
    spec = FeatureSpec.text(
        labels=labels, n_features=N_FEATURES, max_features=MAX_FEATURES, valued=True, **settings
    )
    vectorizer = HashingVectorizer(n_features=N_FEATURES, alternate_sign=False, norm=None, **settings)
    files = sorted(file.iterdir()) if file.is_dir() else [file]
    frame = pd.concat([read_plainly(one) for one in files])
    data = featurized(file, spec, folder)
    assert data["cut"] == 0
    check(data, spec, frame["label"].tolist(), vectorizer.transform(frame["text"]))


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_hashed_as_scikit_learn_does(name: str, shared_data: Path, tmp_path: Path) -> None:
    """English, Hindi and Chinese; words and pairs of words; lower-cased or not."""
    known = TEXTS[name]
    check_text(shared_data / name / known.file, known.labels, known.settings, tmp_path)


def test_a_folder_of_reviews_is_hashed_as_scikit_learn_does(shared_data: Path, tmp_path: Path) -> None:
    """Two shards of imdb, packed, as one folder: 10,000 long reviews."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for name in IMDB_SHARDS:
        (folder / name).symlink_to(shared_data / "imdb" / name)
    check_text(folder, ("neg", "pos"), {}, tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_hashed_as_scikit_learn_does(name: str, shared_data: Path, tmp_path: Path) -> None:
    """Categories as they stand, numbers by their bin, and empty cells."""
    file, labels, bins = TABLES[name]
    frame = read_plainly(shared_data / name / file)
    names = [column for column in frame.columns if column != "label"]
    columns = [
        Column(column, "numeric", bins[column]) if column in bins else Column(column, "categorical")
        for column in names
    ]
    spec = FeatureSpec.tabular(labels=labels, columns=columns, n_features=N_FEATURES, valued=True)
    texts = {
        column: in_bins(frame[column], bins[column]) if column in bins else frame[column] for column in names
    }
    rows = [
        [f"{column}={cell}" for column, cell in zip(names, cells, strict=True)]
        for cells in zip(*texts.values(), strict=True)
    ]
    hasher = FeatureHasher(n_features=N_FEATURES, input_type="string", alternate_sign=False)
    data = featurized(shared_data / name / file, spec, tmp_path)
    assert data["skipped"] == 0
    check(data, spec, frame["label"].tolist(), hasher.transform(rows))


def in_bins(cells: pd.Series, edges: Sequence[str]) -> list[str]:
    """The number of each cell's bin; an empty cell stays empty."""
    return [
        "" if cell == "" else str(int(np.digitize(float(cell), [float(edge) for edge in edges])))
        for cell in cells
    ]
