"""Batches of long samples: what a contract takes at most is what the program sends at most."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import MAX_PAYLOAD_BYTES, MAX_TRANSACTION_BYTES
from tests.conftest import PROJECT

if TYPE_CHECKING:
    from tests.conftest import MakeDcai, StartAnvil


def write_long_rows(file: Path, rows: int) -> None:
    """Write rows of 400 words each, drawn by a fixed seed."""
    draw = random.Random(1)  # noqa: S311 - a seed, not a secret
    vocabulary = [f"word{number}" for number in range(3_000)]
    lines = [f"{' '.join(draw.sample(vocabulary, 400))},{draw.choice(['no', 'yes'])}" for _ in range(rows)]
    file.write_text("\n".join(["text,label", *lines, ""]))


def test_the_largest_payload_is_the_contracts() -> None:
    """The program and the contract agree on how many bytes a payload may have."""
    source = (PROJECT / "contracts" / "CollaborativeTrainer.sol").read_text()
    found = re.search(r"MAX_PAYLOAD_BYTES = ([\d_]+);", source)
    assert found is not None
    assert int(found[1]) == MAX_PAYLOAD_BYTES


def test_batches_shrink_to_the_largest_payload_and_can_be_refunded(
    tmp_path: Path, make_dcai: MakeDcai, anvil: StartAnvil
) -> None:
    """256 long samples come on-chain in batches that fit, and their refunds fit, too."""
    dcai = make_dcai(anvil())
    dcai.deploy("long", labels="no,yes", n_features=4_096)
    file = tmp_path / "long.csv"
    write_long_rows(file, 256)

    done = dcai("contribute", file, "--batch-size", "256", "--yes")
    dcai("devnet", "advance", "25h")
    claimed = dcai("refunds", "--claim", "--yes")

    assert done["contributed"] == 256
    sizes = [len(raw) for (raw,) in dcai.query("SELECT raw FROM transactions WHERE kind != 'deploy'")]
    assert MAX_PAYLOAD_BYTES - 1_000 < max(sizes) <= MAX_TRANSACTION_BYTES
    assert claimed["claimed_samples"] + claimed["disagreed_samples"] == 256
    left_wei = sum(int(item["amount_wei"]) for item in dcai("refunds", "--all")["items"])
    assert int(done["deposit_wei"]) == int(claimed["refunded_wei"]) + left_wei


def test_a_row_that_fits_no_transaction_is_skipped_once_and_named(
    tmp_path: Path, make_dcai: MakeDcai, anvil: StartAnvil
) -> None:
    """A sample that would fill 1,000 fresh slots is left out, and the next one goes."""
    dcai = make_dcai(anvil())
    dcai.deploy("wide", labels="no,yes", n_features=1_048_576)
    words = " ".join(f"word{number}" for number in range(1_000))
    file = tmp_path / "wide.csv"
    file.write_text(f"text,label\n{words},yes\na short one,no\n")

    dry = dcai("contribute", file, "--dry-run")
    done = dcai("contribute", file, "--yes")

    assert [skip["row"] for skip in dry["skipped"]] == [1]
    assert [skip["row"] for skip in done["skipped"]] == [1]
    assert "more gas than one transaction may use" in done["skipped"][0]["reason"]
    assert done["contributed"] == 1
