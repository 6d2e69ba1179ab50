"""Several nodes as one, against real HTTP servers: order, patience, whose answer it is, batches, secrets."""

from __future__ import annotations

import gc
import gzip
import json
import logging
import random
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain import RpcError, open_chain
from dcai_cli.chain.http import Limits
from dcai_cli.chain.jsonrpc import Call, Trouble, decode, outcomes
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import Settings
from dcai_cli.errors import DcaiError, RpcUnreachable, WrongChain
from tests.conftest import PROJECT
from tests.unit.rpc_server import SECRET, Server, in_turn, refusal, serving

GENESIS = {"hash": "0x" + "11" * 32}
CUT: Any = (0, {}, b"")


def seeded(seed: int) -> random.Random:
    """A source that gives the same in every run."""
    return random.Random(seed)  # noqa: S311 - no secrets


class Clock:
    """Time that passes only while a client sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """Time for one test."""
    return Clock()


@pytest.fixture
def servers() -> Iterator[Callable[[], Server]]:
    """Starts servers of one chain, which end with the test."""
    with ExitStack() as stack:

        def start() -> Server:
            server = stack.enter_context(serving())
            server.answers |= {"eth_getBlockByNumber": GENESIS, "eth_blockNumber": "0x10"}
            return server

        yield start


@pytest.fixture
def connect(clock: Clock) -> Iterator[Callable[..., RemoteNode]]:
    """Makes clients that do not really sleep, and that end with the test."""
    with ExitStack() as stack:

        def make(*urls: str, **options: Any) -> RemoteNode:
            given = {"sleep": clock.sleep, "clock": clock, "rng": seeded(7), **options}
            node = RemoteNode(urls, {"X-Key": SECRET}, **given)
            stack.callback(node.close)
            return node

        yield make


Servers = Callable[[], Server]
Connect = Callable[..., RemoteNode]


def count(server: Server, method: str = "eth_blockNumber") -> int:
    """How often a method was asked for."""
    return server.requests.count(method)


# Order and patience


def test_the_first_node_that_works_is_used(servers: Servers, connect: Connect) -> None:
    """As long as the first answers, the second hears nothing."""
    first, second = servers(), servers()
    node = connect(first.url, second.url)
    assert [node.request("eth_blockNumber") for _ in range(3)] == ["0x10"] * 3
    assert (node.label, second.requests) == (first.host, [])


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ((429, {}, b""), 6),
        ((500, {}, b"oops"), 6),
        ((502, {}, b""), 6),
        ((503, {}, b'{"error": {"message": "busy"}}'), 6),
        (CUT, 6),
        (refusal("daily request count exceeded, request rate limited", -32_005), 6),
        (refusal("Too Many Requests", 429), 6),
        (refusal("limit exceeded", -32_005), 6),
        ((200, {}, b"<html>"), 3),
        ((200, {"Content-Length": "900"}, b'{"jsonrpc": "2.0", "id": 1, "result"'), 6),
        ((200, {}, b'{"jsonrpc": "2.0", "id": 1, "result"'), 6),
        ((200, {}, b"[" * 200_000), 3),
        ((429, {"Retry-After": "20"}, b""), 1),
        ((404, {}, b"no"), 1),
        ((401, {}, b'{"jsonrpc": "2.0", "id": null, "error": {"message": "no key"}}'), 1),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), 1),
    ],
)
def test_a_node_in_trouble_is_asked_again_and_then_the_next_one_is(
    servers: Servers, connect: Connect, clock: Clock, fault: Any, tries: int
) -> None:
    """What may pass is tried a bounded number of times, with waits that grow; what will not pass, once."""
    first, second = servers(), servers()
    node = connect(first.url, second.url)
    node.request("eth_chainId")
    first.answers["eth_blockNumber"] = fault
    assert node.request("eth_blockNumber") == "0x10"
    assert (count(first), count(second)) == (tries, 1)
    assert len(clock.waits) == tries - 1
    assert all(wait_s < later_s for wait_s, later_s in zip(clock.waits, clock.waits[2:], strict=False))
    assert sum(clock.waits) < 10


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": 3, "message": "execution reverted: rate limit", "data": "0x"}},
        refusal("execution reverted: too many requests"),
        refusal("nonce too low"),
        refusal("the method does not exist", -32_601),
        (500, {}, json.dumps({"jsonrpc": "2.0", "id": None, **refusal("bad block")}).encode()),
    ],
)
def test_an_answer_is_never_asked_for_again(
    servers: Servers, connect: Connect, clock: Clock, answer: Any
) -> None:
    """A revert, whatever it says, and any other refusal is the node's answer: no wait, no other node."""
    first, second = servers(), servers()
    first.answers["eth_call"] = answer
    with pytest.raises(RpcError):
        connect(first.url, second.url).request("eth_call")
    assert (count(first, "eth_call"), second.requests, clock.waits) == (1, [], [])


