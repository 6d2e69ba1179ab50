"""An agent without data of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.simulation.agents.base import Agent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market
    from dcai_cli.simulation.rules import Sample


class Copier(Agent):
    """Sees contributions that wait to be mined, and has the same samples mined first, for itself.

    The copy gets the price of the quiet time before it, and is the informative one.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._share = fields.number("share", 1.0)
        self._most_wei = fields.amount("most_per_unit", "1000000ether")

    def _plan(self) -> None:
        self.do(self._watch, self._start_s)
        self.do(self.claim, self._start_s + self._claim_every_s)

    def _watch(self, market: Market) -> int:
        """Begin to watch; once."""

        def copy(who: str, samples: Sequence[Sample]) -> None:
            if who == self.name or market.now >= self._until or not self.chance(self._share):
                return
            units = sum(sample.units for sample in samples)
            if market.quote_wei(samples) <= self._most_wei * units:
                market.contribute(self.name, samples, seen=False)

        market.watchers.append(copy)
        return 1 << 62
