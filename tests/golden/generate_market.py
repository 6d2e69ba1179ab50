"""Writes market.json: markets from their samples to the published model, and the money of each.

They come from plain_market.py, which uses nothing of the package. A case has the shape of the model, its
`first` words, the pieces of the test set, the payload of each participant (empty if it revealed nothing),
the seed, and how many orders it draws; then the orders, one behind the other (participant << 16 | which of
its samples), the test samples that the model gets right before all contributions and after each, scores,
money, and the `last` words of the published model. Words that are not listed are 0. Run it again only when
the protocol changes: ``python -m tests.golden.generate_market``
"""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.golden.generate_models import sparse
from tests.golden.generate_payload_and_perceptron import encode, hexadecimal
from tests.golden.plain_market import Purse, draw_orders, evaluate, play, price, publish, scores
from tests.golden.plain_models import Perceptron, Sample, Shape

FILE = Path(__file__).resolve().parent / "market.json"
ETHER = 10**18


def draw_sample(rng: random.Random, shape: Shape, flipped: float = 0) -> Sample:
    """A sample whose even features speak for label 0, those above for 1, mostly; its label may be flipped."""
    label = rng.randrange(2)
    pool = range(min(shape.n_features, 60))
    size = rng.randrange(1, min(9, shape.max_features, len(pool)) + 1)
    own = [index for index in pool if index % 2 == label]
    drawn = {rng.choice(own if rng.random() < 0.8 else list(pool)) for _ in range(size)}
    if shape.n_features > 60:
        # Some at the far end, too.
        drawn = {shape.n_features - 1 - index if index % 5 == 0 else index for index in drawn}
    indices = sorted(drawn)
    return label ^ (rng.random() < flipped), indices, [1] * len(indices)


def start_model(rng: random.Random, shape: Shape, trained: bool) -> Perceptron:
    """A model of zeros, or one with some weights up to the limit of a market."""
    model = Perceptron(shape)
    if trained:
        for index in rng.sample(range(min(shape.n_features, 60)), min(shape.n_features, 20)):
            model.weights[index] = rng.choice([rng.randrange(-5, 6), 32_767 - 1024, -32_767 + 1024])
        model.bias = rng.randrange(-9, 10)
    return model


def case(
    name: str,
    shape: Shape,
    *,
    pieces: int,
    piece_samples: int,
    flips: list[float | None],
    each: int,
    rounds: int,
    bounty_wei: int = ETHER,
    stake_wei: int = ETHER // 100,
    trained: bool = False,
    orders: int = 1,
) -> dict[str, Any]:
    """A market; a participant whose part of flipped labels is None reveals nothing."""
    rng = random.Random(name)  # noqa: S311 (no secret)
    start = start_model(rng, shape, trained)
    tests = [[draw_sample(rng, shape) for _ in range(piece_samples)] for _ in range(pieces)]
    contributed = [
        []
        if flipped is None
        else [draw_sample(rng, shape, flipped) for _ in range(rng.randrange(1, each + 1))]
        for flipped in flips
    ]
    seed = rng.randbytes(32)
    drawn = draw_orders(seed, contributed, orders)
    all_tests = [sample for piece in tests for sample in piece]
    counts = [evaluate(deepcopy(start), all_tests, order) for order in drawn]
    by_order = [scores(found, order, len(flips)) for found, order in zip(counts, drawn, strict=True)]
    gained = [sum(column) for column in zip(*by_order, strict=True)]
    purses, taken, quota = [], 0, each * len(flips)
    for own, score in zip(contributed, gained, strict=True):
        units = len(own) or each
        purses.append(Purse(price(stake_wei, quota, units, taken), score, revealed=bool(own)))
        taken += units
    played = play(bounty_wei, rounds, pieces * piece_samples, purses, orders)
    last = publish(start, drawn[-1], played.removed)
    return {
        "name": name,
        "n_features": shape.n_features,
        "max_features": shape.max_features,
        "margin": shape.margin,
        "first": sparse(start.words()),
        "pieces": [hexadecimal(encode(piece, shape.n_features, valued=False)) for piece in tests],
        "payloads": [hexadecimal(encode(own, shape.n_features, valued=False)) for own in contributed],
        "seed": hexadecimal(seed),
        "orders": orders,
        "order": [placed.participant << 16 | placed.number for order in drawn for placed in order],
        "before": counts[0][0],
        "correct": hexadecimal(bytes(count for found in counts for count in found[1:])),
        "scores": gained,
        "removed": sum(1 << number for number in played.removed),
        "last": sparse(last.words()),
        "money": {
            "bounty_wei": bounty_wei,
            "rounds": rounds,
            "stake_wei": stake_wei,
            "max_units": quota,
            "stakes_wei": [purse.stake_wei for purse in purses],
            "rounds_played": played.rounds,
            "rewards_wei": [purse.reward_wei for purse in played.purses],
            "burned_wei": [purse.burned_wei for purse in played.purses],
            "owed_wei": [purse.stake_wei + purse.reward_wei for purse in played.purses],
            "left_wei": played.left_wei,
        },
    }


def cases() -> list[dict[str, Any]]:
    """Markets of all kinds, small but for the number of test samples."""
    words, small = Shape(1_000, max_features=100), Shape(17, max_features=17)
    return [
        case(
            "good and bad", words, pieces=4, piece_samples=5, flips=[0, 0, 1], each=20, rounds=100, orders=3
        ),
        case("one participant", small, pieces=2, piece_samples=3, flips=[0], each=9, rounds=7),
        case("one harms", small, pieces=2, piece_samples=6, flips=[1], each=30, rounds=50),
        case("all harm", words, pieces=2, piece_samples=20, flips=[1, 1, 1], each=9, rounds=9, trained=True),
        case(
            "some reveal nothing",
            words,
            pieces=3,
            piece_samples=7,
            flips=[None, 0, None, 1],
            each=9,
            rounds=99,
            orders=2,
        ),
        case(
            "margin",
            Shape(300, 20, margin=3),
            pieces=5,
            piece_samples=5,
            flips=[0, 0.5, 1],
            each=25,
            rounds=40,
            orders=7,
        ),
        case(
            "trained before",
            Shape(65_536, 256),
            pieces=2,
            piece_samples=16,
            flips=[0, 1, 0.3],
            each=20,
            rounds=1_000,
            trained=True,
            orders=2,
        ),
        case(
            "most test samples",
            Shape(200, 60),
            pieces=112,
            piece_samples=2,
            flips=[0, 0.2, 0.4, 0.6, 0.8, 1],
            each=12,
            rounds=30,
        ),
        case(
            "a bounty that ends early",
            Shape(6, 3),
            pieces=2,
            piece_samples=1,
            flips=[0, 1],
            each=60,
            rounds=90,
        ),
        case("two features", Shape(2, 2), pieces=2, piece_samples=1, flips=[0, 1], each=4, rounds=3),
        case(
            "a bounty of a wei a round and test sample",
            words,
            pieces=2,
            piece_samples=10,
            flips=[0, 1],
            each=15,
            rounds=1_000,
            bounty_wei=20_000,
            stake_wei=13,
        ),
    ]


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(made, separators=(",", ":")) for made in cases())
    FILE.write_text(f"[{lines}]\n", encoding="utf-8")
