"""Agents with several accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.simulation.agents.base import NEVER, Agent

if TYPE_CHECKING:
    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market


class Colluders(Agent):
    """A pair: one throws flipped labels in, the other earns a record with true ones and reports the first.

    What the first loses should come back through the second.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._wait_s = fields.duration("wait", least=1)
        self._flips = fields.number("flips", 0.5)
        self._batch = fields.count("batch", 1, least=1, most=256)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The thrower, and the taker."""
        return f"{self.name}-thrower", f"{self.name}-taker"

    def _plan(self) -> None:
        self.do(self._contribute, self._start_s + self.spread(self._wait_s, self._wait_s // 4))
        self.do(self._claim_of_both, self._start_s + self._claim_every_s)

    def _contribute(self, market: Market) -> int:
        if market.now >= self._until:
            return NEVER
        began = market.now
        thrower, taker = self.accounts
        samples = [market.pool.draw() for _ in range(self._batch)]
        if self.chance(self._flips):
            market.contribute(thrower, [self.other_label(market, sample) for sample in samples])
        else:
            market.contribute(taker, samples)
        return began + self.spread(self._wait_s, self._wait_s // 4)

    def _claim_of_both(self, market: Market) -> int:
        from dcai_cli.simulation.agents.base import refund, report, sweep

        for account in self.accounts:
            refund(market, account)
        for account in self.accounts:
            report(market, account)
            sweep(market, account)
        return market.now + self._claim_every_s


class Sybils(Agent):
    """Many accounts that farm a record with true labels first; then they flip, and report everybody."""

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._count = fields.count("count", 4, least=1, most=1000)
        self._wait_s = fields.duration("wait", least=1)
        self._farm_s = fields.duration("farm", "30d")
        self._batch = fields.count("batch", 1, least=1, most=256)
        self._turn = 0

    @property
    def accounts(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(f"{self.name}-{number}" for number in range(1, self._count + 1))

    def _plan(self) -> None:
        self._turn = 0
        self.do(self._contribute, self._start_s + self.spread(self._wait_s, self._wait_s // 4))
        self.do(self.claim, self._start_s + self._claim_every_s)

    def _contribute(self, market: Market) -> int:
        if market.now >= self._until:
            return NEVER
        began = market.now
        samples = [market.pool.draw() for _ in range(self._batch)]
        if began >= self._start_s + self._farm_s:
            samples = [self.other_label(market, sample) for sample in samples]
        market.contribute(self.accounts[self._turn % self._count], samples)
        self._turn += 1
        return began + self.spread(self._wait_s, self._wait_s // 4)
