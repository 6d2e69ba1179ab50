"""A JSON-RPC server on loopback that answers what a test wrote down, well or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NO_METHOD = {"error": {"code": -32601, "message": "the method does not exist"}}
SECRET = "s3cr3t"


class Server(ThreadingHTTPServer):
    """Answers each JSON-RPC method with what a test wrote down for it.

    `answers` maps a method to a result, to an error object under "error", to (status, headers, body), or to a
    function of the parameters that returns any of these; status 0 cuts the connection. `batches` answers a
    message of several requests; if None, each of them is answered. `meddle` changes what goes out, as a proxy
    might. `greeting` is the status for who wants a WebSocket.
    `requests` are the methods that were asked for, `messages` how many requests each message had.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {"eth_chainId": "0x7"}
        self.batches: Callable[[list[dict[str, Any]]], Any] | None = None
        self.meddle: Callable[[bytes], bytes] = bytes
        self.greeting = 404
        self.requests: list[str] = []
        self.messages: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[int] = set()

    @property
    def host(self) -> str:
        """What may be shown of where it listens."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """Where it listens, with secrets in every part of the URL."""
        return f"http://user:{SECRET}@{self.host}/{SECRET}?key={SECRET}"


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one packet

    def do_POST(self) -> None:
        """Answer as the server's `answers` say."""
        server = self.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        calls = asked if isinstance(asked, list) else [asked]
        server.requests += [call["method"] for call in calls]
        server.messages.append(len(calls))
        server.headers.append(dict(self.headers))
        server.connections.add(self.client_address[1])
        if isinstance(asked, list) and server.batches is not None:
            found = server.batches(calls)
        else:
            answers = [self._answer(call) for call in calls]
            whole = [answer for answer in answers if isinstance(answer, tuple)]
            found = whole[0] if whole else answers if isinstance(asked, list) else answers[0]
        if isinstance(found, tuple):
            status, headers, body = found
        else:
            status, headers, body = 200, {}, json.dumps(found).encode()
        if status == 0:
            self.close_connection = True
            return
        body = server.meddle(body)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if "Content-Length" in headers:
            self.close_connection = True

    def do_GET(self) -> None:
        """Refuse a WebSocket."""
        self.server.headers.append(dict(self.headers))
        self.send_response(self.server.greeting)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, call: dict[str, Any]) -> Any:
        answer = self.server.answers.get(call["method"], NO_METHOD)
        if callable(answer):
            answer = answer(*call["params"])
        if isinstance(answer, tuple):
            return answer
        member = answer if isinstance(answer, dict) and "error" in answer else {"result": answer}
        return {"jsonrpc": "2.0", "id": call["id"], **member}

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free loopback port."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def in_turn(*answers: Any) -> Callable[..., Any]:
    """An answer for each request in turn; the last one for all that follow."""
    left = list(answers)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


def refusal(message: str, code: int = -32_000) -> dict[str, Any]:
    """An error as a node answers it."""
    return {"error": {"code": code, "message": message}}
