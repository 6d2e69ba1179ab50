"""Markets of a registry that bob wrote: its models refuse to answer, or have any name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.factory import FACTORY, factory_address, market_address, model_codes
from dcai_cli.chain.registry import create2_address, implementation_address
from dcai_cli.chain.verification import proxy_creation
from dcai_cli.hashing import checksummed, keccak256
from dcai_cli.services.markets.factory import known_deployer
from dcai_cli.services.markets.market import Market, read_market
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import ADDRESSES

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

REFUSES = bytes.fromhex("5f5ffd")
"""The code of a contract that refuses every call."""

_INCENTIVE = "PointsIncentive"
_PARTS = ("CollaborativeTrainer", "Perceptron", _INCENTIVE, "DataHandler")


def answers(name: bytes) -> bytes:
    """The code of a contract that answers every call with a short string."""
    return bytes.fromhex(
        f"60205f5260{len(name):02x}602052"  # where it begins, and how long it is
        f"{0x5F + len(name):02x}{name.hex()}"  # PUSH of all its bytes
        f"{'60' + format(8 * (32 - len(name)), '02x') + '1b'}604052"  # shifted to the left, at 64
        "60605ff3"
    )


def creation(runtime: bytes) -> bytes:
    """The input that deploys a runtime code."""
    return bytes.fromhex(f"61{len(runtime):04x}80600a5f395ff3") + runtime


def _registry() -> bytes:
    """The code of a registry that does what it is told by anybody.

    `create` and `implementationOf` answer with what was stored; besides, it makes contracts (0), calls them
    (1), and stores the two answers (2).
    """
    functions = artifact("ModelRegistry").functions
    create, implementation = (abi.selector(functions[name]).hex() for name in ("create", "implementationOf"))
    return bytes.fromhex(
        f"5f3560e01c8063{create}146030578063{implementation}146039578015604357600114605a57"
        "6004355f5560243560015500"  # 24: store both
        "5b5f545f5260205ff3"  # 30: the first
        "5b6001545f5260205ff3"  # 39: the second
        "5b602436038060245f37600435905f5ff55f5260205ff3"  # 43: CREATE2
        "5b602436038060245f375f5f915f5f6004355af16074575f5ffd5b00"  # 5a: CALL
    )


class Registry:
    """One that bob deployed."""

    def __init__(self, dcai: Dcai) -> None:
        self._dcai = dcai
        address = dcai.send("bob", None, creation(_registry())).contract_address
        assert address is not None
        self.address = address

    def make(self, salt: bytes, code: bytes) -> str:
        """Make a contract, and say where it is."""
        self._tell(0, salt, code)
        return checksummed(create2_address(self.address, salt, keccak256(code)).hex())

    def call(self, to: str, contract: str, function: str, *arguments: object) -> None:
        """Call a contract."""
        entry = artifact(contract).functions[function]
        data = abi.selector(entry) + abi.encode(entry["inputs"], arguments)
        self._tell(1, _word(to), data)

    def answer(self, trainer: str, implementation: str) -> None:
        """What it answers from now on."""
        self._tell(2, _word(trainer), _word(implementation))

    def _tell(self, what: int, word: bytes, data: bytes) -> None:
        self._dcai.send("bob", self.address, what.to_bytes(4, "big") + word + data)


def market_with(dcai: Dcai, code: bytes) -> str:
    """Bob makes a market whose model is a contract of this code."""
    registry = Registry(dcai)
    trainer = dcai.send("bob", None, creation(code)).contract_address
    assert trainer is not None
    perceptron = registry.make(bytes(32), artifact("Perceptron").bytecode)
    registry.answer(trainer, perceptron)
    return _market(dcai, registry.address, "other")


def market_called(dcai: Dcai, name: str) -> str:
    """Bob makes a market of shipped code alone, whose model has a name that no registry of ours gives."""
    registry = Registry(dcai)
    for part in _PARTS:
        registry.make(bytes(32), artifact(part).bytecode)
    real, deployer = _real(dcai)
    market = market_address(deployer, ADDRESSES["bob"], "other")
    types = ({"type": "address"}, {"type": "string"})
    salt = keccak256(abi.encode(types, (market, name)))
    codes = [implementation_address(registry.address, part) for part in _PARTS]
    trainer, model, incentive, handler = (registry.make(salt, proxy_creation(code)) for code in codes)
    spec = dcai.send("bob", None, creation(b"\0" + real.model.spec.to_json().encode())).contract_address
    registry.call(model, "Perceptron", "initialize", trainer, real.model.params.as_tuple())
    registry.call(incentive, _INCENTIVE, "initialize", trainer, _terms(dcai, real))
    registry.call(handler, "DataHandler", "initialize", trainer)
    parts = (model, incentive, handler, spec)
    registry.call(trainer, "CollaborativeTrainer", "initialize", market, name, *parts)
    registry.answer(trainer, checksummed(codes[1].hex()))
    assert _market(dcai, registry.address, "other") == market
    return market


def _word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def _real(dcai: Dcai) -> tuple[Market, str]:
    """The market of alice, and the deployer of the factory."""
    with Workspace(dcai.settings) as workspace:
        deployer = known_deployer(workspace)
        assert deployer is not None
        return read_market(workspace.chain, market_address(deployer, ADDRESSES["alice"], "bounty")), deployer


def _terms(dcai: Dcai, market: Market) -> tuple[object, ...]:
    with dcai.chain() as chain:
        return tuple(chain.view("CollaborativeTrainer", market.model.address, "terms"))


def _market(dcai: Dcai, registry: str, name: str) -> str:
    """A market like alice's, of another registry, for a gwei."""
    real, deployer = _real(dcai)
    rules = replace(real.rules, step_fee_wei=0, bounty_wei=10**9)
    model = real.model
    shape = (model.params.as_tuple(), _terms(dcai, real), rules.as_tuple())
    params = (name, model.spec.to_json(), *model_codes(_INCENTIVE), *shape)
    with dcai.chain() as chain:
        data = chain.encode(FACTORY, "create", registry, params)
    dcai.send("bob", factory_address(deployer), data, 10**9)
    return market_address(deployer, ADDRESSES["bob"], name)
