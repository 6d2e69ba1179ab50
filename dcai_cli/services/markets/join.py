"""Taking part in a market: samples that nobody sees yet, and a stake on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain.factory import MARKET
from dcai_cli.chain.market import MAX_STORED_BYTES
from dcai_cli.domain import (
    MAX_BATCH_SAMPLES,
    counted,
    format_duration,
    format_ether,
    iso_time,
    told_apart,
)
from dcai_cli.errors import BadInput, DcaiError, InsufficientFunds, LimitExceeded
from dcai_cli.features.cluster import featurizer
from dcai_cli.features.featurize import FeaturizedRow, Skipped
from dcai_cli.features.readers import Source, check_source, open_rows
from dcai_cli.services.accounts import ActingAccount, Password, acting_account, unlock
from dcai_cli.services.cost import Cost
from dcai_cli.services.markets.draws import caveat
from dcai_cli.services.markets.forecast import Forecast, forecast
from dcai_cli.services.markets.keys import committed_contribution
from dcai_cli.services.markets.market import Market, found_market, read_market
from dcai_cli.services.markets.plan import gas_per_step
from dcai_cli.services.transactions import ENVELOPE_BYTES, Outbox, Sent, finish

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.services.workspace import Workspace

GAS_OF_COMMIT = 220_000
"""What taking part takes, measured and rounded up."""

LONG_TESTS_S = 30 * 86_400
"""A provider that gives itself more time than this to show its test set is warned of."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a participant asked for.

    Args:
        file: the rows.
        market: name or address; the only one if None.
        account: who takes part; the acting account if None.
        text_column: column of the text, over the spec's.
        label_column: column of the label, over the spec's.
        limit: rows read at most.
        max_stake_wei: the stake at most.
        max_lock_s: for how long the stake may be bound at most.
        dry_run: do all but sign.
        scheduler: the address of a Dask cluster that featurizes; None for this process.
    """

    file: Source
    market: str | None = None
    account: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    limit: int | None = None
    max_stake_wei: int | None = None
    max_lock_s: int | None = None
    dry_run: bool = False
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class JoinPlan:
    """What taking part takes; shown before anything is signed.

    Args:
        market: the market.
        account: who takes part.
        rows: rows read.
        samples: what is contributed.
        units: their units.
        payload_bytes: what they take, one behind the other.
        skipped: rows that cannot be used.
        repeated: rows that give the same sample as an earlier one.
        stake_wei: what they cost now.
        stake_at_most_wei: what they cost if others take the rest of the quota first; what is too much comes
            back.
        test_wei: what a test sample more or less is worth in all rounds.
        step_gas_wei: what the gas of a step takes now, for each contribution.
        cost: of the transaction.
        caveat: what to know of the chain's draws; empty if nothing.
        forecast: what they do to the piece that was shown; None if an earlier run took part, or it is gone.
    """

    market: Market
    account: ActingAccount
    rows: int
    samples: int
    units: int
    payload_bytes: int
    skipped: tuple[Skipped, ...]
    repeated: int
    stake_wei: int
    stake_at_most_wei: int
    test_wei: int
    step_gas_wei: int
    cost: Cost
    caveat: str
    forecast: Forecast | None = None

    @property
    def locked_until(self) -> int:
        """When the provider has to have shown all, or has failed: so long the rules bind the stake.

        The steps that come then have no deadline.
        """
        return self.market.tests_until

    @property
    def locked_s(self) -> int:
        """How long that is from now on."""
        return max(0, self.locked_until - self.market.now)


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it.

    Args:
        plan: what was planned.
        stake_wei: what was paid; 0 for a dry run.
        sent: the transaction; None for a dry run, or if an earlier run had sent it.
    """

    plan: JoinPlan
    stake_wei: int
    sent: Sent | None


