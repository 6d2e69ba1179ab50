"""What a provider asks for, and what making the market takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain.market import WEIGHT_LIMIT, MarketRules
from dcai_cli.chain.registry import DATA_HANDLER, INCENTIVE_CONTRACTS, MODEL_CONTRACTS, TRAINER
from dcai_cli.domain import PERCEPTRON, ModelParams, Terms, format_ether
from dcai_cli.errors import BadInput, InsufficientFunds, UsageError
from dcai_cli.services.accounts import ActingAccount
from dcai_cli.services.cost import Cost
from dcai_cli.services.limits import check_name, check_spec, check_terms
from dcai_cli.services.markets.draws import caveat
from dcai_cli.services.markets.factory import cost_of_ready_deployer
from dcai_cli.services.markets.moves import GAS_OF_DRAW, GAS_PER_WORD, WORDS_PER_TRANSACTION
from dcai_cli.services.registry import cost_of_ready_registry

if TYPE_CHECKING:
    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.markets.hidden_set import TestSet
    from dcai_cli.services.workspace import Workspace

GAS_PER_MARKET = 1_600_000
GAS_PER_PIECE = 25_000
GAS_PER_SPEC_BYTE = 220
"""What making a market takes, measured and rounded up."""

GAS_PER_STEP = {4_096: 150_000, 16_384: 320_000, 65_536: 650_000}
"""Gas that the fee of a step covers for a contribution, or four words, if nobody says otherwise; by how many
features the model has at most. The more there are, the fewer words are written twice; fresh ones are dear."""

MOST_FEATURES = 256
"""Features of a sample at most: a step trains with all of it, and each can be a fresh word of storage."""


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


def plan_market(
    workspace: Workspace, request: MarketRequest, tests: TestSet, account: ActingAccount
) -> MarketPlan:
    """What a request comes to on a chain, at the prices of now.

    Args:
        workspace: the opened parts.
        request: what for; checked.
        tests: the test set.
        account: the provider.

    Raises:
        UsageError: no market can have these rules.
    """
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
    installs, install_gas = cost_of_ready_registry(workspace, account.address, contracts_of(request))
    count = deploys + installs + 2 + -(-len(request.words) // WORDS_PER_TRANSACTION)
    gas = deploy_gas + install_gas + GAS_OF_DRAW + GAS_PER_MARKET + GAS_PER_PIECE * len(tests.pieces)
    gas += GAS_PER_SPEC_BYTE * len(request.spec.to_json().encode()) + GAS_PER_WORD * len(request.words)
    cost = Cost(count, gas, price_wei, gas * price_wei, chain.balance_wei(account.address))
    return MarketPlan(
        request.name, account, rules, tests, len(request.words), reserve_wei, cost, caveat(chain)
    )


def gas_per_step(params: ModelParams) -> int:
    """About what a step takes for each contribution, or for four words, in a market of such models."""
    return next(gas for most, gas in GAS_PER_STEP.items() if params.n_features <= most)


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


def check_balance(plan: MarketPlan) -> None:
    """Refuse what the provider cannot pay.

    Raises:
        InsufficientFunds: the balance does not cover bounty, reserve and fees.
    """
    needed_wei = plan.paid_wei + plan.cost.fee_wei
    if plan.cost.balance_wei < needed_wei:
        raise InsufficientFunds(
            f"Bounty, reserve and fees take up to {format_ether(needed_wei)}; {plan.account.address} has "
            f"{format_ether(plan.cost.balance_wei)}.",
            hint="Send ether to the account, or offer a smaller --bounty.",
        )


def contracts_of(request: MarketRequest) -> list[str]:
    """The contracts that the registry installs for the model."""
    return [TRAINER, MODEL_CONTRACTS[PERCEPTRON], INCENTIVE_CONTRACTS[request.incentive_type], DATA_HANDLER]


def warnings_of(plan: MarketPlan) -> list[str]:
    """What a provider should know before it pays."""
    rules = plan.rules
    found = [
        "Miss a deadline, and half of the bounty is burned: let a daemon run, or come back in time.",
        "Test samples and contributions are public for ever once they are shown.",
    ]
    if plan.caveat:
        found.append(plan.caveat)
    # Whose stake does not last for one round gets it back.
    punished = rules.stake_wei * rules.rounds * rules.tests // rules.bounty_wei
    if punished < rules.tests:
        found.append(
            f"Harm to over {punished} of {rules.tests} test samples by one unit costs nothing: a round would "
            "take more than its stake. Choose a higher --rounds, or --stake."
        )
    return found
