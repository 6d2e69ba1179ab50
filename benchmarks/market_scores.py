"""How often a market's scores tell those who help from those who harm.

`python -m benchmarks.market_scores` plays the market of IMDB reviews that `make gas` measures on the replica:
the same contributions and test samples in hundreds of orders. It writes the table of docs/market.md anew. The
data is read from the folder that DCAI_TEST_DATA names, or ../shared/data.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.gas.market_rows import FLIPPING, MAIN, PEOPLE, WORDS_SHAPE, Row, market_plan
from benchmarks.gas.reviews import Samples, imdb
from dcai_cli.hashing import keccak256
from dcai_cli.models.market import draw_orders, evaluate
from dcai_cli.models.perceptron import Perceptron

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data"))
PAGE = PROJECT / "docs" / "market.md"
BEGIN, END = "<!-- made by benchmarks/market_scores.py -->\n", "<!-- end of the table -->\n"
ORDERS = (1, 2, 4, 8)
DRAWN = 400
STARTS = ((0, 0), (1_500, 0), (4_000, 0), (20_000, 0), (20_000, 2))
"""Reviews that the model learned before, and the margin."""


def main() -> None:
    """Measure, print, and write the table."""
    samples = imdb(DATA / "imdb", training=20_000, contributed=1_000).by_rank()
    table = markdown(samples)
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1], encoding="utf-8")


def markdown(samples: Samples) -> str:
    """The table: in how many draws all participants end on the right side of their stakes."""
    lines = [
        f"| reviews learned before | margin | {' | '.join(map(_orders, ORDERS))} |",
        f"|---:|---:|{'---:|' * len(ORDERS)}",
    ]
    for learned, margin in STARTS:
        found = _shares(samples, learned, margin)
        lines.append(f"| {learned:,} | {margin} | {' | '.join(f'{share:.0%}' for share in found)} |")
    return "\n".join(lines) + "\n"


def _orders(count: int) -> str:
    return f"{count} orders" if count > 1 else "1 order"


def _shares(samples: Samples, learned: int, margin: int) -> list[float]:
    """By number of orders, the share of draws in which every score has the right sign."""
    plan = market_plan("scores", samples, Row(WORDS_SHAPE, *MAIN, 1))
    start = Perceptron(replace(WORDS_SHAPE, margin=margin))
    if learned:
        start.train(b"".join(samples.training[:learned]))
    tests = b"".join(plan.pieces)
    orders = draw_orders(keccak256(b"market scores"), plan.payloads, start.params, DRAWN)
    scores = np.array([evaluate(start, tests, [order], PEOPLE).scores for order in orders])
    wanted = np.repeat([1, -1], [PEOPLE - FLIPPING, FLIPPING])
    shares = []
    for count in ORDERS:
        sums = scores.reshape(DRAWN // count, count, PEOPLE).sum(axis=1)
        shares.append(float((sums * wanted > 0).all(axis=1).mean()))
    return shares


if __name__ == "__main__":
    main()
