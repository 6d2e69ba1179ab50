"""Weights that were made elsewhere, as storage words for a model that is not sealed yet."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import WORD_LANES
from dcai_cli.errors import BadInput
from dcai_cli.models.perceptron import WEIGHT_LIMIT, pack_words

_HINT = "Save it with numpy.savez(path, weights=integers, bias=integer)."


def words_from_arrays(weights: NDArray[Any], bias: int) -> list[int]:
    """Pack integer weights and a bias into storage words.

    Args:
        weights: integers, shape (n_features,), from -32767 to 32767.
        bias: an integer in the same range.

    Returns:
        ceil(n_features / 16) words of weights, and one word with the bias.

    Raises:
        BadInput: another shape, type or range.

    >>> [hex(word)[:10] for word in words_from_arrays(np.array([1, -1]), 3)]
    ['0x1ffff000', '0x30000000']
    """
    weights = np.asarray(weights)
    if weights.ndim != 1 or weights.size == 0:
        raise BadInput(f"The weights have the shape {weights.shape}; it must be (n_features,).", hint=_HINT)
    if not np.issubdtype(weights.dtype, np.integer):
        raise BadInput(f"The weights are of type {weights.dtype}; they must be integers.", hint=_HINT)
    low, high = min(int(weights.min()), bias), max(int(weights.max()), bias)
    if low < -WEIGHT_LIMIT or high > WEIGHT_LIMIT:
        value = low if low < -WEIGHT_LIMIT else high
        raise BadInput(f"A weight or the bias is {value}; they must be -{WEIGHT_LIMIT} to {WEIGHT_LIMIT}.")
    lanes = np.zeros((-(-weights.size // WORD_LANES) + 1) * WORD_LANES, dtype=">i2")
    lanes[: weights.size] = weights
    lanes[-WORD_LANES] = bias
    return pack_words(lanes.tobytes())


def read_weights(path: Path, n_features: int) -> list[int]:
    """Read storage words from an .npz file with `weights` and `bias`.

    Args:
        path: the file; pickled contents are refused.
        n_features: how many weights the model has.

    Raises:
        BadInput: the file cannot be read, or does not hold a model of this size.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            weights, bias = np.asarray(arrays["weights"]), np.asarray(arrays["bias"])
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", hint=_HINT) from error
    except KeyError as error:
        raise BadInput(f"{path} needs two arrays, weights and bias: {error.args[0]}.", hint=_HINT) from error
    except (ValueError, TypeError, AttributeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is not an .npz file of integers: {error}.", hint=_HINT) from error
    if weights.shape != (n_features,):
        raise BadInput(
            f"{path} has weights of shape {weights.shape}; this model needs ({n_features},).", hint=_HINT
        )
    if bias.size != 1 or not np.issubdtype(bias.dtype, np.integer):
        raise BadInput(
            f"{path} has a bias of shape {bias.shape} and type {bias.dtype}; it must be one integer."
        )
    return words_from_arrays(weights, int(bias.reshape(-1)[0]))
