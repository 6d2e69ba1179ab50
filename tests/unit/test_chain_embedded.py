"""The embedded chain: what it keeps, what it refuses, what time it is, and what survives a kill."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth.db.atomic import AtomicDB
from eth_account import Account
from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, Fees, GasTooHigh, NonceTaken, Receipt, RpcError, open_chain, reset
from dcai_cli.chain.blocks import Blocks
from dcai_cli.chain.embedded import FUNDS_WEI, EmbeddedNode
from dcai_cli.chain.evm import EmbeddedChain
from dcai_cli.chain.store import Store
from dcai_cli.config import Settings
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS
from dcai_cli.errors import BadInput, InsufficientFunds, Locked, Reverted, UsageError, WrongChain

PROJECT = Path(__file__).resolve().parent.parent.parent
KEY: LocalAccount = Account.from_key("0x" + "11" * 32)
OTHER = "0x" + "22" * 20
NOW = 1_800_000_000

STORE = "0x5f355f5500"
"""Runtime code: storage slot 0 = the first word of the input."""
LOOP = "0x5b5f56"
"""Runtime code: jumps to itself for ever."""
REVERT = "0x365f5f37365ffd"
"""Runtime code: reverts with the input."""
SHOUT = "0x5f5fa000"
"""Runtime code: an event with nothing in it."""
TIME = "0x425f5260205ff3"
"""Runtime code: returns the block's timestamp."""


def creation(runtime: str) -> bytes:
    """The input that deploys a runtime code."""
    code = bytes.fromhex(runtime[2:])
    return bytes.fromhex(f"60{len(code):02x}600a5f3960{len(code):02x}5ff3").ljust(10, b"\x00") + code


def settings_in(folder: Path, **values: int) -> Settings:
    """Settings whose folders are all one."""
    return Settings(folder, folder, folder, **values)  # type: ignore[arg-type]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings in an empty folder."""
    return settings_in(tmp_path)


@contextmanager
def chain_at(settings: Settings, now: float = NOW) -> Iterator[Chain]:
    """The embedded chain with a clock that stands still, and a funded account."""
    with open_chain(settings, clock=lambda: now) as chain:
        chain.fund_if_new(KEY.address)
        yield chain


def transact(
    chain: Chain,
    to: str | None,
    data: bytes = b"",
    value_wei: int = 0,
    gas: int | None = None,
    fees: Fees | None = None,
    nonce: int | None = None,
) -> Receipt:
    """Sign, send and wait."""
    signed = chain.sign(
        KEY,
        to=to,
        data=data,
        value_wei=value_wei,
        nonce=chain.next_nonce(KEY.address) if nonce is None else nonce,
        gas=chain.estimate_gas(KEY.address, to, data, value_wei) if gas is None else gas,
        fees=fees or chain.fees(),
    )
    return chain.wait(chain.send(signed.raw))


def signed_elsewhere(**fields: Any) -> bytes:
    """A transaction that a less careful program signed."""
    plain: dict[str, Any] = {"nonce": 0, "gas": 21_000, "value": 0, "to": OTHER, "type": 2}
    fees: dict[str, Any] = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
    return bytes(KEY.sign_transaction({**plain, **fees, **fields}).raw_transaction)


def deploy(chain: Chain, runtime: str) -> str:
    """Deploy a runtime code."""
    address = transact(chain, None, creation(runtime)).contract_address
    assert address is not None
    assert chain.code(address).hex() == runtime[2:]
    return address


def test_a_new_chain_funds_each_account_once(settings: Settings) -> None:
    """An account that has never sent anything gets 1,000 ether; asking again, or later, adds nothing."""
    with chain_at(settings) as chain:
        assert chain.balance_wei(KEY.address) == FUNDS_WEI
        chain.fund_if_new(KEY.address)
        transact(chain, OTHER, value_wei=999 * 10**18)
        chain.fund_if_new(KEY.address)
        assert chain.balance_wei(KEY.address) < 10**18
        assert chain.balance_wei(OTHER) == 999 * 10**18


