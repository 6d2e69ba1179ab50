"""The same client and contracts on the embedded chain, anvil and hardhat: every answer must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, Receipt, RpcError, open_chain
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.commitment import batch_hash, samples_root
from dcai_cli.chain.price import deposit_per_unit_wei
from dcai_cli.chain.registry import code_hash, constructor_arguments
from dcai_cli.chain.verification import is_ours
from dcai_cli.config import Settings
from dcai_cli.domain import Batch, Terms
from dcai_cli.errors import Reverted, UsageError, WrongChain

OWNER: LocalAccount = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of every anvil."""

DAY = 86_400
TERMS = Terms(DAY, 2 * DAY, 7 * DAY, 9 * DAY, DAY, 3600, 10**11)
TERMS_TUPLE = (DAY, 2 * DAY, 7 * DAY, 9 * DAY, DAY, 3600, 10**11)
SPEC = '{"kind":"text"}'
PARTS = ("CollaborativeTrainer", "Perceptron", "StakeIncentive", "DataHandler")
SAMPLES = [bytes([label, 0, 2, 0, index, 1, index]) for index in range(5) for label in (0, 1)]
PAYLOAD = b"".join(SAMPLES)


@dataclass(frozen=True)
class World:
    """A chain with a sealed model on it."""

    chain: Chain
    trainer: str
    created: Receipt


def transact(chain: Chain, to: str | None, data: bytes, value_wei: int = 0, margin: int = 0) -> Receipt:
    """Estimate, sign, send and wait; the transaction must succeed."""
    gas = chain.estimate_gas(OWNER.address, to, data, value_wei) + margin
    nonce = chain.next_nonce(OWNER.address)
    signed = chain.sign(OWNER, to=to, data=data, value_wei=value_wei, nonce=nonce, gas=gas, fees=chain.fees())
    receipt = chain.wait(chain.send(signed.raw))
    assert receipt.status, chain.revert_reason(receipt)
    return receipt


def create_model(chain: Chain) -> Receipt:
    """Deploy a registry and let it make a model."""
    creation = chain.encode_deploy("ModelRegistry", *constructor_arguments())
    registry = transact(chain, None, creation).contract_address
    codes = [artifact(name).bytecode for name in PARTS]
    transact(chain, registry, chain.encode("ModelRegistry", "install", codes))
    types = (code_hash("Perceptron"), code_hash("StakeIncentive"))
    params = ("model", SPEC, *types, (4096, 300, False, 2, 16, 2, 0, False), TERMS_TUPLE)
    return transact(chain, registry, chain.encode("ModelRegistry", "create", params))


