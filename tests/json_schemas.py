"""Holds documents against the schemas in docs/schemas/, without their allowance for fields to come."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"


def file_of(title: str) -> Path:
    """The schema of a command, by its words, as in "refunds --claim"."""
    return FOLDER / f"{title.replace(' --', '-').replace(' ', '-')}.json"


def strict(schema: Any) -> Any:
    """A schema that allows the fields that it names, and no other."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: strict(part) for name, part in schema.items()}
    return parts | {"additionalProperties": False} if "properties" in parts else parts


@cache
def _validator(title: str) -> Draft202012Validator:
    return Draft202012Validator(strict(json.loads(file_of(title).read_text(encoding="utf-8"))))


def check_document(title: str, document: Any) -> None:
    """Fail if a document is not what the schema of its command says."""
    faults = [f"{fault.json_path}: {fault.message}" for fault in _validator(title).iter_errors(document)]
    assert faults == [], title
