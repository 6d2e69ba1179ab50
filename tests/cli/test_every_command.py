"""What holds for every command: help, JSON by its schema, plain pipes, narrow screens, nobody there."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.cli.app import SUMMARIES
from tests.cli.conftest import PASSWORD, distinct
from tests.cli.test_epilog_examples import EXAMPLES, NODES, STUCK, copy_of, stocked, takes_yes
from tests.cli.test_help import COMMANDS, EVERYTHING
from tests.cli.test_processes import surroundings
from tests.json_schemas import check_document

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["stocked"]  # the fixture

RUNNING = sorted(EXAMPLES.keys() - STUCK - NODES - {"daemon run", "demo"})
"""What ends by itself, in a home that has what the example names."""

ESCAPE = "\x1b"
NARROW = 40


def words_of(command: str) -> list[str]:
    """The example without `dcai`, answered beforehand where it asks."""
    _, *arguments = shlex.split(EXAMPLES[command])
    yes = ["--yes"] if takes_yes(command) and "--yes" not in arguments else []
    return [*(word for word in arguments if word != "--json"), *yes]


def takes_json(command: str) -> bool:
    """Whether a command has a document."""
    return any("--json" in option.opts for option in COMMANDS[tuple(command.split())].params)


@pytest.mark.complaint("--json is not JSON")
@pytest.mark.parametrize("command", [command for command in RUNNING if takes_json(command)])
def test_the_document_is_what_the_schema_says(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """With --json stdout is one document, of this command and by its schema; and so is an error."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    dcai = copy_of(stocked, tmp_path, command)
    arguments = words_of(command)
    title = f"{command} --claim" if "--claim" in arguments else command
    result = dcai(*arguments, "--json")
    assert result.code == 0, result.err
    assert result.document["command"] == command
    check_document(title, result.document)
    wrong = dcai(*command.split(), "--nosuch", "--json")
    assert wrong.code == 2
    check_document(title, wrong.document)


FAULTS = {
    "the settings file": r"config path|featurize|market simulate|model suggest|simulate",
    "the ledger": r"config .*|daemon status|devnet .*|featurize|ledger restore|market simulate|model suggest|"
    r"network (list|remove|show|use)|simulate",
    "the chain": r"account (list|use)|config .*|daemon .*|devnet reset|featurize|"
    r"ledger (backup|check|restore)|market simulate|model suggest|network (list|remove|show|use)|simulate",
}
"""What may be broken, and commands that do not need it."""


@pytest.mark.complaint("failures exit 0")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", [command for command in RUNNING if takes_json(command)])
def test_a_command_that_fails_says_so_by_its_exit_code_and_in_one_document(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, fault: str
) -> None:
    """Exit code and document agree, for people stdout is empty, and stderr begins with the error."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    dcai = copy_of(stocked, tmp_path, command)
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    if fault == "the settings file":
        (home / "config.toml").write_text("rpc_url = \n")
    elif fault == "the ledger":
        (home / "ledger.sqlite").write_bytes(b"no ledger " * 1_000)
    else:
        dcai.environment["DCAI_CHAIN_ID"] = "1"
    result = dcai(*words_of(command), "--json")
    title = f"{command} --claim" if "--claim" in words_of(command) else command
    check_document(title, result.document)
    if re.fullmatch(FAULTS[fault], command):
        assert result.code == 0
        return
    assert result.code == result.document["error"]["exit_code"] != 0
    told = dcai(*words_of(command))
    assert (told.code, told.out) == (result.code, "")
    assert told.err.startswith("error: ")


@pytest.mark.parametrize("command", RUNNING)
@pytest.mark.parametrize(
    "environment", [{}, {"NO_COLOR": "1", "COLUMNS": str(NARROW)}], ids=["pipe", "narrow"]
)
def test_a_pipe_gets_plain_lines(
    stocked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    environment: dict[str, str],
) -> None:
    """No escape code and no bar, whatever the width; every line is whole, and the same on a narrow screen."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    dcai = copy_of(stocked, tmp_path, command)
    result = dcai(*words_of(command), **environment)
    assert result.code == 0, result.err
    assert ESCAPE not in result.out + result.err
    assert "\r" not in result.out + result.err
    assert "…" not in result.out + result.err


@pytest.mark.parametrize("command", [command for command in RUNNING if takes_yes(command)])
def test_where_nobody_answers_a_question_names_its_option(
    stocked: Path, tmp_path: Path, command: str
) -> None:
    """Without --yes and without a terminal: exit code 2 and --yes, or 0 if there is nothing to ask."""
    dcai = copy_of(stocked, tmp_path, command)
    result = dcai(*(word for word in words_of(command) if word != "--yes"))
    if result.code == 0:
        assert command in {
            "contribute",
            "market collect",
            "market join",
            "market reveal",
            "market step",
            "model evaluate",
            "reports",
        }  # --dry-run, nothing to do yet, no --publish, nothing of others
    else:
        assert (result.code, result.out) == (2, "")
        assert "--yes" in result.err


@pytest.mark.parametrize("words", EVERYTHING, ids=" ".join)
def test_help_fits_a_narrow_screen_and_has_no_colour_in_a_pipe(empty: Dcai, words: tuple[str, ...]) -> None:
    """At 40 columns no line of the help is longer; nothing is coloured."""
    said = empty(*words, "--help", COLUMNS=str(NARROW)).out
    assert ESCAPE not in said
    assert max(map(len, said.splitlines())) <= NARROW


