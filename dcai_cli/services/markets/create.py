"""Making a market: a hidden test set in pieces, a bounty, and the model that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain.factory import FACTORY, REPLAY, factory_address, market_address, model_codes
from dcai_cli.chain.registry import INCENTIVE_CONTRACTS
from dcai_cli.errors import BadInput
from dcai_cli.hashing import keccak256
from dcai_cli.ledger import Commitment
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.markets.draws import check_draws
from dcai_cli.services.markets.factory import known_deployer, ready_deployer
from dcai_cli.services.markets.hidden_set import TestSet
from dcai_cli.services.markets.keys import committed_pieces
from dcai_cli.services.markets.market import Market, read_market
from dcai_cli.services.markets.moves import WORDS_PER_TRANSACTION, make_all
from dcai_cli.services.markets.plan import (
    MarketPlan,
    MarketRequest,
    check_balance,
    check_request,
    contracts_of,
    plan_market,
)
from dcai_cli.services.models import read_words
from dcai_cli.services.registry import ready_registry
from dcai_cli.services.transactions import Outbox, Sent, finish

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.services.workspace import Workspace

DRAW_PATIENCE_S, DRAW_STEP_S = 300.0, 4.0
"""How long to wait for the block of the first draw, and how often to look for it."""


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
    plan = plan_market(workspace, request, tests, account)
    if request.dry_run:
        check_balance(plan)
        return Created(plan, None, ())
    existing = _existing(workspace, account.address, request.name)
    if existing is None:
        check_balance(plan)
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
            registry = ready_registry(workspace, outbox, contracts_of(request), steps, progress)
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
