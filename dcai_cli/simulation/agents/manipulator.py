"""Agents that move the model for the sake of claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.domain import bits
from dcai_cli.simulation.agents.base import NEVER, Agent, refund, report, sweep

if TYPE_CHECKING:
    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market
    from dcai_cli.simulation.rules import Sample


@dataclass(slots=True)
class Push:
    """What the model is to be moved to.

    Args:
        crafted: samples with the labels that it shall predict.
        next_at: when it is moved next.
        until: when that has served its purpose.
        left: how many batches there may still be.
    """

    crafted: list[Sample]
    next_at: int
    until: int
    left: int


class Manipulator(Agent):
    """Moves the model just before claims, by contributing crafted batches; over one block, or over several.

    With `target = "own"` it plants flipped samples, and when their refund is due it repeats them in crafted
    batches; then it takes the refunds. With "others" it turns the model against the samples that others
    contributed last, from before their refund on, and holds it there until it can report them. It earns a
    record with true labels first, for `farm`.
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
        self._under_way: list[Push] = []
        self.do(self._farm, self._start_s + self.spread(self._farm_wait_s, self._farm_wait_s // 4))
        self.do(self.claim, self._start_s + self._claim_every_s)
        self.do(self._begin, self._start_s + self._farm_s)

    @property
    def next_at(self) -> int:
        """When it acts next."""
        return min([super().next_at, *(push.next_at for push in self._under_way)])

    def act(self, market: Market) -> None:
        """Do what is due now: pushes first, for what was planted before."""
        for push in [push for push in self._under_way if push.next_at <= market.now]:
            self._push(market, push)
        super().act(market)

    def _farm(self, market: Market) -> int:
        """Contribute true labels, for a record."""
        if market.now >= min(self._until, self._start_s + self._farm_s):
            return NEVER
        began = market.now
        market.contribute(self.accounts[0], [market.pool.draw()])
        return began + self.spread(self._farm_wait_s, self._farm_wait_s // 4)

    def _begin(self, market: Market) -> int:
        """Choose samples, and when the model is moved for them."""
        if market.now >= self._until:
            return NEVER
        began = market.now
        if self._target == "own":
            self._plant(market)
        else:
            self._turn_against_others(market)
        return began + self._every_s

    def _plant(self, market: Market) -> None:
        flipped = [self.other_label(market, market.pool.draw()) for _ in range(self._victims)]
        planted = market.contribute(self.accounts[0], flipped)
        if planted is not None:
            due = planted.added_at + market.rules.terms.refund_wait_s
            last = due + max(self._pushes - 1, 0) * self._push_every_s
            self._under_way.append(Push(flipped, due, last, self._pushes))

    def _turn_against_others(self, market: Market) -> None:
        """Take the samples of others whose refund is due next, with other labels."""
        fresh = [
            (deposit.added_at, self.other_label(market, deposit.samples[index]))
            for deposit in market.open_deposits()
            if deposit.contributor not in self.accounts
            and market.now - deposit.added_at < market.rules.terms.refund_wait_s
            for index in bits(deposit.open)
        ][: self._victims]
        if fresh:
            last = max(added_at for added_at, _ in fresh) + self._held_until_s(market)
            self._under_way.append(Push([sample for _, sample in fresh], market.now, last, self._pushes))

    def _held_until_s(self, market: Market) -> int:
        """How old a victim must be until it serves."""
        return market.rules.terms.report_wait_s

    def _push(self, market: Market, push: Push) -> None:
        """One crafted batch, unless contributing has ended; after the last, claim in the next second."""
        began = market.now
        if push.left and began < self._until:
            push.left -= 1
            market.contribute(self.accounts[0], (push.crafted * self._copies)[:256])
        push.next_at = max(began + self._push_every_s, market.now)
        # The last block of a plan may come somewhat later than planned: other actions took their seconds.
        if began >= push.until or not push.left:
            self._under_way.remove(push)
            if began >= push.until or self._target == "own":
                self._harvest(market)
            else:
                # What is left is up to the others until the victims can be reported.
                self.do(self._harvest_once, push.until)

    def _harvest_once(self, market: Market) -> int:
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

    def _held_until_s(self, market: Market) -> int:
        return market.rules.terms.owner_wait_s

    def _harvest(self, market: Market) -> None:
        super()._harvest(market)
        sweep(market, self.accounts[0])
