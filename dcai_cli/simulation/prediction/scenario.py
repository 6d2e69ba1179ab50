"""Scenario files of prediction markets, in TOML. docs/market.md describes every field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.market import MAX_ORDERS, MAX_PARTICIPANTS, MAX_PIECES, MAX_ROUNDS, MAX_TESTS, MAX_UNITS
from dcai_cli.domain import CLASSES, MAX_BATCH_SAMPLES, PERCEPTRON
from dcai_cli.errors import BadInput
from dcai_cli.services.limits import check_name
from dcai_cli.services.markets.plan import MOST_FEATURES, MarketTerms, rules_of
from dcai_cli.simulation.fields import Fields
from dcai_cli.simulation.scenario import ModelPlan, read_data, read_features, read_file

if TYPE_CHECKING:
    from dcai_cli.chain.market import MarketRules
    from dcai_cli.simulation.scenario import DataPlan, FeaturePlan

FOLDER = "markets"
"""Of the examples."""

PROVIDER = "provider"
"""The account that makes the market, where it is played on a chain."""

MOST_DRAWS = 100_000

_HINT = "See docs/market.md, and the scenarios in examples/markets."
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who takes part.

    Args:
        name: its name.
        samples: how many it contributes.
        mistakes: the share of its labels that are wrong.
    """

    name: str
    samples: int
    mistakes: float

    @property
    def is_honest(self) -> bool:
        """Whether more of its labels are right than wrong."""
        return self.mistakes < 1 / CLASSES

    @property
    def flipped(self) -> int:
        """How many of its labels are wrong."""
        return round(self.mistakes * self.samples)


@dataclass(frozen=True, slots=True)
class MarketScenario:
    """A market that is tried before it is made.

    Args:
        name: as a model's.
        title: what it is about.
        seed: what all that is random follows from.
        draws: how often rows and orders are drawn.
        data: where samples come from.
        features: how rows become samples.
        model: what they train.
        terms: what the provider asks for.
        piece_samples: test samples of each piece.
        rules: what holds in the market; nothing is paid for steps.
        people: who takes part, in the order in which they stake.
    """

    name: str
    title: str
    seed: int
    draws: int
    data: DataPlan
    features: FeaturePlan
    model: ModelPlan
    terms: MarketTerms
    piece_samples: int
    rules: MarketRules
    people: tuple[Person, ...]


def read_market_scenario(path: Path, changes: Mapping[str, object] | None = None) -> MarketScenario:
    """Read a scenario file.

    Args:
        path: the file; with `base`, it only says what it has beside another file, or in place of it.
        changes: values that take the place of the file's, by dotted name, as "market.orders" or
            "participants.bad.mistakes".

    Raises:
        BadInput: it cannot be read, or says what no market can have.
    """
    return read_file(path, changes, _scenario)


def _scenario(path: Path, table: dict[str, Any]) -> MarketScenario:
    fields = Fields("the top", table, _HINT)
    name = fields.text("name", path.stem)
    check_name(name)
    market = fields.table("market")
    draws = market.count("draws", 100, least=1, most=MOST_DRAWS)
    piece_samples = market.count("piece_samples", 10, least=1, most=MAX_TESTS // 2)
    terms = _terms(market)
    try:
        rules = rules_of(terms, piece_samples, step_fee_wei=0)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}", hint="Change it in [market].") from None
    scenario = MarketScenario(
        name=name,
        title=fields.text("title", name),
        seed=fields.count("seed", 1),
        draws=draws,
        data=read_data(fields.table("data")),
        features=read_features(
            fields.table("features"),
            kinds=("text", "tabular"),
            n_features=(4_096, 65_536),
            max_features=(MOST_FEATURES, MOST_FEATURES),
        ),
        model=_model(fields.table("model")),
        terms=terms,
        piece_samples=piece_samples,
        rules=rules,
        people=tuple(map(_person, fields.tables("participants"))),
    )
    fields.end()
    labels = scenario.data.labels
    if len(labels) != CLASSES:
        raise BadInput(
            f"{path} has the labels {', '.join(labels)}; the model of a market tells {CLASSES} apart.",
            hint=f"Write {CLASSES} labels in [data].",
        )
    _check_people(path, scenario.people)
    return scenario


def _terms(fields: Fields) -> MarketTerms:
    """The table [market]; what it leaves out is as `dcai market create` has it."""
    terms = MarketTerms(
        pieces=fields.count("pieces", 8, least=2, most=MAX_PIECES),
        orders=fields.count("orders", 4, least=1, most=MAX_ORDERS),
        max_units=fields.count("quota", 512, least=1, most=MAX_UNITS),
        max_units_each=fields.count("quota_each", 64, least=1, most=MAX_UNITS),
        rounds=fields.count("rounds", 224, least=10, most=MAX_ROUNDS),
        open_s=_DAY_S,
        participate_s=7 * _DAY_S,
        reveal_s=2 * _DAY_S,
        tests_s=2 * _DAY_S,
        collect_s=0,
        bounty_wei=fields.amount("bounty"),
        stake_wei=fields.amount("stake", least=1) if "stake" in fields else None,
    )
    fields.end()
    return terms


def _model(fields: Fields) -> ModelPlan:
    """The table [model]."""
    plan = ModelPlan(
        model_type=fields.text("type", PERCEPTRON, of=(PERCEPTRON,)),
        margin=fields.count("margin", 0, most=65_535),
        weight_bits=None,
        bernoulli=False,
    )
    fields.end()
    return plan


def _person(fields: Fields) -> Person:
    person = Person(
        name=fields.text("name"),
        samples=fields.count("samples", least=1, most=MAX_BATCH_SAMPLES),
        mistakes=fields.number("mistakes", 0.0),
    )
    fields.end()
    check_name(person.name)
    return person


def _check_people(path: Path, people: Sequence[Person]) -> None:
    """Refuse more of them than a market takes, and names that could not be told apart."""
    if len(people) > MAX_PARTICIPANTS:
        raise BadInput(
            f"{path} has {len(people)} participants; a market takes {MAX_PARTICIPANTS}.",
            hint="Leave some out.",
        )
    for name, times in Counter(person.name for person in people).items():
        if times > 1:
            raise BadInput(f"Two participants of {path} have the name {name}.", hint="Give one another.")
        if name == PROVIDER:
            raise BadInput(
                f"A participant of {path} is called {PROVIDER}, as who makes the market is.",
                hint="Give it another name.",
            )
