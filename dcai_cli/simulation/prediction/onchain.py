"""The real mode: a draw is played by what the commands use, and the chain must say what the replica says."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain.factory import MARKET
from dcai_cli.chain.headers import mix_hash
from dcai_cli.chain.market import drawn
from dcai_cli.features.readers import Source
from dcai_cli.services.accounts import create_account
from dcai_cli.services.markets.create import create_market
from dcai_cli.services.markets.hidden_set import read_tests
from dcai_cli.services.markets.join import JoinRequest, join_market
from dcai_cli.services.markets.market import read_market
from dcai_cli.services.markets.moves import COLLECTING, SHOWING, STEPS, blocks_to_draw
from dcai_cli.services.markets.work import Worked, work_in_markets
from dcai_cli.services.models import read_words
from dcai_cli.simulation.onchain import GAS_MONEY_WEI, Mismatch, throw_away
from dcai_cli.simulation.prediction.draws import Urn
from dcai_cli.simulation.prediction.play import Ending, Played, Spent, reckon, start
from dcai_cli.simulation.prediction.scenario import PROVIDER

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.markets.create import Created
    from dcai_cli.services.markets.market import Market
    from dcai_cli.services.markets.plan import MarketRequest
    from dcai_cli.services.transactions import Sent
    from dcai_cli.services.workspace import Workspace
    from dcai_cli.simulation.pool import Example, Gathered
    from dcai_cli.simulation.prediction.draws import Draw
    from dcai_cli.simulation.prediction.scenario import MarketScenario

BURN = "0x000000000000000000000000000000000000dEaD"
"""Where a market sends what is burned."""


def play_on_chain(
    scenario: MarketScenario,
    data: Gathered,
    rpc_url: str | None,
    *,
    seed: int | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Played:
    """Play the rows of the first draw on a chain, whose blocks draw the orders.

    Args:
        scenario: what is played.
        data: its data.
        rpc_url: an anvil; None for an embedded chain, which is thrown away afterwards.
        seed: another than the scenario's.
        note: gets a line per step.

    Raises:
        BadInput: it is more than a market takes.
        UsageError: the node is none for development.
        Mismatch: the chain says something else than the replica.
    """
    seed = scenario.seed if seed is None else seed
    urn = Urn(scenario, data, seed)
    draw = urn.draw(1)
    with throw_away(rpc_url) as (workspace, password):
        side = _ChainSide(workspace, password, scenario, draw, note)
        market, created = side.make(urn.request)
        market = side.play(market)
        ending = _compared(workspace, data, draw, market)
        side.collect(created, market, ending)
        return Played(scenario, seed, (ending,), side.spent)


class _ChainSide:
    """Does what provider and participants would, by what the commands use.

    Args:
        workspace: the opened parts.
        password: of all keys.
        scenario: who takes part.
        draw: test set and contributions.
        note: gets a line per step.
    """

    def __init__(
        self,
        workspace: Workspace,
        password: str,
        scenario: MarketScenario,
        draw: Draw,
        note: Callable[[str], None],
    ) -> None:
        self._workspace, self._chain = workspace, workspace.chain
        self._password = lambda _: password
        self._names = [person.name for person in scenario.people]
        self._draw = draw
        self._note = note
        self._folder = workspace.settings.data_dir
        self._step_fees_wei = 0
        self._burned_wei = self._chain.balance_wei(BURN)
        self._spent: defaultdict[str, list[Sent]] = defaultdict(list)
        # What is waited for comes as soon as blocks are mined.
        workspace.sleep = lambda seconds: self._chain.advance(round(seconds))
        self._addresses: dict[str, str] = {}
        for name, wei in ((PROVIDER, scenario.rules.bounty_wei), *self._stakes(scenario)):
            address = create_account(workspace, name, password).address
            assert address is not None
            self._chain.set_balance(address, wei + GAS_MONEY_WEI)
            self._addresses[name] = address
        self._before_wei = self._balances()

    @property
    def spent(self) -> dict[str, Spent]:
        """What the transactions of each took."""
        return {
            name: Spent(sum(one.gas_used for one in sent), sum(one.fee_wei for one in sent))
            for name, sent in self._spent.items()
        }

    def make(self, request: MarketRequest) -> tuple[Market, Created]:
        """Make the market, show the piece that is drawn, and let everybody join."""
        tests = _written(self._folder / f"{PROVIDER}.csv", request.spec, self._draw.tests)
        created = create_market(
            self._workspace,
            request,
            read_tests(tests, request.spec, len(self._draw.pieces)),
            password=self._password,
            progress=self._note,
        )
        self._spent[PROVIDER] += created.steps
        assert created.market is not None
        address = created.market.address
        self._work(PROVIDER, SHOWING, address)
        for name, examples in zip(self._names, self._draw.contributed, strict=True):
            self._note(f"{name} takes part")
            file = _written(self._folder / f"{name}.csv", request.spec, examples)
            joined = join_market(
                self._workspace, JoinRequest(file, market=address, account=name), password=self._password
            )
            assert joined.sent is not None
            self._spent[name].append(joined.sent)
        return read_market(self._chain, address), created

    def play(self, market: Market) -> Market:
        """Show all samples and pieces, draw, and take all steps."""
        self._pass(market.participate_until)
        for name in self._names:
            self._work(name, SHOWING, market.address)
        self._pass(market.reveal_until)
        self._work(PROVIDER, SHOWING, market.address)
        market = read_market(self._chain, market.address)
        for _ in range(blocks_to_draw(market, STEPS)):
            self._chain.advance(1)
        done = self._work(PROVIDER, STEPS, market.address)
        self._step_fees_wei = sum(one.move.pays_wei for one in done.made)
        return read_market(self._chain, market.address)

    def collect(self, created: Created, market: Market, ending: Ending) -> None:
        """Pay out, and compare every balance.

        Raises:
            Mismatch: somebody has another one than was reckoned.
        """
        settlement = ending.settlement
        reserve_wei = created.plan.reserve_wei - self._step_fees_wei
        _same("what is left of bounty and reserve", market.left_wei, settlement.left_wei + reserve_wei)
        burned_wei = self._chain.balance_wei(BURN) - self._burned_wei
        _same("what is burned", burned_wei, settlement.burned_wei)
        for name in (*self._names, PROVIDER):
            self._work(name, COLLECTING, market.address)
        gains = {PROVIDER: settlement.left_wei - market.rules.bounty_wei}
        for name, stake, outcome in zip(self._names, ending.stakes, settlement.outcomes, strict=True):
            gains[name] = outcome.owed_wei - stake.stake_wei
        spent = self.spent
        for name, wei in self._balances().items():
            gained_wei = wei - self._before_wei[name] + spent[name].fee_wei
            _same(f"what {name} gains", gained_wei, gains[name])
        _same("what the market still has", self._chain.balance_wei(market.address), 0)

    def _work(self, name: str, moves: Sequence[str], market: str) -> Worked:
        done = work_in_markets(
            self._workspace,
            moves,
            market=market,
            account=name,
            password=self._password,
            progress=partial(_as_said_by, self._note, name),
        )
        self._spent[name] += [one.sent for one in done.made]
        return done

    def _pass(self, until: int) -> None:
        """Let time pass."""
        self._chain.advance(max(0, until - self._chain.timestamp()))

    def _stakes(self, scenario: MarketScenario) -> list[tuple[str, int]]:
        """What each has to have: more than it stakes has to go along, and comes back at once."""
        return [
            (name, 2 * scenario.rules.stake_wei * units)
            for name, units in zip(self._names, self._draw.units, strict=True)
        ]

    def _balances(self) -> dict[str, int]:
        return {name: self._chain.balance_wei(address) for name, address in self._addresses.items()}


def _as_said_by(note: Callable[[str], None], name: str, what: str) -> None:
    note(f"{name}: {what}")


def _compared(workspace: Workspace, data: Gathered, draw: Draw, market: Market) -> Ending:
    """What the replica makes of it, if the chain says the same.

    Raises:
        Mismatch: it does not.
    """
    chain = workspace.chain
    # Later draws of an order follow from the first one, and that from the block.
    seed = drawn(mix_hash(chain.header(market.draw_block)), market.address)
    stakes_wei = [one.stake_wei for one in market.participants]
    _same("the stakes", stakes_wei, list(draw.stakes_wei))
    ending, published = reckon(start(data), market.rules, draw, stakes_wei, seed)
    told = chain.logs(MARKET, market.address, "Settled", market.draw_block)
    _same("the test samples right at first", [event.args["atFirst"] for event in told], [ending.before])
    for number, one in enumerate(market.participants):
        outcome = ending.settlement.outcomes[number]
        _same(
            f"score, what is owed, and whether removed, of participant {number + 1}",
            (one.score, one.owed_wei, one.removed),
            (ending.stakes[number].score, outcome.owed_wei, outcome.removed),
        )
    _same("the words of the published model", read_words(chain, market.model), published.words())
    return ending


def _written(path: Path, spec: FeatureSpec, examples: Sequence[Example]) -> Source:
    """A file of rows, with the labels of their samples."""
    columns = [spec.text_column] if spec.kind == "text" else [column.name for column in spec.columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([*columns, spec.label_column])
        for row, sample in examples:
            writer.writerow([*(row.cells[column] for column in columns), spec.labels[sample.label]])
    return Source(str(path))


def _same(what: str, answered: object, reckoned: object) -> None:
    if answered != reckoned:
        raise Mismatch(
            f"The chain says otherwise of {what}: {answered}, where the replica says {reckoned}.",
            hint="Report this, with the scenario and the seed.",
        )
