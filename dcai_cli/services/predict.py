"""Predictions, free for everybody: one by the contract, many by the replica on a copy of its weights."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.readers import Source, json_cells, open_rows, read_rows
from dcai_cli.files import write_atomically
from dcai_cli.services.models import HostedModel, find_model, snapshot

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one row.

    Args:
        row: the row's number; 1 for a text typed on the command line.
        label: the label, None if the row has no features.
        reason: why it has none.
    """

    row: int
    label: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How well a model does on one class.

    Args:
        label: the class's label.
        rows: rows that have it.
        precision: of the rows predicted so, the share that have it; None if none was.
        recall: of the rows that have it, the share predicted so; None if there are none.
    """

    label: str
    rows: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model does on labelled rows.

    Args:
        model: the model.
        rows: rows that were predicted.
        correct: rows predicted right.
        classes: the figures of each class.
        skipped: rows that cannot be predicted, with the reason.
    """

    model: HostedModel
    rows: int
    correct: int
    classes: tuple[ClassFigures, ...]
    skipped: tuple[Skipped, ...]

    @property
    def accuracy(self) -> float:
        """Share of the rows predicted right."""
        return self.correct / self.rows


def predict_text(
    workspace: Workspace, text: str, *, model: str | None = None
) -> tuple[HostedModel, Prediction]:
    """Ask the contract for one prediction.

    Args:
        workspace: the opened parts.
        text: the text; for a tabular model a JSON object of column to cell.
        model: name or address, or None.

    Raises:
        BadInput: the text has no features, or is not the JSON object that a tabular model needs.
    """
    hosted = find_model(workspace, model)
    if hosted.spec.kind == "text":
        cells, hint = {hosted.spec.text_column: text}, "Type more of it."
    else:
        cells, hint = _cells(text, hosted.spec)
    (row,) = featurize([Row(1, cells)], hosted.spec, with_labels=False)
    if isinstance(row, Skipped):
        raise BadInput(f"{text!r} cannot be predicted: {row.reason}.", hint=hint)
    labels = workspace.chain.view("CollaborativeTrainer", hosted.address, "predict", row.sample)
    return hosted, Prediction(1, hosted.spec.labels[labels[0]])


def _cells(text: str, spec: FeatureSpec) -> tuple[dict[str, str], str]:
    """The cells of a row typed as JSON, a missing one being empty; and how such a row looks."""
    example = json.dumps({column.name: "..." for column in spec.columns}, ensure_ascii=False)
    hint = f"Write the columns as a JSON object, such as '{example}', or use --file FILE."
    try:
        cells = json_cells(repr(text), text)
    except BadInput as error:
        raise UsageError(f"This model reads tables. {error.message}", hint=hint) from None
    return {column.name: cells.get(column.name, "") for column in spec.columns}, hint


def predict_file(
    workspace: Workspace,
    file: Source | Path,
    *,
    model: str | None = None,
    text_column: str | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[HostedModel, list[Row], list[Prediction]]:
    """Predict every row of a file.

    Returns:
        The model, the rows, and a prediction for each.
    """
    hosted = find_model(workspace, model)
    rows = read_rows(file, note=note)
    featurized = list(featurize(rows, hosted.spec, text_column=text_column, with_labels=False, note=note))
    classes = _classes(workspace, hosted, featurized)
    predictions = [
        Prediction(row.row, None, row.reason)
        if isinstance(row, Skipped)
        else Prediction(row.number, hosted.spec.labels[classes[row.number]])
        for row in featurized
    ]
    return hosted, rows, predictions


def _classes(
    workspace: Workspace, model: HostedModel, featurized: Sequence[FeaturizedRow | Skipped]
) -> Mapping[int, int]:
    """The predicted class of each usable row, by its number."""
    usable = [row for row in featurized if isinstance(row, FeaturizedRow)]
    if not usable:
        return {}
    predicted = snapshot(workspace.chain, model).predict(b"".join(row.sample for row in usable))
    return {row.number: int(found) for row, found in zip(usable, predicted, strict=True)}


def write_predictions(path: Path, rows: Sequence[Row], predictions: Sequence[Prediction]) -> None:
    """Write rows with their predictions as csv; a row without features has an empty prediction.

    Raises:
        BadInput: the file has a column called `prediction` already.
    """
    names = list(rows[0].cells)
    if "prediction" in names:
        raise BadInput("The file has a column 'prediction' already.", hint="Rename it.")
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*names, "prediction"])
    for row, prediction in zip(rows, predictions, strict=True):
        writer.writerow([*(row.cells[name] for name in names), prediction.label or ""])
    write_atomically(path, text.getvalue().encode(), mode=0o644)


def evaluate_file(
    workspace: Workspace,
    file: Source | Path,
    *,
    model: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    skip: int = 0,
    note: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Measure a model on labelled rows.

    Args:
        workspace: the opened parts.
        file: the rows.
        model: name or address, or None.
        text_column: column of the text, over the spec's.
        label_column: column of the label, over the spec's.
        skip: leave out so many rows at the start: those that the model was trained on.
        note: is told of an encoding other than UTF-8, and of columns that a tabular model does not use.

    Raises:
        BadInput: no row can be predicted.
    """
    hosted = find_model(workspace, model)
    with open_rows(file, note=note) as rows:
        featurized = list(
            featurize(
                rows.part(skip=skip),
                hosted.spec,
                text_column=text_column,
                label_column=label_column,
                note=note,
            )
        )
    classes = _classes(workspace, hosted, featurized)
    if not classes:
        first = next((f"; row {row.row}: {row.reason}" for row in featurized if isinstance(row, Skipped)), "")
        raise BadInput(f"No row of {file} can be predicted{first}.", hint="Check the columns and the labels.")
    pairs = Counter((row.label, classes[row.number]) for row in featurized if isinstance(row, FeaturizedRow))
    return Evaluation(
        model=hosted,
        rows=len(classes),
        correct=sum(count for (label, found), count in pairs.items() if label == found),
        classes=tuple(_figures(pairs, number, label) for number, label in enumerate(hosted.spec.labels)),
        skipped=tuple(row for row in featurized if isinstance(row, Skipped)),
    )


def _figures(pairs: Counter[tuple[int | None, int]], number: int, label: str) -> ClassFigures:
    right = pairs[number, number]
    predicted = sum(count for (_, found), count in pairs.items() if found == number)
    actual = sum(count for (true, _), count in pairs.items() if true == number)
    return ClassFigures(
        label=label,
        rows=actual,
        precision=right / predicted if predicted else None,
        recall=right / actual if actual else None,
    )
