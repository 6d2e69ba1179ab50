"""Playing a market on the replica of its contracts, again and again, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.market import Settlement, Stake, settle
from dcai_cli.models.market import draw_orders, evaluate, replay
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.simulation.prediction.draws import Urn
from dcai_cli.simulation.prediction.scenario import PROVIDER

if TYPE_CHECKING:
    from dcai_cli.chain.market import MarketRules
    from dcai_cli.simulation.pool import Gathered
    from dcai_cli.simulation.prediction.draws import Draw
    from dcai_cli.simulation.prediction.scenario import MarketScenario


@dataclass(frozen=True, slots=True)
class Ending:
    """How a draw ended.

    Args:
        before: test samples that the model got right at first.
        published: those that the published model gets right.
        stakes: what each participant paid, and its score in all orders together.
        settlement: what became of the money.
    """

    before: int
    published: int
    stakes: tuple[Stake, ...]
    settlement: Settlement

    def side(self, number: int) -> int:
        """1 for a participant that ends above its stake, -1 below, 0 with it."""
        gained_wei = self.settlement.outcomes[number].owed_wei - self.stakes[number].stake_wei
        return (gained_wei > 0) - (gained_wei < 0)


@dataclass(frozen=True, slots=True)
class Spent:
    """What an account's transactions took."""

    gas_used: int = 0
    fee_wei: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a scenario.

    Args:
        scenario: what was played.
        seed: with which seed.
        endings: of all draws.
        spent: by the names of all participants and of the provider; empty where nothing was sent.
    """

    scenario: MarketScenario
    seed: int
    endings: tuple[Ending, ...]
    spent: Mapping[str, Spent]

    def above(self, number: int) -> int:
        """In how many draws a participant ended above its stake."""
        return sum(ending.side(number) > 0 for ending in self.endings)

    def removed(self, number: int) -> int:
        """In how many draws its contributions were taken out."""
        return sum(number in ending.settlement.removed for ending in self.endings)

    @property
    def right_sides(self) -> int:
        """In how many draws all honest participants ended above their stakes, and all others below."""
        wanted = [1 if person.is_honest else -1 for person in self.scenario.people]
        return sum(
            all(ending.side(number) == side for number, side in enumerate(wanted)) for ending in self.endings
        )

    def score(self, number: int) -> float:
        """The mean score of a participant in an order."""
        return self._mean(lambda ending: ending.stakes[number].score) / self.scenario.terms.orders

    def stake_wei(self, number: int) -> int:
        """Its mean stake."""
        return round(self._mean_of(lambda ending: ending.stakes[number].stake_wei))

    def owed_wei(self, number: int) -> int:
        """What it could collect, on average."""
        return round(self._mean_of(lambda ending: ending.settlement.outcomes[number].owed_wei))

    @property
    def burned_wei(self) -> int:
        """What was burned of stakes, on average."""
        return round(self._mean_of(lambda ending: ending.settlement.burned_wei))

    @property
    def left_wei(self) -> int:
        """What was left of the bounty, on average."""
        return round(self._mean_of(lambda ending: ending.settlement.left_wei))

    @property
    def accuracy_before(self) -> float:
        """The share of the test samples that the model got right at first, on average."""
        return self._mean(lambda ending: ending.before) / self.scenario.rules.tests

    @property
    def accuracy_published(self) -> float:
        """The same of the published model."""
        return self._mean(lambda ending: ending.published) / self.scenario.rules.tests

    def _mean_of(self, what: Callable[[Ending], int]) -> Fraction:
        return Fraction(sum(map(what, self.endings)), len(self.endings))

    def _mean(self, what: Callable[[Ending], int]) -> float:
        return float(self._mean_of(what))


def play(
    scenario: MarketScenario,
    data: Gathered,
    *,
    seed: int | None = None,
    draws: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Played:
    """Play a market on the replica.

    Args:
        scenario: what is played.
        data: its data.
        seed: another than the scenario's.
        draws: other than the scenario's.
        progress: called after each draw with how many are done, and all.

    Returns:
        The same for the same seed.

    Raises:
        BadInput: it is more than a market takes.
    """
    seed = scenario.seed if seed is None else seed
    draws = scenario.draws if draws is None else draws
    urn, model, endings = Urn(scenario, data, seed), start(data), []
    for number in range(1, draws + 1):
        draw = urn.draw(number)
        endings.append(reckon(model, scenario.rules, draw, draw.stakes_wei, draw.seed)[0])
        progress(number, draws)
    return Played(scenario, seed, tuple(endings), {})


def start(data: Gathered) -> Perceptron:
    """The model that training begins with."""
    return Perceptron.from_words(data.words, data.params) if data.words else Perceptron(data.params)


def reckon(
    model: Perceptron, rules: MarketRules, draw: Draw, stakes_wei: Sequence[int], seed: bytes
) -> tuple[Ending, Perceptron]:
    """What the contracts make of a draw.

    Args:
        model: that training begins with; it stays as it is.
        rules: of the market.
        draw: test set and contributions.
        stakes_wei: what each participant paid.
        seed: what the orders follow from.

    Returns:
        How it ended, and the model that is published.
    """
    tests, payloads = b"".join(draw.pieces), draw.payloads
    orders = draw_orders(seed, payloads, model.params, rules.orders)
    found = evaluate(model, tests, orders, len(payloads))
    stakes = tuple(Stake(wei, score) for wei, score in zip(stakes_wei, found.scores, strict=True))
    settlement = settle(rules, stakes)
    published = replay(model, orders[-1], settlement.removed)
    return Ending(found.before, published.agree(tests).bit_count(), stakes, settlement), published


def describe(played: Played) -> dict[str, Any]:
    """What came of it as JSON: amounts are decimal strings of wei, and means of all draws."""
    scenario, rules = played.scenario, played.scenario.rules
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "seed": played.seed,
        "draws": len(played.endings),
        "rules": {
            "pieces": len(rules.pieces),
            "piece_samples": rules.piece_samples,
            "orders": rules.orders,
            "max_units": rules.max_units,
            "max_units_each": rules.max_units_each,
            "rounds": rules.rounds,
            "bounty_wei": str(rules.bounty_wei),
            "stake_wei": str(rules.stake_wei),
        },
        "participants": [
            {
                "name": person.name,
                "samples": person.samples,
                "mistakes": person.mistakes,
                "stake_wei": str(played.stake_wei(number)),
                "score": played.score(number),
                "owed_wei": str(played.owed_wei(number)),
                "above": played.above(number),
                "removed": played.removed(number),
                **_spent(played, person.name),
            }
            for number, person in enumerate(scenario.people)
        ],
        "right_sides": played.right_sides,
        "burned_wei": str(played.burned_wei),
        "left_wei": str(played.left_wei),
        "accuracy_before": played.accuracy_before,
        "accuracy_published": played.accuracy_published,
        **_spent(played, PROVIDER),
    }


def _spent(played: Played, name: str) -> dict[str, Any]:
    spent = played.spent.get(name)
    return {
        "gas_used": None if spent is None else spent.gas_used,
        "fee_wei": None if spent is None else str(spent.fee_wei),
    }
