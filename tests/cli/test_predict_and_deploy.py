"""Predictions and deployments as they are typed: texts, tables, files, pre-trained and broken-off models."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dcai_cli.errors import BadInput
from dcai_cli.services.predict import predict_file
from dcai_cli.services.workspace import Workspace

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

DEPLOY = ["model", "deploy", "--labels", "negative,positive", "--n-features", "256", "--yes", "--name"]

SCHEMA = """
label_column = "survived"

[[columns]]
name = "class"
type = "categorical"

[[columns]]
name = "age"
type = "numeric"
bins = [10, 30, 60]
"""

PASSENGERS = [("first", "8", "yes"), ("first", "9", "yes"), ("third", "40", "no"), ("third", "41", "no")]


@pytest.fixture
def titanic(dcai: Dcai) -> Dcai:
    """A home whose model in use is tabular and has learned four rows."""
    (dcai.folder / "schema.toml").write_text(SCHEMA)
    deploy = ["--kind", "tabular", "--schema", "schema.toml", "--labels", "no,yes", "--n-features", "256"]
    dcai.data("model", "deploy", "--name", "titanic", *deploy, "--yes")
    dcai.data("model", "use", "titanic")
    dcai.write("passengers.csv", PASSENGERS, header=["class", "age", "survived"])
    assert dcai.data("contribute", "passengers.csv", "--yes")["contributed"] == 4
    return dcai


def test_a_table_row_is_predicted_from_a_json_object(titanic: Dcai) -> None:
    """Cells may be strings or numbers; the prediction is a label of the model."""
    for cells, label in (({"class": "first", "age": "8"}, "yes"), ({"class": "third", "age": 44}, "no")):
        assert titanic("predict", json.dumps(cells)).out == f"{label}\n"


def test_a_table_model_says_how_a_row_is_typed(titanic: Dcai) -> None:
    """A text, a list, and an object without any of the columns are refused, each with what to type."""
    for text in ("first class", "[1]"):
        error = titanic.error("predict", text)
        assert (error["exit_code"], text in error["message"]) == (2, True)
        assert '{"' in error["hint"]
    error = titanic.error("predict", '{"klass": "first"}')
    assert error["exit_code"] == 15
    assert '"class"' in error["hint"]
    error = titanic.error("predict", '{"class": "first", "age": "old"}')
    assert error["exit_code"] == 15
    assert "'old'" in error["message"]


def test_null_and_a_missing_cell_are_empty(titanic: Dcai) -> None:
    """A typed row reads as the same row of a jsonl file does."""
    rows = ['{"class": "first", "age": null}', '{"class": "third", "age": ""}', '{"class": "third"}']
    (titanic.folder / "rows.jsonl").write_text("\n".join(rows))
    of_file = titanic.data("predict", "--file", "rows.jsonl")["predictions"]
    typed = [titanic.data("predict", row)["predictions"][0]["label"] for row in rows]
    assert typed == [item["label"] for item in of_file]


def test_a_missing_column_of_a_table_is_to_be_renamed_in_the_file(titanic: Dcai) -> None:
    """No option names the columns of a table, but one names that of the label."""
    titanic.write("other.csv", [("first", "yes")], header=["class", "survived"])
    hint = titanic.error("predict", "--file", "other.csv")["hint"]
    assert hint == "Rename the column in the file."
    titanic.write("other.csv", [("first", "3", "yes")], header=["class", "age", "lived"])
    assert "--label-column" in titanic.error("model", "evaluate", "other.csv")["hint"]


def test_a_model_shows_the_columns_that_it_reads(titanic: Dcai) -> None:
    """For people, `model show` names them all."""
    assert "class (categorical), age (numeric), and the label in survived\n" in titanic("model", "show").out
    assert "text, and the label in label\n" in titanic("model", "show", "films").out


@pytest.mark.parametrize("option", ["--text-column", "--label-column", "--ngrams"])
def test_what_is_for_texts_is_refused_for_tables(titanic: Dcai, option: str) -> None:
    """The schema names all columns; an option that would do nothing is a usage error."""
    deploy = ["model", "deploy", "--name", "other", "--kind", "tabular", "--schema", "schema.toml"]
    error = titanic.error(*deploy, "--labels", "no,yes", option, "1", "--yes")
    assert (error["exit_code"], option in error["message"]) == (2, True)


@pytest.mark.parametrize(("typed", "labels"), [('"x,y", b', ["x,y", "b"]), (" ham , spam ", ["ham", "spam"])])
def test_labels_are_one_row_of_csv(dcai: Dcai, typed: str, labels: list[str]) -> None:
    """A label may hold a comma, and blanks around it do not count."""
    assert dcai.data(*DEPLOY, "other", "--labels", typed)["labels"] == labels


@pytest.mark.parametrize("typed", ["a", '"a,b', ""])
def test_labels_that_are_not_several_are_refused(dcai: Dcai, typed: str) -> None:
    """One, an open quote and none are usage errors."""
    with dcai.unchanged():
        error = dcai.error(*DEPLOY, "other", "--labels", typed)
    assert (error["exit_code"], "--labels" in error["hint"]) == (2, True)


@pytest.mark.parametrize(
    "options",
    [
        ["--cost-weight", str(10**24 + 1)],
        ["--public-wait", "36526d"],
        ["--max-idle", "36526d"],
        ["--min-gap", "36526d"],
        ["--labels", "a," + "b" * 24_575],
    ],
)
def test_what_the_contracts_would_refuse_is_refused_before_anything_is_paid(
    dcai: Dcai, options: list[str]
) -> None:
    """Beyond the bounds of the contracts: exit code 2, and no transaction."""
    with dcai.unchanged():
        error = dcai.error(*DEPLOY, "other", *options)
    assert error["exit_code"] == 2
    assert "at most" in error["message"]


def test_the_bounds_of_the_contracts_themselves_can_be_deployed(dcai: Dcai) -> None:
    """The highest price and a hundred years of waiting and idling pass the contract."""
    century = ["--public-wait", "36525d", "--max-idle", "36525d", "--cost-weight", str(10**24)]
    assert dcai.data(*DEPLOY, "other", *century)["sealed"] is True


def test_a_deployment_says_what_it_costs_before_it_asks(dcai: Dcai) -> None:
    """Transactions, gas, fee and balance stand in the question; the gas is about what it then takes."""
    np.savez(dcai.folder / "start.npz", weights=np.full(256, 3), bias=np.array(-1))
    deploy = [*DEPLOY, "other", "--pretrain", "start.npz"]
    question = dcai(*(word for word in deploy if word != "--yes")).err
    words = question.replace("\n", " ").split()
    assert words[words.index("transactions") - 1] == "3"
    assert "The balance is" in question
    estimate = int(words[words.index("gas") - 1].replace(",", ""))
    done = dcai.data(*deploy)
    assert len(done["transactions"]) == 3
    assert done["gas_used"] <= estimate <= done["gas_used"] * 1.25


def test_output_goes_through_what_is_no_file_and_behind_links(dcai: Dcai, films: Path) -> None:
    """A device gets the rows and stays one, and so does a link; --quiet silences the talk about it."""
    target, link = dcai.folder / "target.csv", dcai.folder / "[b]link.csv"
    link.symlink_to(target.name)
    result = dcai("predict", "--file", films, "--output", link)
    assert (result.out, result.err) == ("", f"6 rows in {link}\n")
    assert dcai("data", "export", "--output", link, "--force", "--quiet").err == ""
    assert link.is_symlink()
    assert target.read_text().startswith("batch,")
    null = Path("/dev/null")
    before = null.stat().st_rdev
    assert dcai.data("data", "export", "--output", null)["output"] == str(null)
    assert (null.is_char_device(), null.stat().st_rdev) == (True, before)


def test_a_text_column_is_not_for_tables(titanic: Dcai) -> None:
    """--text-column on a tabular model is a usage error."""
    error = titanic.error("contribute", "passengers.csv", "--text-column", "class", "--yes")
    assert error["exit_code"] == 2


def test_a_files_predictions_stand_beside_its_rows(dcai: Dcai, films: Path) -> None:
    """--output keeps the columns and adds one; rows without features have an empty prediction."""
    dcai.data("contribute", films, "--yes")
    dcai.write(
        "texts.csv", [("7", "a great, warm film"), ("8", "!"), ("9", 'a "dull" mess')], header=["id", "text"]
    )
    data = dcai.data("predict", "--file", "texts.csv", "--output", "out.csv")
    assert data["rows"] == 3
    with (dcai.folder / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "text", "prediction"],
        ["7", "a great, warm film", "positive"],
        ["8", "!", ""],
        ["9", 'a "dull" mess', "negative"],
    ]
    out = dcai("predict", "--file", "texts.csv").out.splitlines()
    assert (out[0], out[2]) == ("positive", "negative")
    assert out[1].startswith("- (no features")


def test_predictions_do_not_overwrite_a_column(dcai: Dcai) -> None:
    """A file that has a column `prediction` already is refused, and no file is written."""
    dcai.write("texts.csv", [("good", "1")], header=["text", "prediction"])
    error = dcai.error("predict", "--file", "texts.csv", "-o", "out.csv")
    assert (error["exit_code"], (dcai.folder / "out.csv").exists()) == (15, False)


def test_a_fault_far_down_a_file_comes_when_its_row_is_reached(dcai: Dcai) -> None:
    """Rows before it are predicted already, so no file has to fit into memory; nothing of it is kept."""
    path = dcai.write(
        "texts.csv", [(f"film {number}", str(number)) for number in range(5000)], ["text", "id"]
    )
    with path.open("a") as file:
        file.write("one cell\n")
    with Workspace(dcai.settings) as workspace:
        _, predicted = predict_file(workspace, path)
        row, prediction = next(predicted)
        assert (row.cells, prediction.row) == ({"text": "film 0", "id": "0"}, 1)
        with pytest.raises(BadInput, match="row 5001, line 5002: expected 2 cells, got 1"):
            list(predicted)
    error = dcai.error("predict", "--file", "texts.csv", "-o", "out.csv")
    assert (error["exit_code"], (dcai.folder / "out.csv").exists()) == (15, False)


@pytest.mark.parametrize("option", ["--text-column", "--format", "--encoding", "--output"])
def test_options_of_files_are_not_for_a_typed_text(dcai: Dcai, option: str) -> None:
    """They would count for nothing."""
    error = dcai.error("predict", "a film", option, "utf-8")
    assert (error["exit_code"], error["message"]) == (2, f"{option} goes with --file.")


def test_a_typed_column_that_the_model_does_not_know_is_said(titanic: Dcai) -> None:
    """As of a file; the label may stand there."""
    result = titanic("predict", '{"class": "first", "agee": 8, "survived": "yes"}')
    assert "columns that the model does not use: agee" in result.err
    assert "survived" not in result.err


def test_the_file_that_is_read_is_not_written_over(dcai: Dcai, films: Path) -> None:
    """Neither by its name nor by another."""
    (dcai.folder / "link.csv").symlink_to(films)
    before = films.read_bytes()
    for other in (films, "link.csv"):
        error = dcai.error("predict", "--file", films, "--output", other)
        assert (error["exit_code"], "is the file that is read" in error["message"]) == (2, True)
    assert films.read_bytes() == before


def test_what_stands_in_a_file_does_not_reach_the_terminal_as_commands(titanic: Dcai) -> None:
    """Control characters are shown: here in a note, and in an error."""
    result = titanic("predict", '{"class": "first", "\\u001b[2Jx": 1}')
    assert "columns that the model does not use: \\x1b[2Jx" in result.err
    assert "\x1b" not in result.err
    titanic.write("rows.csv", [("first",)], header=["\x1b[2Jclass"])
    result = titanic("predict", "--file", "rows.csv")
    assert "the columns are: \\x1b[2Jclass" in result.err
    assert "\x1b[2J" not in result.err


def test_a_long_cell_is_cut_in_messages(dcai: Dcai) -> None:
    """A line of megabytes would push everything else off the screen."""
    dcai.write("rows.csv", [("a film", "x" * 5000)])
    result = dcai("contribute", "rows.csv", "--dry-run")
    assert "unknown label 'xxx" in result.err
    assert len(result.err) < 600


def test_rows_that_stand_by_label_are_said_before_money_is_spent(dcai: Dcai) -> None:
    """A model that learned them in order would say the last label to almost everything."""
    rows = [(f"film {at}", "negative" if at < 20 else "positive") for at in range(40)]
    dcai.write("sorted.csv", rows)
    assert dcai.data("contribute", "sorted.csv", "--dry-run")["sorted_by_label"]
    assert "rows stand sorted by label" in dcai("contribute", "sorted.csv", "--dry-run").out
    dcai.write("mixed.csv", [row for pair in zip(rows[:20], rows[20:], strict=True) for row in pair])
    assert not dcai.data("contribute", "mixed.csv", "--dry-run")["sorted_by_label"]


def test_rows_that_are_all_left_out_are_said(dcai: Dcai, films: Path) -> None:
    """The columns and labels are not at fault."""
    error = dcai.error("model", "evaluate", films, "--skip", "10000")
    assert "no rows behind the first 10000" in error["message"]


def test_one_text_and_a_file_get_the_same_answer(dcai: Dcai, films: Path) -> None:
    """The contract's answer to each text is the replica's answer to the file."""
    dcai.data("contribute", films, "--limit", "4", "--yes")
    by_file = [item["label"] for item in dcai.data("predict", "--file", films)["predictions"]]
    texts = [line.rpartition(",")[0] for line in films.read_text().splitlines()[1:]]
    assert by_file == [dcai.data("predict", text)["predictions"][0]["label"] for text in texts]


@pytest.mark.parametrize("text", ["", "! ?", "a"])
def test_a_text_without_features_cannot_be_predicted(dcai: Dcai, text: str) -> None:
    """Exit code 15 with the text; a guess would be worse."""
    with dcai.unchanged():
        error = dcai.error("predict", text)
    assert error["exit_code"] == 15
    assert repr(text) in error["message"]


def test_predicting_and_evaluating_need_no_account(dcai: Dcai, films: Path) -> None:
    """Both are free: a home without keys asks the same chain by the model's address."""
    dcai.data("contribute", films, "--yes")
    for key_file in (dcai.home / "keystore").iterdir():
        key_file.unlink()
    assert dcai.data("predict", "a great film")["predictions"][0]["label"] == "positive"
    assert dcai.data("model", "evaluate", films)["accuracy"] == 1.0


