"""Whose model it is: storage that was written before the shipped code ran is found by the addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from dcai_cli.chain import Chain, Receipt, abi, open_chain
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.commitment import samples_root
from dcai_cli.chain.verification import is_ours
from dcai_cli.config import Settings
from dcai_cli.domain import Batch
from dcai_cli.errors import WrongChain

THIEF: LocalAccount = Account.from_key("0x" + "11" * 32)
DAY = 86_400
SHAPE = (4096, 300, False, 2, 16, 2, 0, False)
TERMS = (DAY, 2 * DAY, 7 * DAY, 9 * DAY, DAY, 3600, 10**11)
SAMPLE = bytes([1, 0, 1, 0, 7])
PARTS = ("CollaborativeTrainer", "Perceptron", "StakeIncentive", "DataHandler")
ALL_ONES = 2**256 - 1
NAME_SLOT = 6
STAKES_SLOT = 3

STANDARD_CREATION = bytes.fromhex("3d602d80600a3d3981f3")
"""What OpenZeppelin's Clones puts before a proxy."""

FACTORY = bytes.fromhex(
    "60403603"  # size = calldatasize - 64
    "8060405f37"  # memory = calldata[64:]
    "5f3580601d57"  # target = calldata[0]; if it is not 0, go to `call`
    "50602035905f5ff5"  # create2(0, 0, size, salt = calldata[1])
    "5f5260205ff3"  # return its address
    "5b5f5f835f5f855af1"  # call: call(gas, target, 0, 0, size, 0, 0)
    "602a57fe5b00"  # if it failed, fail; stop
)
"""A stand-in for the registry that creates what it is given, and calls whom it is told to."""

Slots = dict[int, int]


def transact(chain: Chain, to: str | None, data: bytes, value_wei: int = 0) -> Receipt:
    """Estimate, sign, send and wait; the transaction must succeed."""
    signed = chain.sign(
        THIEF,
        to=to,
        data=data,
        value_wei=value_wei,
        nonce=chain.next_nonce(THIEF.address),
        gas=chain.estimate_gas(THIEF.address, to, data, value_wei) + 30_000,
        fees=chain.fees(),
    )
    receipt = chain.wait(chain.send(signed.raw))
    assert receipt.status, chain.revert_reason(receipt)
    return receipt


def deploy(chain: Chain, creation: bytes) -> str:
    """Deploy a contract."""
    return str(transact(chain, None, creation).contract_address)


def proxy(implementation: str) -> bytes:
    """The code of a minimal proxy (EIP-1167)."""
    target = bytes.fromhex(implementation[2:])
    return bytes.fromhex("363d3d373d3d3d363d73") + target + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


def creation(runtime: bytes, slots: Slots) -> bytes:
    """The code that writes slots and then deploys a runtime."""
    writes = b"".join(
        b"\x7f" + value.to_bytes(32, "big") + b"\x7f" + slot.to_bytes(32, "big") + b"\x55"
        for slot, value in slots.items()
    )
    size, start = len(runtime), len(writes) + 10
    # PUSH1 size, DUP1, PUSH2 start, 0, CODECOPY, 0, RETURN
    return writes + bytes.fromhex(f"60{size:02x}8061{start:04x}5f395ff3") + runtime


@dataclass(frozen=True)
class Forger:
    """Makes models that are wired up as a registry would do it, from proxies with something in storage.

    Args:
        chain: where.
        factory: the registry that the trainers name.
        implementations: the shipped contracts, in the order of `PARTS`.
        owner: whose models they are.
        name: what they are called.
    """

    chain: Chain
    factory: str
    implementations: tuple[str, ...]
    owner: str = THIEF.address
    name: str = "model"

    def create(self, creation: bytes, salt: bytes) -> str:
        """Create a contract by CREATE2."""
        data = bytes(32) + salt + creation
        address = self.chain.call(self.factory, data)[12:]
        transact(self.chain, self.factory, data)
        return to_checksum_address(address)

    def initialize(self, contract_name: str, address: str, *args: object) -> None:
        """Initialise a proxy."""
        data = self.chain.encode(contract_name, "initialize", *args)
        target = bytes.fromhex(address[2:]).rjust(32, b"\0")
        transact(self.chain, self.factory, target + bytes(32) + data)

    def proxies(self, dirty: dict[str, Slots]) -> list[str]:
        """Create the four proxies of a model; those that are named write slots first."""
        salt = keccak(abi.encode([{"type": "address"}, {"type": "string"}], [self.owner, self.name]))
        named = zip(PARTS, self.implementations, strict=True)
        return [
            self.create(
                creation(proxy(code), dirty[name]) if name in dirty else STANDARD_CREATION + proxy(code), salt
            )
            for name, code in named
        ]

    def model(self, dirty: dict[str, Slots], shape: tuple[object, ...] = SHAPE) -> str:
        """Make a model, sealed if the owner is who makes it."""
        trainer, model, incentive, handler = self.proxies(dirty)
        self.initialize("Perceptron", model, trainer, shape)
        self.initialize("StakeIncentive", incentive, trainer, TERMS)
        self.initialize("DataHandler", handler, trainer)
        spec = deploy(self.chain, creation(b"\0{}", {}))
        args = (self.owner, self.name, model, incentive, handler, spec)
        self.initialize("CollaborativeTrainer", trainer, *args)
        if self.owner == THIEF.address:
            transact(self.chain, trainer, self.chain.encode("CollaborativeTrainer", "seal"))
        return trainer


