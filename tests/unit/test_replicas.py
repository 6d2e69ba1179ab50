"""The replicas of all models, against histories that the contracts must reproduce, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcai_cli.domain import MODEL_TYPES, ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models import make_replica
from dcai_cli.models.fixed_log import fixed_log2, fixed_log2s
from dcai_cli.models.pretrain import words_from_arrays
from dcai_cli.models.replica import Replica
from dcai_cli.models.tally import Tally

FOLDER = Path(__file__).parent.parent / "golden"
FILES = ("perceptron8", "multiclass-perceptron", "naive-bayes", "nearest-centroid")
HISTORIES = [case for file in FILES for case in json.loads((FOLDER / f"{file}.json").read_text())]
WRITTEN = json.loads((FOLDER / "written-words.json").read_text())
FIELDS = tuple(ModelParams.__dataclass_fields__)
SAMPLE = bytes.fromhex("010001000701000100080000010007")

PARAMS = {
    "perceptron": ModelParams("perceptron", 37, 37, weight_bits=8, margin=2),
    "multiclass-perceptron": ModelParams("multiclass-perceptron", 37, 37, classes=3, margin=2),
    "naive-bayes": ModelParams("naive-bayes", 37, 37, classes=3, weight_bits=32, smoothing=256),
    "nearest-centroid": ModelParams("nearest-centroid", 37, 37, classes=3, weight_bits=32),
}
every_model = pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)


def raw(text: str) -> bytes:
    """The bytes of a hexadecimal string."""
    return bytes.fromhex(text.removeprefix("0x"))


def params_of(case: dict[str, Any]) -> ModelParams:
    """The parameters of a golden case."""
    return ModelParams(**{name: case[name] for name in FIELDS})


def overwrite(words: list[int], sparse: dict[str, Any]) -> list[int]:
    """Words with some of them replaced."""
    changed = list(words)
    for number, word in zip(sparse["numbers"], sparse["words"], strict=True):
        changed[number] = int(word, 16)
    return changed


@pytest.mark.parametrize("case", HISTORIES, ids=lambda case: case["name"])
def test_golden_histories_are_repeated_bit_for_bit(case: dict[str, Any]) -> None:
    """Every bitmap, changed word, prediction and agreement of every golden history comes out the same."""
    empty = [0] * case["total_words"]
    words = overwrite(empty, case["first"])
    model = make_replica(params_of(case), words)
    for batch in case["batches"]:
        assert model.train(raw(batch["payload"])) == int(batch["informative"], 16)
        words = overwrite(words, batch["changed"])
        assert model.words() == words
        probe = raw(batch["probe"])
        assert model.predict(probe).tobytes() == raw(batch["probe_labels"])
        assert model.agree(probe) == int(batch["probe_agreed"], 16)
    assert words == overwrite(empty, case["last"])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_golden_histories_reach_the_limits(model_type: str) -> None:
    """Of each model some history saturates weights or fills a class, and some samples are not informative."""
    cases = [case for case in HISTORIES if case["model_type"] == model_type]
    assert any(case["saturated"] for case in cases)
    batches = [(make_replica(params_of(case)), batch) for case in cases for batch in case["batches"]]
    samples = sum(model.predict(raw(batch["payload"])).size for model, batch in batches)
    informative = sum(int(batch["informative"], 16).bit_count() for _, batch in batches)
    assert samples / 4 < informative < samples * 7 / 8


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case["name"])
def test_words_are_taken_or_refused_as_by_the_contract(case: dict[str, Any]) -> None:
    """A word beyond the limits, or with a lane that belongs to nothing, is refused and not written."""
    model = make_replica(params_of(case))
    word = int(case["word"], 16)
    if case["valid"]:
        model.write_words(case["number"], [word])
        assert model.words()[case["number"]] == word
    else:
        with pytest.raises(BadInput):
            model.write_words(case["number"], [word])
        assert not any(model.words())


@every_model
def test_the_replica_is_of_the_type_that_the_parameters_name(params: ModelParams) -> None:
    """The factory makes another class for each type, with as many words as the type has."""
    assert len({type(make_replica(other)) for other in PARAMS.values()}) == len(PARAMS)
    assert len(make_replica(params).words()) == params.total_words


@every_model
def test_a_copy_has_its_own_words(params: ModelParams) -> None:
    """A copy goes on where the original stands; training it leaves the original alone."""
    model = make_replica(params)
    model.train(SAMPLE)
    words, other = model.words(), raw("0000010007")
    twin = model.copy()
    assert twin.words() == words
    twin.train(other)
    assert model.words() == words != twin.words()
    model.train(other)
    assert model.words() == twin.words()


@every_model
def test_words_written_later_count(params: ModelParams) -> None:
    """A model whose words are written, in pieces, predicts and trains as the one they come from."""
    source = make_replica(params)
    source.train(SAMPLE)
    model = make_replica(params)
    words = source.words()
    model.write_words(3, words[3:])
    model.write_words(0, b"".join(word.to_bytes(32, "big") for word in words[:3]))
    assert model.agree(SAMPLE) == source.agree(SAMPLE)
    assert model.train(SAMPLE) == source.train(SAMPLE)
    assert model.words() == source.words()


@every_model
def test_a_malformed_payload_trains_nothing(params: ModelParams) -> None:
    """A fault in the last sample leaves the model as it was, good samples before it included."""
    model = make_replica(params)
    for fault in ("0900010001", "0000010025", "0000020003", "00000200030003", "000000", ""):
        payload = SAMPLE + raw(fault) if fault else b""
        with pytest.raises(BadInput, match=f"malformed at byte {len(SAMPLE) if fault else 0}:"):
            model.train(payload)
    assert not any(model.words())


@every_model
def test_a_model_of_another_size_is_refused(params: ModelParams) -> None:
    """The number of words must be that of the model, and no word can be written behind the last."""
    total = params.total_words
    with pytest.raises(BadInput, match=f"has {total} words, not {total - 1}"):
        make_replica(params, [0] * (total - 1))
    with pytest.raises(BadInput, match="33 bytes"):
        make_replica(params, bytes(33))
    with pytest.raises(BadInput, match="do not fit"):
        make_replica(params).write_words(total, [0])
    with pytest.raises(BadInput, match="do not fit"):
        make_replica(params).write_words(-1, [0])


def test_negative_values_are_no_counts() -> None:
    """Naive Bayes refuses them, the other models take them."""
    payload = raw("01000100 07ff".replace(" ", ""))
    for params in PARAMS.values():
        model = make_replica(ModelParams(**{**as_dict(params), "valued": True}))
        if params.model_type == "naive-bayes":
            with pytest.raises(BadInput, match="a value is negative"):
                model.train(payload)
        else:
            assert model.train(payload) == 1


def as_dict(params: ModelParams) -> dict[str, Any]:
    """Parameters by name."""
    return {name: getattr(params, name) for name in FIELDS}


@pytest.mark.parametrize("model_type", ["naive-bayes", "nearest-centroid"])
def test_a_batch_is_judged_by_the_model_before_it(model_type: str) -> None:
    """Two equal samples in one batch are both informative; in two batches, the second is not."""
    one = raw("0100010007")
    together, apart = make_replica(PARAMS[model_type]), make_replica(PARAMS[model_type])
    assert together.train(one + one) == 0b11
    assert (apart.train(one), apart.train(one)) == (1, 0)
    assert together.words() == apart.words()


@pytest.mark.parametrize("model_type", ["naive-bayes", "nearest-centroid"])
def test_the_order_of_a_batch_changes_no_word(model_type: str) -> None:
    """Samples of a batch, reversed, leave the same words."""
    samples = [raw(text) for text in ("0100010007", "02000200070009", "0000010009", "01000200030008")]
    words = []
    for order in (samples, samples[::-1]):
        model = make_replica(PARAMS[model_type])
        model.train(b"".join(order))
        words.append(model.words())
    assert words[0] == words[1]


def test_class_words_hold_two_classes_each() -> None:
    """The header words of naive Bayes: samples and totals, even classes in the high halves, then V."""
    model = make_replica(PARAMS["naive-bayes"])
    assert isinstance(model, Tally)
    model.train(raw("0100010007") + raw("02000200070009") + raw("020003000700090024"))
    first, second, seen = model.words()[-3:]
    assert first == 1 << 96 | 1
    assert second == (2 << 96 | 5) << 128
    assert seen == 3
    assert (model.samples, model.totals) == ([0, 1, 2], [0, 1, 5])


def test_squares_follow_from_sums() -> None:
    """Whatever was trained, the totals of nearest centroid are the squares of its sums."""
    params = ModelParams("nearest-centroid", 16, 16, valued=True, classes=2, weight_bits=32)
    model = make_replica(params)
    assert isinstance(model, Tally)
    rng = np.random.default_rng(3)
    sums = np.zeros((2, 16), dtype=np.int64)
    for _ in range(50):
        label, values = int(rng.integers(2)), rng.integers(1, 128, 16) * rng.choice([-1, 1], 16)
        sums[label] += values
        features = b"".join(
            index.to_bytes(2, "big") + int(value).to_bytes(1, "big", signed=True)
            for index, value in enumerate(values.tolist())
        )
        model.train(bytes([label, 0, 16]) + features)
    assert model.totals == (sums**2).sum(axis=1).tolist()


def test_golden_logarithms_are_repeated_bit_for_bit() -> None:
    """The logarithm of one integer is the golden one, and that of an array is the same."""
    golden = json.loads((FOLDER / "log2.json").read_text())
    numbers = [int(x, 16) for x in golden["x"]]
    assert [fixed_log2(x) for x in numbers] == golden["log2"]
    small = [x for x in numbers if 0 < x < 2**46]
    assert fixed_log2s(np.array(small)).tolist() == [fixed_log2(x) for x in small]


def test_the_logarithm_is_close_and_never_falls() -> None:
    """It is within 2^-15 of the true one, and a greater number never has a smaller one."""
    numbers = np.concatenate([np.arange(1, 70_000), np.arange(2**40 - 5000, 2**40 + 5000)])
    logs = fixed_log2s(numbers)
    assert (np.diff(logs) >= 0).all()
    assert np.abs(logs / 65_536 - np.log2(numbers)).max() < 2**-15


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "forest"},
        {"n_features": 1},
        {"n_features": 2**24 + 1},
        {"max_features": 0},
        {"classes": 1},
        {"classes": 17},
        {"weight_bits": 16},
        {"margin": 1},
        {"smoothing": 0},
        {"smoothing": 65_536},
        {"bernoulli": True, "n_features": 4097},
        {"bernoulli": True, "valued": True},
    ],
    ids=str,
)
def test_shapes_that_no_contract_takes_are_refused(change: dict[str, Any]) -> None:
    """Parameters out of range, or without use for the type of model, are refused."""
    with pytest.raises(BadInput, match="No model can have this shape"):
        ModelParams(**{**as_dict(PARAMS["naive-bayes"]), **change})


@pytest.mark.parametrize(
    ("model_type", "change"),
    [
        ("perceptron", {"classes": 3}),
        ("perceptron", {"weight_bits": 32}),
        ("perceptron", {"smoothing": 1}),
        ("perceptron", {"n_features": 16_384, "max_features": 4097}),
        ("nearest-centroid", {"n_features": 16_384, "max_features": 2049, "classes": 9}),
        ("multiclass-perceptron", {"classes": 2}),
        ("multiclass-perceptron", {"weight_bits": 8}),
        ("multiclass-perceptron", {"bernoulli": True}),
        ("nearest-centroid", {"smoothing": 1}),
        ("nearest-centroid", {"margin": 1}),
        ("nearest-centroid", {"bernoulli": True}),
    ],
)
def test_every_type_has_its_own_shapes(model_type: str, change: dict[str, Any]) -> None:
    """What one type takes, another may refuse."""
    with pytest.raises(BadInput, match="No model can have this shape"):
        ModelParams(**{**as_dict(PARAMS[model_type]), **change})


@pytest.mark.parametrize(
    ("model_type", "first_word", "word"),
    [
        ("naive-bayes", 0, 2**30 << 224),
        ("naive-bayes", 1, (2**90) << 128),
        ("naive-bayes", 2, 4),
        ("nearest-centroid", 0, 2**30 << 224),
        ("nearest-centroid", 0, (2**32 - 2**30) << 224),
        ("nearest-centroid", 1, (2**90) << 128),
    ],
)
def test_a_model_that_was_trained_beyond_what_can_be_written_is_read(
    model_type: str, first_word: int, word: int
) -> None:
    """An owner writes the greatest number; a sample carries it on, and clients must still read the model."""
    smoothing = 256 if model_type == "naive-bayes" else 0
    params = ModelParams(model_type, 4, 4, weight_bits=32, smoothing=smoothing)
    model = make_replica(params)
    model.write_words(first_word, [word])
    model.train(bytes.fromhex("0000010000"))
    assert make_replica(params, model.words()).words() == model.words()


def test_samples_by_the_thousand_are_one_batch() -> None:
    """Pre-training may train and predict any number of samples at once, in parts or not."""
    params = ModelParams("naive-bayes", 4096, 1024, weight_bits=32, smoothing=256)
    rng = np.random.default_rng(5)
    samples = []
    for label in rng.integers(0, 2, 6000).tolist():
        indices = np.unique(rng.integers(0, 2048, 200) + 1024 * label)
        samples.append(bytes([label]) + len(indices).to_bytes(2, "big") + indices.astype(">u2").tobytes())
    whole: Replica = make_replica(params)
    whole.train(b"".join(samples[:3000]))
    alone = make_replica(params)
    for sample in samples[:3000]:
        alone.train(sample)
    assert whole.words() == alone.words()
    rest = samples[3000:]
    predicted = whole.predict(b"".join(rest)).tolist()
    assert predicted == [int(whole.predict(sample)[0]) for sample in rest]
    assert sum(label == sample[0] for label, sample in zip(predicted, rest, strict=True)) > 2900


@every_model
def test_where_words_part_first_is_named(params: ModelParams) -> None:
    """Of every number of a model: its feature and class, whatever word and lane it stands in."""
    replica = make_replica(params)
    replica.train(SAMPLE)
    assert replica.difference(replica.words()) is None
    for feature in (0, 1, 17, 36):
        for label in range(params.classes if params.row_lanes > 1 else 1):
            arrays = replica.arrays()
            name = next(iter(arrays))
            numbers = arrays[name] if params.row_lanes > 1 else arrays[name][None]
            ours = int(numbers[label, feature])
            numbers[label, feature] += 1
            found = replica.difference(words_from_arrays(arrays, params))
            assert found is not None
            assert (found.feature, found.ours, found.theirs) == (feature, ours, ours + 1)
            assert found.label == (label if params.row_lanes > 1 else None)


@every_model
def test_what_belongs_to_no_feature_parts_without_one(params: ModelParams) -> None:
    """The words behind the features, and lanes that no feature has, differ by their word alone."""
    replica = make_replica(params)
    words = replica.words()
    found = replica.difference([*words[:-1], words[-1] ^ 1])
    assert found is not None
    assert (found.word, found.feature, found.theirs) == (params.total_words - 1, None, 1)
    last = params.body_words - 1
    found = replica.difference([*words[:last], 1, *words[last + 1 :]])
    assert found is not None
    assert (found.word, found.feature, found.label) == (last, None, None)


@every_model
def test_arrays_of_a_model_make_the_same_model(params: ModelParams) -> None:
    """What is exported by name is what pre-training takes: the words come out the same."""
    replica = make_replica(params)
    replica.train(SAMPLE)
    replica.train(raw("0000010007"))
    assert any(replica.words())
    assert words_from_arrays(replica.arrays(), params) == replica.words()
