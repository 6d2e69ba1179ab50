"""docs/schemas/ against docs/json.md, and against itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.docs.test_json import documented
from tests.json_schemas import FOLDER, check_document, file_of, strict

PROJECT = Path(__file__).resolve().parents[2]
SECTIONS = documented()


def fields_of(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """The fields that a schema names, as the page writes them."""
    found = set()
    for name, part in schema.get("properties", {}).items():
        found |= {prefix + name} | fields_of(part, f"{prefix}{name}.")
    if "items" in schema:
        found |= fields_of(schema["items"], f"{prefix.removesuffix('.')}[].")
    return found


@pytest.mark.parametrize("commands", SECTIONS, ids=", ".join)
def test_schemas_name_the_fields_of_the_page(commands: tuple[str, ...]) -> None:
    """The fields of a section are those of the schemas of its commands, no more and no less."""
    found = set()
    for command in commands:
        found |= fields_of(json.loads(file_of(command).read_text())["properties"]["data"])
    assert found == SECTIONS[commands]


def test_there_is_a_schema_for_each_command_of_the_page_and_no_other() -> None:
    """A file for each, and each is a schema by the meta-schema of its dialect."""
    files = {file_of(command) for commands in SECTIONS for command in commands}
    assert files == set(FOLDER.glob("*.json"))
    for file in files:
        Draft202012Validator.check_schema(json.loads(file.read_text()))


def test_the_files_are_those_that_the_tool_writes() -> None:
    """Nobody edited them by hand, and nobody forgot to write them."""
    tool = [sys.executable, "tools/json_schemas.py", "--check"]
    done = subprocess.run(tool, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_field_too_many_one_too_few_and_one_of_another_type_are_found() -> None:
    """The check of the tests can fail; the published schema allows fields that come later."""
    good = {"version": 1, "command": "devnet reset", "data": {"removed": True}}
    check_document("devnet reset", good)
    for data in ({}, {"removed": "yes"}, {"removed": True, "more": 1}, None):
        with pytest.raises(AssertionError):
            check_document("devnet reset", {**good, "data": data})
    with pytest.raises(AssertionError):
        check_document("devnet reset", {**good, "error": {}})
    later = {**good, "data": {"removed": True, "more": 1}}
    published = json.loads(file_of("devnet reset").read_text())
    assert Draft202012Validator(published).is_valid(later)
    assert not Draft202012Validator(strict(published)).is_valid(later)


def test_every_field_is_explained() -> None:
    """Each field of the data has the description that the page gives."""

    def unexplained(schema: dict[str, Any], path: str) -> set[str]:
        found = set()
        for name, part in schema.get("properties", {}).items():
            if not part.get("description"):
                found.add(f"{path}.{name}")
            found |= unexplained(part, f"{path}.{name}")
        return found | (unexplained(schema["items"], f"{path}[]") if "items" in schema else set())

    for file in FOLDER.glob("*.json"):
        assert unexplained(json.loads(file.read_text())["properties"]["data"], file.stem) == set()
