"""Schema files: a table's labels and columns as its owner writes them, in TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcai_cli.errors import BadInput
from dcai_cli.features.checks import as_tuple, refuse
from dcai_cli.features.columns import read_column
from dcai_cli.features.spec import FeatureSpec


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
    return FeatureSpec.tabular(
        labels=own,
        columns=[read_column(f"columns[{i}]", _schema_column(one)) for i, one in enumerate(columns)],
        n_features=n_features,
        max_features=max_features,
        valued=valued,
        label_column=schema.get("label_column", "label"),
    )


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
