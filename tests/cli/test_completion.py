"""Shell completion: what the shells ask by environment variables, and what a real bash shows."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import ADDRESSES
from tests.cli.test_help import HEAVY
from tests.cli.test_processes import PATIENCE_S, surroundings

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

SHELLS = ("bash", "zsh", "fish")


def ask(dcai: Dcai, shell: str, line: str, **environment: str) -> str:
    """What completion answers for a line whose last word is being typed."""
    words = ["dcai", *line.split(" ")]
    asked = {
        "bash": {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": " ".join(words)},
        "fish": {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [sys.executable, "-m", "dcai_cli"],
        env=surroundings(dcai) | asked | {"_DCAI_COMPLETE": f"complete_{shell}"} | environment,
        cwd=dcai.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def offered(dcai: Dcai, line: str, **environment: str) -> list[str]:
    """What bash is offered."""
    return ask(dcai, "bash", line, **environment).split()


OFFERS = {
    "mod": ["model"],
    "model ev": ["evaluate"],
    "refunds --cl": ["--claim"],
    "refunds --account ": ["alice", "bob"],
    "account show al": ["alice"],
    "account use b": ["bob"],
    "model use ": ["films"],
    "model show f": ["films"],
    "predict --model f": ["films"],
    "refunds --model ": ["films"],
    "model supersede films --by f": ["films"],
    "refunds --rpc-url e": ["embedded"],
    "init --rpc-url h": ["http://127.0.0.1:8545"],
    "config set rep": ["replace_after"],
    "config set account ": ["alice", "bob"],
    "config set rpc_url e": ["embedded"],
    "config unset cha": ["chain_id"],
    "config set confirmations ": [],
    "account use zz": [],
}


@pytest.mark.parametrize("line", OFFERS)
def test_what_is_offered(dcai: Dcai, line: str) -> None:
    """Commands, options, accounts, models, networks and settings, by the beginning of the word."""
    assert offered(dcai, line) == OFFERS[line]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_answered_in_its_own_form(dcai: Dcai, shell: str) -> None:
    """Accounts with their addresses where the shell shows them; a script that sets completion up."""
    said = ask(dcai, shell, "account use al")
    assert "alice" in said
    assert "bob" not in said
    assert (ADDRESSES["alice"] in said) == (shell != "bash")
    script = subprocess.run(
        [sys.executable, "-m", "dcai_cli"],
        env=surroundings(dcai) | {"_DCAI_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"complete_{shell}" in script


def test_completion_makes_nothing_and_never_fails(empty: Dcai) -> None:
    """In an empty home, with broken settings, or with a ledger that is none, nothing is offered or made."""
    for line in ("account use ", "model use ", "config set account "):
        assert offered(empty, line) == []
    assert not empty.home.exists()
    empty.home.mkdir()
    (empty.home / "ledger.sqlite").write_text("this is no ledger")
    assert offered(empty, "model use ") == []
    (empty.home / "config.toml").write_text("broken = ")
    for line in ("account use ", "model use ", "refunds --rpc-url "):
        assert offered(empty, line) == []


def test_models_of_other_chains_are_not_offered(dcai: Dcai) -> None:
    """Behind a node with a pinned chain id, the embedded chain's models are not offered."""
    assert offered(dcai, "model use ", ETH_RPC_URL="http://127.0.0.1:8545", DCAI_CHAIN_ID="1") == []


def test_urls_that_hold_keys_are_not_offered(dcai: Dcai) -> None:
    """Of the nodes that are set, only those without path, user and query are shown."""
    urls = "https://user:pw@a.example,https://b.example/v3/s3cr3t,https://c.example"
    assert offered(dcai, "refunds --rpc-url https", ETH_RPC_URL=urls) == ["https://c.example"]


def test_completion_imports_nothing_heavy(dcai: Dcai) -> None:
    """No chain is opened for a model's name."""
    program = (
        "import sys\nfrom dcai_cli.cli.app import run\n"
        "try: run([])\nexcept SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings(dcai)
        | {"_DCAI_COMPLETE": "complete_bash", "COMP_WORDS": "dcai model use ", "COMP_CWORD": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["films"]
    assert not set(done.stderr.split()) & HEAVY


def test_a_real_bash_completes_a_model_and_an_account(dcai: Dcai, tmp_path: Path) -> None:
    """With the script that dcai prints, a tab in an interactive bash finishes the word."""
    bash = shutil.which("bash")
    assert bash is not None
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "dcai"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dcai_cli "$@"\n')
    program.chmod(0o755)
    environment = surroundings(dcai) | {"PS1": "ready> ", "HOME": str(tmp_path)}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    screen, terminal = pty.openpty()
    shell = subprocess.Popen(
        [bash, "--norc", "--noprofile", "-i"],
        env=environment,
        cwd=dcai.folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + PATIENCE_S
        while text not in seen:
            ready, _, _ = select.select([screen], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the screen never showed {text!r}: {seen!r}"
            seen += os.read(screen, 4096).decode()
        seen = seen.partition(text)[2]

    try:
        until("ready> ")
        os.write(screen, b'eval "$(_DCAI_COMPLETE=source_bash dcai)"; echo set-"up"\n')
        until("set-up")
        os.write(screen, b"dcai model use fi\t")
        until("dcai model use films ")
        os.write(screen, b"\x15dcai refunds --account al\t")
        until("--account alice ")
    finally:
        shell.kill()
        shell.wait()
        os.close(screen)


def test_scenarios_are_completed_by_name_and_by_file(empty: Dcai) -> None:
    """Those that come along, and files of the folder that was typed."""
    (empty.folder / "mine").mkdir()
    (empty.folder / "mine" / "bad.toml").write_text("")
    assert "tumours" in offered(empty, "simulate ")
    assert offered(empty, "simulate tum") == ["tumours"]
    assert offered(empty, "simulate mine/b") == ["mine/bad.toml"]
    assert offered(empty, "market simulate im") == ["imdb"]
    assert offered(empty, "market simulate mine/b") == ["mine/bad.toml"]
