"""What a spec says of vectors: their length and scale, and perhaps who makes them of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.errors import BadInput
from dcai_cli.features.checks import check_fields, check_int, check_string, refuse
from dcai_cli.features.numbers import parse_bare_number

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec

DENSE = "dense"
VECTOR_COLUMN = "vector"
"""What the column of the vectors is called unless a spec calls it otherwise."""

MIN_LENGTH = 2
MAX_CONSTANT = 127

DENSE_FIELDS = {"constant", "scale", "vector_column"}
"""Fields of a dense spec beside the common ones; `encoder` may stand beside them."""


@dataclass(frozen=True, slots=True)
class NamedEncoder:
    """The encoder that makes a model's vectors of texts, as a spec names it.

    Args:
        name: the name by which encoders are found on the contributor's machine.
        version: what the encoder itself says that it is, weights included; compared exactly.
        text_column: the column of the text that it reads.
    """

    name: str
    version: str
    text_column: str = "text"


def write_dense(spec: FeatureSpec) -> dict[str, Any]:
    """The fields of a dense spec beside the common ones."""
    fields: dict[str, Any] = {
        "constant": spec.constant,
        "scale": spec.scale,
        "vector_column": spec.vector_column,
    }
    if spec.encoder is None:
        return fields
    encoder = spec.encoder
    named = {"name": encoder.name, "text_column": encoder.text_column, "version": encoder.version}
    return fields | {"encoder": named}


def read_encoder(fields: object) -> NamedEncoder:
    """Read the encoder of a spec.

    Raises:
        BadInput: it is no object, or has other fields than an encoder.
    """
    if not isinstance(fields, dict):
        refuse(f"encoder is {fields!r}; it must be an object.")
    check_fields("encoder.", fields, {"name", "text_column", "version"})
    return NamedEncoder(**fields)


def check_dense(spec: FeatureSpec) -> None:
    """Refuse what no dense spec can have.

    Raises:
        BadInput: it can have no such values, columns, scale or encoder.
    """
    if not spec.valued:
        refuse("valued is False, and vectors are nothing without their values.")
    check_string("vector_column", spec.vector_column)
    if spec.vector_column == spec.label_column:
        refuse(f"vector_column and label_column are both {spec.vector_column!r}.")
    check_int("constant", spec.constant, 0, MAX_CONSTANT)
    check_string("scale", spec.scale)
    try:
        scale = parse_bare_number(spec.scale)
    except ValueError as error:
        raise BadInput(f"Feature spec: scale: {error}.") from error
    if scale <= 0:
        refuse(f"scale is {spec.scale}; it must be above 0.")
    if spec.encoder is None:
        return
    for name in ("name", "version", "text_column"):
        check_string(f"encoder.{name}", getattr(spec.encoder, name))
    for name, column in (("vector_column", spec.vector_column), ("label_column", spec.label_column)):
        if spec.encoder.text_column == column:
            refuse(f"encoder.text_column and {name} are both {column!r}.")
