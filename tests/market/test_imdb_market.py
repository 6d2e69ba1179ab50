"""A market of real reviews, on anvil and on the embedded chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from benchmarks.gas.market import Ground, Market, build_site
from benchmarks.gas.market_rows import FLIPPING, MAIN, PEOPLE, WORDS_SHAPE, market_plan
from benchmarks.gas.network import start_network
from benchmarks.gas.reviews import Samples, imdb
from dcai_cli.models import make_replica
from tests.market.agreement import BURN, check, check_money
from tests.market.conftest import embedded_ground

TRAINED = 1_500
SCORE = 4
"""The place of the score in the struct of a participant."""

GOOD = range(PEOPLE - FLIPPING)
BAD = range(PEOPLE - FLIPPING, PEOPLE)


@pytest.fixture(scope="module")
def reviews(shared_data: Path) -> Samples:
    """Reviews of IMDB as samples of the 1,000 most frequent words."""
    return imdb(shared_data / "imdb", training=4_000, contributed=1_000).by_rank()


@contextmanager
def ground(name: str, folder: Path) -> Iterator[Ground]:
    """A fresh chain that draws the same in every run."""
    if name == "anvil":
        with start_network() as network:
            yield network
    else:
        with embedded_ground(folder) as embedded:
            yield embedded


@pytest.mark.parametrize("name", ["anvil", "embedded"])
def test_a_market_of_reviews(reviews: Samples, tmp_path: Path, name: str) -> None:
    """The replica says all of it, those who flip labels score less than the others, and no wei is lost.

    The provider begins with a model of 1,500 reviews: from zeros, what a review changes is mostly chance.
    Even so forty reviews each are few: of the draws of eight markets on anvil, one has all five participants
    on the right side of their stakes. It is this one, where their money is compared, too.
    """
    start = make_replica(WORDS_SHAPE)
    start.train(b"".join(reviews.training[:TRAINED]))
    words = {number: word for number, word in enumerate(start.words()) if word}
    plan = replace(market_plan("imdb-2", reviews, WORDS_SHAPE, *MAIN), words=words)
    with ground(name, tmp_path) as place:
        market = Market(build_site(place), plan)
        burned_wei = market.chain.balance_wei(BURN)
        market.play(market.largest_step)
        settlement = check(market, burned_wei)
        scores = [market.view("participantOf", one.address)[SCORE] for one in market.participants]
        assert mean(scores[who] for who in GOOD) > mean(scores[who] for who in BAD)
        if name == "anvil":
            owed = [outcome.owed_wei for outcome in settlement.outcomes]
            assert all(owed[who] > market.stakes_wei[who] for who in GOOD)
            assert all(owed[who] < market.stakes_wei[who] for who in BAD)
        check_money(market, settlement)
