"""Networks by name: listing, adding, choosing and removing profiles."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain import open_chain
from dcai_cli.config import CONFIG_NAME, folders, load_settings, network_in_use, read_file
from dcai_cli.errors import DcaiError, UsageError
from dcai_cli.networks import (
    EMBEDDED,
    check_name,
    find_profile,
    pinned_chain_id,
    read_tables,
    removal,
)
from dcai_cli.services.settings_file import change_profile, change_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Network:
    """A network as it may be shown.

    Args:
        name: its name.
        chain_id: the chain id that its nodes must have; None if its profile is broken.
        hosts: of its nodes; none for the embedded chain.
        in_use: whether commands mean it when none is named.
        confirmations: blocks on top of a transaction's from which on it counts as final there, which on the
            embedded chain it is at once; None if its profile is broken.
        fault: what is wrong with its profile; None if it can be used.
    """

    name: str
    chain_id: int | None
    hosts: tuple[str, ...]
    in_use: bool
    confirmations: int | None
    fault: str | None = None


def list_networks(environ: Mapping[str, str] = os.environ) -> list[Network]:
    """The embedded chain, and the profiles in the order of the file; no node is asked.

    A profile that is broken is listed with its fault, and hinders no other.
    """
    found = [_network(EMBEDDED, environ)]
    for name in _tables(environ):
        try:
            if name == EMBEDDED:
                check_name(name)
            found.append(_network(name, environ))
        except DcaiError as error:
            in_use = name == network_in_use(environ) and name != EMBEDDED
            found.append(Network(name, None, (), in_use, None, fault=error.message))
    return found


def _tables(environ: Mapping[str, str]) -> dict[str, object]:
    return read_tables(read_file(folders(environ)[0] / CONFIG_NAME))


def find_network(name: str | None, environ: Mapping[str, str] = os.environ) -> Network:
    """A network by its name; no node is asked.

    Args:
        name: its name; that of the network in use if None.
        environ: the environment.

    Raises:
        UsageError: there is none, or nodes without a name are in use.
    """
    name = name or network_in_use(environ)
    if name is None:
        label = load_settings(environ).network_label
        raise UsageError(
            f"The nodes in use, {label}, are of no network with a name.",
            hint="Give them one: dcai network add NAME --rpc-url URL",
        )
    return _network(name, environ)


def _network(name: str, environ: Mapping[str, str]) -> Network:
    profile = find_profile(_tables(environ), name)
    settings = load_settings(environ, network=name)
    confirmations = settings.confirmations if settings.rpc_urls else 0
    in_use = network_in_use(environ) == name
    return Network(name, profile.chain_id, settings.hosts, in_use, confirmations)


def add_network(
    name: str,
    *,
    rpc_url: str | None,
    chain_id: int | None = None,
    confirmations: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Network:
    """Give nodes a name, and pin the chain id that they answer with.

    Each node is asked. A profile that is there gets the new nodes, which must be on its chain; what was wrong
    with it goes.

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
    known = pinned_chain_id(name, _tables(environ).get(name))
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
    tables = _tables(environ)
    if name not in tables:
        find_profile(tables, name)
        check_name(name)
    if name != EMBEDDED and name == read_file(folders(environ)[0] / CONFIG_NAME).get("network"):
        raise UsageError(f"{name} is in use.", hint=f"Use another one first: dcai network use {EMBEDDED}")
    if name != EMBEDDED and name == network_in_use(environ):
        raise UsageError(
            f"{name} is in use: DCAI_NETWORK names it.",
            hint=f"Leave the variable out: env -u DCAI_NETWORK {removal(name)}",
        )
    change_profile(name, None, environ)
