"""What is typed wrong: exit code 2, what was wrong and what to type instead, and nothing sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_processes import surroundings

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

DEPLOY = ["model", "deploy", "--yes", "--name"]
BAYES = ["model", "deploy", "--model-type", "naive-bayes", "--yes", "--name"]
DEPLOY_X = [*DEPLOY, "x", "--labels", "a,b"]

WRONG = {
    "unknown command": (["nosuch"], ["nosuch"]),
    "unknown subcommand": (["model", "nosuch"], ["nosuch"]),
    "unknown option": (["refunds", "--nosuch"], ["--nosuch"]),
    "missing argument": (["contribute"], ["file"]),
    "missing option": (["model", "deploy"], ["--name"]),
    "extra argument": (["refunds", "now"], ["now"]),
    "no number": (["contribute", "films.csv", "--limit", "ten"], ["--limit"]),
    "number out of range": (["contribute", "films.csv", "--limit", "0"], ["--limit", "1"]),
    "bad duration to advance": (["devnet", "advance", "soon"], ["'soon'", "25h"]),
    "a time behind the calendar": (["devnet", "advance", "99999999d"], ["9999"]),
    "a time behind all numbers": (["devnet", "advance", "9" * 5000], ["is not a duration"]),
    "negative duration": (["devnet", "advance", "-1h"], ["-1"]),
    "bad duration of a wait": ([*DEPLOY_X, "--refund-wait", "1 day"], ["'1 day'"]),
    "waits in disorder": ([*DEPLOY_X, "--refund-wait", "3d"], ["report wait", "3 d", "2 d"]),
    "waits too close": ([*DEPLOY_X, "--report-wait", "25h"], ["report wait", "1 d 1 h"]),
    "no refund wait": ([*DEPLOY_X, "--refund-wait", "0s"], ["refund wait", "0 s"]),
    "bad amount": (["contribute", "films.csv", "--max-deposit", "much"], ["'much'", "0.5ether"]),
    "amount below a wei": (["contribute", "films.csv", "--max-deposit", "0.5"], ["'0.5'"]),
    "a rise below 0": (["contribute", "films.csv", "--max-rise", "-1"], ["'-1'", "25"]),
    "no number of percent": (["contribute", "films.csv", "--max-rise", "abc"], ["'abc'", "12.5"]),
    "percent without a number": (["contribute", "films.csv", "--max-rise", "nan"], ["'nan'"]),
    "bad kind": ([*DEPLOY_X, "--kind", "image"], ["'image'", "tabular"]),
    "a table without its schema": ([*DEPLOY_X, "--kind", "tabular"], ["--schema"]),
    "a schema for a text": ([*DEPLOY_X, "--schema", "schema.toml"], ["--schema", "tabular"]),
    "no labels": ([*DEPLOY, "x"], ["--labels ham,spam"]),
    "labels of one name": ([*DEPLOY, "x", "--labels", "spam"], ["spam", "2 to 16"]),
    "a label twice": ([*DEPLOY, "x", "--labels", "a,a"], ["'a' stands twice", "--labels ham,spam"]),
    "seventeen labels": ([*DEPLOY, "x", "--labels", ",".join("abcdefghijklmnopq")], ["17 labels", "2 to 16"]),
    "an unknown type": ([*DEPLOY_X, "--model-type", "forest"], ["'forest'", "naive-bayes"]),
    "a width that no perceptron has": ([*DEPLOY_X, "--weight-bits", "12"], ["12 bits"]),
    "8 bits for three classes": (
        [*DEPLOY, "x", "--labels", "a,b,c", "--weight-bits", "8"],
        ["8 bits", "multiclass-perceptron"],
    ),
    "a margin without a perceptron": (
        [*DEPLOY_X, "--model-type", "nearest-centroid", "--margin", "1"],
        ["margin: 1"],
    ),
    "smoothing without naive Bayes": ([*DEPLOY_X, "--smoothing", "1"], ["smoothing: 256"]),
    "smoothing between the steps": (
        [*DEPLOY_X, "--model-type", "naive-bayes", "--smoothing", "0.3"],
        ["0.3", "1/256"],
    ),
    "Bernoulli without naive Bayes": ([*DEPLOY_X, "--bernoulli"], ["Bernoulli"]),
    "Bernoulli counts": (
        [*DEPLOY_X, "--model-type", "naive-bayes", "--bernoulli", "--counts"],
        ["without values"],
    ),
    "too wide for Bernoulli": (
        [
            *DEPLOY,
            "x",
            "--labels",
            "a,b,c",
            "--model-type",
            "naive-bayes",
            "--bernoulli",
            "--n-features",
            "4096",
        ],
        ["4,096 features", "2,048"],
    ),
    "an unknown incentive": ([*DEPLOY_X, "--incentive", "fame"], ["'fame'", "points"]),
    "money for points": ([*DEPLOY_X, "--incentive", "points", "--report-wait", "2d"], ["--report-wait"]),
    "a registry that is no address": ([*DEPLOY_X, "--registry", "main"], ["'main'", "--registry 0x"]),
    "nothing to supersede by": (["model", "supersede", "films"], ["--by"]),
    "superseded by one and by none": (["model", "supersede", "films", "--by", "x", "--none"], ["--none"]),
    "the same label twice": ([*DEPLOY, "x", "--labels", "a,a"], ["'a'"]),
    "an empty label": ([*DEPLOY, "x", "--labels", "a,"], ["label"]),
    "a name with capitals": ([*DEPLOY, "Films", "--labels", "a,b"], ["'Films'", "lower-case"]),
    "an empty name": ([*DEPLOY, "", "--labels", "a,b"], ["''"]),
    "a long name": ([*DEPLOY, "x" * 33, "--labels", "a,b"], ["x" * 33, "32"]),
    "too few features": ([*DEPLOY_X, "--n-features", "255"], ["--n-features", "256"]),
    "too many features": ([*DEPLOY_X, "--n-features", "16777217"], ["--n-features", "16777216"]),
    "no n-grams": ([*DEPLOY_X, "--ngrams", "few"], ["'few'", "1-2"]),
    "n-grams upside down": ([*DEPLOY_X, "--ngrams", "2-1"], ["ngram_range"]),
    "a free model": ([*DEPLOY_X, "--cost-weight", "0"], ["--cost-weight"]),
    "text and file": (["predict", "good", "--file", "films.csv"], ["a text or a file"]),
    "neither text nor file": (["predict"], ["a text or a file"]),
    "output without a file": (["predict", "good", "--output", "out.csv"], ["--output", "--file"]),
    "no such model": (["predict", "good", "--model", "fims"], ["'fims'", "films"]),
    "bad chain id": (["model", "list", "--chain-id", "main"], ["--chain-id"]),
    "bad URL": (["model", "list", "--rpc-url", "nonsense"], ["--rpc-url", "http://"]),
    "no such scheme": (["model", "list", "--rpc-url", "ftp://127.0.0.1"], ["http://"]),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.usefixtures("films")
def test_what_is_typed_wrong_is_named(dcai: Dcai, case: str) -> None:
    """Exit code 2 with a message, in words and as JSON; chain, money, ledger and keys stay as they were."""
    arguments, phrases = WRONG[case]
    with dcai.unchanged():
        result = dcai(*arguments)
        error = dcai.error(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    said = f"{error['message']} {error['hint']}"
    for phrase in phrases:
        assert phrase.lower() in said.lower()


ASKING = {
    "contribute": ["films.csv"],
    "model deploy": ["--name", "x", "--labels", "a,b", "--n-features", "256"],
    "model supersede": ["films", "--none"],
    "model evaluate": ["films.csv", "--publish"],
    "refunds": ["--claim"],
    "devnet reset": [],
    "account export": ["alice"],
}


@pytest.mark.parametrize("command", ASKING)
def test_where_nobody_can_answer_the_command_stops_and_names_yes(contributed: Dcai, command: str) -> None:
    """No terminal and no --yes: exit code 2, the question, the way on, and nothing is sent."""
    contributed.data("devnet", "advance", "25h")
    with contributed.unchanged():
        result = contributed(*command.split(), *ASKING[command])
    assert (result.code, result.out) == (2, "")
    assert "Nobody is there to answer" in result.err
    assert "--yes" in result.err


def test_where_nobody_can_type_a_password_the_command_names_the_option(dcai: Dcai, films: Path) -> None:
    """No terminal and no password file: exit code 2 and --password-file, before anything is planned."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--yes", ETH_PASSWORD="")
    assert error["exit_code"] == 2
    assert "Password of alice" in error["message"]
    assert "--password-file" in error["hint"]


