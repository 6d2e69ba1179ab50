"""How many samples a second `dcai model audit` replays, from events to the comparison of all weights.

`python -m benchmarks.audit` contributes 20,000 real samples to a model on anvil, audits it, and writes the
figures to benchmarks/audit.json; the exit status is 1 below the limit. Short messages (sms_spam, several
times over) and long reviews (imdb) are measured apart. Data sets are looked for as the tests look for them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dcai_cli.features.readers import read_rows
from tests.conftest import Dcai, new_dcai, start_anvil

FOLDER = Path(__file__).resolve().parent
DATA = Path(os.environ.get("DCAI_TEST_DATA", FOLDER.parent.parent / "shared" / "data"))
SAMPLES = 20_000
LIMIT = 2_000
"""Samples a second, at least."""

RUNS = 3
SETS: dict[str, tuple[str, list[str]]] = {
    "sms_spam": ("ham,spam", ["data.csv"]),
    "imdb": ("neg,pos", [f"train-{part}.csv.gz" for part in range(5)]),
}
"""Labels and files of each data set."""

MODEL = "measured"


def rows(name: str) -> Iterator[tuple[str, str]]:
    """Texts and labels of a data set, again and again."""
    while True:
        for file in SETS[name][1]:
            for row in read_rows(DATA / name / file):
                yield row.cells["text"], row.cells["label"]


def contribute(dcai: Dcai, name: str, samples: int) -> int:
    """Bring samples of a data set on-chain; returns how many."""
    what = ("--name", MODEL, "--labels", SETS[name][0], "--n-features", "16384", "--cost-weight", "1")
    dcai("model", "deploy", *what, "--yes")
    path = dcai.home / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        # Some have no features; and a few more are of no harm.
        csv.writer(file).writerows([("text", "label"), *islice(rows(name), samples + samples // 100)])
    options = ("--batch-size", "256", "--allow-duplicates", "--yes")
    return int(dcai("contribute", path, "--model", MODEL, *options)["contributed"])


def measure(name: str, samples: int) -> dict[str, Any]:
    """Contribute, and audit several times."""
    node = start_anvil()
    try:
        with tempfile.TemporaryDirectory() as folder:
            dcai = new_dcai(Path(folder) / "home", node)
            sent = contribute(dcai, name, samples)
            seconds, wall = [], []
            for _ in range(RUNS):
                began = time.perf_counter()
                found = dcai("model", "audit", MODEL)
                wall.append(time.perf_counter() - began)
                seconds.append(found["seconds"])
            assert found["samples"] == sent
    finally:
        node.stop()
    return {
        "samples": sent,
        "batches": found["batches"],
        "audit_s": sorted(seconds)[RUNS // 2],
        "whole_command_s": round(sorted(wall)[RUNS // 2], 3),
        "samples_per_s": round(sent / sorted(seconds)[RUNS // 2]),
        "limit_samples_per_s": LIMIT,
    }


def main() -> None:
    """Measure, print, write down; exit with 1 below the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each data set")
    parser.add_argument("--only", choices=SETS, help="one data set; nothing is written then")
    chosen = parser.parse_args()
    figures = {name: measure(name, chosen.samples) for name in ([chosen.only] if chosen.only else SETS)}
    text = json.dumps(figures, indent=2)
    print(text)
    if chosen.only is None and chosen.samples == SAMPLES:
        (FOLDER / "audit.json").write_text(f"{text}\n", encoding="utf-8")
    sys.exit(any(one["samples_per_s"] < LIMIT for one in figures.values()))


if __name__ == "__main__":
    main()
