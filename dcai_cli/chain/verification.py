"""Is it ours? Compares a model and all its parts with the shipped contracts: their code, and their origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.errors import GasTooHigh
from dcai_cli.chain.registry import (
    DATA_HANDLER,
    INCENTIVE_CONTRACTS,
    MODEL_CONTRACTS,
    TRAINER,
    create2_address,
    implementation_address,
)
from dcai_cli.errors import Reverted, UsageError, WrongChain

if TYPE_CHECKING:
    from dcai_cli.chain.client import Chain

_CREATION_HEAD = bytes.fromhex("3d602d80600a3d3981f3")
"""What OpenZeppelin's Clones puts before a proxy's code: it returns that code and does nothing else."""
_PROXY_HEAD = bytes.fromhex("363d3d373d3d3d363d73")
_PROXY_TAIL = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
_PARTS = {
    "model": tuple(MODEL_CONTRACTS.values()),
    "incentive": tuple(INCENTIVE_CONTRACTS.values()),
    "dataHandler": (DATA_HANDLER,),
}
"""The getters of a trainer's parts, and the contracts that each may be."""
_SALT = ({"type": "address"}, {"type": "string"})
"""The types of owner and name, of which the registry makes the salt."""


@dataclass(frozen=True)
class _Origin:
    """Who made the proxies of a model, and the salt of their addresses."""

    registry: str
    salt: bytes

    def proxy_address(self, proxy: bytes) -> bytes:
        """Where the standard creation code of a proxy leads."""
        from eth_utils.crypto import keccak

        return create2_address(self.registry, self.salt, keccak(_CREATION_HEAD + proxy))


def proxy_code(implementation: bytes) -> bytes:
    """The code of a minimal proxy (EIP-1167)."""
    return _PROXY_HEAD + implementation + _PROXY_TAIL


def proxy_creation(implementation: bytes) -> bytes:
    """The creation code that OpenZeppelin's Clones makes it by."""
    return _CREATION_HEAD + proxy_code(implementation)


def trainer_address(registry: str, owner: str, name: str) -> str:
    """Where a registry of this version puts an owner's model of a name: no node needs to say it.

    Args:
        registry: the registry's address.
        owner: who creates the model.
        name: the model's name.
    """
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    origin = _Origin(registry, keccak(abi.encode(_SALT, (owner, name))))
    proxy = _PROXY_HEAD + implementation_address(registry, TRAINER) + _PROXY_TAIL
    return to_checksum_address(origin.proxy_address(proxy))


def is_ours(chain: Chain, trainer_address: str) -> None:
    """Make sure that a trainer and its parts run the contracts that ship with this package.

    Each must be a minimal proxy (EIP-1167) of an implementation whose code equals the artifact's, byte for
    byte; both addresses must be those that the trainer's registry, owner and name give them by CREATE2; and
    each part must serve this trainer.

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
            hint="Check the address, or give --network the one that it is on: dcai network list",
        )
    _, proxy = _proxy_of_ours(chain, (TRAINER,), trainer_address)
    origin = _origin(chain, trainer_address)
    _check_address(origin, TRAINER, trainer_address, proxy)
    for getter, candidates in _PARTS.items():
        address = chain.view(TRAINER, trainer_address, getter)
        contract_name, proxy = _proxy_of_ours(chain, candidates, address)
        _check_address(origin, contract_name, address, proxy)
        served = chain.view(contract_name, address, "trainer")
        if not is_same_address(served, trainer_address):
            raise _differs(contract_name, address, f"it serves {served}")


def _proxy_of_ours(chain: Chain, candidates: tuple[str, ...], address: str) -> tuple[str, bytes]:
    """Which of the shipped contracts a minimal proxy stands for, and the proxy's code."""
    proxy = chain.code(address)
    implementation = _implementation(proxy)
    wanted = ", ".join(candidates)
    if implementation is None:
        raise _differs(wanted, address, "it is no minimal proxy")
    code = chain.code(implementation)
    for contract_name in candidates:
        if code == artifact(contract_name).deployed_bytecode:
            return contract_name, proxy
    raise _differs(wanted, address, f"its implementation {implementation} has other code")


def _origin(chain: Chain, trainer_address: str) -> _Origin:
    """What a trainer says of its origin. It may lie: then the addresses do not follow from it."""
    from eth_utils.crypto import keccak

    try:
        registry, owner, name = (
            chain.view(TRAINER, trainer_address, getter) for getter in ("registry", "owner", "name")
        )
    except (Reverted, GasTooHigh):
        # The shipped code stores a name that can be read, so another code wrote this one.
        raise _differs(TRAINER, trainer_address, "its name cannot be read") from None
    return _Origin(registry, keccak(abi.encode(_SALT, (owner, name))))


def _check_address(origin: _Origin, contract_name: str, address: str, proxy: bytes) -> None:
    """Make sure that a proxy began with empty storage, and that only the shipped code ever wrote to it.

    Code says nothing about storage: creation code can write to it, for instance weights or standing, and then
    return the code of a proxy. An address made by CREATE2 is a hash over the creation code. Where it is the
    address of the standard creation code, which writes nothing, only the implementation wrote to storage.
    That holds whoever the registry is, so no list of registries is needed.

    Nor does code say anything about the past: a contract that is created and destroyed within one transaction
    (EIP-6780) can come back with another. So the implementation's address must be a hash over the shipped
    creation code, too, which gives the shipped code and no other.
    """
    from eth_utils.address import to_canonical_address

    implementation = proxy[len(_PROXY_HEAD) : -len(_PROXY_TAIL)]
    follows = to_canonical_address(address) == origin.proxy_address(proxy)
    if not follows or implementation != implementation_address(origin.registry, contract_name):
        raise _differs(contract_name, address, f"its address does not follow from registry {origin.registry}")


def _implementation(code: bytes) -> str | None:
    """The address to which a minimal proxy delegates; None if the code is not one."""
    from eth_utils.address import to_checksum_address

    middle = code[len(_PROXY_HEAD) : -len(_PROXY_TAIL)]
    if code != _PROXY_HEAD + middle + _PROXY_TAIL or len(middle) != 20:
        return None
    return to_checksum_address(middle)


def _differs(wanted: str, address: str, why: str) -> WrongChain:
    """The error of a contract that is not what it should be; `wanted` can be several names."""
    is_not = "none of the contracts" if ", " in wanted else "not the"
    return WrongChain(
        f"The contract at {address} is {is_not} {wanted} of this version of dcai: {why}.",
        hint="Use another model, or type --unverified if you trust its code.",
    )
