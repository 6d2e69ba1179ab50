"""Prediction markets on a chain: the one that is meant, what it says of itself, and what comes next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.chain import GasTooHigh, RpcError
from dcai_cli.chain.factory import (
    FACTORY,
    MARKET,
    REPLAY,
    factory_address,
    is_our_market,
    market_address,
)
from dcai_cli.chain.market import DRAW_DELAY_BLOCKS, KNOWN_HASHES, MAX_PARTICIPANTS, MarketRules
from dcai_cli.domain import format_duration
from dcai_cli.errors import BadInput, Reverted, UsageError, WrongChain, as_word
from dcai_cli.services.accounts import acting_account
from dcai_cli.services.markets.factory import known_deployer
from dcai_cli.services.models import HostedModel, describe

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.services.workspace import Workspace

PHASES = (
    "drawing",
    "opening",
    "open",
    "tested",
    "evaluating",
    "resetting",
    "replaying",
    "publishing",
    "published",
    "failed",
)
"""What a market waits for, as `Phase` of the contracts counts them."""

STEPPING = ("evaluating", "resetting", "replaying", "publishing")
ENDED = ("published", "failed")

DRAW_LOOK_S = 10
"""So soon a daemon looks again for the block of a draw: on a fast chain it is out of reach after minutes."""

PAGE = 100
"""Markets that one call lists."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who takes part.

    Args:
        address: who.
        commitment: the hash of what it contributes.
        stake_wei: what it paid.
        units: what it may contribute.
        samples: how many it revealed; 0 before.
        score: what they changed, in test samples that the model gets right, in all orders together.
        removed: whether it harmed, so that its samples do not train the model.
        owed_wei: what it can collect.
    """

    address: str
    commitment: bytes
    stake_wei: int
    units: int
    samples: int
    score: int
    removed: bool
    owed_wei: int


@dataclass(frozen=True, slots=True)
class Market:
    """A market at one moment of the chain's time.

    Args:
        address: of the market.
        name: its name, and that of the model that it becomes, as it can be shown.
        provider: who made it.
        model: the model that it becomes.
        replay: the contract that has the data.
        rules: what holds in it.
        phase: what it waits for, one of `PHASES`.
        draw_block: the block that draws.
        drawn_piece: the piece that was drawn.
        revealed: how many pieces were shown.
        since: when it was made, or opened.
        left_wei: what of bounty and reserve is left.
        left_from: when the provider may have it.
        words_published: how many words of the model are written.
        units_taken: units of all participants.
        participants: by their numbers.
        orders_scored: in how many orders all samples were scored.
        cursor: how far the steps of the phase have come.
        block: the latest block.
        now: the chain's time.
    """

    address: str
    name: str
    provider: str
    model: HostedModel
    replay: str
    rules: MarketRules
    phase: str
    draw_block: int
    drawn_piece: int
    revealed: int
    since: int
    left_wei: int
    left_from: int
    words_published: int
    units_taken: int
    participants: tuple[Participant, ...]
    orders_scored: int
    cursor: int
    block: int
    now: int

    @property
    def open_until(self) -> int:
        """Until when the drawn piece must be shown, while that is not done."""
        return self.since + self.rules.open_s

    @property
    def participate_until(self) -> int:
        """Until before when contributions are committed."""
        return self.since + self.rules.participate_s

    @property
    def reveal_until(self) -> int:
        """Until before when they are revealed."""
        return self.participate_until + self.rules.reveal_s

    @property
    def tests_until(self) -> int:
        """Until when the provider has to show the other pieces."""
        return self.reveal_until + self.rules.tests_s

    @property
    def stage(self) -> str:
        """The phase, where an open market's is one of `participating`, `revealing` and `testing`."""
        if self.phase != "open":
            return self.phase
        if self.now < self.participate_until:
            return "participating"
        return "revealing" if self.now < self.reveal_until else "testing"

    @property
    def is_missed(self) -> bool:
        """Whether the provider is late."""
        if self.phase == "drawing":
            return self.block > self.draw_block + KNOWN_HASHES
        if self.phase == "opening":
            return self.now > self.open_until
        return self.phase == "open" and self.now > self.tests_until

    @property
    def deadline(self) -> int | None:
        """When the stage ends by the clock; None if no clock ends it."""
        return {
            "opening": self.open_until,
            "participating": self.participate_until,
            "revealing": self.reveal_until,
            "testing": self.tests_until,
        }.get(self.stage)

    @property
    def next_moment(self) -> int | None:
        """When somebody has to do something next, by the clock; None if no time matters."""
        if self.phase in {"drawing", "tested"}:
            return self.now + DRAW_LOOK_S
        if self.phase in ENDED and self.left_wei and self.left_from > self.now:
            return self.left_from
        return self.deadline

    @property
    def samples(self) -> int:
        """Samples that were revealed."""
        return sum(one.samples for one in self.participants)

    @property
    def kept_samples(self) -> int:
        """Those of participants who did not harm."""
        return sum(one.samples for one in self.participants if not one.removed)

    @property
    def units_left(self) -> int:
        """What of the quota is left."""
        return self.rules.max_units - self.units_taken

    @property
    def is_full(self) -> bool:
        """Whether nobody can take part any more."""
        return not self.units_left or len(self.participants) >= MAX_PARTICIPANTS

    def participant(self, address: str) -> Participant | None:
        """How an account takes part; None if it does not."""
        return next((one for one in self.participants if one.address.lower() == address.lower()), None)

    def is_provider(self, address: str) -> bool:
        """Whether an account made it."""
        return self.provider.lower() == address.lower()


