"""Nodes behind URLs: a request goes to the first that works, with patience, but not without end."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.http import USUAL, HttpTransport, Limits
from dcai_cli.chain.jsonrpc import ONCE, Call, Outcome, Transport, Trouble
from dcai_cli.config import host_of, is_http
from dcai_cli.errors import RpcUnreachable, WrongChain

_log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 4.0
_WORTH_WAITING_S = 2.0
"""A node that wants to be left alone for longer is left for the next one, where there is one."""

_REST_S = 30.0
_LONGEST_REST_S = 600.0
_PATIENCE_S = 90.0
"""No request takes longer than this and one more attempt."""


@dataclass(slots=True)
class _Seat:
    """A node, and how it behaved."""

    transport: Transport
    place: int
    failures: int = 0
    rests_until: float = 0.0
    checked: bool = False
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class _Identity:
    """What all nodes of a chain have in common."""

    chain_id: int
    genesis: bytes


class RemoteNode:
    """The nodes at one or more URLs, as one.

    A node that refuses the connection, is silent, busy or broken is asked again after a while that doubles,
    then the next one is; who failed is tried last for some time. Every method that is used here can be
    repeated: a transaction that is sent twice is the same one. What is an answer, such as a revert, is not
    asked for again.

    With several URLs, each node shows chain id and genesis block before it is used; one of another chain than
    the first is passed over.

    Args:
        urls: in order of preference; they may hold secrets.
        headers: sent to all of them; may hold secrets.
        hint: what to look at if none answers.
        sleep: waits some seconds between attempts.
        clock: seconds.
        rng: spreads the waits of many clients, and numbers the requests.
        limits: how long one attempt may take, and how large an answer may be.

    Raises:
        UsageError: a URL is none.
    """

    def __init__(
        self,
        urls: Sequence[str],
        headers: Mapping[str, str],
        *,
        hint: str = "Check the URL, and that the node runs.",
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        limits: Limits = USUAL,
    ) -> None:
        self._hint = hint
        self._sleep = sleep
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - no secrets
        for url in urls:
            host_of(url)
        self._seats = [
            _Seat(_transport(url, headers, limits, clock), place) for place, url in enumerate(urls)
        ]
        self._last = self._seats[0]
        self._identity: _Identity | None = None
        # Two clients behind one proxy that mixes up answers must not use the same numbers.
        self._number = self._rng.getrandbits(48)

    def __repr__(self) -> str:
        return f"RemoteNode({', '.join(seat.transport.label for seat in self._seats)})"

    @property
    def label(self) -> str:
        """The host of the node that was asked last."""
        return self._last.transport.label

    def close(self) -> None:
        """Close all connections."""
        for seat in self._seats:
            seat.transport.close()

    def request(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        """Answer one JSON-RPC request.

        Raises:
            RpcUnreachable: no node answers, or what answers is none.
            RpcError: the node answered with an error.
            WrongChain: the only node that answers is one of another chain.
        """
        (outcome,) = self.request_many([(method, params)])
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    def request_many(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer many JSON-RPC requests, in one message where the node takes that.

        Args:
            requests: method and arguments of each.

        Returns:
            For each of them its result, or the `RpcError` that the node answered with.

        Raises:
            RpcUnreachable: no node answers all of them.
            WrongChain: the only node that answers is one of another chain.
        """
        began = self._clock()
        try:
            return self._request_many(requests)
        finally:
            # Methods only: arguments and URLs may hold what is nobody's business.
            methods = ", ".join(dict.fromkeys(method for method, _ in requests))
            spent_ms = (self._clock() - began) * 1000
            _log.debug("%s: %d of %s, %.0f ms", self.label, len(requests), methods, spent_ms)

    def _request_many(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        calls = [self._call(method, *params) for method, params in requests]
        found: dict[int, Outcome] = {}
        deadline = self._clock() + _PATIENCE_S
        troubles: list[tuple[_Seat, Trouble]] = []
        for seat in self._order():
            trouble = self._ask(seat, calls, found, deadline)
            if trouble is None:
                return [found[call.id] for call in calls]
            troubles.append((seat, trouble))
        foreign = next((seat.foreign for seat, _ in troubles if seat.foreign), None)
        if foreign:
            raise WrongChain(foreign, hint=f"All must be of one chain. {self._hint}")
        raise _unreachable(troubles, self._hint)

    # One node

    def _order(self) -> list[_Seat]:
        now = self._clock()
        return sorted(self._seats, key=lambda seat: (max(seat.rests_until - now, 0.0), seat.place))

    def _ask(
        self, seat: _Seat, calls: Sequence[Call], found: dict[int, Outcome], deadline: float
    ) -> Trouble | None:
        """Put what one node answers into `found`; what was wrong if that is not all."""
        self._last = seat
        trouble = self._check(seat, deadline) or self._insist(seat, calls, found, deadline)
        if trouble is None:
            seat.failures = 0
            seat.rests_until = 0.0
        else:
            rest_s = min(_REST_S * 2**seat.failures, _LONGEST_REST_S)
            seat.failures = min(seat.failures + 1, 10)
            seat.rests_until = self._clock() + max(rest_s, trouble.wait_s)
            _log.info("the node at %s is left alone for %.0f s: %s", self.label, rest_s, trouble.why)
        return trouble

    def _check(self, seat: _Seat, deadline: float) -> Trouble | None:
        """Find out whether a node is one of the chain that the others are on."""
        if len(self._seats) == 1 or seat.checked:
            return None
        if seat.foreign:
            return Trouble(seat.foreign, ONCE)
        asked = [self._call("eth_chainId"), self._call("eth_getBlockByNumber", "0x0", False)]
        found: dict[int, Outcome] = {}
        trouble = self._insist(seat, asked, found, deadline)
        if trouble is not None:
            return trouble
        identity = _identity(*(found[call.id] for call in asked))
        if identity is None:
            return Trouble("it does not show its chain id and genesis block", ONCE)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            seat.foreign = _difference(seat.transport.label, identity, self._identity)
            return Trouble(seat.foreign, ONCE)
        seat.checked = True
        return None

    def _insist(
        self, seat: _Seat, calls: Sequence[Call], found: dict[int, Outcome], deadline: float
    ) -> Trouble | None:
        """Ask one node until it answered everything, or makes no progress."""
        attempt = 0
        while left := [call for call in calls if call.id not in found]:
            answered = list(zip(left, seat.transport.exchange(left), strict=True))
            troubles = [outcome for _, outcome in answered if isinstance(outcome, Trouble)]
            found.update((call.id, outcome) for call, outcome in answered if not isinstance(outcome, Trouble))
            if not troubles:
                break
            attempt = attempt + 1 if len(troubles) == len(left) else 0
            trouble = troubles[0]
            wait_s = self._wait_s(trouble, attempt)
            if attempt >= self._tries(seat, trouble) or self._clock() + wait_s > deadline:
                return trouble
            self._sleep(wait_s)
        return None

    def _tries(self, seat: _Seat, trouble: Trouble) -> int:
        if len(self._seats) > 1 and (seat.failures or trouble.wait_s > _WORTH_WAITING_S):
            return ONCE
        return trouble.tries

    def _wait_s(self, trouble: Trouble, attempt: int) -> float:
        usual_s = min(_FIRST_WAIT_S * 2.0 ** max(attempt - 1, 0), _LONGEST_WAIT_S)
        # Whoever was told the same time to come back must not come all at once.
        return trouble.wait_s + usual_s * self._rng.uniform(0.5, 1.0)

    def _call(self, method: str, *params: Any) -> Call:  # noqa: ANN401
        self._number += 1
        return Call(self._number, method, params)


def _transport(url: str, headers: Mapping[str, str], limits: Limits, clock: Callable[[], float]) -> Transport:
    if is_http(url):
        return HttpTransport(url, headers, limits=limits, clock=clock)
    return _Later(url, headers, limits)


class _Later:
    """A socket whose library is imported when it is needed, not because it is the second choice."""

    def __init__(self, url: str, headers: Mapping[str, str], limits: Limits) -> None:
        self.label = host_of(url)
        self._arguments = url, headers, limits
        self._transport: Transport | None = None

    def exchange(self, calls: Sequence[Call]) -> list[Outcome]:
        if self._transport is None:
            from dcai_cli.chain.sockets import SocketTransport

            url, headers, limits = self._arguments
            self._transport = SocketTransport(url, headers, limits=limits)
        return self._transport.exchange(calls)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _identity(chain_id: Outcome, block: Outcome) -> _Identity | None:
    try:
        genesis = bytes.fromhex(block["hash"].removeprefix("0x"))
        return _Identity(int(chain_id, 16), genesis) if len(genesis) == 32 else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _difference(label: str, own: _Identity, others: _Identity) -> str:
    if own.chain_id != others.chain_id:
        return f"The node at {label} is on chain {own.chain_id}, the others are on chain {others.chain_id}."
    return (
        f"The node at {label} is on another chain {own.chain_id} than the others: its genesis block is "
        f"0x{own.genesis[:4].hex()}..., theirs 0x{others.genesis[:4].hex()}...."
    )


def _unreachable(troubles: Sequence[tuple[_Seat, Trouble]], hint: str) -> RpcUnreachable:
    if len(troubles) == 1:
        ((seat, trouble),) = troubles
        label = seat.transport.label
        return RpcUnreachable(f"The node at {label} cannot be used: {trouble.why}.", hint=hint)
    listed = "; ".join(f"{seat.transport.label}: {trouble.why}" for seat, trouble in troubles)
    return RpcUnreachable(f"None of the {len(troubles)} nodes can be used: {listed}.", hint=hint)
