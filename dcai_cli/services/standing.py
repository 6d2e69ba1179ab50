"""Where this user stands, and what to type next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dcai_cli.domain import format_duration
from dcai_cli.errors import DcaiError, NoAccount, UsageError
from dcai_cli.ledger import OpenSum
from dcai_cli.services.accounts import acting_account

if TYPE_CHECKING:
    from dcai_cli.config import Settings
    from dcai_cli.services.models import HostedModel
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Step:
    """Something to type next.

    Args:
        command: the command, as it is typed in a shell.
        why: what it does, in a few words.
    """

    command: str
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands.

    Args:
        network: its name, or the hosts of the nodes.
        chain_id: of the chain; None if no chain was asked.
        chain_time: its time; likewise.
        account: name of the acting account; None if there is none, or not just one.
        address: its address; likewise.
        accounts: the names of all accounts.
        balance_wei: its balance; None if no chain was asked.
        model: name of the model that is meant when none is named; None if there is none, or not just one.
        model_address: its address; likewise.
        models: the names of the models that the ledger knows on this chain.
        waiting: what is out and not due yet by the chain's time; None if no chain was asked.
        due: what is due, whatever the model says of it; likewise.
        next_due_at: when the first of what waits is due; None if nothing waits.
        claimable_at: from when claiming gets something of what is due: later than the chain's time if the
            models reject all of it; None if nothing is due, or only points that are rejected.
        on_their_way: transactions whose outcome is not known yet; None if no chain was asked.
        markets: in how many prediction markets the account has something to do, now or later.
        daemon_pid: the process of the account's daemon; None if none runs.
        problem: why no chain could be asked; None if it could, or need not be.
        steps: what to type next, the most urgent first.
    """

    network: str
    chain_id: int | None = None
    chain_time: int | None = None
    account: str | None = None
    address: str | None = None
    accounts: tuple[str, ...] = ()
    balance_wei: int | None = None
    model: str | None = None
    model_address: str | None = None
    models: tuple[str, ...] = ()
    waiting: OpenSum | None = None
    due: OpenSum | None = None
    next_due_at: int | None = None
    claimable_at: int | None = None
    on_their_way: int | None = None
    markets: int = 0
    daemon_pid: int | None = None
    problem: DcaiError | None = None
    steps: tuple[Step, ...] = field(default=())


def where_you_stand(workspace: Workspace) -> Standing:
    """Look at settings, keys and ledger, and at the chain if there is an account; nothing is written there.

    What is out is summed up as the ledger knows it: claims that others made since are not looked for.
    """
    settings = workspace.settings
    standing = Standing(
        network=settings.network_label,
        accounts=tuple(stored.name for stored in workspace.keystore.list()),
    )
    if standing.accounts and (settings.ledger_url or settings.ledger_path.exists()):
        standing = _with_account(workspace, standing)
    elif len(standing.accounts) == 1:
        standing = replace(standing, account=standing.accounts[0])
    return replace(standing, steps=tuple(_steps(standing, settings)[:2]))


def _with_account(workspace: Workspace, standing: Standing) -> Standing:
    try:
        acting = acting_account(workspace)
    except NoAccount as error:
        # Several are a question, which the next step answers; one that is set and missing is a fault.
        several = len(standing.accounts) > 1 and workspace.settings.account is None
        return standing if several else replace(standing, problem=error)
    standing = replace(standing, account=acting.name, address=acting.address)
    settings = workspace.settings
    if not settings.rpc_urls and not settings.devnet_path.exists():
        return standing  # looking would make the chain
    try:
        return _with_chain(workspace, standing, acting.address)
    except DcaiError as error:
        return replace(standing, problem=error)


