"""Feature specs as canonical JSON: what models publish, and what is refused of what they publish."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dcai_cli.errors import BadInput
from dcai_cli.features.checks import as_tuple, check_fields, refuse
from dcai_cli.features.columns import read_column, write_column
from dcai_cli.features.dense import DENSE, DENSE_FIELDS, read_encoder, write_dense
from dcai_cli.features.nesting import check_json_nesting
from dcai_cli.features.unicode14 import UNICODE

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec

VERSION = 1
_HASH = "murmur3_x86_32"
_SEED = 0
_FIXED: dict[str, str | int] = {"hash": _HASH, "seed": _SEED, "unicode": UNICODE, "version": VERSION}
"""Fields that have one value in this version."""

_COMMON_FIELDS = {"kind", "label_column", "labels", "max_features", "n_features", "valued", "version"}
_TEXT_FIELDS = {"analyzer", "lowercase", "ngram_range", "text_column", "unicode"}
_HASHED_TEXT_FIELDS = {"alternate_sign", "hash", "seed"}
_TABLE_FIELDS = {"columns", "hash", "seed"}
KINDS = ("text", "tabular", DENSE)


def write_spec(spec: FeatureSpec) -> str:
    """Write the canonical JSON: sorted keys, no spaces, nothing escaped that need not be."""
    fields: dict[str, Any] = {
        "kind": spec.kind,
        "label_column": spec.label_column,
        "labels": list(spec.labels),
        "max_features": spec.max_features,
        "n_features": spec.n_features,
        "valued": spec.valued,
        "version": VERSION,
    }
    if spec.kind == DENSE:
        return _canonical(fields | write_dense(spec))
    if spec.kind == "text":
        fields |= {
            "analyzer": spec.analyzer,
            "lowercase": spec.lowercase,
            "ngram_range": list(spec.ngram_range),
            "text_column": spec.text_column,
            "unicode": UNICODE,
        }
    else:
        fields["columns"] = [write_column(column) for column in spec.columns]
    if spec.vocabulary:
        fields["vocabulary"] = list(spec.vocabulary)
    else:
        fields |= {"hash": _HASH, "seed": _SEED}
        fields |= {"alternate_sign": spec.alternate_sign} if spec.kind == "text" else {}
    return _canonical(fields)


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_spec(text: str) -> dict[str, Any]:
    """Read a spec into the arguments of a `FeatureSpec`, which checks their values.

    Args:
        text: JSON; the order of the keys and spaces do not matter, every field must be there.

    Raises:
        BadInput: not JSON, or a version, field or fixed value that this program does not know.
    """
    try:
        check_json_nesting(text)
        fields = json.loads(text, object_pairs_hook=_unique_fields, parse_constant=_refuse_constant)
    except ValueError as error:
        raise BadInput(f"The feature spec is not JSON: {error}.") from error
    _check_known(fields)
    values = {name: value for name, value in fields.items() if name not in _FIXED}
    for name in ("labels", "ngram_range", "columns", "vocabulary"):
        if name in values:
            values[name] = as_tuple(name, values[name])
    if "columns" in values:
        values["columns"] = tuple(
            read_column(f"columns[{i}]", one) for i, one in enumerate(values["columns"])
        )
    if "encoder" in values:
        values["encoder"] = read_encoder(values["encoder"])
    if values.get("vocabulary") == ():
        refuse("the vocabulary is empty.")
    return values


def _refuse_constant(name: str) -> None:
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
        refuse("it is not a JSON object.")
    version = fields.get("version")
    if type(version) is not int or version != VERSION:
        refuse(f"version {version!r} is not known; this program knows {VERSION}.", "Install a newer dcai.")
    kind = fields.get("kind")
    if kind not in KINDS:
        refuse(f"kind {kind!r} is not known; this program knows {', '.join(KINDS)}.")
    check_fields("", fields, _COMMON_FIELDS | _own_fields(fields))
    for name, known in _FIXED.items():
        value = fields.get(name, known)
        if type(value) is not type(known) or value != known:
            refuse(f"{name} {value!r} is not known; this program knows {known!r}.")


def _own_fields(fields: dict[str, Any]) -> set[str]:
    """The fields of a kind; those of a text depend on whether it has a vocabulary."""
    if fields["kind"] == "tabular":
        return _TABLE_FIELDS
    if fields["kind"] == DENSE:
        return DENSE_FIELDS | ({"encoder"} & set(fields))
    if "vocabulary" not in fields:
        return _TEXT_FIELDS | _HASHED_TEXT_FIELDS
    for name in sorted(_HASHED_TEXT_FIELDS & set(fields)):
        refuse(f"{name!r} stands beside a vocabulary, and nothing is hashed then.")
    return _TEXT_FIELDS | {"vocabulary"}
