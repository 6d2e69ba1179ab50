"""The factory of a chain's markets: made by whoever needs it first, known to this ledger from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dcai_cli.chain.factory import (
    DEPLOYER,
    DEPLOYER_CREATION,
    creations,
    install_input,
    missing_contracts,
)
from dcai_cli.errors import DcaiError, UsageError, WrongChain

if TYPE_CHECKING:
    from dcai_cli.services.transactions import Outbox, Sent
    from dcai_cli.services.workspace import Workspace

GAS_OF_DEPLOYER = 70_000
GAS_PER_CONTRACT = 80_000
GAS_PER_CODE_BYTE = 225
"""What making the contracts takes, measured and rounded up."""


def use_deployer(workspace: Workspace, address: str) -> str:
    """Mean the markets of this deployer from now on, on this chain.

    Raises:
        UsageError: it is not an address.
        WrongChain: it has made no factory of this version.
    """
    from eth_utils.address import is_address, to_checksum_address

    if not is_address(address):
        raise UsageError(f"{address!r} is not an address.", hint="Name the deployer: --deployer 0x...")
    address = to_checksum_address(address)
    if missing_contracts(workspace.chain, address):
        raise WrongChain(
            f"The deployer {address} has made no factory of this version of dcai on "
            f"{workspace.chain.url_label}.",
            hint="Check the address and the network.",
        )
    workspace.ledger.choose(workspace.chain.key, "deployer", address)
    return address


def known_deployer(workspace: Workspace) -> str | None:
    """The deployer whose factory is meant on this chain; None if there is no factory yet."""
    chain = workspace.chain
    return next((one for one in _candidates(workspace) if not missing_contracts(chain, one)), None)


def ready_deployer(
    workspace: Workspace, outbox: Outbox, steps: list[Sent], progress: Callable[[str], None]
) -> str:
    """The deployer of this chain's factory: what is missing is made.

    Args:
        workspace: the opened parts.
        outbox: of who pays for it.
        steps: gets what was sent.
        progress: gets a line per step.
    """
    chain = workspace.chain
    deployer = known_deployer(workspace)
    if deployer is not None:
        return deployer
    deployer = _base(workspace)
    if deployer is None:
        progress("deploying the deployer of markets")
        sent = outbox.carry_out(kind="market-deploy", detail="deployer", to=None, data=DEPLOYER_CREATION)
        steps.append(sent)
        deployer = sent.contract_address
        if deployer is None:
            raise DcaiError(
                "The node named no address for the deployer.", hint="Try another node: --rpc-url URL"
            )
        workspace.ledger.choose(chain.key, "deployer", deployer)
    missing = missing_contracts(chain, deployer)
    for name, creation in creations(deployer).items():
        if name in missing:
            progress(f"deploying {name}")
            data = install_input(creation)
            steps.append(outbox.carry_out(kind="market-install", to=deployer, data=data, detail=name))
    if missing_contracts(chain, deployer):
        raise DcaiError(
            f"The contract at {deployer} made no factory of markets.", hint="Try another node: --rpc-url URL"
        )
    return deployer


def cost_of_ready_deployer(workspace: Workspace) -> tuple[int, int]:
    """Transactions and gas that `ready_deployer` will take."""
    if known_deployer(workspace) is not None:
        return 0, 0
    base = _base(workspace)
    # Where the contracts will be does not change how long their code is.
    every = creations(DEPLOYER if base is None else base)
    missing = every if base is None else missing_contracts(workspace.chain, base)
    gas = sum(GAS_PER_CONTRACT + GAS_PER_CODE_BYTE * len(every[name]) for name in missing)
    return len(missing) + (base is None), gas + (GAS_OF_DEPLOYER if base is None else 0)


def _base(workspace: Workspace) -> str | None:
    """A deployer that is there: the one of most chains, or one that an earlier run made."""
    return next((one for one in _candidates(workspace) if workspace.chain.code(one)), None)


def _candidates(workspace: Workspace) -> list[str]:
    """Where to look: what was chosen, what an earlier run made before it died, what most chains have."""
    chain, ledger = workspace.chain, workspace.ledger
    made = ledger.transactions(chain.key, states=("mined",), kind="market-deploy")
    found = [ledger.choice(chain.key, "deployer"), *(stored.contract_address for stored in made), DEPLOYER]
    return [one for one in dict.fromkeys(found) if one is not None]