def test_a_transaction_is_mined_at_once_and_costs_what_its_receipt_says(settings: Settings) -> None:
    """Balance before = value + fee + balance after, and the transaction is known by its hash."""
    with chain_at(settings) as chain:
        before = chain.balance_wei(KEY.address)
        receipt = transact(chain, OTHER, value_wei=5)
        assert receipt.status
        assert receipt.gas_used == 21_000
        assert before == 5 + receipt.fee_wei + chain.balance_wei(KEY.address)
        assert chain.knows(receipt.hash)
        assert receipt.block_number == chain.block_number()
        assert chain.mined_nonce(KEY.address) == chain.next_nonce(KEY.address) == 1


def test_everything_is_there_after_reopening(settings: Settings) -> None:
    """Head, balances, code, storage, receipts and identity are the same in the next process."""
    with chain_at(settings) as chain:
        address = deploy(chain, STORE)
        receipt = transact(chain, address, (77).to_bytes(32, "big"))
        seen = (chain.key, chain.block_number(), chain.balance_wei(KEY.address), chain.code(address))
    with chain_at(settings) as chain:
        assert seen == (chain.key, chain.block_number(), chain.balance_wei(KEY.address), chain.code(address))
        assert chain.receipt(receipt.hash) == receipt
        assert transact(chain, OTHER, value_wei=1).status


def test_unknown_transactions_have_no_receipt(settings: Settings) -> None:
    """As with other clients, an unknown hash is an answer and not an error."""
    with chain_at(settings) as chain:
        assert chain.receipt("0x" + "ab" * 32) is None
        assert not chain.knows("0x" + "ab" * 32)


def test_reset_starts_a_chain_that_can_be_told_apart(settings: Settings) -> None:
    """After a reset in the same second, the chain id is the same and the key is another."""
    with chain_at(settings) as chain:
        first = chain.key
        transact(chain, OTHER, value_wei=5)
    reset(settings)
    with chain_at(settings) as chain:
        assert chain.key != first
        assert chain.key.split("-")[0] == first.split("-")[0]
        assert chain.balance_wei(OTHER) == 0


