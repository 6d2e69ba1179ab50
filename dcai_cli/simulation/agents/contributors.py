"""Agents that contribute one batch after the other, with true labels or false ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from dcai_cli.simulation.agents.base import NEVER, Agent

if TYPE_CHECKING:
    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market
    from dcai_cli.simulation.rules import Sample


ANY_RISE = 1000.0
"""Whatever others' contributions make of the price."""


class Batches(Agent):
    """Contributes batches at times around a mean."""

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._wait_s = fields.duration("wait", least=1)
        self._spread_s = fields.duration("spread", "10s")
        self._batch = fields.count("batch", 1, least=1, most=256)
        self._most_rise = fields.number("most_rise", ANY_RISE, most=ANY_RISE)

    def _plan(self) -> None:
        self.do(self._contribute, self._start_s + self.spread(self._wait_s, self._spread_s))
        self.do(self.claim, self._start_s + self._claim_every_s)

    def _contribute(self, market: Market) -> int:
        if market.now >= self._until:
            return NEVER
        began = market.now
        samples = [self._sample(market) for _ in range(self._batch)]
        market.contribute(self.name, samples, most_rise=self._most_rise)
        return began + self.spread(self._wait_s, self._spread_s)

    @abstractmethod
    def _sample(self, market: Market) -> Sample:
        """The next sample of a batch."""


class Contributor(Batches):
    """Contributes true labels, and false ones by mistake: `mistakes` is their share.

    0.0001 is the published good agent, 1 the bad one that always flips the label.
    """

    usual_mistakes = 0.0001

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._mistakes = fields.number("mistakes", self.usual_mistakes)

    def _sample(self, market: Market) -> Sample:
        sample = market.pool.draw()
        return self.other_label(market, sample) if self.chance(self._mistakes) else sample


class Boundary(Batches):
    """Looks at some samples, and flips the one whose true label the model is least sure of.

    After such a sample has trained the model, it often agrees with the false label, and pays back.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._candidates = fields.count("candidates", 8, least=1, most=10_000)
        self._mistakes = fields.number("mistakes", 1.0)

    def _sample(self, market: Market) -> Sample:
        found = [market.pool.draw() for _ in range(self._candidates)]
        flipped = [self.other_label(market, sample) for sample in found]
        leads = market.replica.leads(market.rules.read(flipped))
        place = int(leads.argmax())
        return flipped[place] if self.chance(self._mistakes) else found[place]


class Flooder(Contributor):
    """Sends large batches of flipped labels when they are cheap: after nobody contributed for a while."""

    usual_mistakes = 1.0

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._idle_s = fields.duration("idle", "10m")
        self._look_every_s = fields.duration("look_every", "1m", least=1)

    def _contribute(self, market: Market) -> int:
        if market.now < self._until and market.idle_s < self._idle_s:
            return market.now + self._look_every_s
        return super()._contribute(market)
