"""Where markets are made: the factory and its implementations, and whether a market is ours.

All three contracts are made by CREATE2 through a deployer that anybody may call, and on most chains it is
there already. So their addresses follow from that of the deployer and from the shipped creation code, which
gives the shipped code and no other: what stands at such an address is ours, whoever put it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.registry import code_hash, create2_address, implementation_address
from dcai_cli.chain.verification import is_ours, proxy_code, proxy_creation
from dcai_cli.errors import Reverted, WrongChain
from dcai_cli.hashing import checksummed, keccak256

if TYPE_CHECKING:
    from dcai_cli.chain.client import Chain

FACTORY = "PredictionMarkets"
MARKET = "PredictionMarket"
REPLAY = "MarketReplay"

DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""A deployer that most chains have here (github.com/Arachnid/deterministic-deployment-proxy)."""

DEPLOYER_CREATION = bytes.fromhex(
    "604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
"""What makes one of one's own: the same code. It takes a salt and creation code, and calls CREATE2."""

_SALT = ({"type": "address"}, {"type": "string"})
"""The types of provider and name, of which the factory makes the salt."""


def contract_address(deployer: str, creation: bytes) -> str:
    """Where a deployer puts a contract.

    Args:
        deployer: its address.
        creation: the creation code, with its arguments.
    """
    return checksummed(create2_address(deployer, bytes(32), keccak256(creation)).hex())


def creations(deployer: str) -> dict[str, bytes]:
    """The creation code of the three contracts; the factory, which names the others, is the last."""
    market, replay = artifact(MARKET).bytecode, artifact(REPLAY).bytecode
    implementations = (contract_address(deployer, market), contract_address(deployer, replay))
    contract = artifact(FACTORY)
    factory = contract.bytecode + abi.encode(contract.constructor_inputs, implementations)
    return {MARKET: market, REPLAY: replay, FACTORY: factory}


def factory_address(deployer: str) -> str:
    """Where a deployer puts the factory of this version."""
    return contract_address(deployer, creations(deployer)[FACTORY])


def missing_contracts(chain: Chain, deployer: str) -> list[str]:
    """Which of the three contracts are still to be made."""
    return [
        name
        for name, creation in creations(deployer).items()
        if not chain.code(contract_address(deployer, creation))
    ]


def market_address(deployer: str, provider: str, name: str) -> str:
    """Where a market of a provider and a name is, or will be: no node needs to say it."""
    implementation = contract_address(deployer, artifact(MARKET).bytecode)
    salt = keccak256(abi.encode(_SALT, (provider, name)))
    creation = keccak256(proxy_creation(bytes.fromhex(implementation[2:])))
    return checksummed(create2_address(factory_address(deployer), salt, creation).hex())


def is_our_market(chain: Chain, deployer: str, market: str) -> None:
    """Make sure that a market, and all that its money depends on, run the shipped contracts.

    The factory says of it that it made it: then it began empty, and only shipped code ever wrote to it and to
    its replay. What it did not make itself came from the registry that its provider named: the model that it
    becomes, and the code of the one that contributions are tried on. The replay has looked at the latter's
    shape, so nothing is left to look at if the former has the same.

    Args:
        chain: where to look.
        deployer: of the factory.
        market: the address of the market.

    Raises:
        WrongChain: there is no factory, it did not make this market, or a part differs.
        UsageError: it is not an address.
    """
    if missing_contracts(chain, deployer):
        raise WrongChain(
            f"The contracts of markets are not on {chain.url_label} (chain {chain.chain_id}) yet.",
            hint="Check the network, or name who deployed them: dcai market status --deployer 0x...",
        )
    if not chain.view(FACTORY, factory_address(deployer), "isMarket", market):
        raise WrongChain(
            f"{market} is no market of the factory at {factory_address(deployer)} on {chain.url_label}.",
            hint="See which there are: dcai market status",
        )
    try:
        trainer, replay = (chain.view(MARKET, market, getter) for getter in ("trainer", "replay"))
        is_ours(chain, trainer)
        owner, registry = (
            chain.view("CollaborativeTrainer", trainer, part) for part in ("owner", "registry")
        )
        working = chain.view(REPLAY, replay, "working")
    except (Reverted, WrongChain) as error:
        raise _not_ours(market, error.message) from None
    if owner != market:
        raise _not_ours(market, f"the model that it becomes belongs to {owner}")
    if chain.code(working) != proxy_code(implementation_address(registry, "Perceptron")):
        raise _not_ours(market, f"it tries contributions on another model than a perceptron, at {working}")
    # Rows become samples of the shape of the first; samples of another shape could not be revealed.
    if chain.view("CollaborativeTrainer", trainer, "params") != chain.view("Perceptron", working, "params"):
        raise _not_ours(market, "the model that it becomes has another shape than the one it tries them on")


def _not_ours(market: str, why: str) -> WrongChain:
    return WrongChain(
        f"The market at {market} is not made of the contracts of this version of dcai: {why}",
        hint="Take part in another one: dcai market status",
    )


def install_input(creation: bytes) -> bytes:
    """The input with which a deployer makes a contract."""
    return bytes(32) + creation


def model_codes(incentive: str) -> tuple[bytes, bytes]:
    """The code hashes of the model that a market becomes, and of its incentive mechanism."""
    return code_hash("Perceptron"), code_hash(incentive)
