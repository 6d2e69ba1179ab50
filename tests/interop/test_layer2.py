"""Layer 2s on anvil: contracts that stand for the OP stack's oracle and Arbitrum's, at their addresses.

The oracle's stand-in is held against what the OP stack's own contract answered (golden/data_fees.json).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, Fees, GasTooHigh, open_chain
from dcai_cli.chain.layer2 import ARB_SYS, ARBITRUM_MOST_GAS, GAS_PRICE_ORACLE, NODE_INTERFACE, Layer2
from dcai_cli.config import Settings
from dcai_cli.domain import MAX_TRANSACTION_GAS
from dcai_cli.errors import WrongChain
from dcai_cli.services.markets.moves import SHOWING
from dcai_cli.services.markets.work import work_in_markets
from dcai_cli.services.workspace import Workspace
from tests.conftest import PROJECT, Anvil, Dcai, MakeDcai, StartAnvil, start_hardhat, tool
from tests.data_fees import CASES, compressed_size, fjord_fee_wei

OWNER: LocalAccount = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of every anvil."""

OTHER = "0x" + "22" * 20
BURNER = "0x" + "33" * 20
FJORD = [case for case in CASES if case["fork"] == "fjord"]
DEAR = FJORD[-1]
"""The prices of a day when layer 1 was dear."""


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The runtime code of each stand-in, compiled."""
    folder = tmp_path_factory.mktemp("forge")
    places = ["--out", f"{folder}/out", "--cache-path", f"{folder}/cache"]
    subprocess.run(
        [tool("forge"), "build", "--quiet", *places, "contracts/mocks/Layer2s.sol"], cwd=PROJECT, check=True
    )
    forms = {path.stem: json.loads(path.read_text()) for path in folder.glob("out/Layer2s.sol/*.json")}
    return {name: form["deployedBytecode"]["object"] for name, form in forms.items()}


@pytest.fixture
def chain_at(tmp_path: Path) -> Iterator[Callable[[Anvil], Chain]]:
    """Opens the chain at a node."""
    with ExitStack() as stack:
        yield lambda node: stack.enter_context(
            open_chain(Settings(tmp_path, tmp_path, tmp_path, rpc_url=node.url))
        )


def noise_of(size: int) -> bytes:
    """Bytes that cannot be compressed, the same in each run."""
    return random.Random(size).randbytes(size)  # noqa: S311 - not for secrets


def set_prices(node: Anvil, prices: dict[str, Any], operator: tuple[int, int] = (0, 0)) -> None:
    """Write prices into the storage of the oracle's stand-in."""
    names = ("base_fee_wei", "blob_base_fee_wei", "base_fee_scalar", "blob_base_fee_scalar")
    for slot, value in enumerate([*(prices[name] for name in names), *operator]):
        node.rpc("anvil_setStorageAt", GAS_PRICE_ORACLE, hex(slot), f"0x{value:064x}")


def op_stack(anvil: StartAnvil, codes: dict[str, str], *options: str) -> Anvil:
    """A node that looks like one of the OP stack."""
    node = anvil(*options)
    node.rpc("anvil_setCode", GAS_PRICE_ORACLE, codes["GasPriceOracleMock"])
    set_prices(node, DEAR)
    return node


def arbitrum(anvil: StartAnvil, codes: dict[str, str], gas_of_a_byte: int) -> Anvil:
    """A node that looks like one of Arbitrum, where each byte costs so much gas, and with a burner of gas."""
    node = anvil("--gas-limit", "2000000000")
    for address in (ARB_SYS, NODE_INTERFACE):
        node.rpc("anvil_setCode", address, codes["ArbitrumMock"])
    node.rpc("anvil_setStorageAt", NODE_INTERFACE, "0x0", f"0x{gas_of_a_byte:064x}")
    node.rpc("anvil_setCode", BURNER, codes["GasBurner"])
    return node


# The OP stack


