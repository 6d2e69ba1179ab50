"""The examples of README.md and docs/: they run, and what they show is what comes out.

A block runs if `<!-- runs -->` stands above it; the blocks of a page run in order in one shell.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.varying import same

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
MARKER = "<!-- runs -->"
BLOCK = re.compile(rf"^{re.escape(MARKER)}\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A command of a page, and what the page shows below it."""

    command: str
    shown: str


def examples_of(page: Path) -> list[Example]:
    """The examples of a page that run, in order."""
    found: list[Example] = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append(Example(command, shown))
    return found


def run_all(examples: list[Example], folder: Path) -> list[tuple[int, str]]:
    """Exit status and output of each command, run in one shell in a folder of its own."""
    programs = folder / "bin"
    programs.mkdir()
    dcai = programs / "dcai"
    dcai.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dcai_cli "$@"\n')
    dcai.chmod(0o755)
    (folder / "examples").symlink_to(PROJECT / "examples")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "DCAI_"))}
    environment = kept | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }
    script = "exec 2>&1\n" + "".join(f"{example.command}\nprintf '\\036%d\\036' $?\n" for example in examples)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    parts = done.stdout.split("\036")
    return [(int(status), output) for output, status in zip(parts[::2], parts[1::2], strict=False)]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if MARKER in page.read_text()], ids=lambda page: page.name
)
def test_the_examples_of_a_page_run_and_show_what_comes_out(page: Path, tmp_path: Path) -> None:
    """Every example exits with 0 and prints what stands below it, but for keys, times, gas and amounts."""
    examples = examples_of(page)
    results = run_all(examples, tmp_path)
    assert len(results) == len(examples) > 0
    for example, (status, output) in zip(examples, results, strict=True):
        assert status == 0, f"{example.command}\n{output}"
        assert same(output) == same(example.shown), example.command


def test_every_marked_block_is_one_that_runs() -> None:
    """No marker stands above anything but a console block with at least one command."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = BLOCK.findall(text)
        assert len(blocks) == text.count(f"{MARKER}\n"), page
        assert all(block.startswith("$ ") for block in blocks), page


def test_what_the_readme_shows_first_is_what_the_five_minutes_print() -> None:
    """The transcript at the top is made of commands and lines that stand, and run, further below."""
    head, _, rest = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## Two commands")
    (block,) = re.findall(r"^```console\n(.*?)^```$", head, re.MULTILINE | re.DOTALL)
    lines = [line for line in block.splitlines() if not line.startswith("$ dcai contribute")]
    assert [line for line in lines if line not in rest] == []
