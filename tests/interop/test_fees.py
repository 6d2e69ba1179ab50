"""Fees on real nodes: what is offered is mined, nothing is overpaid, and replacements are taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, Fees, FeesAboveCeiling, FeeTooLow, Receipt, SignedTransaction, open_chain
from dcai_cli.chain.fees import bumped
from dcai_cli.chain.signing import decode_signed
from dcai_cli.config import Settings
from tests.conftest import Anvil, StartAnvil

OWNER: LocalAccount = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of every anvil."""

OTHER = "0x" + "22" * 20
GWEI = 10**9
HISTORY = ("0x14", "latest", [10, 50])


@contextmanager
def chain_at(folder: Path, node: Anvil | None) -> Iterator[Chain]:
    """A chain at a node, or the embedded one, where the owner has money."""
    with open_chain(Settings(folder, folder, folder, rpc_url=None if node is None else node.url)) as chain:
        chain.fund_if_new(OWNER.address)
        yield chain


def signed(chain: Chain, fees: Fees, nonce: int, gas: int = 21_000) -> SignedTransaction:
    """A transaction that sends a wei."""
    return chain.sign(OWNER, to=OTHER, data=b"", value_wei=1, nonce=nonce, gas=gas, fees=fees)


def pay(chain: Chain, fees: Fees) -> Receipt:
    """Send a wei and wait for it."""
    return chain.wait(chain.send(signed(chain, fees, chain.next_nonce(OWNER.address)).raw))


