"""What all agents share: accounts, a clock of their own, and claims."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from dcai_cli.domain import bits
from dcai_cli.services.limits import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market
    from dcai_cli.simulation.rules import Sample

NEVER = 1 << 62


class Agent(ABC):
    """Somebody with a strategy.

    An agent has tasks, each with the time when it is next due; a task says when it is due again.

    Args:
        fields: its table of the scenario.
    """

    is_owner = False
    """Whether the model is its own."""

    strategy = ""
    """What a scenario calls its strategy."""

    def __init__(self, fields: Fields) -> None:
        self.name = fields.text("name")
        check_name(self.name)
        self.balance_wei = fields.amount("balance", least=1)
        """What it has to begin with, all its accounts together."""
        self._claim_every_s = fields.duration("claim_every", "6h", least=1)
        self._start_s = fields.duration("start", "0s")
        self._stop_s = fields.duration("stop") if "stop" in fields else NEVER

    @property
    def accounts(self) -> tuple[str, ...]:
        """Its accounts; each has the same share of the balance to begin with."""
        return (self.name,)

    def begin(self, seed: int, until: int) -> None:
        """Get ready for a run.

        Args:
            seed: of the scenario.
            until: when contributing ends; claims go on.
        """
        self._random = random.Random(f"{seed}/{self.name}")  # noqa: S311 - a strategy, not a secret
        self._until = min(until, self._stop_s)
        self._tasks: list[tuple[int, Callable[[Market], int]]] = []
        self._plan()

    @property
    def next_at(self) -> int:
        """When it acts next."""
        return min((at for at, _ in self._tasks), default=NEVER)

    def act(self, market: Market) -> None:
        """Do what is due now."""
        for place, (at, task) in enumerate(self._tasks):
            if at <= market.now:
                self._tasks[place] = (max(task(market), at + 1), task)

    def do(self, task: Callable[[Market], int], first_at: int) -> None:
        """Have a task done; it gives back when it is due again."""
        self._tasks.append((first_at, task))

    @abstractmethod
    def _plan(self) -> None:
        """Give oneself tasks."""

    # What many strategies do

    def claim(self, market: Market) -> int:
        """Claim what is due to all accounts: refunds, reports of others' samples, sweeps."""
        for account in self.accounts:
            refund(market, account)
        for account in self.accounts:
            report(market, account, spared=self.accounts)
            sweep(market, account)
        return market.now + self._claim_every_s

    def spread(self, mean_s: int, spread_s: int) -> int:
        """A time around a mean, evenly spread; never 0."""
        return max(mean_s - spread_s + int(self._random.random() * (2 * spread_s + 1)), 1)

    def chance(self, share: float) -> bool:
        """True in this share of all cases."""
        return self._random.random() < share

    def other_label(self, market: Market, sample: Sample) -> Sample:
        """The same features with one of the other labels."""
        step = 1 + int(self._random.random() * (market.pool.classes - 1))
        return sample.labelled((sample.label + step) % market.pool.classes)


def refund(market: Market, who: str, *, only: Callable[[int], bool] = lambda _: True) -> None:
    """Claim the refunds that are due and that the model agrees with.

    Args:
        market: the market.
        who: whose deposits.
        only: which batches, by number.
    """
    due = [
        (deposit, deposit.open)
        for deposit in market.open_deposits(older_than_s=market.rules.terms.refund_wait_s)
        if deposit.contributor == who and only(deposit.id)
    ]
    claims = [(deposit.id, agreed) for deposit, agreed, _ in market.rejected(due) if agreed]
    if claims:
        market.refund(who, claims)


def report(market: Market, who: str, *, spared: Sequence[str] = ()) -> None:
    """Report others' samples that the model rejects.

    Args:
        market: the market.
        who: the reporter, who has standing or does nothing.
        spared: whose samples are left alone.
    """
    if not market.rules.validated_units[who]:
        return
    others = {who, *spared}
    due = [
        (deposit, deposit.open & ~deposit.reported_by.get(who, 0))
        for deposit in market.open_deposits(older_than_s=market.rules.terms.report_wait_s)
        if deposit.contributor not in others
    ]
    for deposit, _, rejected in market.rejected(due):
        if rejected:
            market.report(who, deposit, bits(rejected))


def sweep(market: Market, who: str) -> None:
    """Take what is left of batches after the last wait."""
    terms = market.rules.terms
    wait_s = terms.owner_wait_s if who == market.rules.owner else terms.public_wait_s
    for deposit in market.open_deposits(older_than_s=wait_s):
        if deposit.deposit_wei > deposit.paid_wei:
            market.sweep(who, deposit)
