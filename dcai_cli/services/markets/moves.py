"""What is to be done in a market: draws, what must be shown, steps, what can be collected; one by one.

Every move is made of what the chain says now and of what the ledger and the key hold, so that a process may
die between any two: the next one finds what is left. The contract lets none happen twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import GasTooHigh
from dcai_cli.chain.factory import MARKET, REPLAY
from dcai_cli.chain.market import DRAW_FEES, KNOWN_HASHES, WORDS_PER_FEE
from dcai_cli.domain import MAX_BATCH_SAMPLES, format_ether
from dcai_cli.errors import BadInput
from dcai_cli.services.markets.keys import contribution_salt, piece_salt
from dcai_cli.services.markets.market import ENDED, STEPPING, Market, read_market, shown_pieces
from dcai_cli.services.transactions import ENVELOPE_BYTES, USABLE_GAS

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import Chain
    from dcai_cli.ledger import Commitment
    from dcai_cli.services.transactions import Outbox, Sent
    from dcai_cli.services.workspace import Workspace

GAS_OF_DRAW = 120_000
GAS_PER_TEST = 25_000
GAS_OF_REVEAL = 250_000
GAS_PER_BYTE = 300
GAS_PER_WORD = 31_000
GAS_OF_COLLECT = 90_000
GAS_OF_FAIL = 150_000
GAS_PER_PARTICIPANT = 40_000
"""What moves take, measured and rounded up; for questions, before anything can be estimated."""

SECONDS_PER_BLOCK = 12
"""At most so long a block takes on the chains that markets are made on."""

BYTES_OF_HEADER = 800
"""About how long the input of a draw is."""

WORDS_PER_TRANSACTION = 320
"""Words to start with that one transaction writes: into the model, and as code, to be written once more."""

MOST_WORDS_AT_ONCE = 500
"""Words that a step publishes, or takes back, at most: a fresh one takes 22,100 gas."""

SHOWING = ("draw", "again", "weights", "piece", "reveal")
STEPS = ("order", "again", "step")
COLLECTING = ("fail", "collect", "left")
"""Moves of the commands `reveal`, `step` and `collect`."""

_KINDS = {
    "draw": "market-draw",
    "order": "market-draw",
    "again": "market-draw",
    "weights": "market-reveal",
    "piece": "market-reveal",
    "reveal": "market-reveal",
    "step": "market-step",
    "fail": "market-fail",
    "collect": "market-collect",
    "left": "market-collect",
}
"""What the ledger calls their transactions."""


@dataclass(frozen=True, slots=True)
class Move:
    """Something to do in a market.

    Args:
        name: `draw` (the piece), `order`, `again` (a new block for the order), `weights`, `piece`, `reveal`,
            `step`, `fail`, `collect` or `left` (what is left of bounty and reserve).
        what: the same in words.
        gas: about what it takes.
        data_bytes: about how long its input is, for which a layer 2 charges.
        number: of the piece, or of the first word of weights; for a step, how many contributions, or times
            four words.
        pays_wei: what it pays to whoever makes it.
        at_stake_wei: what is lost if it is not made in time.
        until: when it is too late, by the chain's clock; None if it never is.
        after: the names of moves that have to be made before it, of those that `moves_now` says with it.
    """

    name: str
    what: str
    gas: int
    data_bytes: int = 68
    number: int = 0
    pays_wei: int = 0
    at_stake_wei: int = 0
    until: int | None = None
    after: tuple[str, ...] = ()

    def data_fee_wei(self, chain: Chain) -> int:
        """What a layer 2 takes for it on top of its gas; 0 elsewhere."""
        return chain.data_fee_wei(self.data_bytes + ENVELOPE_BYTES, gas=self.gas)

    def fee_wei(self, chain: Chain, price_wei: int) -> int:
        """What it costs where a unit of gas costs so much."""
        return self.gas * price_wei + self.data_fee_wei(chain)


@dataclass(frozen=True, slots=True)
class Made:
    """A move that was made.

    Args:
        market: the address of the market.
        move: the move.
        sent: its transaction.
    """

    market: str
    move: Move
    sent: Sent


def moves_now(workspace: Workspace, market: Market, address: str, names: Collection[str]) -> list[Move]:
    """What an account can do in a market now, and right after that, in order.

    Later moves can turn out otherwise: look again after each.

    Args:
        workspace: the opened parts.
        market: as it is now.
        address: the account.
        names: which moves; others are left out.
    """
    found = [*_drawing(workspace, market, address), *_showing(workspace, market, address)]
    found += [*_steps(workspace, market, address), *_collecting(market, address)]
    return [move for move in found if move.name in names]


def make_move(workspace: Workspace, outbox: Outbox, market: Market, move: Move, key: LocalAccount) -> Made:
    """Send a move and wait for it.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        outbox: of the account.
        market: as it is now.
        move: what `moves_now` says.
        key: the unlocked account.

    Raises:
        BadInput: what must be shown is not in the ledger, or is not what was committed to.
        DcaiError: as `Outbox.carry_out` does.
    """
    data = _data(workspace, market, move, key)
    sent = outbox.carry_out(kind=_KINDS[move.name], to=market.address, data=data, detail=market.address)
    return Made(market.address, move, sent)


def make_all(
    workspace: Workspace,
    outbox: Outbox,
    address: str,
    names: Collection[str],
    key: LocalAccount,
    account: str,
    progress: Callable[[str], None] = lambda _: None,
    *,
    is_worth_it: Callable[[Market, Move], bool] = lambda _market, _move: True,
) -> Iterator[Made]:
    """Make one move after the other, until there is none; each by what the chain says then.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        outbox: of the account.
        address: the market's.
        names: which moves.
        key: the unlocked account.
        account: its address.
        progress: gets a line per move.
        is_worth_it: whether to make a move; the first that is not ends it.
    """
    while True:
        market = read_market(workspace.chain, address)
        if wait_for_draw(workspace, market, names):
            market = read_market(workspace.chain, address)
        moves = moves_now(workspace, market, account, names)
        if not moves or not is_worth_it(market, moves[0]):
            return
        progress(f"{market.name}: {moves[0].what}")
        yield make_move(workspace, outbox, market, moves[0], key)


def wait_for_draw(workspace: Workspace, market: Market, names: Collection[str]) -> bool:
    """Let the embedded chain, whose blocks wait for transactions, come to the block of a draw.

    Returns:
        Whether blocks were mined.
    """
    waits = {"drawing": "draw", "tested": "order"}.get(market.phase) in names
    if not waits or not workspace.chain.is_embedded:
        return False
    missing = market.draw_block + 1 - market.block
    for _ in range(missing):
        workspace.chain.advance(0)
    return missing > 0


def blocks_to_draw(market: Market, names: Collection[str]) -> int:
    """How many blocks have to come before the next draw; 0 if none waits for any."""
    waits = {"drawing": "draw", "tested": "order"}.get(market.phase) in names
    return max(0, market.draw_block + 1 - market.block) if waits else 0


# What there is to do


def _drawing(workspace: Workspace, market: Market, address: str) -> Iterator[Move]:
    if market.is_missed or market.phase not in {"drawing", "tested"}:
        return
    if market.block > market.draw_block + KNOWN_HASHES:
        yield Move("again", "let another block draw the orders, since nobody took the last one", GAS_OF_DRAW)
    elif _is_drawable(workspace, market):
        if market.phase == "tested":
            what, pays_wei = "draw the orders of all samples", DRAW_FEES * market.rules.step_fee_wei
            yield Move("order", what, _gas_of_order(workspace, market), BYTES_OF_HEADER, pays_wei=pays_wei)
            return
        blocks = market.draw_block + KNOWN_HASHES - market.block
        yield Move(
            "draw",
            "draw the piece that is shown first",
            GAS_OF_DRAW,
            BYTES_OF_HEADER,
            at_stake_wei=_half_wei(market) if market.is_provider(address) else 0,
            until=min(market.open_until, market.now + blocks * SECONDS_PER_BLOCK),
        )


def _gas_of_order(workspace: Workspace, market: Market) -> int:
    """What drawing the orders takes; about that before the header of its block is there."""
    chain = workspace.chain
    if market.block <= market.draw_block:
        return GAS_OF_DRAW + GAS_PER_TEST * market.rules.tests
    data = chain.encode(MARKET, "drawOrder", chain.header(market.draw_block))
    return chain.estimate_gas(market.provider, market.address, data)


def _is_drawable(workspace: Workspace, market: Market) -> bool:
    """Whether the block of a draw is there, or comes as soon as it is wanted."""
    return market.block > market.draw_block or workspace.chain.is_embedded


def _showing(workspace: Workspace, market: Market, address: str) -> Iterator[Move]:
    if market.is_missed:
        return
    own = market.participant(address)
    if market.stage == "revealing" and own is not None and not own.samples:
        kept = _kept_contribution(workspace, market, address, own.commitment)
        size = 0 if kept is None else len(kept.payload)
        yield Move(
            "reveal",
            "show your samples",
            GAS_OF_REVEAL + GAS_PER_BYTE * size,
            100 + size,
            at_stake_wei=own.stake_wei,
            until=market.reveal_until,
        )
    if market.is_provider(address):
        yield from _showing_tests(workspace, market, address)


def _showing_tests(workspace: Workspace, market: Market, address: str) -> Iterator[Move]:
    """What the provider has to show; the weights that training begins with go before the first piece.

    Without them it cannot be shown: as much is at stake.
    """
    chain, rules = workspace.chain, market.rules
    at_stake_wei = _half_wei(market)
    if market.phase in {"drawing", "opening"}:
        for chunk in workspace.ledger.kept(chain.key, address, market.address, kind="weights"):
            if not _is_written(workspace, market, chunk):
                count = len(chunk.payload) // 32
                what = f"write {count:,} words to start with, from word {chunk.number:,} on"
                gas = GAS_OF_REVEAL + GAS_PER_WORD * count
                yield Move(
                    "weights",
                    what,
                    gas,
                    100 + 32 * count,
                    chunk.number,
                    at_stake_wei=at_stake_wei,
                    until=market.open_until,
                    after=("weights",),
                )
        if market.phase == "opening":
            yield _piece_move(market, market.drawn_piece, at_stake_wei, market.open_until, ("weights",))
        elif _is_drawable(workspace, market):
            yield _piece_move(market, None, at_stake_wei, market.open_until, ("draw", "weights"))
    elif market.stage == "testing":
        for index in sorted(set(range(len(rules.pieces))) - shown_pieces(workspace, market)):
            yield _piece_move(market, index, at_stake_wei, market.tests_until)


def _half_wei(market: Market) -> int:
    """What of the bounty is burned if the provider misses a deadline."""
    return market.rules.bounty_wei - market.rules.bounty_wei // 2


def _piece_move(
    market: Market, index: int | None, at_stake_wei: int, until: int, after: tuple[str, ...] = ()
) -> Move:
    what = "show the piece that was drawn" if index is None else f"show piece {index} of the test set"
    size = 130 * market.rules.piece_samples
    gas = GAS_OF_REVEAL + GAS_PER_BYTE * size
    return Move(
        "piece", what, gas, 132 + size, index or 0, at_stake_wei=at_stake_wei, until=until, after=after
    )


def _steps(workspace: Workspace, market: Market, address: str) -> Iterator[Move]:
    if market.phase not in STEPPING:
        return
    limit, gas = _largest_step(workspace, market, address)
    # The contract says what it counts: of the words that the provider began with, a step takes a whole part.
    done = workspace.chain.view(MARKET, market.address, "step", limit)
    what = f"a step of {market.phase}"
    yield Move("step", what, gas, number=limit, pays_wei=done * market.rules.step_fee_wei)


def units_to_do(market: Market) -> int:
    """How many contributions, or times four words, are left of a phase of steps."""
    words = market.model.params.total_words
    left = {
        "evaluating": market.samples - market.cursor,
        # What the provider began with is counted as it was written; a step takes one such part, however long.
        "resetting": -(-max(0, words - market.cursor) // WORDS_PER_FEE),
        "replaying": market.kept_samples - market.cursor,
        "publishing": -(-(words - market.words_published) // WORDS_PER_FEE),
    }
    return max(1, left[market.phase])


def _largest_step(workspace: Workspace, market: Market, address: str) -> tuple[int, int]:
    """As much as fits a transaction, and its gas."""
    chain = workspace.chain
    words = market.phase in {"resetting", "publishing"}
    limit = min(units_to_do(market), MOST_WORDS_AT_ONCE // WORDS_PER_FEE if words else MAX_BATCH_SAMPLES)
    while True:
        try:
            gas = chain.estimate_gas(address, market.address, chain.encode(MARKET, "step", limit))
        except GasTooHigh:
            gas = USABLE_GAS + 1
        if gas <= USABLE_GAS:
            return limit, gas
        if limit == 1:
            raise GasTooHigh(
                f"A step of {market.name} with one contribution does not fit a transaction.",
                hint="A sample of it changes too many words of the model; the market cannot go on.",
            )
        limit //= 2


def _collecting(market: Market, address: str) -> Iterator[Move]:
    if market.is_missed:
        gas = GAS_OF_FAIL + GAS_PER_PARTICIPANT * len(market.participants)
        own = market.participant(address)
        pays_wei = 0 if own is None or (not own.samples and market.phase == "open") else own.stake_wei
        what = "end it, since the provider missed a deadline"
        if market.phase != "open" or market.samples:
            what += f": {format_ether(_half_wei(market))} of the bounty are burned"
        yield Move("fail", what, gas, pays_wei=pays_wei)
    own = market.participant(address)
    if own is not None and own.owed_wei:
        what = f"collect {format_ether(own.owed_wei)}"
        yield Move("collect", what, GAS_OF_COLLECT, pays_wei=own.owed_wei)
    is_left = market.phase in ENDED and market.left_wei and market.now >= market.left_from
    if is_left and market.is_provider(address):
        what = f"collect {format_ether(market.left_wei)} that is left of bounty and reserve"
        yield Move("left", what, GAS_OF_COLLECT, pays_wei=market.left_wei)


# How it is done


def _data(workspace: Workspace, market: Market, move: Move, key: LocalAccount) -> bytes:
    """The input of a move."""
    chain = workspace.chain
    arguments: dict[str, Callable[[], tuple[str, *tuple[object, ...]]]] = {
        "draw": lambda: ("drawPiece", chain.header(market.draw_block)),
        "order": lambda: ("drawOrder", chain.header(market.draw_block)),
        "again": lambda: ("drawAgain",),
        "weights": lambda: ("writeInitialWeights", move.number, _kept_words(workspace, market, move, key)),
        "piece": lambda: ("revealPiece", move.number, *_shown_piece(workspace, market, move.number, key)),
        "reveal": lambda: ("reveal", *_shown_contribution(workspace, market, key)),
        "step": lambda: ("step", move.number),
        "fail": lambda: ("fail",),
        "collect": lambda: ("collect", key.address),
        "left": lambda: ("collectLeft",),
    }
    return chain.encode(MARKET, *arguments[move.name]())


def _kept_words(workspace: Workspace, market: Market, move: Move, key: LocalAccount) -> list[int]:
    chunks = workspace.ledger.kept(workspace.chain.key, key.address, market.address, kind="weights")
    return next(_words(one) for one in chunks if one.number == move.number)


def _shown_piece(workspace: Workspace, market: Market, index: int, key: LocalAccount) -> tuple[bytes, bytes]:
    """Salt and samples of a piece."""
    salt = piece_salt(key, workspace.chain.chain_id, market.address, index)
    return salt, _kept_piece(workspace, market, key.address, index).payload


def _shown_contribution(workspace: Workspace, market: Market, key: LocalAccount) -> tuple[bytes, bytes]:
    """Salt and samples of one's contribution."""
    own = market.participant(key.address)
    assert own is not None
    kept = _kept_contribution(workspace, market, key.address, own.commitment)
    if kept is None:
        raise _not_kept(market, "the samples that you committed to")
    return contribution_salt(key, workspace.chain.chain_id, market.address), kept.payload