def test_who_failed_is_tried_last_for_a_while(servers: Servers, connect: Connect, clock: Clock) -> None:
    """After a rest the first is asked again, once; if it still fails it rests for longer."""
    first, second = servers(), servers()
    node = connect(first.url, second.url)
    first.answers["eth_blockNumber"] = CUT
    node.request("eth_blockNumber")
    node.request("eth_blockNumber")
    assert (count(first), count(second)) == (6, 2)
    clock.now += 31
    node.request("eth_blockNumber")
    assert (count(first), count(second)) == (7, 3)
    clock.now += 31
    node.request("eth_blockNumber")
    assert (count(first), count(second)) == (7, 4)
    clock.now += 31
    first.answers["eth_blockNumber"] = "0x11"
    assert node.request("eth_blockNumber") == "0x11"
    assert node.label == first.host


def test_a_node_that_failed_is_still_used_if_the_others_fail(servers: Servers, connect: Connect) -> None:
    """Last does not mean never."""
    first, second = servers(), servers()
    node = connect(first.url, second.url)
    first.answers["eth_blockNumber"] = in_turn(*[CUT] * 6, "0x12")
    assert node.request("eth_blockNumber") == "0x10"
    second.answers["eth_blockNumber"] = CUT
    assert node.request("eth_blockNumber") == "0x12"


def test_if_no_node_answers_all_are_named_with_what_was_wrong(servers: Servers, connect: Connect) -> None:
    """One error, exit code 13, with each host and its cause."""
    first, second = servers(), servers()
    first.answers["eth_blockNumber"], second.answers["eth_blockNumber"] = CUT, (404, {}, b"")
    with pytest.raises(RpcUnreachable) as failed:
        connect(first.url, second.url).request("eth_blockNumber")
    assert failed.value.exit_code == 13
    assert f"{first.host}: the connection was cut; {second.host}: HTTP 404." in failed.value.message


def test_patience_ends(servers: Servers, connect: Connect, clock: Clock) -> None:
    """A node that puts the client off again and again is given up after a minute and a half."""
    server = servers()
    server.answers["eth_blockNumber"] = (503, {"Retry-After": "9999"}, b"")
    with pytest.raises(RpcUnreachable, match="HTTP 503"):
        connect(server.url).request("eth_blockNumber")
    assert 60 <= sum(clock.waits) <= 90


def test_waits_of_many_clients_differ_but_those_of_one_seed_do_not(
    servers: Servers, connect: Connect, clock: Clock
) -> None:
    """Jitter comes from the given source only."""
    server = servers()
    server.answers["eth_blockNumber"] = CUT
    runs = []
    for seed in (1, 2, 1):
        clock.waits.clear()
        with pytest.raises(RpcUnreachable):
            connect(server.url, rng=seeded(seed)).request("eth_blockNumber")
        runs.append(list(clock.waits))
    assert runs[0] == runs[2] != runs[1]
    assert len(runs[0]) == 5


