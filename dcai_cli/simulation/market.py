"""What agents see and do: the public state of the model, and their actions, each in a block of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dcai_cli.simulation.rules import MAX_PAYLOAD_BYTES, Deposit, Refused, Sample, StakeRules

if TYPE_CHECKING:
    from dcai_cli.models.replica import Replica
    from dcai_cli.simulation.pool import Pool

REFUNDS_AT_ONCE = 32
"""Batches whose refunds one transaction asks for: single samples of any model fit."""

Claims = Sequence[tuple[int, int]]
"""Batches by number, and the bitmap of their samples that are claimed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One action, as the ledgers have it.

    Args:
        at: when, in seconds since the model was sealed.
        account: who acted.
        action: "contribute", "refund", "report" or "sweep".
        batch: the batch; of a refund of several, the first.
        samples: samples contributed, refunded, reported or swept.
        amount_wei: what it brought; a deposit is negative.
        gas_used: by the receipt; None where nothing was sent.
    """

    at: int
    account: str
    action: str
    batch: int
    samples: int
    amount_wei: int
    gas_used: int | None


class OnChain(Protocol):
    """Sends what the rules have reckoned, and holds the chain's answer against it.

    Every method returns the gas that was used, and raises `Mismatch` where the chain says something else.
    """

    def contribute(self, deposit: Deposit) -> int:
        """A batch was contributed."""

    def refund(self, who: str, claims: Claims, paid: Claims, at: int) -> int:
        """Refunds were claimed; `paid` are wei and refunded samples of each."""

    def report(
        self, who: str, deposit: Deposit, indexes: Sequence[int], paid: tuple[int, int], at: int
    ) -> int:
        """Samples were reported; `paid` are wei and reported samples."""

    def sweep(self, who: str, deposit: Deposit, amount_wei: int, at: int) -> int:
        """A batch was swept."""

    def check(self) -> None:
        """Compare all that can be compared."""


class Market:
    """One model, as those who take part know it.

    Args:
        rules: the books.
        pool: the data that contributors find.
        chain: where every action is sent, too; None to reckon only.
    """

    def __init__(self, rules: StakeRules, pool: Pool, chain: OnChain | None = None) -> None:
        self.rules = rules
        self.pool = pool
        self.now = 1
        """The time of the next action; later than the last one."""
        self.entries: list[Entry] = []
        self.watchers: list[Callable[[str, Sequence[Sample]], None]] = []
        """Are told of a contribution that waits to be mined, and can have one of theirs mined first."""
        self._chain = chain
        self._open: dict[int, Deposit] = {}

    def go_to(self, at: int) -> None:
        """Let time pass, if it has not yet."""
        self.now = max(self.now, at)

    @property
    def replica(self) -> Replica:
        """The model as it is now."""
        return self.rules.replica

    @property
    def idle_s(self) -> int:
        """Seconds since the last contribution."""
        return self.now - self.rules.last_contributed_at

    def balance_wei(self, account: str) -> int:
        """What an account has now."""
        return self.rules.balances_wei[account]

    def quote_wei(self, samples: Sequence[Sample]) -> int:
        """What a batch costs now."""
        return self.rules.quote_wei(sum(sample.units for sample in samples), self.now)

    def open_deposits(self, *, older_than_s: int = 0) -> list[Deposit]:
        """Batches of which something is left, oldest first.

        Args:
            older_than_s: only those that came at least so long ago.
        """
        last = self.now - older_than_s
        found = []
        for deposit in self._open.values():
            if deposit.added_at > last:
                break
            found.append(deposit)
        return found

    def rejected(self, deposits: Sequence[tuple[Deposit, int]]) -> list[tuple[Deposit, int, int]]:
        """What the model says now of samples.

        Args:
            deposits: batches, and the bitmap of the samples that are asked about.

        Returns:
            Each batch, with the bitmap of samples that it agrees with, and that of those it rejects.
        """
        agreed = self.rules.agreed(deposits)
        return [(deposit, yes, mask & ~yes) for (deposit, mask), yes in zip(deposits, agreed, strict=True)]

    def check(self) -> None:
        """Where there is a chain, hold all that it has against what was reckoned."""
        if self._chain:
            self._chain.check()

    # Actions

    def contribute(
        self, who: str, samples: Sequence[Sample], *, seen: bool = True, most_rise: float = math.inf
    ) -> Deposit | None:
        """Contribute a batch, if the balance covers it.

        Args:
            who: the account.
            samples: the batch.
            seen: whether others see it before it is mined.
            most_rise: it is given up if it comes to cost more than quoted by more than this share.
        """
        quoted_wei = self.quote_wei(samples)
        if self.balance_wei(who) < quoted_wei:
            return None
        for watcher in self.watchers if seen else ():
            watcher(who, samples)
        if self.quote_wei(samples) > quoted_wei * (1 + most_rise):
            return None
        try:
            deposit = self.rules.contribute(who, samples, self.now)
        except Refused:  # somebody came first, and now it costs more
            return None
        gas = self._chain.contribute(deposit) if self._chain else None
        self._open[deposit.id] = deposit
        self._enter(
            who, "contribute", deposit.id, len(samples), -deposit.deposit_wei - deposit.burned_wei, gas
        )
        return deposit

    def refund(self, who: str, claims: Claims) -> None:
        """Claim refunds, in as many transactions as it takes."""
        for part in self._parts(claims):
            if self.now == self.rules.last_contributed_at:
                self.now += 1
            paid = self.rules.refund(who, part, self.now)
            gas = self._chain.refund(who, part, paid, self.now) if self._chain else None
            for number, _ in part:
                self._close(number)
            samples = sum(refunded.bit_count() for _, refunded in paid)
            self._enter(who, "refund", part[0][0], samples, sum(wei for wei, _ in paid), gas)

    def report(self, who: str, deposit: Deposit, indexes: Sequence[int]) -> None:
        """Report samples of a batch."""
        paid = self.rules.report(who, deposit.id, indexes, self.now)
        gas = self._chain.report(who, deposit, indexes, paid, self.now) if self._chain else None
        self._close(deposit.id)
        self._enter(who, "report", deposit.id, paid[1].bit_count(), paid[0], gas)

    def sweep(self, who: str, deposit: Deposit) -> None:
        """Sweep a batch."""
        left = deposit.open.bit_count()
        amount_wei = self.rules.sweep(who, deposit.id, self.now)
        gas = self._chain.sweep(who, deposit, amount_wei, self.now) if self._chain else None
        self._close(deposit.id)
        self._enter(who, "sweep", deposit.id, left, amount_wei, gas)

    def _parts(self, claims: Claims) -> Iterator[Claims]:
        """Claims that go into one transaction: so many, and of so many bytes."""
        part: list[tuple[int, int]] = []
        size = 0
        for claim in claims:
            more = self.rules.deposits[claim[0]].payload_bytes
            if part and (len(part) == REFUNDS_AT_ONCE or size + more > MAX_PAYLOAD_BYTES):
                yield part
                part, size = [], 0
            part.append(claim)
            size += more
        if part:
            yield part

    def _close(self, number: int) -> None:
        if number in self._open and not self._open[number].open:
            del self._open[number]

    def _enter(
        self, who: str, action: str, batch: int, samples: int, amount_wei: int, gas: int | None
    ) -> None:
        self.entries.append(Entry(self.now, who, action, batch, samples, amount_wei, gas))
        self.now += 1
