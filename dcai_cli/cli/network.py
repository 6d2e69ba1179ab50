"""dcai network: networks by name, each with its nodes and the chain that they must be on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion, options
from dcai_cli.cli.output import Output
from dcai_cli.domain import counted

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.networks import Network

app = typer.Typer(help="Name networks, choose one, see which there are.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Its name.", autocompletion=completion.networks)]


@app.command("list", epilog="Example: dcai network list. Exit codes: 0, 2, 15 (config.toml cannot be read).")
def list_(*, json: options.Json = False) -> None:
    """List the embedded chain and the networks of the settings file; asks no node."""
    from dcai_cli.services.networks import list_networks

    found = list_networks()

    def human(console: Console) -> None:
        for network in found:
            console.print(f"{'*' if network.in_use else ' '} {network.name:16} {_chain(network)}")

    Output("network list", json=json).result({"networks": [_data(network) for network in found]}, human)


@app.command(
    "show",
    epilog="Example: dcai network show embedded. Exit codes: 0, 2 (no such network, or the one in use has "
    "no name), 15.",
)
def show(
    network: Annotated[
        str | None,
        typer.Argument(help="Its name; that in use if left out.", autocompletion=completion.networks),
    ] = None,
    *,
    json: options.Json = False,
) -> None:
    """Show a network: its chain id, the hosts of its nodes, and when a transaction is final there."""
    from dcai_cli.services.networks import find_network

    _result("network show", find_network(network), json=json)


@app.command(
    "add",
    epilog="Example: dcai network add sepolia --rpc-url https://sepolia.example/KEY. Exit codes: 0, 1 "
    "(cannot be written), 2 (the name is taken or means another chain), 13, 15, 17 (the node is on another "
    "chain), 18.",
)
def add(
    network: Annotated[
        str,
        typer.Argument(
            help="Its name; sepolia, base and others are known, and must be on their chains.",
            autocompletion=completion.known_networks,
        ),
    ],
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    confirmations: Annotated[
        int | None,
        typer.Option(min=0, help="Blocks on top of a transaction's from which on it counts as final."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Ask nodes which chain they are on, and write both down under a name; again, it gets other nodes."""
    from dcai_cli.services.networks import add_network

    found = add_network(network, rpc_url=rpc_url, chain_id=chain_id, confirmations=confirmations)
    if not found.in_use:
        Output("network add", json=json).note(f"To mean it from now on: dcai network use {network}")
    _result("network add", found, json=json)


@app.command(
    "use",
    epilog="Example: dcai network use embedded. Exit codes: 0, 1 (cannot be written), 2 (no such network), "
    "15, 18.",
)
def use(network: Name, *, json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Mean this network from now on when none is named."""
    from dcai_cli.services.networks import use_network

    found, output = use_network(network), Output("network use", json=json, quiet=quiet)
    for variable in ("ETH_RPC_URL", "DCAI_NETWORK"):
        if os.environ.get(variable):
            output.note(f"{variable} is set in the environment, and goes over the file.")
    _result("network use", found, json=json)


@app.command(
    "remove",
    epilog="Example: dcai network remove sepolia. Exit codes: 0, 1 (cannot be written), 2 (no such network, "
    "or it is in use), 15, 18.",
)
def remove(network: Name, *, json: options.Json = False) -> None:
    """Take a network out of the settings file; what the ledger knows of its chain stays."""
    from dcai_cli.services.networks import remove_network

    remove_network(network)
    Output("network remove", json=json).result(
        {"name": network}, lambda console: console.print(f"{network} is gone.")
    )


def _data(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "chain_id": network.chain_id,
        "nodes": list(network.hosts),
        "in_use": network.in_use,
        "confirmations": network.confirmations,
        "fault": network.fault,
    }


def _chain(network: Network) -> str:
    if network.fault is not None:
        return f"broken: {network.fault}"
    nodes = ", ".join(network.hosts) or "in this process"
    return f"chain id {network.chain_id}, {nodes}"


def _result(command: str, network: Network, *, json: bool) -> None:
    def human(console: Console) -> None:
        console.print(f"{network.name}, {_chain(network)}{'; in use' if network.in_use else ''}")
        if network.hosts and network.confirmations is not None:
            console.print(f"final after {counted(network.confirmations, 'block')}")

    Output(command, json=json).result(_data(network), human)