@pytest.mark.parametrize("after", ["-5", "soon", "1e9", "²", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400])
def test_a_strange_retry_after_is_survived(
    servers: Servers, connect: Connect, clock: Clock, after: str
) -> None:
    """Only whole seconds count, up to half a minute."""
    server = servers()
    server.answers["eth_blockNumber"] = in_turn((429, {"Retry-After": after}, b""), "0x5")
    assert connect(server.url).request("eth_blockNumber") == "0x5"
    assert clock.waits[0] <= 30.5


def test_an_answer_that_trickles_is_given_up(servers: Servers, connect: Connect) -> None:
    """Each part comes in time, but the whole does not."""
    server = servers()
    moments = iter(range(0, 10_000, 50))
    server.answers["eth_blockNumber"] = "0x" + "0" * 1_000_000
    node = connect(server.url, clock=lambda: float(next(moments)), limits=Limits(total_s=60))
    with pytest.raises(RpcUnreachable, match="no answer within 60 seconds"):
        node.request("eth_blockNumber")


# One chain


def other(server: Server, **answers: Any) -> Server:
    """Let a server be of another chain."""
    server.answers |= answers
    return server


OTHERS = [
    {"eth_chainId": "0x8"},
    {"eth_getBlockByNumber": {"hash": "0x" + "22" * 32}},
]


@pytest.mark.parametrize("difference", OTHERS)
def test_a_node_of_another_chain_is_refused_by_name(
    servers: Servers, connect: Connect, difference: dict[str, Any]
) -> None:
    """Same chain id and same genesis block, or it gets no question of ours."""
    first, second = servers(), other(servers(), **difference)
    node = connect(first.url, second.url)
    node.request("eth_blockNumber")
    first.answers["eth_blockNumber"] = CUT
    with pytest.raises(WrongChain, match=f"The node at {second.host} is on") as refused:
        node.request("eth_blockNumber")
    assert count(second) == 0
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_a_node_of_another_chain_is_passed_over_for_a_third(servers: Servers, connect: Connect) -> None:
    """One wrong URL does not stop the work that a right one can do; and it is checked only once."""
    first, second, third = servers(), other(servers(), eth_chainId="0x8"), servers()
    node = connect(first.url, second.url, third.url)
    node.request("eth_blockNumber")
    first.answers["eth_blockNumber"] = CUT
    assert [node.request("eth_blockNumber") for _ in range(3)] == ["0x10"] * 3
    assert (count(second), count(second, "eth_chainId"), count(third)) == (0, 1, 3)


def test_each_node_is_checked_once_and_a_single_one_not_at_all(servers: Servers, connect: Connect) -> None:
    """Chain id and genesis come in one message; a command with one URL pays nothing for it."""
    first, second, alone = servers(), servers(), servers()
    node = connect(first.url, second.url)
    for _ in range(3):
        node.request("eth_blockNumber")
    assert first.requests == ["eth_chainId", "eth_getBlockByNumber", *["eth_blockNumber"] * 3]
    assert first.messages == [2, 1, 1, 1]
    connect(alone.url).request("eth_blockNumber")
    assert alone.requests == ["eth_blockNumber"]


@pytest.mark.parametrize("block", [None, {}, {"hash": 5}, {"hash": "0x11"}, refusal("pruned")])
def test_a_node_that_does_not_show_its_genesis_is_not_used(
    servers: Servers, connect: Connect, block: Any
) -> None:
    """It may be on any chain."""
    first, second = servers(), servers()
    first.answers["eth_getBlockByNumber"] = block
    assert connect(first.url, second.url).request("eth_blockNumber") == "0x10"
    assert (count(first), count(second)) == (0, 1)


