"""What `dcai model deploy` makes of the options on texts, and what it refuses of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

DEPLOY = ["model", "deploy", "--labels", "no,yes", "--yes", "--name", "texts"]
ROWS = [("Good film, good", "yes"), ("bad film", "no"), ("good", "maybe")]


def spec_of(dcai: Dcai, *options: str) -> dict[str, Any]:
    """The spec on the chain of a model that was deployed with some options."""
    dcai.data(*DEPLOY, *options)
    spec = json.loads(dcai.data("model", "show", "texts")["spec"])
    assert isinstance(spec, dict)
    return spec


def test_a_model_of_characters_is_deployed_and_asked(dcai: Dcai) -> None:
    """Analyzer, n-grams, case and signs stand in the published spec, and texts without spaces are learned."""
    options = ["--analyzer", "char", "--ngrams", "1-2", "--no-lowercase", "--alternate-sign", "--counts"]
    spec = spec_of(dcai, *options, "--n-features", "4096")
    assert (spec["analyzer"], spec["ngram_range"], spec["unicode"]) == ("char", [1, 2], "14.0")
    assert (spec["lowercase"], spec["alternate_sign"], spec["valued"]) == (False, True, True)
    dcai.write("rows.csv", [("\u5f88\u597d", "yes"), ("\u592a\u5dee", "no")] * 3)
    dcai.data("contribute", "rows.csv", "--model", "texts", "--yes")
    assert dcai("predict", "\u5f88\u597d", "--model", "texts").out == "yes\n"


def test_words_are_the_default(dcai: Dcai) -> None:
    """Without options texts are lower-cased and hashed by words into 16,384 features."""
    spec = spec_of(dcai)
    assert (spec["analyzer"], spec["ngram_range"], spec["n_features"]) == ("word", [1, 1], 16_384)
    assert (spec["lowercase"], spec["alternate_sign"]) == (True, False)


def test_a_vocabulary_is_read_from_a_file(dcai: Dcai) -> None:
    """Lines become features in their order; what is not among them is no feature of a text."""
    (dcai.folder / "words.txt").write_bytes("\ufeffgood\r\nfilm\r\nbad film\r\n".encode())
    spec = spec_of(dcai, "--vocabulary", "words.txt", "--ngrams", "1-2")
    assert (spec["vocabulary"], spec["n_features"]) == (["good", "film", "bad film"], 3)
    assert not {"hash", "seed", "alternate_sign"} & set(spec)
    error = dcai.error("predict", "something else", "--model", "texts")
    assert "nothing of the text is in the vocabulary" in error["message"]
    assert dcai("predict", "a good one", "--model", "texts").code == 0


def test_a_vocabulary_is_learned_from_rows(dcai: Dcai) -> None:
    """The most frequent features come first, equals by code point; every row counts, whatever its label."""
    dcai.write("rows.csv", ROWS)
    spec = spec_of(dcai, "--vocabulary-from", "rows.csv", "--vocabulary-size", "2")
    assert (spec["vocabulary"], spec["n_features"], spec["max_features"]) == (["good", "film"], 2, 2)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("good\nGood\n", "line 2: 'Good' is a feature that --analyzer word never makes"),
        ("good\n\nfilm\n", "line 2: '' is a feature"),
        ("good\nbad film\n", "line 2: 'bad film' is a feature"),
        ("good\nfilm\ngood\n", "line 3: 'good' stands in line 1 already"),
        ("good\n", "gives a vocabulary of 1"),
        ("", "gives a vocabulary of 0"),
    ],
)
def test_a_vocabulary_that_cannot_count_is_refused(dcai: Dcai, lines: str, problem: str) -> None:
    """What the analyzer never makes, repeats, and too little are refused before anything is sent."""
    (dcai.folder / "words.txt").write_text(lines)
    error = dcai.error(*DEPLOY, "--vocabulary", "words.txt")
    assert (error["exit_code"], problem in error["message"]) == (15, True), error


def test_a_vocabulary_file_that_cannot_be_read_is_named(dcai: Dcai) -> None:
    """A missing file, one that is not UTF-8, and a missing column are refused by name."""
    assert "none.txt cannot be read" in dcai.error(*DEPLOY, "--vocabulary", "none.txt")["message"]
    (dcai.folder / "words.txt").write_bytes(b"caf\xe9\n")
    assert "words.txt is not UTF-8" in dcai.error(*DEPLOY, "--vocabulary", "words.txt")["message"]
    dcai.write("rows.csv", ROWS, header=("body", "label"))
    error = dcai.error(*DEPLOY, "--vocabulary-from", "rows.csv")
    assert "no column 'text'; the columns are: body, label" in error["message"]


def test_a_vocabulary_that_no_contract_takes_is_refused(dcai: Dcai) -> None:
    """A spec of more than 24,575 bytes is refused, and the hint names the vocabulary."""
    (dcai.folder / "words.txt").write_text("".join(f"word{number}\n" for number in range(3000)))
    error = dcai.error(*DEPLOY, "--vocabulary", "words.txt")
    assert (error["exit_code"], "24,575" in error["message"]) == (2, True)
    assert "smaller vocabulary" in error["hint"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--analyzer", "letters"], "analyzer 'letters' is not known"),
        (["--analyzer", "char", "--ngrams", "2-9"], "ngram_range[1] is 9"),
        (["--ngrams", "two"], "'two' is no range of n-grams"),
        (["--vocabulary-size", "10"], "--vocabulary-size needs rows"),
        (["--vocabulary", "a", "--vocabulary-from", "b"], "read or learned"),
        (["--vocabulary", "a", "--n-features", "256"], "--n-features is for hashed features"),
        (["--vocabulary", "a", "--alternate-sign"], "--alternate-sign is for hashed features"),
        (["--model-type", "naive-bayes", "--counts", "--alternate-sign"], "naive-bayes counts"),
        (["--kind", "tabular", "--schema", "s.toml", "--analyzer", "char"], "--analyzer is for text models"),
        (["--kind", "tabular", "--schema", "s.toml", "--no-lowercase"], "--lowercase is for text models"),
    ],
)
def test_options_that_contradict_are_refused(dcai: Dcai, options: list[str], problem: str) -> None:
    """Each refusal is one of usage, and names what was typed."""
    error = dcai.error(*DEPLOY, *options)
    assert (error["exit_code"], problem in error["message"]) == (2, True), error


def test_an_unknown_analyzer_is_told_those_that_there_are(dcai: Dcai) -> None:
    """The hint has what can be typed instead."""
    error = dcai.error(*DEPLOY, "--analyzer", "letters")
    assert "word, char or char_wb" in error["hint"]


def test_files_of_another_encoding_are_read_and_said(dcai: Dcai) -> None:
    """What --vocabulary-from and --pretrain read is found or named like anything that is contributed."""
    rows = b"text,label\n" + b"caf\xe9 bon,yes\ncaf\xe9 mal,no\n" * 2
    (dcai.folder / "old.data").write_bytes(rows)
    files = ["--vocabulary-from", "old.data", "--pretrain", "old.data", "--format", "csv"]
    result = dcai(*DEPLOY, *files)
    assert (result.code, result.err.count("old.data is not UTF-8; it is read as cp1252")) == (0, 2), (
        result.err
    )
    assert json.loads(dcai.data("model", "show", "texts")["spec"])["vocabulary"] == ["caf\xe9", "bon", "mal"]
    again = [*DEPLOY[:-1], "named", *files, "--encoding", "cp1250"]
    result = dcai(*again)
    assert (result.code, "not UTF-8" in result.err) == (0, False), result.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--encoding", "cp1252"], "--encoding cp1252 is for files of rows, and none is named"),
        (["--format", "csv", "--pretrain", "w.npz"], "--format csv is for files of rows"),
        (["--format", "xlsx", "--pretrain", "rows"], "There is no format 'xlsx'"),
        (
            ["--pretrain", "-", "--vocabulary-from", "-"],
            "--pretrain are both standard input",
        ),
        (["--pretrain", "rows.parquet", "--encoding", "cp1252"], "--encoding cp1252 is for texts"),
    ],
)
def test_what_would_be_ignored_about_files_is_refused(dcai: Dcai, options: list[str], problem: str) -> None:
    """An option that says nothing about any file, and two readers of one pipe."""
    (dcai.folder / "rows.parquet").write_bytes(b"PAR1")
    error = dcai.error(*DEPLOY, *options)
    assert (error["exit_code"], problem in error["message"]) == (2, True), error


def test_bytes_that_are_no_text_are_refused(dcai: Dcai) -> None:
    """A text with half of a surrogate pair, as a shell hands over bytes that are not UTF-8, is named."""
    spec_of(dcai, "--n-features", "256")
    error = dcai.error("predict", "good \udcff film", "--model", "texts")
    assert "not valid Unicode: half of a surrogate pair at character 6" in error["message"]


@pytest.mark.parametrize("option", ["--text-column", "--label-column", "--analyzer", "--ngrams"])
def test_nothing_typed_is_not_the_usual(dcai: Dcai, option: str) -> None:
    """A shell's empty variable is a mistake, not a wish for the default."""
    error = dcai.error("model", "deploy", "--name", "x", "--labels", "a,b", option, "", "--yes")
    assert error["exit_code"] == 2