def test_a_model_can_start_with_weights_of_ones_own(dcai: Dcai) -> None:
    """An .npz of weights and bias is written before sealing, and predictions follow it."""
    np.savez(dcai.folder / "start.npz", weights=np.full(256, 3), bias=np.array(-1))
    data = dcai.data(*DEPLOY, "trained", "--pretrain", "start.npz")
    assert data["sealed"] is True
    assert (
        dcai.data("predict", "whatever it is", "--model", "trained")["predictions"][0]["label"] == "positive"
    )


@pytest.mark.parametrize(("n_features", "bias"), [(255, 0), (256, 40_000), (256, 0.5)])
def test_weights_that_do_not_fit_are_refused_before_anything_is_sent(
    dcai: Dcai, n_features: int, bias: float
) -> None:
    """Another size, a value beyond int16, a fraction: exit code 15, and no model."""
    np.savez(dcai.folder / "start.npz", weights=np.ones(n_features, dtype=int), bias=np.array(bias))
    with dcai.unchanged():
        error = dcai.error(*DEPLOY, "trained", "--pretrain", "start.npz")
    assert error["exit_code"] == 15


def test_a_model_can_be_trained_on_rows_before_it_is_sealed(dcai: Dcai, films: Path) -> None:
    """Rows to start from train the replica; what is deployed knows them, and nobody paid a deposit for it."""
    dcai.data(*DEPLOY, "trained", "--pretrain", films)
    data = dcai.data("model", "evaluate", films, "--model", "trained")
    assert data["accuracy"] == 1.0
    assert dcai.data("model", "show", "trained")["balance_wei"] == "0"