@pytest.fixture(scope="module", params=["embedded", "anvil", "hardhat"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sealed model on each of the chains."""
    folder = tmp_path_factory.mktemp(request.param)
    url = None
    if request.param == "anvil":
        url = request.getfixturevalue("anvil_url")
    elif request.param == "hardhat":
        url = request.getfixturevalue("hardhat").url
    with open_chain(Settings(folder, folder, folder, rpc_url=url)) as chain:
        chain.fund_if_new(OWNER.address)
        created = create_model(chain)
        trainer = chain.events("ModelRegistry", created)[0].args["trainer"]
        transact(chain, trainer, chain.encode("CollaborativeTrainer", "seal"))
        yield World(chain, trainer, created)


def contribute(world: World) -> tuple[Batch, Receipt]:
    """Contribute the payload and read the batch from its event."""
    chain, trainer = world.chain, world.trainer
    model = chain.view("CollaborativeTrainer", trainer, "model")
    count, units = chain.view("Perceptron", model, "measure", PAYLOAD)
    price = chain.view("CollaborativeTrainer", trainer, "quote", units)
    data = chain.encode("CollaborativeTrainer", "contribute", PAYLOAD)
    receipt = transact(chain, trainer, data, 2 * price, margin=30_000)
    (event,) = chain.events("CollaborativeTrainer", receipt)
    return Batch(
        id=event.args["batchId"],
        contributor=event.args["contributor"],
        added_at=event.args["addedAt"],
        deposit_per_unit_wei=event.args["depositPerUnit"],
        count=count,
        units=units,
        informative=event.args["informative"],
        samples_root=samples_root(SAMPLES),
    ), receipt


def test_a_model_of_ours_is_recognised(world: World) -> None:
    """Trainer and parts are proxies of the shipped code, under any spelling of the address."""
    is_ours(world.chain, world.trainer)
    is_ours(world.chain, world.trainer.lower())


def test_views_return_structs_and_texts(world: World) -> None:
    """Structs come as tuples, in their order, and texts as str."""
    chain, trainer = world.chain, world.trainer
    assert chain.view("CollaborativeTrainer", trainer, "terms") == TERMS_TUPLE
    assert chain.view("CollaborativeTrainer", trainer, "params") == (4096, 300, False, 2, 16, 2, 0, False)
    assert chain.view("CollaborativeTrainer", trainer, "featureSpec") == SPEC
    assert chain.view("CollaborativeTrainer", trainer, "owner") == OWNER.address


def test_a_batch_is_committed_as_we_compute_it(world: World) -> None:
    """Event, root and hash give the word that the data handler stores."""
    batch, _ = contribute(world)
    handler = world.chain.view("CollaborativeTrainer", world.trainer, "dataHandler")
    assert world.chain.view("DataHandler", handler, "batchHash", batch.id) == batch_hash(batch)
    assert world.chain.view("DataHandler", handler, "verify", batch.as_tuple()) is True


def test_the_price_taken_is_the_price_we_compute(world: World) -> None:
    """The deposit of a unit follows from the seconds since the last contribution, to the wei."""
    chain = world.chain
    contribute(world)
    last = chain.view("CollaborativeTrainer", world.trainer, "lastContributedAt")
    chain.advance(1_000)
    before = chain.balance_wei(world.trainer)
    batch, _ = contribute(world)
    assert batch.deposit_per_unit_wei == deposit_per_unit_wei(TERMS, batch.units, batch.added_at - last)
    assert chain.balance_wei(world.trainer) - before == batch.deposit_wei


def test_events_are_found_by_contract_kind_and_argument(world: World) -> None:
    """The log of all contributions is complete and ordered; an indexed argument narrows it."""
    chain = world.chain
    first, second = contribute(world)[0], contribute(world)[0]
    found = chain.logs("CollaborativeTrainer", world.trainer, "Contributed", world.created.block_number)
    assert [event.args["batchId"] for event in found] == list(range(second.id + 1))
    assert all(event.args["payload"] == PAYLOAD for event in found)
    (only,) = chain.logs("CollaborativeTrainer", world.trainer, "Contributed", 0, batchId=first.id)
    assert only == found[first.id]
    assert (
        chain.logs("CollaborativeTrainer", world.trainer, "Contributed", 0, contributor=world.trainer) == []
    )
    assert chain.logs("CollaborativeTrainer", world.trainer, "Swept", 0) == []
    assert chain.logs("CollaborativeTrainer", world.trainer, "Contributed", 5, 4) == []


def test_events_of_any_contract_are_found_by_kind_and_argument(world: World) -> None:
    """Whoever lost the ledger finds their contributions without knowing where they went."""
    chain = world.chain
    batch, receipt = contribute(world)
    other = chain.events("ModelRegistry", create_model(chain))[0].args["trainer"]
    transact(chain, other, chain.encode("CollaborativeTrainer", "seal"))
    kinds = ["Contributed", "Refunded"]
    parts = list(chain.logs_of("CollaborativeTrainer", None, kinds, 0, contributor=OWNER.address))
    assert parts[-1][0] == chain.block_number()
    found = [event for _, events in parts for event in events]
    known = chain.logs("CollaborativeTrainer", world.trainer, "Contributed", 0)
    # Nobody vouches for what a contract says that was not asked for by its address.
    assert found == [replace(event, args={}) for event in known]
    assert (known[-1].args["batchId"], found[-1].block_hash) == (batch.id, receipt.block_hash)
    seals = chain.logs("CollaborativeTrainer", None, "Sealed", world.created.block_number)
    assert {event.address for event in seals} == {world.trainer, other}
    assert chain.logs("CollaborativeTrainer", None, "Contributed", 0, contributor=other) == []
    both = [
        event.name
        for _, events in chain.logs_of("CollaborativeTrainer", other, ["Sealed", "Contributed"], 0)
        for event in events
    ]
    assert both == ["Sealed"]


def test_a_block_is_known_by_its_hash(world: World) -> None:
    """Each names the one before it; what is not mined yet is no block."""
    chain = world.chain
    latest = chain.block("latest")
    assert chain.block(latest.number) == latest
    assert chain.block(latest.number - 1).hash == latest.parent_hash
    assert latest.timestamp == chain.block_time(latest.number) > 0
    assert chain.key.endswith(chain.block(0).hash[2:10])
    with pytest.raises(RpcError):
        chain.block(latest.number + 1_000)


def test_many_requests_are_answered_in_their_order(world: World) -> None:
    """One message or one by one: each result, or error, stands where its request stood."""
    node, latest = world.chain._node, world.chain.block("latest")
    found = node.request_many(
        [("eth_getBlockByNumber", (hex(latest.number), False)), ("no_such_method", ()), ("eth_chainId", ())]
    )
    assert found[0]["hash"] == latest.hash
    assert isinstance(found[1], RpcError)
    assert int(found[2], 16) == world.chain.chain_id


def test_a_refusal_is_shown_with_its_values(world: World) -> None:
    """The contract's custom error comes through calls and estimates with every client's shape."""
    chain = world.chain
    data = chain.encode("CollaborativeTrainer", "contribute", PAYLOAD)
    with pytest.raises(Reverted) as refused:
        chain.estimate_gas(OWNER.address, world.trainer, data, 1)
    assert refused.value.name == "InsufficientDeposit"
    assert refused.value.values["offeredWei"] == 1
    with pytest.raises(Reverted, match="EmptyPayload"):
        chain.view("CollaborativeTrainer", world.trainer, "predict", b"")


def test_a_mined_refusal_is_found_again(world: World) -> None:
    """A transaction that a contract refused after it was sent still tells why."""
    chain = world.chain
    signed = chain.sign(
        OWNER,
        to=world.trainer,
        data=chain.encode("CollaborativeTrainer", "seal"),
        value_wei=0,
        nonce=chain.next_nonce(OWNER.address),
        gas=200_000,
        fees=chain.fees(),
    )
    receipt = chain.wait(chain.send(signed.raw))
    assert not receipt.status
    assert chain.revert_reason(receipt).name == "AlreadySealed"


def test_a_claim_before_its_time_says_when_it_is_due(world: World) -> None:
    """A refund within the refund wait is refused with the time; after it, it pays."""
    chain = world.chain
    batch, _ = contribute(world)
    data = chain.encode("CollaborativeTrainer", "refund", [(batch.as_tuple(), PAYLOAD, 2**batch.count - 1)])
    chain.advance(5)
    with pytest.raises(Reverted) as refused:
        chain.estimate_gas(OWNER.address, world.trainer, data)
    assert refused.value.name == "TooEarly"
    assert refused.value.values["availableAt"] == batch.added_at + DAY
    chain.advance(DAY)
    # Both labels of each vector were sent, so the model agrees with one of two.
    (event,) = chain.events("CollaborativeTrainer", transact(chain, world.trainer, data, margin=30_000))
    assert event.name == "Refunded"
    assert 0 < event.args["amountWei"] < batch.deposit_wei


def test_an_estimate_is_enough_and_no_more_than_a_twentieth_above_the_gas_used(world: World) -> None:
    """Nested calls get 63/64 of the gas: the estimate covers it, without a margin, and is not a guess."""
    chain = world.chain
    chain.advance(60)
    price = chain.view("CollaborativeTrainer", world.trainer, "quote", len(SAMPLES))
    data = chain.encode("CollaborativeTrainer", "contribute", PAYLOAD)
    estimate = chain.estimate_gas(OWNER.address, world.trainer, data, 2 * price)
    receipt = transact(chain, world.trainer, data, 2 * price)
    assert receipt.gas_used <= estimate <= receipt.gas_used * 1.05


def test_addresses_without_our_code_are_refused_by_name(world: World) -> None:
    """No code, other code, and an implementation itself are each told apart."""
    chain = world.chain
    with pytest.raises(UsageError, match="'0x123' is not an address"):
        is_ours(chain, "0x123")
    with pytest.raises(WrongChain, match="no contract at"):
        is_ours(chain, OWNER.address)
    with pytest.raises(
        WrongChain, match="CollaborativeTrainer of this version of dcai: it is no minimal proxy"
    ):
        is_ours(chain, str(transact(chain, None, chain.encode_deploy("DataHandler")).contract_address))


def test_time_advances_by_what_was_asked(world: World) -> None:
    """25 hours later means at least 25 hours in the chain's time, in its next block too."""
    chain = world.chain
    before = chain.timestamp()
    chain.advance(25 * 3600)
    assert 0 <= chain.timestamp() - before - 25 * 3600 < 60
    batch, receipt = contribute(world)
    assert batch.added_at == chain.block_time(receipt.block_number) >= before + 25 * 3600


def test_time_does_not_go_back(world: World) -> None:
    """A negative time is refused on every chain."""
    with pytest.raises(UsageError, match="forwards"):
        world.chain.advance(-1)


def test_the_same_transactions_use_the_same_gas_on_both(anvil_url: str, tmp_path: Path) -> None:
    """py-evm and anvil agree on estimate and gas used of every step, to the unit where time plays no part."""
    used = []
    for url in (None, anvil_url):
        with open_chain(Settings(tmp_path, tmp_path, tmp_path, rpc_url=url)) as chain:
            chain.fund_if_new(OWNER.address)
            deployed = [
                transact(chain, None, data)
                for data in (
                    chain.encode_deploy("ModelRegistry", *constructor_arguments()),
                    chain.encode_deploy("DataHandler"),
                )
            ]
            used.append([receipt.gas_used for receipt in deployed])
    assert used[0] == used[1]
