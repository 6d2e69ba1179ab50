"""Rows of a file to samples of a model: one entry for every command that reads data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeGuard, TypeVar

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, UsageError, shown
from dcai_cli.features.dense import DENSE
from dcai_cli.features.hashing import is_cut, is_empty, vectorize
from dcai_cli.features.payload import Sample, encode_sample, sample_units
from dcai_cli.features.readers import RowSource
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text import WORD

if TYPE_CHECKING:
    from dcai_cli.features.encoders import LoadedEncoder
    from dcai_cli.features.table_samples import TableSamples

Item = TypeVar("Item")

Fault = Literal["empty", "unknown-label", "no-sample", "repeat", "too-large"]
"""Why a row gives no sample: nothing in its cells, a label of another model, cells without features or not
of their columns' types, the same as an earlier row, or more than a transaction takes."""

ASK_CHARACTERS = 2**23
"""How often the kernel is asked whether it pays: asking imports numpy, and less never pays."""

ROW_CHARACTERS = 40
"""What the kernel saves of a row beside its text, as if it were so many characters: some 6 microseconds."""

CHUNK_CHARACTERS = 2**20
CHUNK_ROWS = 4096
"""The kernel gets so much at once, characters or rows; of vectors, so many numbers are rounded at once."""

CHUNK_TEXTS = 256
"""An encoder gets so many texts at once."""
TEXT_SIZE = CHUNK_CHARACTERS // CHUNK_TEXTS
"""What a text counts in a chunk, therefore."""

NAMES_SHOWN = 10
"""Columns that are named in a note."""


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
    use_kernel: bool | None = None,
    in_blocks: bool | None = None,
    encoder: LoadedEncoder | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[FeaturizedRow | Skipped]:
    """Turn rows into samples, one by one and in order.

    After so much text that machine code pays, the kernel goes on, and large tables are read in blocks; the
    results are the same.

    Args:
        rows: rows with the same columns; the first is taken at once, the others when they are asked for; the
            kernel takes a chunk of them. Blocks are those of a `RowSource`.
        spec: the model's feature spec.
        text_column: the column of the text, where the file calls it otherwise than the spec; of a model of
            vectors, the one that is to be encoded, even if there are vectors, too.
        label_column: the column of the label, likewise.
        with_labels: whether to read labels; predictions need none.
        use_kernel: whether the kernel hashes texts, from the first row on; None for as soon as it pays.
        in_blocks: whether a table is read in blocks; None for where it is large.
        encoder: the one that the spec names, where it is loaded already.
        note: is told of columns that a tabular model does not use.

    Returns:
        For each row a sample, or the reason why it has none.

    Raises:
        BadInput: a column is missing; raised at the call, before any row.
        UsageError: a text column for a model that reads no texts, or an encoder that is not installed.
        DcaiError: an encoder fails; also later.

    >>> spec = FeatureSpec.text(labels=["ham", "spam"], n_features=4096)
    >>> rows = [Row(1, {"text": "hello", "label": "spam"}), Row(2, {"text": "!", "label": "ham"})]
    >>> for row in featurize(rows, spec):
    ...     print(row.sample.hex() if isinstance(row, FeaturizedRow) else row.reason)
    0100010a47
    no features: the text has no word of two or more letters or digits
    """
    parts = featurize_parts(
        rows,
        spec,
        text_column=text_column,
        label_column=label_column,
        with_labels=with_labels,
        use_kernel=use_kernel,
        in_blocks=in_blocks,
        encoder=encoder,
        note=note,
    )
    return chain.from_iterable(
        (part,) if isinstance(part, FeaturizedRow | Skipped) else part.single_rows() for part in parts
    )