def test_a_quote_is_what_the_op_stack_charges(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """For bytes of every kind, it is what the OP stack's own contract says, to the wei."""
    node = op_stack(anvil, codes)
    chain = chain_at(node)
    for case in FJORD:
        set_prices(node, case)
        assert chain.data_fee_wei(bytes.fromhex(case["data"])) == int(case["fee_wei"])


def test_the_bound_holds_for_every_kind_of_data(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """The most that a size costs covers bytes that cannot be compressed, with a quarter for dearer blocks."""
    chain = chain_at(op_stack(anvil, codes))
    assert chain.layer2 is Layer2.OP_STACK
    for size in (0, 1, 100, 1_000, 10_000, 20_000):
        noise = noise_of(size)
        exact = fjord_fee_wei(DEAR, compressed_size(noise))
        assert exact * 5 // 4 <= chain.data_fee_wei(size) <= exact * 3 // 2
        assert chain.data_fee_wei(noise) == exact
        # The oracle's own bound, which allows for less, is why ours asks for some more bytes.
        if size >= 10_000:
            assert exact > int(node_bound(chain, size))


def node_bound(chain: Chain, size: int) -> int:
    """What the oracle itself says of so many bytes."""
    from eth_utils.crypto import keccak

    data = keccak(text="getL1FeeUpperBound(uint256)")[:4] + size.to_bytes(32)
    return int.from_bytes(chain.call(GAS_PRICE_ORACLE, data))


def test_the_operator_takes_his_share_of_gas(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """Where an operator charges for gas, a fee that is asked for with gas has it."""
    node = op_stack(anvil, codes)
    chain = chain_at(node)
    plain = chain.data_fee_wei(b"data")
    set_prices(node, DEAR, operator=(2_500_000, 777))
    assert chain.data_fee_wei(b"data") == plain
    assert chain.data_fee_wei(b"data", gas=1_000_000) == plain + 2_500_000 + 777


def test_what_the_oracle_cannot_compress_in_time_is_bounded(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """A transaction so large that a node gives up compressing it costs at most what its size does."""
    noise = noise_of(100_000)
    # The first limit stops the oracle; the second is below the least gas for so many bytes.
    for limit in ("10000000", "3000000"):
        chain = chain_at(op_stack(anvil, codes, "--gas-limit", limit))
        assert chain.data_fee_wei(noise) == chain.data_fee_wei(len(noise))
        assert chain.data_fee_wei(noise) >= fjord_fee_wei(DEAR, compressed_size(noise)) * 5 // 4


def test_the_price_of_a_transaction_is_known_before_it_is_signed(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """Its unsigned bytes cost about what the network charges for the signed ones, within a fiftieth."""
    chain = chain_at(op_stack(anvil, codes))
    data = noise_of(2_000)
    fields: dict[str, Any] = {"to": OTHER, "data": data, "value_wei": 5, "nonce": 3, "gas": 10**6}
    fields["fees"] = Fees(10**9, 10**6)
    quoted = chain.data_fee_wei(chain.unsigned(**fields))
    # The network compresses what is signed, and adds nothing for a signature.
    charged = fjord_fee_wei(DEAR, compressed_size(chain.sign(OWNER, **fields).raw) - 68)
    assert abs(quoted - charged) * 50 < charged
    assert charged < chain.data_fee_wei(len(data) + 150)


def test_elsewhere_data_costs_nothing(anvil_url: str, tmp_path: Path) -> None:
    """A network without an oracle takes gas only, and keeps the usual limit."""
    with open_chain(Settings(tmp_path, tmp_path, tmp_path, rpc_url=anvil_url)) as chain:
        assert chain.layer2 is None
        assert chain.data_fee_wei(b"data", gas=10**6) == chain.data_fee_wei(10**5) == 0
        assert chain.most_gas == MAX_TRANSACTION_GAS
        assert chain.gas_limit(1_000, 15) == 1_150
        assert chain.gas_limit(MAX_TRANSACTION_GAS, 15) == MAX_TRANSACTION_GAS


def test_a_step_of_a_market_is_left_while_its_data_costs_more_than_it_pays(
    anvil: StartAnvil, codes: dict[str, str], make_dcai: MakeDcai, tmp_path: Path
) -> None:
    """The daemon takes it when layer 1 is cheap again; a question names what the data costs."""
    free = dict.fromkeys(DEAR, 0)
    node = op_stack(anvil, codes, "--block-time", "0.2")
    set_prices(node, free)
    dcai = make_dcai(node)
    test, own = tmp_path / "test.csv", tmp_path / "own.csv"
    test.write_text("text,label\n" + "a warm day,yes\na cold day,no\n" * 6)
    own.write_text("text,label\nso warm,yes\nso cold,no\n")
    model = ("--labels", "no,yes", "--n-features", "256", "--pieces", "2", "--bounty", "1ether")
    create = ("--test", test, *model, "--quota", "16", "--yes")
    assert "an older block of Ethereum" in said(dcai, "market", "create", "bounty", *create, "--dry-run")
    dcai("market", "create", "bounty", *create)
    dcai("market", "reveal", "--yes")
    dcai("market", "join", "bounty", own, "--yes")
    for days in (7, 2):
        node.rpc("evm_increaseTime", days * 86_400)
        node.rpc("evm_mine")
        with dcai.workspace() as workspace:
            free_wei, dear_wei = (cost_of_reveal(node, workspace, prices) for prices in (free, DEAR))
        assert free_wei == 0 < dear_wei
        set_prices(node, free)
        dcai("market", "reveal", "--yes")

    def once() -> dict[str, Any]:
        (market,) = dcai("daemon", "run", "--once")["markets"]
        assert isinstance(market, dict)
        return market

    set_prices(node, {**DEAR, "base_fee_wei": 10**15})
    while once()["stage"] == "tested":  # until the block of the draw is there
        pass
    waiting = once()
    assert (waiting["stage"], waiting["moves"], waiting["code"]) == ("evaluating", [], "unprofitable")
    set_prices(node, free)
    assert once()["moves"][:2] == ["step", "step"]


def said(dcai: Dcai, *arguments: str | Path) -> str:
    """What a command that succeeds says to people."""
    words = [sys.executable, "-m", "dcai_cli", *map(str, arguments)]
    done = subprocess.run(words, cwd=PROJECT, env=dcai.environ, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def cost_of_reveal(node: Anvil, workspace: Workspace, prices: dict[str, Any]) -> int:
    """What the plan of a reveal says of fees beside those for gas."""
    set_prices(node, prices)
    plan = work_in_markets(
        workspace, SHOWING, market=None, account=None, password=lambda _: "", dry_run=True
    ).plan
    return plan.cost.fee_wei - plan.cost.gas * plan.cost.gas_price_wei


# Arbitrum


def burn(gas: int) -> bytes:
    """The input that burns gas."""
    return gas.to_bytes(32)


def test_on_arbitrum_the_gas_of_data_comes_on_top_of_the_limit(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """20 million gas fit if 5 of them are for data; they are signed, sent and mined; data costs no fee."""
    chain = chain_at(arbitrum(anvil, codes, gas_of_a_byte=160_000))
    data = burn(20_000_000)
    gas = chain.estimate_gas(OWNER.address, BURNER, data)
    assert gas > 20_000_000
    assert chain.layer2 is Layer2.ARBITRUM
    assert chain.data_fee_wei(data, gas=gas) == 0
    limit = chain.gas_limit(gas, 15)
    assert limit == gas * 115 // 100
    signed = chain.sign(OWNER, to=BURNER, data=data, value_wei=0, nonce=0, gas=limit, fees=chain.fees())
    assert chain.wait(chain.send(signed.raw)).status
    assert chain.gas_limit(ARBITRUM_MOST_GAS, 15) == ARBITRUM_MOST_GAS


def test_on_arbitrum_execution_keeps_its_limit(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """20 million gas of which only one is for data are too much, as anywhere."""
    chain = chain_at(arbitrum(anvil, codes, gas_of_a_byte=30_000))
    with pytest.raises(GasTooHigh):
        chain.estimate_gas(OWNER.address, BURNER, burn(20_000_000))


def test_on_arbitrum_a_cancellation_pays_for_its_data(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """Where 21,000 gas do not cover a plain transaction, its gas is estimated."""
    chain = chain_at(arbitrum(anvil, codes, gas_of_a_byte=1))
    cancel = chain.sign_cancel(OWNER, nonce=0, fees=chain.fees())
    assert cancel.gas > 21_000
    assert chain.wait(chain.send(cancel.raw)).status


@pytest.mark.parametrize("kind", ["arbitrum", "constant"])
def test_no_market_is_made_where_blocks_draw_nothing(
    anvil: StartAnvil, codes: dict[str, str], make_dcai: MakeDcai, tmp_path: Path, kind: str
) -> None:
    """Neither where contracts see other block numbers, nor where all blocks have one random number."""
    with ExitStack() as stack:
        if kind == "arbitrum":
            node = arbitrum(anvil, codes, gas_of_a_byte=1)
        else:
            node = start_hardhat(tmp_path / "hardhat")
            stack.callback(node.stop)
            for _ in range(4):
                node.rpc("hardhat_setPrevRandao", f"0x{7:064x}")
                node.rpc("evm_mine")
        dcai, test = make_dcai(node), tmp_path / "test.csv"
        test.write_text("text,label\n" + "a warm day,yes\na cold day,no\n" * 6)
        create = ("market", "create", "bounty", "--test", test, "--labels", "no,yes", "--bounty", "1ether")
        error = dcai(*create, "--pieces", "2", "--yes", code=WrongChain.exit_code)
        assert ("the same random number" in error["message"]) == (kind == "constant")
        with dcai.workspace() as workspace:
            assert workspace.chain.next_nonce(dcai.address) == 0


def test_the_usual_limit_holds_elsewhere(
    anvil: StartAnvil, codes: dict[str, str], chain_at: Callable[[Anvil], Chain]
) -> None:
    """Without Arbitrum's contracts no transaction is estimated or signed above the limit."""
    node = anvil("--gas-limit", "100000000")
    node.rpc("anvil_setCode", BURNER, codes["GasBurner"])
    chain = chain_at(node)
    with pytest.raises(GasTooHigh):
        chain.estimate_gas(OWNER.address, BURNER, burn(20_000_000))
    gas = MAX_TRANSACTION_GAS + 1
    with pytest.raises(GasTooHigh):
        chain.sign(OWNER, to=BURNER, data=b"", value_wei=0, nonce=0, gas=gas, fees=Fees(1, 1))
