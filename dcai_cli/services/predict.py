"""Predictions, free for everybody: one by the contract, many by the replica on a copy of its weights."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections import deque
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
from dcai_cli.files import write_output
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
        for result, predicted in classes_of(replica, featurized):
            row = kept.popleft()
            if isinstance(result, Skipped):
                yield row, Prediction(row.number, None, result.reason)
            else:
                yield row, Prediction(row.number, model.spec.labels[predicted])


def classes_of(
    replica: Replica, featurized: Iterable[FeaturizedRow | Skipped]
) -> Iterator[tuple[FeaturizedRow | Skipped, int]]:
    """Each result of featurizing with its predicted class, which means nothing where a row has no sample."""
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
        write_output(path, file)
        text.detach()
    return count
