"""`dcai featurize`: what rows become, with a spec file and no chain, or with a model's spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.domain import Vector, Wire
from dcai_cli.features.payload import decode_payload
from dcai_cli.features.spec import FeatureSpec

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=4096, valued=True, max_features=3)
ROWS = [("hello hello", "spam"), ("!", "ham"), ("hello", "eggs"), ("one two three four", "ham")]


@pytest.fixture
def spec(empty: Dcai) -> Path:
    """A spec file."""
    path = empty.folder / "spec.json"
    path.write_text(SPEC.to_json(), encoding="utf-8")
    return path


def test_rows_become_samples_without_a_chain(empty: Dcai, spec: Path) -> None:
    """Indices, values and bytes of each row, or why it has none; no home is made for it."""
    data = empty.data("featurize", empty.write("rows.csv", ROWS), "--spec", spec)
    first, second, third, fourth = data.pop("samples")
    assert data == {"rows": 4, "skipped": 2, "cut": 1, "payload_bytes": 3 + 3 + 3 + 9}
    assert first == {
        "row": 1, "label": "spam", "indices": [2631], "values": [2], "cut": False, "payload": "0100010a4702",
    }  # fmt: skip
    assert second["skipped"].startswith("no features")
    assert third == {"row": 3, "skipped": "unknown label 'eggs'; the model knows ham, spam"}
    assert (fourth["cut"], len(fourth["indices"])) == (True, 3)
    assert not empty.home.exists()


def test_a_payload_says_what_the_document_says(empty: Dcai, spec: Path) -> None:
    """Whoever decodes the bytes finds the label and the features beside them."""
    wire = Wire(4096, 3, 2, valued=True)
    for item in empty.data("featurize", empty.write("rows.csv", ROWS), "-s", spec)["samples"]:
        if "payload" in item:
            decoded = decode_payload(bytes.fromhex(item["payload"]), wire)
            vector = Vector(tuple(item["indices"]), tuple(item["values"]))
            assert decoded == [(SPEC.labels.index(item["label"]), vector)]


def test_output_has_a_line_for_each_row(empty: Dcai, spec: Path) -> None:
    """--output writes the elements of the list, one a line, and the document has the counts."""
    file = empty.write("rows.csv", ROWS)
    samples = empty.data("featurize", file, "--spec", spec)["samples"]
    data = empty.data("featurize", file, "--spec", spec, "--output", "out.jsonl")
    lines = (empty.folder / "out.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == samples
    assert data == {"output": "out.jsonl", "rows": 4, "skipped": 2, "cut": 1, "payload_bytes": 18}


def test_people_get_a_line_for_each_row(empty: Dcai, spec: Path) -> None:
    """Without --json each row is a line, and the sums are talk."""
    result = empty("featurize", empty.write("rows.csv", ROWS), "--spec", spec, "--limit", "2")
    assert result.out.splitlines() == [
        "1  spam  1 feature  0100010a4702",
        "2  skipped: no features: the text has no word of two or more letters or digits",
    ]
    assert result.err == "1 sample of 6 bytes, 1 row skipped\n"


def test_labels_can_be_left_out(empty: Dcai, spec: Path) -> None:
    """A plain text has no labels; standard input needs a format."""
    (empty.folder / "notes.txt").write_text("hello\nworld\n")
    error = empty.error("featurize", "notes.txt", "--spec", spec)
    assert "no column 'label'" in error["message"]
    samples = empty.data("featurize", "notes.txt", "--spec", spec, "--no-labels")["samples"]
    assert [(item["label"], item["payload"][:2]) for item in samples] == [(None, "00"), (None, "00")]


def test_labels_are_either_read_or_left_out(empty: Dcai, spec: Path) -> None:
    """--no-labels beside --label-column contradicts itself."""
    file = empty.write("rows.csv", ROWS)
    error = empty.error("featurize", file, "--spec", spec, "--no-labels", "--label-column", "label")
    assert (error["exit_code"], "--label-column label names their column" in error["message"]) == (2, True)


def test_standard_input_is_read(empty: Dcai, spec: Path) -> None:
    """- is what is piped in."""
    result = empty(
        "featurize", "-", "--spec", spec, "--format", "tsv", "--json", typed="text\tlabel\nhello\tham\n"
    )
    assert result.document["data"]["rows"] == 1


def test_a_model_lends_its_spec(dcai: Dcai, films: Path) -> None:
    """--spec takes a model's name, too, and its contributions get the same bytes."""
    data = dcai.data("featurize", films, "--spec", "films", "--limit", "1")
    assert data["samples"][0]["label"] == "positive"
    assert dcai.error("featurize", films, "--spec", "nothing")["exit_code"] == 2


@pytest.mark.parametrize(
    ("name", "content", "phrase"),
    [
        ("absent.json", None, "There is no file absent.json"),
        ("bad.json", b"{", "not JSON"),
        ("bad.json", b"\xff", "not UTF-8"),
        ("bad.json", b'{"version": 99}', "version 99"),
    ],
)
def test_a_spec_that_is_none_is_refused(empty: Dcai, name: str, content: bytes | None, phrase: str) -> None:
    """The message says what is wrong with it."""
    if content is not None:
        (empty.folder / name).write_bytes(content)
    error = empty.error("featurize", empty.write("rows.csv", ROWS), "--spec", name)
    assert (error["exit_code"], phrase in error["message"]) == (15, True)


def test_samples_are_read_back_alike_in_chunks(
    empty: Dcai, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later samples are read back by numpy: the document is the same, and a fault comes behind its rows."""
    file = empty.write("rows.csv", ROWS * 5)
    samples = empty.data("featurize", file, "--spec", spec)["samples"]
    monkeypatch.setattr("dcai_cli.services.featurize.FEW_ROWS", 2)
    monkeypatch.setattr("dcai_cli.features.featurize.CHUNK_ROWS", 3)
    assert empty.data("featurize", file, "--spec", spec)["samples"] == samples
    ragged = empty("featurize", empty.write("rows.csv", [*ROWS, ("ragged",)]), "--spec", spec)
    assert (ragged.code, len(ragged.out.splitlines())) == (15, 4)


def test_a_cluster_must_be_named_by_its_address(dcai: Dcai, films: Path) -> None:
    """`featurize` and `contribute` ask the same cluster, and refuse what is none before anything is done."""
    with dcai.unchanged():
        for words in (("featurize", films, "--spec", "films"), ("contribute", films, "--yes")):
            error = dcai.error(*words, "--scheduler", "127.0.0.1:8786")
            assert (error["exit_code"], error["hint"]) == (2, "Write for instance tcp://127.0.0.1:8786.")


def test_a_fault_further_down_leaves_no_output(empty: Dcai, spec: Path) -> None:
    """One error document and no half a file, although rows are read one by one."""
    file = empty.write("rows.csv", [*ROWS, ("ragged",)])
    assert "row 5" in empty.error("featurize", file, "--spec", spec)["message"]
    assert "row 5" in empty.error("featurize", file, "--spec", spec, "-o", "out.jsonl")["message"]
    assert not (empty.folder / "out.jsonl").exists()