def _with_chain(workspace: Workspace, standing: Standing, address: str) -> Standing:
    from dcai_cli.ledger.fold import UNSETTLED
    from dcai_cli.services.claims.refund import claimable_at
    from dcai_cli.services.daemon import state as daemon_state
    from dcai_cli.services.models import known_models

    chain, ledger, now = workspace.chain, workspace.ledger, workspace.chain.timestamp()
    known = known_models(workspace)
    waiting = due = OpenSum()
    times = []
    for model in known:
        due_before = now - model.terms.refund_wait_s
        later, sooner = ledger.open_sums(
            chain.key, address, model.address, due_before=due_before, has_points=model.has_points
        )
        waiting, due = waiting + later, due + sooner
        times += _next_due(workspace, model, address, due_before) if later.batches else []
    state = daemon_state.load(daemon_state.state_path(workspace.settings, chain.key, address))
    holder = None if state is None else daemon_state.running(workspace.settings, state)
    meant = _meant(workspace, known)
    return replace(
        standing,
        chain_id=chain.chain_id,
        chain_time=now,
        balance_wei=chain.balance_wei(address),
        model=None if meant is None else meant.name,
        model_address=None if meant is None else meant.address,
        models=tuple(model.name for model in known),
        waiting=waiting,
        due=due,
        next_due_at=min(times, default=None),
        claimable_at=claimable_at(workspace, address, known, now=now) if due.batches else None,
        on_their_way=len(ledger.transactions(chain.key, account=address, states=UNSETTLED)),
        markets=len(ledger.markets(chain.key, address, closed=False)),
        daemon_pid=None if holder is None else holder.pid,
    )


def _meant(workspace: Workspace, known: list[HostedModel]) -> HostedModel | None:
    """The model that commands mean when none is named; None if they would ask."""
    from dcai_cli.services.models import find_model

    try:
        return find_model(workspace, None) if known else None
    except UsageError:
        return None


def _next_due(workspace: Workspace, model: HostedModel, address: str, due_before: int) -> list[int]:
    """When the first batch of a model that is not due yet will be."""
    added_at = workspace.ledger.first_added_after(
        workspace.chain.key, address, model.address, after=due_before
    )
    return [] if added_at is None else [added_at + model.terms.refund_wait_s]


def _steps(standing: Standing, settings: Settings) -> list[Step]:
    """What to type next, the most urgent first."""
    if standing.problem is not None:
        return [Step("dcai config show", "see the settings in force")]
    if not standing.accounts:
        return [
            Step("dcai init", "set up account, network, model"),
            Step("dcai demo", "see the whole story in a minute"),
        ]
    if standing.account is None:
        return [Step(f"dcai account use {standing.accounts[0]}", "choose the account to act with")]
    return [
        *_funding_steps(standing, settings),
        *_money_steps(standing, settings),
        *_model_steps(standing, settings),
    ]


def _funding_steps(standing: Standing, settings: Settings) -> list[Step]:
    """Whoever has nothing can send nothing; the embedded chain funds each account before its first one."""
    if standing.balance_wei != 0 or not settings.rpc_urls:
        return []
    return [Step("dcai", f"send ether to {standing.address} first, then look again")]


def _money_steps(standing: Standing, settings: Settings) -> list[Step]:
    steps = []
    if standing.on_their_way:
        steps.append(Step("dcai tx list", "see what is on its way"))
    now = standing.chain_time or 0
    times = [time for time in (standing.claimable_at, standing.next_due_at) if time is not None]
    if times and min(times) <= now:
        steps.append(CLAIM)
    elif times and standing.daemon_pid is None:
        steps.append(waiting_step(settings, min(times) - now))
    if standing.markets and standing.daemon_pid is None:
        # What is not shown in time is burned: that goes before what only waits.
        steps.insert(0, Step("dcai market reveal", "show what is due in markets"))
    return steps


CLAIM = Step("dcai refunds --claim", "claim what is due")
STAND = Step("dcai", "see where you stand")


def waiting_step(settings: Settings, seconds: int) -> Step:
    """What to type while something is not due yet.

    Args:
        settings: they say whether time can be moved.
        seconds: how long the first of it waits.
    """
    if settings.rpc_urls:
        return Step("dcai daemon run", "take deposits back in time")
    hours = -(-seconds // 3600) + 1  # what came within the hour is due then, too
    return Step(f"dcai devnet advance {hours}h", f"let {format_duration(seconds)} pass")


def _model_steps(standing: Standing, settings: Settings) -> list[Step]:
    steps = []
    if not standing.models:
        if settings.rpc_urls:
            steps.append(Step("dcai model list", "see which models there are"))
        steps.append(Step("dcai model suggest FILE", "see how a model can read your texts"))
    elif standing.model is None:
        steps.append(Step(f"dcai model use {standing.models[0]}", "choose the model to work with"))
    else:
        steps.append(Step("dcai contribute FILE", "contribute rows to the model"))
    return steps
