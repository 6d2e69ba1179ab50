"""Everything contributed, as a file: the data stays available for every future use.

Samples are written batch by batch, so memory does not grow with them; the file or folder has its name only
when it is whole.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dcai_cli.domain import LAST_TIMESTAMP, Vector, iso_time
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.payload import decode_payload
from dcai_cli.features.recover import NUMBERS, VALUE, WORDS, Cell, Recover, recoverable
from dcai_cli.files import make_folder_atomically, open_atomically, open_output, write_atomically
from dcai_cli.services.data_card import data_card

if TYPE_CHECKING:
    import pyarrow as pa

    from dcai_cli.services.history import Fate, History, PastBatch
    from dcai_cli.services.models import HostedModel

CSV, PARQUET, HUGGING_FACE = EXPORT_FORMATS = ("csv", "parquet", "hf")
"""What can be written: a table of text, a typed table, or a folder that `datasets.load_dataset` reads."""

GROUP_SAMPLES = 8_192
"""About so many samples are encoded at once."""

FILE_SAMPLES = 1_000_000
"""A file of a data set has so many samples at most; others go on in the next."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample on-chain, and all that is known of it."""

    batch: PastBatch
    index: int
    label: int
    vector: Vector
    fate: Fate


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an export.

    Args:
        name: its name.
        type: what its cells are: text, class, int, int16, bool, time, texts, indices, values, numbers.
        meaning: in words, for the data card.
        cell: the cell of a sample; None if there is nothing to say.
    """

    name: str
    type: str
    meaning: str
    cell: Callable[[Sample], Any]


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported.

    Args:
        model: the model.
        output: the file or folder.
        format: one of `EXPORT_FORMATS`.
        batches: batches in it.
        samples: rows in it.
        columns: their names.
        to_block: the last block that was read.
    """

    model: HostedModel
    output: Path
    format: str
    batches: int
    samples: int
    columns: tuple[str, ...]
    to_block: int


def export_format(output: Path, format: str | None) -> str:  # noqa: A002 - the option's name
    """The format that is meant: the one that is named, or that the ending of the output says, or csv.

    Raises:
        UsageError: there is no such format, or the two contradict.
    """
    ending = output.suffix.lower().removeprefix(".")
    said = ending if ending in {CSV, PARQUET} else None
    if format is not None and format not in EXPORT_FORMATS:
        raise UsageError(
            f"{format!r} is no format to export to.", hint=f"Choose one of {', '.join(EXPORT_FORMATS)}."
        )
    if format is not None and said is not None and format != said:
        raise UsageError(
            f"--output {output} says {said}, and --format says {format}.", hint="Name another file or folder."
        )
    return format or said or CSV


