"""Networks by name: a profile says which nodes to ask, and which chain they must be on."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from dcai_cli.errors import BadInput, UsageError

EMBEDDED = "embedded"
"""Name of the network that needs no node: an EVM in this process."""

EMBEDDED_CHAIN_ID = 131_337
"""The chain id of every embedded chain; they differ in their genesis hash."""

CHAIN_IDS = {
    "mainnet": 1,
    "sepolia": 11_155_111,
    "holesky": 17_000,
    "hoodi": 560_048,
    "optimism": 10,
    "op-sepolia": 11_155_420,
    "base": 8_453,
    "base-sepolia": 84_532,
    "arbitrum": 42_161,
    "arbitrum-sepolia": 421_614,
}
"""Names that mean one chain, whoever uses them."""

TABLE = "networks"
"""What the settings file calls the profiles: `[networks.NAME]`."""

KEYS = ("rpc_url", "chain_id", "confirmations", "replace_after", "gas_price_wei", "priority_fee_wei")
"""What a profile may set; the first two it must."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Profile:
    """A network by name.

    Args:
        name: its name.
        chain_id: the chain id that its nodes must have.
        values: its settings by their names; URLs may hold keys, so not in the repr.
    """

    name: str
    chain_id: int
    values: Mapping[str, object] = field(repr=False)


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a profile.

    Raises:
        UsageError: it is taken, or would not do in a file or in a shell.
    """
    if name == EMBEDDED:
        raise UsageError(
            f"{EMBEDDED} is the chain in this process, and needs no profile.",
            hint="Take another name; those that there are: dcai network list",
        )
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name[:60]!r} is no name for a network.",
            hint="Take up to 32 small letters, digits and hyphens, as in sepolia or my-anvil.",
        )


def read_tables(values: Mapping[str, object]) -> dict[str, object]:
    """What a settings file has below the names of networks; whether it can be a profile, `find_profile` says.

    Args:
        values: what the file sets.

    Raises:
        BadInput: networks are no table.
    """
    tables = values.get(TABLE, {})
    if not isinstance(tables, dict):
        raise BadInput(f"{TABLE} is not a table.", hint=f"Write [{TABLE}.NAME] above what a network sets.")
    return tables


def _profile(name: str, table: object) -> Profile:
    where = f"[{TABLE}.{name}]"
    try:
        check_name(name)
    except UsageError as error:
        raise BadInput(f"{where}: {error.message}", hint=f"Remove it: {removal(name)}") from None
    if not isinstance(table, dict):
        raise BadInput(f"{TABLE}.{name} is not a table.", hint=f"Write {where} above what it sets.")
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise BadInput(
            f"{where} sets {', '.join(map(repr, unknown))}, which dcai does not know.",
            hint=f"It may set: {', '.join(KEYS)}.",
        )
    chain_id = table.get("chain_id")
    if not table.get("rpc_url") or type(chain_id) is not int or chain_id < 1:
        raise BadInput(
            f"{where} must set rpc_url, and chain_id to a whole number.",
            hint=f"Let it be written: dcai network add {name} --rpc-url URL",
        )
    known = CHAIN_IDS.get(name, chain_id)
    if chain_id != known:
        raise BadInput(
            f"{where} sets chain_id to {chain_id}, but {name} is chain {known}.",
            hint=f"Give the network another name, or remove it: {removal(name)}",
        )
    return Profile(name, chain_id, table)


def removal(name: str) -> str:
    """The command that takes a network out of the settings file, as it is typed in a shell."""
    return f"dcai network remove {shlex.quote(name)}"


def pinned_chain_id(name: str, table: object) -> int | None:
    """The chain id that a table pins, or its name does, whatever else is wrong with it; None if neither."""
    pinned = table.get("chain_id") if isinstance(table, dict) else None
    return CHAIN_IDS.get(name, pinned if type(pinned) is int and pinned > 0 else None)


def find_profile(tables: Mapping[str, object], name: str) -> Profile:
    """The profile of a name; that of the embedded chain is always there. The others are not looked at.

    Args:
        tables: what the settings file has below the names of networks.
        name: the one that is meant.

    Raises:
        UsageError: there is none; the hint has those that there are.
        BadInput: it cannot be; the message has no URL.
    """
    if name == EMBEDDED:
        return Profile(EMBEDDED, EMBEDDED_CHAIN_ID, {"rpc_url": EMBEDDED})
    if name in tables:
        return _profile(name, tables[name])
    names = list(dict.fromkeys([EMBEDDED, *tables]))
    close = difflib.get_close_matches(name, names, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(
        f"There is no network {name[:60]!r}.{meant}",
        hint=f"There are: {', '.join(names)}. Another one: dcai network add NAME --rpc-url URL",
    )
