"""What contributing and refunding one sample costs, by receipts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_a_review_costs_at_most_85_000_gas(shared_data: Path, tmp_path: Path) -> None:
    """Averaged over three batches of 100 reviews, hashed to 2^12, behind 1,000 rows of training."""
    output = tmp_path / "gas.json"

    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.gas_contribution",
        "--data",
        shared_data,
        "--output",
        output,
    ]
    subprocess.run(command, cwd=PROJECT, check=True)

    figures = json.loads(output.read_text(encoding="utf-8"))
    assert len(figures["batches"]) >= 3
    assert all(batch["samples"] == 100 for batch in figures["batches"])
    gas = figures["gas_per_sample"]
    assert gas["contribute"] + gas["refund"] == gas["both"] <= 85_000
