"""The replicas against the plain models that made the golden histories, one integer at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.domain import MODEL_TYPES, ModelParams
from dcai_cli.models import make_replica
from tests.golden.generate_payload_and_perceptron import encode
from tests.golden.plain_models import FULL_CLASS, PLAIN, Sample, Shape


@dataclass(frozen=True)
class Session:
    """A model with numbers of an owner's, near the limits or near zero, and batches over few features."""

    model_type: str
    shape: Shape
    plain: Any
    batches: list[list[Sample]]

    @property
    def params(self) -> ModelParams:
        """Its parameters."""
        shape = {field.name: getattr(self.shape, field.name) for field in fields(Shape)}
        return ModelParams(self.model_type, **shape)

    def payload(self, batch: list[Sample]) -> bytes:
        """A batch on the wire."""
        return encode(batch, self.shape.n_features, self.shape.valued)

    def words(self) -> list[int]:
        """All words of the plain model."""
        sparse = self.plain.words()
        return [sparse.get(number, 0) for number in range(self.plain.total_words())]


def draw_shape(draw: st.DrawFn, model_type: str, *, wide: bool) -> Shape:
    """A shape that this type of model takes."""
    bayes, tally = model_type == "naive-bayes", model_type in {"naive-bayes", "nearest-centroid"}
    bernoulli = bayes and draw(st.booleans())
    narrow = st.sampled_from([2, 17, 33, 100])
    n_features = draw(st.one_of(narrow, st.just(65_537)) if wide and not bernoulli else narrow)
    most = 16 if n_features <= 100 else 4  # to stay quick
    classes = {"perceptron": (2, 2), "multiclass-perceptron": (3, most)}.get(model_type, (2, most))
    bits = {"perceptron": [8, 16], "multiclass-perceptron": [16]}.get(model_type, [32])
    return Shape(
        n_features=n_features,
        valued=not bernoulli and draw(st.booleans()),
        classes=draw(st.integers(*classes)),
        weight_bits=draw(st.sampled_from(bits)),
        margin=0 if tally else draw(st.sampled_from([0, 2, 30, 65_535])),
        smoothing=draw(st.sampled_from([1, 256, 65_535])) if bayes else 0,
        bernoulli=bernoulli,
    )


def fill(draw: st.DrawFn, model_type: str, plain: Any, pool: list[int]) -> None:
    """Give a plain model numbers that an owner may have written; they need not fit each other."""

    def near(limit: int, low: int | None = None) -> int:
        least = -limit if low is None else low
        small = st.integers(max(least, -3), 3)
        return draw(st.one_of(small, st.integers(limit - 9, limit), st.integers(least, least + 9)))

    classes = range(plain.shape.classes)
    if model_type == "perceptron":
        for index in pool:
            plain.weights[index] = near(plain.limit)
        plain.bias = near(32_767)
    elif model_type == "multiclass-perceptron":
        for index in pool[:3]:
            for label in classes:
                plain.weights[index, label] = near(32_767)
        plain.bias = [near(32_767) for _ in classes]
    else:
        low = 0 if model_type == "naive-bayes" else None
        for index in pool[:3]:
            plain.lanes[index] = {label: near(2**30, low) for label in classes}
        plain.samples = [near(FULL_CLASS, 0) for _ in classes]
        plain.totals = [near(2**90, low) for _ in classes]
        if model_type == "naive-bayes":
            plain.seen = draw(st.integers(0, plain.shape.n_features))


@st.composite
def sessions(draw: st.DrawFn, *, wide: bool) -> Session:
    """A session with a model of any type; a wide one may have indices of three bytes."""
    model_type = draw(st.sampled_from(MODEL_TYPES))
    shape = draw_shape(draw, model_type, wide=wide)
    n = shape.n_features
    pool = sorted({0, 1, 15 % n, 16 % n, 17 % n, n - 2, n - 1})
    least = 1 if model_type == "naive-bayes" else -127
    value = st.integers(least, 127).filter(bool) if shape.valued else st.just(1)
    batches = []
    for _ in range(draw(st.integers(1, 3))):
        batch = []
        for _ in range(draw(st.integers(1, 5))):
            indices = sorted(draw(st.sets(st.sampled_from(pool), min_size=1)))
            batch.append((draw(st.integers(0, shape.classes - 1)), indices, [draw(value) for _ in indices]))
        batches.append(batch)
    plain = PLAIN[model_type](shape)
    if draw(st.booleans()):
        fill(draw, model_type, plain, pool)
    return Session(model_type, shape, plain, batches)


@settings(deadline=None)
@given(sessions(wide=True))
def test_the_replica_is_the_plain_model(session: Session) -> None:
    """After any history, at the limits, too, bitmaps, predictions, agreement and words are equal."""
    replica = make_replica(session.params, session.words())
    for batch in session.batches:
        payload = session.payload(batch)
        predicted = [session.plain.predict(*sample[1:]) for sample in batch]
        assert replica.predict(payload).tolist() == predicted
        agreed = [label == sample[0] for label, sample in zip(predicted, batch, strict=True)]
        assert replica.agree(payload) == sum(bit << at for at, bit in enumerate(agreed))
        assert replica.train(payload) == session.plain.train(batch)
        assert replica.words() == session.words()


@settings(deadline=None)
@given(sessions(wide=False))
def test_any_history_goes_through_words(session: Session) -> None:
    """A model rebuilt from words before every batch, as integers or bytes, ends with the same words."""
    through = make_replica(session.params)
    alone = through.copy()
    for batch in session.batches:
        payload = session.payload(batch)
        raw = b"".join(word.to_bytes(32, "big") for word in through.words())
        through = make_replica(session.params, raw)
        assert through.train(payload) == alone.train(payload)
        assert make_replica(session.params, through.words()).words() == alone.words()