def read_market(chain: Chain, address: str) -> Market:
    """Read a market from its contracts.

    Args:
        chain: the chain.
        address: of a market that was found to be ours.

    Raises:
        BadInput: its feature spec is not one that this dcai knows.
    """

    def read(function: str, *args: object) -> Any:  # noqa: ANN401 - by ABI
        return chain.view(MARKET, address, function, *args)

    trainer, replay = str(read("trainer")), str(read("replay"))
    name = as_word(str(chain.view("CollaborativeTrainer", trainer, "name")))
    pieces, *rules = read("rules")
    return Market(
        address=address,
        name=name,
        provider=str(read("provider")),
        model=describe(chain, trainer, name=name),
        replay=replay,
        rules=MarketRules(tuple(bytes(piece) for piece in pieces), *rules),
        phase=PHASES[read("phase")],
        draw_block=read("drawBlock"),
        drawn_piece=read("drawnPiece"),
        revealed=read("piecesRevealed"),
        since=read("since"),
        left_wei=read("leftWei"),
        left_from=read("leftFrom"),
        words_published=read("wordsPublished"),
        units_taken=read("unitsTaken"),
        participants=tuple(Participant(one, *read("participantOf", one)) for one in read("participants")),
        orders_scored=read("ordersTried"),
        cursor=chain.view(REPLAY, replay, "cursor"),
        block=chain.block_number(),
        now=chain.timestamp(),
    )


def shown_pieces(workspace: Workspace, market: Market) -> set[int]:
    """The numbers of the pieces that were shown.

    Events are asked for only where a part is shown besides the drawn one, and from the market's block on:
    nodes that have dropped older ones can answer, whatever the ledger knows.
    """
    if market.revealed == 0:
        return set()
    if market.revealed == 1:
        return {market.drawn_piece}
    if market.revealed == len(market.rules.pieces):
        return set(range(market.revealed))
    # Until all are shown, the block of the draw is still that of the first one, which follows from creation.
    first = max(0, market.draw_block - DRAW_DELAY_BLOCKS)
    shown = workspace.chain.logs(MARKET, market.address, "PieceRevealed", first)
    return {event.args["index"] for event in shown}


def found_market(workspace: Workspace, name_or_address: str | None, account: str | None = None) -> str:
    """The address of the market that is meant: named, or the only one that this ledger takes part in.

    Args:
        workspace: the opened parts.
        name_or_address: a name, PROVIDER/NAME, an address, or None.
        account: the account that acts; the acting account if None.

    Raises:
        UsageError: none is named and there is not just one, or there is none of this name.
        WrongChain: it is not made of the contracts of this version.
    """
    chain = workspace.chain
    deployer = known_deployer(workspace)
    if deployer is None:
        raise WrongChain(
            f"There are no markets of this dcai on {chain.url_label} (chain {chain.chain_id}) yet.",
            hint="See what making one takes: dcai market create --help",
        )
    address = _meant(workspace, deployer, name_or_address, account)
    is_our_market(chain, deployer, address)
    return address


def _meant(workspace: Workspace, deployer: str, wanted: str | None, account: str | None) -> str:
    from eth_utils.address import to_checksum_address

    chain, ledger = workspace.chain, workspace.ledger
    if wanted is None:
        known = ledger.markets(chain.key, closed=False) or ledger.markets(chain.key)
        if len(known) == 1:
            return known[0]
        raise UsageError(
            "There are several markets." if known else "You take part in no market of this chain.",
            hint="Name one, as they are called in: dcai market status",
        )
    if _ADDRESS.fullmatch(wanted):
        return to_checksum_address(wanted)
    provider, slash, name = wanted.rpartition("/")
    if slash and _ADDRESS.fullmatch(provider) is None:
        provider = acting_account(workspace, provider).address
    elif not slash:
        provider = acting_account(workspace, account).address
    own = market_address(deployer, provider, name)
    if chain.view(FACTORY, factory_address(deployer), "isMarket", own):
        return own
    found = [] if slash else _called(workspace, deployer, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"Several markets are called {name}: {', '.join(found)}.", hint="Name one by its address."
        )
    raise UsageError(
        f"No market is called {wanted!r} on this chain.",
        hint="See which there are: dcai market status",
    )


