"""Predictions, free for everybody: one by the contract, many by the replica on a copy of its weights."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, DcaiError, UsageError, shown
from dcai_cli.features.dense import DENSE
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.readers import Source, json_cells, open_rows
from dcai_cli.files import write_atomically
from dcai_cli.services.models import HostedModel, find_model, snapshot

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace

_CHUNK_ROWS = 1024
"""Rows that are predicted at once."""


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
    workspace: Workspace,
    text: str,
    *,
    model: str | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[HostedModel, Prediction]:
    """Ask the contract for one prediction.

    Args:
        workspace: the opened parts.
        text: the text; for a tabular model a JSON object of column to cell, for one of vectors without an
            encoder a JSON array of numbers.
        model: name or address, or None.
        note: is told of columns that the model does not use.

    Raises:
        BadInput: the text has no features, or is not the JSON object that a tabular model needs.
    """
    hosted = find_model(workspace, model)
    if hosted.spec.kind == "text":
        cells, hint = {hosted.spec.text_column: text}, "Type more of it."
    elif hosted.spec.encoder is not None:
        cells, hint = {hosted.spec.encoder.text_column: text}, "Type more of it."
    elif hosted.spec.kind == DENSE:
        cells = {hosted.spec.vector_column: text}
        hint = f"Write {hosted.spec.length} numbers as JSON, such as '[0.1, -0.2, ...]', or use --file."
    else:
        cells, hint = _cells(text, hosted.spec)
    (row,) = featurize([Row(1, cells)], hosted.spec, with_labels=False, note=note)
    if isinstance(row, Skipped):
        raise BadInput(f"{shown(text)} cannot be predicted: {row.reason}.", hint=hint)
    classes = workspace.chain.view("CollaborativeTrainer", hosted.address, "predict", row.sample)
    if len(classes) != 1 or classes[0] >= len(hosted.spec.labels):
        raise DcaiError(
            f"The node answers with the classes {classes[:3]} for one text; the model has "
            f"{len(hosted.spec.labels)} classes.",
            hint="Ask another node: --rpc-url URL",
        )
    return hosted, Prediction(1, hosted.spec.labels[classes[0]])


def _cells(text: str, spec: FeatureSpec) -> tuple[dict[str, str], str]:
    """The cells of a row typed as JSON, a missing one being empty; and how such a row looks."""
    example = json.dumps({column.name: "..." for column in spec.columns}, ensure_ascii=False)
    hint = f"Write the columns as a JSON object, such as '{example}', or use --file FILE."
    try:
        cells = json_cells(repr(text), text)
    except BadInput as error:
        raise UsageError(f"This model reads tables. {error.message}", hint=hint) from None
    return dict.fromkeys((column.name for column in spec.columns), "") | cells, hint


def predict_file(
    workspace: Workspace,
    file: Source | Path,
    *,
    model: str | None = None,
    text_column: str | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[HostedModel, Iterator[tuple[Row, Prediction]]]:
    """Predict every row of a file; a part of it is in memory at a time.

    Returns:
        The model, and each row with its prediction. The weights are read at the call.

    Raises:
        BadInput: the file cannot be read, or has not the model's columns; a fault further down is raised when
            its row is reached.
    """
    hosted = find_model(workspace, model)
    replica = snapshot(workspace.chain, hosted)
    kept: deque[Row] = deque()
    source = open_rows(file, note=note, vector_column=hosted.spec.vector_column)
    with ExitStack() as closing:
        closing.enter_context(source)
        featurized = featurize(
            _keep(source, kept), hosted.spec, text_column=text_column, with_labels=False, note=note
        )
        opened = closing.pop_all()
    return hosted, _predictions(opened, hosted, replica, featurized, kept)


def _keep(rows: Iterable[Row], kept: deque[Row]) -> Iterator[Row]:
    """Pass rows on, and keep them until their results are there."""
    for row in rows:
        kept.append(row)
        yield row


def _predictions(
    opened: ExitStack,
    model: HostedModel,
    replica: Replica,
    featurized: Iterator[FeaturizedRow | Skipped],
    kept: deque[Row],
) -> Iterator[tuple[Row, Prediction]]:
    with opened:
        for result, predicted in _classes(replica, featurized):
            row = kept.popleft()
            if isinstance(result, Skipped):
                yield row, Prediction(row.number, None, result.reason)
            else:
                yield row, Prediction(row.number, model.spec.labels[predicted])


def _classes(
    replica: Replica, featurized: Iterable[FeaturizedRow | Skipped]
) -> Iterator[tuple[FeaturizedRow | Skipped, int]]:
    """Each result with its predicted class, which means nothing where a row has no sample."""
    results = iter(featurized)
    while chunk := list(islice(results, _CHUNK_ROWS)):
        payload = b"".join(row.sample for row in chunk if isinstance(row, FeaturizedRow))
        predicted = iter(replica.predict(payload).tolist() if payload else ())
        for row in chunk:
            yield row, 0 if isinstance(row, Skipped) else next(predicted)


def write_predictions(path: Path, predictions: Iterable[tuple[Row, Prediction]]) -> int:
    """Write rows with their predictions as csv; a row without features has an empty prediction.

    Returns:
        The number of rows.

    Raises:
        BadInput: the file has a column called `prediction` already.
    """
    count, columns = 0, list[str]()
    with tempfile.TemporaryFile() as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text)
        for count, (row, prediction) in enumerate(predictions, start=1):
            if count == 1:
                if "prediction" in row.cells:
                    raise BadInput("The file has a column 'prediction' already.", hint="Rename it.")
                columns = list(row.cells)
                writer.writerow([*columns, "prediction"])
            writer.writerow([*(row.cells.get(name, "") for name in columns), prediction.label or ""])
        text.flush()
        file.seek(0)
        write_atomically(path, file, mode=0o644)
        text.detach()
    return count


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
    pairs: Counter[tuple[int | None, int]] = Counter()
    skipped: list[Skipped] = []
    with open_rows(file, note=note, vector_column=hosted.spec.vector_column) as rows:
        featurized = featurize(
            rows.part(skip=skip),
            hosted.spec,
            text_column=text_column,
            label_column=label_column,
            note=note,
        )
        for row, predicted in _classes(snapshot(workspace.chain, hosted), featurized):
            if isinstance(row, Skipped):
                skipped.append(row)
            else:
                pairs[row.label, predicted] += 1
    if not pairs:
        if not skipped:
            raise BadInput(
                f"{file} has no rows behind the first {skip}.", hint="Leave out --skip, or lower it."
            )
        first = f"; row {skipped[0].row}: {skipped[0].reason}"
        raise BadInput(f"No row of {file} can be predicted{first}.", hint="Check the columns and the labels.")
    return Evaluation(
        model=hosted,
        rows=pairs.total(),
        correct=sum(count for (label, found), count in pairs.items() if label == found),
        classes=tuple(_figures(pairs, number, label) for number, label in enumerate(hosted.spec.labels)),
        skipped=tuple(skipped),
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
