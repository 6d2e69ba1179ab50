"""A node behind a WebSocket or a local IPC socket, by web3's providers for them.

web3 takes a second to import, so this module is imported for such URLs only. Of its providers the connection
is used; the numbering of requests, time-outs and retries are ours, the same as over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import web3.exceptions
import websockets.exceptions
from web3.providers.persistent import AsyncIPCProvider, WebSocketProvider

from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.http import Limits
from dcai_cli.chain.jsonrpc import (
    CUT,
    MANY,
    MIXED_UP,
    NOT_JSON,
    ONCE,
    REFUSED,
    Call,
    Outcome,
    Trouble,
    decode,
    encode,
    outcomes,
    silent,
    too_large,
)
from dcai_cli.chain.secrets import hider, silence
from dcai_cli.config import host_of, ipc_path

if TYPE_CHECKING:
    from web3.providers.persistent import PersistentConnectionProvider

_T = TypeVar("_T")
_TOO_BIG = 1_009  # WebSocket's code for too large a message
_BUSY = frozenset({429, 500, 502, 503, 504})


class _Web(WebSocketProvider):
    """Reads answers as we read all others."""

    async def socket_recv(self) -> Any:  # noqa: ANN401 - JSON or Trouble
        assert self._ws is not None
        return decode(await self._ws.recv())


class _Ipc(AsyncIPCProvider):
    """Reads answers as we read all others."""

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> Any:  # noqa: ANN401 - JSON or Trouble
        return decode(raw_response)


class SocketTransport:
    """JSON-RPC over a socket that stays open.

    Args:
        url: `ws://`, `wss://`, `ipc://`, or a path; may hold secrets.
        headers: sent along when a WebSocket is opened; may hold secrets.
        limits: how long to wait, and for how much.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, limits: Limits) -> None:
        silence("web3", "websockets")
        self.label = host_of(url)
        self._url = url
        self._headers = dict(headers)
        self._limits = limits
        self._hide = hider(url, headers) if ipc_path(url) is None else str
        self._loop = asyncio.new_event_loop()
        self._provider: PersistentConnectionProvider | None = None

    def __repr__(self) -> str:
        return f"SocketTransport({self.label})"

    def close(self) -> None:
        """Close the socket; the transport is of no use afterwards."""
        if not self._loop.is_closed():
            self._drop()
            self._loop.close()

    def exchange(self, calls: Sequence[Call]) -> list[Outcome]:
        """Ask once; several calls go in one message."""
        found = self._try(calls)
        if isinstance(found, Trouble | RpcError):
            # The next request gets a new socket: on this one answers may be out of step.
            self._drop()
            return [found] * len(calls)
        return found

    def _try(self, calls: Sequence[Call]) -> list[Outcome] | Trouble | RpcError:
        connecting = self._provider is None
        try:
            if connecting:
                self._run(self._connect(), self._limits.connect_s)
                connecting = False
            return self._run(self._ask(calls), self._limits.read_s)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold the URL
            return self._trouble(error, connecting=connecting)

    def _trouble(self, error: Exception, *, connecting: bool) -> Trouble | RpcError:
        """What a library's exception means; of its text nothing is kept."""
        if isinstance(error, websockets.exceptions.InvalidStatus):
            status = error.response.status_code
            return Trouble(f"HTTP {status}", MANY if status in _BUSY else ONCE)
        closes = (error.rcvd, error.sent) if isinstance(error, websockets.exceptions.ConnectionClosed) else ()
        if isinstance(error, web3.exceptions.ReadBufferLimitReached) or any(
            close is not None and close.code == _TOO_BIG for close in closes
        ):
            return too_large(self._limits.body_bytes)
        # The first that fits counts: the later ones are bases of the earlier ones.
        kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Trouble], ...] = (
            (TimeoutError, silent(self._limits.connect_s if connecting else self._limits.read_s)),
            (web3.exceptions.PersistentConnectionClosedOK, CUT),
            (websockets.exceptions.WebSocketException, CUT),
            ((ValueError, RecursionError), NOT_JSON),
            (OSError, REFUSED if connecting else CUT),
        )
        return next(
            (trouble for kind, trouble in kinds if isinstance(error, kind)),
            Trouble(type(error).__name__, ONCE),
        )

    async def _connect(self) -> None:
        provider: PersistentConnectionProvider
        path = ipc_path(self._url)
        if path is not None:
            provider = _Ipc(path, read_buffer_limit=self._limits.body_bytes)
        else:
            # No keep-alive of its own: between two requests nobody runs the loop that would answer for it.
            options: dict[str, Any] = {
                "max_size": self._limits.body_bytes,
                "ping_interval": None,
                "ping_timeout": None,
            }
            options["additional_headers"] = self._headers
            provider = _Web(self._url, websocket_kwargs=options, use_text_frames=True)
        # Its `connect` would start a task that reads, and a loop that looks for answers without rest.
        await provider._provider_specific_connect()  # noqa: SLF001
        self._provider = provider

    async def _ask(self, calls: Sequence[Call]) -> list[Outcome]:
        assert self._provider is not None
        await self._provider.socket_send(encode(calls))
        while True:
            found = outcomes(calls, await self._provider.socket_recv(), self._hide)
            # What belongs to a request that was given up, or is news that nobody asked for, is passed over.
            if not all(outcome is MIXED_UP for outcome in found):
                return found

    def _run(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        return self._loop.run_until_complete(asyncio.wait_for(work, timeout_s))

    def _drop(self) -> None:
        provider, self._provider = self._provider, None
        if provider is None:
            return
        with suppress(Exception):  # it is given up anyway
            self._run(provider._provider_specific_disconnect(), 1.0)  # noqa: SLF001
