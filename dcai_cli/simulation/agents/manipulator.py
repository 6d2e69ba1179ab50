"""Agents that move the model for the sake of claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.domain import bits
from dcai_cli.simulation.agents.base import NEVER, Agent, refund, report, sweep

if TYPE_CHECKING:
    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market
    from dcai_cli.simulation.rules import Deposit, Sample


class Manipulator(Agent):
    """Moves the model just before claims, by contributing crafted batches; over one block, or over several.

    With `target = "own"` it plants flipped samples, and when their refund is due it repeats them in crafted
    batches until the model agrees; then it takes the refunds. With "others" it turns the model against the
    samples that others contributed last, from before their refund on, and holds it there until it can report
    them. It earns a record with true labels first, for `farm`.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._target = fields.text("target", "own", of=("own", "others"))
        self._farm_s = fields.duration("farm", "10d")
        self._farm_wait_s = fields.duration("farm_wait", "1h", least=1)
        self._every_s = fields.duration("every", "5d", least=1)
        self._victims = fields.count("victims", 16, least=1, most=256)
        self._copies = fields.count("copies", 1, least=1, most=256)
        self._pushes = fields.count("pushes", 1)
        self._push_every_s = fields.duration("push_every", "1s", least=1)

    def _plan(self) -> None:
        self._planted: Deposit | None = None
        self._left = 0
        self._crafted: list[Sample] = []
        self.do(self._farm, self._start_s + self.spread(self._farm_wait_s, self._farm_wait_s // 4))
        self.do(self.claim, self._start_s + self._claim_every_s)
        self.do(self._begin, self._start_s + self._farm_s)
        self.do(self._push, NEVER)

    def _farm(self, market: Market) -> int:
        """Contribute true labels, for a record."""
        if market.now >= min(self._until, self._start_s + self._farm_s):
            return NEVER
        began = market.now
        market.contribute(self.accounts[0], [market.pool.draw()])
        return began + self.spread(self._farm_wait_s, self._farm_wait_s // 4)

    def _begin(self, market: Market) -> int:
        """Choose samples; the pushing begins when it pays."""
        if market.now >= self._until:
            return NEVER
        began, terms = market.now, market.rules.terms
        if self._target == "own":
            flipped = [self.other_label(market, market.pool.draw()) for _ in range(self._victims)]
            self._planted = market.contribute(self.accounts[0], flipped)
            if self._planted is not None:
                self._push_from(self._planted.added_at + terms.refund_wait_s, flipped)
        else:
            self._push_from(began, self._against_others(market))
        return began + self._every_s

    def _against_others(self, market: Market) -> list[Sample]:
        """The samples of others whose refund is due next, with other labels."""
        fresh = [
            self.other_label(market, deposit.samples[index])
            for deposit in market.open_deposits()
            if deposit.contributor not in self.accounts
            and market.now - deposit.added_at < market.rules.terms.refund_wait_s
            for index in bits(deposit.open)
        ]
        return fresh[: self._victims]

    def _push_from(self, at: int, crafted: list[Sample]) -> None:
        self._crafted = crafted
        self._left = self._pushes
        self._tasks = [(at if task == self._push else due, task) for due, task in self._tasks]

    def _push(self, market: Market) -> int:
        """One crafted batch; after the last, claim in the next second."""
        began = market.now
        if self._left and self._crafted:
            self._left -= 1
            batch = (self._crafted * self._copies)[:256]
            market.contribute(self.accounts[0], batch)
        if self._left:
            return max(began + self._push_every_s, market.now)
        self._harvest(market)
        return NEVER

    def _harvest(self, market: Market) -> None:
        refund(market, self.accounts[0])
        report(market, self.accounts[0], spared=self.accounts)


class Owner(Manipulator):
    """Owns the model; turns it against what others contributed, and sweeps what they could not get back.

    With `pushes = 0` it only waits for the sweeps.
    """

    is_owner = True

    def _harvest(self, market: Market) -> None:
        super()._harvest(market)
        sweep(market, self.accounts[0])
