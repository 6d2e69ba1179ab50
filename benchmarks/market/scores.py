"""How often a market's scores tell those who help from those who harm.

The market of IMDB reviews that `make gas` measures: the same contributions and test samples in hundreds of
orders.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.gas.market_rows import FLIPPING, MAIN, PEOPLE, WORDS_SHAPE, Row, market_plan
from benchmarks.gas.reviews import Samples, imdb
from dcai_cli.hashing import keccak256
from dcai_cli.models.market import draw_orders, evaluate
from dcai_cli.models.perceptron import Perceptron

ORDERS = (1, 2, 4, 8)
DRAWN = 400
STARTS = ((0, 0), (1_500, 0), (4_000, 0), (20_000, 0), (20_000, 2))
"""Reviews that the model learned before, and the margin."""


def markdown(folder: Path) -> str:
    """The table: in how many draws all participants end on the right side of their stakes."""
    samples = imdb(folder / "imdb", training=20_000, contributed=1_000).by_rank()
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
