"""The registry of models: what it is made with, where it puts implementations, and whether it is ours."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from dcai_cli.chain.artifacts import artifact

if TYPE_CHECKING:
    from dcai_cli.chain.client import Chain

TRAINER = "CollaborativeTrainer"
DATA_HANDLER = "DataHandler"

MODEL_CONTRACTS = {
    "perceptron": "Perceptron",
    "multiclass-perceptron": "MulticlassPerceptron",
    "naive-bayes": "NaiveBayes",
    "nearest-centroid": "NearestCentroid",
}
"""The contract of each type of model, by what its `modelType` says."""

INCENTIVE_CONTRACTS = {"stake": "StakeIncentive", "points": "PointsIncentive"}
"""The contract of each type of incentive mechanism, by what its `incentiveType` says."""


ANY_MODEL, ANY_INCENTIVE = "Perceptron", "StakeIncentive"
"""Contracts by whose interface any model, or any incentive mechanism, can be asked for what all have."""


@cache
def code_hash(contract_name: str) -> bytes:
    """The hash of a shipped contract's creation code, by which a registry knows it."""
    from eth_utils.crypto import keccak

    return keccak(artifact(contract_name).bytecode)


def constructor_arguments() -> tuple[bytes, bytes, list[bytes], list[bytes]]:
    """What a registry of this version is made with."""
    models = [code_hash(name) for name in MODEL_CONTRACTS.values()]
    incentives = [code_hash(name) for name in INCENTIVE_CONTRACTS.values()]
    return code_hash(TRAINER), code_hash(DATA_HANDLER), models, incentives


def create2_address(creator: str, salt: bytes, creation_hash: bytes) -> bytes:
    """Where a contract makes another one (EIP-1014).

    Args:
        creator: the address of the contract that makes it.
        salt: 32 bytes.
        creation_hash: the hash of its creation code.
    """
    from eth_utils.address import to_canonical_address
    from eth_utils.crypto import keccak

    return keccak(b"\xff" + to_canonical_address(creator) + salt + creation_hash)[12:]


def implementation_address(registry: str, contract_name: str) -> bytes:
    """Where a registry puts the shipped creation code of an implementation, and no other."""
    return create2_address(registry, bytes(32), code_hash(contract_name))


def missing_implementations(chain: Chain, registry: str, contract_names: Iterable[str]) -> list[str]:
    """The contracts that must be installed before the registry can make a model of them."""
    return [
        name for name in contract_names if not chain.code("0x" + implementation_address(registry, name).hex())
    ]


def is_our_registry(chain: Chain, address: str) -> bool:
    """Whether a registry runs the shipped code and knows all shipped implementations."""
    if chain.code(address) != artifact("ModelRegistry").deployed_bytecode:
        return False
    trainer, handler, models, incentives = constructor_arguments()
    made_with = tuple(
        chain.view("ModelRegistry", address, getter) for getter in ("trainerCode", "dataHandlerCode")
    )
    roles = dict.fromkeys(models, 3) | dict.fromkeys(incentives, 4)  # `Role` of IModelRegistry
    return made_with == (trainer, handler) and all(
        chain.view("ModelRegistry", address, "roleOf", known) == role for known, role in roles.items()
    )
