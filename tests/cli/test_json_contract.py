"""The JSON documents that other tools depend on, told by real figures; their fields are in docs/schemas."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.cli.app import run
from tests.json_schemas import check_document

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai


def test_claims_and_cycles_of_the_daemon_say_what_was_done(contributed: Dcai) -> None:
    """Before the refund wait nothing is claimed and it is said why; after it all; both by their schemas."""
    before = contributed.data("daemon", "run", "--once")
    assert (len(before["claims"]), [left["code"] for left in before["left"]]) == (0, ["waiting"])
    contributed.data("devnet", "advance", "25h")
    result = contributed("refunds", "--claim", "--yes", "--json")
    check_document("refunds --claim", result.document)
    assert result.document["data"]["claimed_samples"] == 3
    after = contributed("daemon", "run", "--once", "--json")
    check_document("daemon run", after.document)
    assert (after.document["data"]["claims"], after.document["data"]["left"]) == ([], [])


def test_where_contributions_earn_points_nothing_expires(club: Dcai) -> None:
    """What is out has no deadline there, and the document is by its schema."""
    club.data("contribute", club.write("new.csv", [("a new film", "positive")]), "--yes")
    result = club("refunds", "--json")
    check_document("refunds", result.document)
    assert [item["expires_at"] for item in result.document["data"]["items"]] == [None]


def test_predictions_of_a_file_that_cannot_be_made_say_why(contributed: Dcai) -> None:
    """A row without features has a null label and a reason; the others have neither."""
    contributed.write("texts.csv", [("a great film",), ("",)], header=["text"])
    data = contributed.data("predict", "--file", "texts.csv")
    assert data["predictions"] == [
        {"row": 1, "label": "positive"},
        {"row": 2, "label": None, "reason": "the text is empty"},
    ]


def test_the_figures_of_a_contribution_agree_with_each_other(dcai: Dcai, films: Path) -> None:
    """Sums over the batches are the totals, and the balance fell by deposits and fees, to the wei."""
    address = dcai.data("account", "show")["address"]
    before_wei = dcai.balance_wei(address)
    data = dcai.data("contribute", films, "--batch-size", "2", "--yes")
    batches = data["batches"]
    assert [batch["samples"] for batch in batches] == [2, 2, 2]
    assert data["contributed"] == data["rows"] == 6
    assert int(data["deposit_wei"]) == sum(int(batch["deposit_wei"]) for batch in batches)
    assert int(data["fee_wei"]) == sum(int(batch["fee_wei"]) for batch in batches)
    assert data["gas_used"] == sum(batch["gas_used"] for batch in batches)
    assert dcai.balance_wei(address) == before_wei - int(data["deposit_wei"]) - int(data["fee_wei"])
    assert int(dcai.data("model", "show")["balance_wei"]) == int(data["deposit_wei"])


def test_the_figures_of_an_evaluation_agree_with_each_other(dcai: Dcai, films: Path) -> None:
    """Rows, correct ones, accuracy and the classes tell the same story; --skip leaves rows out."""
    dcai.data("contribute", films, "--yes")
    data = dcai.data("model", "evaluate", films, "--text-column", "text", "--label-column", "label")
    assert (data["rows"], data["correct"], data["accuracy"]) == (6, 6, 1.0)
    assert [figures["label"] for figures in data["classes"]] == ["negative", "positive"]
    assert [figures["rows"] for figures in data["classes"]] == [3, 3]
    assert dcai.data("model", "evaluate", films, "--skip", "4")["rows"] == 2


def test_a_failure_is_one_document_too(dcai: Dcai) -> None:
    """An error has code, exit code, message and hint, in place of data; stderr says the same for people."""
    result = dcai("contribute", "nowhere.csv", "--yes", "--json")
    assert result.document == {
        "version": 1,
        "command": "contribute",
        "error": {
            "code": "bad-input",
            "exit_code": 15,
            "message": "There is no file nowhere.csv.",
            "hint": "Check the name and the folder.",
        },
    }
    assert "error: There is no file nowhere.csv.\n" in result.err


def test_a_fault_of_ours_is_a_document_too_and_keeps_its_traceback(
    dcai: Dcai, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that nobody foresaw is told in JSON and raised on, so that Python exits with 1."""

    def fail(_workspace: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr("dcai_cli.services.catalog.known_models", fail)
    for name, value in dcai.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ZeroDivisionError):
        run(["model", "list", "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["exit_code"], error["message"]) == (1, "ZeroDivisionError: nobody foresaw this")


def test_talk_goes_to_stderr_and_quiet_silences_it(dcai: Dcai, films: Path) -> None:
    """The plan is talk; with --quiet stderr is empty, and stdout is the same."""
    loud = dcai("contribute", films, "--limit", "2", "--yes")
    assert "deposits  at most" in loud.err
    assert "public for ever" in loud.err
    assert "deposits  at most" not in loud.out
    quiet = dcai("contribute", films, "--yes", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert quiet.out.startswith("4 samples in 1 batch are on-chain")


def test_what_is_public_for_ever_is_said_once(dcai: Dcai, films: Path) -> None:
    """The warning comes with the first contribution to a model, and not with the second."""
    dcai("contribute", films, "--limit", "2", "--yes")
    assert "public for ever" not in dcai("contribute", films, "--yes").err


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}])
def test_no_escape_codes_where_no_terminal_is(dcai: Dcai, films: Path, environment: dict[str, str]) -> None:
    """Results, errors and tables are plain text in a pipe, and under NO_COLOR everywhere."""
    dcai.data("contribute", films, "--yes")
    for command in (["refunds"], ["model", "show"], ["predict", ""], ["nosuch"], ["--help"]):
        result = dcai(*command, **environment)
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", result.out + result.err)
        assert environment or "\x1b" not in result.out + result.err


