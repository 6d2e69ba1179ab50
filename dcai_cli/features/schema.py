"""Schema files: a table's labels and columns as its owner writes them, in TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.checks import as_tuple, refuse
from dcai_cli.features.columns import NUMERIC, Column, read_column
from dcai_cli.features.nesting import TOO_DEEP, check_nesting
from dcai_cli.features.quantiles import MAX_QUANTILES, MIN_QUANTILES, learn_bins
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.spec import FeatureSpec

_UNLEARNED = "0"
"""Stands for bins until they are learned."""


def tabular_spec_from_schema(
    path: Path,
    *,
    labels: Sequence[str] | None = None,
    n_features: int,
    max_features: int | None = None,
    valued: bool = False,
    quantiles_from: Source | Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> FeatureSpec:
    """Read a schema file (TOML) into the spec of a tabular model.

    The file holds `labels` and `label_column` (default "label"), and for each column a `[[columns]]` table
    with the fields of the spec's; a numeric column may have `quantiles` in place of `bins`: into how many
    equal shares its numbers are parted.

    Args:
        path: the TOML file.
        labels: the labels, where the file has none; both are refused unless they are equal.
        n_features: size of the hash space.
        max_features: indices of one sample at most; default 1024, or n_features if that is less.
        valued: whether counts travel as values.
        quantiles_from: the rows that bins are learned from.
        note: is told of an encoding of these rows other than UTF-8.

    Raises:
        BadInput: the file cannot be read, or does not describe columns; bins cannot be learned.
        UsageError: there is nothing to learn, or nothing to learn it from.
    """
    schema = _read_toml(path)
    for field in schema:
        if field not in {"labels", "label_column", "columns"}:
            refuse(
                f"field {field!r} of {path} is not known.",
                "A schema has labels, label_column and [[columns]].",
            )
    own = as_tuple("labels", schema.get("labels", labels or ()))
    if not own:
        refuse(f"{path} has no labels.", 'Add `labels = ["no", "yes"]`, or pass --labels no,yes.')
    if labels is not None and list(own) != list(labels):
        refuse(f"{path} has the labels {own}, and {list(labels)} were given.", "Give them in one place.")
    columns = as_tuple("columns", schema.get("columns", []))
    fields = [_schema_column(one) for one in columns]
    spec = FeatureSpec.tabular(
        labels=own,
        columns=[read_column(f"columns[{i}]", one) for i, one in enumerate(fields)],
        n_features=n_features,
        max_features=max_features,
        valued=valued,
        label_column=schema.get("label_column", "label"),
    )
    quantiles = {
        column: _quantiles(column, one["quantiles"])
        for column, one in zip(spec.columns, columns, strict=True)
        if "quantiles" in one
    }
    return _with_bins(spec, path, quantiles, quantiles_from, note)


def _with_bins(
    spec: FeatureSpec,
    path: Path,
    quantiles: Mapping[Column, int],
    source: Source | Path | None,
    note: Callable[[str], None],
) -> FeatureSpec:
    """The spec with the bins that have to be learned."""
    if source is None and not quantiles:
        return spec
    if source is None:
        name = next(iter(quantiles)).name
        raise UsageError(
            f"{path} has quantiles for column {name!r}, and there are no rows to learn them from.",
            hint="Add --quantiles-from FILE, or write bins.",
        )
    if not quantiles:
        raise UsageError(
            f"No column of {path} has quantiles to be learned.",
            hint="Leave out --quantiles-from, or write for instance `quantiles = 8` in place of bins.",
        )
    with open_rows(source, note=note) as rows:
        bins = learn_bins(rows, quantiles, str(source))
    columns = tuple(replace(one, bins=bins.get(one.name, one.bins)) for one in spec.columns)
    return replace(spec, columns=columns)


def _quantiles(column: Column, shares: object) -> int:
    if column.type != NUMERIC:
        refuse(f"column {column.name!r} is {column.type} and has quantiles.")
    if type(shares) is not int or not MIN_QUANTILES <= shares <= MAX_QUANTILES:
        refuse(
            f"quantiles of column {column.name!r} is {shares!r}; it must be a whole number from "
            f"{MIN_QUANTILES} to {MAX_QUANTILES}."
        )
    return shares


def _schema_column(fields: object) -> object:
    """Let a schema write numbers as numbers, where the spec keeps them as text, and quantiles as bins."""
    if not isinstance(fields, dict):
        return fields
    made = dict(fields)
    if isinstance(made.get("bins"), list):
        made["bins"] = [_as_text(edge) for edge in made["bins"]]
    if "step" in made:
        made["step"] = _as_text(made["step"])
    if "quantiles" in made:
        del made["quantiles"]
        for other in ("bins", "step"):
            if other in made:
                refuse(f"column {made.get('name')!r} has quantiles and {other}.", "Keep one of them.")
        if made.get("type") == NUMERIC:
            made["bins"] = [_UNLEARNED]
    return made


class _Float(float):
    """A number as it was written: a double might be written otherwise."""

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text.replace("_", "")
        return number

    text: str


def _as_text(value: object) -> object:
    """A number as its text; what is no number stays what it is."""
    if isinstance(value, _Float):
        return value.text
    return str(value) if type(value) is int else value


def _read_toml(path: Path) -> dict[str, Any]:
    hint = "A schema is a TOML file; docs/feature-spec.md has an example."
    try:
        schema = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=_Float)
        check_nesting(schema)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", hint=hint) from error
    except RecursionError as error:
        raise BadInput(f"{path} is not TOML: {TOO_DEEP}.", hint=hint) from error
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}.", hint=hint) from error
    return schema
