"""Evaluations: what is confused with what, and what is stated of it on the chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from dcai_cli.chain import PrunedLogs
from dcai_cli.chain.logs import LogReader
from dcai_cli.cli.model_measure import confusion_lines
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.hashing import keccak256
from dcai_cli.services.evaluate import SetDigest
from tests.cli.conftest import ADDRESSES, HONEST

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai
    from tests.conftest import MakeDcai, StartAnvil

GOLDEN = Path(__file__).parent.parent / "golden" / "test-set-hash.json"


def test_what_is_confused_with_what_is_shown(dcai: Dcai, films: Path) -> None:
    """By the true label and the predicted one; sums are those of the figures beside it."""
    dcai.data("contribute", films, "--yes")
    file = dcai.write("test.csv", [*HONEST, ("great and warm", "negative"), ("a dull mess", "negative")])
    data = dcai.data("model", "evaluate", file)
    assert data["confusion"] == {"labels": ["negative", "positive"], "matrix": [[4, 1], [0, 3]]}
    assert (data["rows"], data["correct"], data["published"]) == (8, 7, None)
    lines = dcai("model", "evaluate", file).out.splitlines()
    start = lines.index("true \\ predicted")
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["1", "2"],
        ["1", "negative", "4", "1"],
        ["2", "positive", "0", "3"],
    ]


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("classes", [2, 5, 16])
def test_a_matrix_of_any_size_fits_the_terminal(width: int, classes: int) -> None:
    """No line is wider, no number is cut or lost, and every label keeps its own number."""
    labels = [f"{'評判' * at} a label that is rather long {at}" for at in range(classes)]
    matrix = [[123_456 * (row == column) + row for column in range(classes)] for row in range(classes)]
    lines = confusion_lines(labels, matrix, width)
    assert max(map(cell_len, lines)) <= width
    numbers: dict[int, list[int]] = {row: [] for row in range(classes)}
    seen: list[int] = []
    for line in lines[1:]:
        words = line.split()
        if line.startswith(" "):
            block = [int(word) for word in words]
            seen += block
        else:
            numbers[int(words[0]) - 1] += [int(word) for word in words[-len(block) :]]
    assert seen == list(range(1, classes + 1))
    assert list(numbers.values()) == matrix


def test_the_hash_of_a_test_set_is_the_golden_one() -> None:
    """It is made of the bytes of spec and samples alone, as a stranger would make it from the page."""
    for case in json.loads(GOLDEN.read_text(encoding="utf-8")):
        spec = FeatureSpec.from_json(case["spec"])
        samples = [bytes.fromhex(sample) for sample in case["samples"]]
        digest = SetDigest(spec)
        for sample in samples:
            digest.add(sample)
        assert digest.hexadecimal() == case["hash"]
        assert f"0x{keccak256(keccak256(case['spec'].encode()) + b''.join(samples)).hex()}" == case["hash"]
    assert len({case["hash"] for case in json.loads(GOLDEN.read_text(encoding="utf-8"))}) == 4


def test_anyone_with_the_file_can_recompute_the_hash(dcai: Dcai, films: Path) -> None:
    """What is published is the hash over the spec on the chain and the samples of the rows used, in order."""
    file = dcai.write("test.csv", [("!", "negative"), *HONEST, ("a film", "unknown")])
    spec = dcai.data("model", "show")["spec"]
    found = dcai.data("model", "evaluate", file)
    rows = featurize(read_rows(file), FeatureSpec.from_json(spec))
    samples = b"".join(row.sample for row in rows if isinstance(row, FeaturizedRow))
    assert found["test_set_hash"] == f"0x{keccak256(keccak256(spec.encode()) + samples).hex()}"
    assert found["test_set_hash"] == dcai.data("model", "evaluate", films)["test_set_hash"]
    swapped = dcai.write("swapped.csv", [HONEST[1], HONEST[0], *HONEST[2:]])
    assert dcai.data("model", "evaluate", swapped)["test_set_hash"] != found["test_set_hash"]


def test_an_evaluation_is_published_and_shown_over_time(dcai: Dcai, films: Path) -> None:
    """Rows, correct ones and hash stand on the chain, with who says so; `model show` lists them in order."""
    before = dcai.data("model", "evaluate", films, "--publish", "--yes", "--account", "bob")
    dcai.data("contribute", films, "--yes")
    after = dcai.data("model", "evaluate", films, "--publish", "--yes")
    shown = dcai.data("model", "show")["evaluations"]
    assert [(item["correct"], item["rows"], item["publisher"]) for item in shown] == [
        (3, 6, ADDRESSES["bob"]),
        (6, 6, ADDRESSES["alice"]),
    ]
    for item, data in zip(shown, (before, after), strict=True):
        assert item["transaction"] == data["published"]["transaction"]
        assert item["test_set_hash"] == data["test_set_hash"]
        assert int(data["published"]["fee_wei"]) > 0
    text = dcai("model", "show").out
    assert "1.0000 (6 of 6, set " in text
    assert f"by {ADDRESSES['bob']}" in text
    assert [item["kind"] for item in dcai.data("tx", "list", "--all")["transactions"]][-1:] == ["evaluation"]


def test_what_publishing_costs_is_asked_and_nothing_is_sent_without_an_answer(
    dcai: Dcai, films: Path
) -> None:
    """Without a terminal and --yes: exit code 2 with figures, gas, balance and the flag."""
    with dcai.unchanged():
        error = dcai.error("model", "evaluate", films, "--publish")
    assert (error["exit_code"], "--yes" in error["hint"]) == (2, True)
    for phrase in ("3 of 6 rows", "gas. It costs up to", "The balance is"):
        assert phrase in error["message"]
    error = dcai.error("model", "evaluate", films, "--account", "bob")
    assert (error["exit_code"], "--publish" in error["hint"]) == (2, True)


def test_contributions_are_summed_up(dcai: Dcai, films: Path) -> None:
    """`model show` counts samples, informative ones and who sent them, from the chain's events."""
    empty = dcai.data("model", "show")
    assert [empty[name] for name in ("batches", "samples", "contributors")] == [0, 0, 0]
    assert empty["last_contributed_at"] is None
    sent = dcai.data("contribute", films, "--limit", "4", "--yes")
    dcai.data("contribute", dcai.write("one.csv", HONEST[4:]), "--account", "bob", "--yes")
    shown = dcai.data("model", "show")
    assert [shown[name] for name in ("batches", "samples", "contributors")] == [2, 6, 2]
    assert shown["informative"] >= sum(batch["informative"] for batch in sent["batches"]) > 0
    assert "6 from 2 contributors" in dcai("model", "show").out


