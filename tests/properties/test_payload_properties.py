"""What holds for the wire codec whatever the samples and the bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.domain import Vector, Wire
from dcai_cli.errors import BadInput
from dcai_cli.features.payload import decode_payload, encode_sample, split_payload

WIRES = st.builds(
    Wire,
    n_features=st.sampled_from([256, 1000, 65_536, 65_537, 2**24]),
    max_features=st.integers(1, 40),
    classes=st.integers(2, 16),
    valued=st.booleans(),
)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Wire, list[tuple[int, Vector]]]:
    """A wire and samples that it can carry."""
    wire = draw(WIRES)
    values = st.integers(-127, 127).filter(bool) if wire.valued else st.just(1)
    samples = []
    for _ in range(draw(st.integers(1, 5))):
        active = draw(
            st.dictionaries(
                st.integers(0, wire.n_features - 1), values, min_size=1, max_size=wire.max_features
            )
        )
        vector = Vector(tuple(sorted(active)), tuple(active[index] for index in sorted(active)))
        samples.append((draw(st.integers(0, wire.classes - 1)), vector))
    return wire, samples


@given(batches())
def test_what_is_written_reads_back(batch: tuple[Wire, list[tuple[int, Vector]]]) -> None:
    """Decoding inverts encoding."""
    wire, samples = batch
    parts = [encode_sample(label, vector, wire) for label, vector in samples]
    assert decode_payload(b"".join(parts), wire) == samples
    assert split_payload(b"".join(parts), wire) == parts


@given(WIRES, st.binary(max_size=60))
def test_any_bytes_are_read_exactly_or_refused(wire: Wire, payload: bytes) -> None:
    """Whatever decodes encodes to the same bytes: no payload has two forms, and nothing else is raised."""
    try:
        samples = decode_payload(payload, wire)
    except BadInput:
        return
    assert b"".join(encode_sample(label, vector, wire) for label, vector in samples) == payload
