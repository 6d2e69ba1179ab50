"""A node behind HTTP: one request, and every foreign exception turned into a value of ours.

URLs hold API keys, so nothing but the host ever gets into a message: what a library raised is looked at for
its kind, and dropped before anything of ours is raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.errors import RpcError
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
    as_rpc_error,
    decode,
    encode,
    outcomes,
    printable,
    refusal_of_batch,
    silent,
    too_large,
)
from dcai_cli.chain.providers import TOO_LARGE, is_cap
from dcai_cli.chain.secrets import hider, silence
from dcai_cli.config import host_of

if TYPE_CHECKING:
    import requests

LONGEST_WAIT_S = 30.0
"""A node that wants to be left alone for longer is asked again after this."""

_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_BATCH = 100
_CHUNK = 1 << 16
_CERTIFICATES = Trouble("its certificate is not trusted, or TLS failed", ONCE)
_PROXY = Trouble("the proxy does not let it through", ONCE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one request may take, in seconds, and how large its answer may be.

    Args:
        connect_s: until the node accepts the connection.
        read_s: between two parts of the answer.
        total_s: the whole answer, however it trickles.
        body_bytes: the whole answer, unpacked.
    """

    connect_s: float = 4.0
    read_s: float = 30.0
    total_s: float = 120.0
    body_bytes: int = 256 * 2**20


USUAL = Limits()


class HttpTransport:
    """JSON-RPC over HTTP, on one connection that is kept.

    Proxies, `.netrc` and certificate bundles are taken from the environment, as requests does. Redirections
    are not followed: they would carry headers with secrets to hosts that nobody named.

    Args:
        url: where the node listens; may hold secrets.
        headers: sent along; may hold secrets.
        limits: how long to wait, and for how much.
        clock: seconds.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        limits: Limits = USUAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label = host_of(url)
        self._url = url
        self._headers = {"Content-Type": "application/json", **headers}
        self._limits = limits
        self._clock = clock
        self._hide = hider(url, headers)
        self._batch = _BATCH
        self._opened: tuple[requests.Session, requests.PreparedRequest, dict[str, Any]] | None = None

    def __repr__(self) -> str:
        return f"HttpTransport({self.label})"

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened[0].close()

    def exchange(self, calls: Sequence[Call]) -> list[Outcome]:
        """Ask once; several calls go in one message, unless the node does not take that."""
        found: list[Outcome] = []
        while len(found) < len(calls):
            part = calls[len(found) : len(found) + self._batch]
            answered = self._exchange(part)
            if answered is not None:
                found += answered
        return found

    def _exchange(self, calls: Sequence[Call]) -> list[Outcome] | None:
        """What came for each call; None if the node wants smaller messages."""
        answer = self._post(encode(calls))
        if isinstance(answer, RpcError):
            if len(calls) > 1:
                self._batch = len(calls) // 2
                return None
            return [answer]
        found = outcomes(calls, answer, self._hide)
        refused = refusal_of_batch(calls, answer, self._hide)
        if refused is not None:
            self._batch = len(calls) // 2 if is_cap(refused) else 1
            return None
        if any(outcome is MIXED_UP for outcome in found):
            # On this connection every later answer may be out of step, too.
            self.close()
        return found

    def _post(self, body: bytes) -> Any:  # noqa: ANN401 - JSON, Trouble, or RpcError for too large a message
        try:
            session, prepared, settings = self._open()
            asked = prepared.copy()
            asked.prepare_body(body, None)
            timeout = (self._limits.connect_s, self._limits.read_s)
            response = session.send(asked, timeout=timeout, allow_redirects=False, **settings)
            with response:
                status, after = response.status_code, response.headers.get("Retry-After", "")
                got = self._read(response)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold the URL
            return self._trouble(error)
        return got if isinstance(got, Trouble | RpcError) else self._judge(status, after, got)

    def _trouble(self, error: Exception) -> Trouble:
        """What a library's exception means; of its text nothing is kept."""
        import requests
        import urllib3

        cause = error.args[0] if error.args else None
        unconnected = isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)
        # The first that fits counts: the later ones are bases of the earlier ones.
        kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Trouble], ...] = (
            (requests.ConnectTimeout, silent(self._limits.connect_s)),
            ((requests.Timeout, urllib3.exceptions.TimeoutError), silent(self._limits.read_s)),
            (requests.exceptions.SSLError, _CERTIFICATES),
            (requests.exceptions.ProxyError, _PROXY),
            (requests.ConnectionError, REFUSED if unconnected else CUT),
            (urllib3.exceptions.DecodeError, NOT_JSON),
            (urllib3.exceptions.HTTPError, CUT),
        )
        return next(
            (trouble for kind, trouble in kinds if isinstance(error, kind)),
            Trouble(type(error).__name__, ONCE),
        )

    def _open(self) -> tuple[requests.Session, requests.PreparedRequest, dict[str, Any]]:
        """Session and request, made once: reading the environment each time costs as much as the request."""
        if self._opened is None:
            import requests

            silence("urllib3")
            session = requests.Session()
            if any(name.lower() == "authorization" for name in self._headers):
                # Otherwise requests would put what .netrc says in the place of the header.
                session.auth = lambda request: request
            prepared = session.prepare_request(requests.Request("POST", self._url, headers=self._headers))
            settings = session.merge_environment_settings(prepared.url or self._url, {}, True, None, None)
            self._opened = session, prepared, dict(settings)
        return self._opened

    def _read(self, response: requests.Response) -> bytes | Trouble | RpcError:
        deadline = self._clock() + self._limits.total_s
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._limits.body_bytes:
                return too_large(self._limits.body_bytes)
            if self._clock() > deadline:
                return silent(self._limits.total_s)
        return bytes(body)

    def _judge(self, status: int, after: str, body: bytes) -> Any:  # noqa: ANN401 - as _post
        """A JSON-RPC answer may come with an HTTP error status."""
        if status in _BUSY:
            wait_s = min(float(after), LONGEST_WAIT_S) if after.isascii() and after.isdigit() else 0.0
            return Trouble(f"HTTP {status}", MANY, wait_s)
        answer = decode(body)
        if 200 <= status < 300:
            return answer
        error = answer.get("error") if isinstance(answer, Mapping) else None
        if status in {401, 403} or (error is None and 300 <= status < 500):
            said = f": {as_rpc_error(error, self._hide).message}" if error is not None else ""
            if error is None and (status == TOO_LARGE or b"too large" in body[:1_000].lower()):
                return RpcError(printable(f"HTTP {status}: the message is too large"), rpc_code=TOO_LARGE)
            return Trouble(f"HTTP {status}{said}", ONCE)
        return Trouble(f"HTTP {status}", MANY) if error is None else answer
