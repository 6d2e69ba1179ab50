"""The wire codec, against the vectors that the contracts must reproduce too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.domain import Vector, Wire
from dcai_cli.errors import BadInput
from dcai_cli.features.payload import decode_payload, encode_sample, sample_units, split_payload

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "payload.json").read_text())
PROBLEMS = {
    "EmptyPayload": "no samples",
    "TooManySamples": "more than 256",
    "TruncatedSample": "cut off",
    "InvalidLabel": "label",
    "InvalidFeatureCount": "indices, the model takes",
    "FeaturesNotIncreasing": "must rise",
    "FeatureOutOfRange": "out of range",
    "InvalidValue": "value",
}


def wire_of(case: dict[str, Any]) -> Wire:
    """The wire of a golden case."""
    return Wire(case["n_features"], case["max_features"], valued=case["valued"])


def samples_of(case: dict[str, Any]) -> list[tuple[int, Vector]]:
    """The samples of a golden case."""
    return [(one["label"], Vector(tuple(one["indices"]), tuple(one["values"]))) for one in case["samples"]]


@pytest.mark.parametrize("case", GOLDEN["valid"], ids=lambda case: case["name"])
def test_golden_payloads_are_written_and_read(case: dict[str, Any]) -> None:
    """Every golden payload is what the encoder writes, and reads back as its samples and units."""
    wire, payload = wire_of(case), bytes.fromhex(case["payload"][2:])
    samples = samples_of(case)
    encoded = [encode_sample(label, vector, wire) for label, vector in samples]
    assert b"".join(encoded) == payload
    assert split_payload(payload, wire) == encoded
    assert decode_payload(payload, wire) == samples
    assert [sample_units(vector, wire) for _, vector in samples] == [one["units"] for one in case["samples"]]


@pytest.mark.parametrize("case", GOLDEN["invalid"], ids=lambda case: case["name"])
def test_golden_malformed_payloads_are_refused(case: dict[str, Any]) -> None:
    """Every malformed golden payload is refused for the fault that it was made with, with an offset."""
    with pytest.raises(BadInput, match=PROBLEMS[case["error"]]) as caught:
        decode_payload(bytes.fromhex(case["payload"][2:]), wire_of(case))
    assert "malformed at byte" in caught.value.message


@pytest.mark.parametrize(
    ("label", "indices", "values", "problem"),
    [
        (2, (1,), (1,), "label 2"),
        (-1, (1,), (1,), "label -1"),
        (0, (), (), "0 indices"),
        (0, (1, 2, 3, 4), (1, 1, 1, 1), "4 indices"),
        (0, (1, 2), (1,), "2 indices and 1 values"),
        (0, (2, 2), (1, 1), "index 2 follows 2"),
        (0, (-1, 2), (1, 1), "index -1 is out of range"),
        (0, (1, 300), (1, 1), "index 300 is out of range"),
        (0, (1, 2), (1, 0), "value 0"),
        (0, (1, 2), (1, 128), "value 128"),
        (0, (1, 2), (-128, 1), "value -128"),
    ],
)
def test_samples_that_the_contract_refuses_are_not_written(
    label: int, indices: tuple[int, ...], values: tuple[int, ...], problem: str
) -> None:
    """The encoder refuses what the contract would refuse, and says which value it is."""
    with pytest.raises(BadInput, match=problem):
        encode_sample(label, Vector(indices, values), Wire(300, 3, valued=True))


def test_counts_are_not_dropped_in_silence() -> None:
    """A count of 2 is refused where the model takes no values."""
    with pytest.raises(BadInput, match="value 2 is not allowed"):
        encode_sample(0, Vector((1,), (2,)), Wire(300, 3))


@pytest.mark.parametrize(("influence", "units"), [(1, 1), (64, 1), (65, 2), (128, 2), (129, 3)])
def test_units_round_up(influence: int, units: int) -> None:
    """A unit is 64 of influence, counted by features or by absolute values."""
    assert sample_units(Vector(tuple(range(influence)), (1,) * influence), Wire(300, 300)) == units
    halves = (-(influence // 2), influence - influence // 2) if influence > 1 else (1,)
    vector = Vector(tuple(range(len(halves))), halves)
    assert sample_units(vector, Wire(300, 300, valued=True)) == units


def test_longest_sample_makes_a_round_trip() -> None:
    """The greatest n that the wire can say, 65,535, is written and read."""
    wire = Wire(2**24, 65_535)
    vector = Vector(tuple(range(100, 65_635)), (1,) * 65_535)
    assert decode_payload(encode_sample(1, vector, wire), wire) == [(1, vector)]