def test_only_one_process_uses_the_chain(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one is told who holds the lock, and reset waits for it too."""
    monkeypatch.setattr("dcai_cli.chain.client._LOCK_WAIT_S", 0)
    with chain_at(settings):
        with pytest.raises(Locked, match=r"pid \d+"), open_chain(settings):
            pass
        with pytest.raises(Locked):
            reset(settings)


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be taken for one" * 100, b"\x00" * 4096]
)
def test_a_file_that_is_no_chain_is_refused_and_can_be_reset(settings: Settings, content: bytes) -> None:
    """A damaged file is named with the way out; nothing of it is touched before."""
    settings.devnet_path.write_bytes(content)
    with pytest.raises(BadInput, match="not an embedded chain") as refused, open_chain(settings):
        pass
    assert "devnet reset" in refused.value.hint
    assert settings.devnet_path.read_bytes() == content
    reset(settings)
    with chain_at(settings) as chain:
        assert chain.block_number() == 1


def test_a_chain_of_another_format_is_refused(settings: Settings) -> None:
    """A file from a later version is not guessed at."""
    with chain_at(settings):
        pass
    database = sqlite3.connect(settings.devnet_path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(BadInput, match="format 99"), open_chain(settings):
        pass


def test_another_pinned_chain_id_is_refused(tmp_path: Path) -> None:
    """A chain id in the settings holds for the embedded chain too."""
    with pytest.raises(WrongChain, match="not on chain 1"), open_chain(settings_in(tmp_path, chain_id=1)):
        pass


# Time


def test_time_is_the_clocks_and_never_goes_back(settings: Settings) -> None:
    """A block has the clock's time, or the second after the last block where the clock lags."""
    with chain_at(settings, now=NOW) as chain:
        assert chain.timestamp() == NOW + 2  # genesis and the faucet's block took two seconds
    with chain_at(settings, now=NOW + 100) as chain:
        receipt = transact(chain, OTHER, value_wei=1)
        assert chain.block_time(receipt.block_number) == NOW + 100
    with chain_at(settings, now=NOW - 1000) as chain:
        receipt = transact(chain, OTHER, value_wei=1)
        assert chain.block_time(receipt.block_number) == NOW + 101


def test_advanced_time_lasts(settings: Settings) -> None:
    """After `advance`, this and every later process sees the later time."""
    with chain_at(settings, now=NOW) as chain:
        before = chain.timestamp()
        chain.advance(90_000)
        # The block that was mined with it took a second.
        assert chain.timestamp() == before + 90_001
    with chain_at(settings, now=NOW + 50) as chain:
        assert chain.timestamp() == before + 90_000 + 50


def test_calls_see_the_time_of_a_block_mined_now(settings: Settings) -> None:
    """However old the last block is, a view computes with the present."""
    with chain_at(settings, now=NOW) as chain:
        address = deploy(chain, TIME)
    with chain_at(settings, now=NOW + 5_000) as chain:
        assert int.from_bytes(chain.call(address, b""), "big") == chain.timestamp() == NOW + 5_000


def test_calls_on_an_earlier_block_see_the_time_of_the_block_after_it(settings: Settings) -> None:
    """So that a failed transaction can be executed again as it was."""
    with chain_at(settings) as chain:
        address = deploy(chain, TIME)
        chain.advance(1_000)
        number = chain.block_number()
        chain.advance(1_000)
        assert int.from_bytes(chain.call(address, b"", block=number - 1), "big") == chain.block_time(number)


# What it refuses


def test_more_gas_than_a_transaction_may_have_is_refused(settings: Settings) -> None:
    """The client refuses to sign above the cap of EIP-7825, and the chain refuses what others sign."""
    with chain_at(settings) as chain:
        with pytest.raises(GasTooHigh, match="16,777,216"):
            transact(chain, OTHER, gas=MAX_TRANSACTION_GAS + 1)
        with pytest.raises(RpcError, match="gas limit too high"):
            chain.send(signed_elsewhere(chainId=chain.chain_id, gas=MAX_TRANSACTION_GAS + 1))
        assert transact(chain, OTHER, gas=MAX_TRANSACTION_GAS).status


def test_more_bytes_than_pools_take_are_refused(settings: Settings) -> None:
    """The client refuses to sign more than 128 KiB, and the chain refuses what others sign."""
    with chain_at(settings) as chain:
        data = bytes(MAX_TRANSACTION_BYTES)
        with pytest.raises(GasTooHigh, match="131,"):
            transact(chain, OTHER, data, gas=10_000_000)
        with pytest.raises(RpcError, match="oversized"):
            chain.send(signed_elsewhere(chainId=chain.chain_id, gas=10_000_000, data=data))


def test_a_nonce_is_used_once_and_in_order(settings: Settings) -> None:
    """Another transaction with a used nonce is refused, and so is one that leaves a gap."""
    with chain_at(settings) as chain:
        transact(chain, OTHER, value_wei=1, nonce=0)
        with pytest.raises(NonceTaken, match="next nonce 1, tx nonce 0"):
            transact(chain, OTHER, value_wei=2, nonce=0)
        with pytest.raises(RpcError, match="nonce too high"):
            transact(chain, OTHER, value_wei=2, nonce=5)
        assert chain.balance_wei(OTHER) == 1


def test_sending_the_same_transaction_again_changes_nothing(settings: Settings) -> None:
    """A repeated send answers with the hash; the value moves once."""
    with chain_at(settings) as chain:
        fees = chain.fees()
        signed = chain.sign(KEY, to=OTHER, data=b"", value_wei=7, nonce=0, gas=21_000, fees=fees)
        assert chain.send(signed.raw) == chain.send(signed.raw) == signed.hash
        assert chain.balance_wei(OTHER) == 7


def test_what_the_balance_does_not_cover_is_refused(settings: Settings) -> None:
    """Sending, calling and estimating with more than there is name the balance, and nothing changes."""
    with chain_at(settings) as chain:
        blocks = chain.block_number()
        with pytest.raises(InsufficientFunds, match=str(FUNDS_WEI)):
            transact(chain, OTHER, value_wei=FUNDS_WEI, gas=21_000)
        with pytest.raises(InsufficientFunds):
            chain.estimate_gas(KEY.address, OTHER, b"", FUNDS_WEI + 1)
        assert chain.block_number() == blocks
        assert chain.balance_wei(KEY.address) == FUNDS_WEI


@pytest.mark.parametrize(
    ("gas", "fee", "words"),
    [
        (20_999, 10**10, "intrinsic gas too low: have 20999, want 21000"),
        (21_000, 1, "max fee per gas less than block base fee"),
    ],
)
def test_too_little_gas_or_fee_is_refused(settings: Settings, gas: int, fee: int, words: str) -> None:
    """A transaction that no block could hold is refused as other nodes do."""
    with chain_at(settings) as chain, pytest.raises(RpcError, match=words):
        transact(chain, OTHER, gas=gas, fees=Fees(fee, 1))


def test_the_calldata_floor_is_charged_and_required(settings: Settings) -> None:
    """EIP-7623: 40 gas for each non-zero byte at least, in the estimate, the receipt and the least limit."""
    data = b"\xff" * 1_000
    floor = 21_000 + 40 * 1_000
    with chain_at(settings) as chain:
        assert chain.estimate_gas(KEY.address, OTHER, data) == floor
        assert transact(chain, OTHER, data).gas_used == floor
        with pytest.raises(RpcError, match=f"want {floor}"):
            transact(chain, OTHER, data, gas=floor - 1)


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"\xff" * 100])
def test_bytes_that_are_no_transaction_are_refused(settings: Settings, raw: bytes) -> None:
    """Garbage is an error of the node, not a fault of ours."""
    with chain_at(settings) as chain, pytest.raises(RpcError, match="invalid transaction"):
        chain.send(raw)