@pytest.fixture
def forger(tmp_path: Path) -> Iterator[Forger]:
    """A forger on a new embedded chain."""
    with open_chain(Settings(tmp_path, tmp_path, tmp_path)) as chain:
        chain.fund_if_new(THIEF.address)
        factory = deploy(chain, creation(FACTORY, {}))
        forger = Forger(chain, factory, ())
        parts = tuple(forger.create(artifact(name).bytecode, bytes(32)) for name in PARTS)
        yield replace(forger, implementations=parts)


def refunded_wei(chain: Chain, trainer: str) -> int:
    """What a contributor of a sample, with which the model agrees, gets back after the refund wait."""
    deposit_wei = chain.view("CollaborativeTrainer", trainer, "quote", 1)
    data = chain.encode("CollaborativeTrainer", "contribute", SAMPLE)
    (event,) = chain.events("CollaborativeTrainer", transact(chain, trainer, data, 2 * deposit_wei))
    batch = Batch(
        id=event.args["batchId"],
        contributor=event.args["contributor"],
        added_at=event.args["addedAt"],
        deposit_per_unit_wei=event.args["depositPerUnit"],
        count=1,
        units=1,
        informative=event.args["informative"],
        samples_root=samples_root([SAMPLE]),
    )
    chain.advance(DAY)
    data = chain.encode("CollaborativeTrainer", "refund", [(batch.as_tuple(), SAMPLE, 1)])
    return int.from_bytes(chain.call(trainer, data, sender=THIEF.address), "big")


def test_clean_proxies_of_the_shipped_code_are_ours_whoever_made_them(forger: Forger) -> None:
    """A model that another registry made from the standard creation code is accepted, and pays back."""
    trainer = forger.model({})
    is_ours(forger.chain, trainer)
    is_ours(forger.chain, trainer[2:])
    assert refunded_wei(forger.chain, trainer) > 0


def test_a_model_whose_batches_were_settled_at_its_creation_is_refused(forger: Forger) -> None:
    """It runs the shipped code and keeps the deposit: its first batch was settled from the start."""
    settled = int.from_bytes(keccak(bytes(32) + STAKES_SLOT.to_bytes(32, "big")), "big")
    trainer = forger.model({"StakeIncentive": {settled: ALL_ONES}})
    assert refunded_wei(forger.chain, trainer) == 0
    with pytest.raises(WrongChain, match=r"not the StakeIncentive .* does not follow") as refused:
        is_ours(forger.chain, trainer)
    assert refused.value.exit_code == 17


@pytest.mark.parametrize("part", range(4))
def test_an_implementation_that_could_have_had_another_code_is_refused(forger: Forger, part: int) -> None:
    """It has the shipped code now, at an address that says nothing of what it had before."""
    implementations = list(forger.implementations)
    implementations[part] = deploy(forger.chain, forger.chain.encode_deploy(PARTS[part]))
    trainer = replace(forger, implementations=tuple(implementations)).model({})
    with pytest.raises(WrongChain, match=f"not the {PARTS[part]} .* does not follow"):
        is_ours(forger.chain, trainer)


@pytest.mark.parametrize("part", range(4))
def test_a_part_with_other_code_is_named(forger: Forger, part: int) -> None:
    """A model of which one implementation has a byte more is not ours, whichever it is."""
    implementations = list(forger.implementations)
    longer = _with_a_byte_more(artifact(PARTS[part]).bytecode, len(artifact(PARTS[part]).deployed_bytecode))
    implementations[part] = forger.create(longer, bytes(32))
    trainer = replace(forger, implementations=tuple(implementations)).model({})
    with pytest.raises(WrongChain, match=f"{PARTS[part]}[, A-Za-z]* of this version .* has other code"):
        is_ours(forger.chain, trainer)


def _with_a_byte_more(creation: bytes, runtime_length: int) -> bytes:
    """The creation code that deploys the same runtime with one more byte behind it."""
    length = runtime_length.to_bytes(2, "big")
    longer = (runtime_length + 1).to_bytes(2, "big")
    head, runtime = creation[:-runtime_length], creation[-runtime_length:]
    assert b"\x61" + length in head
    return head.replace(b"\x61" + length, b"\x61" + longer) + runtime + b"\x00"


@pytest.mark.parametrize("part", PARTS)
def test_storage_written_at_creation_is_found_in_every_part(forger: Forger, part: str) -> None:
    """Whichever proxy of an otherwise clean model wrote a slot before its code was there is named."""
    trainer = forger.model({part: {2**200: 1}})
    with pytest.raises(WrongChain, match=f"not the {part} .* does not follow"):
        is_ours(forger.chain, trainer)


@pytest.mark.parametrize("word", [1, 2 * 10**7 + 1, ALL_ONES])
def test_a_trainer_whose_name_cannot_be_read_is_refused(forger: Forger, word: int) -> None:
    """A length that no text has, or that no call can read, is an answer and not an error of the node."""
    trainer = forger.proxies({"CollaborativeTrainer": {NAME_SLOT: word}})[0]
    with pytest.raises(WrongChain, match="name cannot be read"):
        is_ours(forger.chain, trainer)


def test_a_trainer_whose_name_is_no_text_is_refused(forger: Forger) -> None:
    """Bytes that are not UTF-8 are not shown, and not hashed."""
    trainer = forger.proxies({"CollaborativeTrainer": {NAME_SLOT: 0xFF << 248 | 2}})[0]
    with pytest.raises(WrongChain, match="not a CollaborativeTrainer"):
        is_ours(forger.chain, trainer)
