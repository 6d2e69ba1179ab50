"""Where markets are made: addresses that follow from code, and what is found not to be ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcai_cli.chain import Chain, abi, open_chain
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.factory import (
    DEPLOYER,
    DEPLOYER_CREATION,
    FACTORY,
    contract_address,
    creations,
    factory_address,
    install_input,
    is_our_market,
    market_address,
    model_codes,
)
from dcai_cli.chain.market import MarketRules
from dcai_cli.chain.registry import implementation_address
from dcai_cli.chain.signing import created_address
from dcai_cli.chain.verification import trainer_address
from dcai_cli.config import Settings
from dcai_cli.errors import WrongChain
from tests.unit import test_chain_verification as forgery

ALICE = "0x5d5c99EdF529335160FF180fA141Dd4967fc00D2"

EXAMPLE = "0x" + "00" * 20
"""EIP-1014 has this deployer, a salt of zeros and the code 00 as its first example."""


def test_addresses_are_those_of_create2() -> None:
    """The first example of EIP-1014."""
    assert contract_address(EXAMPLE, b"\0") == "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"


def test_the_deployer_is_the_one_that_chains_have() -> None:
    """Its creation code is that of the published transaction, by its hash."""
    assert len(DEPLOYER_CREATION) == 83
    assert DEPLOYER_CREATION[14:].hex().startswith("7fffffff")
    assert DEPLOYER == "0x4e59b44847b379578588920cA78FbF26c0B4956C"


def test_the_factory_names_the_other_contracts_of_its_deployer() -> None:
    """Another deployer has another factory, made with the addresses of its own implementations."""
    mine, theirs = creations(ALICE), creations(DEPLOYER)
    assert {name for name in mine if mine[name] != theirs[name]} == {FACTORY}
    for name, creation in mine.items():
        if name != FACTORY:
            address = contract_address(ALICE, creation)
            assert bytes.fromhex(address[2:]) in mine[FACTORY]
    assert factory_address(ALICE) != factory_address(DEPLOYER)


def test_a_market_s_address_depends_on_provider_name_and_deployer() -> None:
    """Each of the three changes it, and nothing else goes in."""
    found = {
        market_address(deployer, provider, name)
        for deployer in (ALICE, DEPLOYER)
        for provider in (ALICE, DEPLOYER)
        for name in ("a", "b")
    }
    assert len(found) == 8
    assert market_address(ALICE, ALICE, "a") in found


SHAPE = (256, 256, False, 2, 16, 2, 0, False)
"""The shape that a market's contributions are tried on."""

RULES = MarketRules(
    pieces=(bytes(32),) * 2,
    piece_samples=5,
    orders=1,
    max_units=100,
    max_units_each=10,
    rounds=100,
    open_s=60,
    participate_s=60,
    reveal_s=60,
    tests_s=60,
    collect_s=0,
    bounty_wei=10_000,
    stake_wei=50,
    step_fee_wei=0,
)


def liar(trainer: str, implementation: str) -> bytes:
    """A registry that does what its owner says, and names these two to whoever makes a market."""
    create, implementation_of = (
        abi.selector(artifact("ModelRegistry").functions[name]).hex()
        for name in ("create", "implementationOf")
    )
    jumps = f"5f3560e01c8063{create}1460445763{implementation_of}14606057"
    # Its own two jumps stand behind those, 24 bytes further on.
    acts = forgery.FACTORY.hex().replace("80601d57", "80603557").replace("602a57fe", "604257fe")
    answers = "".join(f"5b73{named[2:].lower()}5f5260205ff3" for named in (trainer, implementation))
    return bytes.fromhex(jumps + acts + answers)


def market_of(chain: Chain, deployer: str, shape: tuple[object, ...]) -> str:
    """A market whose registry, not ours, made the model that it becomes of a shape of its own choice."""
    market = market_address(deployer, forgery.THIEF.address, "trap")
    registry = created_address(forgery.THIEF.address, chain.next_nonce(forgery.THIEF.address))
    trainer = trainer_address(registry, market, "trap")
    implementation = "0x" + implementation_address(registry, "Perceptron").hex()
    code = forgery.creation(liar(trainer, implementation), {})
    assert forgery.deploy(chain, code) == registry
    forger = forgery.Forger(chain, registry, ())
    parts = tuple(forger.create(artifact(name).bytecode, bytes(32)) for name in forgery.PARTS)
    forger = forgery.Forger(chain, registry, parts, owner=market, name="trap")
    assert forger.model({}, shape) == trainer
    model_code, incentive_code = model_codes("StakeIncentive")
    what = ("trap", "{}", model_code, incentive_code, SHAPE, forgery.TERMS, RULES.as_tuple())
    create = chain.encode(FACTORY, "create", registry, what)
    forgery.transact(chain, factory_address(deployer), create, RULES.bounty_wei)
    return market


@pytest.mark.parametrize("shape", [SHAPE, (4096, *SHAPE[1:])])
def test_a_model_of_another_shape_than_contributions_are_tried_on_is_refused(
    tmp_path: Path, shape: tuple[object, ...]
) -> None:
    """All its code is ours, and still what is made for the one could never be revealed to the other."""
    with open_chain(Settings(tmp_path, tmp_path, tmp_path)) as chain:
        chain.fund_if_new(forgery.THIEF.address)
        deployer = forgery.deploy(chain, DEPLOYER_CREATION)
        for creation in creations(deployer).values():
            forgery.transact(chain, deployer, install_input(creation))
        market = market_of(chain, deployer, shape)
        if shape == SHAPE:
            is_our_market(chain, deployer, market)
            return
        with pytest.raises(WrongChain, match="has another shape than the one it tries them on"):
            is_our_market(chain, deployer, market)
