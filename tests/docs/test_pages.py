"""The pages against the project: links, the command reference, the list of dependencies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from mkdocs.utils.yaml import yaml_load

from dcai_cli.cli.app import program
from tools.docs_site import ROOT_PAGES

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file, folder or heading of the project finds it."""
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(PROJECT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def leaves(entry: Any) -> list[str]:
    """The pages of an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in leaves(part)]


def test_every_page_stands_in_the_navigation_once() -> None:
    """mkdocs.yml has each page of docs/, and the two above it, at one place."""
    with (PROJECT / "mkdocs.yml").open(encoding="utf-8") as file:
        named = leaves(yaml_load(file)["nav"])
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert sorted(named) == sorted([*pages, *ROOT_PAGES])


def test_every_page_can_be_reached_from_the_start_page() -> None:
    """docs/index.md links to every other page, and README.md to it: so they are read where no site is."""
    linked = {
        link.partition("#")[0] for link in LINK.findall((DOCS / "index.md").read_text(encoding="utf-8"))
    }
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages - {"index.md"} <= linked
    assert "docs/index.md" in LINK.findall((PROJECT / "README.md").read_text(encoding="utf-8"))


def test_the_command_reference_is_up_to_date() -> None:
    """docs/cli.md is what tools/cli_reference.py makes of the commands now."""
    tool = PROJECT / "tools" / "cli_reference.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"],
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_stands_in_the_reference() -> None:
    """Each command has a section in docs/cli.md, which names each of its options."""
    sections = {
        section.partition("\n")[0]: section
        for section in (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8").split("\n## ")
    }
    waiting = [("dcai", program())]
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is not None:
            waiting += [(f"{words} {name}", found) for name, found in inner.items()]
            continue
        for option in command.params:
            name = option.opts[0] if option.opts[0].startswith("--") else str(option.name).upper()
            assert f"`{name}" in sections[words], (words, name)


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md lists exactly what pyproject.toml and package.json ask for."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    package = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    declared = {
        re.split(r"[\[=<>~!; ]", requirement)[0]
        for requirement in (
            *project["project"]["dependencies"],
            *chain.from_iterable(project["project"]["optional-dependencies"].values()),
            *chain.from_iterable(project["dependency-groups"].values()),
            *project["build-system"]["requires"],
        )
    } | {
        name
        for group in ("dependencies", "devDependencies", "optionalDependencies")
        for name in package[group]
    }
    page = (PROJECT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == declared


def test_make_targets_that_the_pages_name_exist() -> None:
    """Every `make target` of a page is one of the Makefile."""
    targets = set(
        re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
        assert named <= targets, page
