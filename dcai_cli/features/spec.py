"""The feature spec: what a model publishes so that strangers turn the same row into the same bytes.

A spec is canonical JSON on the chain; `docs/feature-spec.md` describes every field. A version, field, type or
range that is not known here is refused: guessing would send other bytes than the model was trained on.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, Self

from dcai_cli.domain import MAX_SAMPLE_WORDS, Wire
from dcai_cli.errors import BadInput

VERSION = 1
HASH = "murmur3_x86_32"
SEED = 0
ANALYZER = "word"

MIN_FEATURES, MAX_FEATURES = 2**8, 2**24
MAX_SAMPLE_FEATURES = MAX_SAMPLE_WORDS
DEFAULT_SAMPLE_FEATURES = 1024
MAX_CLASSES = 16
MAX_NGRAM = 8

_COMMON_FIELDS = {
    "hash", "kind", "label_column", "labels", "max_features", "n_features", "seed", "valued", "version",
}  # fmt: skip
_KIND_FIELDS = {
    "text": {"analyzer", "lowercase", "ngram_range", "text_column"},
    "tabular": {"columns"},
}
_COLUMN_TYPES = ("categorical", "numeric")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ASCII_SPACE = " \t\n\v\f\r"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tabular model.

    Args:
        name: the column's name in the header; without "=", so that feature names stay unambiguous.
        type: "categorical" or "numeric".
        bins: for numeric columns, the strictly increasing edges as they were written.
    """

    name: str
    type: str
    bins: tuple[str, ...] = ()

    @property
    def edges(self) -> tuple[float, ...]:
        """The bins as numbers."""
        return _edges(self.bins)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """How rows become samples of one model; `FeatureSpec.text` and `.tabular` fill in the defaults.

    Args:
        kind: "text" or "tabular".
        labels: the label strings; a label's position is its class.
        label_column: the column that holds the label.
        n_features: size of the hash space, 2^8 to 2^24.
        max_features: indices of one sample at most, 1 to 4,096 and not above n_features.
        valued: whether counts travel as values (saturated at 127) or only presence.
        text_column: for text, the column that holds it.
        ngram_range: for text, the least and the greatest number of words in a feature.
        lowercase: for text, whether it is lower-cased first.
        columns: for tables, the columns in their order.

    Raises:
        BadInput: a field has the wrong type or is out of range.
    """

    kind: str
    labels: tuple[str, ...]
    label_column: str
    n_features: int
    max_features: int
    valued: bool = False
    text_column: str = ""
    ngram_range: tuple[int, int] = (1, 1)
    lowercase: bool = True
    columns: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        _check_common(self)
        if self.kind == "text":
            _check_text(self)
        else:
            _check_columns(self)

    @classmethod
    def text(
        cls,
        *,
        labels: Sequence[str],
        n_features: int,
        max_features: int | None = None,
        valued: bool = False,
        text_column: str = "text",
        label_column: str = "label",
        ngram_range: tuple[int, int] = (1, 1),
        lowercase: bool = True,
    ) -> Self:
        """Make the spec of a text model.

        >>> FeatureSpec.text(labels=["ham", "spam"], n_features=4096).wire.max_features
        1024
        """
        return cls(
            kind="text",
            labels=tuple(labels),
            label_column=label_column,
            n_features=n_features,
            max_features=_sample_features(max_features, n_features),
            valued=valued,
            text_column=text_column,
            ngram_range=ngram_range,
            lowercase=lowercase,
        )

    @classmethod
    def tabular(
        cls,
        *,
        labels: Sequence[str],
        columns: Sequence[Column],
        n_features: int,
        max_features: int | None = None,
        valued: bool = False,
        label_column: str = "label",
    ) -> Self:
        """Make the spec of a tabular model."""
        return cls(
            kind="tabular",
            labels=tuple(labels),
            label_column=label_column,
            n_features=n_features,
            max_features=_sample_features(max_features, n_features),
            valued=valued,
            columns=tuple(columns),
        )

    @property
    def wire(self) -> Wire:
        """What the model's payloads may hold."""
        return Wire(self.n_features, self.max_features, len(self.labels), self.valued)

    def to_json(self) -> str:
        """Write the canonical JSON: sorted keys, no spaces, nothing escaped that need not be."""
        fields: dict[str, Any] = {
            "hash": HASH,
            "kind": self.kind,
            "label_column": self.label_column,
            "labels": list(self.labels),
            "max_features": self.max_features,
            "n_features": self.n_features,
            "seed": SEED,
            "valued": self.valued,
            "version": VERSION,
        }
        if self.kind == "text":
            fields |= {
                "analyzer": ANALYZER,
                "lowercase": self.lowercase,
                "ngram_range": list(self.ngram_range),
                "text_column": self.text_column,
            }
        else:
            fields["columns"] = [_column_fields(column) for column in self.columns]
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec; the order of the keys and spaces do not matter, every field must be there.

        Args:
            text: JSON as a model publishes it.

        Raises:
            BadInput: not JSON, or a version, field, type or range that this program does not know.
        """
        try:
            fields = json.loads(text, object_pairs_hook=_unique_fields, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"The feature spec is not JSON: {error}.") from error
        _check_known(fields)
        names = sorted(_COMMON_FIELDS | _KIND_FIELDS[fields["kind"]])
        values = {name: fields[name] for name in names if name not in {"hash", "seed", "analyzer", "version"}}
        values["labels"] = _tuple("labels", values["labels"])
        if "ngram_range" in values:
            values["ngram_range"] = _tuple("ngram_range", values["ngram_range"])
        if "columns" in values:
            columns = _tuple("columns", values["columns"])
            values["columns"] = tuple(_read_column(f"columns[{i}]", one) for i, one in enumerate(columns))
        return cls(**values)


def tabular_spec_from_schema(
    path: Path,
    *,
    labels: Sequence[str] | None = None,
    n_features: int,
    max_features: int | None = None,
    valued: bool = False,
) -> FeatureSpec:
    """Read a schema file (TOML) into the spec of a tabular model.

    The file holds `labels` and `label_column` (default "label"), and for each column a `[[columns]]` table
    with `name`, `type` and, if it is numeric, `bins`.

    Args:
        path: the TOML file.
        labels: the labels, where the file has none; both are refused unless they are equal.
        n_features: size of the hash space.
        max_features: indices of one sample at most; default 1024, or n_features if that is less.
        valued: whether counts travel as values.

    Raises:
        BadInput: the file cannot be read, or does not describe columns.
    """
    schema = _read_toml(path)
    for field in schema:
        if field not in {"labels", "label_column", "columns"}:
            _refuse(
                f"field {field!r} of {path} is not known.",
                "A schema has labels, label_column and [[columns]].",
            )
    own = _tuple("labels", schema.get("labels", labels or ()))
    if not own:
        _refuse(f"{path} has no labels.", 'Add `labels = ["no", "yes"]`, or pass --labels no,yes.')
    if labels is not None and list(own) != list(labels):
        _refuse(f"{path} has the labels {own}, and {list(labels)} were given.", "Give them in one place.")
    columns = _tuple("columns", schema.get("columns", []))
    return FeatureSpec.tabular(
        labels=own,
        columns=[_read_column(f"columns[{i}]", _schema_column(one)) for i, one in enumerate(columns)],
        n_features=n_features,
        max_features=max_features,
        valued=valued,
        label_column=schema.get("label_column", "label"),
    )


def is_blank(cell: str) -> bool:
    """Whether a cell is empty but for ASCII spaces."""
    return not cell.strip(_ASCII_SPACE)


def parse_number(text: str) -> float:
    """Read a decimal number the same way on every machine.

    ASCII spaces around it are dropped, and what is left must match
    `[+-]?(digits[.[digits]]|.digits)([eE][+-]?digits)?`. It is rounded to the nearest IEEE 754
    double. Names ("nan"), hexadecimal, underscores and other digits are refused.

    Raises:
        ValueError: the text is not a finite number.

    >>> parse_number(" 7.25 ")
    7.25
    """
    stripped = text.strip(_ASCII_SPACE)
    if _NUMBER.fullmatch(stripped) is None:
        raise ValueError(f"{text!r} is not a number")
    number = float(stripped)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is out of range")
    return number


@lru_cache(maxsize=1024)
def _edges(bins: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(parse_number(edge) for edge in bins)


def _sample_features(max_features: int | None, n_features: int) -> int:
    return min(DEFAULT_SAMPLE_FEATURES, n_features) if max_features is None else max_features


def _refuse(problem: str, hint: str = "") -> NoReturn:
    raise BadInput(f"Feature spec: {problem}", hint=hint)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return fields


def _check_known(fields: object) -> None:
    """Refuse every version, kind, field and fixed value that this program does not know."""
    if not isinstance(fields, dict):
        _refuse("it is not a JSON object.")
    version = fields.get("version")
    if type(version) is not int or version != VERSION:
        _refuse(f"version {version!r} is not known; this program knows {VERSION}.", "Install a newer dcai.")
    if not isinstance(fields.get("kind"), str) or fields["kind"] not in _KIND_FIELDS:
        _refuse(f"kind {fields.get('kind')!r} is not known; this program knows text and tabular.")
    _check_fields("", fields, _COMMON_FIELDS | _KIND_FIELDS[fields["kind"]])
    for name, known in (("hash", HASH), ("seed", SEED), ("analyzer", ANALYZER)):
        value = fields.get(name, known)
        if type(value) is not type(known) or value != known:
            _refuse(f"{name} {value!r} is not known; this program knows {known!r}.")


def _check_fields(where: str, fields: Mapping[str, object], known: set[str]) -> None:
    for name in fields:
        if name not in known:
            _refuse(f"field {where}{name!r} is not known.", "Install a newer dcai.")
    for name in sorted(known):
        if name not in fields:
            _refuse(f"field {where}{name!r} is missing.")


def _tuple(name: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        _refuse(f"{name} is {value!r}; it must be a list.")
    return tuple(value)


def _column_fields(column: Column) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": column.name, "type": column.type}
    return fields | {"bins": list(column.bins)} if column.type == "numeric" else fields


def _read_column(where: str, fields: object) -> Column:
    if not isinstance(fields, dict):
        _refuse(f"{where} is {fields!r}; it must be an object.")
    known = {"name", "type", "bins"} if fields.get("type") == "numeric" else {"name", "type"}
    _check_fields(f"{where}.", fields, known)
    return Column(fields["name"], fields["type"], _tuple(f"{where}.bins", fields.get("bins", ())))


def _schema_column(fields: object) -> object:
    """Let a schema write its bins as numbers: the spec keeps them as text."""
    if isinstance(fields, dict) and isinstance(fields.get("bins"), list):
        return fields | {"bins": [str(edge) if type(edge) is int else edge for edge in fields["bins"]]}
    return fields


def _read_toml(path: Path) -> dict[str, Any]:
    hint = "A schema is a TOML file; docs/feature-spec.md has an example."
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=lambda text: text.replace("_", ""))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", hint=hint) from error
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}.", hint=hint) from error


def _check_common(spec: FeatureSpec) -> None:
    if spec.kind not in _KIND_FIELDS:
        _refuse(f"kind {spec.kind!r} is not known; this program knows text and tabular.")
    _check_int("n_features", spec.n_features, MIN_FEATURES, MAX_FEATURES)
    _check_int("max_features", spec.max_features, 1, min(MAX_SAMPLE_FEATURES, spec.n_features))
    _check_bool("valued", spec.valued)
    _check_text_field("label_column", spec.label_column)
    for label in spec.labels:
        _check_text_field("a label", label)
    if not 2 <= len(spec.labels) <= MAX_CLASSES:
        _refuse(f"there are {len(spec.labels)} labels; a model has 2 to {MAX_CLASSES}.")
    _check_unique("label", spec.labels)


def _check_text(spec: FeatureSpec) -> None:
    _check_text_field("text_column", spec.text_column)
    _check_bool("lowercase", spec.lowercase)
    if len(spec.ngram_range) != 2:
        _refuse(f"ngram_range is {list(spec.ngram_range)}; it must be [least, greatest].")
    least, greatest = spec.ngram_range
    _check_int("ngram_range[0]", least, 1, MAX_NGRAM)
    _check_int("ngram_range[1]", greatest, least, MAX_NGRAM)
    if spec.text_column == spec.label_column:
        _refuse(f"text_column and label_column are both {spec.text_column!r}.")


def _check_columns(spec: FeatureSpec) -> None:
    if not spec.columns:
        _refuse("there are no columns.", "Add a [[columns]] table for each column.")
    for column in spec.columns:
        _check_column(column)
    _check_unique("column", [column.name for column in spec.columns])
    if spec.label_column in {column.name for column in spec.columns}:
        _refuse(f"label_column {spec.label_column!r} is also a column: the model would read the answer.")


def _check_column(column: Column) -> None:
    _check_text_field("a column's name", column.name)
    if "=" in column.name:
        _refuse(
            f"column {column.name!r} has '=' in its name: feature names would be ambiguous.", "Rename it."
        )
    if column.type not in _COLUMN_TYPES:
        _refuse(f"column {column.name!r} has type {column.type!r}; it must be categorical or numeric.")
    if column.type == "categorical":
        if column.bins:
            _refuse(f"column {column.name!r} is categorical and has bins.")
        return
    if not column.bins:
        _refuse(f"column {column.name!r} is numeric and has no bins.", "Add bins, the edges in rising order.")
    for edge in column.bins:
        _check_text_field(f"a bin of column {column.name!r}", edge)
    try:
        edges = column.edges
    except ValueError as error:
        raise BadInput(f"Feature spec: a bin of column {column.name!r}: {error}.") from error
    for (low, high), (left, right) in zip(
        itertools.pairwise(edges), itertools.pairwise(column.bins), strict=True
    ):
        if low >= high:
            _refuse(f"the bins of column {column.name!r} do not rise: {left} is followed by {right}.")


def _check_int(name: str, value: object, least: int, greatest: int) -> None:
    if type(value) is not int or not least <= value <= greatest:
        _refuse(f"{name} is {value!r}; it must be a whole number from {least} to {greatest}.")


def _check_bool(name: str, value: object) -> None:
    if type(value) is not bool:
        _refuse(f"{name} is {value!r}; it must be true or false.")


def _check_text_field(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        _refuse(f"{name} is {value!r}; it must be a string that is not empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(f"{name} is {value!r}; it must be valid Unicode.")


def _check_unique(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            _refuse(f"{what} {name!r} stands twice.")
