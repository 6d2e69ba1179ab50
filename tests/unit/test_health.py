"""The daemon's web page: what it answers, to whom, and that no client can hold anything up."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dcai_cli.errors import DcaiError, UsageError
from dcai_cli.services.daemon.health import MOST_CONNECTIONS, HealthServer, parse_listen
from dcai_cli.services.daemon.state import DaemonState
from dcai_cli.services.exposure import Exposure

NOW = 1_800_000_000
GOOD = DaemonState(
    account="0xA11ce",
    chain="1-00",
    network='node "one"',
    version="0.1.0",
    started_at=NOW - 100,
    interval_s=600,
    stale_after_s=1800,
    last_end=NOW - 10,
    last_good=NOW - 10,
    next_at=NOW + 590,
    cycles={"good": 4, "failed": 1},
    errors={"rpc-unreachable": 1},
    claims={"refund": 3},
    left={"waiting": 2},
    exposure=Exposure(5, 50, 2, 20, 1, 10, NOW + 7200, NOW + 60, NOW),
    balance_wei=10**18,
    fee_wei=77,
    fee_today_wei=7,
    budget_wei=100,
    lost_wei=9,
)


class Page:
    """A running page whose state can be changed."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.state = GOOD
        self.now = float(NOW)
        self.server = HealthServer(host, 0, lambda: self.state, lambda: self.now)
        self.place = self.server.url.removeprefix("http://")

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """Ask for something."""
        with closing(http.client.HTTPConnection(self.place, timeout=10)) as client:
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def page() -> Iterator[Page]:
    """A page on a free port."""
    page = Page()
    with page.server:
        yield page


def test_it_is_healthy_until_the_last_good_cycle_is_stale(page: Page) -> None:
    """200 up to the limit, 503 a second later; the document says why."""
    page.now = NOW - 10 + 1800
    status, body = page.get("/healthz")
    assert (status, json.loads(body)["healthy"]) == (200, True)
    page.now += 1
    page.state = replace(GOOD, error={"code": "rpc-unreachable", "message": "The node is away."}, failures=3)
    status, body = page.get("/healthz")
    assert (status, json.loads(body)["why"]) == (
        503,
        "The last good cycle ended 1801 s ago, the limit is 1800 s: The node is away.",
    )
    page.state = replace(GOOD, last_good=None)
    status, body = page.get("/healthz?verbose")
    assert (status, json.loads(body)["why"]) == (503, "There was no good cycle yet.")


def test_prometheus_reads_the_metrics(page: Page) -> None:
    """Its own parser finds every figure; what is not known is left out."""
    status, body = page.get("/metrics")
    assert status == 200
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert found["dcai_daemon_info", "0xA11ce", "1-00", 'node "one"', "0.1.0"] == 1
    expected = {
        ("dcai_healthy",): 1,
        ("dcai_pending_batches",): 5,
        ("dcai_pending_wei",): 50,
        ("dcai_claimable_batches",): 2,
        ("dcai_claimable_wei",): 20,
        ("dcai_at_risk_batches",): 1,
        ("dcai_at_risk_wei",): 10,
        ("dcai_lost_wei",): 9,
        ("dcai_balance_wei",): 1e18,
        ("dcai_gas_spent_wei_total",): 77,
        ("dcai_gas_spent_today_wei",): 7,
        ("dcai_gas_budget_wei",): 100,
        ("dcai_oldest_deadline_timestamp_seconds",): NOW + 7200,
        ("dcai_last_good_cycle_timestamp_seconds",): NOW - 10,
        ("dcai_next_cycle_timestamp_seconds",): NOW + 590,
        ("dcai_cycles_total", "good"): 4,
        ("dcai_cycles_total", "failed"): 1,
        ("dcai_errors_total", "rpc-unreachable"): 1,
        ("dcai_claims_total", "refund"): 3,
        ("dcai_left_batches", "waiting"): 2,
    }
    assert {name: found[name] for name in expected} == expected
    page.state = DaemonState()
    text = page.get("/metrics")[1].decode()
    assert "dcai_balance_wei" not in text
    assert "dcai_healthy 0.0" in text


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/", "GET", "", 404),
        ("/healthz/x", "GET", "", 404),
        ("/healthz", "HEAD", "", 200),
        ("/healthz", "POST", "", 501),
        ("/healthz", "GET", "localhost:1", 200),
        ("/healthz", "GET", "[::1]:1", 200),
        ("/healthz", "GET", "evil.example", 403),
        ("/metrics", "GET", "10.0.0.1:80", 403),
    ],
)
def test_what_is_asked_otherwise_is_refused(
    page: Page, path: str, method: str, host: str, status: int
) -> None:
    """Two pages, to be read, under names of this machine only: a browser's page may point its name here."""
    headers = {"Host": host} if host else {}
    assert page.get(path, method, **headers)[0] == status


def test_slow_clients_keep_nobody_out(page: Page) -> None:
    """More connections than are served at a time, each silent: the next one is answered at once."""
    silent = []
    try:
        for _ in range(3 * MOST_CONNECTIONS):
            client = socket.create_connection(("127.0.0.1", int(page.place.rpartition(":")[2])), timeout=10)
            client.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            silent.append(client)
        assert page.get("/healthz")[0] == 200
        assert silent[0].recv(1) == b""  # the oldest went
    finally:
        for client in silent:
            client.close()


@pytest.mark.parametrize(
    "sent", [b"\x00\xff\x16\x03\x01\r\n\r\n", b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n", b"\r\n", b""]
)
def test_what_is_no_request_leaves_the_page_as_it_is(
    page: Page, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes of another protocol, an endless line, nothing: the next client is served; no log."""
    with socket.create_connection(("127.0.0.1", int(page.place.rpartition(":")[2])), timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
    assert page.get("/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_says_so(page: Page) -> None:
    """The message names the address, the hint another port."""
    with pytest.raises(DcaiError, match=r"cannot listen at 127\.0\.0\.1:"):
        HealthServer("127.0.0.1", int(page.place.rpartition(":")[2]), lambda: GOOD, lambda: NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("127.1.2.3:1", ("127.1.2.3", 1)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("9464", ("127.0.0.1", 9464)),
    ],
)
def test_loopback_addresses_are_taken(text: str, expected: tuple[str, int]) -> None:
    """IPv4, IPv6, the name, or a port alone."""
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0:1",
        "[::]:1",
        "192.168.0.1:1",
        "example.org:1",
        "127.0.0.1:70000",
        "127.0.0.1",
        "::1:80",
        "",
        ":",
    ],
)
def test_what_others_can_reach_is_refused(text: str) -> None:
    """Every other address, and what is none, is a usage error."""
    with pytest.raises(UsageError):
        parse_listen(text)
