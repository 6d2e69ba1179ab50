"""What a sample still says of its row: vocabularies and vectors are read back, hashes as far as they tell.

A hash cannot be undone. But the features of a column with bins, of a boolean column and of most parts of
dates are few, so all of them can be hashed and looked up. Another feature can have the same index by chance;
where two of these few have it, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dcai_cli.domain import Vector
from dcai_cli.features.columns import BOOLEAN, DATE, NUMERIC, Column
from dcai_cli.features.hashing import feature_index
from dcai_cli.features.numbers import parse_number

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec

Cell = str | list[str] | list[float] | None
Recover = Callable[[Vector], Cell]

WORDS, NUMBERS, VALUE = "words", "numbers", "value"
"""What a recovered cell is: a list of texts, a list of numbers, or one text."""

_PARTS = {
    "quarter": range(1, 5),
    "month": range(1, 13),
    "day": range(1, 32),
    "weekday": range(1, 8),
    "hour": range(24),
    "minute": range(60),
}
"""The values of the parts of dates; years have no end."""


def recoverable(spec: FeatureSpec) -> dict[str, tuple[str, Recover]]:
    """The columns that samples of a model still tell something of.

    Args:
        spec: the model's feature spec.

    Returns:
        By the column's name, what its cells are, and a function from a sample's vector to its cell; None
        where the sample does not tell.

    >>> from dcai_cli.features.spec import FeatureSpec
    >>> found = recoverable(FeatureSpec.text(labels=["ham", "spam"], vocabulary=["free", "prize"]))
    >>> [(name, kind, cell(Vector((1,), (1,)))) for name, (kind, cell) in found.items()]
    [('words', 'words', ['prize'])]
    """
    if spec.kind == "text":
        return {"words": (WORDS, _words(spec))} if spec.vocabulary else {}
    if spec.kind == "dense":
        return {"vector": (NUMBERS, _numbers(spec))}
    candidates = {name: values for column in spec.columns for name, values in _features(column).items()}
    places: dict[int, int] = {}
    for values in candidates.values():
        for feature in values:
            index = feature_index(feature, spec.n_features)
            places[index] = places.get(index, 0) + 1
    found: dict[str, tuple[str, Recover]] = {}
    for name, values in candidates.items():
        by_index = {
            index: value
            for feature, value in values.items()
            if places[index := feature_index(feature, spec.n_features)] == 1
        }
        found[f"column.{name}"] = (VALUE, _value(by_index))
    return found


def _words(spec: FeatureSpec) -> Recover:
    return lambda vector: [spec.vocabulary[index] for index in vector.indices]


def _numbers(spec: FeatureSpec) -> Recover:
    scale, length = parse_number(spec.scale), spec.length

    def numbers(vector: Vector) -> list[float]:
        cells = [0.0] * length
        for index, value in zip(vector.indices, vector.values, strict=True):
            if index < length:  # the constant stands behind them
                cells[index] = value / scale
        return cells

    return numbers


def _value(by_index: dict[int, str]) -> Recover:
    def value(vector: Vector) -> str | None:
        found = [by_index[index] for index in vector.indices if index in by_index]
        return found[0] if len(found) == 1 else None

    return value


def _features(column: Column) -> dict[str, dict[str, str]]:
    """The features of a column that are few: for each new column, feature to what it means."""
    name = column.name
    if column.type == NUMERIC and column.bins:
        edges = ("-inf", *column.bins, "inf")
        return {name: {f"{name}={at}": f"{edges[at]} to {edges[at + 1]}" for at in range(len(edges) - 1)}}
    if column.type == BOOLEAN:
        return {name: {f"{name}={value}": value for value in ("true", "false")}}
    if column.type == DATE:
        return {
            f"{name}.{part}": {f"{name}={part}:{value}": str(value) for value in _PARTS[part]}
            for part in column.parts
            if part in _PARTS
        }
    return {}
