"""Is it ours? Compares the code at a model's address, and at all its parts, with the shipped contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.chain.artifacts import artifact
from dcai_cli.errors import UsageError, WrongChain

if TYPE_CHECKING:
    from dcai_cli.chain.client import Chain

_PROXY_HEAD = bytes.fromhex("363d3d373d3d3d363d73")
_PROXY_TAIL = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
_TRAINER = "CollaborativeTrainer"
_PARTS = {"model": "Perceptron", "incentive": "StakeIncentive", "dataHandler": "DataHandler"}


def is_ours(chain: Chain, trainer_address: str) -> None:
    """Make sure that a trainer and its parts run the contracts that ship with this package.

    Each must be a minimal proxy (EIP-1167) of an implementation whose code equals the artifact's, byte for
    byte, and each part must serve this trainer.

    Args:
        chain: where to look.
        trainer_address: the address of the model.

    Raises:
        WrongChain: there is no code, or some part differs; the message names it.
        UsageError: it is not an address, or its checksum is wrong.
    """
    from eth_utils.address import is_address, is_same_address

    if not is_address(trainer_address):
        raise UsageError(
            f"{trainer_address!r} is not an address.",
            hint="An address is 0x and 40 hex digits; check for typos.",
        )
    if not chain.code(trainer_address):
        raise WrongChain(
            f"There is no contract at {trainer_address} on {chain.url_label} (chain {chain.chain_id}).",
            hint="Check the address and the network: --rpc-url, or none for the embedded chain.",
        )
    _check(chain, _TRAINER, trainer_address)
    for getter, contract_name in _PARTS.items():
        address = chain.view(_TRAINER, trainer_address, getter)
        _check(chain, contract_name, address)
        served = chain.view(contract_name, address, "trainer")
        if not is_same_address(served, trainer_address):
            raise _differs(contract_name, address, f"it serves {served}")


def _check(chain: Chain, contract_name: str, address: str) -> None:
    implementation = _implementation(chain.code(address))
    if implementation is None:
        raise _differs(contract_name, address, "it is no minimal proxy")
    if chain.code(implementation) != artifact(contract_name).deployed_bytecode:
        raise _differs(contract_name, address, f"its implementation {implementation} has other code")


def _implementation(code: bytes) -> str | None:
    """The address to which a minimal proxy delegates; None if the code is not one."""
    from eth_utils.address import to_checksum_address

    middle = code[len(_PROXY_HEAD) : -len(_PROXY_TAIL)]
    if code != _PROXY_HEAD + middle + _PROXY_TAIL or len(middle) != 20:
        return None
    return to_checksum_address(middle)


def _differs(contract_name: str, address: str, why: str) -> WrongChain:
    return WrongChain(
        f"The contract at {address} is not the {contract_name} of this version of dcai: {why}.",
        hint="Use another model, or type --unverified if you trust its code.",
    )