def test_a_node_that_forgot_its_logs_shows_what_it_still_knows(
    contributed: Dcai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Price and batches stand in storage; what stood in logs is null, and the reason is said."""

    def forgotten(*_: object) -> None:
        raise PrunedLogs("The node does not have the logs of blocks 1 to 9.")

    monkeypatch.setattr(LogReader, "read", forgotten)
    data = contributed.data("model", "show", "films")
    assert (data["batches"], data["samples"], data["evaluations"]) == (1, None, None)
    told = contributed("model", "show", "films")
    assert "does not have the logs of blocks 1 to 9" in told.err
    assert "batches   1," in told.out


def test_an_evaluation_is_published_through_a_node(anvil: StartAnvil, make_dcai: MakeDcai) -> None:
    """Behind an RPC URL it is mined and shown likewise; where nobody could be asked, nothing is sent."""
    dcai = make_dcai(anvil())
    dcai.deploy("films", labels="negative,positive", n_features=256)
    file = dcai.home / "rows.csv"
    file.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in HONEST))
    assert dcai("model", "evaluate", file, "--publish", code=2)["code"] == "usage"
    assert dcai("model", "show")["evaluations"] == []
    done = dcai("model", "evaluate", file, "--publish", "--yes")
    (shown,) = dcai("model", "show")["evaluations"]
    assert shown["transaction"] == done["published"]["transaction"]
    assert (shown["rows"], shown["correct"], shown["publisher"]) == (6, done["correct"], dcai.address)
    assert shown["test_set_hash"] == done["test_set_hash"]
