"""The money and the hashes of a prediction market, in the integers of its contract (`PredictionMarket.sol`).

A round pays each participant its score in test samples, each worth `bounty / rounds / tests / orders`. There
are as many rounds as the rules say, or fewer if the bounty does not last. Whoever harmed pays of its stake
instead, which is burned, so long as it lasts, and is removed, however small the harm. All rounds pay the
same, so they need not be played: they are multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from dcai_cli.chain import abi
from dcai_cli.errors import BadInput
from dcai_cli.hashing import keccak256

MAX_PARTICIPANTS = 64
MAX_PIECES = 112
MAX_TESTS = 224
MAX_UNITS = 1024
MAX_ROUNDS = 10**6
MAX_ORDERS = 32
DRAW_DELAY_BLOCKS = 4
"""A draw is by the block that comes so many after what is drawn for."""

KNOWN_HASHES = 256
"""So many blocks later its hash is out of reach."""

WORDS_PER_FEE = 4
"""Words of a model that a step counts like a contribution."""

DRAW_FEES = 24
"""Drawing the orders pays like so many contributions."""

MAX_STORED_BYTES = 24_575
"""Bytes of a piece, or of one participant's samples, at most: they are stored as the code of a contract. The
contract notices only when they are revealed, and the stake is lost then."""

WEIGHT_LIMIT = 32_767 - MAX_UNITS
"""Weights that training begins with are within +- this: contributions cannot take one to its limit then."""

_PIECE = [{"type": name} for name in ("uint256", "address", "uint256", "uint256", "bytes32", "bytes")]
_COMMITMENT = [{"type": name} for name in ("uint256", "address", "address", "uint256", "bytes32", "bytes")]
_DRAW = [{"type": name} for name in ("bytes32", "address")]


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What holds in a market: the struct of the contracts, in its order.

    Args:
        pieces: the hashes of the pieces of the test set, 2 to 112.
        piece_samples: how many samples every piece has; at most 224 in all.
        orders: in so many orders the contributions are tried, 1 to 32.
        max_units: units of all contributions, 1 to 1,024.
        max_units_each: units of one participant.
        rounds: how often at most the test is paid for, 1 to 1,000,000.
        open_s: within so many seconds the drawn piece must be shown.
        participate_s: so long contributions are committed.
        reveal_s: so long they are revealed.
        tests_s: so long the provider has to reveal the other pieces.
        collect_s: so long after the outcome the provider waits for what is left.
        bounty_wei: what is shared out.
        stake_wei: what the first unit costs.
        step_fee_wei: what a step earns for each contribution, and for every four words.

    Raises:
        BadInput: no market can have these rules.
    """

    pieces: tuple[bytes, ...]
    piece_samples: int
    orders: int
    max_units: int
    max_units_each: int
    rounds: int
    open_s: int
    participate_s: int
    reveal_s: int
    tests_s: int
    collect_s: int
    bounty_wei: int
    stake_wei: int
    step_fee_wei: int

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise BadInput(f"No market can have these rules: {problem}.")

    @property
    def tests(self) -> int:
        """Test samples in all pieces."""
        return len(self.pieces) * self.piece_samples

    @property
    def round_wei(self) -> int:
        """What a test sample more or less in one of the orders is worth in a round."""
        return self.bounty_wei // (self.rounds * self.tests * self.orders)

    @property
    def test_wei(self) -> int:
        """What a test sample more or less in all orders is worth in all rounds."""
        return self.round_wei * self.rounds * self.orders

    def quote(self, units: int, taken: int) -> int:
        """What units cost: each one more than the one before, the last of the quota twice the first.

        Args:
            units: how many.
            taken: how many are taken already.

        Returns:
            The stake in wei, rounded up.
        """
        rise = self.stake_wei * units * (2 * taken + units)
        return self.stake_wei * units - (-rise // (2 * self.max_units))

    def reserve_wei(self, total_words: int) -> int:
        """What must be paid beyond the bounty, for steps.

        Args:
            total_words: words of the model.
        """
        words = -(-total_words // WORDS_PER_FEE)
        steps = DRAW_FEES + (self.orders + 1) * self.max_units + (2 * self.orders + 2) * words
        return steps * self.step_fee_wei

    def as_tuple(self) -> tuple[object, ...]:
        """The struct `MarketRules` of the contracts, in its order."""
        return astuple(self)

    def _problem(self) -> str:
        """What the contract refuses about them, or nothing."""
        times = {
            "open": self.open_s,
            "participate": self.participate_s,
            "reveal": self.reveal_s,
            "tests": self.tests_s,
        }
        ranges = {
            "pieces": (len(self.pieces), 2, MAX_PIECES),
            "test samples": (self.tests, 1, MAX_TESTS),
            "orders": (self.orders, 1, MAX_ORDERS),
            "units": (self.max_units, 1, MAX_UNITS),
            "units of one participant": (self.max_units_each, 1, 2**16 - 1),
            "rounds": (self.rounds, 1, MAX_ROUNDS),
            **{f"seconds to {name}": (seconds, 1, 2**32 - 1) for name, seconds in times.items()},
            "seconds to collect": (self.collect_s, 0, 2**32 - 1),
            "bounty in wei": (self.bounty_wei, self.rounds * self.tests * self.orders, 2**128 - 1),
            "stake in wei": (self.stake_wei, 1, 2**96 - 1),
            "fee of a step in wei": (self.step_fee_wei, 0, 2**128 - 1),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                return f"{name}: {value:,}, where a market takes {low:,} to {high:,}"
        return ""


@dataclass(frozen=True, slots=True)
class Stake:
    """What somebody brought into a settlement.

    Args:
        stake_wei: what it paid.
        score: what its contributions changed, in test samples, in all orders together.
        revealed: whether it showed its samples; its stake is burned if not.
    """

    stake_wei: int
    score: int = 0
    revealed: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a participant.

    Args:
        reward_wei: what it gets of the bounty.
        burned_wei: what it lost of its stake.
        removed: whether it harmed, so that its contributions are taken out.
        owed_wei: what it can collect.
    """

    reward_wei: int
    burned_wei: int
    removed: bool
    owed_wei: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How the bounty is shared out.

    Args:
        rounds: how many rounds the bounty lasted for.
        round_wei: what a test sample of one order was worth in each.
        outcomes: by number of the participant.
        left_wei: what of the bounty is left to the provider.
    """

    rounds: int
    round_wei: int
    outcomes: tuple[Outcome, ...]
    left_wei: int

    @property
    def rewards_wei(self) -> int:
        """What was paid of the bounty."""
        return sum(outcome.reward_wei for outcome in self.outcomes)

    @property
    def burned_wei(self) -> int:
        """What was burned of stakes: of those who harmed, and of those who showed nothing."""
        return sum(outcome.burned_wei for outcome in self.outcomes)

    @property
    def removed(self) -> frozenset[int]:
        """The numbers of the participants whose contributions are taken out."""
        return frozenset(number for number, outcome in enumerate(self.outcomes) if outcome.removed)


def settle(rules: MarketRules, stakes: Sequence[Stake]) -> Settlement:
    """Share out a bounty.

    Args:
        rules: of the market.
        stakes: by number of the participant.

    >>> rules = MarketRules((bytes(32),) * 2, 5, 1, 100, 10, 100, 60, 60, 60, 60, 0, 10_000, 50, 0)
    >>> settlement = settle(rules, [Stake(500, 4), Stake(500, -7)])
    >>> settlement.rounds, settlement.left_wei, sorted(settlement.removed)
    (100, 6000, [1])
    """
    round_wei = rules.round_wei
    gains = sum(stake.score for stake in stakes if stake.score > 0)
    rounds = min(rules.rounds, rules.bounty_wei // (gains * round_wei)) if gains else rules.rounds
    outcomes = tuple(_outcome(stake, rounds, round_wei) for stake in stakes)
    left_wei = rules.bounty_wei - sum(outcome.reward_wei for outcome in outcomes)
    return Settlement(rounds, round_wei, outcomes, left_wei)


def _outcome(stake: Stake, rounds: int, round_wei: int) -> Outcome:
    if not stake.revealed:
        return Outcome(0, stake.stake_wei, removed=False, owed_wei=0)
    if stake.score >= 0:
        reward_wei = rounds * stake.score * round_wei
        return Outcome(reward_wei, 0, removed=False, owed_wei=stake.stake_wei + reward_wei)
    debit_wei = -stake.score * round_wei
    lasted = min(rounds, stake.stake_wei // debit_wei)
    burned_wei = lasted * debit_wei
    return Outcome(0, burned_wei, removed=True, owed_wei=stake.stake_wei - burned_wei)


def piece_hash(chain_id: int, market: str, index: int, count: int, salt: bytes, payload: bytes) -> bytes:
    """The hash by which a provider commits to a piece of its test set.

    Args:
        chain_id: of the chain.
        market: the address of the market.
        index: the number of the piece.
        count: how many pieces there are.
        salt: 32 bytes that nobody can guess.
        payload: the samples of the piece.
    """
    return keccak256(abi.encode(_PIECE, (chain_id, market, index, count, salt, payload)))


def commitment_of(chain_id: int, market: str, account: str, units: int, salt: bytes, payload: bytes) -> bytes:
    """The hash by which a participant commits to its samples.

    Args:
        chain_id: of the chain.
        market: the address of the market.
        account: the address of the participant.
        units: the units of all samples.
        salt: 32 bytes that nobody can guess.
        payload: the samples.
    """
    return keccak256(abi.encode(_COMMITMENT, (chain_id, market, account, units, salt, payload)))


def drawn(mix_hash: bytes, market: str) -> bytes:
    """What a block draws for a market: the seed of the order or, modulo their number, a piece.

    Args:
        mix_hash: the field of that name in the block's header.
        market: the address of the market.
    """
    return keccak256(abi.encode(_DRAW, (mix_hash, market)))