def test_a_base_fee_ten_times_as_high_is_paid_and_no_more(anvil: StartAnvil, tmp_path: Path) -> None:
    """Up tenfold and down again: all pay the block's base fee and the same tip, under one ceiling."""
    node = anvil()
    with chain_at(tmp_path, node) as chain:
        for base_fee in (GWEI, 10 * GWEI, 100 * GWEI, 10 * GWEI, GWEI):
            node.rpc("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
            node.rpc("evm_mine")
            fees = chain.fees(150 * GWEI)
            assert fees.priority_fee_wei == GWEI
            assert fees.max_fee_per_gas_wei <= 150 * GWEI
            node.rpc("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
            assert pay(chain, fees).effective_gas_price_wei == base_fee + GWEI


def test_an_offer_survives_a_rise_before_it_is_mined(anvil: StartAnvil, tmp_path: Path) -> None:
    """A transaction whose fees were asked for before the base fee rose by four fifths is mined."""
    node = anvil()
    with chain_at(tmp_path, node) as chain:
        fees = chain.fees()
        node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI * 18 // 10))
        assert pay(chain, fees).effective_gas_price_wei == GWEI * 28 // 10


def test_below_the_base_fee_nothing_is_offered(anvil: StartAnvil, tmp_path: Path) -> None:
    """A ceiling below what blocks take is an error with both prices; one that they keep is offered."""
    node = anvil()
    with chain_at(tmp_path, node) as chain:
        node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
        node.rpc("evm_mine")
        next_fee = int(node.rpc("eth_feeHistory", *HISTORY)["baseFeePerGas"][-1], 16)
        with pytest.raises(FeesAboveCeiling) as refused:
            chain.fees(next_fee)
        assert refused.value.needed_wei == next_fee + GWEI
        fees = chain.fees(next_fee + GWEI)
        assert fees == Fees(next_fee + GWEI, GWEI)
        assert pay(chain, fees).effective_gas_price_wei == next_fee + GWEI


def test_a_network_before_london_mines_the_old_type(anvil: StartAnvil, tmp_path: Path) -> None:
    """Without base fees there is one price, which the node suggests, and which is paid."""
    with chain_at(tmp_path, anvil("--hardfork", "berlin")) as chain:
        fees = chain.fees()
        assert fees.priority_fee_wei is None
        receipt = pay(chain, fees)
        assert receipt.status
        assert receipt.effective_gas_price_wei == fees.max_fee_per_gas_wei
        with pytest.raises(FeesAboveCeiling):
            chain.fees(fees.max_fee_per_gas_wei - 1)


@pytest.mark.parametrize(
    "fork", [("--hardfork", "london"), ("--hardfork", "prague"), ("--base-fee", "7"), None]
)
def test_what_is_offered_is_mined(anvil: StartAnvil, tmp_path: Path, fork: tuple[str, ...] | None) -> None:
    """On networks with base fees, the embedded one too, the next block takes it at the likely price."""
    with chain_at(tmp_path, anvil(*fork) if fork else None) as chain:
        for _ in range(3):
            fees = chain.fees()
            assert fees.priority_fee_wei
            assert pay(chain, fees).effective_gas_price_wei == fees.likely_price_wei


def test_the_embedded_chain_answers_as_anvil_does(anvil: StartAnvil, tmp_path: Path) -> None:
    """History and price have the same members, lengths and kinds on both, after the same transactions."""
    shapes = []
    for node in (anvil(), None):
        with chain_at(tmp_path, node) as chain:
            height = chain.block_number()
            for _ in range(2):
                pay(chain, Fees(5 * GWEI, 2 * GWEI))
            answer = chain._node.request("eth_feeHistory", "0x2", "latest", [10, 50])
            assert int(answer["oldestBlock"], 16) == height + 1
            assert answer["reward"] == [[hex(2 * GWEI)] * 2] * 2
            assert all(0 < ratio < 0.01 for ratio in answer["gasUsedRatio"])
            base_fees = [int(fee, 16) for fee in answer["baseFeePerGas"]]
            assert base_fees == sorted(base_fees, reverse=True)
            fees = chain.fees()
            assert fees.base_fee_wei == base_fees[-1]
            assert pay(chain, fees).effective_gas_price_wei == fees.likely_price_wei
            price = int(chain._node.request("eth_gasPrice"), 16)
            assert GWEI < price <= 3 * GWEI
            shapes.append({name: len(answer[name]) for name in ("baseFeePerGas", "gasUsedRatio", "reward")})
    assert shapes[0] == shapes[1] == {"baseFeePerGas": 3, "gasUsedRatio": 2, "reward": 2}


def test_the_embedded_history_begins_with_the_chain(tmp_path: Path) -> None:
    """More blocks than there are is no error, and a block without a transaction has no tips."""
    with chain_at(tmp_path, None) as chain:
        chain.advance(1)
        answer = chain._node.request("eth_feeHistory", hex(5000), "latest", [50])
        assert answer["oldestBlock"] == "0x0"
        assert len(answer["gasUsedRatio"]) == chain.block_number() + 1
        assert answer["reward"][-1] == ["0x0"]


@pytest.mark.parametrize("first", [Fees(3 * GWEI, GWEI), Fees(2 * GWEI, 7), Fees(2 * GWEI, 1)])
def test_a_stuck_transaction_is_replaced(anvil: StartAnvil, tmp_path: Path, first: Fees) -> None:
    """The fields of the stuck one, signed again with bumped fees, take its place; the same fees do not."""
    node = anvil("--no-mining")
    with chain_at(tmp_path, node) as chain:
        stuck = signed(chain, first, nonce=0)
        chain.send(stuck.raw)
        fields = decode_signed(stuck.raw)
        with pytest.raises(FeeTooLow):
            chain.send(
                signed(chain, Fees(first.max_fee_per_gas_wei, (first.priority_fee_wei or 0)), 0, 22_000).raw
            )
        faster = sign_again(chain, fields.nonce, bumped(fields.fees, chain.fees()))
        chain.send(faster.raw)
        node.rpc("evm_mine")
        assert chain.receipt(stuck.hash) is None
        mined = chain.receipt(faster.hash)
        assert mined is not None
        assert mined.status


def sign_again(chain: Chain, nonce: int, fees: Fees) -> SignedTransaction:
    """The same transaction with other fees."""
    return signed(chain, fees, nonce)


def test_a_stuck_transaction_is_cancelled(anvil: StartAnvil, tmp_path: Path) -> None:
    """Nothing, sent to oneself with the same nonce, uses the nonce up; what was to be sent stays."""
    node = anvil("--no-mining")
    with chain_at(tmp_path, node) as chain:
        stuck = signed(chain, chain.fees(), nonce=0)
        chain.send(stuck.raw)
        fields = decode_signed(stuck.raw)
        cancel = chain.sign_cancel(OWNER, nonce=fields.nonce, fees=bumped(fields.fees, chain.fees()))
        chain.send(cancel.raw)
        node.rpc("evm_mine")
        assert chain.receipt(stuck.hash) is None
        mined = chain.receipt(cancel.hash)
        assert mined is not None
        assert mined.status
        assert mined.gas_used == 21_000
        assert chain.balance_wei(OTHER) == 0
        assert chain.mined_nonce(OWNER.address) == 1


def test_a_legacy_transaction_is_replaced(anvil: StartAnvil, tmp_path: Path) -> None:
    """The one price of an old network is raised by an eighth, which its pool takes."""
    node = anvil("--no-mining", "--hardfork", "berlin")
    with chain_at(tmp_path, node) as chain:
        stuck = signed(chain, chain.fees(), nonce=0)
        chain.send(stuck.raw)
        faster = sign_again(chain, 0, bumped(decode_signed(stuck.raw).fees, chain.fees()))
        chain.send(faster.raw)
        node.rpc("evm_mine")
        assert chain.receipt(stuck.hash) is None
        assert chain.receipt(faster.hash) is not None
