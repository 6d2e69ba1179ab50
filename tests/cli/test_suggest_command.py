"""`dcai model suggest` and `dcai model deploy --suggest`: what newcomers see, type next, and are refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

GOOD = ("wonderful", "warm", "great", "bright", "tender")
BAD = ("dull", "cold", "weak", "grey", "tired")
THINGS = ("film", "story", "plot", "actor", "scene", "music", "ending")


def words_of(number: int) -> str:
    """Two words that lean to the label of this number, and two that do not."""
    lean = (BAD, GOOD)[number % 2]
    first, second = lean[number % 5], lean[number // 5 % 5]
    return f"a {first} {THINGS[number % 7]} and {second} {THINGS[number // 7 % 7]}"


ROWS = [(words_of(number), ("negative", "positive")[number % 2]) for number in range(70)]


@pytest.fixture
def reviews(empty: Dcai) -> Path:
    """Seventy short reviews."""
    return empty.write("reviews.csv", ROWS)


def test_people_get_a_table_and_the_command_to_type_next(empty: Dcai, reviews: Path) -> None:
    """The rows, the majority, the reason, a line for each trial, one of them marked; and no home is made."""
    result = empty("model", "suggest", reviews)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "tried on 70 of 70 rows; to say 'negative' always is right in 50.0%"
    assert lines[1].startswith("most letters are of scripts with spaces: ")
    header = lines.index("  analyzer  n-grams  n_features  accuracy  features     gas")
    table = lines[header + 1 : header + 13]
    assert [line.split()[-6] for line in table].count("word") == 6
    (best,) = (line for line in table if line.startswith("* "))
    assert any(line.startswith(f"* is suggested: {best.split()[4]}, give or take") for line in lines)
    assert lines[-1].startswith(
        "Deploy it: dcai model deploy --name reviews --labels negative,positive --analyzer"
    )
    assert not empty.home.exists()


def test_the_command_to_type_next_deploys_what_is_suggested(dcai: Dcai) -> None:
    """What is printed, typed; and --suggest, which tries again: both publish the suggested spec."""
    rows = [(text, {"negative": "no, thanks", "positive": "yes"}[label]) for text, label in ROWS]
    dcai.write("reviews.csv", rows, header=("body", "verdict"))
    columns = ("--text-column", "body", "--label-column", "verdict")
    data = dcai.data("model", "suggest", "reviews.csv", *columns)
    program, *words = shlex.split(data["command"])
    assert program == "dcai"
    dcai.data(*words, "--yes")
    dcai.data("model", "deploy", "--name", "tried", "--suggest", "reviews.csv", *columns, "--yes")
    for name in ("reviews", "tried"):
        assert dcai.data("model", "show", name)["spec"] == data["spec"]
    spec = json.loads(data["spec"])
    assert (spec["labels"], spec["text_column"]) == (["no, thanks", "yes"], "body")
    best = data["suggested"]
    assert [spec[name] for name in ("analyzer", "ngram_range", "n_features", "max_features")] == [
        best[name] for name in ("analyzer", "ngram_range", "n_features", "max_features")
    ]
    dcai.data("contribute", "reviews.csv", "--model", "tried", "--yes")


def test_deploying_says_what_is_suggested_and_why(dcai: Dcai) -> None:
    """The talk of `model deploy --suggest` has the reason, the setting and its accuracy."""
    dcai.write("reviews.csv", ROWS)
    result = dcai("model", "deploy", "--name", "tried", "--suggest", "reviews.csv", "--yes")
    assert result.code == 0
    assert "most letters are of scripts with spaces: " in result.err
    assert "suggested: " in result.err


def test_labels_can_be_chosen_and_put_in_order(empty: Dcai, reviews: Path) -> None:
    """The first is class 0; what is not among them is read and left out."""
    data = empty.data("model", "suggest", reviews, "--labels", "positive,negative")
    assert json.loads(data["spec"])["labels"] == ["positive", "negative"]
    error = empty.error("model", "suggest", reviews, "--labels", "positive,none")
    assert "35 different rows with text and label, of 1 labels" in error["message"]


def test_rows_that_stand_by_label_are_warned_of(empty: Dcai) -> None:
    """A model that learns them in this order would say the last label to everything."""
    path = empty.write("sorted.csv", sorted(ROWS, key=lambda row: row[1]))
    result = empty("model", "suggest", path)
    assert result.err.startswith("warning: the rows stand sorted by label.")
    assert empty("model", "suggest", path, "--quiet").err == ""
    assert empty.data("model", "suggest", path)["is_sorted"] is True


def test_another_encoding_is_said_or_named(empty: Dcai) -> None:
    """Windows-1252 is found and said; what is named is taken."""
    rows = "".join(f"{text} caf\xe9 {at},{label}\n" for at, (text, label) in enumerate(ROWS))
    (empty.folder / "old.csv").write_bytes(f"text,label\n{rows}".encode("cp1252"))
    assert "it is read as cp1252" in empty("model", "suggest", "old.csv").err
    assert empty("model", "suggest", "old.csv", "--encoding", "latin-1").err == ""
    assert empty.error("model", "suggest", "old.csv", "--encoding", "utf-8")["exit_code"] == 15


def test_standard_input_is_tried(empty: Dcai) -> None:
    """- is what is piped in, with its format."""
    typed = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
    result = empty("model", "suggest", "-", "--format", "csv", typed=typed)
    assert (result.code, result.out.splitlines()[0][:16]) == (0, "tried on 70 of 7"), result.err


@pytest.mark.parametrize(
    ("arguments", "exit_code", "problem"),
    [
        (["none.csv"], 15, "There is no file none.csv"),
        (["reviews.csv", "--text-column", "body"], 15, "no column 'body'; the columns are: text, label"),
        (["reviews.csv", "--label-column", "text"], 2, "text_column and label_column are both 'text'"),
        (["reviews.csv", "--labels", "positive"], 2, "names 1 label"),
        (["reviews.csv", "--labels", "positive,positive"], 2, "label 'positive' stands twice"),
        (["few.csv"], 15, "few.csv has 3 different rows"),
        (["reviews.csv", "--encoding", "klingon"], 2, "There is no encoding 'klingon'"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    empty: Dcai, reviews: Path, arguments: list[str], exit_code: int, problem: str
) -> None:
    """One error with a hint, and nothing on the way."""
    assert reviews.exists()
    empty.write("few.csv", ROWS[:3])
    error = empty.error("model", "suggest", *arguments)
    assert (error["exit_code"], problem in error["message"]) == (exit_code, True), error
    assert error["hint"]


@pytest.mark.parametrize(
    "option",
    [
        ["--analyzer", "char"],
        ["--ngrams", "1-2"],
        ["--no-lowercase"],
        ["--alternate-sign"],
        ["--counts"],
        ["--n-features", "4096"],
        ["--max-features", "100"],
        ["--vocabulary", "words.txt"],
        ["--vocabulary-from", "reviews.csv"],
        ["--vocabulary-size", "10"],
        ["--kind", "tabular"],
        ["--schema", "schema.toml"],
        ["--model-type", "naive-bayes"],
    ],
)
def test_what_is_suggested_cannot_be_typed_beside_it(empty: Dcai, reviews: Path, option: list[str]) -> None:
    """Each option that the suggestion answers is refused by name."""
    error = empty.error("model", "deploy", "--name", "x", "--suggest", reviews, *option)
    name = "--lowercase" if option == ["--no-lowercase"] else option[0]
    assert (error["exit_code"], error["message"].startswith(f"{name}")) == (2, True), error
    assert "--suggest" in error["message"]


def test_labels_that_cannot_be_typed_are_taken_from_the_file(empty: Dcai, reviews: Path) -> None:
    """`--labels` drops blanks around a label: another label would be deployed."""
    rows = reviews.read_text(encoding="utf-8")
    path = empty.folder / "blanks.csv"
    path.write_text(rows.replace(",positive", ",positive ").replace(",negative", ",negative "))
    command = empty.data("model", "suggest", "blanks.csv")["command"]
    assert command == "dcai model deploy --name blanks --suggest blanks.csv"


def test_a_label_without_rows_is_warned_of(empty: Dcai, reviews: Path) -> None:
    """It may be mistyped."""
    result = empty("model", "suggest", reviews, "--labels", "negative,positive,mixed")
    assert "no row that was tried has the label 'mixed'" in result.err
