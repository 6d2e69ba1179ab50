"""Suggestions beside what they stand for: the file's samples, the replica, the measured gas, the rule."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gas.measure import shapes
from benchmarks.gas.reviews import stand_in
from dcai_cli.domain import ModelParams, Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.readers import Source
from dcai_cli.models import make_replica
from dcai_cli.models.samples import read_batch
from dcai_cli.services.limits import model_params
from dcai_cli.services.suggest import Suggestion, suggest
from dcai_cli.services.trials import FOLDS, GAS_PER_FEATURE, GAS_PER_WORD, measure_touched

PROJECT = Path(__file__).resolve().parents[2]
GOOD, BAD = ("warm", "great", "fine", "bright"), ("cold", "dull", "weak", "grey")
FILLING = ("film", "story", "plot", "actor", "scene", "music", "ending", "sound")
CHINESE = str.maketrans(
    dict(
        zip(
            "abcdefghijklmnopqrstuvwxyz ",
            "的一是不了人我在有他这中大来上国个到说们为子和你地出也",
            strict=True,
        )
    )
)
HINDI = {
    "warm": "गर्म",
    "great": "महान",
    "fine": "ठीक",
    "bright": "उज्ज्वल",
    "cold": "ठंडा",
    "dull": "नीरस",
    "weak": "कमज़ोर",
}


def texts(count: int = 120) -> list[tuple[str, str]]:
    """Short texts, some of whose words lean to their label."""
    draw = random.Random(7).random  # noqa: S311 - no secret

    def pick(words: Sequence[str]) -> str:
        return words[int(draw() * len(words))]

    made = []
    for number in range(count):
        words = [pick(FILLING) for _ in range(4)] + [pick(GOOD if number % 2 else BAD) for _ in range(2)]
        made.append((" ".join(words), ("bad", "good")[number % 2]))
    return made


def write(path: Path, pairs: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> Source:
    """Texts and labels as a csv file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *pairs])
    return Source(str(path))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Suggestion:
    """What is suggested for texts of English words."""
    return suggest(write(tmp_path_factory.mktemp("texts") / "rows.csv", texts()))


def test_the_accuracy_is_that_of_the_model_on_rows_that_it_has_not_seen(found: Suggestion) -> None:
    """Every trial again, row by row: featurized by its spec, learned and predicted by the replica."""
    assert len(found.trials) == 12
    for trial in found.trials:
        spec = replace(
            found.spec,
            analyzer=trial.analyzer,
            ngram_range=trial.ngram_range,
            n_features=trial.n_features,
            max_features=trial.max_features,
        )
        sample = found.sample
        rows = [
            Row(number, {"text": text, "label": sample.labels[label]})
            for number, (text, label) in enumerate(zip(sample.texts, sample.classes, strict=True))
        ]
        made = [row for row in featurize(rows, spec) if isinstance(row, FeaturizedRow)]
        right = 0
        for fold in range(FOLDS):
            replica = make_replica(model_params(spec))
            replica.train(b"".join(row.sample for row in made if row.number % FOLDS != fold))
            held = [row for row in made if row.number % FOLDS == fold]
            predicted = replica.predict(b"".join(row.sample for row in held)).tolist()
            right += sum(label == row.label for label, row in zip(predicted, held, strict=True))
        assert trial.accuracy == right / len(sample.texts)
        assert trial.features == pytest.approx(np.mean([row.n_indices for row in made]))
        assert trial.units == pytest.approx(np.mean([row.units for row in made]))


def test_the_best_is_worth_its_gas(found: Suggestion) -> None:
    """No other trial is a point better for each doubling of the gas, or as good for less."""
    assert found.best in found.trials
    for trial in found.trials:
        doublings = math.log2(trial.gas / found.best.gas)
        assert trial.accuracy - found.best.accuracy <= 0.01 * doublings + 1e-12
    spec = found.spec
    assert (spec.analyzer, spec.ngram_range, spec.n_features, spec.max_features) == (
        found.best.analyzer,
        found.best.ngram_range,
        found.best.n_features,
        found.best.max_features,
    )
    assert (spec.labels, spec.valued, spec.alternate_sign) == (("bad", "good"), False, False)
    assert found.best.accuracy > 0.9 > found.sample.majority[1]


def test_the_same_file_gives_the_same_suggestion(found: Suggestion, tmp_path: Path) -> None:
    """Nothing is left to chance or to the clock."""
    again = suggest(write(tmp_path / "rows.csv", texts()))
    assert replace(again, name=found.name) == found


def test_scripts_without_spaces_are_read_by_characters(tmp_path: Path) -> None:
    """Words are tried for comparison, and are no choice."""
    chinese = [(text.translate(CHINESE), label) for text, label in texts()]
    found = suggest(write(tmp_path / "rows.csv", chinese))
    assert found.reason.startswith("100% of the letters are of scripts without spaces between words")
    assert {trial.analyzer for trial in found.trials if trial.is_choice} == {"char"}
    assert {trial.analyzer for trial in found.trials if not trial.is_choice} <= {"word"}
    assert found.spec.analyzer == "char"


