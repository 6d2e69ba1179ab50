"""What a layer 2 charges for a transaction's data, which it must write on layer 1.

Networks of the OP stack take a fee on top of gas, which a contract at a fixed address knows: by FastLZ it
guesses how well the bytes compress, and multiplies with the prices of layer 1. Arbitrum adds the same cost to
the gas that a transaction uses, so that `eth_estimateGas` has it already, and gas limits may be far above the
usual.

Sources: the OP stack's specification (GasPriceOracle, Fjord to Jovian); Arbitrum's documentation (gas and
fees, NodeInterface), and its ArbOS 51: 32 million gas of execution a transaction, data not included.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any

from dcai_cli.chain import abi
from dcai_cli.chain.errors import GasTooHigh, RpcError
from dcai_cli.chain.fees import MOST_WEI
from dcai_cli.errors import Reverted

if TYPE_CHECKING:
    from dcai_cli.chain.client import Chain

ARBITRUM_MOST_GAS = 10**9
"""Gas that a transaction on Arbitrum offers at most, its data's included; only what it uses is paid."""

GAS_PRICE_ORACLE = "0x420000000000000000000000000000000000000F"
ARB_SYS = "0x0000000000000000000000000000000000000064"
NODE_INTERFACE = "0x00000000000000000000000000000000000000C8"

_ORACLE_DECIMALS = 6
_RISE_PERCENT = 25
_GAS_OF_A_BYTE = 40
_ZERO_ADDRESS = "0x" + "00" * 20


class Layer2(Enum):
    """Networks that charge for data, by how they do it."""

    OP_STACK = "op-stack"
    ARBITRUM = "arbitrum"


def detect(chain: Chain) -> Layer2 | None:
    """Which kind of layer 2 a chain is, by the contracts that only such a chain has.

    Raises:
        RpcError: the node cannot say it now.
    """
    if chain.code(ARB_SYS) and _number(chain, ARB_SYS, "arbChainID") == chain.chain_id:
        return Layer2.ARBITRUM
    if chain.code(GAS_PRICE_ORACLE) and _number(chain, GAS_PRICE_ORACLE, "decimals") == _ORACLE_DECIMALS:
        return Layer2.OP_STACK
    return None


def data_fee_wei(chain: Chain, raw_or_size: bytes | int, gas: int = 0) -> int:
    """What a network of the OP stack charges for data: see `Chain.data_fee_wei`."""
    size = raw_or_size if isinstance(raw_or_size, int) else len(raw_or_size)
    fee = None
    if isinstance(raw_or_size, bytes):
        # Compressing takes the oracle some hundred gas a byte; nodes that cap calls refuse it in many words.
        with suppress(RpcError):
            fee = _oracle(chain, "getL1Fee", raw_or_size, size)
    if fee is None:
        fee = _most_data_fee_wei(chain, size)
    return fee + (_operator_fee_wei(chain, gas) if gas else 0)


def data_gas(chain: Chain, to: str | None, data: bytes) -> int:
    """The part of a transaction's gas on Arbitrum that its data takes.

    Raises:
        RpcError: the node does not say it.
    """
    answer = chain.call(
        NODE_INTERFACE, _encode("gasEstimateL1Component", to or _ZERO_ADDRESS, to is None, data)
    )
    gas = int.from_bytes(answer[:32])
    if len(answer) != 3 * 32 or gas > ARBITRUM_MOST_GAS:
        raise _nonsense("gasEstimateL1Component", answer)
    return gas


def _most_data_fee_wei(chain: Chain, size: int) -> int:
    """The most that so many bytes cost, while layer 1 may raise its prices by an eighth a block."""
    # The oracle's bound allows for one byte in 255 that FastLZ adds. That holds for most data; but where
    # nothing can be compressed, each 32 bytes take one more, and vectors or hashed words are nearly random.
    fee = _oracle(chain, "getL1FeeUpperBound", size + size // 32 + 1, size)
    if fee is None:  # before Fjord: bytes were counted, and those that are not zero are dearest
        fee = _oracle(chain, "getL1Fee", b"\xff" * size, size)
    if fee is None:
        raise RpcError(f"The oracle of data fees on {chain.url_label} refuses to answer.")
    return -(-fee * (100 + _RISE_PERCENT) // 100)


def _operator_fee_wei(chain: Chain, gas: int) -> int:
    """What the operator takes for gas; nothing before Isthmus, when the oracle does not know the question."""
    return _oracle(chain, "getOperatorFee", gas, gas) or 0


def _oracle(chain: Chain, function: str, value: object, units: int) -> int | None:
    """Ask the oracle; None if it refuses.

    Args:
        chain: the network.
        function: what to ask.
        value: about what.
        units: bytes or gas; a fee of more than all of them can cost is an error of the node.
    """
    try:
        answer = chain.call(GAS_PRICE_ORACLE, _encode(function, value))
    except (Reverted, GasTooHigh):
        return None
    fee = int.from_bytes(answer)
    if len(answer) != 32 or fee > (units + 1_000) * _GAS_OF_A_BYTE * MOST_WEI:
        raise _nonsense(function, answer)
    return fee


def _number(chain: Chain, address: str, function: str) -> int | None:
    """What a function without arguments answers; None if it is no number."""
    try:
        answer = chain.call(address, _encode(function))
    except Reverted:
        return None
    return int.from_bytes(answer) if len(answer) == 32 else None


_INPUTS = {
    "arbChainID": (),
    "decimals": (),
    "getL1Fee": ("bytes",),
    "getL1FeeUpperBound": ("uint256",),
    "getOperatorFee": ("uint256",),
    "gasEstimateL1Component": ("address", "bool", "bytes"),
}


def _encode(function: str, *values: object) -> bytes:
    inputs = [{"type": name} for name in _INPUTS[function]]
    entry: dict[str, Any] = {"name": function, "inputs": inputs}
    return abi.selector(entry) + abi.encode(inputs, values)


def _nonsense(function: str, answer: bytes) -> RpcError:
    return RpcError(
        f"The answer to {function} makes no sense: 0x{answer[:40].hex()} ({len(answer)} bytes).",
        hint="Use another node.",
    )
