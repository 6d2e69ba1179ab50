"""Models that were made elsewhere, as storage words for a model that is not sealed yet.

They come as integer arrays, by name; an .npz file of them (numpy.savez; nothing pickled) is the form on disk:

====================== ============================================================================
perceptron             `weights` (features,), `bias` ()
multiclass-perceptron  `weights` (classes, features), `bias` (classes,)
naive-bayes            `counts` (classes, features), `samples` (classes,)
nearest-centroid       `sums` (classes, features), `samples` (classes,)
====================== ============================================================================

What else a model stores follows from these: the totals of naive Bayes are the sums of its counts, and so on.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
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
    make_replica(params, words)  # takes only what the contract takes
    return words


def read_weights(path: Path, params: ModelParams | int) -> list[int]:
    """Read storage words from an .npz file with the arrays of this type of model.

    Args:
        path: the file; pickled contents are refused.
        params: the shape of the model; or, for the perceptron, how many weights it has.

    Raises:
        BadInput: the file cannot be read, or does not hold a model of this shape.
    """
    if isinstance(params, int):
        params = ModelParams(PERCEPTRON, params, min(params, 65_535))
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
