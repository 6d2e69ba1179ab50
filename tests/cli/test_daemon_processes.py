"""The daemon as a process: signals, another process beside it, its page and its log."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain.remote import RemoteNode
from tests.cli.conftest import ADDRESSES
from tests.cli.test_processes import surroundings

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai
    from tests.conftest import Anvil, StartAnvil

PATIENCE_S = 60


class Process:
    """A running `dcai daemon run` whose log is read as it comes."""

    def __init__(self, dcai: Dcai, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dcai_cli", "daemon", "run", "--log-format", "json", *arguments],
            env=surroundings(dcai),
            cwd=dcai.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self.talk = ""
        self._entries: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self._entries.put(json.loads(line))
            else:
                self.talk += line
        self._entries.put(None)

    def until(self, event: str) -> dict[str, Any]:
        """Wait for an entry of the log."""
        while True:
            entry = self._entries.get(timeout=PATIENCE_S)
            assert entry is not None, f"the daemon ended without {event}: {self.log} {self.talk}"
            self.log.append(entry)
            if entry["event"] == event:
                return entry

    def end(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        while (entry := self._entries.get(timeout=PATIENCE_S)) is not None:
            self.log.append(entry)
        return code


@contextmanager
def daemon(dcai: Dcai, *arguments: str) -> Iterator[Process]:
    """A daemon that ends with the test."""
    started = Process(dcai, *arguments)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        for stream in (started.process.stdout, started.process.stderr):
            assert stream is not None
            stream.close()


def ask(url: str) -> tuple[int, bytes]:
    """Ask the daemon's page, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def due(dcai: Dcai, films: Path, anvil: StartAnvil) -> tuple[Dcai, Anvil]:
    """Alice's six rows on an anvil, due, and mined from now on only when it is told to."""
    node = anvil()
    dcai.environment["ETH_RPC_URL"] = node.url
    node.rpc("anvil_setBalance", ADDRESSES["alice"], hex(10**21))
    labels = ("--labels", "negative,positive", "--n-features", "256")
    dcai.data("model", "deploy", "--name", "noded", *labels, "--yes")
    dcai.data("contribute", films, "--model", "noded", "--yes")
    dcai.data("devnet", "advance", "25h")
    return dcai, node