def export_data(
    history: History,
    output: Path,
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Export:
    """Write one row per sample of a history.

    Args:
        history: what was read.
        output: the file, or for csv `STREAM`; for hf a folder that is not there, or empty.
        format: one of `EXPORT_FORMATS`; what the ending of the output says if None.
        progress: gets (samples written, samples in all).

    Raises:
        UsageError: there is no such format, or the folder is not empty.
        BadInput: there are no samples for a data set.
        DcaiError: the output cannot be written.
    """
    format = export_format(output, format)  # noqa: A001 - the option's name
    if format == HUGGING_FACE and not history.samples:
        raise BadInput(
            f"{history.model.name} has no samples in these blocks, and `datasets` loads no empty data set.",
            hint=f"Contribute first: dcai contribute FILE --model {history.model.typed}; "
            "or export to csv or parquet.",
        )
    columns = export_columns(history.model)
    samples = _counted(_samples(history), history.samples, progress)
    if format == CSV:
        columns = [column for column in columns if column.name not in {"indices", "values"}]
        with open_output(output) as file:
            _write_csv(file, columns, samples)
    else:
        columns = [column for column in columns if column.name != "features"]
        if format == PARQUET:
            with open_atomically(output, mode=0o644) as file:
                _write_parquet(file, columns, samples)
        else:
            columns = [column for column in columns if column.name != "class"]
            with make_folder_atomically(output) as folder:
                _write_data_set(folder, history, columns, samples)
    return Export(
        model=history.model,
        output=output,
        format=format,
        batches=len(history.batches),
        samples=history.samples,
        columns=tuple(column.name for column in columns),
        to_block=history.to_block,
    )


def export_columns(model: HostedModel) -> list[ExportColumn]:
    """The columns of all formats; some have what others say in another way."""
    labels = model.spec.labels
    amounts = (
        ("deposit_wei", "deposit of the sample, in wei; the next three and what is still open make it up"),
        ("refunded_wei", "what came back to the contributor by a refund"),
        ("reported_wei", "what reporters took, since the model disagreed with the sample"),
        ("swept_wei", "what was swept after the public or owner wait"),
    )
    columns = [
        ExportColumn("batch", "int", "number of the batch, from 0", lambda at: at.batch.id),
        ExportColumn("index", "int16", "number of the sample in its batch, from 0", lambda at: at.index),
        ExportColumn("contributor", "text", "address of who contributed it", lambda at: at.batch.contributor),
        ExportColumn("label", "class", "the label that it was contributed with", lambda at: labels[at.label]),
        ExportColumn("features", "text", "`index:value` of each feature, separated by spaces", _pairs),
        ExportColumn("added_at", "time", "when it was contributed, by the chain's clock", _added_at),
        ExportColumn(
            "state",
            "text",
            "what became of it: open, refunded, reported (others took its deposit, or a part of it) or swept",
            lambda at: at.fate.state,
        ),
        ExportColumn("class", "int16", "position of the label, from 0", lambda at: at.label),
        ExportColumn(
            "indices", "indices", "indices of its features, rising", lambda at: list(at.vector.indices)
        ),
        ExportColumn("values", "values", "a value for each of them", lambda at: list(at.vector.values)),
        ExportColumn(
            "informative",
            "bool",
            "whether the model predicted another label just before it learned it",
            lambda at: bool(at.batch.informative >> at.index & 1),
        ),
        ExportColumn(
            "units", "int16", "what it was priced by: 64 features each", lambda at: at.batch.units[at.index]
        ),
        *(ExportColumn(name, "text", meaning, partial(_amount, name)) for name, meaning in amounts),
        ExportColumn(
            "lost_wei",
            "text",
            "of the deposit, what went to others than the contributor",
            lambda at: str(at.fate.lost_wei),
        ),
        ExportColumn(
            "reported_by", "texts", "addresses of who reported it", lambda at: list(at.fate.reported_by)
        ),
        ExportColumn("swept_by", "text", "address of who swept it", lambda at: at.fate.swept_by),
        ExportColumn("block", "int", "block in which it was contributed", lambda at: at.batch.block_number),
        ExportColumn(
            "transaction",
            "text",
            "transaction by which it was contributed",
            lambda at: at.batch.transaction_hash,
        ),
    ]
    recovered = {
        WORDS: ("texts", "the n-grams of the vocabulary that it has"),
        NUMBERS: ("numbers", "the vector, as rounded to the model's steps"),
        VALUE: ("text", "what its hash says of this column of the row; nothing where it does not tell"),
    }
    for name, (kind, recover) in recoverable(model.spec).items():
        type_, meaning = recovered[kind]
        columns.append(ExportColumn(name, type_, meaning, partial(_recovered, recover)))
    return columns


def _amount(name: str, at: Sample) -> str:
    return str(getattr(at.fate, name))


def _recovered(recover: Recover, at: Sample) -> Cell:
    return recover(at.vector)


def _pairs(at: Sample) -> str:
    pairs = zip(at.vector.indices, at.vector.values, strict=True)
    return " ".join(f"{position}:{value}" for position, value in pairs)


def _added_at(at: Sample) -> int:
    return min(at.batch.added_at, LAST_TIMESTAMP)


def _samples(history: History) -> Iterator[Sample]:
    for batch in history.batches:
        for index, (label, vector) in enumerate(decode_payload(history.payload(batch), history.model.wire)):
            yield Sample(batch, index, label, vector, batch.fate(index))


def _counted(samples: Iterator[Sample], total: int, progress: Callable[[int, int], None]) -> Iterator[Sample]:
    for done, sample in enumerate(samples, start=1):
        yield sample
        if done % 256 == 0 or done == total:
            progress(done, total)


def _write_csv(file: BinaryIO, columns: Sequence[ExportColumn], samples: Iterator[Sample]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow([column.name for column in columns])
    for sample in samples:
        writer.writerow([_text(column, column.cell(sample)) for column in columns])
    text.detach()


def _text(column: ExportColumn, cell: Any) -> Any:  # noqa: ANN401 - cells of every type
    """A cell as a csv has it."""
    if cell is None:
        return ""
    if column.type == "time":
        return iso_time(cell)
    if column.type == "bool":
        return "true" if cell else "false"
    if column.name == "reported_by":
        return " ".join(cell)
    return json.dumps(cell, ensure_ascii=False) if isinstance(cell, list) else cell


def _write_parquet(
    file: BinaryIO, columns: Sequence[ExportColumn], samples: Iterator[Sample], labels: Sequence[str] = ()
) -> int:
    """Write samples, a group at a time.

    Args:
        file: gets the bytes.
        columns: what of them.
        samples: the samples.
        labels: if given, labels become their positions, named as `datasets` reads it.

    Returns:
        How many there were.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _arrow_schema(columns, labels)
    places = {label: place for place, label in enumerate(labels)}
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(samples, GROUP_SAMPLES)):
            arrays = []
            for column, kind in zip(columns, schema.types, strict=True):
                cells: Iterator[Any] = map(column.cell, group)
                if column.type == "class" and labels:
                    cells = map(places.__getitem__, cells)
                elif column.type == "time":
                    cells = (cell * 1000 for cell in cells)
                arrays.append(pa.array(cells, type=kind, size=len(group)))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(group)
    return count


def _arrow_schema(columns: Sequence[ExportColumn], labels: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "class": pa.int64() if labels else pa.string(),
        "int": pa.int64(),
        "int16": pa.int16(),
        "bool": pa.bool_(),
        "time": pa.timestamp("ms", tz="UTC"),
        "texts": pa.list_(pa.string()),
        "indices": pa.list_(pa.int32()),
        "values": pa.list_(pa.int16()),
        "numbers": pa.list_(pa.float64()),
    }
    return pa.schema([(column.name, types[column.type]) for column in columns])


def _write_data_set(
    folder: Path, history: History, columns: Sequence[ExportColumn], samples: Iterator[Sample]
) -> None:
    """Write a folder that `datasets.load_dataset` reads: parquet files, the feature spec, and a data card."""
    labels = history.model.spec.labels
    for number in range(max(1, -(-history.samples // FILE_SAMPLES))):
        with open_atomically(folder / "data" / f"train-{number:05}.parquet", mode=0o644) as file:
            _write_parquet(file, columns, islice(samples, FILE_SAMPLES), labels)
    (folder / "data").chmod(0o755)
    spec = history.model.spec.to_json().encode() + b"\n"
    write_atomically(folder / "feature-spec.json", spec, mode=0o644)
    card = data_card(history, [(column.name, column.type, column.meaning) for column in columns])
    write_atomically(folder / "README.md", card.encode(), mode=0o644)
