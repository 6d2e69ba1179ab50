"""Naive Bayes and nearest centroid on real data, beside scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.neighbors import NearestCentroid

from dcai_cli.domain import MAX_BERNOULLI_LANES, ModelParams, Vector, Wire
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.payload import decode_payload, encode_sample
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.models import make_replica
from dcai_cli.models.replica import Replica

SETS = {
    "sms_spam": ("data.csv", ("ham", "spam")),
    "ag_news": ("data.csv.gz", ("Business", "Sci/Tech", "Sports", "World")),
    "trec_en": ("data.csv", ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")),
}
BATCH = 100


@dataclass(frozen=True)
class Data:
    """Samples on the wire and the same as a matrix; the first four fifths are for training."""

    samples: Sequence[bytes]
    matrix: csr_matrix
    labels: NDArray[np.int64]

    @property
    def cut(self) -> int:
        """How many samples are for training."""
        return len(self.samples) * 4 // 5

    def trained(self, params: ModelParams) -> Replica:
        """A replica, trained in batches as on the chain."""
        replica = make_replica(params)
        for first in range(0, self.cut, BATCH):
            replica.train(b"".join(self.samples[first : min(first + BATCH, self.cut)]))
        return replica

    def predicted(self, params: ModelParams) -> NDArray[np.int64]:
        """What a replica trained on the first part says of the second."""
        return self.trained(params).predict(b"".join(self.samples[self.cut :])).astype(np.int64)


def make_data(rows: Sequence[tuple[int, Vector]], wire: Wire) -> Data:
    """Samples and matrix, shuffled."""
    order = np.random.default_rng(2_000).permutation(len(rows)).tolist()
    shuffled = [rows[at] for at in order]
    pointers = np.cumsum([0, *(len(vector.indices) for _, vector in shuffled)])
    indices = np.concatenate([vector.indices for _, vector in shuffled])
    values = np.concatenate([vector.values for _, vector in shuffled])
    return Data(
        [encode_sample(label, vector, wire) for label, vector in shuffled],
        csr_matrix((values, indices, pointers), shape=(len(rows), wire.n_features)),
        np.array([label for label, _ in shuffled]),
    )


def text_data(folder: Path, name: str, n_features: int, *, valued: bool) -> tuple[Data, Wire]:
    """A set of texts, its words hashed."""
    file, labels = SETS[name]
    spec = FeatureSpec.text(labels=labels, n_features=n_features, valued=valued)
    rows = [
        decode_payload(row.sample, spec.wire)[0]
        for row in featurize(read_rows(folder / name / file), spec)
        if isinstance(row, FeaturizedRow)
    ]
    return make_data(rows, spec.wire), spec.wire


def dense_data(name: str) -> tuple[Data, Wire]:
    """A set that comes with scikit-learn, every column scaled to whole numbers from -127 to 127."""
    table, labels = {"digits": load_digits, "breast_cancer": load_breast_cancer}[name](return_X_y=True)
    low, high = table.min(axis=0), table.max(axis=0)
    whole = np.rint((table - low) * 254 / np.maximum(high - low, 1e-9) - 127).astype(int)
    wire = Wire(whole.shape[1], whole.shape[1], int(labels.max()) + 1, valued=True)
    rows = []
    for row, label in zip(whole, labels.tolist(), strict=True):
        present = np.flatnonzero(row)
        rows.append((label, Vector(tuple(present.tolist()), tuple(row[present].tolist()))))
    return make_data(rows, wire), wire


def params_of(model_type: str, wire: Wire, **options: Any) -> ModelParams:
    """The parameters of a model that reads samples in this way."""
    return ModelParams(
        model_type,
        wire.n_features,
        wire.max_features,
        valued=wire.valued,
        classes=wire.classes,
        weight_bits=32,
        **options,
    )


def check_bayes(data: Data, params: ModelParams, estimator: Any) -> None:
    """Our accuracy is within 0.5 % of scikit-learn's, which is fitted on the features seen in training."""
    seen = np.unique(data.matrix[: data.cut].indices)
    estimator.fit(data.matrix[: data.cut, seen], data.labels[: data.cut])
    rest = data.labels[data.cut :]
    theirs = estimator.predict(data.matrix[data.cut :, seen])
    ours = data.predicted(params)
    accuracy, reference = float((ours == rest).mean()), float((theirs == rest).mean())
    assert accuracy == pytest.approx(reference, abs=0.005)
    assert reference > 2 * np.bincount(rest).max() / rest.size / params.classes


@pytest.mark.parametrize("alpha", [1.0, 0.125])
@pytest.mark.parametrize("name", SETS)
def test_multinomial_naive_bayes_is_as_accurate_as_scikit_learns(
    name: str, alpha: float, shared_data: Path
) -> None:
    """Counts of hashed words, 2^14 of them, with the same smoothing over the features seen."""
    data, wire = text_data(shared_data, name, 2**14, valued=True)
    params = params_of("naive-bayes", wire, smoothing=int(alpha * 256))
    check_bayes(data, params, MultinomialNB(alpha=alpha))


@pytest.mark.parametrize("name", SETS)
def test_bernoulli_naive_bayes_is_as_accurate_as_scikit_learns(name: str, shared_data: Path) -> None:
    """Presence of hashed words, as many as the contract takes, with the same smoothing over those seen."""
    classes = len(SETS[name][1])
    n_features = MAX_BERNOULLI_LANES // (1 << (classes - 1).bit_length())
    data, wire = text_data(shared_data, name, n_features, valued=False)
    params = params_of("naive-bayes", wire, smoothing=256, bernoulli=True)
    check_bayes(data, params, BernoulliNB(alpha=1))


def check_centroids(data: Data, params: ModelParams) -> None:
    """We predict what scikit-learn does, but where two distances are the same to the precision of floats."""
    matrix = data.matrix.toarray()
    estimator = NearestCentroid().fit(matrix[: data.cut], data.labels[: data.cut])
    theirs = estimator.predict(matrix[data.cut :])
    ours = data.predicted(params)
    rest = data.labels[data.cut :]
    for at in np.flatnonzero(ours != theirs).tolist():
        distances = [
            squared_distance(data, matrix[data.cut + at], label) for label in (int(ours[at]), int(theirs[at]))
        ]
        assert distances[0] <= distances[1] <= distances[0] * (1 + Fraction(1, 10**12))
    assert (ours == rest).mean() > 2 * np.bincount(rest).max() / rest.size / params.classes


def squared_distance(data: Data, row: NDArray[np.int64], label: int) -> Fraction:
    """The exact squared distance of a row to the centroid of a class."""
    own = data.matrix[: data.cut][data.labels[: data.cut] == label]
    sums = np.asarray(own.sum(axis=0)).ravel().tolist()
    return sum(
        (
            (value - Fraction(total, own.shape[0])) ** 2
            for value, total in zip(row.tolist(), sums, strict=True)
        ),
        Fraction(0),
    )


# Features that are the same in a whole class, as some pixels are, matter only to its shrinking, which is off.
@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_:UserWarning")
@pytest.mark.parametrize("name", ["sms_spam", "ag_news", "trec_en", "digits", "breast_cancer"])
def test_nearest_centroid_predicts_what_scikit_learns_does(name: str, shared_data: Path) -> None:
    """Texts, sparse and counted, and tables, dense and with values of either sign."""
    if name in SETS:
        data, wire = text_data(shared_data, name, 1024, valued=True)
    else:
        data, wire = dense_data(name)
    check_centroids(data, params_of("nearest-centroid", wire))
