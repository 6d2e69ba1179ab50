"""The rows of markets: the gas of the whole reward phase, by contributions and by test samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.gas.market import Market, Phase, Plan, build_site
from benchmarks.gas.measure import Figures
from benchmarks.gas.network import Network
from benchmarks.gas.reviews import HASHED, MAX_FEATURES, WORDS, Reviews, Samples
from dcai_cli.domain import MAX_TRANSACTION_GAS, ModelParams

GOAL = 100_000_000
"""Gas of the whole reward phase of a market of `MAIN`'s size, at most."""

PEOPLE = 5
FLIPPING = 2
"""So many of them, the last ones, contribute with the other label."""

PIECES = 10
BOUNTY_WEI = 10**18
ROUNDS = 100
STAKE_WEI = 5 * 10**14
MAX_UNITS = 1_000

WORDS_SHAPE = ModelParams("perceptron", WORDS, WORDS)
HASHED_SHAPE = ModelParams("perceptron", 4_096, MAX_FEATURES)
WIDE_SHAPE = ModelParams("perceptron", HASHED, 256)
"""A sample of a market touches 256 words at most."""
MAIN = (200, 100)
SIZES = (MAIN, (50, 100), (100, 100), (200, 20), (200, 50), (400, 100))
"""Contributions and test samples."""

ORDERS = 4
"""In so many orders `dcai market create` has contributions scored."""

PARTS = {
    Phase.TESTED: "draw",
    Phase.EVALUATING: "evaluate",
    Phase.RESETTING: "reset",
    Phase.REPLAYING: "replay",
    Phase.PUBLISHING: "publish",
}


class Row(NamedTuple):
    """A market that is measured.

    Args:
        params: the shape of the model.
        contributions: how many.
        tests: test samples.
        orders: in so many orders contributions are scored.
    """

    params: ModelParams
    contributions: int
    tests: int
    orders: int

    @property
    def key(self) -> str:
        """What it is called in gas.json."""
        features = "words" if self.params == WORDS_SHAPE else f"hashed to {self.params.n_features:,}"
        orders = f"{self.orders} orders" if self.orders > 1 else "1 order"
        return f"{self.contributions} contributions, {self.tests} test samples, {orders}, {features}"


HASHED_SIZE = (200, 70)
"""Hashed reviews are longer: no more of them fit into a test set."""

MAIN_ROWS = (Row(WORDS_SHAPE, *MAIN, ORDERS), Row(HASHED_SHAPE, *HASHED_SIZE, 2))
ROWS = (*MAIN_ROWS, *(Row(WORDS_SHAPE, *size, 1) for size in SIZES), Row(WIDE_SHAPE, *HASHED_SIZE, 1))
MAIN_KEYS = tuple(row.key for row in MAIN_ROWS)
"""The rows that the goal is for."""


def missed_markets(rows: Mapping[str, Figures]) -> list[str]:
    """The rows that the goal is for, and that are missing or above it."""
    return [key for key in MAIN_KEYS if key not in rows or rows[key]["sum"] > GOAL]


def market_plan(name: str, samples: Samples, row: Row) -> Plan:
    """A market of reviews: five participants with as many each, two of whom contribute the other label.

    A test sample more or less is worth a hundredth of the bounty, if there are a hundred, and a stake as much
    as some five: whoever harms by less loses a part of it, and whoever harms by more all of it.
    """
    # Long and short ones in each piece: none may be much larger than the others.
    test_set = sorted(samples.contributed[: row.tests], key=len)
    own = row.contributions // PEOPLE
    contributed = samples.contributed[-row.contributions :]
    payloads = [contributed[who * own :][:own] for who in range(PEOPLE)]
    payloads[-FLIPPING:] = [[flipped(sample) for sample in payload] for payload in payloads[-FLIPPING:]]
    return Plan(
        name=name,
        params=row.params,
        pieces=tuple(b"".join(test_set[piece::PIECES]) for piece in range(PIECES)),
        payloads=tuple(map(b"".join, payloads)),
        bounty_wei=BOUNTY_WEI,
        rounds=ROUNDS,
        stake_wei=STAKE_WEI,
        max_units=MAX_UNITS,
        orders=row.orders,
    )


def flipped(sample: bytes) -> bytes:
    """The sample with the other label."""
    return bytes([1 - sample[0]]) + sample[1:]


def measure_markets(
    network: Network,
    reviews: Reviews,
    progress: Callable[[str], None],
    wanted: Sequence[Row] = ROWS,
) -> dict[str, Figures]:
    """All rows, by their keys."""
    site = build_site(network)
    rows: dict[str, Figures] = {}
    for row in wanted:
        progress(f"{reviews.name}: {row.key}")
        is_words = row.params == WORDS_SHAPE
        samples = (
            reviews.by_rank() if is_words else reviews.hashed(row.params.n_features, row.params.max_features)
        )
        market = Market(site, market_plan(f"market-{len(rows)}", samples, row))
        market.play(market.largest_step)
        rows[row.key] = _figures(market)
    return rows


def _figures(market: Market) -> Figures:
    gas = {name: sum(market.gas[phase]) for phase, name in PARTS.items()}
    every = [used for transactions in market.gas.values() for used in transactions]
    assert max(every) <= MAX_TRANSACTION_GAS
    size = sum(map(len, market.plan.payloads))
    count = sum(len(part["correct"]) for part in market.logs["Evaluated"] if part["order"] == 0)
    return {
        **gas,
        "sum": sum(every),
        "largest_step": max(every),
        "steps": len(every) - len(market.gas[Phase.TESTED]),
        "features": round((size / count - 3) / 2, 1),
    }