def join_market(
    workspace: Workspace,
    request: JoinRequest,
    *,
    password: Password,
    confirm: Callable[[JoinPlan], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Joined:
    """Commit to a file's rows; the same call again finds what an earlier one did.

    Args:
        workspace: the opened parts.
        request: what, and where.
        password: asked once for the account's password.
        confirm: gets the plan before anything is signed; raises to stop it.
        note: is told of an encoding other than UTF-8, and of columns that are not used.

    Raises:
        BadInput: no row can be used, there are too many, or other samples were committed to before.
        DcaiError: it is not the time.
        LimitExceeded: the stake could exceed its limit, or be bound longer than it may.
        InsufficientFunds: the balance does not cover it; nothing was sent.
    """
    check_source(request.file)
    account = acting_account(workspace, request.account)
    address = found_market(workspace, request.market, request.account)
    market = read_market(workspace.chain, address)
    payload, plan = _plan(workspace, request, account, market, note)
    is_new = market.participant(account.address) is None
    if request.dry_run or is_new:
        _check(plan, request)
        plan = replace(plan, forecast=forecast(workspace.chain, market, payload))
    if request.dry_run:
        return Joined(plan, 0, None)
    if is_new:
        confirm(plan)
    key = unlock(workspace, account, password)
    with workspace.sending(account.address):
        ceiling_wei = None if workspace.chain.is_embedded else plan.cost.ceiling_wei
        finish(workspace, account.address, key, ceiling_wei=ceiling_wei)
        market = read_market(workspace.chain, address)
        commitment = committed_contribution(key, workspace.chain.chain_id, address, payload, plan.units)
        own = market.participant(account.address)
        if own is not None:
            if own.commitment != commitment.hash:
                raise BadInput(
                    f"{account.name} ({account.address}) takes part in {market.name} already, with other "
                    "samples.",
                    hint=f"See it: dcai market status {address}",
                )
            # Sent by an earlier run; or the ledger was lost, and the file brings back what must be shown.
            workspace.ledger.keep(workspace.chain.key, account.address, address, [commitment])
            return Joined(plan, own.stake_wei, None)
        workspace.ledger.keep(workspace.chain.key, account.address, address, [commitment])
        sent = _commit(workspace, key, market, plan, commitment.hash, ceiling_wei)
    own = read_market(workspace.chain, address).participant(account.address)
    return Joined(plan, 0 if own is None else own.stake_wei, sent)


def _commit(
    workspace: Workspace,
    key: LocalAccount,
    market: Market,
    plan: JoinPlan,
    commitment: bytes,
    ceiling_wei: int | None,
) -> Sent:
    outbox = Outbox(workspace, key.address, key, ceiling_wei=ceiling_wei)
    return outbox.carry_out(
        kind="market-commit",
        to=market.address,
        data=workspace.chain.encode(MARKET, "commit", commitment, plan.units),
        value_wei=plan.stake_at_most_wei,
        detail=market.address,
    )


def _plan(
    workspace: Workspace,
    request: JoinRequest,
    account: ActingAccount,
    market: Market,
    note: Callable[[str], None],
) -> tuple[bytes, JoinPlan]:
    chain, rules = workspace.chain, market.rules
    with (
        open_rows(request.file, note=note) as opened,
        featurizer(request.scheduler) as featurize,
    ):
        rows = list(
            featurize(
                opened.part(limit=request.limit),
                market.model.spec,
                text_column=request.text_column,
                label_column=request.label_column,
                note=note,
            )
        )
    skipped = tuple(row for row in rows if isinstance(row, Skipped))
    usable = [row for row in rows if isinstance(row, FeaturizedRow)]
    kept = list({row.sample: row for row in usable}.values())
    if not kept:
        raise BadInput(
            f"No row of {request.file} can be sent; row {skipped[0].row}: {skipped[0].reason}.",
            hint="Check columns and labels: --text-column, --label-column.",
        )
    payload = b"".join(row.sample for row in kept)
    units = sum(row.units for row in kept)
    fees = chain.fees()
    price_wei = fees.max_fee_per_gas_wei
    fee_wei = GAS_OF_COMMIT * price_wei + chain.data_fee_wei(68 + ENVELOPE_BYTES, gas=GAS_OF_COMMIT)
    chain.fund_if_new(account.address)
    balance_wei = chain.balance_wei(account.address)
    return payload, JoinPlan(
        market=market,
        account=account,
        rows=len(rows),
        samples=len(kept),
        units=units,
        payload_bytes=len(payload),
        skipped=skipped,
        repeated=len(usable) - len(kept),
        stake_wei=rules.quote(units, market.units_taken),
        stake_at_most_wei=rules.quote(units, max(market.units_taken, rules.max_units - units)),
        test_wei=rules.test_wei,
        step_gas_wei=gas_per_step(market.model.params) * fees.likely_price_wei,
        cost=Cost(1, GAS_OF_COMMIT, price_wei, fee_wei, balance_wei),
        caveat=caveat(chain),
    )


def _check(plan: JoinPlan, request: JoinRequest) -> None:
    """Refuse what the contract would refuse, and what the limits or the balance do not allow."""
    market = plan.market
    if market.stage != "participating":
        when = {"drawing": "is not open yet", "opening": "is not open yet"}.get(
            market.stage, "takes no contributions any more"
        )
        raise DcaiError(
            f"The market {market.name} {when}: it is {market.stage}.",
            hint=f"See what comes next: dcai market status {market.address}",
        )
    if market.is_full:
        raise DcaiError(
            f"The market {market.name} is full: {counted(len(market.participants), 'participant')}, "
            f"{market.units_taken:,} of {market.rules.max_units:,} units.",
            hint="Take part in another one: dcai market status",
        )
    if plan.samples > MAX_BATCH_SAMPLES:
        raise BadInput(
            f"{request.file} gives {plan.samples} samples; a market takes {MAX_BATCH_SAMPLES} of each "
            "participant.",
            hint=f"Choose fewer rows: --limit {MAX_BATCH_SAMPLES}",
        )
    # The contract sees them only when they are revealed: it could not store them, and would burn the stake.
    if plan.payload_bytes > MAX_STORED_BYTES:
        fitting = max(1, plan.rows * MAX_STORED_BYTES // plan.payload_bytes)
        raise BadInput(
            f"{request.file} gives samples of {plan.payload_bytes:,} bytes; a market stores "
            f"{MAX_STORED_BYTES:,} of each participant.",
            hint=f"Choose fewer rows: --limit {fitting}",
        )
    limit = min(market.units_left, market.rules.max_units_each)
    if plan.units > limit:
        raise BadInput(
            f"{request.file} gives {plan.units} units (a sample has one for every 64 features); "
            f"{market.name} takes {limit} more of one participant.",
            hint=f"Choose the first rows: --limit {max(1, plan.rows * limit // plan.units)}",
        )
    if request.max_stake_wei is not None and plan.stake_at_most_wei > request.max_stake_wei:
        most, allowed = told_apart(plan.stake_at_most_wei, request.max_stake_wei)
        raise LimitExceeded(
            f"The stake can reach {most}, above the limit of {allowed}.",
            hint="Raise --max-stake, or send fewer rows: --limit",
        )
    if request.max_lock_s is not None and plan.locked_s > request.max_lock_s:
        raise LimitExceeded(
            f"The market {market.name} can bind the stake for {format_duration(plan.locked_s)}, until "
            f"{iso_time(plan.locked_until)}, above the limit of {format_duration(request.max_lock_s)}.",
            hint="Take part in another one, or raise --max-lock",
        )
    needed_wei = plan.stake_at_most_wei + plan.cost.fee_wei
    if plan.cost.balance_wei < needed_wei:
        needed, balance = told_apart(needed_wei, plan.cost.balance_wei)
        raise InsufficientFunds(
            f"Stake and fee can take {needed}; {plan.account.address} has {balance}.",
            hint="Send ether to the account, or send fewer rows: --limit",
        )


def warnings_of(plan: JoinPlan) -> list[str]:
    """What a participant should know before it stakes."""
    market = plan.market
    until = format_duration(max(0, market.reveal_until - market.now))
    found = []
    if market.rules.tests_s > LONG_TESTS_S:
        found.append(
            "warning: the provider has given itself "
            f"{format_duration(market.rules.tests_s)} to show its test set. Until then nobody gets anything."
        )
    if market.rules.step_fee_wei < plan.step_gas_wei:
        fee, gas = told_apart(market.rules.step_fee_wei, plan.step_gas_wei)
        found.append(
            f"warning: a step pays {fee} for each contribution, and takes about {gas} of gas now. So nobody "
            "takes steps for their fee: you may have to take them all to get your stake back."
        )
    if plan.caveat:
        found.append(plan.caveat)
    return [
        *found,
        f"Reveal within {until}, once contributions are closed, or the stake is burned: dcai market reveal",
        f"Each test sample that yours make the model get wrong costs up to {format_ether(plan.test_wei)}.",
        "A provider can win back its own bounty by taking part in disguise, with samples like its test set.",
        "What is revealed is public for ever, and hashed text can be guessed.",
    ]
