"""Setting up account, network and model, all that is chosen in one go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from dcai_cli.config import ENVIRONMENT, load_settings, read_file
from dcai_cli.errors import UsageError
from dcai_cli.networks import EMBEDDED, EMBEDDED_CHAIN_ID
from dcai_cli.services.accounts import create_account, use_account
from dcai_cli.services.networks import use_network
from dcai_cli.services.settings_file import change_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dcai_cli.services.models import HostedModel
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """A network that answered.

    Args:
        name: its name; None if its nodes were given by their URLs.
        rpc_url: these; may hold keys.
        chain_id: its chain id.
        models: the models that can be chosen there.
    """

    name: str | None
    rpc_url: str | None
    chain_id: int
    models: tuple[HostedModel, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen; None leaves what is set.

    Args:
        network: the network.
        account: name or address of an account that there is.
        new_account: the name of one to make.
        model: the model to mean when none is named.
    """

    network: NetworkChoice | None = None
    account: str | None = None
    new_account: str | None = None
    model: HostedModel | None = None


def network_is_set(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody chose a network, if only the embedded chain."""
    from_environment = (name for variable, name in ENVIRONMENT.items() if environ.get(variable))
    names = {*from_environment, *read_file(load_settings(environ).config_path)}
    return bool(names & {"network", "rpc_url"})


def look_at_network(workspace: Workspace) -> NetworkChoice:
    """Ask a network for its chain id and its models; nothing is set.

    Args:
        workspace: opened with the network's name or URL, and without a chain id that belongs to another.

    Raises:
        RpcUnreachable: no node answers.
        WrongChain: the node is on another chain than the one that was asked for.
    """
    from dcai_cli.services.models import known_models

    settings = workspace.settings
    is_new = not settings.rpc_urls and not settings.devnet_path.exists()
    if is_new and settings.chain_id in (None, EMBEDDED_CHAIN_ID):
        return NetworkChoice(EMBEDDED, None, EMBEDDED_CHAIN_ID, ())  # looking would make it
    chain = workspace.chain
    return NetworkChoice(
        name=settings.network,
        rpc_url=settings.rpc_url,
        chain_id=chain.chain_id,
        models=tuple(known_models(workspace)),
    )


def set_up(workspace: Workspace, choice: Choice, *, password: Callable[[], str]) -> tuple[str, ...]:
    """Write down what was chosen. An interruption waits until all of it is there.

    Args:
        workspace: opened with the network that was chosen.
        choice: what was chosen.
        password: gives the password of a new account; asked for before anything is written.

    Returns:
        What was changed: account, network, model.

    Raises:
        BadInput: the new account's name is taken.
        NoAccount: there is no such account.
    """
    if choice.account is not None and choice.new_account is not None:
        raise UsageError("An account is either chosen or made.", hint="Give --account or --new-account.")
    secret = None
    if choice.new_account is not None:
        workspace.keystore.check_free(choice.new_account)
        secret = password()
    elif choice.account is not None:
        workspace.keystore.find(choice.account)
    changed = []
    with _uninterrupted():
        if choice.new_account is not None and secret is not None:
            create_account(workspace, choice.new_account, secret)
        name = choice.new_account or choice.account
        if name is not None:
            use_account(workspace, name)
            if "account" in read_file(workspace.settings.config_path):
                change_settings({"account": name})  # it goes over the account in use
            changed.append("account")
        if choice.network is not None:
            if choice.network.name is not None:
                use_network(choice.network.name)
            else:
                pinned = str(choice.network.chain_id)
                change_settings({"network": None, "rpc_url": choice.network.rpc_url, "chain_id": pinned})
            changed.append("network")
        if choice.model is not None:
            workspace.ledger.choose(workspace.chain.key, "model", choice.model.address)
            changed.append("model")
    return tuple(changed)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let an interruption come afterwards."""
    came = []

    def note(_number: int, _frame: FrameType | None) -> None:
        came.append(True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
