"""Networks by name: listing, adding, choosing and removing profiles."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain import open_chain
from dcai_cli.config import load_settings, read_file
from dcai_cli.errors import UsageError
from dcai_cli.networks import CHAIN_IDS, EMBEDDED, check_name, find_profile, read_profiles
from dcai_cli.services.settings_file import change_profile, change_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dcai_cli.config import Settings


@dataclass(frozen=True, slots=True)
class Network:
    """A network as it may be shown.

    Args:
        name: its name.
        chain_id: the chain id that its nodes must have.
        hosts: of its nodes; none for the embedded chain.
        in_use: whether commands mean it when none is named.
        confirmations: blocks on top of a transaction's from which on it counts as final there.
    """

    name: str
    chain_id: int
    hosts: tuple[str, ...]
    in_use: bool
    confirmations: int


def list_networks(environ: Mapping[str, str] = os.environ) -> list[Network]:
    """The embedded chain, and the profiles in the order of the file; no node is asked."""
    settings = load_settings(environ)
    profiles = read_profiles(read_file(settings.config_path))
    return [_network(settings, name, environ) for name in (EMBEDDED, *profiles)]


def find_network(name: str | None, environ: Mapping[str, str] = os.environ) -> Network:
    """A network by its name; no node is asked.

    Args:
        name: its name; that of the network in use if None.
        environ: the environment.

    Raises:
        UsageError: there is none, or nodes without a name are in use.
    """
    settings = load_settings(environ)
    name = name or settings.network
    if name is None:
        raise UsageError(
            f"The nodes in use, {settings.network_label}, are of no network with a name.",
            hint="Give them one: dcai network add NAME --rpc-url URL",
        )
    return _network(settings, name, environ)


def _network(in_use: Settings, name: str, environ: Mapping[str, str]) -> Network:
    profile = find_profile(read_profiles(read_file(in_use.config_path)), name)
    settings = load_settings(environ, network=name)
    return Network(name, profile.chain_id, settings.hosts, in_use.network == name, settings.confirmations)


def add_network(
    name: str,
    *,
    rpc_url: str | None,
    chain_id: int | None = None,
    confirmations: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Network:
    """Give nodes a name, and pin the chain id that they answer with.

    Each node is asked. A profile that is there gets the new nodes, which must be on its chain.

    Args:
        name: of the network.
        rpc_url: its nodes; those of the settings, which have no name then, if None.
        chain_id: the chain id that they must have, if it is known.
        confirmations: blocks on top of a transaction's from which on it counts as final there.
        environ: the environment.

    Raises:
        UsageError: there is no URL, the name cannot be, or it means another chain.
        RpcUnreachable: no node answers.
        WrongChain: the nodes are on another chain.
    """
    check_name(name)
    settings = load_settings(environ, rpc_url=rpc_url)
    if settings.network is not None or not settings.rpc_urls:
        raise UsageError("A network needs a node.", hint=f"Name one: dcai network add {name} --rpc-url URL")
    before = read_profiles(read_file(settings.config_path)).get(name)
    known = CHAIN_IDS.get(name) if before is None else before.chain_id
    if None not in (known, chain_id) and known != chain_id:
        raise UsageError(
            f"{name} is chain {known}, not chain {chain_id}.", hint="Give the network another name."
        )
    pinned = known or chain_id
    for url in settings.rpc_urls:
        with open_chain(replace(settings, rpc_url=url, chain_id=pinned, network=name)) as chain:
            pinned = chain.chain_id
    values: dict[str, str | int] = {"rpc_url": str(settings.rpc_url), "chain_id": int(pinned or 0)}
    if confirmations is not None:
        values["confirmations"] = confirmations
    change_profile(name, values, environ)
    return find_network(name, environ)


def use_network(name: str, environ: Mapping[str, str] = os.environ) -> Network:
    """Mean this network from now on when none is named.

    Raises:
        UsageError: there is none of that name.
    """
    # What else names a network in the file would go over it, or contradict it.
    change_settings({"network": name, "rpc_url": None, "chain_id": None}, environ)
    return find_network(name, environ)


def remove_network(name: str, environ: Mapping[str, str] = os.environ) -> None:
    """Remove a profile.

    Raises:
        UsageError: there is none, or commands mean it when none is named.
    """
    settings = load_settings(environ)
    values = read_file(settings.config_path)
    find_profile(read_profiles(values), name)
    check_name(name)
    if name in (values.get("network"), settings.network):
        raise UsageError(f"{name} is in use.", hint=f"Use another one first: dcai network use {EMBEDDED}")
    change_profile(name, None, environ)
