"""The data of a scenario: samples that contributors find, and the test set that accuracy is measured on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, shown
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.quantiles import learn_bins
from dcai_cli.features.readers import Source, read_rows
from dcai_cli.features.schema import tabular_spec_from_schema
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.vocabulary import column_of_texts, learn_vocabulary
from dcai_cli.models import make_replica
from dcai_cli.models.pretrain import words_from_samples
from dcai_cli.services.limits import model_params
from dcai_cli.simulation.rules import Sample

if TYPE_CHECKING:
    from dcai_cli.domain import ModelParams
    from dcai_cli.models.replica import Replica
    from dcai_cli.models.samples import Batch
    from dcai_cli.simulation.scenario import DataPlan, FeaturePlan, ModelPlan, Scenario

BUNDLED = ("breast_cancer", "digits", "wine")
"""Data sets that scikit-learn brings along."""


class Example(NamedTuple):
    """A row, and the sample that it becomes."""

    row: Row
    sample: Sample


@dataclass(frozen=True, slots=True)
class Gathered:
    """The data of a scenario, with its rows.

    Args:
        spec: the feature spec.
        params: the shape of the model.
        words: the model's words to begin with; none for zeros.
        found: what is left to contribute.
        test: the test set.
    """

    spec: FeatureSpec
    params: ModelParams
    words: tuple[int, ...]
    found: tuple[Example, ...]
    test: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a scenario's data comes to; the same for every seed but for the order of `samples`.

    Args:
        spec: the feature spec.
        params: the shape of the model.
        words: the model's words to begin with.
        samples: what contributors find, with true labels.
        test: the test set, decoded.
        test_rows: how many rows it has.
    """

    spec: FeatureSpec
    params: ModelParams
    words: tuple[int, ...]
    samples: tuple[Sample, ...]
    test: Batch
    test_rows: int

    def correct(self, replica: Replica) -> int:
        """How many rows of the test set a model predicts right."""
        return replica.agree(self.test).bit_count()


class Pool:
    """Samples in an order of their own, again and again.

    Args:
        samples: the samples, with true labels.
        classes: how many labels there are.
        seed: of the order.
    """

    def __init__(self, samples: Sequence[Sample], classes: int, seed: str) -> None:
        self._samples = samples
        self._random = random.Random(seed)  # noqa: S311 - an order, not a secret
        self._next: Iterator[Sample] = iter(())
        self.classes = classes

    def draw(self) -> Sample:
        """The next sample."""
        for sample in self._next:
            return sample
        order = list(self._samples)
        # random() is the one source of numbers that Python promises to keep.
        for last in range(len(order) - 1, 0, -1):
            other = int(self._random.random() * (last + 1))
            order[last], order[other] = order[other], order[last]
        self._next = iter(order)
        return self.draw()


def prepare(scenario: Scenario, *, folder: Path, note: Callable[[str], None] = lambda _: None) -> Prepared:
    """Read the data of a scenario, and make samples of it.

    Args:
        scenario: names the data.
        folder: where relative names of files are looked for.
        note: is told of an encoding other than UTF-8.

    Raises:
        BadInput: the data is not there, or cannot be used.
    """
    gathered = gather(scenario.data, scenario.features, scenario.model, folder=folder, note=note)
    tests = b"".join(example.sample.data for example in gathered.test)
    return Prepared(
        gathered.spec,
        gathered.params,
        gathered.words,
        tuple(example.sample for example in gathered.found),
        make_replica(gathered.params).read(tests),
        len(gathered.test),
    )


def gather(
    data: DataPlan,
    features: FeaturePlan,
    model: ModelPlan,
    *,
    folder: Path,
    note: Callable[[str], None] = lambda _: None,
) -> Gathered:
    """Read data, make samples of it, and train the model that it begins with.

    Args:
        data: where it is.
        features: how rows become samples.
        model: what they train.
        folder: where relative names of files are looked for.
        note: is told of an encoding other than UTF-8.

    Raises:
        BadInput: the data is not there, or cannot be used.
    """
    train = _read(data, data.train, folder, features, note)
    test = _read(data, data.test, folder, features, note) if data.test else []
    if not data.test:
        train, test = _split(train, data.test_share)
    if data.limit:
        train, test = train[: data.limit], test[: data.limit]
    spec = _spec(data, features, train, folder)
    params = model_params(spec, **model.options())
    examples, tests = _examples(train, spec), _examples(test, spec)
    if len(examples) <= data.initial or not tests:
        raise BadInput(
            f"The data gives {len(examples):,} samples, {data.initial:,} of which the model starts with, and "
            f"{len(tests):,} to test.",
            hint="Lower initial in [data], or name more data.",
        )
    initial, found = examples[: data.initial], examples[data.initial :]
    words = words_from_samples([example.sample.data for example in initial], params) if initial else []
    return Gathered(spec, params, tuple(words), tuple(found), tuple(tests))


