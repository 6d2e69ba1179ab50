"""Rows of a file to samples of a model: one entry for every command that reads data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.columns import is_blank
from dcai_cli.features.hashing import is_cut, vectorize
from dcai_cli.features.payload import encode_sample, sample_units
from dcai_cli.features.spec import FeatureSpec

Fault = Literal["empty", "unknown-label", "no-sample", "repeat", "too-large"]
"""Why a row gives no sample: nothing in its cells, a label of another model, cells without features or that
are no numbers, the same as an earlier row, or more than a transaction takes."""


@dataclass(frozen=True, slots=True)
class FeaturizedRow:
    """One row as the model reads it.

    Args:
        number: the row's number in its file.
        label: its class; None where labels are not read (the sample then says 0).
        sample: the bytes on the wire.
        n_indices: features of the sample.
        cut: whether it had more, and lost the rarest to the spec's `max_features`.
        units: its size for pricing.
        key: SHA-256 of the cells that were used and the label: two rows with the same key are repeats.
        content: 16 bytes of a hash of the cells that were used, without the label.
    """

    number: int
    label: int | None
    sample: bytes
    n_indices: int
    cut: bool
    units: int
    key: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that gives no sample, and why.

    Args:
        row: the row's number in its file.
        reason: a phrase for people.
        fault: the same as one of a few words.
    """

    row: int
    reason: str
    fault: Fault


def featurize(
    rows: Iterable[Row],
    spec: FeatureSpec,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = True,
) -> Iterator[FeaturizedRow | Skipped]:
    """Turn rows into samples, one by one and in order.

    Args:
        rows: rows with the same columns; the first is taken at once, the others when they are asked for.
        spec: the model's feature spec.
        text_column: the column of the text, where the file calls it otherwise than the spec.
        label_column: the column of the label, likewise.
        with_labels: whether to read labels; predictions need none.

    Returns:
        For each row a sample, or the reason why it has none.

    Raises:
        BadInput: a column is missing; raised at the call, before any row.
        UsageError: a text column for a tabular model.

    >>> spec = FeatureSpec.text(labels=["ham", "spam"], n_features=4096)
    >>> rows = [Row(1, {"text": "hello", "label": "spam"}), Row(2, {"text": "!", "label": "ham"})]
    >>> for row in featurize(rows, spec):
    ...     print(row.sample.hex() if isinstance(row, FeaturizedRow) else row.reason)
    0100010a47
    no features: the text has no word of two or more letters or digits
    """
    if text_column is not None:
        if spec.kind != "text":
            raise UsageError(
                "--text-column is for text models, this model reads tables.", hint="Leave it out."
            )
        spec = replace(spec, text_column=text_column)
    if label_column is not None and with_labels:
        spec = replace(spec, label_column=label_column)
    used = [spec.text_column] if spec.kind == "text" else [column.name for column in spec.columns]
    rest = iter(rows)
    first = next(rest, None)
    if first is None:
        return iter(())
    _check_columns([*used, spec.label_column] if with_labels else used, list(first.cells), spec)
    return (_featurize_row(row, spec, used, with_labels=with_labels) for row in chain([first], rest))


def _check_columns(needed: list[str], present: list[str], spec: FeatureSpec) -> None:
    for name in needed:
        if name not in present:
            options = {spec.label_column: "--label-column"}
            if spec.kind == "text":
                options[spec.text_column] = "--text-column"
            other = f", or name another with {options[name]}" if name in options else ""
            raise BadInput(
                f"There is no column {name!r}; the columns are: {', '.join(present)}.",
                hint=f"Rename the column in the file{other}.",
            )


def _featurize_row(
    row: Row, spec: FeatureSpec, used: list[str], *, with_labels: bool
) -> FeaturizedRow | Skipped:
    cell = row.cells[spec.label_column] if with_labels else None
    cells = [row.cells[name] for name in used]
    if cell is not None and cell not in spec.labels:
        reason = f"unknown label {cell!r}; the model knows {', '.join(spec.labels)}"
        return Skipped(row.number, reason, "unknown-label")
    try:
        vector = vectorize(spec, row.cells)
    except BadInput as error:
        return Skipped(row.number, error.message, "empty" if all(map(is_blank, cells)) else "no-sample")
    label = None if cell is None else spec.labels.index(cell)
    size = len(vector.indices)
    wire = spec.wire
    written = json.dumps(cells).encode()
    return FeaturizedRow(
        number=row.number,
        label=label,
        sample=encode_sample(label or 0, vector, wire),
        n_indices=size,
        cut=size == spec.max_features and is_cut(spec, row.cells),
        units=sample_units(vector, wire),
        key=hashlib.sha256(b"[%b, %b]" % (written, json.dumps(cell).encode())).digest(),
        content=hashlib.blake2b(written, digest_size=16).digest(),
    )