def test_a_transaction_for_another_chain_is_refused(settings: Settings) -> None:
    """Replay protection holds here too."""
    with chain_at(settings) as chain, pytest.raises(RpcError, match="invalid chain id: have 1"):
        chain.send(signed_elsewhere(chainId=1))


def test_an_unknown_method_is_refused(settings: Settings) -> None:
    """What is not implemented says so with the code that nodes use."""
    with chain_at(settings) as chain, pytest.raises(RpcError) as refused:
        chain._node.request("eth_mining")
    assert refused.value.rpc_code == -32_601


@pytest.mark.parametrize("address", ["", "0x", "0x12", "0xzz", "0x" + "11" * 21])
def test_what_is_no_address_is_refused(settings: Settings, address: str) -> None:
    """A malformed argument is an error of the node, as elsewhere."""
    with chain_at(settings) as chain, pytest.raises(RpcError, match="invalid argument"):
        chain.code(address)


def test_a_legacy_transaction_is_mined(settings: Settings) -> None:
    """Fees of chains without EIP-1559 are signed as the old type and taken."""
    with chain_at(settings) as chain:
        assert (
            transact(chain, OTHER, value_wei=1, fees=Fees(3 * 10**9, None)).effective_gas_price_wei
            == 3 * 10**9
        )


# Execution


def test_a_failed_transaction_tells_why(settings: Settings) -> None:
    """It is mined with status 0 and its fee; executing it again finds the reason."""
    panic = bytes.fromhex("4e487b71") + bytes(31) + b"\x11"
    with chain_at(settings) as chain:
        address = deploy(chain, REVERT)
        with pytest.raises(Reverted, match="overflow"):
            chain.estimate_gas(KEY.address, address, panic)
        receipt = transact(chain, address, panic, gas=100_000)
        assert not receipt.status
        assert chain.revert_reason(receipt).message == "The contract panicked: arithmetic overflow (0x11)."


