"""Where markets are made: addresses that follow from code, and what is found not to be ours."""

from __future__ import annotations

from dcai_cli.chain.factory import (
    DEPLOYER,
    DEPLOYER_CREATION,
    FACTORY,
    contract_address,
    creations,
    factory_address,
    market_address,
)

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
