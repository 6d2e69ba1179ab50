"""A model whose words no contract of ours writes: it must not keep the deposits of other models back."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import MakeDcai, StartAnvil

WORDS_SLOT = 2
"""Where the words of a model begin: behind its trainer and its shape."""


def test_other_models_pay_back_when_one_cannot_be_read(make_dcai: MakeDcai, anvil: StartAnvil) -> None:
    """Its batch is listed as unreadable and stays open; the other one's is refunded."""
    node = anvil()
    dcai = make_dcai(node)
    file = dcai.home / "rows.csv"
    with file.open("w", newline="") as target:
        csv.writer(target).writerows([("text", "label"), ("a warm film", "good"), ("a dull film", "bad")])
    for name in ("broken", "whole"):
        dcai.deploy(name, labels="bad,good", n_features=256)
        assert dcai("contribute", file, "--model", name, "--yes")["contributed"] == 2
    broken = dcai("model", "show", "broken")
    # No weight is ever -32768.
    node.rpc("anvil_setStorageAt", broken["model"], hex(WORDS_SLOT), "0x8000" + "00" * 30)
    dcai("devnet", "advance", "25h")

    states = {item["model"]: item["state"] for item in dcai("refunds")["items"]}
    assert states.pop(broken["address"]) == "unreadable"
    assert list(states.values()) == ["due"]
    assert dcai("refunds", "--claim", "--yes")["claimed_samples"] == 2
    (left,) = dcai("refunds")["items"]
    assert (left["model"], left["state"]) == (broken["address"], "unreadable")
    assert dcai("reports")["items"] == []