def _read(
    data: DataPlan, names: Sequence[str], folder: Path, features: FeaturePlan, note: Callable[[str], None]
) -> list[Row]:
    """All rows, in an order that is the same each time and has the labels mixed."""
    rows: list[Row] = []
    for name in names:
        if name in BUNDLED:
            rows += _bundled(name, data.labels)
            continue
        for place in _places(name, folder):
            column = features.vector_column if features.kind == "dense" else ""
            rows += read_rows(Source(place), note=note, vector_column=column)
    order = random.Random("order")  # noqa: S311 - an order, not a secret
    keyed = [(order.random(), number) for number in range(len(rows))]
    return [rows[number] for _, number in sorted(keyed)]


def _places(name: str, folder: Path) -> list[str]:
    if name.startswith("hf:"):
        return [name]
    try:
        places = sorted(str(path) for path in folder.glob(name)) if not Path(name).is_absolute() else [name]
    except ValueError as error:
        raise BadInput(
            f"{shown(name)} is no name of a file, and no pattern of names: {error}.", hint="Name a file."
        ) from error
    if not places:
        raise BadInput(
            f"There is no {name} in the folder {folder.absolute()}.",
            hint="Name the folder that the data is in: --data FOLDER",
        )
    return places


def _bundled(name: str, labels: Sequence[str]) -> list[Row]:
    """A data set of scikit-learn: its numbers as cells, and as a vector."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    if len(labels) != len(loaded.target_names):
        raise BadInput(
            f"labels in [data] of the scenario has {len(labels)}, and {name} has {len(loaded.target_names)}.",
            hint=f"Write labels for {', '.join(map(str, loaded.target_names))}, in this order.",
        )
    names = [str(column) for column in loaded.feature_names]
    return [
        Row(
            number,
            {"label": labels[target]}
            | {column: f"{cell:.6g}" for column, cell in zip(names, cells, strict=True)},
            vector=cells,
        )
        for number, (cells, target) in enumerate(zip(loaded.data, loaded.target, strict=True), start=1)
    ]


def _split(rows: list[Row], share: float) -> tuple[list[Row], list[Row]]:
    edge = len(rows) - int(len(rows) * share)
    return rows[:edge], rows[edge:]


def _spec(data: DataPlan, features: FeaturePlan, rows: Sequence[Row], folder: Path) -> FeatureSpec:
    labels, most = list(data.labels), min(features.max_features, features.n_features)
    if features.kind == "dense":
        width = rows[0].vector.size if rows and rows[0].vector is not None else 0
        return FeatureSpec.dense(
            labels=labels, length=width, scale=features.scale, constant=features.constant
        )
    if features.kind == "tabular":
        if features.schema:
            return tabular_spec_from_schema(
                folder / features.schema, labels=labels, n_features=features.n_features, max_features=most
            )
        return _quantiles(data, features, rows)
    common: dict[str, Any] = {"text_column": data.text_column, "label_column": data.label_column}
    if not features.vocabulary:
        return FeatureSpec.text(labels=labels, n_features=features.n_features, max_features=most, **common)
    texts = column_of_texts(rows, data.text_column)
    words = learn_vocabulary(texts, features.vocabulary, analyzer="word", ngram_range=(1, 1), lowercase=True)
    most = min(features.max_features, len(words))
    return FeatureSpec.text(labels=labels, vocabulary=words, max_features=most, **common)


def _quantiles(data: DataPlan, features: FeaturePlan, rows: Sequence[Row]) -> FeatureSpec:
    """Every column but the label is a number, parted into equal shares."""
    if not rows:
        raise BadInput("The data has no rows to learn columns from.", hint="Name more data in [data].")
    names = [name for name in rows[0].cells if name != data.label_column]
    columns = {Column(name, "numeric", ("0",)): features.quantiles for name in names}
    bins = learn_bins(rows, columns, "the data")
    return FeatureSpec.tabular(
        labels=list(data.labels),
        columns=[replace(column, bins=bins[column.name]) for column in columns],
        n_features=features.n_features,
        max_features=min(features.max_features, features.n_features),
        label_column=data.label_column,
    )


def _examples(rows: Sequence[Row], spec: FeatureSpec) -> list[Example]:
    """Rows that give a sample."""
    if not rows:
        return []
    return [
        Example(row, Sample(made.sample, made.units))
        for row, made in zip(rows, featurize(rows, spec), strict=True)
        if isinstance(made, FeaturizedRow)
    ]