def test_the_panels_hold_every_command_once_with_a_line_that_is_not_cut(empty: Dcai) -> None:
    """`dcai --help` at 80 columns: each command and group in one panel, its summary whole, in this order."""
    said = empty("--help", COLUMNS="80").out
    top = {words[0] for words in EVERYTHING}
    listed = [name for names in SUMMARIES.values() for name in names]
    assert sorted(listed) == sorted(top)
    places = []
    for panel, names in SUMMARIES.items():
        places.append(said.index(f"─ {panel} ─"))
        for name, summary in names.items():
            (line,) = re.findall(rf"^│ {re.escape(name)} +{re.escape(summary)} *│$", said, re.MULTILINE)
            places.append(said.index(line))
    assert places == sorted(places)


@pytest.mark.parametrize("group", [words for words in EVERYTHING if words not in COMMANDS], ids=" ".join)
def test_a_group_lists_its_commands(empty: Dcai, group: tuple[str, ...]) -> None:
    """Each command of a group stands in the group's help with the beginning of its summary."""
    said = empty(*group, "--help", COLUMNS="80").out
    for words in COMMANDS:
        if words[: len(group)] == group:
            assert re.search(rf"^│ {re.escape(words[-1])} +\w", said, re.MULTILINE)


@pytest.mark.parametrize("command", RUNNING)
def test_quiet_and_verbose_change_the_talk_and_nothing_else(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """--quiet leaves stderr empty; --verbose says there how it ended, and what was asked, but no secret."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    dcai = copy_of(stocked, tmp_path / "quiet", command)
    quiet = dcai(*words_of(command), "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    dcai = copy_of(stocked, tmp_path / "verbose", command)
    verbose = dcai(*words_of(command), "--verbose")
    assert verbose.code == 0
    assert re.search(r"^ended with 0 after \d+\.\d\d s$", verbose.err, re.MULTILINE)
    assert PASSWORD not in verbose.err
    assert len(quiet.out.splitlines()) == len(verbose.out.splitlines())


def test_verbose_names_settings_and_requests_and_ends_with_the_command(dcai: Dcai, anvil_url: str) -> None:
    """Where settings come from, host and methods of requests; the next command is silent again."""
    said = dcai("devnet", "status", "--verbose", "--rpc-url", f"{anvil_url}/s3cr3t").err
    assert "options (rpc_url)" in said
    assert re.search(r"^127\.0\.0\.1:\d+: 1 of eth_chainId, \d+ ms$", said, re.MULTILINE)
    assert "s3cr3t" not in said
    assert dcai("devnet", "status").err == ""


@pytest.mark.parametrize(
    "typed",
    [
        "leaderboard",
        "data stats",
        "model suggest many.csv",
        "refunds",
        "account list --quiet",
        "simulate tumours --set duration=1d",
        "market simulate tumours --draws 2",
    ],
)
def test_rows_are_short_lines_on_a_narrow_screen(stocked: Path, tmp_path: Path, typed: str) -> None:
    """On a terminal of 40 columns the lines of each row fit, and nothing is cut; a wide one has a table."""
    dcai = copy_of(stocked, tmp_path, typed)
    dcai.write("many.csv", distinct("many", 30))
    narrow, wide = on_screen(dcai, typed.split(), NARROW), on_screen(dcai, typed.split(), 120)
    assert narrow
    assert "…" not in narrow + wide
    if typed == "data stats":
        rows = narrow[narrow.index("0x") :].splitlines()
        assert max(map(len, rows)) <= NARROW
        assert {line.split()[0] for line in rows[2::5]} == {"deposits"}
        assert all(re.search(r" [\d,.]+ ETH$", line) for line in rows[2::5])
        assert re.search(r"contributor +samples +batches", wide)
        assert "samples, " in on_screen(dcai, typed.split(), 80).split("0x")[1]
    if typed == "leaderboard":
        assert max(map(len, narrow.splitlines())) <= NARROW
        assert "model points" in wide
    if typed.startswith("simulate"):
        title, *rows, accuracy = narrow.splitlines()
        assert (title, len(rows)) == (wide.splitlines()[0], 3 * 5)
        assert max(map(len, [*rows, accuracy])) <= NARROW
        assert "contributed  refunded" in wide
    if typed.startswith("market simulate"):
        rows = narrow.splitlines()[1:]
        assert len(rows) == 3 * 5 + 4
        assert max(map(len, rows)) <= NARROW
        assert re.search("participant +samples +wrong", wide)
    if typed.startswith("model suggest"):
        rows = [line for line in narrow.splitlines() if re.match(r"[* ] (word|char)|    \d", line)]
        assert len(rows) >= 4
        assert max(map(len, rows)) <= NARROW
        assert "n_features" in wide


def on_screen(dcai: Dcai, arguments: list[str], columns: int) -> str:
    """What a command shows on a terminal of so many columns, without colours."""
    screen, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dcai_cli", *arguments],
        env=surroundings(dcai) | {"COLUMNS": str(columns), "NO_COLOR": "1"},
        cwd=dcai.folder,
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=subprocess.DEVNULL,
    )
    os.close(end)
    seen = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(screen, 4096):
            seen += part
    os.close(screen)
    assert process.wait() == 0, seen
    text = seen.decode()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")


def test_dcai_alone_fits_a_narrow_screen(stocked: Path, tmp_path: Path) -> None:
    """No line of what people see first is wider than 40 columns; addresses are short, times relative."""
    dcai = copy_of(stocked, tmp_path, "")
    said = dcai(COLUMNS=str(NARROW)).out
    assert max(map(len, said.splitlines())) <= NARROW
    assert not re.search("0x[0-9a-fA-F]{40}", said)
    assert not re.search(r"\d{4}-\d\d-\d\d", said)
