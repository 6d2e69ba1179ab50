"""What rounding costs: models on vectors as they are sent, beside scikit-learn's on the floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Perceptron
from sklearn.neighbors import NearestCentroid

from dcai_cli.features.payload import Sample
from dcai_cli.features.readers import read_rows
from dcai_cli.features.sentences import SentenceEncoder
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.vectors import learn_scale, make_samples
from dcai_cli.models import make_replica
from dcai_cli.services.limits import model_params
from tests.golden.sentence_model import make_model

DIMENSION = 128
ORDERS = 20
BATCH = 100
MOST_POINTS = 0.5
LABELS = ("ham", "spam")


@pytest.fixture(scope="module")
def embedded(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The messages of sms_spam as vectors of a small sentence-embedding model, and their labels."""
    rows = read_rows(shared_data / "sms_spam" / "data.csv")
    texts = [row.cells["text"] for row in rows]
    encoder = SentenceEncoder(make_model(tmp_path_factory.mktemp("net"), texts, dimension=DIMENSION))
    labels = np.array([LABELS.index(row.cells["label"]) for row in rows])
    return encoder.encode(texts).astype(np.float64), labels


@pytest.mark.parametrize(
    ("model_type", "reference"),
    [
        ("nearest-centroid", NearestCentroid()),
        ("perceptron", Perceptron(max_iter=1, tol=None, shuffle=False)),
    ],
)
def test_rounding_to_int8_costs_less_than_half_a_point(
    embedded: tuple[NDArray[np.float64], NDArray[np.int64]], model_type: str, reference: Any
) -> None:
    """The mean accuracy over some orders is within 0.5 points of that of the same model on floats."""
    vectors, labels = embedded
    constant = 127 if model_type == "perceptron" else 0
    scale = learn_scale(list(vectors))
    spec = FeatureSpec.dense(labels=LABELS, length=DIMENSION, scale=scale, constant=constant)
    params = model_params(spec, model_type=model_type, margin=0)
    cut = len(labels) * 4 // 5
    found, expected = [], []
    for seed in range(ORDERS):
        order = np.random.default_rng(seed).permutation(len(labels))
        x, y = vectors[order], labels[order]
        samples = [
            sample.data for sample in make_samples(spec, list(x), y.tolist()) if isinstance(sample, Sample)
        ]
        assert len(samples) == len(y)
        replica = make_replica(params)
        for first in range(0, cut, BATCH):
            replica.train(b"".join(samples[first : min(first + BATCH, cut)]))
        found.append((replica.predict(b"".join(samples[cut:])) == y[cut:]).mean())
        expected.append((reference.fit(x[:cut], y[:cut]).predict(x[cut:]) == y[cut:]).mean())
    assert np.mean(found) > 0.94
    assert abs(np.mean(found) - np.mean(expected)) * 100 < MOST_POINTS
