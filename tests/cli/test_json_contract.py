"""The JSON documents that other tools depend on, field by field; and nothing else on stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.cli.app import run
from tests.cli.conftest import distinct

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

Check = Callable[[Any], bool]


def matching(pattern: str) -> Check:
    """A string of this form."""
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


AMOUNT = matching(r"0|[1-9][0-9]*")
TIME = matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ADDRESS = matching(r"0x[0-9a-fA-F]{40}")
HASH = matching(r"0x[0-9a-f]{64}")
WORDS = matching(r".+")


def count(value: Any) -> bool:
    """A whole number, and no boolean."""
    return type(value) is int and value >= 0


def number(value: Any) -> bool:
    """A number that is not negative."""
    return isinstance(value, float) and value >= 0


def optional(check: Check) -> Check:
    """What passes a check, or null."""
    return lambda value: value is None or check(value)


def share(value: Any) -> bool:
    """A number from 0 to 1, or null where it is not defined."""
    return value is None or (isinstance(value, float) and 0 <= value <= 1)


def flag(value: Any) -> bool:
    """A boolean."""
    return isinstance(value, bool)


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has exactly the fields of a shape; a list of one stands for any number."""
    if isinstance(shape, dict):
        return (
            isinstance(value, dict)
            and value.keys() == shape.keys()
            and all(fits(value[name], shape[name]) for name in shape)
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    return bool(shape(value))


SKIPPED = [{"row": count, "reason": WORDS}]
MODEL = {
    "name": WORDS,
    "address": ADDRESS,
    "owner": ADDRESS,
    "model": ADDRESS,
    "incentive": ADDRESS,
    "data_handler": ADDRESS,
    "kind": matching("text|tabular"),
    "labels": [WORDS],
    "n_features": count,
    "model_type": matching("perceptron|multiclass-perceptron|naive-bayes|nearest-centroid"),
    "margin": count,
    "weight_bits": count,
    "smoothing": number,
    "bernoulli": flag,
    "incentive_type": matching("stake|points"),
    "refund_wait_s": count,
    "report_wait_s": count,
    "owner_wait_s": count,
    "public_wait_s": count,
    "min_gap_s": count,
    "max_idle_s": count,
    "cost_weight_wei": AMOUNT,
}
LEDGER = {"ledger": WORDS, "transactions": count, "batches": count, "samples": count}
ACCOUNT = {"name": WORDS, "address": ADDRESS, "in_use": flag}
_SUM = {"batches": count, "samples": count, "amount_wei": AMOUNT}
SHOWN = {"totals": _SUM | {"due": _SUM, "waiting": _SUM}, "shown": count}
ITEM = {
    "batch_id": count,
    "model": ADDRESS,
    "contributor": ADDRESS,
    "samples": count,
    "claimable_samples": count,
    "amount_wei": AMOUNT,
    "points": count,
    "added_at": TIME,
    "due_at": TIME,
    "expires_at": TIME,
    "state": WORDS,
}
BATCH = {
    "batch_id": count,
    "samples": count,
    "informative": count,
    "deposit_wei": AMOUNT,
    "added_at": TIME,
    "gas_used": count,
    "fee_wei": AMOUNT,
    "transaction": HASH,
}
PLAN = {
    "samples": count,
    "batches": count,
    "unfinished_batches": count,
    "deposit_at_most_wei": AMOUNT,
    "fee_estimate_wei": AMOUNT,
    "data_fee_wei": AMOUNT,
    "balance_wei": AMOUNT,
    "rejected": count,
    "at_risk_wei": AMOUNT,
}
CONTRIBUTION = {
    "model": ADDRESS,
    "account": ADDRESS,
    "dry_run": flag,
    "rows": count,
    "contributed": count,
    "already_contributed": count,
    "findings": [{"kind": WORDS, "count": count, "first": [{"row": count, "earlier_row": optional(count)}]}],
    "sorted_by_label": flag,
    "skipped": SKIPPED,
    "plan": PLAN,
    "batches": [BATCH],
    "deposit_wei": AMOUNT,
    "gas_used": count,
    "fee_wei": AMOUNT,
}
CLAIMED = {
    "points": count,
    "claimed_samples": count,
    "disagreed_samples": count,
    "gas_used": count,
    "fee_wei": AMOUNT,
    "transactions": [HASH],
    "left": [{"batch_id": count, "model": ADDRESS, "code": WORDS, "reason": WORDS}],
}
TRANSACTION = {
    "hash": HASH,
    "nonce": count,
    "kind": WORDS,
    "detail": matching(r".*"),
    "model": optional(ADDRESS),
    "state": WORDS,
    "cancels": flag,
    "attempts": count,
    "signed_at": TIME,
    "to": optional(ADDRESS),
    "value_wei": AMOUNT,
    "gas": count,
    "max_fee_per_gas_wei": AMOUNT,
    "priority_fee_wei": AMOUNT,
    "block_number": count,
    "final": flag,
    "gas_used": count,
    "fee_wei": AMOUNT,
}
CHAIN = {"network": WORDS, "chain_id": count, "block_number": count, "time": TIME, "path": WORDS}
SENT = {"gas_used": count, "fee_wei": AMOUNT}
SAVED = {"model": ADDRESS, "output": WORDS, "block_number": count, "block_hash": HASH, "words": count}

TRIAL = {
    "analyzer": matching("word|char|char_wb"),
    "ngram_range": [count],
    "n_features": count,
    "max_features": count,
    "accuracy": share,
    "features": number,
    "units": number,
    "gas": count,
    "is_choice": flag,
}

PART = {
    "samples": count,
    "deposit_wei": AMOUNT,
    "refunded_wei": AMOUNT,
    "lost_wei": AMOUNT,
    "open_wei": AMOUNT,
}

CASES: dict[str, tuple[list[str], Any]] = {
    "contribute": (["films.csv", "--yes"], CONTRIBUTION),
    "predict": (["a great film"], {"model": ADDRESS, "predictions": [{"row": count, "label": WORDS}]}),
    "model evaluate": (
        ["films.csv"],
        {
            "model": ADDRESS,
            "rows": count,
            "correct": count,
            "accuracy": share,
            "classes": [{"label": WORDS, "rows": count, "precision": share, "recall": share}],
            "confusion": {"labels": [WORDS], "matrix": [[count]]},
            "test_set_hash": HASH,
            "skipped": SKIPPED,
            "published": lambda value: value is None,
        },
    ),
    "featurize": (
        ["films.csv", "--spec", "films"],
        {
            "rows": count,
            "skipped": count,
            "cut": count,
            "payload_bytes": count,
            "samples": [
                {
                    "row": count,
                    "label": WORDS,
                    "indices": [count],
                    "values": [count],
                    "cut": flag,
                    "payload": matching(r"([0-9a-f]{2})+"),
                }
            ],
        },
    ),
    "refunds": ([], SHOWN | {"items": [ITEM]}),
    "reports": (["--model", "films"], {"items": [ITEM]}),
    "model deploy": (
        ["--name", "x", "--labels", "a,b", "--n-features", "256", "--yes"],
        MODEL | {"sealed": flag, "transactions": [HASH]} | SENT,
    ),
    "model suggest": (
        ["many.csv"],
        {
            "rows": count,
            "is_whole": flag,
            "tried_rows": count,
            "labels": [{"label": WORDS, "rows": count}],
            "majority": {"label": WORDS, "share": share},
            "is_sorted": flag,
            "unspaced_share": share,
            "mark_share": share,
            "reason": WORDS,
            "trials": [TRIAL],
            "suggested": TRIAL,
            "accuracy_error": number,
            "spec": WORDS,
            "command": WORDS,
        },
    ),
    "model list": ([], {"models": [MODEL | {"sealed": flag, "superseded_by": optional(ADDRESS)}]}),
    "model supersede": (["films", "--none", "--yes"], {"address": ADDRESS, "transaction": HASH} | SENT),
    "model show": (
        [],
        MODEL
        | {
            "sealed_at": TIME,
            "batches": count,
            "samples": count,
            "informative": count,
            "contributors": count,
            "last_contributed_at": optional(TIME),
            "unit_price_wei": AMOUNT,
            "balance_wei": AMOUNT,
            "superseded_by": optional(ADDRESS),
            "evaluations": lambda value: value == [],
            "spec": WORDS,
        },
    ),
    "model use": (["films"], MODEL),
    "model verify": (
        ["films", "--standard-json", "explorer"],
        MODEL
        | {
            "verified": flag,
            "standard_json": [
                {
                    "path": WORDS,
                    "contract": WORDS,
                    "address": ADDRESS,
                    "implementation": ADDRESS,
                    "compiler": WORDS,
                }
            ],
        },
    ),
    "model audit": (
        [],
        {
            "model": ADDRESS,
            "block_number": count,
            "block_hash": HASH,
            "written_words": count,
            "batches": count,
            "samples": count,
            "informative": count,
            "is_result": flag,
            "seconds": number,
        },
    ),
    "model snapshot": (["--output", "films.npz"], SAVED),
    "model export": (["--output", "films.npz"], SAVED),
    "data export": (
        ["--output", "out.csv"],
        {
            "model": ADDRESS,
            "output": WORDS,
            "format": WORDS,
            "batches": count,
            "samples": count,
            "columns": [WORDS],
            "to_block": count,
        },
    ),
    "data stats": (
        [],
        PART
        | {
            "model": ADDRESS,
            "to_block": count,
            "batches": count,
            "contributors": count,
            "informative": count,
            "first_at": TIME,
            "last_at": TIME,
            "duplicates": count,
            "contradictions": count,
            "features": {"least": count, "median": count, "mean": number, "most": count},
            "labels": [PART | {"label": WORDS}],
            "states": [PART | {"state": WORDS}],
            "by_contributor": [
                PART
                | {
                    "contributor": ADDRESS,
                    "account": optional(WORDS),
                    "batches": count,
                    "first_at": TIME,
                    "last_at": TIME,
                }
            ],
        },
    ),
    "tx list": (["--all"], {"transactions": [TRANSACTION]}),
    "tx show": (["0"], TRANSACTION),
    "ledger check": ([], LEDGER),
    "ledger rebuild": (
        [],
        {
            "account": ADDRESS,
            "models": [{"name": WORDS, "address": ADDRESS}],
            "foreign": lambda value: value == [],
            "batches": count,
            "samples": count,
            "open_batches": count,
            "open_wei": AMOUNT,
        },
    ),
    "ledger backup": (["ledger.backup"], LEDGER | {"path": WORDS}),
    "devnet status": ([], CHAIN),
    "devnet advance": (["25h"], CHAIN),
    "devnet reset": (["--yes"], {"removed": flag}),
    "account list": ([], {"accounts": [ACCOUNT]}),
    "account show": (["bob"], ACCOUNT | {"balance_wei": AMOUNT}),
    "account use": (["bob"], ACCOUNT),
    "account new": (["--name", "carol"], ACCOUNT),
    "config path": ([], {"path": WORDS}),
    "config show": (
        [],
        {
            "network": WORDS,
            "webhook": lambda value: value is None,
            "chain_id": lambda value: value is None,
            "account": lambda value: value is None,
            "password_file": WORDS,
            "gas_price_wei": lambda value: value is None,
            "priority_fee_wei": lambda value: value is None,
            "confirmations": count,
            "replace_after_s": count,
            "ledger": WORDS,
            "config_file": WORDS,
            "data_folder": WORDS,
            "keystore": WORDS,
        },
    ),
}

OUT = {
    "pending_batches": count,
    "pending_wei": AMOUNT,
    "claimable_batches": count,
    "claimable_wei": AMOUNT,
    "at_risk_batches": count,
    "at_risk_wei": AMOUNT,
    "oldest_deadline": optional(TIME),
}


@pytest.mark.parametrize("command", CASES)
def test_each_command_prints_the_fields_that_are_promised(contributed: Dcai, command: str) -> None:
    """One document with version, command and data; amounts are decimal strings, times ISO 8601 with Z."""
    arguments, shape = CASES[command]
    contributed.write("many.csv", distinct("many", 30))
    result = contributed(*command.split(), *arguments, "--json")
    assert result.code == 0, result.err
    document = result.document
    assert document.keys() == {"version", "command", "data"}
    assert (document["version"], document["command"]) == (1, command)
    assert fits(document["data"], shape), document["data"]


def test_a_claim_prints_the_fields_that_are_promised(contributed: Dcai) -> None:
    """Refunded wei, samples, gas; an empty claim has the same fields."""
    for wait, verb in (("0s", "refunded"), ("25h", "refunded")):
        contributed.data("devnet", "advance", wait)
        data = contributed.data("refunds", "--claim", "--yes")
        assert fits(data, CLAIMED | {f"{verb}_wei": AMOUNT}), data
    assert data["claimed_samples"] == 3
    data = contributed.data("reports", "--claim", "--yes")
    assert fits(data, CLAIMED | {"reported_wei": AMOUNT}), data


def test_the_daemon_prints_the_fields_that_are_promised(contributed: Dcai) -> None:
    """A cycle before and after the refund wait, and the status after both."""
    claim = {"kind": WORDS, "transaction": HASH, "mined": flag, "amount_wei": AMOUNT, "samples": count} | SENT
    left = {"model": ADDRESS, "batch_id": count, "code": WORDS, "reason": WORDS}
    cycle = {
        "outcome": matching("good"),
        "account": ADDRESS,
        "network": matching("embedded"),
        "started_at": TIME,
        "ended_at": TIME,
        "chain_time": TIME,
        "recovered": count,
        "claims": [claim],
        "left": [left],
        "balance_wei": AMOUNT,
        "gas_spent_today_wei": AMOUNT,
    } | OUT
    for wait, lists in (("0s", (0, 1)), ("25h", (1, 0))):
        contributed.data("devnet", "advance", wait)
        data = contributed.data("daemon", "run", "--once")
        assert fits(data, cycle), data
        assert (len(data["claims"]), len(data["left"])) == lists
    one = {
        "name": matching("alice"),
        "account": ADDRESS,
        "network": WORDS,
        "mode": matching("once"),
        "running": flag,
        "pid": lambda value: value is None,
        "host": WORDS,
        "healthy": flag,
        "why": matching(""),
        "interval_s": count,
        "started_at": TIME,
        "last_cycle": TIME,
        "last_outcome": matching("good"),
        "last_good_cycle": TIME,
        "next_cycle": TIME,
        "failures": count,
        "error": lambda value: value is None,
        "listen": lambda value: value is None,
        "left": [{"code": WORDS, "batches": count}],
        "lost_wei": AMOUNT,
        "balance_wei": AMOUNT,
        "gas_spent_wei": AMOUNT,
        "gas_spent_today_wei": AMOUNT,
        "gas_budget_wei": lambda value: value is None,
        "undelivered_alerts": count,
    } | OUT
    data = contributed.data("daemon", "status")
    assert fits(data, {"daemons": [one]}), data


def test_points_print_the_fields_that_are_promised(club: Dcai) -> None:
    """Where contributions earn points nothing expires; validating and the leaderboard have their fields."""
    club.data("contribute", club.write("new.csv", [("a new film", "positive")]), "--yes")
    data = club.data("refunds")
    assert fits(data, SHOWN | {"items": [ITEM | {"expires_at": lambda value: value is None}]}), data
    data = club.data("validate", "bob", "--yes")
    given = {"contributor": ADDRESS, "transaction": HASH} | SENT
    shape = {"model": ADDRESS, "account": ADDRESS, "already_validated": [ADDRESS], "points_left": count}
    assert fits(data, shape | {"validated": [given]} | SENT), data
    data = club.data("leaderboard")
    row = {
        "rank": count,
        "contributor": ADDRESS,
        "account": optional(WORDS),
        "model_points": count,
        "validation_points": count,
        "badge_level": count,
    }
    shape = {"model": ADDRESS, "by": matching("model|validation"), "contributors": count}
    assert fits(data, shape | {"leaderboard": [row]}), data


def test_sealing_prints_its_transaction(dcai: Dcai) -> None:
    """`model seal` names address, transaction, gas and fee."""
    dcai.data(
        "model", "deploy", "--name", "x", "--labels", "a,b", "--n-features", "256", "--no-seal", "--yes"
    )
    data = dcai.data("model", "seal", "x", "--yes")
    assert fits(data, {"address": ADDRESS, "transaction": HASH} | SENT), data


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
    assert quiet.out.startswith("4 samples in 1 batches are on-chain")


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
    assert "[red]: 1 rows" in dcai("model", "evaluate", file, "--model", "odd").out
