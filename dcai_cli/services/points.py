"""Points: validating others, and the leaderboard of a model whose contributions earn points."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.domain import counted
from dcai_cli.errors import DcaiError, PartlyDone, Reverted, UsageError, and_goes_on
from dcai_cli.services.accounts import Password, acting_account, list_accounts, unlock
from dcai_cli.services.models import HostedModel, find_model, hints_naming
from dcai_cli.services.transactions import Outbox, Sent, finish

if TYPE_CHECKING:
    from dcai_cli.services.accounts import ActingAccount
    from dcai_cli.services.workspace import Workspace

PAGE = 500
"""Contributors read by one call: two fresh slots each, some 3 million gas of the 50 that nodes grant."""

REACHABLE_AT_ONCE = 1_000
"""Contributors up to which one call finds the trusted ones; for more a node may not grant it enough gas."""

BADGES = (1, 10, 100, 1_000, 10_000)
"""Model points from which a contributor has the badge of each level, from 1 on (`Badges.sol`)."""

ORDERS = ("model", "validation")
"""Points by which a leaderboard can be sorted."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation point that was given.

    Args:
        contributor: the address of who got it.
        transaction: its hash.
        gas_used: what its receipt says.
        fee_wei: what it cost.
    """

    contributor: str
    transaction: str
    gas_used: int
    fee_wei: int


@dataclass(frozen=True, slots=True)
class ValidationPlan:
    """What validating will spend; shown before anything is signed.

    Args:
        model: the model.
        account: who validates.
        contributors: whom.
        already: addresses that were named, and that the account validated before.
        model_points: what the account has earned.
        spent_points: what it has spent of them.
    """

    model: HostedModel
    account: ActingAccount
    contributors: tuple[str, ...]
    already: tuple[str, ...]
    model_points: int
    spent_points: int


@dataclass(frozen=True, slots=True)
class Validated:
    """What validating did.

    Args:
        plan: what was planned.
        validations: the points that were given, those that a broken-off run had left on their way included.
        points_left: model points that the account can still spend.
    """

    plan: ValidationPlan
    validations: tuple[Validation, ...]
    points_left: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A contributor on a leaderboard.

    Args:
        rank: its place, from 1.
        contributor: its address.
        account: what this user calls it; None if it is somebody else's.
        model_points: its samples that the model confirmed.
        validation_points: how many others validated it.
    """

    rank: int
    contributor: str
    account: str | None
    model_points: int
    validation_points: int

    @property
    def badge_level(self) -> int:
        """The level of its highest badge, 1 to 5."""
        return sum(self.model_points >= points for points in BADGES)


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The first of a model's contributors.

    Args:
        model: the model.
        contributors: how many it has, or how many of them are trusted.
        ranked: the first of them.
    """

    model: HostedModel
    contributors: int
    ranked: tuple[Ranked, ...]


def validate(
    workspace: Workspace,
    names: Sequence[str],
    *,
    password: Password,
    model: str | None = None,
    account: str | None = None,
    confirm: Callable[[ValidationPlan], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    ceiling_wei: int | None = None,
) -> Validated:
    """Give contributors a validation point each; the same call again finishes what an earlier one left.

    Args:
        workspace: the opened parts.
        names: addresses, or names of accounts here.
        password: asked once for the account's password.
        model: name or address, or None.
        account: who validates; the acting account if None.
        confirm: gets the plan before anything is signed; raises to stop.
        progress: gets (contributors validated, contributors in all).
        ceiling_wei: what a unit of gas may cost at most.

    Raises:
        UsageError: the model has no points, or somebody would validate itself.
        Reverted: the contract would refuse, or did; with the reason.
        PartlyDone: it broke off after some of them; the same call again goes on.
    """
    hosted = _with_points(find_model(workspace, model))
    acting = acting_account(workspace, account)
    wanted = list(dict.fromkeys(_address(workspace, name) for name in names))
    with hints_naming(hosted), workspace.sending(acting.address):
        recovered = finish(workspace, acting.address)
        done = [
            Validation(stored.detail, stored.hash, stored.gas_used or 0, stored.fee_wei or 0)
            for stored in recovered
            if stored.kind == "validate" and stored.model == hosted.address and stored.state == "mined"
        ]
        finished = {validation.contributor for validation in done}
        plan = _plan(workspace, hosted, acting, [one for one in wanted if one not in finished])
        if not plan.contributors and not done:
            raise _already(plan)
        if plan.contributors:
            confirm(plan)
            key = unlock(workspace, acting, password)
            outbox = Outbox(workspace, acting.address, key, ceiling_wei=ceiling_wei)
            _send(workspace, outbox, plan, done, progress)
    earned, _, spent = _points_of(workspace, hosted, acting.address)
    return Validated(plan, tuple(done), earned - spent)


def leaderboard(
    workspace: Workspace,
    *,
    model: str | None = None,
    by: str = "model",
    limit: int | None = None,
    trusted: Sequence[str] = (),
) -> Leaderboard:
    """Rank the contributors of a model: by points, then by the other points, then by who came first.

    Args:
        workspace: the opened parts.
        model: name or address, or None.
        by: one of `ORDERS`.
        limit: the most to return; all if None.
        trusted: addresses, or names of accounts here: rank only these, whom they validated, whom those
            validated, and so on. Without any, rank all.

    Raises:
        UsageError: the model has no points, or there is no such order.
    """
    if by not in ORDERS:
        raise UsageError(f"There is no order {by!r}.", hint="Choose --by model or --by validation.")
    hosted = _with_points(find_model(workspace, model))
    standings = _reachable(workspace, hosted, trusted) if trusted else _everybody(workspace, hosted)
    # Sorting keeps the order of who has the same points.
    standings.sort(key=lambda points: points[1:] if by == "model" else points[:0:-1], reverse=True)
    names = {account.address: account.name for account in list_accounts(workspace)}
    ranked = tuple(
        Ranked(rank, contributor, names.get(contributor), model_points, validation_points)
        for rank, (contributor, model_points, validation_points) in enumerate(standings[:limit], start=1)
    )
    return Leaderboard(hosted, len(standings), ranked)


def _with_points(model: HostedModel) -> HostedModel:
    if not model.has_points:
        raise UsageError(
            f"{model.name} takes deposits; there are no points in it.",
            hint="Name a model with points: --model NAME; see them with: dcai model list",
        )
    return model


def _address(workspace: Workspace, name_or_address: str) -> str:
    """The checksummed address that is meant."""
    from eth_utils.address import to_checksum_address

    if _ADDRESS.fullmatch(name_or_address):
        return to_checksum_address(name_or_address)
    return to_checksum_address(acting_account(workspace, name_or_address).address)


def _view(workspace: Workspace, model: HostedModel, function: str, *args: object) -> Any:  # noqa: ANN401
    return workspace.chain.view("PointsIncentive", model.incentive, function, *args)


def _points_of(workspace: Workspace, model: HostedModel, address: str) -> tuple[int, int, int]:
    """Model points, validation points and spent points of an address."""
    earned, validated, spent = _view(workspace, model, "pointsOf", address)
    return earned, validated, spent


def _plan(
    workspace: Workspace, model: HostedModel, account: ActingAccount, wanted: Sequence[str]
) -> ValidationPlan:
    """Leave out whom the account validated before, and refuse what the contract would refuse.

    Raises:
        UsageError: it would validate itself.
        Reverted: it has too few points, or somebody cannot have another validation point.
    """
    if account.address in wanted:
        raise UsageError(
            f"{account.name} ({account.address}) cannot validate itself.",
            hint="Name other contributors: dcai leaderboard",
        )
    validated = [_view(workspace, model, "hasValidated", account.address, one) for one in wanted]
    earned, _, spent = _points_of(workspace, model, account.address)
    plan = ValidationPlan(
        model=model,
        account=account,
        contributors=tuple(one for one, before in zip(wanted, validated, strict=True) if not before),
        already=tuple(one for one, before in zip(wanted, validated, strict=True) if before),
        model_points=earned,
        spent_points=spent,
    )
    if plan.contributors:
        _check_validator(workspace, plan)
    for one in plan.contributors:
        _check_validated(workspace, model, one)
    return plan


def _check_validator(workspace: Workspace, plan: ValidationPlan) -> None:
    required = _view(workspace, plan.model, "pointsToValidate")
    who, earned, spent = plan.account, plan.model_points, plan.spent_points
    if earned < required:
        raise Reverted(
            f"{who.name} ({who.address}) has earned {counted(earned, 'model point')}; "
            f"validating takes {required}.",
            hint="Contribute, wait, and earn points: dcai refunds --claim",
            name="TooFewPoints",
            values={"validator": who.address, "modelPoints": earned, "requiredPoints": required},
        )
    if earned - spent < len(plan.contributors):
        raise Reverted(
            f"{who.name} ({who.address}) has {earned - spent} of its {counted(earned, 'model point')} left; "
            f"to validate {len(plan.contributors)} takes {len(plan.contributors)}.",
            hint="Name fewer, or earn more points by contributing.",
            name="NothingToSpend",
            values={"validator": who.address, "spentPoints": spent},
        )


def _check_validated(workspace: Workspace, model: HostedModel, contributor: str) -> None:
    earned, validated, _ = _points_of(workspace, model, contributor)
    if validated < earned:
        return
    if earned:
        given = counted(validated, "validation point")
        message = f"{contributor} has {given}, as many as its model points: {earned}."
        hint = "It has to earn more model points first; leave it out."
    else:
        message = f"{contributor} has earned no model points from {model.name}."
        hint = "See who has: dcai leaderboard"
    raise Reverted(
        message,
        hint=hint,
        name="FullyValidated",
        values={"contributor": contributor, "modelPoints": earned},
    )


def _already(plan: ValidationPlan) -> Reverted:
    return Reverted(
        f"{plan.account.name} ({plan.account.address}) has validated {', '.join(plan.already)} already.",
        hint="A validator counts once per contributor: name others.",
        name="AlreadyValidated",
        values={"validator": plan.account.address, "contributor": plan.already[0]},
    )


def _send(
    workspace: Workspace,
    outbox: Outbox,
    plan: ValidationPlan,
    done: list[Validation],
    progress: Callable[[int, int], None],
) -> None:
    """Send one transaction for each contributor, and add it to what is done."""
    total = len(plan.contributors)
    for number, contributor in enumerate(plan.contributors):
        progress(number, total)
        try:
            sent = _submit(workspace, outbox, plan.model, contributor)
        except DcaiError as error:
            if not done:
                raise
            raise PartlyDone(
                f"{counted(len(done), 'validation is', 'validations are')} on-chain; then: {error.message}",
                hint=and_goes_on(error.hint),
            ) from error
        done.append(Validation(contributor, sent.hash, sent.gas_used, sent.fee_wei))
    progress(total, total)


def _submit(workspace: Workspace, outbox: Outbox, model: HostedModel, contributor: str) -> Sent:
    return outbox.carry_out(
        kind="validate",
        to=model.incentive,
        data=workspace.chain.encode("PointsIncentive", "validate", contributor),
        detail=contributor,
        model=model.address,
    )


def _everybody(workspace: Workspace, model: HostedModel) -> list[tuple[str, int, int]]:
    """Address, model points and validation points of all contributors, by their first point."""
    return _pages(workspace, model, "leaderboard")


def _reachable(
    workspace: Workspace, model: HostedModel, trusted: Sequence[str]
) -> list[tuple[str, int, int]]:
    """The same of those whom the trusted ones lead to, the nearest first."""
    roots = [_address(workspace, name) for name in trusted]
    contributors = _view(workspace, model, "contributorCount")
    if contributors <= REACHABLE_AT_ONCE:
        return list(_view(workspace, model, "reachable", roots, contributors))
    standings = {standing[0]: standing for standing in _everybody(workspace, model)}
    found = {root: standings[root] for root in roots if root in standings}
    queue = list(found)
    for validator in queue:  # grows while it is read
        validated = _pages(workspace, model, "validationsBy", validator)
        new = [contributor for contributor in validated if contributor not in found]
        found |= {contributor: standings[contributor] for contributor in new}
        queue += new
    return list(found.values())


def _pages(workspace: Workspace, model: HostedModel, function: str, *args: object) -> list[Any]:
    """A whole list of the contract's, page by page; lists only grow."""
    items: list[Any] = []
    while True:
        page = _view(workspace, model, function, *args, len(items), PAGE)
        items += page
        if len(page) < PAGE:
            return items