def test_the_settings_take_several_urls(servers: Servers, tmp_path: Path) -> None:
    """Separated by commas, in order; the chain says which one answered."""
    first, second = servers(), servers()
    first.answers = {"eth_chainId": (404, {}, b"")}
    settings = Settings(tmp_path, tmp_path, tmp_path, rpc_url=f"{first.url}, {second.url}", chain_id=7)
    with open_chain(settings) as chain:
        assert (chain.chain_id, chain.url_label) == (7, second.host)
        assert SECRET not in repr(chain)


# Whose answer is it?


def test_an_answer_with_another_number_is_not_taken(servers: Servers, connect: Connect, clock: Clock) -> None:
    """A proxy that repeats an old answer, or mixes two up, does not change what we believe."""
    server = servers()
    node = connect(server.url)
    old: list[bytes] = []
    server.meddle = lambda body: old.append(body) or body  # type: ignore[func-returns-value]
    node.request("eth_chainId")
    server.meddle = in_turn_bodies(old[0], old[0].replace(b'"id"', b'"no"'), old[0])
    assert node.request("eth_blockNumber") == "0x10"
    assert len(clock.waits) == 3


def in_turn_bodies(*bodies: bytes) -> Callable[[bytes], bytes]:
    """Puts bodies in the place of what would go out; then lets everything through."""
    left = list(bodies)
    return lambda body: left.pop(0) if left else body


@pytest.mark.parametrize("number", [b"true", b'"1"', b"1.0", b"null", b"[]", b"{}"])
def test_a_number_of_another_type_is_not_ours(servers: Servers, connect: Connect, number: bytes) -> None:
    """Only the same whole number will do."""
    server = servers()
    server.answers["eth_blockNumber"] = (
        200,
        {},
        b'{"jsonrpc": "2.0", "id": ' + number + b', "result": "0x1"}',
    )
    with pytest.raises(RpcUnreachable, match="belongs to another request"):
        connect(server.url, rng=Counting()).request("eth_blockNumber")


class Counting(random.Random):  # noqa: S311 - of numbers that need not be secret
    """Numbers requests from one."""

    def getrandbits(self, _k: int, /) -> int:
        """Nothing before the first."""
        return 0


def test_after_a_foreign_answer_the_connection_is_a_new_one(servers: Servers, connect: Connect) -> None:
    """On the old one all later answers may be out of step; otherwise one connection serves all requests."""
    server = servers()
    node = connect(server.url)
    for _ in range(3):
        node.request("eth_blockNumber")
    assert len(server.connections) == 1
    server.meddle = in_turn_bodies(b'{"jsonrpc": "2.0", "id": 0, "result": "0x1"}')
    node.request("eth_blockNumber")
    assert len(server.connections) == 2


def test_two_clients_number_their_requests_differently(servers: Servers) -> None:
    """Behind one proxy that mixes up answers, an answer to one is none to the other."""
    server = servers()
    numbers: list[int] = []
    server.meddle = lambda body: numbers.append(json.loads(body)["id"]) or body  # type: ignore[func-returns-value]
    for _ in range(2):
        node = RemoteNode([server.url], {})
        node.request("eth_blockNumber")
        node.close()
    assert numbers[0] != numbers[1]


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_has_a_largest_size(servers: Servers, connect: Connect, packed: bool) -> None:
    """Whether it comes plain or packed, what comes out is counted; below the limit both are read."""
    server = servers()
    headers = {"Content-Encoding": "gzip"} if packed else {}

    def answer(size: int) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0" * size}).encode()
        return (200, headers, gzip.compress(body) if packed else body)

    server.answers["eth_blockNumber"] = in_turn(answer(90_000), answer(200_000))
    limits = Limits(body_bytes=100_000)
    assert len(connect(server.url, rng=Counting(), limits=limits).request("eth_blockNumber")) == 90_000
    with pytest.raises(RpcError, match="larger than 100,000 bytes"):
        connect(server.url, rng=Counting(), limits=limits).request("eth_blockNumber")
    assert Limits().body_bytes == 256 * 2**20


# Batches