def test_a_transaction_that_ran_out_of_gas_says_so(settings: Settings) -> None:
    """No revert data, all gas used: the reason is the gas."""
    with chain_at(settings) as chain:
        address = deploy(chain, STORE)
        receipt = transact(chain, address, (1).to_bytes(32, "big"), gas=25_000)
        assert not receipt.status
        assert "ran out of its 25,000 gas" in chain.revert_reason(receipt).message


def test_work_beyond_one_transaction_is_told_from_a_revert(settings: Settings) -> None:
    """An estimate at the cap that runs dry is GasTooHigh."""
    with chain_at(settings) as chain, pytest.raises(GasTooHigh):
        chain.estimate_gas(KEY.address, deploy(chain, "0x62ffffff" + "5f20" + LOOP[2:]), b"\x01")


def test_estimates_and_calls_change_nothing(settings: Settings) -> None:
    """A storage write in an estimate or a call is forgotten."""
    with chain_at(settings) as chain:
        address = deploy(chain, STORE)
        data = (5).to_bytes(32, "big")
        first = chain.estimate_gas(KEY.address, address, data)
        chain.call(address, data)
        assert chain.estimate_gas(KEY.address, address, data) == first
        assert transact(chain, address, data).gas_used == first
        # The slot is warm and set now: a second write of the same value costs less.
        assert chain.estimate_gas(KEY.address, address, data) < first


def test_an_answer_of_another_contract_is_recognised(settings: Settings) -> None:
    """A view on an address without code is refused instead of decoded."""
    with chain_at(settings) as chain, pytest.raises(WrongChain, match="not a CollaborativeTrainer"):
        chain.view("CollaborativeTrainer", OTHER, "quote", 1)


def test_negative_time_is_refused(settings: Settings) -> None:
    """Time cannot be turned back."""
    with chain_at(settings) as chain, pytest.raises(UsageError, match="forwards"):
        chain.advance(-5)


# Durability


WRITER = """
import sys
from pathlib import Path
from typing import Any
from eth_account import Account
from dcai_cli.chain import open_chain
from dcai_cli.config import Settings
folder = Path(sys.argv[1])
key = Account.from_key("0x" + "11" * 32)
with open_chain(Settings(folder, folder, folder)) as chain:
    chain.fund_if_new(key.address)
    while True:
        signed = chain.sign(key, to="0x" + "22" * 20, data=b"", value_wei=1,
                            nonce=chain.next_nonce(key.address), gas=21_000, fees=chain.fees())
        print(chain.send(signed.raw), flush=True)
"""


def test_a_killed_process_leaves_whole_blocks(settings: Settings) -> None:
    """After SIGKILL while it writes, every answered transaction is there, and the state fits the head."""
    answered: list[str] = []
    for lines in (1, 4, 9):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(settings.data_dir)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        ) as writer:
            assert writer.stdout is not None
            answered += [writer.stdout.readline().strip() for _ in range(lines)]
            writer.kill()
    with open_chain(settings) as chain:
        sent = chain.mined_nonce(KEY.address)
        assert sent >= len(answered) == 14
        assert chain.balance_wei(OTHER) == sent
        assert chain.block_number() == sent + 1
        for transaction_hash in answered:
            receipt = chain.receipt(transaction_hash)
            assert receipt is not None
            assert receipt.status
        assert transact(chain, OTHER, value_wei=1).status


