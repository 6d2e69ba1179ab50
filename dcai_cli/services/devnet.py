"""The development chain: its state, its clock, its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import LAST_TIMESTAMP
from dcai_cli.errors import UsageError
from dcai_cli.networks import EMBEDDED

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class DevnetStatus:
    """Where a chain stands.

    Args:
        network: "embedded", or the node's host.
        chain_id: its chain id.
        block_number: its height.
        timestamp: its time.
        path: the file of the embedded chain, None behind an RPC URL.
    """

    network: str
    chain_id: int
    block_number: int
    timestamp: int
    path: Path | None


def devnet_status(workspace: Workspace) -> DevnetStatus:
    """Where the chain stands."""
    chain = workspace.chain
    return DevnetStatus(
        network=EMBEDDED if chain.is_embedded else chain.url_label,
        chain_id=chain.chain_id,
        block_number=chain.block_number(),
        timestamp=chain.timestamp(),
        path=workspace.settings.devnet_path if chain.is_embedded else None,
    )


def advance_time(workspace: Workspace, seconds: int) -> DevnetStatus:
    """Let time pass on the chain.

    Raises:
        UsageError: the node cannot be told to, or the chain would come behind the year 9999.
    """
    if workspace.chain.timestamp() + seconds > LAST_TIMESTAMP:
        raise UsageError(
            f"{seconds} seconds on, the chain would be behind the year 9999.", hint="Advance it by less."
        )
    workspace.chain.advance(seconds)
    return devnet_status(workspace)


def reset_devnet(workspace: Workspace) -> bool:
    """Remove the embedded chain's file.

    Returns:
        Whether there was one.

    Raises:
        Locked: another process uses it.
    """
    from dcai_cli.chain import reset

    existed = workspace.settings.devnet_path.exists()
    reset(workspace.settings)
    return existed
