"""Vectors to samples, many at once: numbers to whole numbers by the scale of the spec, and these to bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import is_blank
from dcai_cli.features.encoders import LoadedEncoder
from dcai_cli.features.hashing import MAX_VALUE
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.numbers import parse_number
from dcai_cli.features.payload import Sample
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text_arrays import rows_to_samples

LEARN_NUMBERS = 2**22
"""So many numbers are enough to learn a scale from."""
LEARN_CHUNK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Unusable:
    """A vector that gives no sample.

    Args:
        reason: why, a phrase for people.
        fault: whether there is nothing, or something that cannot be used.
    """

    reason: str
    fault: Literal["empty", "no-sample"] = "no-sample"


def quantize(vectors: NDArray[np.float64], scale: float) -> NDArray[np.int8]:
    """Round numbers to what travels on the wire: docs/feature-spec.md, "Vectors".

    A number is multiplied by the scale, as IEEE 754 doubles are; the product is rounded to the nearest whole
    number, of two equally near ones to the even one, and cut to -127..127.

    Args:
        vectors: finite doubles, of any shape.
        scale: what they are multiplied by.

    >>> quantize(np.array([0.1, -0.125, 0.375, 9.0, 0.01]), 20.0).tolist()
    [2, -2, 8, 127, 0]
    """
    with np.errstate(over="ignore", under="ignore"):  # what is too large is cut anyway
        scaled = vectors * np.float64(scale)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -MAX_VALUE, MAX_VALUE, out=scaled)
    return scaled.astype(np.int8)


def parse_vector(cell: str) -> NDArray[np.float64]:
    """Read a vector that is written as a JSON array of numbers.

    Raises:
        ValueError: it is none; the message says why.

    >>> parse_vector("[1, -2.5e-1]").tolist()
    [1.0, -0.25]
    """
    if cell.count("[") > 1 or "{" in cell:  # what is nested deeply could exhaust the stack
        raise ValueError("the vector is no list of numbers")
    try:
        numbers = json.loads(cell, parse_int=_parse_integer, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"the vector is not JSON: {error}") from None
    except OverflowError:
        raise ValueError("a number of the vector is out of range") from None
    if not isinstance(numbers, list) or not set(map(type, numbers)) <= {float}:
        raise ValueError("the vector is no list of numbers")
    return np.array(numbers, dtype=np.float64)


def _parse_integer(text: str) -> float:
    """The nearest double; how many digits an int of Python may have is a setting of each machine."""
    number = float(text)
    if math.isinf(number):
        raise OverflowError
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def make_samples(
    spec: FeatureSpec, vectors: Sequence[NDArray[np.float64] | str | Unusable], labels: Sequence[int]
) -> list[Sample | Unusable]:
    """Turn vectors into samples.

    Args:
        spec: the spec of a dense model.
        vectors: the numbers of each row, or the cell that holds them as JSON, or why it has none.
        labels: the class of each.

    Returns:
        For each vector its sample, or why it has none.

    >>> spec = FeatureSpec.dense(labels=["a", "b"], length=2, scale="100")
    >>> [sample] = make_samples(spec, ["[0.5, 0]"], [1])
    >>> sample.data.hex()
    '010001000032'
    """
    results: list[Sample | Unusable | None] = [None] * len(vectors)
    good: list[NDArray[np.float64]] = []
    places: list[int] = []
    for place, given in enumerate(vectors):
        vector = _vector(given, spec.length)
        if isinstance(vector, Unusable):
            results[place] = vector
        else:
            good.append(vector)
            places.append(place)
    matrix = np.stack(good) if good else np.zeros((0, spec.length))
    finite = np.isfinite(matrix)
    for at in np.flatnonzero(~finite.all(axis=1)).tolist():
        first = int(np.flatnonzero(~finite[at])[0])
        results[places[at]] = Unusable(f"number {first + 1} of the vector is {float(matrix[at, first])}")
        matrix[at] = 0
    values = quantize(matrix, parse_number(spec.scale)).astype(np.int32)
    if spec.constant:
        # Beside zeros alone it would say nothing.
        constant = values.any(axis=1, keepdims=True) * np.int32(spec.constant)
        values = np.concatenate((values, constant), axis=1, dtype=np.int32)
    count = len(good)
    sparse = SparseRows(
        np.arange(count + 1, dtype=np.int64) * spec.n_features,
        np.tile(np.arange(spec.n_features, dtype=np.int32), count),
        values.reshape(-1),
    )
    made = rows_to_samples(sparse, [labels[place] for place in places], spec)
    for place, sample in zip(places, made, strict=True):
        results[place] = results[place] or sample or Unusable("no features: every number of it rounds to 0")
    return [result for result in results if result is not None]


def _vector(
    given: NDArray[np.float64] | str | Unusable, length: int | None
) -> NDArray[np.float64] | Unusable:
    """The numbers of a row, as many as the model takes, if that is known."""
    if isinstance(given, Unusable):
        return given
    if isinstance(given, str):
        if is_blank(given):
            return Unusable("the vector is empty", "empty")
        try:
            given = parse_vector(given)
        except ValueError as error:
            return Unusable(str(error))
    if not len(given):
        return Unusable("the vector is empty", "empty")
    if length is not None and len(given) != length:
        return Unusable(f"the vector has {len(given)} numbers; the model takes {length}")
    return given


def encode_texts(texts: Sequence[str], encoder: LoadedEncoder) -> list[NDArray[np.float64] | Unusable]:
    """Let an encoder make vectors of texts.

    Returns:
        For each text its vector, or why it has none: it is blank, or no UTF-8 can say it.

    Raises:
        DcaiError: the encoder fails, or gives what no encoder may give.
    """
    results: list[NDArray[np.float64] | Unusable | None] = [_no_text(text) for text in texts]
    places = [place for place, result in enumerate(results) if result is None]
    if places:
        vectors = encoder.encode([texts[place] for place in places])
        for place, vector in zip(places, vectors, strict=True):
            results[place] = vector
    return [result for result in results if result is not None]


def _no_text(text: str) -> Unusable | None:
    if is_blank(text):
        return Unusable("the text is empty", "empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return Unusable(
            f"the text is not valid Unicode: half of a surrogate pair at character {error.start + 1}"
        )
    return None


def column_of_vectors(
    rows: Iterable[Row], column: str, encoder: LoadedEncoder | None = None
) -> list[NDArray[np.float64]]:
    """The first vectors of some rows, to learn from.

    Args:
        rows: the rows; those without a usable vector are left out.
        column: the column of the vectors, or of the texts for the encoder.
        encoder: makes vectors of texts.

    Returns:
        Finite vectors of one length, about LEARN_NUMBERS numbers at most.

    Raises:
        BadInput: there is no such column, there are no vectors, or they differ in length.
        DcaiError: the encoder fails.
    """
    found: list[NDArray[np.float64]] = []
    reason = ""
    rest = iter(rows)
    while chunk := list(islice(rest, LEARN_CHUNK_ROWS)):
        for row, vector in zip(chunk, _given(chunk, column, encoder), strict=True):
            if isinstance(vector, Unusable) or not np.isfinite(vector).all():
                reason = vector.reason if isinstance(vector, Unusable) else "a number of it is not finite"
                continue
            if found and len(found[0]) != len(vector):
                raise BadInput(
                    f"Row {row.number} has {len(vector)} numbers in {column!r}, earlier ones have "
                    f"{len(found[0])}.",
                    hint="All vectors of a model have the same length.",
                )
            found.append(vector)
            if len(found) * len(vector) >= LEARN_NUMBERS:
                return found
    if not found:
        raise BadInput(f"No row has a vector in {column!r}: {reason}.", hint="Look at the column.")
    return found


def _given(
    rows: Sequence[Row], column: str, encoder: LoadedEncoder | None
) -> Sequence[NDArray[np.float64] | Unusable]:
    """The vectors of some rows, of whatever length."""
    if encoder is None:
        return [_vector(_cell(row, column), None) for row in rows]
    return encode_texts([str(_cell(row, column, encode=True)) for row in rows], encoder)


def _cell(row: Row, column: str, *, encode: bool = False) -> NDArray[np.float64] | str:
    if row.vector is not None and not encode:
        return row.vector
    if column not in row.cells:
        option = "--text-column" if encode else "--vector-column"
        raise BadInput(
            f"There is no column {column!r}; the columns are: {', '.join(row.cells)}.",
            hint=f"Rename the column in the file, or name another with {option}.",
        )
    return row.cells[column]


def learn_scale(vectors: Sequence[NDArray[np.float64]]) -> str:
    """The scale that brings nearly all numbers of some vectors into -127..127, with four digits.

    One of a thousand may be beyond: single large numbers would make all others coarse.

    Args:
        vectors: finite doubles.

    Raises:
        BadInput: there are none but zeros.

    >>> learn_scale([np.array([0.5, -0.25]), np.array([0.125, 0.0])])
    '254'
    """
    sizes = np.abs(np.concatenate(vectors)) if vectors else np.zeros(1)
    place = -(-len(sizes) * 999 // 1000) - 1
    large = float(np.partition(sizes, place)[place]) or float(sizes.max())
    if not large:
        raise BadInput("There is no number but 0 in the vectors.", hint="Give a scale with --scale.")
    return f"{MAX_VALUE / large:.4g}" if MAX_VALUE / large < 1e300 else "1e+300"
