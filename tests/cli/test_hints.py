"""Every error ends in what to type next: it is there, it can be typed, and it is to the point."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dcai_cli
from dcai_cli import errors
from dcai_cli.cli.app import SUMMARIES
from dcai_cli.errors import (
    BadInput,
    DcaiError,
    InsufficientFunds,
    Interrupted,
    LimitExceeded,
    Locked,
    NoAccount,
    PartlyDone,
    Reverted,
    RpcUnreachable,
    UsageError,
    WrongChain,
    WrongPassword,
)
from dcai_cli.services.models import describe
from tests.cli.conftest import ADDRESSES, HONEST, Dcai
from tests.cli.hints import commands_in, fault_of
from tests.cli.test_processes import StartTerminal, on_anvil, proxy, terminal

if TYPE_CHECKING:
    from _pytest.fixtures import FixtureRequest

__all__ = ["on_anvil", "terminal"]  # fixtures

SOURCES = sorted(Path(dcai_cli.__file__).parent.rglob("*.py"))
COMMANDS = {name for names in SUMMARIES.values() for name in names}


# --- in the sources --------------------------------------------------------------------------------------


def hints_in(tree: ast.AST) -> Iterator[ast.AST]:
    """What stands in a module as a hint, or as a step to take next."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            yield node.value
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and "hint" in target.id.lower() for target in targets):
                yield node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Step":
            yield node.args[0]