def _kept_piece(workspace: Workspace, market: Market, address: str, index: int) -> Commitment:
    wanted = market.rules.pieces[index]
    pieces = workspace.ledger.kept(workspace.chain.key, address, market.address, kind="piece")
    found = next((one for one in pieces if one.hash == wanted), None)
    if found is None:
        raise _not_kept(market, f"piece {index} of the test set")
    return found


def _kept_contribution(
    workspace: Workspace, market: Market, address: str, commitment: bytes
) -> Commitment | None:
    kept = workspace.ledger.kept(workspace.chain.key, address, market.address, kind="contribution")
    return next((one for one in kept if one.hash == commitment), None)


def _not_kept(market: Market, what: str) -> BadInput:
    return BadInput(
        f"This ledger does not have {what} for the market {market.name} ({market.address}).",
        hint="Type the command that committed to it again, with the same file: it writes it down anew. Or "
        "bring back a backup: dcai ledger restore FILE",
    )


def _words(chunk: Commitment) -> list[int]:
    return [int.from_bytes(chunk.payload[at : at + 32], "big") for at in range(0, len(chunk.payload), 32)]


def _is_written(workspace: Workspace, market: Market, chunk: Commitment) -> bool:
    working = workspace.chain.view(REPLAY, market.replay, "working")
    words = _words(chunk)
    present = workspace.chain.view("Perceptron", working, "weights", chunk.number, len(words))
    return list(present) == words
