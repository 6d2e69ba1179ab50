"""The embedded chain's machine: fast opcodes mean what py-evm's mean, and the gas needed is exact."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from eth.db.atomic import AtomicDB
from eth.vm import opcode_values as op
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.message import Message
from eth.vm.transaction_context import BaseTransactionContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dcai_cli.chain.embedded import EmbeddedNode
from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.evm import EmbeddedChain, MeasuringComputation, least_gas
from dcai_cli.chain.fastops import accelerate
from dcai_cli.chain.store import Store

FAST = [
    number
    for number, opcode in MeasuringComputation.opcodes.items()
    if opcode is not PragueComputation.opcodes[number]
]
# Opcodes beside them that leave the state alone, so that two runs see the same.
PURE = [
    op.SDIV,
    op.BYTE,
    op.SAR,
    op.CALLDATALOAD,
    op.MSTORE8,
    op.MSIZE,
    op.PC,
    op.GAS,
    op.PUSH0,
    op.STOP,
    0xFE,
]
PUSHES = range(op.PUSH1, op.PUSH32 + 1)
ADDRESS = b"\x11" * 20


class SlowComputation(MeasuringComputation):
    """The same machine with py-evm's own opcodes."""

    opcodes = PragueComputation.opcodes


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedChain]:
    """A chain with nothing on it."""
    with closing(Store(tmp_path_factory.mktemp("evm") / "chain.sqlite")) as store:
        EmbeddedNode(store, lambda: 0)
        yield EmbeddedChain(AtomicDB(store))


def run(machine: type[MeasuringComputation], chain: EmbeddedChain, code: bytes, gas: int) -> tuple[Any, ...]:
    """Everything that can be seen of an execution."""
    message = Message(gas=gas, to=ADDRESS, sender=ADDRESS, value=0, data=bytes(range(1, 41)), code=code)
    done = machine.apply_computation(chain.get_vm().state, message, BaseTransactionContext(1, ADDRESS))
    stack = [item if isinstance(item, int) else int.from_bytes(item, "big") for item in done._stack.values]
    failure = type(done._error).__name__ if done.is_error else ""
    return (
        failure,
        done._gas_meter.gas_remaining,
        stack,
        bytes(done._memory._bytes),
        done.code.program_counter,
    )


def instruction(number: int, operand: bytes) -> bytes:
    """An opcode, with its operand if it takes one."""
    return bytes([number]) + (operand[: number - op.PUSH1 + 1] if number in PUSHES else b"")


# Small operands hit memory and jump destinations; large ones overflow.
operands = st.one_of(
    st.integers(0, 90).map(lambda number: bytes([number]) + bytes(31)),
    st.integers(0, 90).map(lambda number: number.to_bytes(32, "big")),
    st.just(b"\xff" * 32),
    st.binary(min_size=32, max_size=32),
)
weighted = st.one_of(st.sampled_from([op.PUSH1, op.JUMPDEST, op.PUSH32]), st.sampled_from(FAST + PURE))
programs = st.lists(st.builds(instruction, weighted, operands), max_size=40).map(b"".join)
loops = st.tuples(programs, st.sampled_from([b"\x5f\x56", b"\x60\x01\x5f\x57"])).map(
    lambda parts: b"\x5b" + b"".join(parts)
)


scrambled = st.lists(st.sampled_from(FAST + PURE), max_size=60).map(bytes)