def featurize_parts(
    rows: Iterable[Row],
    spec: FeatureSpec,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = True,
    use_kernel: bool | None = None,
    in_blocks: bool | None = None,
    encoder: LoadedEncoder | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[TableSamples | FeaturizedRow | Skipped]:
    """Turn rows into samples as `featurize` does; blocks of a large table come first, and stay together."""
    checked, spec = match_columns(
        rows, spec, text_column=text_column, label_column=label_column, with_labels=with_labels, note=note
    )
    plain = _Featurizer(spec, used_columns(spec), with_labels)
    if spec.kind == DENSE:
        return _featurize_vectors(checked, plain, encoder)
    if _is_in_blocks(rows, spec, wish=in_blocks):
        from dcai_cli.features.table_samples import featurize_blocks

        return featurize_blocks(rows, spec, plain.one, with_labels=with_labels)
    if spec.kind != "text" or spec.vocabulary or use_kernel is False:  # the kernel hashes texts only
        return map(plain.one, checked)
    return _featurize_texts(checked, plain, ASK_CHARACTERS if use_kernel is None else 0)


def _is_in_blocks(rows: Iterable[Row], spec: FeatureSpec, *, wish: bool | None) -> TypeGuard[RowSource]:
    if spec.kind != "tabular" or not isinstance(rows, RowSource):
        return False
    return rows.is_large_table if wish is None else wish


def used_columns(spec: FeatureSpec) -> list[str]:
    """The columns that samples are made of; a spec that has an encoder here reads texts."""
    if spec.kind == "text":
        return [spec.text_column]
    if spec.kind == DENSE:
        return [spec.vector_column if spec.encoder is None else spec.encoder.text_column]
    return [column.name for column in spec.columns]


def match_columns(
    rows: Iterable[Row],
    spec: FeatureSpec,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = True,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[Iterator[Row], FeatureSpec]:
    """Look whether rows have the columns that a spec needs; arguments and errors are those of `featurize`.

    Returns:
        The rows, and the spec with the file's names of columns, and without an encoder if none is needed.
    """
    if text_column is not None:
        spec = _with_text_column(spec, text_column)
    if label_column is not None and with_labels:
        spec = replace(spec, label_column=label_column)
    rest = iter(rows)
    if isinstance(rows, RowSource):
        present = rows.columns
    else:
        first = next(rest, None)
        if first is None:
            return rest, spec
        vectors = [spec.vector_column] if first.vector is not None else []
        present, rest = (*first.cells, *vectors), chain([first], rest)
    if spec.encoder is not None and text_column is None and spec.vector_column in present:
        spec = replace(spec, encoder=None)
    used = used_columns(spec)
    _check_columns([*used, spec.label_column] if with_labels else used, present, spec)
    if spec.kind == "tabular":
        _tell_unused([name for name in present if name not in {*used, spec.label_column}], note)
    return rest, spec


def _with_text_column(spec: FeatureSpec, column: str) -> FeatureSpec:
    if spec.encoder is not None:
        return replace(spec, encoder=replace(spec.encoder, text_column=column))
    if spec.kind != "text":
        what = "vectors" if spec.kind == DENSE else "tables"
        raise UsageError(f"--text-column is for text models, this model reads {what}.", hint="Leave it out.")
    return replace(spec, text_column=column)


def _check_columns(needed: list[str], present: Sequence[str], spec: FeatureSpec) -> None:
    for name in needed:
        if name not in present:
            options = {spec.label_column: "--label-column"}
            if spec.kind == "text":
                options[spec.text_column] = "--text-column"
            if spec.encoder is not None:
                options[spec.encoder.text_column] = "--text-column"
            other = f", or name another with {options[name]}" if name in options else ""
            raise BadInput(
                f"There is no column {name!r}; the columns are: {', '.join(present)}.",
                hint=f"Rename the column in the file{other}.",
            )


def _tell_unused(names: Sequence[str], note: Callable[[str], None]) -> None:
    """Say which columns go nowhere: one of them may be misspelt in the schema."""
    if names:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        note(f"columns that the model does not use: {', '.join(names[:NAMES_SHOWN])}{more}")


@dataclass(frozen=True, slots=True)
class _Featurizer:
    """How the rows of one file are read.

    Args:
        spec: the feature spec, with the file's names of columns.
        used: the columns that samples are made of.
        with_labels: whether to read labels.
    """

    spec: FeatureSpec
    used: list[str]
    with_labels: bool

    def one(self, row: Row) -> FeaturizedRow | Skipped:
        """Turn one row into a sample."""
        label = self._label(row)
        if label is None:
            return self._unknown(row)
        try:
            vector = vectorize(self.spec, row.cells)
        except BadInput as error:
            fault: Fault = "empty" if is_empty(self.spec, row.cells) else "no-sample"
            return Skipped(row.number, error.message, fault)
        wire, size = self.spec.wire, len(vector.indices)
        sample = Sample(
            data=encode_sample(label, vector, wire),
            n_indices=size,
            cut=size == self.spec.max_features and is_cut(self.spec, row.cells),
            units=sample_units(vector, wire),
        )
        return self._finish(row, label, sample, self._written(row))

    def many(self, rows: Sequence[Row]) -> Iterator[FeaturizedRow | Skipped]:
        """Turn texts into samples by the kernel; what gives none is left to `one`, which has the reasons."""
        from dcai_cli.features.text_arrays import make_samples

        labels = [self._label(row) for row in rows]
        texts = [
            "" if label is None else row.cells[self.spec.text_column]
            for row, label in zip(rows, labels, strict=True)
        ]
        samples = make_samples(self.spec, texts, [label or 0 for label in labels])
        for row, label, sample in zip(rows, labels, samples, strict=True):
            if sample is None:
                yield self.one(row)
            else:
                yield self._finish(row, label or 0, sample, self._written(row))

    def vectors(
        self, rows: Sequence[Row], encoder: LoadedEncoder | None
    ) -> Iterator[FeaturizedRow | Skipped]:
        """Turn vectors into samples, or texts that an encoder makes vectors of."""
        from dcai_cli.features.vectors import Unusable, encode_texts, make_samples

        (column,) = self.used
        labels = [self._label(row) for row in rows]
        known = [(row, label) for row, label in zip(rows, labels, strict=True) if label is not None]
        cells = [row.cells[column] if row.vector is None or encoder else row.vector for row, _ in known]
        vectors = cells if encoder is None else encode_texts([str(cell) for cell in cells], encoder)
        samples = iter(make_samples(self.spec, vectors, [label for _, label in known]))
        for row, label in zip(rows, labels, strict=True):
            sample = None if label is None else next(samples)
            if sample is None:
                yield self._unknown(row)
            elif isinstance(sample, Unusable):
                yield Skipped(row.number, sample.reason, sample.fault)
            else:
                # A text may come back from an encoder with another rounding, but stays the same text; of a
                # vector, what is sent counts, in whatever format it was.
                yield self._finish(
                    row, label or 0, sample, self._written(row) if encoder else sample.data[1:]
                )

    def _label(self, row: Row) -> int | None:
        """The class of a row, 0 where labels are not read; None if the model does not know it."""
        if not self.with_labels:
            return 0
        cell = row.cells[self.spec.label_column]
        return self.spec.labels.index(cell) if cell in self.spec.labels else None

    def _unknown(self, row: Row) -> Skipped:
        cell = row.cells[self.spec.label_column]
        reason = f"unknown label {shown(cell)}; the model knows {', '.join(self.spec.labels)}"
        return Skipped(row.number, reason, "unknown-label")

    def _written(self, row: Row) -> bytes:
        """The cells that were used, for hashes."""
        return json.dumps([row.cells[name] for name in self.used]).encode()

    def _finish(self, row: Row, label: int, sample: Sample, written: bytes) -> FeaturizedRow:
        cell = row.cells[self.spec.label_column] if self.with_labels else None
        return FeaturizedRow(
            number=row.number,
            label=label if self.with_labels else None,
            sample=sample.data,
            n_indices=sample.n_indices,
            cut=sample.cut,
            units=sample.units,
            key=hashlib.sha256(b"[%b, %b]" % (written, json.dumps(cell).encode())).digest(),
            content=hashlib.blake2b(written, digest_size=16).digest(),
        )


def _featurize_texts(
    rows: Iterator[Row], featurizer: _Featurizer, ask_at: int
) -> Iterator[FeaturizedRow | Skipped]:
    """Turn texts into samples: one by one until the kernel pays, then in chunks.

    Nobody knows how many rows will come, so what has been hashed so far stands for what is left.

    Args:
        rows: the rows.
        featurizer: how they are read.
        ask_at: after how many characters to ask the kernel first; 0 to take it without asking.
    """
    column, cost = featurizer.spec.text_column, plain_cost(featurizer.spec)
    hashed = 0
    while ask_at:
        row = next(rows, None)
        if row is None:
            return
        result = featurizer.one(row)
        yield result
        if isinstance(result, FeaturizedRow):
            hashed += cost * (len(row.cells[column]) + ROW_CHARACTERS)
        if hashed >= ask_at:
            ask_at = 0 if kernel_pays(featurizer.spec, hashed // cost) else hashed + ASK_CHARACTERS
    for chunk in cut(rows, lambda row: len(row.cells[column])):
        yield from featurizer.many(chunk)


def _featurize_vectors(
    rows: Iterator[Row], featurizer: _Featurizer, encoder: LoadedEncoder | None
) -> Iterator[FeaturizedRow | Skipped]:
    """Turn vectors into samples, or texts by the encoder that the spec names; in chunks."""
    spec = featurizer.spec
    size = spec.n_features
    if spec.encoder is not None:
        from dcai_cli.features.encoders import load_named

        encoder = encoder or load_named(spec.encoder, spec.length)
        size = TEXT_SIZE
    return chain.from_iterable(featurizer.vectors(chunk, encoder) for chunk in cut(rows, lambda _: size))


def plain_cost(spec: FeatureSpec) -> int:
    """About how many times as long plain Python takes as with single words, for which `kernel.pays` is.

    Measured: 5.2 MB/s with words, 0.9 with characters 1-2-grams.
    """
    least, greatest = spec.ngram_range
    return (greatest - least + 1) * (1 if spec.analyzer == WORD else 3)


def kernel_pays(spec: FeatureSpec, characters: int) -> bool:
    """Whether the kernel is there, and worth its start for so much text."""
    # Characters are at least a byte each: this errs towards plain Python.
    size = plain_cost(spec) * characters
    if spec.kind != "text" or spec.vocabulary or size < ASK_CHARACTERS:
        return False
    from dcai_cli.features import kernel

    return kernel.pays(size) and kernel.is_available()


def cut(items: Iterator[Item], measure: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Cut rows, or what became of them, into chunks of CHUNK_ROWS, or of a size of CHUNK_CHARACTERS.

    An error of the items comes after the chunk of those before it; the last chunk may be empty.
    """
    while True:
        chunk: list[Item] = []
        size = 0
        failure: Exception | None = None
        try:
            while size < CHUNK_CHARACTERS and len(chunk) < CHUNK_ROWS:
                item = next(items)
                size += measure(item)
                chunk.append(item)
        except Exception as error:  # noqa: BLE001 -- raised again below, whatever it is
            failure = error
        yield chunk
        if isinstance(failure, StopIteration):
            return
        if failure is not None:
            raise failure
