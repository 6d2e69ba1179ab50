"""A daemon in this process whose time is made up: hours pass at once, and what happens is written down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from dcai_cli.config import load_settings
from dcai_cli.services.daemon.cycle import CycleRequest
from dcai_cli.services.daemon.loop import Daemon, LoopRequest
from dcai_cli.services.daemon.webhook import Webhook
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import PASSWORD

if TYPE_CHECKING:
    from dcai_cli.services.daemon.state import DaemonState
    from tests.cli.conftest import Dcai

HOUR = 3600


@dataclass
class Days:
    """A clock, and a wait that moves it; also the daemon's stop.

    It starts a minute ahead: blocks that were mined in one second have put the embedded chain ahead, too.

    Args:
        cycles: how many pauses between cycles there are until somebody stops it.
        hook: called in each pause with its number from 1, while the time stands still.
    """

    cycles: int
    hook: Callable[[int], object] = lambda _number: None
    now: float = field(default_factory=lambda: time.time() + 60)
    pauses: list[float] = field(default_factory=list)
    requested: bool = False

    def clock(self) -> float:
        """Seconds since 1970."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.hook(len(self.pauses))
        self.now += seconds
        self.requested = self.requested or len(self.pauses) >= self.cycles


@dataclass
class Run:
    """What a simulated daemon did.

    Args:
        days: its clock.
        log: its log entries.
        state: how it stood in the end.
    """

    days: Days
    log: list[dict[str, Any]]
    state: DaemonState

    def entries(self, event: str) -> list[dict[str, Any]]:
        """The entries of one kind."""
        return [entry for entry in self.log if entry["event"] == event]


def simulate(
    dcai: Dcai,
    days: Days,
    *,
    interval_s: int = HOUR,
    webhook: Webhook | None = None,
    log: list[dict[str, Any]] | None = None,
    environment: dict[str, str] | None = None,
    **asked: Any,
) -> Run:
    """Run a daemon's loop until its time is over.

    Args:
        dcai: whose home.
        days: its clock.
        interval_s: from cycle to cycle.
        webhook: who is told.
        log: gets the entries, also if the daemon ends with an error.
        environment: more variables.
        asked: fields of `CycleRequest`.
    """
    entries: list[dict[str, Any]] = [] if log is None else log

    def write(level: str, event: str, message: str, /, **facts: Any) -> None:
        entries.append(json.loads(json.dumps({"level": level, "event": event, "message": message, **facts})))

    settings = load_settings(dcai.environment | (environment or {}))
    with Workspace(settings, clock=days.clock) as workspace:
        cycle = CycleRequest(**{"password": lambda _: PASSWORD, **asked})
        request = LoopRequest(cycle=cycle, interval_s=interval_s, webhook=webhook)
        daemon = Daemon(workspace, request, stop=days, log=write, chance=lambda: 1.0)
        daemon.run()
        return Run(days, entries, daemon.state)


class Receiver(ThreadingHTTPServer):
    """A webhook of the tests' own on loopback.

    Args:
        status: what it answers.
    """

    daemon_threads = True

    def __init__(self, status: int = 204) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.status = status
        self.heard: list[dict[str, Any]] = []
        self.requests = 0

    @property
    def url(self) -> str:
        """Where it listens; its path is the secret."""
        return f"http://127.0.0.1:{self.server_port}/hook/s3cr3t?token=s3cr3t"

    @property
    def kinds(self) -> list[str]:
        """What it was told, in order."""
        return [document["event"] for document in self.heard]


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Take one document, or refuse it."""
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests += 1
        if 200 <= self.server.status < 300:
            self.server.heard.append(document)
        self.send_response(self.server.status)
        if 300 <= self.server.status < 400:
            self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver(status: int = 204) -> Iterator[Receiver]:
    """A webhook that listens for a while."""
    with Receiver(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
