"""A proxy on loopback that stands before a node and does to requests and answers what networks do.

What happens to a request is drawn by a seeded generator, in the order in which requests come. Each fault is
counted by its kind when it is injected. A fault never makes up an answer that no client could tell from the
right one: an answer that belongs to another request always carries that request's id.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SEND = ("eth_sendRawTransaction", "eth_sendRawTransactionSync")

DROPPED_BEFORE = "connection cut before the request was delivered"
DROPPED_AFTER = "connection cut after the request was delivered"
LOST_SEND = "answer to a delivered transaction lost"
DELAYED = "answer delayed"
TOO_MANY = "429"
TOO_MANY_LATER = "429 with Retry-After"
INTERNAL = "500"
CUT = "body cut in the middle"
REPEATED = "answer of the request before repeated"
REORDERED = "answer of an earlier request instead of the right one"
TWICE = "answer sent twice on the connection"

RATES: Mapping[str, float] = {
    DROPPED_BEFORE: 0.10,
    DROPPED_AFTER: 0.10,
    DELAYED: 0.05,
    TOO_MANY: 0.02,
    TOO_MANY_LATER: 0.01,
    INTERNAL: 0.02,
    CUT: 0.02,
    REPEATED: 0.02,
    REORDERED: 0.02,
    TWICE: 0.01,
}
"""What becomes of requests: a fifth of them are dropped."""

LOST_SEND_RATE = 0.25
OWED_RATE = 0.2
DELAY_S = (0.02, 0.4)
KEPT_ANSWERS = 8

Gate = Callable[[str, str], bool]
"""Told of (method, "before" or "after" its delivery); whether the connection is cut there."""


class Proxy:
    """Listens on a free loopback port until it is closed.

    Args:
        url: the node.
        seed: decides what becomes of each request.
        rates: the probability of each kind of fault.
        lost_send_rate: how many answers to delivered transactions are lost besides.
        gate: is asked before and after each delivery.
    """

    def __init__(
        self,
        url: str,
        *,
        seed: int = 0,
        rates: Mapping[str, float] = RATES,
        lost_send_rate: float = LOST_SEND_RATE,
        gate: Gate = lambda _method, _when: False,
    ) -> None:
        self.faults: Counter[str] = Counter()
        self.requests = 0
        self.is_calm = False
        self._host = urlsplit(url).netloc
        self._rng = random.Random(seed)  # noqa: S311 - a seed is the point
        self._rates = dict(rates)
        self._lost_send_rate = lost_send_rate
        self._owed = self._rng.sample(list(rates), len(rates))
        self._owes_send = lost_send_rate > 0
        self._gate = gate
        self._lock = threading.Lock()
        self._answers: deque[bytes] = deque(maxlen=KEPT_ANSWERS)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def is_cut(self, method: str, when: str) -> bool:
        """Whether the gate cuts here."""
        return self._gate(method, when)

    def draw(self, method: str) -> str:
        """What becomes of the next request; empty if nothing does."""
        with self._lock:
            self.requests += 1
            if self.is_calm:
                return ""
            if method in SEND and (self._owes_send or self._rng.random() < self._lost_send_rate):
                self._owes_send = False
                return LOST_SEND
            # A short run, too, meets every kind once.
            if self._owed and self._rng.random() < OWED_RATE:
                return self._owed.pop()
            point = self._rng.random()
            for kind, rate in self._rates.items():
                point -= rate
                if point < 0:
                    return kind
            return ""

    def owe(self, kind: str) -> None:
        """A fault could not be injected where it was drawn; it is due again."""
        with self._lock:
            self._owed.append(kind)

    def delay_s(self) -> float:
        """How long an answer is held back."""
        with self._lock:
            return self._rng.uniform(*DELAY_S)

    def count(self, kind: str) -> None:
        """A fault was injected."""
        with self._lock:
            self.faults[kind] += 1

    def remember(self, answer: bytes) -> None:
        """Keep an answer, to be sent again as another's."""
        with self._lock:
            self._answers.append(answer)

    def earlier(self, request: bytes, *, is_last: bool) -> bytes | None:
        """An earlier answer that does not carry the id of this request, if one is there."""
        identity = _identity(request)
        with self._lock:
            kept = [answer for answer in self._answers if _identity(answer) != identity]
        return (kept[-1] if is_last else kept[0]) if kept else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed cut their connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _upstream: http.client.HTTPConnection | None = None

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Close both sides."""
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def do_POST(self) -> None:
        """Deliver a request, unless something comes between."""
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers["Content-Length"]))
        method = _method(body)
        if proxy.is_cut(method, "before"):
            self._cut()
            return
        kind = proxy.draw(method)
        if kind in {DROPPED_BEFORE, TOO_MANY, TOO_MANY_LATER, INTERNAL}:
            proxy.count(kind)
            self._refuse(kind)
            return
        status, answer = self._deliver(body)
        if proxy.is_cut(method, "after"):
            self._cut()
            return
        self._answer(kind, body, status, answer)
        proxy.remember(answer)

    def _refuse(self, kind: str) -> None:
        if kind == DROPPED_BEFORE:
            self._cut()
        elif kind == INTERNAL:
            self._reply(500, b'{"message": "internal error"}')
        else:
            later = {"Retry-After": "1"} if kind == TOO_MANY_LATER else {}
            self._reply(429, b'{"message": "too many requests"}', later)

    def _answer(self, kind: str, body: bytes, status: int, answer: bytes) -> None:
        proxy = self.server.proxy
        if kind in {REPEATED, REORDERED}:
            other = proxy.earlier(body, is_last=kind == REPEATED)
            if other is None:
                proxy.owe(kind)
                kind = ""
            else:
                answer = other
        if kind:
            proxy.count(kind)
        if kind in {DROPPED_AFTER, LOST_SEND}:
            self._cut()
            return
        if kind == CUT:
            self._reply(status, answer, keep=len(answer) // 2)
            self._cut()
            return
        if kind == DELAYED:
            time.sleep(proxy.delay_s())  # the fault itself
        self._reply(status, answer)
        if kind == TWICE:
            self._reply(status, answer)

    def _deliver(self, body: bytes) -> tuple[int, bytes]:
        """Ask the node; its own connection is never at fault."""
        for attempt in (1, 2):
            if self._upstream is None:
                self._upstream = http.client.HTTPConnection(self.server.proxy._host, timeout=120)
            try:
                self._upstream.request("POST", "/", body, {"Content-Type": "application/json"})
                response = self._upstream.getresponse()
                return response.status, response.read()
            except (http.client.HTTPException, OSError):
                # Only a connection that idled too long is cut before anything is delivered.
                self._upstream.close()
                self._upstream = None
                if attempt == 2:
                    raise
        raise AssertionError("two attempts end in an answer or an error")

    def _reply(
        self, status: int, body: bytes, more: Mapping[str, str] | None = None, *, keep: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if keep is None else body[:keep])
        self.wfile.flush()

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _method(body: bytes) -> str:
    """The method of a request, or of the first of several."""
    request = json.loads(body)
    first = request[0] if isinstance(request, list) else request
    return str(first.get("method", ""))


def _identity(message: bytes) -> Any:
    """The id of a request or an answer; those of all, of several."""
    try:
        found = json.loads(message)
    except ValueError:
        return None
    if isinstance(found, list):
        return [one.get("id") for one in found]
    return found.get("id") if isinstance(found, dict) else None
