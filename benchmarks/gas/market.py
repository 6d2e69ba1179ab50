"""A prediction market on a chain, from its creation to its published model, by the transactions of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Protocol

from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, GasTooHigh, Receipt
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.headers import mix_hash
from dcai_cli.chain.market import (
    DRAW_DELAY_BLOCKS,
    WORDS_PER_FEE,
    MarketRules,
    commitment_of,
    drawn,
    piece_hash,
)
from dcai_cli.chain.registry import (
    DATA_HANDLER,
    INCENTIVE_CONTRACTS,
    MODEL_CONTRACTS,
    TRAINER,
    code_hash,
    constructor_arguments,
)
from dcai_cli.domain import MAX_BATCH_SAMPLES, ModelParams
from dcai_cli.features.payload import UNIT_INFLUENCE
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.hashing import keccak256
from dcai_cli.models.samples import split_samples

HOUR_S = 3_600
DAY_S = 86_400
TERMS = (DAY_S, 2 * DAY_S, 7 * DAY_S, 9 * DAY_S, DAY_S, 3_600, 10**11)
WORDS_PER_WRITE = 400
MOST_STEP_GAS = 16_000_000
"""A step is made as large as fits into that much."""


class Phase(IntEnum):
    """What a market waits for: the enum of the contracts."""

    DRAWING = 0
    OPENING = 1
    OPEN = 2
    TESTED = 3
    EVALUATING = 4
    RESETTING = 5
    REPLAYING = 6
    PUBLISHING = 7
    PUBLISHED = 8
    FAILED = 9


class Ground(Protocol):
    """A chain, its clock, and what it takes to send a transaction."""

    @property
    def chain(self) -> Chain:
        """The chain."""

    def account(self, name: str) -> LocalAccount:
        """The rich account that belongs to a name."""

    def wait(self, seconds: int) -> None:
        """Let the next block come so much later."""

    def mine(self, blocks: int) -> None:
        """Mine blocks with nothing in them."""

    def send(self, account: LocalAccount, to: str | None, data: bytes, value_wei: int = 0) -> Receipt:
        """Mine one transaction in a block of its own; it must succeed."""


@dataclass(frozen=True)
class Plan:
    """A market to play.

    Args:
        name: of the market, and of its model.
        params: the shape of the model.
        pieces: the samples of each piece of the test set.
        payloads: the samples of each participant.
        bounty_wei: what is shared out.
        rounds: how often at most the test is paid for.
        stake_wei: what the first unit costs.
        max_units: the quota.
        orders: in so many orders the contributions are scored.
        step_fee_wei: what a step earns for each contribution.
        silent: the numbers of participants who reveal nothing.
        words: words that training begins with, by their number.
    """

    name: str
    params: ModelParams
    pieces: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    bounty_wei: int
    rounds: int
    stake_wei: int
    max_units: int
    orders: int = 1
    step_fee_wei: int = 10**9
    silent: frozenset[int] = frozenset()
    words: Mapping[int, int] = field(default_factory=dict)

    @property
    def revealed(self) -> list[bytes]:
        """The samples of each participant that it reveals."""
        return [b"" if who in self.silent else payload for who, payload in enumerate(self.payloads)]

    def units(self, payload: bytes) -> int:
        """The units of some samples."""
        return sum(-(-(len(sample) - 3) // 2 // UNIT_INFLUENCE) for sample in self._split(payload))

    def rules(self, hashes: tuple[bytes, ...]) -> MarketRules:
        """The rules, with the hashes of the pieces."""
        return MarketRules(
            pieces=hashes,
            piece_samples=len(self._split(self.pieces[0])),
            orders=self.orders,
            max_units=self.max_units,
            max_units_each=self.max_units,
            rounds=self.rounds,
            open_s=HOUR_S,
            participate_s=DAY_S,
            reveal_s=DAY_S,
            tests_s=DAY_S,
            collect_s=HOUR_S,
            bounty_wei=self.bounty_wei,
            stake_wei=self.stake_wei,
            step_fee_wei=self.step_fee_wei,
        )

    def _split(self, payload: bytes) -> list[bytes]:
        return split_samples(payload, self.params.wire)


@dataclass(frozen=True)
class Site:
    """The contracts that markets are made with.

    Args:
        ground: where they are.
        registry: the address of the registry of models.
        markets: the address of what makes markets.
    """

    ground: Ground
    registry: str
    markets: str


def build_site(ground: Ground) -> Site:
    """Deploy registry, implementations, and what makes markets."""
    chain, owner = ground.chain, ground.account("owner")
    registry = _deploy(ground, owner, "ModelRegistry", *constructor_arguments())
    for name in (TRAINER, MODEL_CONTRACTS["perceptron"], INCENTIVE_CONTRACTS["stake"], DATA_HANDLER):
        ground.send(owner, registry, chain.encode("ModelRegistry", "install", [artifact(name).bytecode]))
    market, replay = (_deploy(ground, owner, name) for name in ("PredictionMarket", "MarketReplay"))
    return Site(ground, registry, _deploy(ground, owner, "PredictionMarkets", market, replay))


def _deploy(ground: Ground, owner: LocalAccount, contract: str, *args: object) -> str:
    address = ground.send(owner, None, ground.chain.encode_deploy(contract, *args)).contract_address
    assert address is not None
    return address


class Market:
    """A market that is played.

    Args:
        site: where it is made.
        plan: what it is.
    """

    def __init__(self, site: Site, plan: Plan) -> None:
        self.plan = plan
        self.site = site
        self.ground, self.chain = site.ground, site.ground.chain
        self.provider = self.ground.account("provider")
        self.stepper = self.ground.account("stepper")
        self.participants = [
            self.ground.account(f"participant {number}") for number in range(len(plan.payloads))
        ]
        self.address = str(
            self.chain.view("PredictionMarkets", site.markets, "addressOf", self.provider.address, plan.name)
        )
        count = len(plan.pieces)
        self.rules = plan.rules(
            tuple(
                piece_hash(
                    self.chain.chain_id, self.address, index, count, self.salt(f"piece {index}"), piece
                )
                for index, piece in enumerate(plan.pieces)
            )
        )
        self.gas: dict[Phase, list[int]] = defaultdict(list)
        """The gas of each transaction of the reward phase, by what it did."""

        self.stakes_wei: list[int] = []
        """What each participant paid."""

        self.logs: dict[str, list[Any]] = defaultdict(list)
        """The arguments of events of market and replay, by their names."""

    def salt(self, what: str) -> bytes:
        """A salt that belongs to a thing of this market."""
        return keccak256(f"{self.plan.name}: {what}".encode())

    @cached_property
    def trainer(self) -> str:
        """The address of the model's trainer."""
        return str(self.view("trainer"))

    def view(self, function: str, *args: object) -> Any:  # noqa: ANN401 - by ABI
        """Ask the market."""
        return self.chain.view("PredictionMarket", self.address, function, *args)

    @property
    def phase(self) -> Phase:
        """What it waits for."""
        return Phase(self.view("phase"))

    def call(self, sender: LocalAccount, function: str, *args: object, value_wei: int = 0) -> Receipt:
        """Send it a transaction, and note its events."""
        data = self.chain.encode("PredictionMarket", function, *args)
        receipt = self.ground.send(sender, self.address, data, value_wei)
        for contract in ("PredictionMarket", "MarketReplay"):
            for event in self.chain.events(contract, receipt):
                self.logs[event.name].append(event.args)
        return receipt

    # Until the order is drawn

    def create(self) -> None:
        """Make it, for bounty and reserve, and write the words that training begins with."""
        plan, params = self.plan, self.plan.params
        # Fewer than 256 features are words of a vocabulary, never hashes.
        words = [f"w{number}" for number in range(params.n_features)] if params.n_features < 256 else ()
        spec = FeatureSpec.text(
            labels=["neg", "pos"],
            n_features=params.n_features,
            max_features=params.max_features,
            vocabulary=words,
        )
        codes = (code_hash(MODEL_CONTRACTS["perceptron"]), code_hash(INCENTIVE_CONTRACTS["stake"]))
        what = (plan.name, spec.to_json(), *codes, params.as_tuple(), TERMS, self.rules.as_tuple())
        data = self.chain.encode("PredictionMarkets", "create", self.site.registry, what)
        self.ground.send(self.provider, self.site.markets, data, self.paid_wei)
        for first, run in _runs(plan.words):
            self.call(self.provider, "writeInitialWeights", first, run)

    @property
    def paid_wei(self) -> int:
        """Bounty and reserve."""
        return self.plan.bounty_wei + self.rules.reserve_wei(self.plan.params.total_words)

    def open(self) -> None:
        """Draw a piece of the test set and show it."""
        self.call(self.stepper, "drawPiece", self._header())
        self._reveal_piece(int(self.view("drawnPiece")))

    def commit(self) -> None:
        """Stake and commit, each participant, in the order of their numbers."""
        taken = 0
        for number, (account, payload) in enumerate(zip(self.participants, self.plan.payloads, strict=True)):
            units = self.plan.units(payload)
            stake_wei = self.rules.quote(units, taken)
            commitment = commitment_of(
                self.chain.chain_id, self.address, account.address, units, self._own_salt(number), payload
            )
            self.call(account, "commit", commitment, units, value_wei=stake_wei)
            self.stakes_wei.append(stake_wei)
            taken += units

    def reveal(self) -> None:
        """Show all samples, then what is left of the test set."""
        self.ground.wait(self.rules.participate_s)
        # Not in the order of their numbers: it does not matter.
        for number in reversed(range(len(self.participants))):
            if number not in self.plan.silent:
                salt = self._own_salt(number)
                self.call(self.participants[number], "reveal", salt, self.plan.payloads[number])
        self.ground.wait(self.rules.reveal_s)
        shown = int(self.view("drawnPiece"))
        for index in range(len(self.plan.pieces)):
            if index != shown:
                self._reveal_piece(index)

    # The reward phase

    def draw(self) -> None:
        """Draw the order."""
        self.gas[Phase.TESTED].append(self.call(self.stepper, "drawOrder", self._header()).gas_used)

    def finish(self, limit: Callable[[], int]) -> None:
        """Do all the work, in steps.

        Args:
            limit: how much the next step does at most.
        """
        while (phase := self.phase) < Phase.PUBLISHED:
            self.gas[phase].append(self.call(self.stepper, "step", limit()).gas_used)

    def largest_step(self) -> int:
        """All that is left of the phase, halved until it fits into a transaction: by the node's estimate."""
        by_words = self.phase in {Phase.RESETTING, Phase.PUBLISHING}
        limit = -(-self.plan.params.total_words // WORDS_PER_FEE) if by_words else MAX_BATCH_SAMPLES
        while not self._fits(limit):
            limit = -(-limit // 2)
        return limit

    def _fits(self, limit: int) -> bool:
        data = self.chain.encode("PredictionMarket", "step", limit)
        try:
            return self.chain.estimate_gas(self.stepper.address, self.address, data) <= MOST_STEP_GAS
        except GasTooHigh:
            return False

    def play(self, limit: Callable[[], int]) -> None:
        """All of it, until the model is published."""
        self.create()
        self.open()
        self.commit()
        self.reveal()
        self.draw()
        self.finish(limit)

    def collect(self) -> dict[str, int]:
        """Pay everybody; what each got, by address."""
        self.ground.wait(self.rules.collect_s)
        for account in self.participants:
            if self.view("participantOf", account.address)[-1]:
                self.call(self.stepper, "collect", account.address)
        if self.view("leftWei"):
            self.call(self.stepper, "collectLeft")
        return {event["account"]: event["amountWei"] for event in self.logs["Collected"]}

    # What became of it

    @property
    def seed(self) -> bytes:
        """What the order follows from, computed from the header of the block that drew it."""
        return drawn(mix_hash(self.chain.header(int(self.view("drawBlock")))), self.address)

    def words(self) -> list[int]:
        """The words of the published model."""
        model = self.chain.view("CollaborativeTrainer", self.trainer, "model")
        return list(self.chain.view("Perceptron", model, "weights", 0, self.plan.params.total_words))

    def _header(self) -> bytes:
        """The header of the block that draws, once it is there."""
        number = int(self.view("drawBlock"))
        missing = number + 1 - self.chain.block_number()
        assert missing <= DRAW_DELAY_BLOCKS + 1
        if missing > 0:
            self.ground.mine(missing)
        return self.chain.header(number)

    def _reveal_piece(self, index: int) -> None:
        self.call(self.provider, "revealPiece", index, self.salt(f"piece {index}"), self.plan.pieces[index])

    def _own_salt(self, number: int) -> bytes:
        return self.salt(f"participant {number}")


def _runs(words: Mapping[int, int]) -> list[tuple[int, Sequence[int]]]:
    """All words from the first to the last, as many at once as fit a transaction."""
    places = range(min(words), max(words) + 1) if words else range(0)
    return [
        (places[at], [words.get(number, 0) for number in places[at : at + WORDS_PER_WRITE]])
        for at in range(0, len(places), WORDS_PER_WRITE)
    ]