def test_rows_to_start_from_must_hold_one_that_can_be_used(dcai: Dcai) -> None:
    """A file of unknown labels does not silently deploy an untrained model."""
    file = dcai.write("other.csv", [("good", "pos"), ("bad", "neg")])
    with dcai.unchanged():
        error = dcai.error(*DEPLOY, "trained", "--pretrain", file)
    assert error["exit_code"] == 15
    assert "row 1: unknown label 'pos'" in error["message"]


def test_a_model_is_sealed_when_its_owner_says_so(dcai: Dcai, films: Path) -> None:
    """--no-seal leaves it closed; `model seal` opens it; a second time is refused by name."""
    assert dcai.data(*DEPLOY, "later", "--no-seal")["sealed"] is False
    assert dcai.data("model", "show", "later")["sealed_at"] is None
    assert "model seal later" in dcai("model", "show", "later").out
    dcai.data("model", "seal", "later", "--yes")
    assert dcai.data("contribute", films, "--model", "later", "--yes")["contributed"] == 6
    with dcai.unchanged():
        error = dcai.error("model", "seal", "later", "--yes")
    assert error["exit_code"] == 14
    assert "AlreadySealed" in error["message"]
    assert "It has been open since" in error["hint"]
    assert error["hint"].endswith("dcai contribute FILE --model later")