def _called(workspace: Workspace, deployer: str, name: str) -> list[str]:
    """The markets of a name: those that are ours, if there are any."""
    chain = workspace.chain
    found = [one for one in listed_markets(workspace) if market_name(chain, one) == name]
    if len(found) < 2:
        return found
    return [one for one in found if _is_ours(chain, deployer, one)] or found


def _is_ours(chain: Chain, deployer: str, address: str) -> bool:
    try:
        is_our_market(chain, deployer, address)
    except WrongChain:
        return False
    return True


def market_name(chain: Chain, address: str) -> str | None:
    """What a market is called; None if nobody can read it.

    The model that it becomes says so, and its provider can have named a registry that makes anything.
    """
    trainer = chain.view(MARKET, address, "trainer")
    try:
        return str(chain.view("CollaborativeTrainer", trainer, "name"))
    except (Reverted, WrongChain, GasTooHigh, RpcError):
        return None


def listed_markets(workspace: Workspace) -> list[str]:
    """The addresses of all markets that the chain's factory made, oldest first."""
    chain, deployer = workspace.chain, known_deployer(workspace)
    markets: list[str] = []
    while deployer is not None:
        page = chain.view(FACTORY, factory_address(deployer), "markets", len(markets), PAGE)
        if not page:
            break
        markets += page
    return markets


@dataclass(frozen=True, slots=True)
class Next:
    """What comes next in a market.

    Args:
        who: `provider`, `participants`, `anybody` or `nobody`.
        what: in a few words.
        command: what does it; empty if only time does.
        until: until when, by the chain's clock; None if no clock counts.
    """

    who: str
    what: str
    command: str
    until: int | None = None


def what_next(market: Market) -> Next:
    """What a market waits for, and which command does it."""
    named = market.address
    reveal, step = f"dcai market reveal {named}", f"dcai market step {named}"
    if market.is_missed:
        return Next("anybody", "end it, since the provider missed a deadline", f"dcai market collect {named}")
    if market.phase in ENDED:
        return _collecting(market)
    if market.phase in STEPPING:
        return Next("anybody", f"take the steps of {market.phase}, for a fee each", step)
    last = market.draw_block + KNOWN_HASHES
    draw = f"let block {market.draw_block} draw the first piece, before block {last}, and show it"
    full = "wait: it is full" if market.is_full else "take part"
    join = "" if market.is_full else f"dcai market join {named} FILE"
    return {
        "drawing": Next("provider", draw, reveal, market.open_until),
        "opening": Next("provider", f"show piece {market.drawn_piece}", reveal, market.open_until),
        "participating": Next("participants", full, join, market.participate_until),
        "revealing": Next(
            "participants", "show their samples, or lose their stakes", reveal, market.reveal_until
        ),
        "testing": Next("provider", "show the other pieces", reveal, market.tests_until),
        "tested": Next("anybody", f"let block {market.draw_block} draw the orders", step),
    }[market.stage]


def _collecting(market: Market) -> Next:
    if not market.left_wei and not any(one.owed_wei for one in market.participants):
        return Next("nobody", "nothing: all is collected", "")
    what = "collect what they are owed"
    if market.left_wei and market.now < market.left_from:
        what += f"; the provider in {format_duration(market.left_from - market.now)}"
    return Next("participants", what, f"dcai market collect {market.address}")


def is_made(workspace: Workspace, address: str) -> bool:
    """Whether the chain's factory made a market; one that was to be made may never have been."""
    deployer = known_deployer(workspace)
    if deployer is None:
        return False
    return bool(workspace.chain.view(FACTORY, factory_address(deployer), "isMarket", address))


def verified(workspace: Workspace, address: str) -> str:
    """The address of a market, found to be ours.

    Raises:
        WrongChain: it is not made of the contracts of this version.
    """
    deployer = known_deployer(workspace)
    assert deployer is not None
    is_our_market(workspace.chain, deployer, address)
    return address


def known_markets(workspace: Workspace, account: str | None = None) -> list[Market]:
    """The markets that this ledger takes part in and where something is to be done; all are ours.

    Args:
        workspace: the opened parts.
        account: only of this account.
    """
    chain = workspace.chain
    addresses = workspace.ledger.markets(chain.key, account, closed=False)
    made = [address for address in addresses if is_made(workspace, address)]
    return [read_market(chain, verified(workspace, address)) for address in made]


def all_markets(workspace: Workspace) -> list[Market]:
    """All markets of the chain's factory that are ours, oldest first."""
    found = []
    for address in listed_markets(workspace):
        try:
            found.append(read_market(workspace.chain, verified(workspace, address)))
        except (BadInput, Reverted, WrongChain, GasTooHigh):
            # Somebody named another registry, or wrote a spec of his own: that hides no other market.
            continue
    return found