def test_several_models_ask_for_a_name_until_one_is_in_use(dcai: Dcai) -> None:
    """With two models a command without --model is a usage error that lists them; `model use` ends it."""
    dcai.data("model", "deploy", "--name", "second", "--labels", "a,b", "--n-features", "256", "--yes")
    with dcai.unchanged():
        error = dcai.error("predict", "good")
    assert error["exit_code"] == 2
    assert "films, second" in error["message"]
    dcai.data("model", "use", "second")
    assert dcai.data("predict", "good")["model"] == dcai.data("model", "show", "second")["address"]


def test_several_accounts_ask_for_a_name_until_one_is_in_use(dcai: Dcai, films: Path) -> None:
    """The account in use is the default; --account and ETH_FROM go over it."""
    bob = dcai.data("account", "show", "bob")["address"]
    for environment, option in (({}, ["--account", "bob"]), ({"ETH_FROM": bob}, [])):
        data = dcai.data("contribute", films, *option, "--dry-run", **environment)
        assert data["account"] == bob
    dcai.data("account", "use", "bob")
    assert dcai.data("contribute", films, "--dry-run")["account"] == bob


@pytest.mark.parametrize("command", [["data", "export", "-o"], ["predict", "--file", "films.csv", "-o"]])
@pytest.mark.usefixtures("films")
def test_an_output_that_cannot_be_written_is_named(dcai: Dcai, command: list[str]) -> None:
    """A folder in place of the output file is an error that names it; nothing is left behind."""
    (dcai.folder / "taken").mkdir()
    before = sorted(path.name for path in dcai.folder.iterdir())
    error = dcai.error(*command, "taken")
    assert error["exit_code"] == 1
    assert "taken cannot be written" in error["message"]
    assert sorted(path.name for path in dcai.folder.iterdir()) == before