def test_many_requests_go_in_one_message_and_come_back_in_their_order(
    servers: Servers, connect: Connect
) -> None:
    """Results, nulls and errors each stand where their request stood, in whatever order the node answers."""
    server = servers()
    server.answers |= {"a": in_turn("0x1", "0x2"), "b": None, "c": refusal("no", 5)}

    def backwards(calls: list[dict[str, Any]]) -> Any:
        answers: dict[str, list[Any]] = {"a": ["0x1", "0x2"], "b": [None], "c": [refusal("no", 5)]}
        found = [(call, answers[call["method"]].pop(0)) for call in calls]
        forms = [
            {"id": call["id"], **(value if isinstance(value, dict) else {"result": value})}
            for call, value in found
        ]
        return forms[::-1]

    server.batches = backwards
    found = connect(server.url).request_many([("a", [1]), ("b", []), ("c", []), ("a", [2])])
    assert [found[0], found[1], found[3]] == ["0x1", None, "0x2"]
    assert isinstance(found[2], RpcError)
    assert (found[2].message, found[2].rpc_code, server.messages) == ("no", 5, [4])


@pytest.mark.parametrize(
    "refused",
    [
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32_600, "message": "batches are not supported"}},
        (413, {}, b"too large"),
        (400, {}, b"request entity too large"),
        (500, {}, b'{"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "no arrays"}}'),
    ],
)
def test_a_node_without_batches_is_asked_one_by_one(
    servers: Servers, connect: Connect, clock: Clock, refused: Any
) -> None:
    """It is found out without waiting, and remembered."""
    server = servers()
    server.batches = lambda _: refused
    node = connect(server.url)
    asked: list[tuple[str, list[Any]]] = [("eth_blockNumber", [])] * 5
    assert node.request_many(asked) == ["0x10"] * 5
    assert server.messages[-5:] == [1] * 5
    refusals = len(server.messages)
    assert node.request_many(asked) == ["0x10"] * 5
    assert server.messages[refusals:] == [1] * 5
    assert clock.waits == []


def test_a_cap_on_batches_is_met_by_smaller_ones(servers: Servers, connect: Connect) -> None:
    """Halves, until the node takes them; nothing is asked for twice that was answered."""
    server = servers()

    def capped(calls: list[dict[str, Any]]) -> Any:
        if len(calls) > 30:
            return {
                "id": None,
                **refusal("batch limit of 30 exceeded: too many requests in a batch", -32_600),
            }
        return [{"id": call["id"], "result": hex(call["params"][0])} for call in calls]

    server.batches = capped
    found = connect(server.url).request_many([("n", [number]) for number in range(250)])
    assert found == [hex(number) for number in range(250)]
    assert max(server.messages[2:]) == 25


def test_what_is_missing_in_a_batch_is_asked_for_again(
    servers: Servers, connect: Connect, clock: Clock
) -> None:
    """Lost, doubled with another value, or busy: only those come again; foreign ones are passed over."""
    server = servers()

    def lossy(calls: list[dict[str, Any]]) -> Any:
        one, two, three, *rest = calls
        answers = [{"id": call["id"], "result": call["params"][0]} for call in rest]
        return [
            {"id": two["id"], "result": "0x1"},
            {"id": two["id"], "result": "0x2"},
            {"id": three["id"], **refusal("rate limit", 429)},
            {"id": one["id"] - 1, "result": "0x3"},
            "junk",
            {"id": [one["id"]], "result": "0x4"},
            {"id": float(one["id"]), "result": "0x5"},
            *answers,
        ]

    def once(calls: list[dict[str, Any]]) -> Any:
        server.batches = None
        return lossy(calls)

    server.batches = once
    server.answers["n"] = lambda number: number
    found = connect(server.url).request_many([("n", [number]) for number in range(6)])
    assert found == list(range(6))
    assert server.messages == [6, 3]
    assert len(clock.waits) == 1


