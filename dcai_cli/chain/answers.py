"""Nodes' answers as values; an answer of another shape is an error of the node, never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from dcai_cli.chain import abi
from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.records import Event, Receipt

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _understood(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn whatever a strange answer breaks into RpcError."""

    @wraps(read)
    def careful(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return read(*args, **kwargs)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise RpcError(f"The node's answer cannot be understood: {args[0]!r:.80}") from None

    return careful


@_understood
def to_number(answer: Any) -> int:  # noqa: ANN401 - JSON; so below
    """A quantity."""
    return int(answer, 16)


@_understood
def to_data(answer: Any) -> bytes:  # noqa: ANN401
    """Bytes."""
    return bytes.fromhex(answer.removeprefix("0x"))


@_understood
def to_form(answer: Any, *numbers: str) -> dict[str, Any]:  # noqa: ANN401
    """An object, in which these members are quantities."""
    return {**answer, **{name: int(answer[name], 16) for name in numbers}}


@_understood
def to_list(answer: Any) -> list[Any]:  # noqa: ANN401
    """A list of objects."""
    return [to_form(member) for member in answer]


@_understood
def to_receipt(answer: Any) -> Receipt:  # noqa: ANN401
    """The receipt of a mined transaction."""
    created = answer.get("contractAddress")
    return Receipt(
        hash=answer["transactionHash"],
        status=int(answer["status"], 16) == 1,
        block_number=int(answer["blockNumber"], 16),
        block_hash=answer["blockHash"],
        gas_used=int(answer["gasUsed"], 16),
        effective_gas_price_wei=int(answer.get("effectiveGasPrice") or "0x0", 16),
        contract_address=None if created is None else to_checksum(created),
        logs=tuple(dict(log) for log in answer["logs"]),
        # The OP stack's name for it.
        data_fee_wei=int(answer.get("l1Fee") or "0x0", 16),
    )


@_understood
def to_event(log: Any, known: Mapping[bytes, abi.Entry]) -> Event | None:  # noqa: ANN401
    """A decoded log; None if it was removed, or is no event that is known.

    Args:
        log: as the node sent it.
        known: events by their first topic.
    """
    topics = [to_data(topic) for topic in log["topics"]]
    entry = known.get(topics[0]) if topics else None
    if entry is None or log.get("removed"):
        return None
    return Event(
        name=entry["name"],
        address=to_checksum(log["address"]),
        args=abi.decode_event(entry, topics, to_data(log["data"])),
        block_number=int(log["blockNumber"], 16),
        transaction_hash=log["transactionHash"],
        log_index=int(log["logIndex"], 16),
    )


def to_checksum(address: str) -> str:
    """An address with its EIP-55 checksum.

    Raises:
        ValueError: it is none.
    """
    from eth_utils.address import to_checksum_address

    return to_checksum_address(address)
