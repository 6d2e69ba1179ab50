"""model evaluate --plot and model show --plot: what is drawn is what the chain and the rows say."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from dcai_cli.domain import iso_time
from tests.cli.conftest import ADDRESSES, HONEST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Dcai


def table(page: Path, title: str) -> list[list[str]]:
    """The cells of the table below a picture."""
    found = re.search(f"<table><caption>{title}.*?</table>", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return [re.findall(r"<td>(.*?)</td>", row) for row in found[0].splitlines()[2:-1]]


def test_the_confusion_matrix_counts_every_row(contributed: Dcai) -> None:
    """Its rows are the labels of the file, its columns what `predict` says of the same rows."""
    wrong = [(HONEST[0][0], "negative"), *HONEST]
    file = contributed.write("test.csv", wrong)
    data = contributed.data("model", "evaluate", file, "--plot", "confusion.html")
    predicted = [row["label"] for row in contributed.data("predict", "--file", file)["predictions"]]
    pairs = list(zip((label for _, label in wrong), predicted, strict=True))
    labels = ["negative", "positive"]
    title = f"films: {data['correct']} of {data['rows']} rows predicted right"
    assert table(contributed.folder / "confusion.html", title) == [
        [true, *(str(pairs.count((true, found))) for found in labels)] for true in labels
    ]


def test_accuracy_over_time_is_what_was_published(contributed: Dcai) -> None:
    """Each statement at its block's time, by publisher and test set, and the samples beside them."""
    address = contributed.data("model", "show")["address"]
    expected = []
    for name, part, correct in (("alice", 1, 5), ("bob", 2, 1), ("alice", 1, 8)):
        test_set = bytes([part]) * 32
        with contributed.chain() as chain:
            data = chain.encode("CollaborativeTrainer", "publishEvaluation", test_set, 10, correct)
        receipt = contributed.send(name, address, data)
        with contributed.chain() as chain:
            at = iso_time(chain.block_time(receipt.block_number))
        expected.append([at, f"set {test_set.hex()[:6]}, by {ADDRESSES[name][:8]}…", f"{correct / 10:.4f}"])
    contributed.data("model", "show", "--plot", "films.html")
    page = contributed.folder / "films.html"
    assert table(page, "accuracy of films") == [expected[0], expected[2], expected[1]]
    (batch,) = contributed.query("SELECT added_at, count FROM batches")
    assert table(page, "samples contributed") == [[iso_time(batch[0]), "samples", str(batch[1])]]


def test_a_model_of_which_nothing_is_known_is_drawn_empty(dcai: Dcai) -> None:
    """Without evaluations and contributions both charts say so."""
    dcai.data("model", "show", "--plot", "films.svg")
    assert (dcai.folder / "films.svg").read_text(encoding="utf-8").count("nothing yet") == 2


@pytest.mark.parametrize("arguments", [("evaluate", "films.csv"), ("show",)])
@pytest.mark.usefixtures("films")
def test_a_plot_with_another_ending_is_refused_before_a_node_is_asked(
    dcai: Dcai, closed_url: str, arguments: tuple[str, ...]
) -> None:
    """Exit code 2, though the node would be an error of its own."""
    error = dcai.error("model", *arguments, "--plot", "plot.gif", "--rpc-url", closed_url)
    assert (error["exit_code"], "plot.gif" in error["message"]) == (2, True)


def test_without_matplotlib_only_the_plot_is_missing(
    contributed: Dcai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command names the extra, and works without the option."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    error = contributed.error("model", "show", "--plot", "plot.png")
    assert (error["exit_code"], error["hint"]) == (2, "pip install 'dcai[plots]'")
    assert contributed.data("model", "show")["batches"] == 1
