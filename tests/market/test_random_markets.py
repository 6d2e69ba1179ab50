"""Random small markets on the embedded chain: replica and contracts agree on every number."""

from __future__ import annotations

import random
from itertools import repeat

import pytest

from benchmarks.gas.market import Market, Phase, Plan, Site
from dcai_cli.domain import ModelParams
from dcai_cli.models.perceptron import Perceptron
from tests.market.agreement import BURN, check, check_money

MARKETS = 50


def sample(rng: random.Random, n_features: int, flipped: float) -> bytes:
    """A sample whose even features speak for label 0; its label is flipped at times."""
    label = rng.randrange(2)
    drawn = {rng.randrange(n_features) for _ in range(rng.randrange(1, 7))}
    indices = sorted({index - index % 2 + label if rng.random() < 0.8 else index for index in drawn})
    indices = [index for index in indices if index < n_features] or [label]
    return bytes([label ^ (rng.random() < flipped)]) + b"".join(
        number.to_bytes(2, "big") for number in (len(indices), *indices)
    )


def draw_plan(number: int) -> Plan:
    """A market with a shape, data and rules of its own."""
    rng = random.Random(number)  # noqa: S311 (no secret)
    n_features = rng.choice([2, 16, 17, 40, 100, 300])
    params = ModelParams("perceptron", n_features, min(n_features, 6), margin=rng.choice([0, 0, 0, 1, 5]))
    pieces, piece_samples = rng.randrange(2, 5), rng.randrange(1, 6)
    people = rng.randrange(1, 7)
    payloads = tuple(
        b"".join(sample(rng, n_features, flipped) for _ in range(rng.randrange(1, 9)))
        for flipped in rng.choices([0, 0.2, 1], k=people)
    )
    words: dict[int, int] = {}
    if rng.random() < 0.4:
        start = Perceptron(params)
        start.train(b"".join(sample(rng, n_features, 0) for _ in range(12)))
        words = {place: word for place, word in enumerate(start.words()) if word}
    return Plan(
        name=f"random-{number}",
        params=params,
        pieces=tuple(
            b"".join(sample(rng, n_features, 0) for _ in range(piece_samples)) for _ in range(pieces)
        ),
        payloads=payloads,
        bounty_wei=rng.choice([10**18, 10**15 + 7, 10**6 * 3 + 1]),
        rounds=rng.choice([1, 7, 100, 9_999]),
        # From stakes that are gone in a round to such as last for all.
        stake_wei=rng.choice([1, 10**5, 10**13, 10**16]),
        max_units=people * 8 + rng.randrange(3),
        orders=rng.choice([1, 2, 5]),
        step_fee_wei=rng.choice([0, 1, 10**9]),
        silent=frozenset(who for who in range(people) if rng.random() < 0.15),
        words=words,
    )


@pytest.mark.parametrize("number", range(MARKETS))
def test_a_random_market_ends_as_the_replica_says(embedded_site: Site, number: int) -> None:
    """Order, scores, every amount and every word of the published model, however the steps are cut."""
    plan = draw_plan(number)
    market = Market(embedded_site, plan)
    burned_wei = market.chain.balance_wei(BURN)
    limits = iter([1, 3, 7] if number % 5 == 0 else ())
    rest = repeat(300)
    market.play(lambda: next(limits, next(rest)))
    assert market.phase == Phase.PUBLISHED
    check_money(market, check(market, burned_wei))


def test_the_random_markets_are_of_all_kinds() -> None:
    """Among them are such with words to begin with, and such with participants who reveal nothing."""
    plans = [draw_plan(number) for number in range(MARKETS)]
    assert sum(bool(plan.words) for plan in plans) >= 10
    assert sum(bool(plan.silent) for plan in plans) >= 10
    assert any(not any(plan.revealed) for plan in plans)
    assert {len(plan.payloads) for plan in plans} == set(range(1, 7))
