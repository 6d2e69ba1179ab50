"""Which contributions a market should leave out of the model that it publishes.

The markets of `examples/markets/imdb.toml`, with true, flipped and random labels. Each published model is
measured by all test reviews of the data, those that the market did not see included.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dcai_cli.chain.market import Stake, settle
from dcai_cli.models.market import draw_orders, evaluate, replay
from dcai_cli.simulation.pool import gather
from dcai_cli.simulation.prediction.draws import Urn
from dcai_cli.simulation.prediction.play import start
from dcai_cli.simulation.prediction.scenario import read_market_scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dcai_cli.chain.market import MarketRules
    from dcai_cli.simulation.prediction.scenario import MarketScenario

SCENARIO = Path(__file__).resolve().parents[2] / "examples" / "markets" / "imdb.toml"
DRAWN = 100
MISTAKES = {1.0: "flipped", 0.5: "random", 0.0: "true"}
"""Of two of the five."""

LEFT_OUT = ("nobody", "whose stake is used up", "whoever harmed", "those two")
"""Rules for whose contributions do not train the published model."""

MARKETS = [(learned, mistakes) for learned in (1_500, 20_000) for mistakes in MISTAKES]
"""Reviews that the model learned before, and the labels of two participants."""


def markdown(folder: Path) -> str:
    """The table: how accurate the published model is, by who is left out of it."""
    left_out = " | ".join(LEFT_OUT)
    lines = [
        f"| reviews learned before | labels of two of five | at first | {left_out} |",
        f"|---:|---|---:|{'---:|' * len(LEFT_OUT)}",
    ]
    for learned, mistakes in MARKETS:
        changes = {f"participants.{name}.mistakes": mistakes for name in ("dora", "emil")}
        shares = _accuracies(read_market_scenario(SCENARIO, {"data.initial": learned, **changes}), folder)
        figures = " | ".join(f"{share:.1%}" for share in shares)
        lines.append(f"| {learned:,} | {MISTAKES[mistakes]} | {figures} |")
    return "\n".join(lines) + "\n"


def _accuracies(scenario: MarketScenario, folder: Path) -> list[float]:
    """At first, and by the rules in turn."""
    data = gather(scenario.data, scenario.features, scenario.model, folder=folder)
    urn, model = Urn(scenario, data, scenario.seed), start(data)
    reviews = b"".join(example.sample.data for example in data.test)
    found = []
    for number in range(1, DRAWN + 1):
        draw = urn.draw(number)
        orders = draw_orders(draw.seed, draw.payloads, model.params, scenario.rules.orders)
        scores = evaluate(model, b"".join(draw.pieces), orders, len(scenario.people)).scores
        rules = _left_out(scenario.rules, draw.stakes_wei, scores)
        found.append([replay(model, orders[-1], out).agree(reviews).bit_count() for out in rules])
    means = [float(mean) for mean in np.mean(found, axis=0)]
    return [right / len(data.test) for right in (model.agree(reviews).bit_count(), *means)]


def _left_out(
    rules: MarketRules, stakes_wei: Sequence[int], scores: Sequence[int]
) -> tuple[frozenset[int], ...]:
    """The numbers of the participants that each rule leaves out."""
    stakes = [Stake(*one) for one in zip(stakes_wei, scores, strict=True)]
    settlement = settle(rules, stakes)
    used_up = frozenset(
        number
        for number, one in enumerate(stakes)
        if one.stake_wei < -one.score * settlement.round_wei * settlement.rounds
    )
    return frozenset(), used_up, settlement.removed, frozenset({3, 4})
