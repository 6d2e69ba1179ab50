"""Models that were made elsewhere, as storage words for a model that is not sealed yet.

They come as integer arrays, by name; an .npz file of them (numpy.savez; nothing pickled) is the form on disk:

====================== ============================================================================
perceptron             `weights` (features,), `bias` ()
multiclass-perceptron  `weights` (classes, features), `bias` (classes,)
naive-bayes            `counts` (classes, features), `samples` (classes,)
nearest-centroid       `sums` (classes, features), `samples` (classes,)
====================== ============================================================================

What else a model stores follows from these: the totals of naive Bayes are the sums of its counts, and so on.

Estimators of scikit-learn become such arrays, too. They must have been fitted on the integers that the
samples of the model hold, with the numbers of the labels as classes.

- *Linear ones* (coef_, intercept_) have real weights. Only their ratios matter to predictions, so they
  are scaled until the greatest is `largest_weight`, and rounded; whole numbers that fit are taken as they
  are. The default, 127, fits both widths of weights, and is about what one pass over some ten thousand
  texts makes of weights by itself: contributions, which move a weight by 1, still count. A greater one
  rounds less, and makes a model that learns more slowly.
- *Naive Bayes* (feature_count_, class_count_) is taken exactly. The contract smooths over the features
  seen, scikit-learn over all: both predict the same if every feature was seen.
- *Nearest centroid* has means (centroids_), but not how many samples they are of. Give the numbers as
  `samples`, and the sums are those of the samples; without, each class counts as 1,024 samples.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import NAIVE_BAYES, NEAREST_CENTROID, PERCEPTRON, ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models import make_replica
from dcai_cli.models.perceptron import BIAS_LIMIT, WEIGHT_LIMITS
from dcai_cli.models.tally import FULL_CLASS, NUMBER_LIMIT
from dcai_cli.models.words import pack_words

_LANES = {8: "i1", 16: ">i2", 32: ">u4"}


def words_from_samples(samples: Iterable[bytes], params: ModelParams) -> list[int]:
    """Train a fresh model on encoded samples, in order.

    Raises:
        BadInput: there are no samples, or one is malformed.
    """
    replica = make_replica(params)
    replica.train(b"".join(samples))
    return replica.words()


def words_from_arrays(arrays: Mapping[str, NDArray[Any]], params: ModelParams) -> list[int]:
    """Pack arrays of integers into storage words.

    Args:
        arrays: the arrays of this type of model, by name.
        params: the shape of the model.

    Returns:
        All words of the model.

    Raises:
        BadInput: an array is missing, or of another shape, type or range.

    >>> arrays = {"weights": np.array([1, -1]), "bias": np.array(3)}
    >>> [hex(word)[:10] for word in words_from_arrays(arrays, ModelParams("perceptron", 2, 2))]
    ['0x1ffff000', '0x30000000']
    """
    main, side = array_names(params)
    by_class = () if params.model_type == PERCEPTRON else (params.classes,)
    low, high, side_low, side_high = _ranges(params)
    matrix = _checked(arrays, main, (*by_class, params.n_features), low, high)
    vector = _checked(arrays, side, by_class, side_low, side_high)
    rows = np.zeros((params.body_words * params.word_lanes // params.row_lanes, params.row_lanes), np.int64)
    rows[: params.n_features, : params.classes if by_class else 1] = matrix.T.reshape(params.n_features, -1)
    # Of 32 weights of 8 bits, the second 16 stand between the first.
    lanes = rows.reshape(-1, 2, 16).swapaxes(1, 2) if params.weight_bits == 8 else rows
    body = lanes.astype(_LANES[params.weight_bits]).tobytes()
    words = pack_words(body + _header(matrix, vector, params))
    make_replica(params).write_words(0, words)  # takes only what the contract takes
    return words


def words_from_estimator(
    estimator: Any,  # noqa: ANN401 - scikit-learn has no types
    params: ModelParams,
    *,
    largest_weight: int = 127,
    samples: Sequence[int] | None = None,
) -> list[int]:
    """Take over a fitted estimator of scikit-learn.

    Args:
        estimator: a linear classifier for the perceptrons; MultinomialNB or BernoulliNB; NearestCentroid.
        params: the shape of the model.
        largest_weight: linear classifiers: the greatest weight.
        samples: nearest centroid: how many samples each class was fitted on.

    Returns:
        All words of the model.

    Raises:
        BadInput: the estimator does not fit the model.
    """
    arrays = arrays_from_estimator(estimator, params, largest_weight=largest_weight, samples=samples)
    return words_from_arrays(arrays, params)


def arrays_from_estimator(
    estimator: Any,  # noqa: ANN401 - scikit-learn has no types
    params: ModelParams,
    *,
    largest_weight: int = 127,
    samples: Sequence[int] | None = None,
) -> dict[str, NDArray[np.int64]]:
    """The arrays of a fitted estimator, to be saved by `numpy.savez(path, **arrays)`.

    The arguments and errors are those of `words_from_estimator`.
    """
    if list(getattr(estimator, "classes_", ())) != list(range(params.classes)):
        raise BadInput(
            f"The estimator is not fitted, or its classes are not the labels 0 to {params.classes - 1}.",
            hint="Fit it with the numbers of the labels, in the order of the feature spec, as y.",
        )
    if params.model_type == NAIVE_BAYES:
        return _counts(estimator, params)
    if params.model_type == NEAREST_CENTROID:
        return _sums(estimator, [1024] * params.classes if samples is None else samples)
    return _linear(estimator, params, largest_weight)


def _linear(estimator: Any, params: ModelParams, largest_weight: int) -> dict[str, NDArray[np.int64]]:  # noqa: ANN401
    if not hasattr(estimator, "coef_"):
        raise BadInput(f"A {type(estimator).__name__} has no weights.", hint="Take a linear classifier.")
    coef = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else np.asarray(estimator.coef_)
    rows = 1 if params.model_type == PERCEPTRON else params.classes
    intercept = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), (rows,))
    if coef.shape != (rows, params.n_features):
        raise BadInput(f"coef_ has shape {coef.shape}; this model needs {(rows, params.n_features)}.")
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise BadInput("A weight of the estimator is not finite.")
    limit = WEIGHT_LIMITS[params.weight_bits]
    weight, bias = float(np.abs(coef).max()), float(np.abs(intercept).max())
    whole = (coef == np.rint(coef)).all() and (intercept == np.rint(intercept)).all()
    if not (whole and weight <= limit and bias <= BIAS_LIMIT):
        greatest = min(largest_weight, limit)
        scale = min(greatest / weight if weight else math.inf, BIAS_LIMIT / bias if bias else math.inf)
        coef, intercept = coef * scale, intercept * scale
    weights, biases = np.rint(coef).astype(np.int64), np.rint(intercept).astype(np.int64)
    return {"weights": weights[0], "bias": biases[0]} if rows == 1 else {"weights": weights, "bias": biases}


def _counts(estimator: Any, params: ModelParams) -> dict[str, NDArray[np.int64]]:  # noqa: ANN401
    from sklearn.naive_bayes import BernoulliNB, MultinomialNB

    wanted = BernoulliNB if params.bernoulli else MultinomialNB
    if not isinstance(estimator, wanted):
        raise BadInput(f"A {type(estimator).__name__} does not fit this model; it takes a {wanted.__name__}.")
    if not estimator.fit_prior or estimator.class_prior is not None:
        raise BadInput("The estimator has a prior of its own; the contract takes that of the samples.")
    if np.ndim(estimator.alpha) or abs(estimator.alpha * 256 - params.smoothing) > 1 / 2:
        raise BadInput(
            f"The estimator's alpha is {estimator.alpha}, the model's smoothing {params.smoothing}/256.",
            hint="Give the model the smoothing 256 * alpha.",
        )
    counts, samples = estimator.feature_count_, estimator.class_count_
    if (counts != np.rint(counts)).any() or (samples != np.rint(samples)).any():
        raise BadInput(
            "The estimator has counted fractions, or samples with weights; counts are whole numbers."
        )
    return {"counts": counts.astype(np.int64), "samples": samples.astype(np.int64)}


def _sums(estimator: Any, samples: Sequence[int]) -> dict[str, NDArray[np.int64]]:  # noqa: ANN401
    from sklearn.neighbors import NearestCentroid

    if not isinstance(estimator, NearestCentroid):
        raise BadInput(f"A {type(estimator).__name__} does not fit this model; it takes a NearestCentroid.")
    if estimator.metric != "euclidean" or np.ptp(estimator.class_prior_) > 1e-9:
        raise BadInput("The estimator must measure euclidean distances, with uniform priors.")
    numbers = np.asarray(samples, dtype=np.int64)
    if numbers.shape != estimator.classes_.shape:
        raise BadInput(f"There are {numbers.size} numbers of samples for {len(estimator.classes_)} classes.")
    return {"sums": np.rint(estimator.centroids_ * numbers[:, None]).astype(np.int64), "samples": numbers}


def read_weights(path: Path | str, params: ModelParams) -> list[int]:
    """Read storage words from an .npz file with the arrays of this type of model.

    Args:
        path: the file; pickled contents are refused.
        params: the shape of the model.

    Raises:
        BadInput: the file cannot be read, or does not hold a model of this shape.
    """
    names = array_names(params)
    hint = _hint(params)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in names}
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", hint=hint) from error
    except KeyError as error:
        needed = " and ".join(names)
        raise BadInput(f"{path} needs two arrays, {needed}: {error.args[0]}.", hint=hint) from error
    except (ValueError, TypeError, AttributeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is not an .npz file of integers: {error}.", hint=hint) from error
    try:
        return words_from_arrays(arrays, params)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}", hint=error.hint or hint) from error


def array_names(params: ModelParams) -> tuple[str, str]:
    """The names of the two arrays of a type of model."""
    return {NAIVE_BAYES: ("counts", "samples"), NEAREST_CENTROID: ("sums", "samples")}.get(
        params.model_type, ("weights", "bias")
    )


def _hint(params: ModelParams) -> str:
    main, side = array_names(params)
    return f"Save it with numpy.savez(path, {main}=integers, {side}=integers)."


def _ranges(params: ModelParams) -> tuple[int, int, int, int]:
    """The least and greatest number of the first array, and of the second."""
    if params.model_type == NAIVE_BAYES:
        return 0, NUMBER_LIMIT, 0, FULL_CLASS
    if params.model_type == NEAREST_CENTROID:
        return -NUMBER_LIMIT, NUMBER_LIMIT, 0, FULL_CLASS
    limit = WEIGHT_LIMITS[params.weight_bits]
    return -limit, limit, -BIAS_LIMIT, BIAS_LIMIT


def _checked(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...], low: int, high: int
) -> NDArray[np.int64]:
    if name not in arrays:
        raise BadInput(f"There is no array {name}.")
    array = np.asarray(arrays[name])
    if not shape and array.size == 1:
        array = array.reshape(())
    if array.shape != shape:
        raise BadInput(f"{name} has shape {array.shape}; this model needs {shape}.")
    if not np.issubdtype(array.dtype, np.integer):
        raise BadInput(f"{name} is of type {array.dtype}; it must be integers.")
    least, most = int(array.min()), int(array.max())
    if least < low or most > high:
        raise BadInput(f"{name} has {least if least < low else most}; it must be {low} to {high}.")
    return array.astype(np.int64)


def _header(matrix: NDArray[np.int64], vector: NDArray[np.int64], params: ModelParams) -> bytes:
    """The words behind the body."""
    if params.model_type not in {NAIVE_BAYES, NEAREST_CENTROID}:
        return vector.astype(">i2").tobytes().ljust(32, b"\0")
    bayes = params.model_type == NAIVE_BAYES
    header = b""
    for samples, numbers in zip(vector.tolist(), matrix.tolist(), strict=True):
        total = sum(numbers) if bayes else sum(number * number for number in numbers)
        header += samples.to_bytes(4, "big") + total.to_bytes(12, "big")
    header = header.ljust(-(-len(header) // 32) * 32, b"\0")
    return header + int((matrix != 0).any(axis=0).sum()).to_bytes(32, "big") * bayes