def texts_in(node: ast.AST) -> Iterator[str]:
    """The texts of an expression, with a placeholder for each value that is filled in."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts_in(child)


def test_every_command_that_a_hint_names_can_be_typed() -> None:
    """All hints of the sources: a command stands where people see that it is one, and dcai would take it."""
    texts = {
        text
        for path in SOURCES
        for hint in hints_in(ast.parse(path.read_text(encoding="utf-8")))
        for text in texts_in(hint)
    }
    assert len(texts) > 250
    faults = {}
    for text in texts:
        named = [word for word in re.findall(r"\bdcai ([a-z]+)", text) if word in COMMANDS]
        found = [command for command in commands_in(text) if not command.startswith("dcai X")]
        if [command.split()[1] for command in found if " " in command] != named:
            faults[text] = "a command is not told from the words around it"
        for command in found:
            if fault := fault_of(command):
                faults[text] = fault
    assert faults == {}


# --- as they are shown -----------------------------------------------------------------------------------


@dataclass
class Stage:
    """Where errors are provoked.

    Args:
        request: brings the fixtures that one takes.
    """

    request: FixtureRequest

    def dcai(self, home: str = "dcai") -> Dcai:
        """The command line in a prepared home, or in another one, with six rows in films.csv."""
        dcai = self.request.getfixturevalue(home)
        assert isinstance(dcai, Dcai)
        dcai.write("films.csv", HONEST)
        return dcai


def failed(stage: Stage) -> Any:
    """A folder stands where the output goes."""
    dcai = stage.dcai()
    (dcai.folder / "taken").mkdir()
    return dcai.error("predict", "--file", "films.csv", "--output", "taken")


def partly_done(stage: Stage) -> Any:
    """The node is gone after the first of three batches."""
    dcai = stage.dcai("on_anvil")
    with proxy(dcai.environment["ETH_RPC_URL"], cut_at=2, delivers=True) as url:
        return dcai.error("contribute", "films.csv", "--batch-size", "2", "--yes", ETH_RPC_URL=url)


def wrong_password(stage: Stage) -> Any:
    """The file holds another one."""
    dcai = stage.dcai()
    (dcai.folder / "password").write_text("open barley")
    return dcai.error("contribute", "films.csv", "--yes")


def poor(stage: Stage) -> Any:
    """Bob has nothing behind this node."""
    return stage.dcai("on_anvil").error("contribute", "films.csv", "--account", "bob", "--yes")


def unsealed(stage: Stage) -> Any:
    """The model does not take contributions yet."""
    dcai = stage.dcai()
    what = ("--name", "raw", "--labels", "negative,positive", "--n-features", "256", "--no-seal")
    dcai.data("model", "deploy", *what, "--yes")
    return dcai.error("contribute", "films.csv", "--model", "raw", "--yes")


def locked(stage: Stage) -> Any:
    """Another process asks a question meanwhile."""
    dcai = stage.dcai()
    start: StartTerminal = stage.request.getfixturevalue("terminal")
    other = start(dcai, "contribute", "films.csv")
    other.until("[y/N]")
    error = dcai.error("contribute", "films.csv", "--yes")
    other.type("no\n")
    other.end()
    return error


def interrupted(stage: Stage) -> Any:
    """Ctrl-C at a question."""
    start: StartTerminal = stage.request.getfixturevalue("terminal")
    command = start(stage.dcai(), "contribute", "films.csv", "--json")
    command.until("[y/N]")
    command.interrupt()
    _, out = command.end()
    return json.loads(out)["error"]


KINDS: dict[type[DcaiError], tuple[Callable[[Stage], Any], str]] = {
    DcaiError: (failed, "Check the name, the permissions and the free space."),
    UsageError: (lambda stage: stage.dcai().error("refunds", "--clam"), "dcai refunds ... --claim"),
    PartlyDone: (partly_done, "The same command again goes on where this one stopped."),
    NoAccount: (lambda stage: stage.dcai("empty").error("refunds"), "dcai init"),
    WrongPassword: (wrong_password, "Check what you typed, --password-file or ETH_PASSWORD"),
    InsufficientFunds: (poor, "Send ether to the account, or send fewer rows: --limit N"),
    RpcUnreachable: (
        lambda stage: stage.dcai().error(
            "refunds", ETH_RPC_URL=str(stage.request.getfixturevalue("closed_url"))
        ),
        "Check ETH_RPC_URL",
    ),
    Reverted: (unsealed, "dcai model seal raw"),
    BadInput: (lambda stage: stage.dcai().error("contribute", "film.csv"), "Check the name and the folder."),
    LimitExceeded: (
        lambda stage: stage.dcai().error("contribute", "films.csv", "--max-deposit", "1", "--yes"),
        "Raise --max-deposit, or send fewer rows with --limit.",
    ),
    WrongChain: (
        lambda stage: stage.dcai().error("model", "show", ADDRESSES["bob"]),
        "--network",
    ),
    Locked: (locked, "Wait until it ends, or stop it, and run the same command again."),
    Interrupted: (interrupted, "The same command again goes on where this one stopped."),
}
"""For each kind of error a way to it through the command line, and what it must tell to do."""


def test_every_kind_of_error_is_provoked() -> None:
    """The tree of errors has no class that is not among them."""
    tree = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, DcaiError)}
    assert KINDS.keys() == tree


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_an_error_of_each_kind_ends_in_what_to_type_next(
    request: FixtureRequest, kind: type[DcaiError]
) -> None:
    """The error is of this kind, and its hint names the command, option or action that helps."""
    provoke, action = KINDS[kind]
    error = provoke(Stage(request))
    assert (error["code"], error["exit_code"]) == (kind.code, kind.exit_code)
    assert action in error["hint"]


def test_an_error_without_advice_of_its_own_names_the_help(dcai: Dcai) -> None:
    """Whatever a command refuses without a hint ends in that command's help."""
    spec = json.loads(dcai.data("model", "show")["spec"])
    (dcai.folder / "spec.json").write_text(json.dumps(spec)[:-1])
    dcai.write("films.csv", HONEST)
    hint = dcai.error("featurize", "films.csv", "--spec", "spec.json")["hint"]
    assert hint == "See what it takes: dcai featurize --help"


def test_a_hint_names_the_model_that_the_command_named(club: Dcai) -> None:
    """With another model in use, what is pasted means the one that the command named."""
    club.data("model", "use", "films")
    assert club.error("model", "seal", "club", "--yes")["hint"].endswith("dcai contribute FILE --model club")
    file = club.write("other.csv", [("a text", "neutral")])
    error = club.error("contribute", file, "--model", "club", "--dry-run")
    assert error["hint"].endswith("dcai model show club")
    asking = ("--model", "club", "--yes")
    assert club.error("validate", "alice", *asking)["hint"].endswith("dcai leaderboard --model club")
    error = club.error("validate", f"0x{255:040x}", *asking)
    assert error["hint"].endswith("dcai leaderboard --model club")
    error = club.error("validate", "alice", "--account", "bob", *asking)
    assert error["hint"].endswith("dcai refunds --model club --claim")


def test_a_model_whose_name_is_no_plain_word_is_named_by_its_address(dcai: Dcai) -> None:
    """A name with more than letters, digits and dashes never stands in what is pasted into a shell."""
    address = dcai.data("model", "show")["address"]
    with dcai.chain() as chain:
        assert describe(chain, address, name="films; reboot").typed == address
        assert describe(chain, address, name="films-2").typed == "films-2"
