"""The examples of README.md and docs/: they run, and what they show is what comes out.

A block runs if `<!-- runs -->` stands above it; the blocks of a page run in order in one shell. What
happens between them, on another machine or while time passes, stands in the page as `<!-- runs unseen:
COMMAND -->`. Pages that name `SEPOLIA` get an anvil with Sepolia's chain id in its place, and the key file
of an account that has ether there.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dcai_cli.keystore import Keystore
from tests.conftest import LIGHT_SCRYPT, RICH_WEI, StartAnvil
from tools.varying import same

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
MARKER = "<!-- runs -->"
UNSEEN = re.compile(r"<!-- runs unseen: ([^\n]*) -->")
BLOCK = re.compile(
    rf"^{re.escape(MARKER)}\n```console\n(.*?)^```$|^{UNSEEN.pattern}$", re.MULTILINE | re.DOTALL
)
SEPOLIA, SEPOLIA_ID = "https://sepolia.example/KEY", 11155111
WALLET, PASSWORD = "alice.json", "a long password"
"""The key file that pages on Sepolia import, and its password."""


@dataclass(frozen=True)
class Example:
    """A command of a page, and what the page shows below it; None if it is unseen."""

    command: str
    shown: str | None


def examples_of(page: Path) -> list[Example]:
    """The examples of a page that run, in order; lines that begin with "> " go on with the one above."""
    found: list[Example] = []
    for block, unseen in BLOCK.findall(page.read_text(encoding="utf-8")):
        if unseen:
            found.append(Example(unseen, None))
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, shown = re.fullmatch(r"(.*\n(?:> .*\n)*)((?:.*\n)*)", part).groups()  # type: ignore[union-attr]
            found.append(Example(command.replace("\n> ", "\n").rstrip(), shown))
    return found


def run_all(examples: list[Example], folder: Path) -> list[tuple[int, str]]:
    """Exit status and output of each command, run in one shell in a folder of its own."""
    programs = folder / "bin"
    programs.mkdir()
    dcai = programs / "dcai"
    dcai.write_text(f'#!/bin/sh\nPYTHONPATH="{PROJECT}" exec "{sys.executable}" -m dcai_cli "$@"\n')
    dcai.chmod(0o755)
    (folder / "examples").symlink_to(PROJECT / "examples")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "DCAI_", "XDG_"))
    }
    environment = kept | {
        "PATH": f"{programs}:{os.environ['PATH']}",
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


def on_sepolia(examples: list[Example], folder: Path, anvil: StartAnvil) -> list[Example]:
    """The same examples with an anvil where they name a node of Sepolia, and a key file with ether on it."""
    if not any(SEPOLIA in example.command for example in examples):
        return examples
    node = anvil("--chain-id", str(SEPOLIA_ID))
    stored = Keystore(folder, work_factor=LIGHT_SCRYPT).new(WALLET.removesuffix(".json"), PASSWORD)
    assert stored.address is not None
    node.set_balance(stored.address, RICH_WEI)
    host = node.url.removeprefix("http://")
    return [
        Example(
            example.command.replace(SEPOLIA, node.url),
            None if example.shown is None else example.shown.replace("sepolia.example", host),
        )
        for example in examples
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=lambda page: page.name
)
def test_the_examples_of_a_page_run_and_show_what_comes_out(
    page: Path, tmp_path: Path, anvil: StartAnvil
) -> None:
    """Every example exits with 0 and prints what stands below it, but for keys, times, gas and amounts."""
    examples = on_sepolia(examples_of(page), tmp_path, anvil)
    results = run_all(examples, tmp_path)
    assert len(results) == len(examples) > 0
    for example, (status, output) in zip(examples, results, strict=True):
        assert status == 0, f"{example.command}\n{output}"
        assert example.shown is None or same(output) == same(example.shown), example.command


def test_every_marked_block_is_one_that_runs() -> None:
    """No marker stands above anything but a console block with at least one command."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = [block for block, _ in BLOCK.findall(text) if block]
        assert len(blocks) == text.count(f"{MARKER}\n"), page
        assert len(UNSEEN.findall(text)) == text.count("<!-- runs unseen"), page
        assert all(block.startswith("$ ") for block in blocks), page


PYTHON = {"incentives.md", "library.md"}
ELSEWHERE = {"feature-spec.md", "models.md", "pretraining.md"}
"""Pages whose Python sessions are tested beside what they are about."""


@pytest.mark.parametrize("name", sorted(PYTHON))
def test_the_python_sessions_of_a_page_give_what_stands_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line after >>> gives what stands below it."""
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PROJECT / "docs" / name), module_relative=False)
    assert results.failed == 0 < results.attempted


def test_no_python_session_is_left_out() -> None:
    """Every page with a Python session is one of those that are tested."""
    assert {page.name for page in PAGES if ">>> " in page.read_text(encoding="utf-8")} == PYTHON | ELSEWHERE