def test_a_batch_that_breaks_off_is_finished_by_the_next_node(servers: Servers, connect: Connect) -> None:
    """What the first node answered is kept."""
    first, second = servers(), servers()
    node = connect(first.url, second.url)
    node.request("eth_chainId")
    first.batches = lambda calls: [{"id": call["id"], "result": "0x1"} for call in calls[:2]]
    first.answers["n"] = second.answers["n"] = in_turn(CUT)
    second.batches = lambda calls: [{"id": call["id"], "result": "0x2"} for call in calls]
    assert node.request_many([("n", [])] * 4) == ["0x1", "0x1", "0x1", "0x1"]


def test_no_requests_are_no_message(servers: Servers, connect: Connect) -> None:
    """An empty batch would be an error."""
    server = servers()
    assert connect(server.url).request_many([]) == []
    assert server.messages == []


# Secrets


FAULTS: dict[str, Any] = {
    "cut": CUT,
    "status": (404, {}, SECRET.encode()),
    "error": refusal(f"no project {SECRET} for key {SECRET}"),
    "html": (200, {}, f"<html>{SECRET}".encode()),
    "cut body": (200, {"Content-Length": "99"}, b"{"),
    "redirection": (307, {"Location": f"http://127.0.0.1:9/{SECRET}"}, b""),
    "bad encoding": (200, {"Content-Encoding": "gzip"}, b"no gzip"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_part_of_a_url_but_the_host_shows(
    servers: Servers, connect: Connect, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """Not in the message, the repr, what stands behind the error, or in anybody's most talkative log."""
    server = servers()
    server.answers["eth_blockNumber"] = FAULTS[fault]
    node = connect(server.url)
    with caplog.at_level(logging.DEBUG), pytest.raises(DcaiError) as failed:
        node.request("eth_blockNumber")
    assert_silent(failed.value, node, caplog.text)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}",
        f"https://user:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}",
        f"http://user:{SECRET}@no-such-host.invalid/{SECRET}",
        f"http://user:{SECRET}@{'a' * 70}.example/{SECRET}",
        f"ws://user:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}",
        f"wss://user:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}",
    ],
)
def test_no_part_of_a_url_shows_where_nobody_listens(
    connect: Connect, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    """Refused connections, unknown and impossible hosts, over HTTP, TLS and WebSockets."""
    node = connect(url)
    with caplog.at_level(logging.DEBUG), pytest.raises(RpcUnreachable) as failed:
        node.request("eth_blockNumber")
    assert_silent(failed.value, node, caplog.text)


def test_headers_that_cannot_be_sent_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    """The library's complaint would quote the value."""
    node = RemoteNode(["http://127.0.0.1:1"], {"X-Key": f"{SECRET}\n{SECRET}"})
    with caplog.at_level(logging.DEBUG), pytest.raises(RpcUnreachable) as failed:
        node.request("eth_blockNumber")
    assert_silent(failed.value, node, caplog.text)


def assert_silent(error: BaseException, node: RemoteNode, log: str) -> None:
    """Nothing that a user or a bug report could show holds the secret."""
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.format_exception(error)) + repr(node) + node.label + log
    assert SECRET not in shown + str(getattr(error, "hint", ""))


def test_what_a_node_says_cannot_steer_a_terminal(servers: Servers, connect: Connect) -> None:
    """Control characters, lone surrogates and endless texts are cut down to one short line."""
    server = servers()
    server.answers["eth_blockNumber"] = refusal("\x1b[2J\r\n\ud800\u202e" + "x" * 5_000)
    with pytest.raises(RpcError) as refused:
        connect(server.url).request("eth_blockNumber")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) <= 300
    assert refused.value.message.encode()


def test_headers_are_not_carried_to_another_host(servers: Servers, connect: Connect) -> None:
    """A redirection is refused, not followed."""
    first, second = servers(), servers()
    first.answers["eth_blockNumber"] = (307, {"Location": f"http://{second.host}/"}, b"")
    with pytest.raises(RpcUnreachable, match="HTTP 307"):
        connect(first.url).request("eth_blockNumber")
    assert second.requests == []


