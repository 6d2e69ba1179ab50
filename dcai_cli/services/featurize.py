"""Featurizing a file without a model on a chain: what each row would send, and back again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcai_cli.domain import Vector
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize_parts
from dcai_cli.features.payload import decode_payload, encode_sample
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.spec import FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcai_cli.domain import Wire
    from dcai_cli.features.table_samples import TableSamples
    from dcai_cli.services.workspace import Workspace

    _Arrays = tuple[NDArray[np.integer[Any]], ...]


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
        note: is told of an encoding other than UTF-8, and of columns that a tabular model does not use.

    Returns:
        For each row its sample, encoded and decoded again, or why it has none.

    Raises:
        BadInput: the source, or a column of it, cannot be used; while iterating: a row cannot be read.
    """
    with open_rows(source, note=note) as rows:
        parts = featurize_parts(
            rows.part(limit=limit),
            spec,
            text_column=text_column,
            label_column=label_column,
            with_labels=with_labels,
            note=note,
        )
        labels = spec.labels if with_labels else (None,) * len(spec.labels)
        yield chain.from_iterable(_read_back(part, spec.wire, labels) for part in parts)


def _read_back(
    part: TableSamples | FeaturizedRow | Skipped, wire: Wire, labels: Sequence[str | None]
) -> Iterable[FeaturizedSample | Skipped]:
    """The samples as they are read from their bytes."""
    if isinstance(part, Skipped):
        return (part,)
    if not isinstance(part, FeaturizedRow):
        return _read_block(part, wire, labels)
    ((label, vector),) = decode_payload(part.sample, wire)
    if encode_sample(label, vector, wire) != part.sample or label != (part.label or 0):
        raise _other(f"Row {part.number}")
    return (FeaturizedSample(part.number, labels[label], vector, part.sample, part.cut),)


def _read_block(
    part: TableSamples, wire: Wire, labels: Sequence[str | None]
) -> Iterator[FeaturizedSample | Skipped]:
    import numpy as np

    from dcai_cli.features.payload_arrays import decode_samples

    decoded: _Arrays = decode_samples(part.data, part.offsets, wire)
    rows = part.made.rows
    sent: _Arrays = (part.made.labels, rows.indptr, rows.indices, rows.counts)
    if not all(np.array_equal(one, other) for one, other in zip(decoded, sent, strict=True)):
        raise _other(f"A row from {part.block.first} on")
    classes, indptr, indices, values = (array.tolist() for array in decoded)
    bounds, cut = part.offsets.tolist(), part.made.is_cut.tolist()
    numbers = (part.block.first + part.made.places).tolist()
    for at in part.in_order():
        if isinstance(at, Skipped):
            yield at
            continue
        stretch = slice(indptr[at], indptr[at + 1])
        yield FeaturizedSample(
            row=numbers[at],
            label=labels[classes[at]],
            vector=Vector(tuple(indices[stretch]), tuple(values[stretch])),
            payload=part.data[bounds[at] : bounds[at + 1]],
            cut=cut[at],
        )


def _other(what: str) -> DcaiError:
    return DcaiError(f"{what} does not come back from its payload as it went: a fault of dcai.")