@given(code=st.one_of(programs, loops, scrambled), gas=st.integers(0, 3_000))
@example(code=b"\x60", gas=100)
@example(code=b"\x5f" * 1025, gas=10_000)
@example(code=b"\x60\x01" * 1025, gas=10_000)
@example(code=b"\x5f" * 1024 + b"\x80", gas=10_000)
@example(code=b"\x60\x03\x56\x5b\x60\x03\x56", gas=500)
@example(code=b"\x60\x04\x56\x60\x5b", gas=500)
@settings(max_examples=800, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_fast_opcodes_mean_what_py_evms_mean(chain: EmbeddedChain, code: bytes, gas: int) -> None:
    """Stack, memory, gas left, program counter and error are the same after any program, cut off anywhere."""
    assert run(MeasuringComputation, chain, code, gas) == run(SlowComputation, chain, code, gas)


def test_every_frequent_opcode_is_accelerated() -> None:
    """All pushes, dups and swaps, jumps, memory words and plain arithmetic have a fast path."""
    assert {op.PUSH1, op.PUSH32, op.DUP1, op.DUP16, op.SWAP1, op.SWAP16, op.JUMPI, op.MLOAD, op.ADD} <= set(
        FAST
    )
    assert accelerate(PragueComputation.opcodes).keys() == PragueComputation.opcodes.keys()


@pytest.mark.parametrize(
    ("data", "least"),
    [(b"", 21_000), (b"\x00", 21_010), (b"\x01", 21_040), (b"\x00\x01" * 3, 21_150)],
)
def test_the_least_gas_is_the_floor_of_the_calldata(data: bytes, least: int) -> None:
    """EIP-7623: 10 gas for a zero byte and 40 for another one, or the intrinsic gas if that is more."""
    assert least_gas(data, 21_000) == least
    assert least_gas(data, 50_000) == 50_000


def call_code(target: int, value: int = 0) -> bytes:
    """Code that calls an address with all the gas it may, and reverts if that fails."""
    arguments = f"5f5f5f5f60{value:02x}61{target:04x}5af1"
    return bytes.fromhex(arguments + "60" + f"{len(arguments) // 2 + 6:02x}" + "575f5ffd5b")


def spend_code(rounds: int) -> bytes:
    """Code that spends about 30 gas for each round, then stops."""
    return bytes.fromhex(f"61{rounds:04x}5b60019003806003575000")


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("depth", [0, 1, 2, 5])
@pytest.mark.parametrize("rounds", [1, 500, 20_000])
def test_the_gas_needed_is_the_least_that_is_enough(
    tmp_path: Path, depth: int, rounds: int, value: int
) -> None:
    """Through nested calls, with and without a value, the estimate succeeds and one less fails."""
    with closing(Store(tmp_path / "chain.sqlite")) as store:
        node = EmbeddedNode(store, lambda: 1_800_000_000)
        sender = "0x" + "22" * 20
        node.fund(sender)
        # Calls run on the state of the head: put the contracts there.
        chain = node._executor._chain
        head = chain.get_canonical_head()
        state = chain.get_vm(head).state
        for level in range(depth):
            state.set_code(_address(level), call_code(0x1000 + level + 1, value) + b"\x00")
            state.set_balance(_address(level), 100)
        state.set_code(_address(depth), spend_code(rounds))
        state.persist()
        header = chain.create_header_from_parent(head).copy(state_root=state.state_root)

        def succeeds(gas: int) -> tuple[bool, int]:
            done, intrinsic = chain.execute_free(
                header, sender=bytes.fromhex("22" * 20), to=_address(0), data=b"", value_wei=0, gas=gas
            )
            return not done.is_error, intrinsic + done.gas_needed

        enough, needed = succeeds(10_000_000)
        assert enough
        assert succeeds(needed)[0]
        assert not succeeds(needed - 1)[0]


def _address(level: int) -> bytes:
    return (0x1000 + level).to_bytes(20, "big")


def test_running_out_of_gas_deep_inside_is_told_from_a_revert(tmp_path: Path) -> None:
    """A contract that passes on the failure of a call hides the cause; the machine remembers it."""
    with closing(Store(tmp_path / "chain.sqlite")) as store:
        node = EmbeddedNode(store, lambda: 1_800_000_000)
        endless = bytes.fromhex("5b5f56")
        with pytest.raises(RpcError, match="out of gas"):
            node.request("eth_estimateGas", {"data": f"0x{endless.hex()}", "gas": hex(100_000)})
        with pytest.raises(RpcError, match="execution reverted"):
            node.request("eth_estimateGas", {"data": "0x5f5ffd", "gas": hex(100_000)})


def test_curves_are_imported_when_a_contract_first_calls_them(tmp_path: Path) -> None:
    """Opening the chain loads none of their tables; the stand-ins answer as EIP-196, 197 and 2537 say."""
    program = """
import sys
from dcai_cli.chain import open_chain
from dcai_cli.config import load_settings

X = "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
Y = "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
bls = "".join(part.rjust(128, "0") for part in (X, Y))
one, two = (f"{number:064x}" for number in (1, 2))
bn = one + two  # the generator of the other curve
doubled = (
    "030644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd3"
    "15ed738c0e0a7c92e7845f96b2ae9c0a68a6a449e3538fc7ff3ebf7a5a18a2c4"
)
with open_chain(load_settings({"DCAI_HOME": sys.argv[1]})) as chain:
    def call(number, data):
        to = "0x" + f"{number:040x}"
        return chain._node.request("eth_call", {"to": to, "data": "0x" + data}, "latest")

    assert not any(name.startswith("py_ecc.") for name in sys.modules)
    assert call(6, bn + bn) == "0x" + doubled
    assert call(7, bn + two) == "0x" + doubled
    assert call(8, "") == "0x" + one
    assert call(11, bls + "0" * 256) == "0x" + bls
    assert any(name.startswith("py_ecc.bls") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
