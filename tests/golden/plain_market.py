"""A prediction market played out, one plain integer at a time: the second opinion behind the golden markets.

Nothing of the package is used. The model predicts all test samples anew after each contribution, and the
rounds are played one after the other.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from eth_utils.crypto import keccak

from tests.golden.plain_models import Perceptron, Sample


class Placed(NamedTuple):
    """A contribution in the order: whose it is, which of its samples, and the sample."""

    participant: int
    number: int
    sample: Sample


def draw_order(seed: bytes, contributed: list[list[Sample]]) -> list[Placed]:
    """All samples, participant by participant, shuffled from the end: the last place is drawn for first."""
    rest = [Placed(who, at, sample) for who, own in enumerate(contributed) for at, sample in enumerate(own)]
    order: list[Placed] = []
    while rest:
        i = len(rest)
        # The last one is drawn by nobody's choice, 1 of 1.
        drawn = int.from_bytes(keccak(seed + i.to_bytes(32, "big")), "big") % i if i > 1 else 0
        last = rest.pop()
        if drawn < len(rest):
            last, rest[drawn] = rest[drawn], last
        order.insert(0, last)
    return order


def draw_orders(seed: bytes, contributed: list[list[Sample]], count: int) -> list[list[Placed]]:
    """So many orders: the seed is hashed for the next one."""
    orders = []
    for _ in range(count):
        orders.append(draw_order(seed, contributed))
        seed = keccak(seed)
    return orders


def right(model: Perceptron, tests: list[Sample]) -> int:
    """How many test samples the model predicts the label of."""
    return sum(model.predict(indices, values) == label for label, indices, values in tests)


def evaluate(model: Perceptron, tests: list[Sample], order: list[Placed]) -> list[int]:
    """Train sample by sample; test samples that the model gets right before all of them, and after each."""
    counts = [right(model, tests)]
    for placed in order:
        model.train([placed.sample])
        counts.append(right(model, tests))
    return counts


def scores(counts: list[int], order: list[Placed], participants: int) -> list[int]:
    """What the contributions of each participant changed, added up."""
    return [
        sum(
            after - before
            for before, after, placed in zip(counts, counts[1:], order, strict=False)
            if placed.participant == who
        )
        for who in range(participants)
    ]


def publish(start: Perceptron, order: list[Placed], removed: set[int]) -> Perceptron:
    """The model that those who are left train."""
    model = deepcopy(start)
    model.train([placed.sample for placed in order if placed.participant not in removed])
    return model


@dataclass
class Purse:
    """The money of a participant.

    Args:
        stake_wei: what is left of its stake.
        score: of its contributions.
        revealed: whether it showed them.
    """

    stake_wei: int
    score: int
    revealed: bool = True
    reward_wei: int = 0
    burned_wei: int = 0
    is_broke: bool = False


@dataclass
class Played:
    """A market after its last round."""

    purses: list[Purse]
    rounds: int = 0
    left_wei: int = 0
    removed: set[int] = field(default_factory=set)


def play(bounty_wei: int, rounds: int, tests: int, purses: list[Purse], orders: int = 1) -> Played:
    """Play round after round until the bounty or the rounds are over."""
    played = Played(deepcopy(purses), left_wei=bounty_wei)
    worth_wei = bounty_wei // rounds // tests // orders
    for purse in played.purses:
        if not purse.revealed:
            purse.burned_wei, purse.stake_wei = purse.stake_wei, 0
    for _ in range(rounds):
        wanted = sum(purse.score * worth_wei for purse in played.purses if purse.revealed and purse.score > 0)
        if wanted > played.left_wei:
            break
        played.rounds += 1
        for purse in played.purses:
            if not purse.revealed or purse.is_broke:
                continue
            change_wei = purse.score * worth_wei
            if change_wei >= 0:
                purse.reward_wei += change_wei
                played.left_wei -= change_wei
            elif purse.stake_wei + change_wei >= 0:
                purse.stake_wei += change_wei
                purse.burned_wei -= change_wei
            else:
                purse.is_broke = True
    played.removed = {number for number, purse in enumerate(purses) if purse.revealed and purse.score < 0}
    return played


def price(stake_wei: int, max_units: int, units: int, taken: int) -> int:
    """What units cost: the middle of each unit stands for its price, which rises to twice the first."""
    total = sum(
        Fraction(stake_wei) * (1 + Fraction(2 * unit + 1, 2 * max_units))
        for unit in range(taken, taken + units)
    )
    return -(-total.numerator // total.denominator)
