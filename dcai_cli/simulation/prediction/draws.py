"""What a draw gives: a test set, the rows of each participant, and what the orders follow from."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.market import MAX_STORED_BYTES
from dcai_cli.domain import counted
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.hashing import keccak256
from dcai_cli.services.limits import points_terms
from dcai_cli.services.markets.hidden_set import check_sizes, deal
from dcai_cli.services.markets.plan import MarketRequest, check_request

if TYPE_CHECKING:
    from dcai_cli.simulation.pool import Example, Gathered
    from dcai_cli.simulation.prediction.scenario import MarketScenario

_REFUND_WAIT_S = 86_400
"""Of the model that the market becomes; it changes nothing here."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A draw.

    Args:
        number: 1 for the first.
        tests: the test set.
        pieces: its payloads.
        contributed: what each participant contributes, wrong labels included.
        units: of each.
        stakes_wei: what each stakes.
        seed: what the orders follow from.
    """

    number: int
    tests: tuple[Example, ...]
    pieces: tuple[bytes, ...]
    contributed: tuple[tuple[Example, ...], ...]
    units: tuple[int, ...]
    stakes_wei: tuple[int, ...]
    seed: bytes

    @property
    def payloads(self) -> list[bytes]:
        """The samples of each participant, one behind the other."""
        return [b"".join(one.sample.data for one in examples) for examples in self.contributed]


class Urn:
    """Draws of a scenario: each follows from the seed and its number alone.

    Args:
        scenario: what is drawn for.
        data: its data; of rows with the same features one is drawn.
        seed: of all draws.

    Raises:
        BadInput: no market can be made of it, or there are too few rows.
    """

    def __init__(self, scenario: MarketScenario, data: Gathered, seed: int) -> None:
        self.request = _request(scenario, data)
        self._scenario = scenario
        self._found, self._test = _different(data.found), _different(data.test)
        self._seed = seed
        wanted = sum(person.samples for person in scenario.people)
        for has, needs, what in (
            (len(self._found), wanted, "to contribute"),
            (len(self._test), scenario.rules.tests, "to test"),
        ):
            if has < needs:
                raise BadInput(
                    f"The data has {counted(has, 'different sample')} {what}; a draw takes {needs:,}.",
                    hint="Name more data in [data], or lower samples, pieces or piece_samples.",
                )

    def draw(self, number: int) -> Draw:
        """A draw.

        Args:
            number: 1 for the first.

        Raises:
            BadInput: it is more than a market takes.
        """
        scenario, people = self._scenario, self._scenario.people
        tests = self._some("tests", number, self._test, scenario.rules.tests)
        dealt = deal({example.sample.data for example in tests}, scenario.terms.pieces)
        pieces = tuple(map(b"".join, dealt))
        check_sizes(f"draw {number}", pieces)
        rows = iter(self._some("rows", number, self._found, sum(person.samples for person in people)))
        contributed = tuple(
            tuple(_labelled(next(rows), is_wrong=at < person.flipped) for at in range(person.samples))
            for person in people
        )
        units = tuple(sum(one.sample.units for one in examples) for examples in contributed)
        draw = Draw(
            number, tests, pieces, contributed, units, self._stakes(number, units), self._orders(number)
        )
        for person, payload in zip(people, draw.payloads, strict=True):
            if len(payload) > MAX_STORED_BYTES:
                raise BadInput(
                    f"The {person.samples} samples of {person.name} in draw {number} have {len(payload):,} "
                    f"bytes; a market stores {MAX_STORED_BYTES:,} of each participant.",
                    hint="Lower samples in [[participants]], or max_features in [features].",
                )
        return draw

    def _stakes(self, number: int, units: Iterable[int]) -> tuple[int, ...]:
        """What everybody pays, one after the other.

        Raises:
            BadInput: the quota does not last.
        """
        rules, taken, stakes_wei = self._scenario.rules, 0, []
        for person, own in zip(self._scenario.people, units, strict=True):
            limit = min(rules.max_units - taken, rules.max_units_each)
            if own > limit:
                raise BadInput(
                    f"The {person.samples} samples of {person.name} in draw {number} have {own} units (a "
                    f"sample has one for every 64 features); the market takes {limit} more of one.",
                    hint="Lower samples in [[participants]], or raise quota and quota_each in [market].",
                )
            stakes_wei.append(rules.quote(own, taken))
            taken += own
        return tuple(stakes_wei)

    def _some(self, what: str, number: int, of: list[Example], count: int) -> tuple[Example, ...]:
        """So many examples, by the first steps of a shuffle."""
        chance = random.Random(f"{self._seed}/{number}/{what}")  # noqa: S311 - an order, not a secret
        order = list(range(len(of)))
        for first in range(count):
            # random() is the one source of numbers that Python promises to keep.
            other = first + int(chance.random() * (len(order) - first))
            order[first], order[other] = order[other], order[first]
        return tuple(of[place] for place in order[:count])

    def _orders(self, number: int) -> bytes:
        return keccak256(f"{self._seed}/{number}/orders".encode())


def _request(scenario: MarketScenario, data: Gathered) -> MarketRequest:
    """What a provider would ask for.

    Raises:
        BadInput: `dcai market create` would refuse it.
    """
    request = MarketRequest(
        name=scenario.name,
        spec=data.spec,
        params=data.params,
        incentive_type="points",
        model_terms=points_terms(_REFUND_WAIT_S),
        terms=scenario.terms,
        words=data.words,
    )
    try:
        check_request(request)
    except UsageError as error:
        raise BadInput(error.message, hint="Change [features] of the scenario.") from None
    except BadInput as error:
        raise BadInput(error.message, hint="Lower initial in [data].") from None
    return request


def _different(examples: Iterable[Example]) -> list[Example]:
    """One of those with the same features: also with another label it is not what another one is."""
    return list({example.sample.data[1:]: example for example in examples}.values())


def _labelled(example: Example, *, is_wrong: bool) -> Example:
    label = example.sample.label
    return example._replace(sample=example.sample.labelled(1 - label)) if is_wrong else example