WRITERS = {
    "data export": ["data", "export", "--output"],
    "model snapshot": ["model", "snapshot", "--output"],
    "model export": ["model", "export", "--output"],
    "featurize": ["featurize", "films.csv", "--spec", "films", "--output"],
    "predict": ["predict", "--file", "films.csv", "--output"],
    "ledger backup": ["ledger", "backup"],
}
"""Every command that writes a file that the user names, up to the name."""


@pytest.mark.parametrize("command", WRITERS)
def test_a_file_that_is_there_is_replaced_only_by_force(contributed: Dcai, command: str) -> None:
    """Without --force it keeps its bytes, and the hint says how; with it, it is written."""
    contributed.write("films.csv", [("a great film", "positive")])
    mine = contributed.folder / "mine.csv"
    mine.write_text("mine")
    error = contributed.error(*WRITERS[command], "mine.csv")
    assert (error["exit_code"], error["message"]) == (15, "mine.csv is there already.")
    assert "--force" in error["hint"]
    assert mine.read_text() == "mine"
    contributed.data(*WRITERS[command], "mine.csv", "--force")
    assert mine.read_bytes() != b"mine"


@pytest.mark.parametrize("command", [*WRITERS, "plot"])
def test_a_file_in_a_folder_that_is_not_there_is_refused(contributed: Dcai, command: str) -> None:
    """A mistyped folder is named, and not made."""
    contributed.write("films.csv", [("a great film", "positive")])
    typed = WRITERS.get(command, ["data", "stats", "--plot"])
    error = contributed.error(*typed, "nodir/out.svg")
    assert (error["exit_code"], f"no folder {contributed.folder / 'nodir'}" in error["message"]) == (2, True)
    assert not (contributed.folder / "nodir").exists()


