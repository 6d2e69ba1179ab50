"""The replica of the perceptron, against histories that the contract must reproduce too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.models.pretrain import read_weights, words_from_arrays

FOLDER = Path(__file__).parent.parent / "golden"
HISTORIES = json.loads((FOLDER / "perceptron.json").read_text())
PAYLOADS = json.loads((FOLDER / "payload.json").read_text())
# The replica takes any number of samples: this limit is the chain's.
MALFORMED = [case for case in PAYLOADS["invalid"] if case["error"] != "TooManySamples"]


def shape(n_features: int, margin: int = 2, *, valued: bool = False, max_features: int = 1024) -> ModelParams:
    """The parameters of a perceptron with weights of 16 bits."""
    return ModelParams("perceptron", n_features, max_features, valued=valued, margin=margin)


def raw(text: str) -> bytes:
    """The bytes of a hexadecimal string."""
    return bytes.fromhex(text.removeprefix("0x"))


def words_of(model: Perceptron, sparse: dict[str, Any]) -> list[int]:
    """All words of a golden model."""
    words = [0] * (model.params.total_words)
    for number, word in zip(sparse["numbers"], sparse["words"], strict=True):
        words[number] = int(word, 16)
    return words


@pytest.mark.parametrize("case", HISTORIES, ids=lambda case: case["name"])
def test_golden_histories_are_repeated_bit_for_bit(case: dict[str, Any]) -> None:
    """Every bitmap, prediction, score and word of every golden history comes out the same."""
    model = Perceptron(shape(case["n_features"], case["margin"], valued=case["valued"]))
    model.write_words(0, words_of(model, case["first"]))
    for batch in case["batches"]:
        assert model.train(raw(batch["payload"])) == int(batch["informative"], 16)
        probe = raw(batch["probe"])
        assert model.predict(probe).tobytes() == raw(batch["probe_labels"])
        assert model.scores(probe).tolist() == batch["probe_scores"]
    assert model.words() == words_of(model, case["last"])


def test_golden_histories_reach_saturation() -> None:
    """The golden histories hold weights and biases at both limits, and samples of both verdicts."""
    reached = {limit for case in HISTORIES for limit in case["saturated"]}
    assert reached == {"weight at 32767", "weight at -32767", "bias at 32767", "bias at -32767"}
    batches = [
        (Perceptron(shape(case["n_features"], 0, valued=case["valued"])), batch)
        for case in HISTORIES
        for batch in case["batches"]
    ]
    samples = sum(model.predict(raw(batch["payload"])).size for model, batch in batches)
    assert (
        samples / 4 < sum(int(batch["informative"], 16).bit_count() for _, batch in batches) < samples * 3 / 4
    )


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case["name"])
def test_malformed_payloads_are_refused_and_train_nothing(case: dict[str, Any]) -> None:
    """A fault anywhere in a payload leaves the model as it was, good samples before it included."""
    limits = shape(case["n_features"], valued=case["valued"], max_features=case["max_features"])
    model = Perceptron(limits)
    with pytest.raises(BadInput, match="malformed at byte"):
        model.train(raw(case["payload"]))
    assert not any(model.words())


def test_agreement_is_prediction_equal_to_label() -> None:
    """Bit i of the agreement says whether the model predicts the label of sample i."""
    model = Perceptron(shape(256))
    model.train(raw("0100010007"))
    assert model.agree(raw("0100010007 0000010007 0000010008 0100010008".replace(" ", ""))) == 0b1001


def test_a_score_of_zero_is_the_lowest_class() -> None:
    """Ties go to class 0."""
    assert Perceptron(shape(256)).predict(raw("0100010007")).tolist() == [0]


def test_a_copy_has_its_own_weights() -> None:
    """Training a copy leaves the original alone."""
    model = Perceptron(shape(256))
    twin = model.copy()
    twin.train(raw("0100010007"))
    assert model.words() == Perceptron(shape(256)).words()
    assert twin.words() != model.words()


def test_lane_0_is_the_most_significant() -> None:
    """Weight 0 is the top of word 0, weight 17 the second lane of word 1, the bias the top of the last."""
    model = Perceptron(shape(256))
    model.train(raw("01000200000011"))
    words = model.words()
    assert (words[0], words[1], words[16]) == (1 << 240, 1 << 224, 1 << 240)
    assert sum(map(bool, words)) == 3


@pytest.mark.parametrize("n_features", [256, 1000, 70_000])
def test_words_make_a_round_trip(n_features: int) -> None:
    """A model rebuilt from its words, as integers or as bytes, has the same words."""
    rng = np.random.default_rng(7)
    arrays = {"weights": rng.integers(-32_767, 32_768, n_features), "bias": np.array(-32_767)}
    words = words_from_arrays(arrays, shape(n_features))
    packed = b"".join(word.to_bytes(32, "big") for word in words)
    assert Perceptron.from_words(words, shape(n_features)).words() == words
    assert Perceptron.from_words(packed, shape(n_features)).words() == words


def test_words_written_in_the_middle_change_only_themselves() -> None:
    """Replaying WeightsWritten from a first word on overwrites exactly those words."""
    model = Perceptron(shape(256))
    model.write_words(15, [5, 9 << 240])
    assert model.words() == [0] * 15 + [5, 9 << 240]
    assert (model.weights[255], model.bias) == (5, 9)


@pytest.mark.parametrize(
    ("first_word", "words", "problem"),
    [
        (0, [0x8000 << 240], "-32768"),
        (62, [1], "not 0"),
        (63, [1], "not 0"),
        (63, [0, 0], "do not fit"),
        (64, [0], "do not fit"),
        (-1, [0], "do not fit"),
    ],
)
def test_words_that_no_model_has_are_refused(first_word: int, words: list[int], problem: str) -> None:
    """Words past the end, lanes behind the last of 1000 weights and -32768 are refused, as on the chain."""
    model = Perceptron(shape(1000))
    with pytest.raises(BadInput, match=problem):
        model.write_words(first_word, words)
    assert not any(model.words())


def test_a_model_of_another_size_is_refused() -> None:
    """The number of words must be that of the model."""
    with pytest.raises(BadInput, match="has 17 words, not 16"):
        Perceptron.from_words([0] * 16, shape(256))
    with pytest.raises(BadInput, match="33 bytes"):
        Perceptron.from_words(bytes(33), shape(256))


def test_pretrained_weights_are_read_from_a_file(tmp_path: Path) -> None:
    """An .npz of weights and bias becomes the words of exactly that model."""
    weights = np.arange(-128, 128)
    np.savez(tmp_path / "model.npz", weights=weights, bias=-3)
    model = Perceptron.from_words(read_weights(tmp_path / "model.npz", shape(256)), shape(256))
    assert (model.weights == weights).all()
    assert model.bias == -3


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"weights": np.zeros(255, int), "bias": 0}, r"shape \(255,\); this model needs \(256,\)"),
        ({"weights": np.zeros(256), "bias": 0}, "float64"),
        ({"weights": np.full(256, 32_768), "bias": 0}, "32768"),
        ({"weights": np.full(256, -32_768), "bias": 0}, "-32768"),
        ({"weights": np.zeros(256, int), "bias": 40_000}, "40000"),
        ({"weights": np.zeros(256, int), "bias": 0.5}, "bias is of type float64"),
        ({"weights": np.zeros(256, int)}, "bias is not a file in the archive"),
        ({"weights": np.array([None] * 256), "bias": 0}, "not an .npz file"),
    ],
)
def test_unusable_pretrained_weights_are_refused(
    tmp_path: Path, arrays: dict[str, Any], problem: str
) -> None:
    """Weights of another size, type or range are refused with their value; pickles are never opened."""
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(BadInput, match=problem):
        read_weights(tmp_path / "model.npz", shape(256))


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    """A missing file, an empty one, a text and a bare array are refused by name."""
    with pytest.raises(BadInput, match=r"nowhere\.npz cannot be read"):
        read_weights(tmp_path / "nowhere.npz", shape(256))
    (tmp_path / "empty.npz").touch()
    with pytest.raises(BadInput, match=r"empty\.npz is not an \.npz"):
        read_weights(tmp_path / "empty.npz", shape(256))
    (tmp_path / "text.npz").write_text("weights")
    with pytest.raises(BadInput, match=r"text\.npz is not an \.npz"):
        read_weights(tmp_path / "text.npz", shape(256))
    np.save(tmp_path / "array.npy", np.zeros(256, int))
    with pytest.raises(BadInput, match=r"array\.npy is not an \.npz"):
        read_weights(tmp_path / "array.npy", shape(256))
