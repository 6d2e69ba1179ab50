"""Markets in closed form and with kept scores, against markets that are played out."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.chain.market import (
    MarketRules,
    Settlement,
    Stake,
    commitment_of,
    drawn,
    piece_hash,
    settle,
)
from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput
from dcai_cli.models import make_replica
from dcai_cli.models.market import check_shape, draw_orders, evaluate, replay, shuffle
from dcai_cli.models.perceptron import Perceptron
from tests.golden import plain_market, plain_models
from tests.golden.generate_payload_and_perceptron import encode
from tests.golden.plain_models import Sample, Shape

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "market.json").read_text(encoding="utf-8")
)
N_FEATURES = 40


def rules(**changed: Any) -> MarketRules:
    """Rules with some that matter."""
    plain = {
        "pieces": (bytes(32),) * 2,
        "piece_samples": 5,
        "orders": 1,
        "max_units": 100,
        "max_units_each": 50,
        "rounds": 10,
        "open_s": 60,
        "participate_s": 60,
        "reveal_s": 60,
        "tests_s": 60,
        "collect_s": 0,
        "bounty_wei": 10**18,
        "stake_wei": 10**15,
        "step_fee_wei": 10**9,
    }
    return MarketRules(**{**plain, **changed})


def compare(settlement: Settlement, played: plain_market.Played) -> None:
    """Both end with the same amounts."""
    assert settlement.rounds == played.rounds
    assert settlement.left_wei == played.left_wei
    assert settlement.removed == played.removed
    for outcome, purse in zip(settlement.outcomes, played.purses, strict=True):
        assert outcome.reward_wei == purse.reward_wei
        assert outcome.burned_wei == purse.burned_wei
        assert outcome.owed_wei == purse.stake_wei + purse.reward_wei


@st.composite
def purses(draw: st.DrawFn, round_wei: int) -> plain_market.Purse:
    """A participant whose stake lasts for some rounds, sometimes exactly."""
    score = draw(st.integers(-12, 12))
    stake_wei = draw(st.integers(0, 40)) * round_wei * max(1, -score) + draw(
        st.sampled_from([0, 0, 1, round_wei - 1])
    )
    return plain_market.Purse(stake_wei, score, revealed=draw(st.integers(0, 4)) > 0)


@settings(deadline=None)
@given(st.data())
def test_all_rounds_at_once_are_what_they_are_one_by_one(data: st.DataObject) -> None:
    """Whatever scores, stakes and bounty are, rounds one by one end with the amounts of the closed form."""
    round_wei = data.draw(st.sampled_from([1, 3, 10**15]))
    rounds, tests = data.draw(st.integers(1, 40)), data.draw(st.integers(2, 12)) * 2
    orders = data.draw(st.integers(1, 5))
    shares = rounds * tests * orders
    bounty_wei = shares * round_wei + data.draw(st.integers(0, shares - 1))
    held = rules(piece_samples=tests // 2, rounds=rounds, orders=orders, bounty_wei=bounty_wei)
    assert held.round_wei == round_wei
    people = data.draw(st.lists(purses(round_wei), max_size=6))
    # Who revealed nothing has no score.
    people = [
        purse if purse.revealed else plain_market.Purse(purse.stake_wei, 0, revealed=False)
        for purse in people
    ]
    played = plain_market.play(bounty_wei, rounds, tests, people, orders)
    settlement = settle(held, [Stake(purse.stake_wei, purse.score, purse.revealed) for purse in people])
    compare(settlement, played)
    brought = bounty_wei + sum(purse.stake_wei for purse in people)
    owed = sum(outcome.owed_wei for outcome in settlement.outcomes)
    assert owed + settlement.burned_wei + settlement.left_wei == brought
    assert settlement.rewards_wei <= bounty_wei


@given(st.data())
def test_stakes_are_the_prices_of_units_added_up(data: st.DataObject) -> None:
    """A quote is what its units cost one by one, rounded up once; the last costs nearly twice the first."""
    max_units = data.draw(st.integers(1, 1024))
    stake_wei = data.draw(st.sampled_from([1, 7, 10**9, 10**15 + 1, 2**96 - 1]))
    taken = data.draw(st.integers(0, max_units - 1))
    units = data.draw(st.integers(1, min(64, max_units - taken)))
    held = rules(max_units=max_units, stake_wei=stake_wei)
    assert held.quote(units, taken) == plain_market.price(stake_wei, max_units, units, taken)
    assert held.quote(1, max_units - 1) <= 2 * held.stake_wei


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """A sample over few features."""
    indices = sorted(draw(st.sets(st.integers(0, N_FEATURES - 1), min_size=1, max_size=6)))
    return draw(st.integers(0, 1)), indices, [1] * len(indices)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_kept_scores_are_those_of_the_model(data: st.DataObject) -> None:
    """Order, scores and published model are those of a model that predicts all test samples each time."""
    shape = Shape(N_FEATURES, 6, margin=data.draw(st.sampled_from([0, 0, 2])))
    start = plain_models.Perceptron(shape)
    for index in data.draw(st.sets(st.integers(0, N_FEATURES - 1), max_size=8)):
        start.weights[index] = data.draw(st.sampled_from([-31_743, -2, 1, 3, 31_743]))
    start.bias = data.draw(st.integers(-3, 3))
    tests = data.draw(st.lists(samples(), min_size=2, max_size=20))
    contributed = data.draw(st.lists(st.lists(samples(), max_size=12), min_size=1, max_size=4))
    seed = data.draw(st.binary(min_size=32, max_size=32))
    orders = plain_market.draw_orders(seed, contributed, data.draw(st.integers(1, 3)))
    counts = [plain_market.evaluate(deepcopy(start), tests, order) for order in orders]

    params = ModelParams("perceptron", N_FEATURES, 6, margin=shape.margin)
    words = [start.words().get(number, 0) for number in range(params.total_words)]
    replica = make_replica(params, words)
    assert isinstance(replica, Perceptron)
    payloads = [encode(own, N_FEATURES, valued=False) for own in contributed]
    ours = draw_orders(seed, payloads, params, len(orders))
    assert [[one[:2] for one in order] for order in ours] == [[one[:2] for one in order] for order in orders]
    found = evaluate(replica, encode(tests, N_FEATURES, valued=False), ours, len(payloads))
    assert [[found.before, *correct] for correct in found.correct] == counts
    by_order = [plain_market.scores(*both, len(payloads)) for both in zip(counts, orders, strict=True)]
    assert list(found.scores) == [sum(scores) for scores in zip(*by_order, strict=True)]
    assert sum(found.scores) == sum(one[-1] - one[0] for one in counts)
    removed = data.draw(st.sets(st.integers(0, len(payloads) - 1)))
    last = plain_market.publish(start, orders[-1], removed).words()
    published = replay(replica, ours[-1], removed)
    assert replica.words() == words, "it stays as it was"
    assert published.words() == [last.get(number, 0) for number in range(params.total_words)]
    if not removed:
        assert found.model.words() == published.words()


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_markets(case: dict[str, Any]) -> None:
    """Every golden market has the same order, scores, amounts and words here."""
    params = ModelParams("perceptron", case["n_features"], case["max_features"], margin=case["margin"])

    def dense(sparse: dict[str, Any]) -> list[int]:
        words = [0] * params.total_words
        for number, word in zip(sparse["numbers"], sparse["words"], strict=True):
            words[number] = int(word, 16)
        return words

    payloads = [bytes.fromhex(payload[2:]) for payload in case["payloads"]]
    tests = b"".join(bytes.fromhex(piece[2:]) for piece in case["pieces"])
    orders = draw_orders(bytes.fromhex(case["seed"][2:]), payloads, params, case["orders"])
    assert [one.participant << 16 | one.number for order in orders for one in order] == case["order"]
    start = Perceptron.from_words(dense(case["first"]), params)
    found = evaluate(start, tests, orders, len(payloads))
    assert found.before == case["before"]
    assert b"".join(map(bytes, found.correct)).hex() == case["correct"][2:]
    assert list(found.scores) == case["scores"]
    money = case["money"]
    held = rules(
        pieces=(bytes(32),) * len(case["pieces"]),
        piece_samples=sum(1 for _ in found_samples(tests)) // len(case["pieces"]),
        orders=case["orders"],
        **{name: money[name] for name in ("bounty_wei", "rounds", "stake_wei", "max_units")},
    )
    stakes = [
        Stake(stake_wei, score, revealed=bool(payload))
        for stake_wei, score, payload in zip(money["stakes_wei"], found.scores, payloads, strict=True)
    ]
    settlement = settle(held, stakes)
    assert settlement.rounds == money["rounds_played"]
    assert settlement.left_wei == money["left_wei"]
    assert [outcome.reward_wei for outcome in settlement.outcomes] == money["rewards_wei"]
    assert [outcome.burned_wei for outcome in settlement.outcomes] == money["burned_wei"]
    assert [outcome.owed_wei for outcome in settlement.outcomes] == money["owed_wei"]
    assert sum(1 << number for number in settlement.removed) == case["removed"]
    assert replay(start, orders[-1], settlement.removed).words() == dense(case["last"])


def found_samples(payload: bytes) -> Any:
    """The samples of a payload, by their headers."""
    while payload:
        size = 3 + 2 * int.from_bytes(payload[1:3], "big")
        yield payload[:size]
        payload = payload[size:]


@given(st.binary(min_size=32, max_size=32), st.integers(0, 300))
def test_a_shuffle_has_every_sample_once(seed: bytes, count: int) -> None:
    """No sample is lost, and none comes twice."""
    assert sorted(shuffle(seed, count)) == list(range(count))


def test_a_seed_is_32_bytes() -> None:
    """A seed of another length is a mistake of the caller."""
    with pytest.raises(ValueError, match="31 bytes"):
        shuffle(bytes(31), 3)


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32), st.integers(1, 1024))
def test_hashes_are_those_of_abi_encodings(payload: bytes, salt: bytes, number: int) -> None:
    """Pieces, commitments and draws are hashed as the contracts' `abi.encode` writes them."""
    market, account = "0x" + "a1" * 20, "0x" + "b2" * 20
    kinds = ["uint256", "address"]
    assert piece_hash(7, market, number, number + 1, salt, payload) == keccak(
        abi_encode(
            [*kinds, "uint256", "uint256", "bytes32", "bytes"], [7, market, number, number + 1, salt, payload]
        )
    )
    assert commitment_of(7, market, account, number, salt, payload) == keccak(
        abi_encode(
            [*kinds, "address", "uint256", "bytes32", "bytes"], [7, market, account, number, salt, payload]
        )
    )
    assert drawn(salt, market) == keccak(abi_encode(["bytes32", "address"], [salt, market]))