@pytest.mark.parametrize("command", WRITERS)
def test_a_dash_is_standard_output_or_refused(contributed: Dcai, command: str) -> None:
    """What is text goes there, without --json; nothing gives a file of that name."""
    contributed.write("films.csv", [("a great film", "positive")])
    error = contributed.error(*WRITERS[command], "-")
    assert (error["exit_code"], "standard output" in error["message"]) == (2, True)
    done = subprocess.run(
        [sys.executable, "-m", "dcai_cli", *WRITERS[command], "-"],
        env=surroundings(contributed),
        cwd=contributed.folder,
        capture_output=True,
        check=False,
    )
    streamed = {"data export": b"batch,", "featurize": b'{"row": 1', "predict": b"text,label,prediction"}
    if command in streamed:
        assert (done.returncode, done.stdout[: len(streamed[command])]) == (0, streamed[command])
        assert b"in standard output" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (2, b"")
    assert not (contributed.folder / "-").exists()


def test_a_picture_may_be_drawn_again(contributed: Dcai) -> None:
    """--plot replaces what it drew before, unasked."""
    picture = contributed.folder / "stats.svg"
    picture.write_text("old")
    contributed.data("data", "stats", "--plot", "stats.svg")
    assert "<svg" in picture.read_text()


def test_force_is_for_what_is_written(contributed: Dcai) -> None:
    """Where it would do nothing it is refused."""
    contributed.write("films.csv", [("a great film", "positive")])
    for typed in (
        ["predict", "good", "--force"],
        ["predict", "--file", "films.csv", "--force"],
        ["featurize", "films.csv", "--spec", "films", "--force"],
        ["data", "export", "-o", "x", "--format", "hf", "--force"],
    ):
        assert contributed.error(*typed)["exit_code"] == 2


def test_a_home_that_is_no_folder_is_named(empty: Dcai) -> None:
    """DCAI_HOME on a file is an error that names it, without a traceback."""
    file = empty.folder / "file"
    file.write_text("")
    for command in (["account", "list"], ["devnet", "status"], ["account", "new", "--name", "x"]):
        error = empty.error(*command, DCAI_HOME=str(file))
        assert error["exit_code"] == 1
        assert str(file) in error["message"]


def test_a_bare_group_shows_what_it_can_do(dcai: Dcai) -> None:
    """`dcai model` alone lists its commands, with exit code 2."""
    result = dcai("model")
    assert result.code == 2
    assert "deploy" in result.out + result.err


MISTYPED = {
    "refund": "'refunds'",
    "modle": "'model'",
    "acount list": "'account'",
    "model lst": "'list'",
    "model evalute": "'evaluate'",
    "config sett": "'set'",
    "tx sped-up": "'speed-up'",
    "refunds --clam": "--claim",
    "contribute films.csv --dry-rum": "--dry-run",
    "model deploy --lables a,b": "--labels",
    "--josn": "--json",
}


@pytest.mark.parametrize("typed", MISTYPED)
def test_what_is_nearly_a_command_or_option_is_suggested(empty: Dcai, typed: str) -> None:
    """Commands, groups, their commands and options: what was meant is said, in JSON, too."""
    assert MISTYPED[typed] in empty(*typed.split()).err
    assert MISTYPED[typed] in empty.error(*typed.split())["message"]
