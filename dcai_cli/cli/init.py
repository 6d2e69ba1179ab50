"""dcai init: account, network and model, by questions or by flags."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output, is_asked, print_error, read_answer, read_password
from dcai_cli.errors import DcaiError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.models import HostedModel
    from dcai_cli.services.setup import NetworkChoice
    from dcai_cli.services.standing import Standing
    from dcai_cli.services.workspace import Workspace

FLAGS = "--new-account NAME (or --account NAME), --network NAME (or --rpc-url URL), --model NAME"
"""What answers the questions beforehand."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "init",
        epilog="Example: dcai init --new-account me --network embedded. Exit codes: 0, 1, 2 (nobody can "
        "answer, or no such model), 10 (no such account), 13, 15 (the name is taken, or config.toml is "
        "broken), 17 (another chain id), 18, 130.",
    )(init)


def init(
    *,
    new_account: Annotated[
        str | None, typer.Option("--new-account", help="Make an account of this name, and act with it.")
    ] = None,
    account: options.Account = None,
    network: options.Network = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    model: options.Model = None,
    password_file: options.PasswordFile = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Set up account, network and model by questions; again, it shows what is set and changes what you say.

    What an option answers is not asked. Everything is asked before anything is written.
    """
    from dcai_cli.services.setup import Choice, set_up
    from dcai_cli.services.standing import where_you_stand

    if account is not None and new_account is not None:
        raise UsageError("An account is either chosen or made.", hint="Give --account or --new-account.")
    output = Output("init", json=json, quiet=quiet)
    with options.open_workspace(password_file=password_file) as workspace:
        asked = {"network": network, "rpc_url": rpc_url}
        chosen = {name: value for name, value in asked.items() if value is not None}
        _check_flags(workspace, new_account, account, chosen)
        if is_asked():
            _say_what_is_set(output, where_you_stand(workspace))
            if account is None and new_account is None:
                new_account, account = _ask_account(workspace)
            chosen = chosen or _ask_network(workspace)
    with _opened(chosen, chain_id, password_file) as workspace:
        found = _network(workspace) if chosen else None
        meant = _model(workspace, found, model)
        choice = Choice(network=found, account=account, new_account=new_account, model=meant)
        name = new_account or ""
        changed = set_up(
            workspace,
            choice,
            password=lambda: read_password(
                workspace.settings, f"Password for {name}: ", note=output.note, twice=True
            ),
        )
    with options.open_workspace() as workspace:
        standing = where_you_stand(workspace)
    _say_what_goes_over(output, changed)
    data = {
        "changed": list(changed),
        "network": standing.network,
        "chain_id": standing.chain_id,
        "account": standing.account,
        "address": standing.address,
        "model": standing.model,
        "model_address": standing.model_address,
        "next": [{"command": step.command, "why": step.why} for step in standing.steps],
    }
    output.result(data, lambda console: _show(console, standing, changed))


def _check_flags(
    workspace: Workspace, new_account: str | None, account: str | None, chosen: dict[str, str]
) -> None:
    """Refuse what would be asked where nobody can answer, and names that cannot be, before all else.

    Raises:
        UsageError: nobody is there, and something is neither set nor given.
    """
    from dcai_cli.services.setup import network_is_set

    if new_account is not None:
        workspace.keystore.check_free(new_account)
    if account is not None:
        workspace.keystore.find(account)
    missing = []
    if not (new_account or account or workspace.keystore.list()):
        missing.append("account")
    if not chosen and not network_is_set():
        missing.append("network")
    if missing and not is_asked():
        raise UsageError(
            f"No {' and no '.join(missing)} is set, and nobody is there to answer.", hint=f"Add {FLAGS}."
        )


def _ask(question: str, default: str) -> str:
    """An answer; the default if none is typed."""
    return read_answer(f"{question} [{default}]: " if default else f"{question}: ") or default


def _ask_account(workspace: Workspace) -> tuple[str | None, str | None]:
    """The name of an account to make, or of one to use instead of that in use; or neither."""
    from dcai_cli.services.accounts import list_accounts

    accounts = list_accounts(workspace) if workspace.keystore.list() else []
    names = [one.name for one in accounts]
    used = next((one.name for one in accounts if one.in_use), None)
    known = f"{', '.join(names)}, or a new name" if names else "a name for a new one"
    while True:
        answer = _ask(f"Account ({known})", used or (names[0] if names else "me"))
        if answer == used:
            return None, None
        if answer in names:
            return None, answer
        try:
            workspace.keystore.check_free(answer)
        except DcaiError as error:
            print_error(error, command="init", as_json=False)
            continue
        return answer, None


def _ask_network(workspace: Workspace) -> dict[str, str]:
    """The network, by name or by URL, once it has answered; nothing if it stays."""
    from dcai_cli.config import host_of, split_urls
    from dcai_cli.services.networks import list_networks
    from dcai_cli.services.setup import network_is_set

    now = workspace.settings.network_label
    names = [network.name for network in list_networks()]
    while True:
        answer = _ask(f"Network ({', '.join(names)}, or a node's URL)", now)
        if answer == now and network_is_set():
            return {}
        chosen = {"network" if answer in names else "rpc_url": answer}
        try:
            for url in split_urls(chosen.get("rpc_url", "")):
                host_of(url)
            with _opened(chosen, is_answer=True) as other:
                _network(other)
        except DcaiError as error:
            print_error(error, command="init", as_json=False)
            continue
        return chosen


def _opened(
    chosen: dict[str, Any],
    chain_id: int | None = None,
    password_file: Path | None = None,
    *,
    is_answer: bool = False,
) -> Workspace:
    """The parts with the network that was chosen; a chain id that is set belongs to the one that was.

    Args:
        chosen: its name or URL.
        chain_id: the chain id that it must have.
        password_file: as it was given.
        is_answer: whether it was typed as an answer, so that no option is to be checked.
    """
    from dcai_cli.config import load_settings
    from dcai_cli.services.workspace import Workspace

    settings = load_settings(**chosen, chain_id=chain_id, password_file=password_file)
    if settings.nodes_from and is_answer:
        settings = replace(settings, nodes_from="the URL")
    if "rpc_url" in chosen and "network" not in chosen:
        settings = replace(settings, chain_id=chain_id)
    return Workspace(settings)


def _network(workspace: Workspace) -> NetworkChoice:
    from dcai_cli.services.setup import look_at_network

    return look_at_network(workspace)


def _model(workspace: Workspace, network: NetworkChoice | None, model: str | None) -> HostedModel | None:
    """The model that was named, or is answered; None if what is in use stays."""
    from dcai_cli.services.models import find_model

    if model is not None:
        return find_model(workspace, model)
    if not is_asked():
        return None
    known = (network or _network(workspace)).models
    if not known:
        return None
    used = workspace.ledger.choice(workspace.chain.key, "model")
    now = next((one.name for one in known if one.address == used), known[0].name if len(known) == 1 else "")
    names = ", ".join(one.name for one in known)
    while True:
        answer = _ask(f"Model ({names}, an address, or nothing)", now)
        if answer == now:
            return None
        try:
            return find_model(workspace, answer)
        except DcaiError as error:
            print_error(error, command="init", as_json=False)


def _say_what_is_set(output: Output, standing: Standing) -> None:
    output.note("What stands in brackets is set, or is taken if you press Enter.")
    if standing.accounts:
        output.note(
            f"set now: network {standing.network}; account {standing.account or '-'}; "
            f"model {standing.model or '-'}"
        )


def _say_what_goes_over(output: Output, changed: tuple[str, ...]) -> None:
    """Name the variables of the environment that hide what was chosen."""
    hiding = {"network": ("ETH_RPC_URL", "DCAI_NETWORK"), "account": ("ETH_FROM", "ETH_KEYSTORE_ACCOUNT")}
    for what, variables in hiding.items():
        for variable in variables:
            if what in changed and os.environ.get(variable):
                output.note(f"{variable} is set in the environment, and goes over what was chosen.")


def _show(console: Console, standing: Standing, changed: tuple[str, ...]) -> None:
    for name, value in (
        ("network", standing.network),
        ("account", standing.account),
        ("model", standing.model),
    ):
        console.print(f"{name:9}{value or '-'}{'  (changed)' if name in changed else ''}")
    for number, step in enumerate(standing.steps):
        console.print(f"{'next' if number == 0 else 'or':9}{step.command}")
        console.print(f"         {step.why}")
