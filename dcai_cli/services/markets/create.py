"""Making a market: a hidden test set in pieces, a bounty, and the model that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain.factory import FACTORY, REPLAY, factory_address, market_address, model_codes
from dcai_cli.chain.market import MAX_TESTS, WEIGHT_LIMIT, MarketRules
from dcai_cli.chain.registry import DATA_HANDLER, INCENTIVE_CONTRACTS, MODEL_CONTRACTS, TRAINER
from dcai_cli.domain import PERCEPTRON, ModelParams, Terms, format_ether
from dcai_cli.errors import BadInput, InsufficientFunds, UsageError
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.hashing import keccak256
from dcai_cli.ledger import Commitment
from dcai_cli.services.accounts import ActingAccount, Password, acting_account, unlock
from dcai_cli.services.cost import Cost
from dcai_cli.services.limits import check_name, check_spec, check_terms
from dcai_cli.services.markets.draws import caveat, check_draws
from dcai_cli.services.markets.factory import cost_of_ready_deployer, known_deployer, ready_deployer
from dcai_cli.services.markets.keys import committed_pieces
from dcai_cli.services.markets.market import Market, read_market
from dcai_cli.services.markets.moves import (
    GAS_OF_DRAW,
    GAS_PER_WORD,
    WORDS_PER_TRANSACTION,
    make_all,
)
from dcai_cli.services.models import read_words
from dcai_cli.services.registry import cost_of_ready_registry, ready_registry
from dcai_cli.services.transactions import Outbox, Sent, finish

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.workspace import Workspace

GAS_PER_MARKET = 1_600_000
GAS_PER_PIECE = 25_000
GAS_PER_SPEC_BYTE = 220
"""What making a market takes, measured and rounded up."""

GAS_PER_STEP = {4_096: 150_000, 16_384: 320_000, 65_536: 650_000}
"""Gas that the fee of a step covers for a contribution, or four words, if nobody says otherwise; by how many
features the model has at most. The more there are, the fewer words are written twice; fresh ones are dear."""

DRAW_PATIENCE_S, DRAW_STEP_S = 300.0, 4.0
"""How long to wait for the block of the first draw, and how often to look for it."""

MOST_FEATURES = 256
"""Features of a sample at most: a step trains with all of it, and each can be a fresh word of storage."""

MAX_TEST_BYTES = 24_576
"""What all pieces of the test set may have together, in equal parts: every step of scoring reads it."""


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """What a provider asks for, without the test set.

    Args:
        pieces: how many pieces the test set is cut into.
        orders: in so many orders the contributions are tried.
        max_units: the quota.
        max_units_each: of one participant.
        rounds: how often at most the test is paid for.
        open_s: within so many seconds the first piece must be shown.
        participate_s: so long contributions are committed.
        reveal_s: so long they are revealed.
        tests_s: so long the provider has for the other pieces.
        collect_s: so long the provider waits for what is left.
        bounty_wei: what is shared out.
        stake_wei: of the first unit; if None, what one test sample is worth in all rounds.
        reserve_wei: for steps; if None, what their gas costs now.
    """

    pieces: int
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
    stake_wei: int | None = None
    reserve_wei: int | None = None


@dataclass(frozen=True, slots=True)
class TestSet:
    """Test samples in pieces.

    Args:
        pieces: the payload of each.
        samples: in one piece.
        labels: how many samples in all have each label.
        left_out: usable rows that do not fill another sample in each piece.
        skipped: rows that cannot be used.
        repeated: rows that give the same sample as an earlier one.
    """

    pieces: tuple[bytes, ...]
    samples: int
    labels: tuple[int, ...]
    left_out: int
    skipped: tuple[Skipped, ...]
    repeated: int


@dataclass(frozen=True, slots=True)
class MarketPlan:
    """What making a market takes; shown before anything is signed.

    Args:
        name: its name.
        account: the provider.
        rules: what holds in it; the hashes of its pieces are not made yet.
        tests: the test set.
        words: words to start with.
        reserve_wei: what is paid for steps.
        cost: of all transactions.
        caveat: what the provider should know of the chain's draws; empty if nothing.
    """

    name: str
    account: ActingAccount
    rules: MarketRules
    tests: TestSet
    words: int
    reserve_wei: int
    cost: Cost
    caveat: str

    @property
    def paid_wei(self) -> int:
        """Bounty and reserve."""
        return self.rules.bounty_wei + self.reserve_wei


@dataclass(frozen=True, slots=True)
class Created:
    """A market that was made.

    Args:
        plan: what was planned.
        market: the market; None for a dry run.
        steps: the transactions.
    """

    plan: MarketPlan
    market: Market | None
    steps: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class MarketRequest:
    """What a provider asked for.

    Args:
        name: of the market and the model.
        spec: its feature spec.
        params: its shape.
        incentive_type: of the model that it becomes.
        model_terms: of the model that it becomes.
        terms: what holds in the market.
        words: weights that training begins with; none for zeros.
        account: the provider; the acting account if None.
        dry_run: do all but sign.
    """

    name: str
    spec: FeatureSpec
    params: ModelParams
    incentive_type: str
    model_terms: Terms
    terms: MarketTerms
    words: Sequence[int] = ()
    account: str | None = None
    dry_run: bool = False


def read_tests(
    source: Source, spec: FeatureSpec, pieces: int, *, note: Callable[[str], None] = lambda _: None
) -> TestSet:
    """Cut a file of labelled rows into pieces of as many samples each.

    Samples are dealt out by their hashes: the piece that is drawn is like the others however the file is
    sorted, and the same file always gives the same pieces.

    Args:
        source: the rows.
        spec: how rows become samples.
        pieces: how many.
        note: is told of an encoding other than UTF-8, and of columns that are not used.

    Raises:
        BadInput: the file cannot be used, or gives too few samples.
    """
    with open_rows(source, note=note) as opened:
        rows = list(featurize(opened, spec, note=note))
    skipped = tuple(row for row in rows if isinstance(row, Skipped))
    usable = [row for row in rows if isinstance(row, FeaturizedRow)]
    samples = {row.sample for row in usable}
    dealt = deal(samples, pieces)
    each = len(dealt[0])
    if not each:
        why = f"; row {skipped[0].row}: {skipped[0].reason}" if skipped else ""
        raise BadInput(
            f"{source} gives {len(samples)} different test samples for {pieces} pieces{why}.",
            hint="Name a file with more labelled rows, or choose fewer --pieces.",
        )
    payloads = tuple(map(b"".join, dealt))
    check_sizes(str(source), payloads)
    labels = [0] * len(spec.labels)
    for piece in dealt:
        for sample in piece:
            labels[sample[0]] += 1
    left_out = len(samples) - each * pieces
    return TestSet(payloads, each, tuple(labels), left_out, skipped, len(usable) - len(samples))


def deal(samples: Collection[bytes], pieces: int) -> list[list[bytes]]:
    """Deal test samples out to pieces, by their hashes; each gets as many, and what is left over is left out.

    Args:
        samples: the samples, all different.
        pieces: how many.
    """
    each = min(len(samples), MAX_TESTS) // pieces
    used = sorted(samples, key=keccak256)[: each * pieces]
    return [used[index::pieces] for index in range(pieces)]


def check_sizes(source: str, payloads: Sequence[bytes]) -> None:
    """Refuse pieces that are longer than a market takes.

    Args:
        source: what they are made of, for the message.
        payloads: of all pieces.

    Raises:
        BadInput: one is.
    """
    longest, limit = max(map(len, payloads)), MAX_TEST_BYTES // len(payloads)
    if longest > limit:
        raise BadInput(
            f"A piece of the test set of {source} has {longest:,} bytes; a market takes {limit:,} in each of "
            f"{len(payloads)} pieces.",
            hint="Use fewer or shorter rows, or a smaller --max-features.",
        )


def create_market(
    workspace: Workspace,
    request: MarketRequest,
    tests: TestSet,
    *,
    password: Password,
    confirm: Callable[[MarketPlan], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> Created:
    """Make a market; one that broke off is finished by the same call.

    Args:
        workspace: the opened parts.
        request: what for.
        tests: the test set.
        password: asked once for the account's password.
        confirm: gets the plan before anything is signed; raises to stop it.
        progress: gets a line per step.

    Raises:
        UsageError: the contracts would refuse it.
        BadInput: there is a market of this name with another test set or other rules.
        InsufficientFunds: the balance does not cover bounty, reserve and fees; nothing was sent.
    """
    check_request(request)
    check_draws(workspace.chain)
    account = acting_account(workspace, request.account)
    workspace.chain.fund_if_new(account.address)
    plan = _plan(workspace, request, tests, account)
    if request.dry_run:
        _check_balance(plan)
        return Created(plan, None, ())
    existing = _existing(workspace, account.address, request.name)
    if existing is None:
        _check_balance(plan)
    confirm(plan)
    key = unlock(workspace, account, password)
    steps: list[Sent] = []
    with workspace.sending(account.address):
        ceiling_wei = plan.cost.ceiling_wei
        finish(workspace, account.address, key, ceiling_wei=ceiling_wei)
        outbox = Outbox(workspace, account.address, key, ceiling_wei=ceiling_wei)
        existing = _existing(workspace, account.address, request.name)
        if existing is None:
            deployer = ready_deployer(workspace, outbox, steps, progress)
            registry = ready_registry(workspace, outbox, _contracts(request), steps, progress)
            existing = _create(workspace, outbox, deployer, registry, request, plan, steps, progress)
        else:
            _take_up(workspace, existing, request, plan, key)
        _await_draw(workspace, existing, progress)
        # The block of the draw is out of reach after 256 others: the draw is not left for later.
        names = ("weights", "draw")
        made = make_all(workspace, outbox, existing, names, key, account.address, progress)
        steps += [one.sent for one in made]
    return Created(plan, read_market(workspace.chain, existing), tuple(steps))


def _await_draw(workspace: Workspace, address: str, progress: Callable[[str], None]) -> None:
    """Wait for the block that draws the first piece; not for ever, since `reveal` draws, too."""
    chain = workspace.chain
    market = read_market(chain, address)
    if chain.is_embedded or market.phase != "drawing":
        return
    progress(f"waiting for block {market.draw_block}, which draws the piece that is shown first")
    waited_s = 0.0
    while chain.block_number() <= market.draw_block and waited_s < DRAW_PATIENCE_S:
        workspace.sleep(DRAW_STEP_S)
        waited_s += DRAW_STEP_S


def gas_per_step(params: ModelParams) -> int:
    """About what a step takes for each contribution, or for four words, in a market of such models."""
    return next(gas for most, gas in GAS_PER_STEP.items() if params.n_features <= most)


def check_request(request: MarketRequest) -> None:
    """Refuse what the contracts would refuse of the model, before a file is read.

    Raises:
        UsageError: a market takes no such model, or the name, the spec or the waits are none.
        BadInput: a weight to start with could reach its limit.
    """
    check_name(request.name)
    check_spec(request.spec)
    check_terms(request.model_terms, request.incentive_type)
    params = request.params
    if (
        params.model_type != PERCEPTRON
        or params.valued
        or params.weight_bits != 16
        or params.n_features > 65_536
    ):
        raise UsageError(
            "A market trains perceptrons of two labels, of up to 65,536 features, without counts or vectors.",
            hint="Choose two --labels, and a smaller --n-features.",
        )
    if params.max_features > MOST_FEATURES:
        raise UsageError(
            f"A market takes samples of {MOST_FEATURES} features at most, so that each fits a step; "
            f"--max-features is {params.max_features}.",
            hint=f"Write --max-features {MOST_FEATURES}, or less.",
        )
    for number, word in enumerate(request.words):
        lanes = [(word >> at & 0xFFFF ^ 0x8000) - 0x8000 for at in range(0, 256, 16)]
        if max(map(abs, lanes)) > WEIGHT_LIMIT:
            raise BadInput(
                f"Word {number} of the weights to start with has one of {max(lanes, key=abs)}; a market "
                f"takes up to {WEIGHT_LIMIT}, so that none can reach its limit.",
                hint="Train it on fewer rows, or with smaller weights.",
            )


def _plan(workspace: Workspace, request: MarketRequest, tests: TestSet, account: ActingAccount) -> MarketPlan:
    chain, terms, params = workspace.chain, request.terms, request.params
    price_wei = chain.fees().max_fee_per_gas_wei
    try:
        rules = rules_of(terms, tests.samples, step_fee_wei=gas_per_step(params) * max(1, price_wei))
    except BadInput as error:
        raise UsageError(
            error.message, hint="See what each option takes: dcai market create --help"
        ) from None
    reserve_wei = rules.reserve_wei(params.total_words)
    if terms.reserve_wei is not None:
        units = reserve_wei // rules.step_fee_wei
        rules = replace(rules, step_fee_wei=terms.reserve_wei // units)
        reserve_wei = terms.reserve_wei
    deploys, deploy_gas = cost_of_ready_deployer(workspace)
    installs, install_gas = cost_of_ready_registry(workspace, account.address, _contracts(request))
    count = deploys + installs + 2 + -(-len(request.words) // WORDS_PER_TRANSACTION)
    gas = deploy_gas + install_gas + GAS_OF_DRAW + GAS_PER_MARKET + GAS_PER_PIECE * len(tests.pieces)
    gas += GAS_PER_SPEC_BYTE * len(request.spec.to_json().encode()) + GAS_PER_WORD * len(request.words)
    cost = Cost(count, gas, price_wei, gas * price_wei, chain.balance_wei(account.address))
    return MarketPlan(
        request.name, account, rules, tests, len(request.words), reserve_wei, cost, caveat(chain)
    )


def rules_of(terms: MarketTerms, piece_samples: int, *, step_fee_wei: int) -> MarketRules:
    """The rules of a market, before the hashes of its pieces are made.

    Args:
        terms: what its provider asks for.
        piece_samples: test samples of each piece.
        step_fee_wei: what a step earns for each contribution.

    Raises:
        BadInput: no market can have these rules.
    """
    stake_wei = terms.stake_wei
    if stake_wei is None:
        stake_wei = -(-terms.bounty_wei // (terms.pieces * piece_samples))
    return MarketRules(
        pieces=(bytes(32),) * terms.pieces,
        piece_samples=piece_samples,
        orders=terms.orders,
        max_units=terms.max_units,
        max_units_each=terms.max_units_each,
        rounds=terms.rounds,
        open_s=terms.open_s,
        participate_s=terms.participate_s,
        reveal_s=terms.reveal_s,
        tests_s=terms.tests_s,
        collect_s=terms.collect_s,
        bounty_wei=terms.bounty_wei,
        stake_wei=stake_wei,
        step_fee_wei=step_fee_wei,
    )


def _check_balance(plan: MarketPlan) -> None:
    needed_wei = plan.paid_wei + plan.cost.fee_wei
    if plan.cost.balance_wei < needed_wei:
        raise InsufficientFunds(
            f"Bounty, reserve and fees take up to {format_ether(needed_wei)}; {plan.account.address} has "
            f"{format_ether(plan.cost.balance_wei)}.",
            hint="Send ether to the account, or offer a smaller --bounty.",
        )


def _contracts(request: MarketRequest) -> list[str]:
    return [TRAINER, MODEL_CONTRACTS[PERCEPTRON], INCENTIVE_CONTRACTS[request.incentive_type], DATA_HANDLER]


def _existing(workspace: Workspace, provider: str, name: str) -> str | None:
    """The address of a market that is there; None if there is none yet."""
    deployer = known_deployer(workspace)
    if deployer is None:
        return None
    address = market_address(deployer, provider, name)
    is_there = workspace.chain.view(FACTORY, factory_address(deployer), "isMarket", address)
    return address if is_there else None


def _commitments(
    workspace: Workspace, market: str, request: MarketRequest, plan: MarketPlan, key: LocalAccount
) -> list[Commitment]:
    pieces = committed_pieces(key, workspace.chain.chain_id, market, plan.tests.pieces)
    return [*pieces, *_chunks(request.words)]


def _chunks(words: Sequence[int]) -> list[Commitment]:
    """Weights to start with, as many words as a transaction takes; zeros need not be written."""
    chunks = []
    for first in range(0, len(words), WORDS_PER_TRANSACTION):
        chunk = words[first : first + WORDS_PER_TRANSACTION]
        if any(chunk):
            payload = b"".join(word.to_bytes(32, "big") for word in chunk)
            chunks.append(
                Commitment("weights", first, keccak256(first.to_bytes(4, "big") + payload), payload)
            )
    return chunks


def _create(
    workspace: Workspace,
    outbox: Outbox,
    deployer: str,
    registry: str,
    request: MarketRequest,
    plan: MarketPlan,
    steps: list[Sent],
    progress: Callable[[str], None],
) -> str:
    """Write the test set down, and only then sign what commits to it."""
    chain, key, terms = workspace.chain, outbox.key, request.model_terms
    assert key is not None
    market = market_address(deployer, key.address, request.name)
    commitments = _commitments(workspace, market, request, plan, key)
    workspace.ledger.keep(chain.key, key.address, market, commitments)
    hashes = tuple(one.hash for one in commitments if one.kind == "piece")
    model_code, incentive_code = model_codes(INCENTIVE_CONTRACTS[request.incentive_type])
    params = (
        request.name,
        request.spec.to_json(),
        model_code,
        incentive_code,
        request.params.as_tuple(),
        (
            terms.refund_wait_s,
            terms.report_wait_s,
            terms.owner_wait_s,
            terms.public_wait_s,
            terms.min_gap_s,
            terms.max_idle_s,
            terms.cost_weight_wei,
        ),
        replace(plan.rules, pieces=hashes).as_tuple(),
    )
    progress(f"making the market {request.name}")
    steps.append(
        outbox.carry_out(
            kind="market-create",
            to=factory_address(deployer),
            data=chain.encode(FACTORY, "create", registry, params),
            value_wei=plan.paid_wei,
            detail=request.name,
        )
    )
    return market


def _take_up(
    workspace: Workspace, market: str, request: MarketRequest, plan: MarketPlan, key: LocalAccount
) -> None:
    """Go on with a market that an earlier run made, or write its test set down anew.

    Raises:
        BadInput: it has another test set, other rules, or other weights to start with.
    """
    found = read_market(workspace.chain, market)
    commitments = _commitments(workspace, market, request, plan, key)
    hashes = tuple(one.hash for one in commitments if one.kind == "piece")
    # The fee of a step follows from the price of gas, which has changed, unless somebody typed the reserve.
    wanted = replace(plan.rules, pieces=hashes, step_fee_wei=found.rules.step_fee_wei)
    if (found.rules, found.model.spec, found.model.params) != (wanted, request.spec, request.params):
        raise BadInput(
            f"You have a market called {request.name} already, at {market}, with another test set or "
            "other rules.",
            hint="Choose another name, or see it: dcai market status",
        )
    if not _begins_with(workspace, found, request.words):
        raise BadInput(
            f"You have a market called {request.name} already, at {market}, which starts with other weights.",
            hint="Type the same --pretrain file as before, or choose another name.",
        )
    workspace.ledger.keep(workspace.chain.key, key.address, market, commitments)


def _begins_with(workspace: Workspace, market: Market, words: Sequence[int]) -> bool:
    """Whether what is written of the weights to start with is what is wanted; later nobody can write any."""
    if market.phase not in {"drawing", "opening"}:
        return True
    working = workspace.chain.view(REPLAY, market.replay, "working")
    present = read_words(workspace.chain, replace(market.model, model=working))
    wanted = [*words, *[0] * (len(present) - len(words))]
    parts = [slice(at, at + WORDS_PER_TRANSACTION) for at in range(0, len(present), WORDS_PER_TRANSACTION)]
    return all(present[part] == wanted[part] for part in parts if any(present[part]))


def warnings_of(plan: MarketPlan) -> list[str]:
    """What a provider should know before it pays."""
    rules = plan.rules
    found = [
        "Miss a deadline, and half of the bounty is burned: let a daemon run, or come back in time.",
        "Test samples and contributions are public for ever once they are shown.",
    ]
    if plan.caveat:
        found.append(plan.caveat)
    # Whose stake does not last for one round is taken out, and gets it back.
    punished = rules.stake_wei * rules.rounds * rules.tests // rules.bounty_wei
    if punished < rules.tests:
        found.append(
            f"Harm to over {punished} of {rules.tests} test samples by one unit costs nothing: a round would "
            "take more than its stake. Choose a higher --rounds, or --stake."
        )
    return found