def test_scripts_whose_words_are_cut_at_marks_are_read_by_characters(tmp_path: Path) -> None:
    """Hindi has spaces, but its vowel signs are no letters."""
    hindi = [(" ".join(HINDI.get(word, "फिल्म") for word in text.split()), label) for text, label in texts()]
    found = suggest(
        write(tmp_path / "rows.csv", [(f"{text} {at}", label) for at, (text, label) in enumerate(hindi)])
    )
    assert "of letters and marks are combining marks, at which words are cut" in found.reason
    assert found.spec.analyzer in {"char", "char_wb"}


def test_long_texts_get_room_for_their_features(tmp_path: Path) -> None:
    """Where more than one sample in a hundred would be cut at 1,024, the limit is doubled, up to 4,096."""
    long = [(" ".join(f"{text.split()[0]}{at}" for at in range(1500)), label) for text, label in texts(60)]
    short = texts(60)
    found = suggest(write(tmp_path / "rows.csv", [*long, *short]))
    assert {trial.max_features for trial in found.trials if trial.analyzer == "word"} == {2048, 4096}
    assert found.spec.max_features == found.best.max_features


def test_the_model_that_is_deployed_is_the_one_that_is_tried(tmp_path: Path) -> None:
    """Margin and width of the weights reach the hold-out."""
    source = write(tmp_path / "rows.csv", texts(60))
    seen: list[ModelParams] = []

    def make_params(spec: object) -> ModelParams:
        seen.append(model_params(spec, margin=7, weight_bits=8))  # type: ignore[arg-type]
        return seen[-1]

    usual, other = suggest(source), suggest(source, make_params=make_params)
    assert len(seen) == len(other.trials)
    assert [trial.gas for trial in other.trials] != [trial.gas for trial in usual.trials]
    assert [trial.accuracy for trial in other.trials] != [trial.accuracy for trial in usual.trials]


@pytest.mark.parametrize("key", [shape.key for shape in shapes() if shape.key.startswith("perceptron")])
def test_the_estimate_of_gas_meets_what_was_measured(key: str) -> None:
    """Within 15 % of the receipts of a trained model, for each perceptron of the gas benchmark."""
    params = next(shape.params for shape in shapes() if shape.key == key)
    reviews = stand_in()
    contributed = (reviews.by_rank() if "words" in key else reviews.hashed()).contributed[:300]
    batch = read_batch(b"".join(contributed), params.wire)
    indptr = np.concatenate(([0], batch.ends))
    touched = measure_touched(indptr, batch.indices.astype(np.int32), params)
    committed = json.loads((PROJECT / "benchmarks" / "gas.json").read_text(encoding="utf-8"))
    measured = committed["figures"]["stand-in"][f"{key}, batch 100"]["sum"]
    estimate = GAS_PER_FEATURE * touched.features + GAS_PER_WORD * touched.words
    assert estimate == pytest.approx(measured, rel=0.15)
    assert touched.gas > estimate  # a new model has fresh words, too


def test_words_count_once_in_a_batch_and_are_fresh_once() -> None:
    """150 samples of a feature each, in two batches: words 0 and 1 in the first, 1 and 2 in the second."""
    indices = np.array([0] * 50 + [16] * 50 + [31] * 25 + [32] * 25, dtype=np.int32)
    params = ModelParams("perceptron", 256, 256)
    touched = measure_touched(np.arange(151), indices, params)
    assert (touched.features, touched.words, touched.fresh) == (1, 4 / 150, 3 / 150)


def test_progress_ends_when_all_is_tried(tmp_path: Path) -> None:
    """Each trial counts."""
    steps: list[tuple[int, int]] = []
    suggest(write(tmp_path / "rows.csv", texts(60)), progress=lambda done, total: steps.append((done, total)))
    assert steps == [(number, 12) for number in range(1, 13)]


def test_a_table_is_refused_with_the_way_for_tables(tmp_path: Path) -> None:
    """A missing column is named with those that are there."""
    source = write(tmp_path / "rows.csv", texts(30), header=("age", "label"))
    with pytest.raises(BadInput, match="no column 'text'; the columns are: age, label") as caught:
        suggest(source)
    assert "--text-column" in caught.value.hint
    assert "--schema" in caught.value.hint
    assert suggest(source, text_column="age").spec.text_column == "age"


def test_labels_that_no_spec_takes_are_refused(tmp_path: Path) -> None:
    """Labels so long that the contracts would not store the spec."""
    source = write(tmp_path / "rows.csv", [(text, label * 10_000) for text, label in texts(40)])
    with pytest.raises(UsageError, match="24,575"):
        suggest(source)


def test_texts_without_features_are_refused(tmp_path: Path) -> None:
    """Spaces that are not ASCII's are no blank text, and make no feature either."""
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [("\u00a0" * at, "ab"[at % 2]) for at in range(1, 25)]
        csv.writer(file).writerows([("text", "label"), *rows])
    with pytest.raises(BadInput, match="no text has a feature; the texts are read from column 'text'"):
        suggest(Source(str(path)))