def until_sent(node: Anvil) -> None:
    """Wait until a transaction is in the node's pool."""
    with closing(RemoteNode([node.url], {})) as client:
        moment = threading.Event()
        for _ in range(PATIENCE_S * 20):
            if int(client.request("txpool_status")["pending"], 16):
                return
            moment.wait(0.05)
    pytest.fail("nothing was sent")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_transaction_in_hand_end(due: tuple[Dcai, Anvil], number: signal.Signals) -> None:
    """The refund waits in the pool; the daemon waits for its block all the same, then exits with 0."""
    dcai, node = due
    node.rpc("evm_setAutomine", False)
    with daemon(dcai) as running:
        until_sent(node)
        running.process.send_signal(number)
        assert running.until("stopping")["message"].startswith(number.name)
        assert running.process.poll() is None
        node.rpc("evm_mine")
        assert running.end() == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == ""
    events = [entry["event"] for entry in running.log]
    assert events[0] == "started"
    assert events[-1] == "stopped"
    assert "claim" in events
    assert dcai.query("SELECT state, count(*) FROM transactions WHERE kind = 'refund' GROUP BY state") == [
        ("mined", 1)
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_loses_nothing(
    due: tuple[Dcai, Anvil], number: signal.Signals
) -> None:
    """The refund waits in the pool when two signals end the daemon; the next cycle settles it once."""
    dcai, node = due
    node.rpc("evm_setAutomine", False)
    with daemon(dcai) as running:
        until_sent(node)
        running.process.send_signal(number)
        running.until("stopping")
        running.process.send_signal(number)
        assert running.end() == 128 + number
    assert dcai.query("SELECT state FROM transactions WHERE kind = 'refund'") == [("sent",)]
    node.rpc("evm_setAutomine", True)
    node.rpc("evm_mine")
    data = dcai.data("daemon", "run", "--once")
    assert (data["recovered"], [claim["samples"] for claim in data["claims"]]) == (1, [6])
    assert dcai.query("SELECT state FROM transactions WHERE kind = 'refund'") == [("mined",)]


def test_one_cycle_that_is_stopped_early_is_130(due: tuple[Dcai, Anvil]) -> None:
    """Ctrl-C while the refund waits: it is finished, reports are not begun; the same command begins them."""
    dcai, node = due
    node.rpc("evm_setAutomine", False)
    with daemon(dcai, "--once", "--json", "--reports") as running:
        until_sent(node)
        running.process.send_signal(signal.SIGINT)
        running.until("stopping")
        node.rpc("evm_mine")
        assert running.end() == 130
        assert running.process.stdout is not None
        error = json.loads(running.process.stdout.read())["error"]
    assert (error["code"], error["message"]) == ("interrupted", "Stopped after 1 claim.")
    node.rpc("evm_setAutomine", True)
    data = dcai.data("daemon", "run", "--once", "--reports")
    assert (data["outcome"], data["claims"], data["pending_batches"]) == ("good", [], 0)


def test_it_lives_beside_other_commands_and_ends_from_its_pause(contributed: Dcai) -> None:
    """Its page is well, a contribution goes through, a second one is refused; SIGTERM ends its pause."""
    with daemon(contributed, "--listen", "127.0.0.1:0", "--interval", "1h") as running:
        url = running.until("listening")["url"]
        running.until("cycle")
        more = contributed.write("more.csv", [("a new and warm film", "positive")])
        assert contributed.data("contribute", more, "--yes")["contributed"] == 1
        status, body = ask(f"{url}/healthz")
        assert (status, json.loads(body)["healthy"]) == (200, True)
        assert b"dcai_pending_batches 1.0\n" in ask(f"{url}/metrics")[1]
        (one,) = contributed.data("daemon", "status")["daemons"]
        assert (one["running"], one["healthy"], one["pid"]) == (True, True, running.process.pid)
        assert one["listen"] == url
        error = contributed.error("daemon", "run", "--once")
        assert error["exit_code"] == 18
        assert f"(pid {running.process.pid})" in error["message"]
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert contributed("daemon", "status").code == 1


def test_a_killed_daemon_leaves_no_lock(contributed: Dcai) -> None:
    """Killed in a pause; the next one starts, and the status says so in between."""
    with daemon(contributed, "--interval", "1h") as running:
        running.until("cycle")
        running.process.kill()
        running.end()
    (one,) = contributed("daemon", "status", "--json").document["data"]["daemons"]
    assert (one["running"], one["healthy"]) == (False, False)
    assert contributed.data("daemon", "run", "--once")["outcome"] == "good"


def test_secrets_are_in_no_log_no_state_and_no_page(contributed: Dcai) -> None:
    """A dead node and a dead webhook show neither their URLs' secrets, nor headers, nor the password."""
    contributed.environment |= {
        "ETH_RPC_URL": "http://user:s3cr3t@127.0.0.1:9/s3cr3t?key=s3cr3t",
        "ETH_RPC_HEADERS": "Authorization: Bearer s3cr3t",
        "DCAI_WEBHOOK_URL": "http://user:s3cr3t@127.0.0.1:9/s3cr3t?key=s3cr3t",
    }
    with daemon(contributed, "--listen", "127.0.0.1:0", "--stale-after", "1s") as running:
        url = running.until("listening")["url"]
        running.until("error")
        pages = ask(f"{url}/healthz")[1] + ask(f"{url}/metrics")[1]
        assert ask(f"{url}/healthz")[0] == 503
        arguments = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    said = json.dumps(running.log) + running.talk + pages.decode() + arguments.decode()
    left = "".join(path.read_text() for path in (contributed.home / "daemon").glob("*"))
    assert "127.0.0.1:9" in said
    assert "s3cr3t" not in said + left
    assert "open sesame" not in said + left


def test_a_log_that_nobody_reads_any_more_ends_nothing(contributed: Dcai) -> None:
    """Whoever read the log has gone: the cycle is good all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "dcai_cli", "daemon", "run", "--once", "--json"],
        env=surroundings(contributed),
        cwd=contributed.folder,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
        check=False,
    )
    os.close(writing)
    assert json.loads(done.stdout)["data"]["outcome"] == "good"