def test_claims_are_listed_in_short_lines_with_times_as_people_say_them(dcai: Dcai, films: Path) -> None:
    """Two lines a batch, each shorter than a terminal, and nothing is cut; --json has the exact times."""
    dcai.data("contribute", films, "--yes")
    lines = dcai("refunds").out.splitlines()
    assert lines[0].startswith("batch 0 of films: 6 samples, ")
    assert re.fullmatch(r"  due in 23 h \d+ min, for others in 1 d 23 h", lines[1])
    dcai.data("devnet", "advance", "26h")
    lines = dcai("refunds").out.splitlines()
    assert lines[0].endswith(", due")
    assert re.fullmatch(r"  due since 2 h.*, for others in 21 h \d+ min", lines[1])
    assert max(map(len, lines)) < 80


def test_paths_that_look_like_markup_are_printed_as_they_are(dcai: Dcai, films: Path) -> None:
    """Brackets in the names of files and folders are no styles."""
    home = dcai.folder / "[red]home[/]"
    assert dcai("config", "path", DCAI_HOME=str(home)).out == f"{home}/config.toml\n"
    assert f"{home}/config.toml\n" in dcai("config", "show", DCAI_HOME=str(home)).out
    (dcai.folder / "[").mkdir()
    result = dcai("predict", "--file", films, "--output", "[/b].csv")
    assert (result.code, result.err) == (0, "6 rows in [/b].csv\n")
    assert "error: There is no file [/b]x.csv." in dcai("predict", "--file", "[/b]x.csv").err


def test_labels_that_look_like_markup_are_printed_as_they_are(dcai: Dcai) -> None:
    """Brackets and colons of labels are neither styles nor emoji."""
    labels = "[red],:heart:"
    dcai.data("model", "deploy", "--name", "odd", "--labels", labels, "--n-features", "256", "--yes")
    file = dcai.write("odd.csv", [("love", ":heart:"), ("anger", "[red]")])
    dcai.data("contribute", file, "--model", "odd", "--yes")
    assert dcai("predict", "love", "--model", "odd").out == ":heart:\n"
    assert dcai("predict", "anger", "--model", "odd").out == "[red]\n"
    assert "[red] or :heart:" in dcai("model", "show", "odd").out
    assert "[red], :heart:" in dcai("model", "list").out
    assert "[red]: 1 row," in dcai("model", "evaluate", file, "--model", "odd").out
