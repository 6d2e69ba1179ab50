"""The whole path on real messages: contribute, evaluate, wait, refund; the money agrees to the wei."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import Dcai

TRAINED_ROWS = 4_000
REPEATS = 240
FEATURELESS_ROWS = 1
COLUMNS = ("--text-column", "text", "--label-column", "label")


def rest_of(data: Path, output: Path) -> Path:
    """Write the rows behind those that train."""
    with data.open(newline="", encoding="utf-8") as source:
        rows = list(csv.reader(source))
    with output.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows([rows[0], *rows[1 + TRAINED_ROWS :]])
    return output


def wei(items: list[dict[str, Any]], field: str) -> int:
    """Sum an amount."""
    return sum(int(item[field]) for item in items)


def test_messages_train_a_model_and_every_wei_of_their_deposits_is_accounted_for(
    dcai: Dcai, shared_data: Path, tmp_path: Path
) -> None:
    """4,000 messages give an accuracy of 0.975; deposits are refunded, or open and held by the trainer."""
    data = shared_data / "sms_spam" / "data.csv"
    address = dcai.deploy("sms", labels="ham,spam", n_features=4096)

    done = dcai(
        "contribute", data, "--model", "sms", *COLUMNS, "--limit", "4000", "--batch-size", "100", "--yes"
    )

    assert done["rows"] == TRAINED_ROWS
    assert len(done["skipped"]) == REPEATS + FEATURELESS_ROWS
    assert done["contributed"] == TRAINED_ROWS - REPEATS - FEATURELESS_ROWS
    assert max(batch["samples"] for batch in done["batches"]) == 100
    deposit_wei = int(done["deposit_wei"])
    assert deposit_wei == wei(done["batches"], "deposit_wei")
    with dcai.workspace() as workspace:
        assert workspace.chain.balance_wei(address) == deposit_wei

    accuracy = dcai("model", "evaluate", rest_of(data, tmp_path / "rest.csv"), "--model", "sms", *COLUMNS)
    assert accuracy["rows"] > 1_500
    assert accuracy["accuracy"] >= 0.975

    assert {item["state"] for item in dcai("refunds", "--all")["items"]} == {"waiting"}
    assert dcai("refunds", "--claim", "--yes")["refunded_wei"] == "0"
    dcai("devnet", "advance", "25h")
    claimed = dcai("refunds", "--claim", "--yes")
    still_open = dcai("refunds", "--all")["items"]

    assert claimed["claimed_samples"] + claimed["disagreed_samples"] == done["contributed"]
    assert int(claimed["refunded_wei"]) > deposit_wei * 95 // 100
    assert int(claimed["refunded_wei"]) + wei(still_open, "amount_wei") == deposit_wei
    assert sum(item["samples"] for item in still_open) == claimed["disagreed_samples"]
    with dcai.workspace() as workspace:
        assert workspace.chain.balance_wei(address) == wei(still_open, "amount_wei")