def test_a_large_chain_is_read_key_by_key(settings: Settings) -> None:
    """Keys are read when they are needed: 50,000 of them do not slow the start."""
    with chain_at(settings):
        pass
    with closing(sqlite3.connect(settings.devnet_path)) as database, database:
        rows = ((f"ballast-{number}".encode(), bytes(200)) for number in range(50_000))
        database.executemany("INSERT INTO node VALUES (?, ?)", rows)
    with closing(Store(settings.devnet_path)) as store:
        node = EmbeddedNode(store, lambda: NOW)
        assert int(node.request("eth_getBalance", KEY.address, "latest"), 16) == FUNDS_WEI
        assert node.request("eth_call", {"to": KEY.address}) == "0x"
        assert 0 < len(store._cache) < 100


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_what_is_read_is_what_py_evm_reads(settings: Settings) -> None:
    """Headers, accounts and logs of every block, with transactions of both forms and one that fails."""
    with chain_at(settings) as chain:
        shouting, failing = deploy(chain, SHOUT), deploy(chain, REVERT)
        transact(chain, shouting, value_wei=7)
        transact(chain, failing, gas=100_000)
        transact(chain, shouting, fees=Fees(3 * 10**9, None))
        chain.advance(100)
    addresses = [bytes.fromhex(address[2:]) for address in (KEY.address, shouting, failing, OTHER)]
    with closing(Store(settings.devnet_path)) as store:
        read, machine = Blocks(store), EmbeddedChain(AtomicDB(store))
        assert read.head() == read.header(hex(machine.get_canonical_head().block_number))
        for number in range(read.head().number + 1):
            header, theirs = read.header(hex(number)), machine.get_canonical_block_header_by_number(number)
            assert astuple(header) == (
                theirs.hash,
                theirs.parent_hash,
                theirs.state_root,
                theirs.transaction_root,
                theirs.receipt_root,
                theirs.bloom,
                theirs.block_number,
                theirs.gas_limit,
                theirs.gas_used,
                theirs.timestamp,
                theirs.base_fee_per_gas,
                rlp.encode(theirs),
            )
            state = machine.get_vm(theirs).state
            for address in addresses:
                account = state.get_nonce(address), state.get_balance(address), state.get_code(address)
                assert astuple(read.account(header, address)) == account
            logs = [
                (transaction.hash, index, log.address, tuple(map(_word, log.topics)), log.data)
                for transaction in machine.get_canonical_block_by_number(number).transactions
                for index, log in enumerate(machine.get_transaction_receipt(transaction.hash).logs)
            ]
            assert [astuple(log) for log in read.logs(header)] == logs
        shouted = [
            number for number in range(read.head().number + 1) if [*read.logs(read.header(hex(number)))]
        ]
        assert len(shouted) == 2


def test_what_is_there_is_read_without_the_machine(settings: Settings) -> None:
    """Blocks, balances, code and logs need no py-evm, which takes long to import; a call brings it in."""
    with chain_at(settings) as chain:
        address = deploy(chain, SHOUT)
        transact(chain, address)
    program = """
import sys
from pathlib import Path
from dcai_cli.chain import open_chain
from dcai_cli.config import Settings

folder = Path(sys.argv[1])
with open_chain(Settings(folder, folder, folder)) as chain:
    assert chain.block_number() == 3
    assert chain.balance_wei(sys.argv[2]) == 0
    assert chain.code(sys.argv[2])
    query = {"fromBlock": "0x0", "toBlock": "latest", "topics": []}
    assert len(chain._node.request("eth_getLogs", query)) == 1
    assert not {"eth", "eth_utils"} & set(sys.modules)
    chain.call(sys.argv[2], b"")
    assert "eth" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, settings.data_dir, address], check=True, cwd=PROJECT)


def test_a_block_adds_only_what_is_new(settings: Settings) -> None:
    """The store is appended to: a block's rows do not grow with the chain's length."""
    with chain_at(settings) as chain:
        sizes = []
        for _ in range(12):
            transact(chain, OTHER, value_wei=1)
            database = sqlite3.connect(settings.devnet_path)
            sizes.append(database.execute("SELECT count(*) FROM node").fetchone()[0])
            database.close()
    grown = [after - before for before, after in pairwise(sizes)]
    assert max(grown) <= 20


def test_a_closed_chain_is_forgotten(settings: Settings) -> None:
    """A daemon opens the chain again and again: no cache of the library keeps a closed one in memory."""
    gc.collect()
    before = sum(type(found) is Store for found in gc.get_objects())
    for number in range(3):
        with chain_at(settings, NOW + number) as chain:
            assert transact(chain, OTHER, value_wei=1).status
    del chain
    gc.collect()
    assert sum(type(found) is Store for found in gc.get_objects()) == before