@pytest.mark.parametrize(
    "command", [("seal", "later"), ("supersede", "films", "--by", "later")], ids=["seal", "supersede"]
)
def test_what_is_final_is_asked_with_its_cost(dcai: Dcai, command: tuple[str, ...]) -> None:
    """As for a deployment, gas, fee and balance stand in the question; without a yes nothing is signed."""
    dcai.data(*DEPLOY, "later", "--no-seal")
    with dcai.unchanged():
        error = dcai.error("model", *command)
    assert re.search(
        r"\. That takes 1 transaction of about [\d,]+ gas\. "
        r"It costs up to [\d,.]+ \w+ at the present gas price\. "
        r"The balance is [\d,.]+ ETH\. Go on\?",
        error["message"],
    )
    asked = int(re.search(r"about ([\d,]+) gas", error["message"])[1].replace(",", ""))  # type: ignore[index]
    used = dcai.data("model", *command, "--yes")["gas_used"]
    assert used <= asked <= used * 1.2


def test_no_model_is_recommended_instead_of_itself(dcai: Dcai) -> None:
    """It is refused in words, before the contract says it in its own."""
    error = dcai.error("model", "supersede", "films", "--by", "films", "--yes")
    assert error["exit_code"] == 14
    assert "cannot be recommended instead of itself" in error["message"]
    assert "dcai model list" in error["hint"]


