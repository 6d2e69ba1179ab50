"""Running a scenario: an event queue with simulated time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dcai_cli.hashing import keccak256
from dcai_cli.models import make_replica
from dcai_cli.simulation.market import Entry, Market, OnChain
from dcai_cli.simulation.pool import Pool, Prepared
from dcai_cli.simulation.rules import StakeRules

if TYPE_CHECKING:
    from dcai_cli.simulation.agents import Agent
    from dcai_cli.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stood at a time.

    Args:
        at: the time, in seconds since the model was sealed.
        balances_wei: what each agent had.
        out_wei: what it had in deposits that were open.
        correct: rows of the test set that the model predicted right.
        entries: how many actions there were so far.
    """

    at: int
    balances_wei: dict[str, int]
    out_wei: dict[str, int]
    correct: int
    entries: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What an agent did, all in all.

    Args:
        contributed: samples.
        deposit_wei: what it paid for them.
        refunded: samples of its own that came back.
        refunded_wei: with so much.
        reported_wei: what it took by reports.
        swept_wei: what it swept.
        gas_used: gas of all that; None where nothing was sent.
    """

    contributed: int = 0
    deposit_wei: int = 0
    refunded: int = 0
    refunded_wei: int = 0
    reported_wei: int = 0
    swept_wei: int = 0
    gas_used: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a scenario.

    Args:
        scenario: what was run.
        seed: with which seed.
        test_rows: rows of the test set.
        moments: from the start to the end.
        entries: all actions, in order.
        totals: of each agent.
        weights_hash: keccak256 of the model's words at the end, in hexadecimal.
    """

    scenario: Scenario
    seed: int
    test_rows: int
    moments: tuple[Moment, ...]
    entries: tuple[Entry, ...] = field(repr=False)
    totals: dict[str, Totals]
    weights_hash: str

    def gain(self, agent: str) -> float:
        """What an agent gained, as a share of what it had to begin with; open deposits count as lost."""
        before, after = self.moments[0].balances_wei[agent], self.moments[-1].balances_wei[agent]
        return after / before - 1

    def accuracy(self, at: int = -1) -> float:
        """Share of the test set that was predicted right at a moment."""
        return self.moments[at].correct / self.test_rows


ChainMaker = Callable[[StakeRules], OnChain]


def run(
    scenario: Scenario,
    prepared: Prepared,
    *,
    seed: int | None = None,
    chain: ChainMaker | None = None,
    watch: Callable[[Moment, Market], None] = lambda _moment, _market: None,
) -> Run:
    """Run a scenario from sealing to its end.

    Args:
        scenario: who takes part; its agents serve one run at a time.
        prepared: its data.
        seed: another than the scenario's.
        chain: makes what sends every action to a chain; None to reckon only.
        watch: called at each moment that is measured.

    Returns:
        The same for the same seed, whether it was sent to a chain or not, but for gas.

    Raises:
        Mismatch: a chain says something else than the rules.
    """
    seed = scenario.seed if seed is None else seed
    rules = StakeRules(
        make_replica(prepared.params, prepared.words or None),
        scenario.terms,
        _shares(scenario),
        owner=scenario.owner,
        variant=scenario.variant,
    )
    pool = Pool(prepared.samples, prepared.params.classes, f"{seed}/pool")
    market = Market(rules, pool, chain(rules) if chain else None)
    for agent in scenario.agents:
        agent.begin(seed, scenario.duration_s)
    moments: list[Moment] = []

    def measure(at: int) -> None:
        market.check()
        moments.append(_moment(scenario, prepared, market, at))
        watch(moments[-1], market)

    measure(0)
    due = scenario.measure_every_s
    while True:
        agent = min(scenario.agents, key=lambda agent: agent.next_at)
        at = min(agent.next_at, scenario.end_s + 1)
        while due <= min(at, scenario.end_s):
            measure(due)
            due += scenario.measure_every_s
        if at > scenario.end_s:
            break
        market.go_to(at)
        agent.act(market)
    if moments[-1].at != scenario.end_s:
        measure(scenario.end_s)
    words = b"".join(word.to_bytes(32, "big") for word in rules.replica.words())
    return Run(
        scenario=scenario,
        seed=seed,
        test_rows=prepared.test_rows,
        moments=tuple(moments),
        entries=tuple(market.entries),
        totals=_totals(scenario, market.entries),
        weights_hash=f"0x{keccak256(words).hex()}",
    )


def _shares(scenario: Scenario) -> dict[str, int]:
    """What each account has to begin with."""
    shares = {}
    for agent in scenario.agents:
        share, rest = divmod(agent.balance_wei, len(agent.accounts))
        shares.update(dict.fromkeys(agent.accounts, share))
        shares[agent.accounts[0]] += rest
    return shares


def _moment(scenario: Scenario, prepared: Prepared, market: Market, at: int) -> Moment:
    out: Counter[str] = Counter()
    for deposit in market.open_deposits():
        out[deposit.contributor] += deposit.deposit_wei - deposit.paid_wei
    return Moment(
        at=at,
        balances_wei={agent.name: _sum(agent, market.balance_wei) for agent in scenario.agents},
        out_wei={agent.name: _sum(agent, lambda account: out[account]) for agent in scenario.agents},
        correct=prepared.correct(market.replica),
        entries=len(market.entries),
    )


def _sum(agent: Agent, of: Callable[[str], int]) -> int:
    return sum(of(account) for account in agent.accounts)


def _totals(scenario: Scenario, entries: list[Entry]) -> dict[str, Totals]:
    """The ledgers, added up."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    gas: Counter[str] = Counter()
    owners = {account: agent.name for agent in scenario.agents for account in agent.accounts}
    for entry in entries:
        of_action = sums[owners[entry.account], entry.action]
        of_action[0] += entry.samples
        of_action[1] += entry.amount_wei
        gas[owners[entry.account]] += entry.gas_used or 0
    sent = any(entry.gas_used for entry in entries)
    return {
        agent.name: Totals(
            contributed=sums[agent.name, "contribute"][0],
            deposit_wei=-sums[agent.name, "contribute"][1],
            refunded=sums[agent.name, "refund"][0],
            refunded_wei=sums[agent.name, "refund"][1],
            reported_wei=sums[agent.name, "report"][1],
            swept_wei=sums[agent.name, "sweep"][1],
            gas_used=gas[agent.name] if sent else None,
        )
        for agent in scenario.agents
    }
