"""Featurizing a file without a model on a chain: what each row would send, and back again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.features.cluster import featurizer
from dcai_cli.features.featurize import FeaturizedRow, Skipped, cut, featurize_parts
from dcai_cli.features.payload import decode_payload, encode_sample
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.spec import FeatureSpec

if TYPE_CHECKING:
    from dcai_cli.domain import Wire
    from dcai_cli.features.table_samples import TableSamples
    from dcai_cli.services.workspace import Workspace

FEW_ROWS = 4096
"""So many samples are read back before numpy is imported."""


@dataclass(frozen=True, slots=True)
class FeaturizedSample:
    """One row as it goes to the chain, read back from its bytes.

    Args:
        row: the row's number.
        label: its label; None where labels are not read.
        vector: indices and values, decoded from the payload.
        payload: a payload of this one sample.
        cut: whether it had more features than the spec's `max_features`.
    """

    row: int
    label: str | None
    vector: Vector
    payload: bytes
    cut: bool


def find_spec(name: str, open_workspace: Callable[[], Workspace]) -> FeatureSpec:
    """The feature spec that is meant: a file of JSON, or that of a model.

    Args:
        name: a file, or a model's name or address.
        open_workspace: called only if there is no such file.

    Raises:
        BadInput: the file is no feature spec.
        UsageError: there is neither such a file nor such a model.
    """
    path = Path(name)
    try:
        if path.is_file():
            return FeatureSpec.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.",
            hint="Name a file of JSON that you may read, or a model.",
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8.", hint="A feature spec is a file of JSON.") from error
    if path.suffix == ".json":
        raise BadInput(f"There is no file {path}.", hint="Check the name and the folder.")
    from dcai_cli.services.models import find_model

    with open_workspace() as workspace:
        return find_model(workspace, name).spec


@contextmanager
def featurized_samples(
    source: Source | Path,
    spec: FeatureSpec,
    *,
    limit: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = True,
    scheduler: str | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[Iterator[FeaturizedSample | Skipped]]:
    """Open a source and featurize it row by row.

    Args:
        source: the rows.
        spec: the feature spec.
        limit: rows read at most.
        text_column: column of the text, over the spec's.
        label_column: column of the label, over the spec's.
        with_labels: whether to read labels.
        scheduler: the address of a Dask cluster that featurizes; None for this process.
        note: is told of an encoding other than UTF-8, and of columns that a tabular model does not use.

    Yields:
        For each row its sample, encoded and decoded again, or why it has none.

    Raises:
        BadInput: the source, or a column of it, cannot be used; while iterating: a row cannot be read.
        DcaiError: the cluster cannot be used; see `features.cluster.featurizer`.
    """
    opened = open_rows(source, note=note, vector_column=spec.vector_column)
    with opened as rows, featurizer(scheduler) as featurize:
        # A cluster gives single rows; here the blocks of large tables stay together.
        parts = (featurize_parts if scheduler is None else featurize)(
            rows.part(limit=limit),
            spec,
            text_column=text_column,
            label_column=label_column,
            with_labels=with_labels,
            note=note,
        )
        yield _read_back(parts, spec, with_labels=with_labels)


def _read_back(
    parts: Iterator[TableSamples | FeaturizedRow | Skipped], spec: FeatureSpec, *, with_labels: bool
) -> Iterator[FeaturizedSample | Skipped]:
    """What samples say: blocks, if there are any, and the rows behind them."""
    for part in parts:
        if isinstance(part, FeaturizedRow | Skipped):
            rows = cast("Iterator[FeaturizedRow | Skipped]", chain([part], parts))
            yield from _read_rows(rows, spec, with_labels=with_labels)
        else:
            yield from _read_block(part, spec, with_labels=with_labels)


def _read_block(
    part: TableSamples, spec: FeatureSpec, *, with_labels: bool
) -> Iterator[FeaturizedSample | Skipped]:
    samples = [part.data[start:end] for start, end in pairwise(part.offsets.tolist())]
    decoded = _decode(samples, spec.wire)
    numbers = (part.block.first + part.made.places).tolist()
    labels, cut_off = part.made.labels.tolist(), part.made.is_cut.tolist()
    sizes = part.made.sizes().tolist()
    for at in part.in_order():
        if isinstance(at, Skipped):
            yield at
            continue
        label, vector = next(decoded)
        if label is None or label != labels[at] or len(vector.indices) != sizes[at]:
            raise _other(numbers[at])
        name = spec.labels[label] if with_labels else None
        yield FeaturizedSample(numbers[at], name, vector, samples[at], cut_off[at])


def _read_rows(
    rows: Iterator[FeaturizedRow | Skipped], spec: FeatureSpec, *, with_labels: bool
) -> Iterator[FeaturizedSample | Skipped]:
    """What samples say: the first of them read one by one, since numpy would take longer to import."""
    for row in islice(rows, FEW_ROWS):
        if isinstance(row, Skipped):
            yield row
        else:
            ((label, vector),) = decode_payload(row.sample, spec.wire)
            is_same = encode_sample(label, vector, spec.wire) == row.sample
            yield _sample(row, label if is_same else None, vector, spec, with_labels=with_labels)
    for chunk in cut(rows, lambda row: 0 if isinstance(row, Skipped) else row.n_indices):
        decoded = _decode([row.sample for row in chunk if isinstance(row, FeaturizedRow)], spec.wire)
        for row in chunk:
            yield (
                row
                if isinstance(row, Skipped)
                else _sample(row, *next(decoded), spec, with_labels=with_labels)
            )


def _decode(samples: Sequence[bytes], wire: Wire) -> Iterator[tuple[int | None, Vector]]:
    """Label and vector of each sample; no label if it is not written again as it was."""
    import numpy as np

    from dcai_cli.features.payload_arrays import decode_samples, encode_samples

    data = b"".join(samples)
    offsets = np.cumsum([0, *map(len, samples)], dtype=np.int64)
    found = decode_samples(data, offsets, wire)
    is_same = encode_samples(*found, wire)[0] == data
    labels, indptr, indices, values = (part.tolist() for part in found)
    for label, (first, last) in zip(labels, pairwise(indptr), strict=True):
        yield label if is_same else None, Vector(tuple(indices[first:last]), tuple(values[first:last]))


def _sample(
    row: FeaturizedRow, label: int | None, vector: Vector, spec: FeatureSpec, *, with_labels: bool
) -> FeaturizedSample:
    """A row with what was read back from its bytes; the label is None if they do not come out again."""
    if label is None or label != (row.label or 0) or len(vector.indices) != row.n_indices:
        raise _other(row.number)
    name = spec.labels[label] if with_labels else None
    return FeaturizedSample(row.number, name, vector, row.sample, row.cut)


def _other(row: int) -> DcaiError:
    return DcaiError(
        f"Row {row} does not come back from its payload as it went: a fault of dcai.",
        hint="Report it, with this row.",
    )
