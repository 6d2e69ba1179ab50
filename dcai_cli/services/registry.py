"""The registry of a chain: made by whoever needs it first, and known to this ledger from then on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.registry import constructor_arguments, is_our_registry, missing_implementations
from dcai_cli.errors import DcaiError, UsageError, WrongChain
from dcai_cli.services.transactions import Outbox, Sent

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.services.workspace import Workspace

GAS_PER_CONTRACT = 60_000
GAS_PER_CODE_BYTE = 225
"""What installing an implementation takes, measured and rounded up."""


def use_registry(workspace: Workspace, address: str) -> str:
    """Mean this registry from now on, on this chain.

    Raises:
        UsageError: it is not an address.
        WrongChain: there is no registry of this version.
    """
    from eth_utils.address import is_address, to_checksum_address

    if not is_address(address):
        raise UsageError(f"{address!r} is not an address.", hint="Name the registry: --registry 0x...")
    address = to_checksum_address(address)
    if not is_our_registry(workspace.chain, address):
        raise WrongChain(
            f"There is no registry of this version of dcai at {address} on {workspace.chain.url_label}.",
            hint="Check the address and the network.",
        )
    workspace.ledger.choose(workspace.chain.key, "registry", address)
    return address


def known_registry(workspace: Workspace, account: str | None = None) -> str | None:
    """The registry that this ledger knows of, unless its contracts are those of another version.

    Args:
        workspace: the opened parts.
        account: whose deployments count; anybody's if None.
    """
    chain, ledger = workspace.chain, workspace.ledger
    mined = ledger.transactions(chain.key, account=account, states=("mined",), kind="deploy")
    last = mined[-1].contract_address if mined else None
    address = ledger.choice(chain.key, "registry") or last
    return address if address is not None and is_our_registry(chain, address) else None


def ready_registry(
    workspace: Workspace,
    outbox: Outbox,
    contracts: Sequence[str],
    steps: list[Sent],
    progress: Callable[[str], None],
) -> str:
    """The registry of this chain with these implementations: what is missing is deployed and installed.

    Args:
        workspace: the opened parts.
        outbox: of who pays for it.
        contracts: the names of the implementations.
        steps: gets what was sent.
        progress: gets a line per step.
    """
    chain = workspace.chain
    address = known_registry(workspace, outbox.address)
    if address is None:
        progress("deploying the registry")
        sent = outbox.carry_out(kind="deploy", detail="ModelRegistry", to=None, data=_creation(chain))
        steps.append(sent)
        address = sent.contract_address
    if address is None:
        raise DcaiError("The node named no address for the registry.", hint="Try another node: --rpc-url URL")
    workspace.ledger.choose(chain.key, "registry", address)
    missing = missing_implementations(chain, address, contracts)
    if missing:
        progress(f"installing {', '.join(missing)}")
        data = chain.encode("ModelRegistry", "install", [artifact(name).bytecode for name in missing])
        steps.append(outbox.carry_out(kind="install", to=address, data=data))
    return address


def cost_of_ready_registry(workspace: Workspace, account: str, contracts: Sequence[str]) -> tuple[int, int]:
    """Transactions and gas that `ready_registry` will take."""
    chain = workspace.chain
    registry = known_registry(workspace, account)
    count = gas = 0
    if registry is None:
        count, gas = 1, chain.estimate_gas(account, None, _creation(chain))
    missing = contracts if registry is None else missing_implementations(chain, registry, contracts)
    if missing:
        count += 1
        gas += sum(GAS_PER_CONTRACT + GAS_PER_CODE_BYTE * len(artifact(name).bytecode) for name in missing)
    return count, gas


def registered(workspace: Workspace, owner: str, name: str) -> str | None:
    """The address of a model by its owner and name; None if no registry is known, or it has no such model."""
    chain, registry = workspace.chain, known_registry(workspace)
    if registry is None:
        return None
    address = str(chain.view("ModelRegistry", registry, "modelOf", owner, name))
    return address if int(address, 16) else None


def _creation(chain: Chain) -> bytes:
    return chain.encode_deploy("ModelRegistry", *constructor_arguments())