@pytest.mark.parametrize(
    "changed",
    [
        {"pieces": (bytes(32),)},
        {"pieces": (bytes(32),) * 113, "piece_samples": 1},
        {"piece_samples": 0},
        {"piece_samples": 113},
        {"rounds": 0},
        {"rounds": 1_000_001},
        {"orders": 0},
        {"orders": 33},
        {"bounty_wei": 99},
        {"stake_wei": 0},
        {"stake_wei": 2**96},
        {"max_units": 0},
        {"max_units": 1025},
        {"max_units_each": 0},
        {"open_s": 0},
        {"participate_s": 0},
        {"reveal_s": 0},
        {"tests_s": 0},
    ],
)
def test_rules_that_no_market_can_have(changed: dict[str, Any]) -> None:
    """What the contract refuses is refused here, with the value."""
    with pytest.raises(BadInput, match="No market can have these rules"):
        rules(**changed)


def test_rules_at_their_limits() -> None:
    """The least and the most of each rule are taken."""
    rules(pieces=(bytes(32),) * 112, piece_samples=2, rounds=10**6, bounty_wei=10**6 * 224)
    rules(
        bounty_wei=100,
        max_units=1,
        max_units_each=1,
        stake_wei=1,
        open_s=1,
        participate_s=1,
        reveal_s=1,
        tests_s=1,
    )
    rules(stake_wei=2**96 - 1, max_units=1024)


@pytest.mark.parametrize(
    "params",
    [
        ModelParams("perceptron", 100, 9, weight_bits=8),
        ModelParams("perceptron", 100, 9, valued=True),
        ModelParams("perceptron", 65_537, 9),
        ModelParams("multiclass-perceptron", 100, 9, classes=3),
        ModelParams("naive-bayes", 100, 9, weight_bits=32, smoothing=1),
    ],
)
def test_models_that_no_market_takes(params: ModelParams) -> None:
    """Scores can only be kept of a perceptron of 16 bits, without values, whose indices have two bytes."""
    with pytest.raises(BadInput, match="market"):
        check_shape(params)
    check_shape(ModelParams("perceptron", 65_536, 9))


def test_the_reserve_pays_all_steps() -> None:
    """The draw of the orders, two steps a unit, and four for each four words, begun ones, too."""
    held = rules(max_units=10, step_fee_wei=3)
    assert held.reserve_wei(total_words=9) == (24 + 2 * 10 + 4 * 3) * 3