def test_a_header_is_stronger_than_netrc(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user gave for this node is what it gets."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = servers()
    node = RemoteNode([f"http://{server.host}"], {"Authorization": "Bearer mine"})
    node.request("eth_blockNumber")
    node.close()
    assert server.headers[-1]["Authorization"] == "Bearer mine"


def test_proxies_are_taken_from_the_environment(
    servers: Servers, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every other program of the machine does it."""
    proxy = servers()
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert connect("http://node.invalid:8545/").request("eth_blockNumber") == "0x10"
    assert proxy.headers[-1]["Host"] == "node.invalid:8545"


# Hostile


def malformed(rng: random.Random) -> bytes:
    """An answer in which bytes were changed, lost, put in and repeated."""
    body = bytearray(b'{"jsonrpc": "2.0", "id": 1, "result": {"a": ["0x1", null, true, 1e999, -0]}}')
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(body))
        match rng.randrange(4):
            case 0:
                body[place] = rng.randrange(256)
            case 1:
                del body[place : place + rng.randrange(9)]
                body = body or bytearray(b"{")
            case 2:
                body[place:place] = rng.choice([b'"error"', b"[", b"{", b"\xff", b'"id": 1,', b"1" * 5_000])
            case _:
                body[place:place] = body[: rng.randrange(len(body))]
    return bytes(body)


def test_ten_thousand_malformed_answers_are_trouble_or_answers() -> None:
    """Whatever bytes come, reading them raises nothing."""
    rng = seeded(5)
    for calls in ([Call(1, "a", ())], [Call(1, "a", ()), Call(2, "b", ())]):
        found = [outcomes(calls, decode(malformed(rng)), str) for _ in range(5_000)]
        assert all(len(outcome) == len(calls) for outcome in found)
        assert sum(isinstance(outcome[0], Trouble) for outcome in found) > 2_000


MAZES = [
    b"[" * 1_000_000,
    b'{"a":' * 200_000,
    b'[{"]]": [], "b\\"]": ' * 100_000,
    b'"' * 999_999 + b"[" * 200,
]


@pytest.mark.parametrize("maze", MAZES, ids=["lists", "objects", "decoys", "quotes"])
def test_a_maze_of_brackets_does_not_end_the_process(maze: bytes) -> None:
    """py-evm lets Python recurse so deep that json would overflow the stack: the process would be gone."""
    code = (
        "import sys; sys.setrecursionlimit(10**6)\n"
        "from dcai_cli.chain.jsonrpc import NOT_JSON, CUT, decode\n"
        "sys.exit(decode(sys.stdin.buffer.read()) not in (NOT_JSON, CUT))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=maze, cwd=PROJECT, check=False, timeout=60)
    assert done.returncode == 0


def test_many_brackets_side_by_side_are_no_maze() -> None:
    """Thousands of logs stand beside each other, and texts may hold what they like."""
    value = [{"topics": ["[[[{{{"] * 3, "data": ['\\"']}] * 5_000
    assert decode(json.dumps(value).encode()) == value


def test_malformed_answers_never_end_in_a_traceback(servers: Servers, connect: Connect) -> None:
    """Over a real connection, what comes out is a value or one of our errors."""
    server = servers()
    rng = seeded(6)
    server.meddle = lambda _: malformed(rng)
    node = connect(server.url, rng=Counting())
    failed = 0
    for _ in range(100):
        try:
            node.request("eth_blockNumber")
        except DcaiError:
            failed += 1
    assert failed > 50


def test_a_closed_client_leaves_no_socket(servers: Servers) -> None:
    """Connections that are kept are closed with the client: a warning would fail this test."""
    server = servers()
    node = RemoteNode([server.url], {})
    node.request("eth_blockNumber")
    node.close()
    del node
    gc.collect()
