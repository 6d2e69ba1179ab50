"""What shell completion offers for accounts, models, markets, networks and settings.

Nothing is printed, made or changed here, no chain is asked, and whatever goes wrong offers nothing: the shell
asks in the middle of a line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dcai_cli.config import KEYS, host_of, load_settings
from dcai_cli.errors import DcaiError
from dcai_cli.networks import CHAIN_IDS, EMBEDDED, EMBEDDED_CHAIN_ID

if TYPE_CHECKING:
    from dcai_cli.ledger import Ledger

Offers = list[tuple[str, str]]
"""What can be typed, and what it is."""

LOCAL_NODE = "http://127.0.0.1:8545"
"""Where anvil, hardhat and geth listen if nobody says otherwise."""


def _starting(incomplete: str, offers: Callable[[], Offers]) -> Offers:
    try:
        return [offer for offer in offers() if offer[0].startswith(incomplete)]
    except (DcaiError, OSError):
        return []


def accounts(incomplete: str) -> Offers:
    """The names of this user's accounts."""

    def offers() -> Offers:
        from dcai_cli.keystore import Keystore

        stored = Keystore(load_settings().keystore_dir).list()
        return [(account.name, account.address or "") for account in stored]

    return _starting(incomplete, offers)


def models(incomplete: str) -> Offers:
    """The names of the models that the ledger knows on the chain of the settings."""

    def offers(ledger: Ledger) -> list[tuple[str, str, str]]:
        return [(model.chain, model.name, model.address) for model in ledger.models(None)]

    return _starting(incomplete, lambda: _known(offers))


def markets(incomplete: str) -> Offers:
    """Markets of the ledger on the chain of the settings: by their names if this user made them."""

    def offers(ledger: Ledger) -> list[tuple[str, str, str]]:
        return [
            (chain, word, "yours" if is_name else "you take part")
            for chain, word, is_name in ledger.market_words()
        ]

    return _starting(incomplete, lambda: _known(offers))


def _known(offers: Callable[[Ledger], list[tuple[str, str, str]]]) -> Offers:
    """What the ledger offers, each behind its chain's key, of the chain of the settings."""
    from dcai_cli.ledger import open_ledger

    settings = load_settings()
    if settings.ledger_url is None and not settings.ledger_path.exists():
        return []  # looking would make it
    chain_id = settings.chain_id if settings.rpc_urls else EMBEDDED_CHAIN_ID
    ledger = open_ledger(settings.ledger)
    try:
        known = offers(ledger)
    finally:
        ledger.close()
    return [
        (word, meaning)
        for chain, word, meaning in known
        if chain_id is None or chain.startswith(f"{chain_id}-")
    ]


def networks(incomplete: str) -> Offers:
    """The names of the networks that there are."""

    def offers() -> Offers:
        from dcai_cli.services.networks import list_networks

        _, *named = list_networks()
        said = [(one.name, f"chain id {one.chain_id}") for one in named if one.fault is None]
        return [(EMBEDDED, "the chain in this process"), *said]

    return _starting(incomplete, offers)


def known_networks(incomplete: str) -> Offers:
    """Names that mean one chain, whoever uses them."""
    return _starting(incomplete, lambda: [(name, f"chain id {id_}") for name, id_ in CHAIN_IDS.items()])


def nodes(incomplete: str) -> Offers:
    """The embedded chain, the usual local node, and the nodes of the settings that hold no secret."""

    def offers() -> Offers:
        found = {EMBEDDED: "the chain in this process", LOCAL_NODE: "a node on this machine"}
        for url in load_settings().rpc_urls:
            host = host_of(url)
            scheme = url.partition("://")[0]
            if url.rstrip("/") == f"{scheme}://{host}":  # nothing that could be a key
                found.setdefault(url, "set already")
        return list(found.items())

    return _starting(incomplete, offers)


def scenarios(incomplete: str) -> Offers:
    """The names of the scenarios that come along, and scenario files as far as they were typed."""
    return _scenarios(incomplete, "scenarios")


def market_scenarios(incomplete: str) -> Offers:
    """The same for scenarios of markets."""
    return _scenarios(incomplete, "markets")


def _scenarios(incomplete: str, examples: str) -> Offers:
    def offers() -> Offers:
        from dcai_cli.simulation.scenario import bundled_scenarios

        folder = Path(incomplete or ".").parent if not incomplete.endswith("/") else Path(incomplete)
        before = incomplete[: incomplete.rfind("/") + 1]
        found = [(f"{before}{path.name}", "a file") for path in sorted(folder.glob("*.toml"))]
        return [*((name, "comes along") for name in bundled_scenarios(examples)), *found]

    return _starting(incomplete, offers)


def settings(incomplete: str) -> Offers:
    """The names of the settings."""
    return _starting(incomplete, lambda: [(name, "") for name in KEYS])


def setting_values(ctx: typer.Context, incomplete: str) -> Offers:
    """Values of the setting that was named, where they are known."""
    known = {"network": networks, "rpc_url": nodes, "account": accounts}.get(str(ctx.params.get("name")))
    return [] if known is None else known(incomplete)
