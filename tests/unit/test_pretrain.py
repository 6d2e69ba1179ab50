"""Models made elsewhere: arrays, files and estimators of scikit-learn become words that predict the same."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model import Perceptron as LinearPerceptron
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neighbors import NearestCentroid

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models import make_replica
from dcai_cli.models.pretrain import (
    arrays_from_estimator,
    read_weights,
    words_from_arrays,
    words_from_estimator,
    words_from_samples,
)

PIXELS = 64
PAGE = Path(__file__).parents[2] / "docs" / "pretraining.md"
MULTICLASS = ModelParams("multiclass-perceptron", PIXELS, PIXELS, valued=True, classes=10)
BINARY = ModelParams("perceptron", PIXELS, PIXELS, valued=True)
BAYES = ModelParams("naive-bayes", PIXELS, PIXELS, valued=True, classes=10, weight_bits=32, smoothing=256)
BERNOULLI = replace(BAYES, bernoulli=True, valued=False)
CENTROID = ModelParams("nearest-centroid", PIXELS, PIXELS, valued=True, classes=10, weight_bits=32)


def encode(rows: NDArray[Any], labels: NDArray[Any], *, valued: bool = True) -> list[bytes]:
    """Rows of integers as samples."""
    samples = []
    for row, label in zip(rows.astype(int).tolist(), labels.tolist(), strict=True):
        present = [(index, value) for index, value in enumerate(row) if value]
        body = b"".join(
            index.to_bytes(2, "big") + (value.to_bytes(1, "big", signed=True) if valued else b"")
            for index, value in present
        )
        samples.append(bytes([label]) + len(present).to_bytes(2, "big") + body)
    return samples


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """1,797 pictures of 64 pixels from 0 to 16, and what digit they show."""
    rows, labels = load_digits(return_X_y=True)
    return rows.astype(np.int64), labels.astype(np.int64)


Digits = tuple[NDArray[np.int64], NDArray[np.int64]]


def agreement(words: list[int], params: ModelParams, digits: Digits, expected: NDArray[Any]) -> float:
    """How much of all pictures a model predicts as expected."""
    payload = b"".join(encode(*digits, valued=params.valued))
    if params.model_type == "perceptron":
        payload = b"".join(encode(digits[0], digits[1] > 4))
    return float((make_replica(params, words).predict(payload) == expected).mean())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("make", [LogisticRegression, SGDClassifier, LinearPerceptron])
def test_a_linear_classifier_of_two_classes_is_taken_over(make: Any, bits: int, digits: Digits) -> None:
    """Rounded to 127 steps, at least 99 % of predictions stay; the greatest weight is 127."""
    options = {"C": 1e-3, "max_iter": 5000} if make is LogisticRegression else {}
    estimator = make(random_state=0, **options).fit(digits[0], (digits[1] > 4).astype(int))
    params = replace(BINARY, weight_bits=bits)
    words = words_from_estimator(estimator, params)
    assert agreement(words, params, digits, estimator.predict(digits[0])) >= 0.99
    if make is LogisticRegression:
        arrays = arrays_from_estimator(estimator, params)
        assert np.abs(arrays["weights"]).max() == 127


def test_a_linear_classifier_of_ten_classes_is_taken_over(digits: Digits) -> None:
    """At least 98 % of predictions stay with weights up to 127, all but a few in a thousand with more."""
    estimator = LogisticRegression(C=1e-4, tol=1e-3).fit(digits[0][:500], digits[1][:500])
    expected = estimator.predict(digits[0])
    assert agreement(words_from_estimator(estimator, MULTICLASS), MULTICLASS, digits, expected) >= 0.98
    finer = words_from_estimator(estimator, MULTICLASS, largest_weight=30_000)
    assert agreement(finer, MULTICLASS, digits, expected) >= 0.998


def test_whole_weights_are_taken_as_they_are(digits: Digits) -> None:
    """A perceptron fitted on integers has integer weights: no prediction changes."""
    estimator = LinearPerceptron(random_state=0).fit(digits[0], (digits[1] > 4).astype(int))
    arrays = arrays_from_estimator(estimator, BINARY)
    assert (arrays["weights"] == estimator.coef_[0]).all()
    assert np.abs(arrays["weights"]).max() > 127
    words = words_from_estimator(estimator, BINARY)
    assert agreement(words, BINARY, digits, estimator.predict(digits[0])) == 1


def test_naive_bayes_is_taken_over_as_if_trained_here(digits: Digits) -> None:
    """The words of a fitted estimator are those of a model trained on the same samples."""
    for estimator, params in ((MultinomialNB(), BAYES), (BernoulliNB(), BERNOULLI)):
        words = words_from_estimator(estimator.fit(*digits), params)
        assert words == words_from_samples(encode(*digits, valued=params.valued), params)


def test_nearest_centroid_is_taken_over(digits: Digits) -> None:
    """With the numbers of samples, the words are those of training; without, nearly all predictions stay."""
    with pytest.warns(UserWarning, match="zero standard deviation"):  # some pixels are never used
        estimator = NearestCentroid().fit(*digits)
    samples = np.bincount(digits[1]).tolist()
    exact = words_from_estimator(estimator, CENTROID, samples=samples)
    assert exact == words_from_samples(encode(*digits), CENTROID)
    alone = words_from_estimator(estimator, CENTROID)
    assert agreement(alone, CENTROID, digits, estimator.predict(digits[0])) >= 0.995


@pytest.mark.parametrize(
    "params", [MULTICLASS, BINARY, BAYES, CENTROID], ids=lambda params: params.model_type
)
def test_a_file_holds_what_the_estimator_held(params: ModelParams, digits: Digits, tmp_path: Path) -> None:
    """Arrays saved by numpy.savez come back as the same words."""
    labels = digits[1] > 4 if params is BINARY else digits[1]
    estimator = {
        "naive-bayes": MultinomialNB(),
        "nearest-centroid": NearestCentroid(),
    }.get(params.model_type, SGDClassifier(random_state=0))
    rows = digits[0] + (np.arange(PIXELS) == np.arange(len(digits[0]))[:, None] % PIXELS)
    estimator.fit(rows, labels.astype(int))
    arrays: dict[str, Any] = dict(arrays_from_estimator(estimator, params))
    np.savez(tmp_path / "model.npz", **arrays)
    assert read_weights(tmp_path / "model.npz", params) == words_from_estimator(estimator, params)


@pytest.mark.parametrize(
    ("params", "estimator", "problem"),
    [
        (BAYES, MultinomialNB(alpha=0.5), "alpha is 0.5"),
        (BAYES, MultinomialNB(fit_prior=False), "prior of its own"),
        (BAYES, MultinomialNB(class_prior=[0.1] * 10), "prior of its own"),
        (BAYES, ComplementNB(), "ComplementNB does not fit"),
        (BAYES, BernoulliNB(), "takes a MultinomialNB"),
        (BERNOULLI, MultinomialNB(), "takes a BernoulliNB"),
        (CENTROID, MultinomialNB(), "takes a NearestCentroid"),
        (MULTICLASS, MultinomialNB(), "has no weights"),
        (replace(MULTICLASS, n_features=65), SGDClassifier(), r"needs \(10, 65\)"),
        (replace(MULTICLASS, classes=9), SGDClassifier(), "not the labels 0 to 8"),
    ],
)
def test_estimators_of_another_kind_are_refused(
    params: ModelParams, estimator: Any, problem: str, digits: Digits
) -> None:
    """An estimator whose predictions the contract would not repeat is refused with the reason."""
    with pytest.raises(BadInput, match=problem):
        words_from_estimator(estimator.fit(*digits), params)


def test_what_was_not_fitted_on_labels_or_whole_counts_is_refused(digits: Digits) -> None:
    """Estimators that are not fitted, know labels by name, or counted fractions are refused."""
    with pytest.raises(BadInput, match="is not fitted"):
        words_from_estimator(MultinomialNB(), BAYES)
    with pytest.raises(BadInput, match="not the labels"):
        words_from_estimator(MultinomialNB().fit(digits[0], digits[1].astype(str)), BAYES)
    with pytest.raises(BadInput, match="counted fractions"):
        words_from_estimator(MultinomialNB().fit(digits[0] / 16, digits[1]), BAYES)
    broken = SGDClassifier().fit(*digits)
    broken.coef_[3, 3] = np.nan
    with pytest.raises(BadInput, match="not finite"):
        words_from_estimator(broken, MULTICLASS)


def test_centroids_by_another_measure_are_refused(digits: Digits) -> None:
    """Manhattan distances, priors, and numbers of samples for other classes are refused."""
    rows = digits[0] + (np.arange(PIXELS) == np.arange(len(digits[0]))[:, None] % PIXELS)
    with pytest.raises(BadInput, match="euclidean"):
        words_from_estimator(NearestCentroid(metric="manhattan").fit(rows, digits[1]), CENTROID)
    with pytest.raises(BadInput, match="uniform priors"):
        words_from_estimator(NearestCentroid(priors="empirical").fit(rows, digits[1]), CENTROID)
    with pytest.raises(BadInput, match="9 numbers of samples for 10 classes"):
        words_from_estimator(NearestCentroid().fit(rows, digits[1]), CENTROID, samples=[7] * 9)


@pytest.mark.parametrize(
    ("params", "arrays", "problem"),
    [
        (MULTICLASS, {"weights": np.zeros((64, 10), int)}, r"shape \(64, 10\); this model needs \(10, 64\)"),
        (MULTICLASS, {"bias": np.zeros(9, int)}, r"bias has shape \(9,\)"),
        (MULTICLASS, {"weights": np.full((10, 64), -32_768)}, "weights has -32768"),
        (BAYES, {"counts": np.full((10, 64), -1)}, "counts has -1; it must be 0 to 1073741824"),
        (BAYES, {"counts": np.full((10, 64), 2**30 + 1)}, "counts has 1073741825"),
        (BAYES, {"samples": np.full(10, 2**23)}, "samples has 8388608"),
        (BAYES, {"samples": np.ones(10)}, "samples is of type float64"),
        (CENTROID, {"sums": np.full((10, 64), -(2**30) - 1)}, "sums has -1073741825"),
        (CENTROID, {"sums": None}, "There is no array sums"),
    ],
)
def test_arrays_that_no_model_has_are_refused(
    params: ModelParams, arrays: dict[str, Any], problem: str
) -> None:
    """Arrays of another shape, type or range are refused by their name, with the value."""
    whole = {
        "multiclass-perceptron": {"weights": np.zeros((10, 64), int), "bias": np.zeros(10, int)},
        "naive-bayes": {"counts": np.zeros((10, 64), int), "samples": np.zeros(10, int)},
        "nearest-centroid": {"sums": np.zeros((10, 64), int), "samples": np.zeros(10, int)},
    }[params.model_type]
    given = {name: array for name, array in {**whole, **arrays}.items() if array is not None}
    with pytest.raises(BadInput, match=problem):
        words_from_arrays(given, params)


@pytest.mark.parametrize(
    "params", [MULTICLASS, BINARY, BAYES, CENTROID], ids=lambda params: params.model_type
)
def test_arrays_at_the_limits_are_taken(params: ModelParams) -> None:
    """The greatest numbers that can be written make a model, which keeps them through training."""
    if params.model_type in {"naive-bayes", "nearest-centroid"}:
        main = "counts" if params.model_type == "naive-bayes" else "sums"
        arrays = {main: np.full((10, 64), 2**30), "samples": np.full(10, 2**23 - 1)}
    else:
        shape = (64,) if params is BINARY else (10, 64)
        arrays = {"weights": np.full(shape, -32_767), "bias": np.full(shape[:-1], 32_767)}
    words = words_from_arrays(arrays, params)
    model = make_replica(params, words)
    model.train(bytes.fromhex("010001000101"))
    assert len(model.words()) == params.total_words


def test_no_samples_make_no_model() -> None:
    """Training needs at least one sample."""
    with pytest.raises(BadInput, match="no samples"):
        words_from_samples([], BAYES)


def test_the_examples_of_the_page_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of docs/pretraining.md gives what stands below it."""
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert (results.failed, results.attempted) == (0, 20)
