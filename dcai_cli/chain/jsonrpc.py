"""JSON-RPC itself: how a request is written, and which answer belongs to it.

What comes back for a request is a value and never an exception: its result, an `RpcError` that is the node's
answer, or a `Trouble` after which the same request may be asked again. So nothing is raised while a library's
exception, which may hold a URL, is being handled, and no traceback can show one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.providers import TOO_LARGE, is_busy
from dcai_cli.chain.reverts import revert_data

MANY = 6
FEW = 3
TWICE = 2
ONCE = 1

_NO_METHOD = -32_601
_SHOWN = 300
_DEEPEST = 100
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Args:
        id: tells its answer from all others.
        method: what is asked for.
        params: the arguments, as JSON values.
    """

    id: int
    method: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer; no secrets.

    Args:
        why: what went wrong.
        tries: how often in all it makes sense to ask this node.
        wait_s: how long the node wants to be left alone; 0 if it does not say.
    """

    why: str
    tries: int
    wait_s: float = 0.0


Outcome: TypeAlias = Any
"""A result, `RpcError` or `Trouble`."""

CUT = Trouble("the connection was cut", MANY)
REFUSED = Trouble("the connection failed", FEW)
NOT_JSON = Trouble("the answer is not JSON", FEW)
NOT_RPC = Trouble("the answer is not JSON-RPC", FEW)
MIXED_UP = Trouble("the answer belongs to another request", MANY)


class Transport(Protocol):
    """One way to one node; asks once, and leaves patience to others."""

    label: str

    def exchange(self, calls: Sequence[Call]) -> list[Outcome]:
        """Ask, in one message; what came back for each of the calls."""

    def close(self) -> None:
        """End the connection."""


def silent(timeout_s: float) -> Trouble:
    """Nothing came in time."""
    return Trouble(f"no answer within {timeout_s:g} seconds", TWICE)


def too_large(most: int) -> RpcError:
    """The node sent more bytes than any question of ours asks for."""
    return RpcError(f"the answer is larger than {most:,} bytes", rpc_code=TOO_LARGE)


def encode(calls: Sequence[Call]) -> bytes:
    """The message that asks for one thing, or for several at once.

    >>> encode([Call(7, "eth_chainId", ())])
    b'{"jsonrpc":"2.0","id":7,"method":"eth_chainId","params":[]}'
    """
    forms = [
        {"jsonrpc": "2.0", "id": call.id, "method": call.method, "params": list(call.params)}
        for call in calls
    ]
    return json.dumps(forms[0] if len(forms) == 1 else forms, separators=(",", ":")).encode()


def decode(body: bytes | str) -> Any:  # noqa: ANN401 - JSON
    """The JSON value in a body; `NOT_JSON` for a page or a maze, `CUT` for what begins as JSON."""
    data = body.encode(errors="replace") if isinstance(body, str) else body
    if _too_deep(data):
        return NOT_JSON
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return CUT if data.lstrip()[:1] == b"{" else NOT_JSON


def _too_deep(data: bytes) -> bool:
    """Whether brackets stand in each other deeper than in any answer.

    json would find out by recursion, and end the process where py-evm has raised the limit of that.

    >>> _too_deep(b"[" * 101), _too_deep(b'["' + b"[" * 101 + b'"]'), _too_deep(b"[]" * 101)
    (True, False, False)
    """
    if data.count(b"[") + data.count(b"{") <= _DEEPEST:
        return False
    depth = 0
    for token in _TOKENS.finditer(data):
        kind = data[token.start()]
        depth += (kind in b"[{") - (kind in b"]}")
        if depth > _DEEPEST:
            return True
    return False


def outcomes(calls: Sequence[Call], answer: object, hide: Callable[[str], str]) -> list[Outcome]:
    """What an answer says about each of the calls.

    Args:
        calls: what was asked for, in one message.
        answer: the JSON value that came, or a `Trouble`.
        hide: takes the secrets out of what a node says.
    """
    if isinstance(answer, list) and len(calls) > 1:
        by_id: dict[int, list[Mapping[str, Any]]] = {}
        for member in answer:
            number = member.get("id") if isinstance(member, Mapping) else None
            if type(number) is int:
                by_id.setdefault(number, []).append(member)
        return [_one_of(call, by_id.get(call.id, []), hide) for call in calls]
    found = _outcome(calls[0], answer, hide)
    if len(calls) > 1 and not isinstance(found, RpcError | Trouble):
        found = NOT_RPC
    return [found] * len(calls)


def refusal_of_batch(calls: Sequence[Call], answer: object, hide: Callable[[str], str]) -> RpcError | None:
    """Why a node does not take so many requests in one message; None if it took them, or is busy."""
    if len(calls) == 1 or not isinstance(answer, Mapping) or answer.get("error") is None:
        return None
    said = as_rpc_error(answer["error"], hide)
    # "Too many requests in a batch" is no matter of time.
    return None if is_busy(said, "") and "batch" not in said.message.lower() else said


def _one_of(call: Call, members: list[Mapping[str, Any]], hide: Callable[[str], str]) -> Outcome:
    if not members or any(member != members[0] for member in members):
        return MIXED_UP
    return _outcome(call, members[0], hide)


def _outcome(call: Call, answer: object, hide: Callable[[str], str]) -> Outcome:
    if isinstance(answer, Trouble):
        return answer
    if not isinstance(answer, Mapping):
        return NOT_RPC
    error = answer.get("error")
    if error is None and "result" not in answer:
        return NOT_RPC
    number = answer.get("id")
    # A node that could not even read the request answers with an error that has no id.
    if not (type(number) is int and number == call.id) and not (error is not None and number is None):
        return MIXED_UP
    if error is None:
        return answer["result"]
    said = as_rpc_error(error, hide)
    return Trouble(f"it is busy: {said.message}", MANY) if is_busy(said, call.method) else said


def as_rpc_error(error: object, hide: Callable[[str], str]) -> RpcError:
    """The member `error` of an answer, as an error of ours."""
    if not isinstance(error, Mapping):
        error = {"message": error}
    code = error.get("code")
    data = error.get("data")
    said = str(error.get("message", "an error without a message"))
    if isinstance(data, Mapping) and isinstance(data.get("payload"), str):
        said = f"{said}: {data['payload']}"
    try:
        reverted = revert_data(error)
    except RecursionError:
        reverted = None
    return RpcError(
        printable(hide(said)),
        hint="Ask a node that has this method: --rpc-url URL" if code == _NO_METHOD else "",
        rpc_code=code if type(code) is int else 0,
        data=reverted,
    )


def printable(text: str) -> str:
    """The beginning of a text in which nothing steers a terminal, nor breaks a file.

    >>> printable("a" + chr(27) + "[2J" + chr(0xd800))
    'a?[2J?'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])