def test_only_the_owner_can_seal(dcai: Dcai) -> None:
    """Without the owner's key there is no sealing: exit code 10 names the owner."""
    dcai.data(*DEPLOY, "later", "--no-seal")
    owner = dcai.data("model", "show", "later")["owner"]
    (dcai.home / "keystore" / "alice.json").unlink()
    with dcai.unchanged():
        error = dcai.error("model", "seal", "later", "--yes")
    assert error["exit_code"] == 10
    assert owner in error["message"]


def test_a_name_is_given_once(dcai: Dcai) -> None:
    """A sealed model's name cannot be used again; the message says where the model is."""
    address = dcai.data("model", "show", "films")["address"]
    with dcai.unchanged():
        error = dcai.error(*DEPLOY, "films")
    assert error["exit_code"] == 15
    assert address in error["message"]


def test_a_deployment_that_broke_off_is_finished_by_the_same_command(dcai: Dcai, films: Path) -> None:
    """Created but neither trained nor sealed: the same command does the rest, and no second model is made."""
    first = dcai.data(*DEPLOY, "late", "--no-seal")
    done = dcai.data(*DEPLOY, "late", "--pretrain", films)
    assert (done["address"], done["sealed"], len(done["transactions"])) == (first["address"], True, 2)
    assert len(dcai.data("model", "list")["models"]) == 2
    assert dcai.data("model", "evaluate", films, "--model", "late")["accuracy"] == 1.0


def test_a_deployment_is_not_finished_with_other_terms(dcai: Dcai) -> None:
    """A broken-off model of the same name but another margin, wait or price is not taken for this one."""
    dcai.data(*DEPLOY, "late", "--no-seal")
    for option in (["--margin", "3"], ["--refund-wait", "2h"], ["--cost-weight", "1"], ["--counts"]):
        with dcai.unchanged():
            error = dcai.error(*DEPLOY, "late", *option)
        assert error["exit_code"] == 15
        assert "late" in error["message"]


def test_a_model_that_the_ledger_forgot_is_found_by_its_address(dcai: Dcai, films: Path) -> None:
    """An address of ours is verified, described by its contracts alone, and remembered."""
    model = dcai.data("model", "show", "films")
    with closing(sqlite3.connect(dcai.home / "ledger.sqlite")) as database, database:
        database.execute("DELETE FROM models")
    found = dcai.data("model", "verify", model["address"])
    assert found == {name: found[name] for name in found} | {"name": model["address"], "verified": True}
    assert all(found[name] == model[name] for name in found.keys() & model.keys() - {"name"})
    assert dcai.data("contribute", films, "--yes")["model"] == model["address"]


def test_a_chain_that_was_reset_starts_anew(contributed: Dcai) -> None:
    """After `devnet reset` old models and batches are out of sight, and the same rows can be sent again."""
    assert contributed.data("devnet", "reset", "--yes") == {"removed": True}
    assert contributed.data("devnet", "reset", "--yes") == {"removed": False}
    assert contributed.data("model", "list")["models"] == []
    assert contributed.data("refunds")["items"] == []
    contributed.data(*DEPLOY, "films")
    assert contributed.data("contribute", "films.csv", "--yes")["contributed"] == 6


def test_an_evaluation_without_a_usable_row_says_why(dcai: Dcai) -> None:
    """Labels that the model does not know, or --skip beyond the end: exit code 15 with a reason."""
    file = dcai.write("other.csv", [("good", "pos"), ("bad", "neg")])
    error = dcai.error("model", "evaluate", file)
    assert error["exit_code"] == 15
    assert "row 1: unknown label 'pos'" in error["message"]
    assert dcai.error("model", "evaluate", file, "--skip", "2")["exit_code"] == 15
