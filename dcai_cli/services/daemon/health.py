"""The daemon's web page, for this machine only: `/healthz` and `/metrics`.

It answers from a state that the loop publishes, in threads of its own, so that no client can hold the loop
up. A connection serves one request, and a client that says nothing for some seconds is left; there are few at
a time, and the oldest goes when one too many comes, so that nobody can keep others out by being slow.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from dcai_cli.domain import iso_time
from dcai_cli.errors import DcaiError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dcai_cli.services.daemon.state import DaemonState

MOST_CONNECTIONS = 16
"""Open at one time; a new one beyond them closes the oldest."""

TIMEOUT_S = 5.0
"""Between two bytes of a client."""


def parse_listen(text: str) -> tuple[str, int]:
    """Read where to listen, such as 127.0.0.1:9464, localhost:9464 or [::1]:0.

    Returns:
        The loopback address and the port; port 0 is any that is free.

    Raises:
        UsageError: it is no such address, or other machines could reach it.

    >>> parse_listen("localhost:9464")
    ('127.0.0.1', 9464)
    """
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})", text.strip())
    if match is None or int(match[2]) > 65_535:
        raise UsageError(
            f"{text!r} is not an address to listen at.", hint="Write for instance 127.0.0.1:9464."
        )
    host = (match[1] or "127.0.0.1").strip("[]")
    host = "127.0.0.1" if host.lower() == "localhost" else host
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise UsageError(
            f"The daemon listens on this machine's loopback address only, not at {host}: it knows no "
            "passwords, and says what you own.",
            hint="Write 127.0.0.1:PORT, and put a web server in front of it if others shall see it.",
        )
    return host, int(match[2])


class HealthServer:
    """Serves the published state while it is open; use it as a context manager.

    Args:
        host: a loopback address.
        port: 0 for any.
        state: gives the state as it was published last.
        clock: seconds since 1970.

    Raises:
        DcaiError: the port is taken.
    """

    def __init__(
        self, host: str, port: int, state: Callable[[], DaemonState], clock: Callable[[], float]
    ) -> None:
        try:
            self._server = _Server(host, port, state, clock)
        except OSError as error:
            raise DcaiError(
                f"The daemon cannot listen at {host}:{port}: {error.strerror or error}.",
                hint="Choose another port with --listen; with port 0 one that is free.",
            ) from None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.end_all()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, host: str, port: int, state: Callable[[], DaemonState], clock: Callable[[], float]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.state = state
        self.clock = clock
        self._open: dict[int, socket.socket] = {}
        self._guard = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking for this machine's name, which may take a name server's time-out."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the library's
        """Take a connection in; the oldest goes if there are too many."""
        with self._guard:
            self._open[id(request)] = request
            if len(self._open) > MOST_CONNECTIONS:
                _end(self._open.pop(next(iter(self._open))))
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started now
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """A connection ends."""
        with self._guard:
            self._open.pop(id(request), None)
        super().shutdown_request(request)

    def end_all(self) -> None:
        """End what clients hold open."""
        with self._guard:
            for connection in self._open.values():
                _end(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing of what clients do wrong."""


def _end(connection: socket.socket) -> None:
    """Wake whoever waits for the client; its thread closes the socket."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = TIMEOUT_S
    server_version = "dcai"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        self.close_connection = True
        status, kind, body = self._page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _page(self) -> tuple[HTTPStatus, str, bytes]:
        now = self.server.clock()
        if not _names_this_machine(self.headers.get("Host", "")):
            # A page in a browser here may have pointed a name of its own at this machine.
            return HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", b"Ask for 127.0.0.1 or localhost.\n"
        path = self.path.partition("?")[0]
        if path == "/healthz":
            state = self.server.state()
            healthy, why = state.health(now)
            body = json.dumps(health_document(state, healthy=healthy, why=why)) + "\n"
            status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", body.encode()
        if path == "/metrics":
            from dcai_cli.services.daemon.metrics import CONTENT_TYPE, metrics_text

            return HTTPStatus.OK, CONTENT_TYPE, metrics_text(self.server.state(), now)
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There are /healthz and /metrics.\n"

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is of the daemon's work."""


def _names_this_machine(host: str) -> bool:
    """Whether a Host header is a loopback address, or missing."""
    name = re.sub(r":\d+$", "", host.strip()).strip("[]").lower()
    if name in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def health_document(state: DaemonState, *, healthy: bool, why: str) -> dict[str, Any]:
    """What `/healthz` says."""
    return {
        "healthy": healthy,
        "why": why,
        "account": state.account,
        "chain": state.chain,
        "network": state.network,
        "started_at": _time(state.started_at),
        "last_cycle": _time(state.last_end),
        "last_good_cycle": _time(state.last_good),
        "next_cycle": _time(state.next_at),
        "failures": state.failures,
        "error": state.error,
    }


def _time(timestamp: int | None) -> str | None:
    return None if timestamp is None else iso_time(timestamp)
