"""Rounding of vectors: exactly what fractions say, whatever the numbers are."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dcai_cli.domain import Row
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.payload import decode_payload, sample_units
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.vectors import learn_scale, parse_vector, quantize

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALES = st.floats(min_value=5e-324, allow_infinity=False)
NEAR = st.builds(lambda whole, parts: (whole + 0.5) / parts, st.integers(-130, 130), st.integers(1, 999))
"""Numbers that by a scale of `parts` are ties, or nearly so."""


def exact(number: float, scale: float) -> int:
    """The rule of docs/feature-spec.md in fractions: the product as a double, rounded half to even, cut."""
    try:
        product = float(Fraction(number) * Fraction(scale))
    except OverflowError:
        return 127 if number > 0 else -127
    return max(-127, min(127, round(Fraction(product))))


@settings(max_examples=500)
@given(st.lists(NUMBERS | NEAR, min_size=1, max_size=8), SCALES | st.integers(1, 999).map(float))
@example([0.35, 0.45, 1.7976931348623157e308], 10.0)
def test_numbers_are_rounded_as_fractions_are(numbers: list[float], scale: float) -> None:
    """Every double by every scale gives the whole number that exact arithmetic gives."""
    expected = [exact(number, scale) for number in numbers]
    assert quantize(np.array(numbers), scale).tolist() == expected


@given(
    hnp.arrays(st.sampled_from(["f2", "f4", "f8"]), 5, elements={"allow_nan": False, "allow_infinity": False})
)
def test_json_brings_every_number_back(vector: np.ndarray[tuple[int], np.dtype[np.floating]]) -> None:
    """A vector that was written as JSON, as cells write lists, is read as the same doubles."""
    assert parse_vector(json.dumps(vector.tolist())).tobytes() == vector.astype(np.float64).tobytes()


@given(st.lists(st.integers(-127, 127), min_size=2, max_size=300).filter(any), st.integers(1, 300))
def test_samples_come_back_as_the_numbers_that_are_not_zero(values: list[int], most: int) -> None:
    """A sample holds the largest numbers at their places, and its units are those of the wire's rule."""
    most = min(most, len(values))
    spec = FeatureSpec.dense(labels=["a", "b"], length=len(values), scale="0.5", max_features=most)
    (row,) = featurize([Row(1, {"label": "b"}, np.array(values) * 2.0)], spec)
    assert isinstance(row, FeaturizedRow)
    ((label, vector),) = decode_payload(row.sample, spec.wire)
    places = sorted((at for at, value in enumerate(values) if value), key=lambda at: (-abs(values[at]), at))
    kept = sorted(places[:most])
    assert (label, vector.indices) == (1, tuple(kept))
    assert vector.values == tuple(values[at] for at in kept)
    assert (row.units, row.cut) == (sample_units(vector, spec.wire), len(places) > most)


@given(st.lists(NUMBERS, min_size=1, max_size=50).filter(any))
def test_a_learned_scale_can_be_published(numbers: list[float]) -> None:
    """Whatever a scale was learned from, a spec takes it."""
    scale = learn_scale([np.array(numbers)])
    assert FeatureSpec.dense(labels=["a", "b"], length=2, scale=scale).scale == scale
