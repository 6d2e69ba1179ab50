"""Nodes' answers as values; an answer of another shape is an error of the node, never a fault of ours."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from dcai_cli.chain import abi
from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.records import Block, Event, Receipt
from dcai_cli.hashing import checksummed

_QUANTITY = re.compile("0x[0-9a-fA-F]{1,64}")
_MOST = 2**63 - 1
"""Counts and numbers of blocks are smaller on any chain, and the ledger holds no larger ones."""

_LAST_TIME = 253_402_300_799
"""The last second of the year 9999."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _understood(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn whatever a strange answer breaks into RpcError."""

    @wraps(read)
    def careful(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return read(*args, **kwargs)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise RpcError(f"The node's answer cannot be understood: {reprlib.repr(args[0]):.80}") from None

    return careful


@_understood
def to_number(answer: Any) -> int:  # noqa: ANN401 - JSON; so below
    """A quantity of up to 256 bits."""
    return _number(answer)


@_understood
def to_count(answer: Any) -> int:  # noqa: ANN401
    """A quantity that counts something: blocks, transactions, the number of a chain."""
    return _number(answer, _MOST)


@_understood
def to_time(answer: Any) -> int:  # noqa: ANN401
    """Seconds since 1970, before the year 10000."""
    return _number(answer, _LAST_TIME)


@_understood
def to_data(answer: Any) -> bytes:  # noqa: ANN401
    """Bytes."""
    return bytes.fromhex(answer.removeprefix("0x"))


@_understood
def to_hash(answer: Any) -> str:  # noqa: ANN401
    """32 bytes, written in lower case."""
    data = to_data(answer)
    if len(data) != 32:
        raise ValueError
    return f"0x{data.hex()}"


@_understood
def to_block(answer: Any) -> Block:  # noqa: ANN401
    """A block."""
    return Block(
        number=_number(answer["number"], _MOST),
        hash=to_hash(answer["hash"]),
        parent_hash=to_hash(answer["parentHash"]),
        timestamp=_number(answer["timestamp"], _LAST_TIME),
    )


@_understood
def to_form(answer: Any, *numbers: str) -> dict[str, Any]:  # noqa: ANN401
    """An object, in which these members are quantities."""
    return {**answer, **{name: _number(answer[name]) for name in numbers}}


@_understood
def to_list(answer: Any) -> list[Any]:  # noqa: ANN401
    """A list of objects."""
    return [to_form(member) for member in answer]


@_understood
def to_receipt(answer: Any) -> Receipt:  # noqa: ANN401
    """The receipt of a mined transaction."""
    created = answer.get("contractAddress")
    return Receipt(
        hash=to_hash(answer["transactionHash"]),
        status=_number(answer["status"]) == 1,
        block_number=_number(answer["blockNumber"], _MOST),
        block_hash=to_hash(answer["blockHash"]),
        gas_used=_number(answer["gasUsed"], _MOST),
        effective_gas_price_wei=_number(answer.get("effectiveGasPrice") or "0x0"),
        contract_address=None if created is None else to_checksum(created),
        logs=tuple(dict(log) for log in answer["logs"]),
        # The OP stack's name for it.
        data_fee_wei=_number(answer.get("l1Fee") or "0x0"),
    )


@_understood
def to_event(log: Any, known: Mapping[bytes, abi.Entry], *, trusted: bool = True) -> Event | None:  # noqa: ANN401
    """A decoded log; None if it was removed, or is no event that is known.

    Args:
        log: as the node sent it.
        known: events by their first topic.
        trusted: whether a contract that we know emitted it. Any other can emit the same kind with anything
            in it, so its arguments are not read.
    """
    topics = [to_data(topic) for topic in log["topics"]]
    entry = known.get(topics[0]) if topics else None
    if entry is None or log.get("removed"):
        return None
    return Event(
        name=entry["name"],
        address=to_checksum(log["address"]),
        args=abi.decode_event(entry, topics, to_data(log["data"])) if trusted else {},
        block_number=_number(log["blockNumber"], _MOST),
        block_hash=to_hash(log["blockHash"]),
        transaction_hash=to_hash(log["transactionHash"]),
        log_index=_number(log["logIndex"], _MOST),
    )


def _number(answer: Any, most: int = 2**256 - 1) -> int:  # noqa: ANN401
    """A quantity as the specification writes it: no sign, no blanks, nothing that is not 0x and digits."""
    if not _QUANTITY.fullmatch(answer) or (number := int(answer, 16)) > most:
        raise ValueError
    return number


def to_checksum(address: str) -> str:
    """An address with its EIP-55 checksum.

    Raises:
        ValueError: it is none.
    """
    return checksummed(address)
