"""Help for every command, and what may not be imported to give it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli import errors
from dcai_cli.cli.app import program
from dcai_cli.errors import DcaiError

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

HEAVY = {
    "web3",
    "datasets",
    "sklearn",
    "numpy",
    "pandas",
    "pyarrow",
    "eth_tester",
    "eth",
    "eth_account",
    "numba",
    "distributed",
}
"""What takes long to import."""

SLOW = {"alembic", "eth_abi", "eth_utils", "pydantic"}
"""What takes a while, and is not needed to look at things."""


def walk(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below a group, with what is typed for it."""
    for name, command in group.commands.items():
        yield (*words, name), command
        if hasattr(command, "commands"):
            yield from walk(command, (*words, name))


OURS = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, DcaiError)]
EVERYTHING = dict(walk(program()))
COMMANDS = {words: command for words, command in EVERYTHING.items() if not hasattr(command, "commands")}


def test_the_walk_finds_the_commands() -> None:
    """The commands that every user types are among those that are tested here."""
    assert {("contribute",), ("predict",), ("refunds",), ("reports",), ("model", "deploy")} <= COMMANDS.keys()
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("words", EVERYTHING, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_and_group_has_help(empty: Dcai, words: tuple[str, ...], option: str) -> None:
    """--help and -h exit with 0, print the help to stdout, and make no file."""
    result = empty(*words, option)
    assert (result.code, result.err) == (0, "")
    assert f"Usage: dcai {' '.join(words)}" in result.out
    assert not empty.home.exists()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_and_its_exit_codes(empty: Dcai, words: tuple[str, ...]) -> None:
    """The example begins with the command itself; the codes are codes that exist, 0 among them."""
    said = " ".join(empty(*words, "--help").out.split())
    assert f"Example: dcai {' '.join(words)}" in said
    listed = said.split("Exit codes: ")[1].split(".")[0]
    codes = {int(part.split(" ")[0]) for part in listed.split(", ") if part.split(" ")[0].isdecimal()}
    known = {0} | {cls.exit_code for cls in OURS}
    assert 0 in codes
    assert codes <= known


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_explained(words: tuple[str, ...]) -> None:
    """No option and no argument of any command is without help."""
    for parameter in COMMANDS[words].params:
        assert parameter.help, f"{' '.join(words)}: {parameter.name}"


def test_the_help_names_the_variables_of_the_environment(empty: Dcai) -> None:
    """What is in brackets is not taken for markup: the variables stand in the help."""
    said = empty("contribute", "--help").out
    for name in ("DCAI_NETWORK", "ETH_RPC_URL", "DCAI_CHAIN_ID", "ETH_FROM", "ETH_PASSWORD"):
        assert name in said


def test_the_top_lists_all_exit_codes(empty: Dcai) -> None:
    """`dcai --help` explains every exit code that an error can have."""
    listed = " ".join(empty("--help").out.split()).split("Exit codes: ")[1]
    for cls in OURS:
        assert f"{cls.exit_code} " in listed


def test_the_version_is_printed(empty: Dcai) -> None:
    """`dcai --version` names program, version, build, and the contracts that it ships."""
    from dcai_cli import __version__

    program, build, contracts = empty("--version").out.splitlines()
    assert (program, build) == (f"dcai {__version__}", "build checkout")
    assert re.fullmatch(r"contracts [0-9a-f]{12} \(.+\)", contracts)


def imported_by(dcai: Dcai, *commands: list[str]) -> set[str]:
    """The top-level modules that a fresh process has imported when commands have ended."""
    program = (
        "import json, sys; from dcai_cli.cli.app import run; code = max(map(run, json.loads(sys.argv[1])));"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)],
        env={**dcai.environment, "PYTHONPATH": ":".join(sys.path)},
        cwd=dcai.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.complaint("start-up takes two seconds")
def test_help_imports_nothing_heavy(empty: Dcai) -> None:
    """Neither the chain's nor the data's libraries, nor the ledger's, are there when all help is printed."""
    helps = [[*words, "--help"] for words in ((), *EVERYTHING)]
    assert not imported_by(empty, ["--version"], *helps) & (HEAVY | {"sqlalchemy"})


@pytest.mark.complaint("start-up takes two seconds")
@pytest.mark.parametrize("arguments", [["account", "list"], ["config", "show"], ["account", "use", "bob"]])
def test_what_only_reads_ledger_and_keys_imports_nothing_heavy(dcai: Dcai, arguments: list[str]) -> None:
    """A command that asks no chain loads none of its libraries."""
    assert not imported_by(dcai, arguments) & (HEAVY | SLOW)


@pytest.mark.parametrize(
    "arguments", [[], ["refunds"], ["reports"], ["tx", "list"], ["devnet", "status"]], ids=" ".join
)
def test_what_only_looks_at_the_embedded_chain_imports_no_machine(
    contributed: Dcai, arguments: list[str]
) -> None:
    """Blocks, balances and logs are read without py-evm; nothing that was not typed is converted."""
    assert imported_by(contributed, arguments) & (HEAVY | SLOW) == set()


def test_only_what_was_typed_is_imported() -> None:
    """The files of other commands are not read, and none for where one stands."""
    program = (
        "import sys; from dcai_cli.cli.app import run; run(['config', 'path']);"
        "print(*(name for name in sys.modules if name.startswith('dcai_cli.cli.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    files = {name.removeprefix("dcai_cli.cli.") for name in done.stderr.split()}
    assert files == {"app", "completion", "options", "output", "settings"}


@pytest.mark.parametrize("arguments", [["--help", "refunds"], ["-h"], ["--help", "nosuch"]], ids=" ".join)
def test_help_before_a_command_is_that_of_the_program(empty: Dcai, arguments: list[str]) -> None:
    """It lists all commands, whatever stands behind it."""
    assert empty(*arguments).out == empty("--help").out


def test_what_a_file_is_like_is_judged_by_the_command_alone() -> None:
    """No file is refused while options are read: that would be a usage error, where it is bad input."""
    descriptors = [option.type_descriptor for command in COMMANDS.values() for option in command.params]
    paths = [descriptor.parameter_info for descriptor in descriptors if descriptor.is_path]
    assert len(paths) >= 9
    assert not any(path.readable or path.writable or path.exists for path in paths)


@pytest.mark.parametrize("words", EVERYTHING, ids=" ".join)
def test_help_on_a_narrow_screen_cuts_no_name_and_no_word(empty: Dcai, words: tuple[str, ...]) -> None:
    """At 40 columns every option is there by its whole name, and no line is longer."""
    result = empty(*words, "--help", COLUMNS="40")
    assert result.code == 0
    assert "\u2026" not in result.out
    lines = result.out.splitlines()
    for param in EVERYTHING[words].params:
        if param.opts[0].startswith("--"):
            assert any(re.match(rf" +(-\w, )?{param.opts[0]}\b", line) for line in lines), param.opts[0]
    assert [line for line in lines if len(line) > 40 and " " in line.strip()] == []
