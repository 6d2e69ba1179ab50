"""The replica of the perceptron against the plain one that made the golden histories."""

from __future__ import annotations

import runpy
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.domain import ModelParams
from dcai_cli.models.perceptron import Perceptron

PLAIN = runpy.run_path(str(Path(__file__).parent.parent / "golden" / "generate_payload_and_perceptron.py"))
Sample = tuple[int, list[int], list[int]]


@st.composite
def sessions(draw: st.DrawFn) -> tuple[int, int, bool, list[int], int, list[list[Sample]]]:
    """A model with weights near the limits or near zero, and batches over few features, so that they meet."""
    n_features = draw(st.sampled_from([256, 1000, 65_537]))
    valued = draw(st.booleans())
    pool = [0, 1, 15, 16, 17, n_features - 2, n_features - 1]
    near = st.one_of(st.integers(-3, 3), st.integers(32_760, 32_767), st.integers(-32_767, -32_760))
    value = st.integers(-127, 127).filter(bool) if valued else st.just(1)
    batches = []
    for _ in range(draw(st.integers(1, 3))):
        batch = []
        for _ in range(draw(st.integers(1, 6))):
            indices = sorted(draw(st.sets(st.sampled_from(pool), min_size=1)))
            batch.append((draw(st.integers(0, 1)), indices, [draw(value) for _ in indices]))
        batches.append(batch)
    weights = [0] * n_features
    for index in pool:
        weights[index] = draw(near)
    return n_features, draw(st.sampled_from([0, 2, 30, 65_535])), valued, weights, draw(near), batches


@given(sessions())
def test_the_replica_is_the_plain_perceptron(
    session: tuple[int, int, bool, list[int], int, list[list[Sample]]],
) -> None:
    """After any history, at any margin and at saturation, bitmaps, scores and words are equal."""
    n_features, margin, valued, weights, bias, batches = session
    plain = PLAIN["PlainPerceptron"](n_features, margin)
    plain.weights, plain.bias = weights, bias
    params = ModelParams("perceptron", n_features, 7, valued=valued, margin=margin)
    replica = Perceptron.from_words(plain.words(), params)
    for batch in batches:
        payload = PLAIN["encode"](batch, n_features, valued)
        assert replica.scores(payload).tolist() == [plain.score(*sample[1:]) for sample in batch]
        assert replica.train(payload) == plain.train(batch)
        agreed = [int(plain.score(*sample[1:]) > 0) == sample[0] for sample in batch]
        assert replica.agree(payload) == sum(bit << at for at, bit in enumerate(agreed))
    assert replica.words() == plain.words()
