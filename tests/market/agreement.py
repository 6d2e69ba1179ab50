"""What a market on a chain says, compared with the replica, number by number."""

from __future__ import annotations

from benchmarks.gas.market import Market, Plan
from dcai_cli.chain.market import Settlement, Stake, settle
from dcai_cli.models.market import Contribution, Evaluation, draw_orders, evaluate, replay
from dcai_cli.models.perceptron import Perceptron

BURN = "0x000000000000000000000000000000000000dEaD"


def start_model(plan: Plan) -> Perceptron:
    """The model before all contributions."""
    total = plan.params.total_words
    return Perceptron.from_words([plan.words.get(number, 0) for number in range(total)], plan.params)


def expect(market: Market) -> tuple[list[list[Contribution]], Evaluation, Settlement]:
    """What the replica says of a market whose orders are drawn."""
    plan = market.plan
    orders = draw_orders(market.seed, plan.revealed, plan.params, plan.orders)
    found = evaluate(start_model(plan), b"".join(plan.pieces), orders, len(plan.payloads))
    stakes = [
        Stake(stake_wei, score, revealed=bool(payload))
        for stake_wei, score, payload in zip(market.stakes_wei, found.scores, plan.revealed, strict=True)
    ]
    return orders, found, settle(market.rules, stakes)


def check(market: Market, burned_before_wei: int) -> Settlement:
    """Compare all that the chain says with the replica."""
    plan, chain = market.plan, market.chain
    orders, found, settlement = expect(market)
    order = orders[-1]
    (order_drawn,), (settled,) = market.logs["OrderDrawn"], market.logs["Settled"]
    assert order_drawn == {"seed": market.seed, "samples": len(order)}
    assert settled["atFirst"] == found.before
    assert settled["rounds"] == settlement.rounds
    correct = [b""] * plan.orders
    for part in market.logs["Evaluated"]:
        assert part["first"] == len(correct[part["order"]])
        correct[part["order"]] += part["correct"]
    assert tuple(map(tuple, correct)) == found.correct
    silent_wei = sum(market.stakes_wei[who] for who in plan.silent)
    assert settled["burnedWei"] == settlement.burned_wei - silent_wei
    assert chain.balance_wei(BURN) - burned_before_wei == settlement.burned_wei
    for number, (account, outcome) in enumerate(zip(market.participants, settlement.outcomes, strict=True)):
        *_, samples, score, removed, owed_wei = market.view("participantOf", account.address)
        assert samples == sum(one.participant == number for one in order)
        assert (score, removed, owed_wei) == (found.scores[number], outcome.removed, outcome.owed_wei)
    published = replay(start_model(plan), order, settlement.removed)
    assert market.words() == published.words()
    if not settlement.removed:
        assert published.words() == found.model.words()
    return settlement


def check_money(market: Market, settlement: Settlement) -> None:
    """Collect everything: what was paid in came out again, to the wei."""
    left_wei = market.view("leftWei")
    fees_wei = market.paid_wei - market.plan.bounty_wei - (left_wei - settlement.left_wei)
    assert fees_wei % (market.plan.step_fee_wei or 1) == 0
    got = market.collect()
    paid = sum(got.values())
    assert paid == left_wei + sum(outcome.owed_wei for outcome in settlement.outcomes)
    brought = market.paid_wei + sum(market.stakes_wei)
    assert paid + settlement.burned_wei + fees_wei == brought
    assert market.chain.balance_wei(market.address) == 0
