"""The rows of markets: the gas of the whole reward phase, by contributions and by test samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
WIDE_SHAPE = ModelParams("perceptron", HASHED, MAX_FEATURES)
MAIN = (200, 100)
SIZES = (MAIN, (50, 100), (100, 100), (200, 20), (200, 50), (200, 200))
"""Contributions and test samples."""

PARTS = {
    Phase.TESTED: "draw",
    Phase.EVALUATING: "evaluate",
    Phase.RESETTING: "reset",
    Phase.REPLAYING: "replay",
    Phase.PUBLISHING: "publish",
}


def key_of(params: ModelParams, contributions: int, tests: int) -> str:
    """What a row is called in gas.json."""
    features = "words" if params == WORDS_SHAPE else f"hashed to {params.n_features:,}"
    return f"{contributions} contributions, {tests} test samples, {features}"


MAIN_KEYS = tuple(key_of(params, *MAIN) for params in (WORDS_SHAPE, HASHED_SHAPE))
"""The rows that the goal is for."""


def missed_markets(rows: Mapping[str, Figures]) -> list[str]:
    """The rows that the goal is for, and that are missing or above it."""
    return [key for key in MAIN_KEYS if key not in rows or rows[key]["sum"] > GOAL]


def market_plan(name: str, samples: Samples, params: ModelParams, contributions: int, tests: int) -> Plan:
    """A market of reviews: five participants with as many each, two of whom contribute the other label.

    A test sample more or less is worth a hundredth of the bounty, if there are a hundred, and a stake as much
    as some five: whoever harms by less loses a part of it, and whoever harms by more is removed.
    """
    test_set = samples.contributed[:tests]
    own = contributions // PEOPLE
    contributed = samples.contributed[-contributions:]
    payloads = [contributed[who * own :][:own] for who in range(PEOPLE)]
    payloads[-FLIPPING:] = [[flipped(sample) for sample in payload] for payload in payloads[-FLIPPING:]]
    each = tests // PIECES
    return Plan(
        name=name,
        params=params,
        pieces=tuple(b"".join(test_set[piece * each :][:each]) for piece in range(PIECES)),
        payloads=tuple(map(b"".join, payloads)),
        bounty_wei=BOUNTY_WEI,
        rounds=ROUNDS,
        stake_wei=STAKE_WEI,
        max_units=MAX_UNITS,
    )


def flipped(sample: bytes) -> bytes:
    """The sample with the other label."""
    return bytes([1 - sample[0]]) + sample[1:]


def measure_markets(
    network: Network,
    reviews: Reviews,
    progress: Callable[[str], None],
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> dict[str, Figures]:
    """All rows, by their keys."""
    site = build_site(network)
    rows: dict[str, Figures] = {}
    for params in (WORDS_SHAPE, HASHED_SHAPE, WIDE_SHAPE):
        is_words = params == WORDS_SHAPE
        samples = reviews.by_rank() if is_words else reviews.hashed(params.n_features)
        wanted = sizes if is_words else sizes[:1]
        for contributions, tests in wanted:
            key = key_of(params, contributions, tests)
            progress(f"{reviews.name}: {key}")
            plan = market_plan(f"market-{len(rows)}", samples, params, contributions, tests)
            market = Market(site, plan)
            market.play(market.largest_step)
            rows[key] = _figures(market)
    return rows


def _figures(market: Market) -> Figures:
    gas = {name: sum(market.gas[phase]) for phase, name in PARTS.items()}
    every = [used for transactions in market.gas.values() for used in transactions]
    assert max(every) <= MAX_TRANSACTION_GAS
    size = sum(map(len, market.plan.payloads))
    count = sum(len(part["correct"]) for part in market.logs["Evaluated"])
    return {
        **gas,
        "sum": sum(every),
        "largest_step": max(every),
        "steps": len(every) - len(market.gas[Phase.TESTED]),
        "features": round((size / count - 3) / 2, 1),
    }
