"""Reading logs from a real HTTP server that caps, forgets and lies as providers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain import Block, Chain, PrunedLogs, RpcError, abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.logs import FIRST_BLOCKS, Span
from dcai_cli.chain.providers import is_busy, is_cap, is_pruned
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import Settings
from dcai_cli.errors import RpcUnreachable
from tests.unit.rpc_server import SECRET, Server, in_turn, refusal, serving

TRAINER = "CollaborativeTrainer"
ADDRESS = "0x" + "22" * 20
OTHER = "0x" + "33" * 20
EVENTS = artifact(TRAINER).events
TOPIC = {name: f"0x{abi.topic(entry).hex()}" for name, entry in EVENTS.items()}


def sealed(number: int, **changes: Any) -> dict[str, Any]:
    """A log of the event Sealed, in a block."""
    return {
        "address": ADDRESS,
        "topics": [TOPIC["Sealed"]],
        "data": f"0x{number:064x}",
        "blockNumber": hex(number),
        "blockHash": f"0x{number:064x}",
        "transactionHash": f"0x{number + 1:064x}",
        "logIndex": "0x0",
        **changes,
    }


def swept(number: int, sweeper: str, **changes: Any) -> dict[str, Any]:
    """A log of the event Swept, in a block."""
    topics = [TOPIC["Swept"], f"0x{number:064x}", "0x" + "00" * 12 + sweeper[2:]]
    return sealed(number, topics=topics, **changes)


class Provider:
    """A node with one log in every n-th block, and a provider's cap before it.

    Args:
        cap: refuses a range of blocks, or lets it through with None.
        every: blocks between two logs.
        head: the latest block.
    """

    def __init__(self, cap: Callable[[int, int], Any], *, every: int = 1, head: int = 99) -> None:
        self.cap = cap
        self.every = every
        self.head = head
        self.asked: list[int] = []

    def __call__(self, query: dict[str, Any]) -> Any:
        """Answer eth_getLogs."""
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        self.asked.append(last - first + 1)
        refused = self.cap(first, last)
        if refused is not None:
            return refused
        return [sealed(number) for number in range(last, first - 1, -1) if number % self.every == 0]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free loopback port."""
    with serving() as running:
        yield running


@pytest.fixture
def chain(server: Server, tmp_path: Path) -> Iterator[Chain]:
    """A client of the server that does not really sleep."""
    node = RemoteNode([server.url], {}, sleep=lambda _: None)
    yield Chain(node, Settings(tmp_path, tmp_path, tmp_path))
    node.close()


def use(server: Server, provider: Provider) -> Provider:
    """Let a server answer as a provider."""
    server.answers |= {"eth_getLogs": provider, "eth_blockNumber": hex(provider.head)}
    return provider


def times(chain: Chain, first: int = 0) -> list[int]:
    """The arguments of all events that are found."""
    return [event.args["sealedAt"] for event in chain.logs(TRAINER, ADDRESS, "Sealed", first)]


# Caps


CAPS: dict[str, Any] = {
    "infura": refusal("query returned more than 10000 results", -32_005),
    "infura range": refusal("range 1000000 exceeds limit of 10000", -32_602),
    "alchemy": refusal(
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"
    ),
    "quicknode": (
        413,
        {},
        b'{"id": null, "error": {"code": -32614, "message": "eth_getLogs is limited to a 10,000 range"}}',
    ),
    "erigon": refusal("block range too large, max range: 100", -32_005),
    "reth": refusal("query exceeds max block range 100000", -32_602),
    "morph": refusal(
        "block range is larger than max block range, block range = 5120, max block range = 5000"
    ),
    "free tier": refusal("ranges over 10000 blocks are not supported on freetier", 35),
    "frontier": refusal("block range is too wide (maximum 10)"),
    "tenderly": {
        "error": {
            "code": -32602,
            "message": "invalid params",
            "data": {"error_id": "4e", "payload": "range 9009594 is bigger than range limit 2000"},
        }
    },
    "time": refusal("query timeout exceeded", -32_005),
    "bare code": refusal("limit exceeded", -32_005),
    "proxy": (413, {}, b"<html>Request Entity Too Large"),
    "proxy's words": (400, {}, b"response too large"),
}


@pytest.mark.parametrize("wording", CAPS)
def test_a_refused_range_is_asked_for_in_parts(chain: Chain, server: Server, wording: str) -> None:
    """However a provider words its cap of 10 blocks, all events come, once each and in order."""
    provider = use(server, Provider(lambda first, last: CAPS[wording] if last - first >= 10 else None))
    assert times(chain) == list(range(100))
    assert len(provider.asked) <= 20
    # The next query starts with what worked, and is not refused again.
    provider.asked.clear()
    assert times(chain) == list(range(100))
    assert len(provider.asked) <= 13
    assert sum(blocks > 10 for blocks in provider.asked) <= 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal("the method does not exist", -32_601),
        refusal("invalid argument 0: hex string without 0x prefix", -32_602),
        refusal("block range extends beyond current head block", -32_602),
        refusal("invalid block range params"),
        refusal("internal error", -32_603),
    ],
)
def test_an_error_that_is_no_cap_is_raised_at_once(chain: Chain, server: Server, answer: Any) -> None:
    """Asking for half of it would not help."""
    provider = use(server, Provider(lambda *_: answer))
    with pytest.raises(RpcError, match=answer["error"]["message"]):
        times(chain)
    assert len(provider.asked) == 1


def test_a_cap_on_a_single_block_is_an_error(chain: Chain, server: Server) -> None:
    """Splitting ends: 100 blocks, 50, 25, 12, 6, 3, 1."""
    provider = use(server, Provider(lambda *_: CAPS["infura"]))
    with pytest.raises(RpcError, match="more than 10000 results"):
        times(chain)
    assert provider.asked == [100, 50, 25, 12, 6, 3, 1]


def test_an_answer_that_is_too_large_for_us_is_asked_for_in_parts(server: Server, tmp_path: Path) -> None:
    """The client's own limit counts as a cap."""
    from dcai_cli.chain.http import Limits

    provider = use(server, Provider(lambda *_: None))
    node = RemoteNode([server.url], {}, limits=Limits(body_bytes=10_000))
    assert times(Chain(node, Settings(tmp_path, tmp_path, tmp_path))) == list(range(100))
    node.close()
    assert 25 in provider.asked


@pytest.mark.parametrize(
    "words",
    ["this block range should work: [0x0, 0x6]", "query exceeds max results 7, retry with the range 0-6"],
)
def test_the_range_that_a_provider_names_is_taken(chain: Chain, server: Server, words: str) -> None:
    """It knows better than halving does."""
    provider = use(server, Provider(in_turn(refusal(words), None)))
    assert times(chain) == list(range(100))
    assert provider.asked[:2] == [100, 7]


def test_a_range_that_helps_nothing_is_not_taken(chain: Chain, server: Server) -> None:
    """Some nodes name the very range that they refuse: that would go on for ever."""
    words = "query exceeds max results 20000, retry with the range 0-99"
    provider = use(server, Provider(lambda first, last: refusal(words) if last - first > 60 else None))
    assert times(chain) == list(range(100))
    assert provider.asked[:2] == [100, 50]


def test_a_busy_node_is_no_cap(chain: Chain, server: Server) -> None:
    """A limit of requests passes by waiting, not by asking more often."""
    provider = use(server, Provider(in_turn(refusal("project ID request rate exceeded", -32_005), None)))
    assert times(chain) == list(range(100))
    assert provider.asked == [100, 100]
    server.answers["eth_getLogs"] = refusal("daily request count exceeded, request rate limited", -32_005)
    with pytest.raises(RpcUnreachable, match="busy"):
        times(chain)


def test_ranges_grow_where_little_happens_and_shrink_where_much_does(chain: Chain, server: Server) -> None:
    """A million empty blocks take few questions; a crowded part comes in pieces that fit into memory."""
    provider = use(server, Provider(lambda *_: None, every=1_000_000, head=1_000_000))
    assert times(chain) == [0, 1_000_000]
    assert provider.asked[:3] == [FIRST_BLOCKS, 2 * FIRST_BLOCKS, 4 * FIRST_BLOCKS]
    assert len(provider.asked) <= 10
    provider = use(server, Provider(lambda *_: None, head=4_000))
    span = Span()
    chain._log_reader._span = span
    assert times(chain) == list(range(4_001))
    assert span.blocks <= 1_000


def test_a_fixed_cap_costs_few_refusals_in_a_long_history(chain: Chain, server: Server) -> None:
    """Growing is tried now and then, since caps may be lifted, but it is no more than one question in ten."""
    provider = use(
        server,
        Provider(
            lambda first, last: CAPS["reth"] if last - first >= 2_000 else None, every=50_000, head=1_000_000
        ),
    )
    assert times(chain) == list(range(0, 1_000_001, 50_000))
    assert sum(blocks > 2_000 for blocks in provider.asked) <= len(provider.asked) / 10
    assert len(provider.asked) <= 1_000_000 / 2_000 * 1.5


def test_a_span_recovers_when_a_cap_is_lifted() -> None:
    """What was refused once is tried again after a while."""
    span = Span()
    span.capped(2_000)
    for _ in range(200):
        span.worked(span.blocks, 0)
    assert span.blocks > 100_000


# Parts


def test_a_follower_gets_each_range_with_its_last_block(chain: Chain, server: Server) -> None:
    """So it can note how far it came; empty ranges count, too."""
    provider = use(
        server, Provider(lambda first, last: CAPS["reth"] if last - first >= 40 else None, every=90)
    )
    parts = list(chain.logs_of(TRAINER, ADDRESS, ["Sealed", "Swept"], 0))
    ends = [last for last, _ in parts]
    assert ends == sorted(set(ends))
    assert ends[-1] == 99
    assert [[event.block_number for event in events] for _, events in parts if events] == [[0], [90]]
    assert len(parts) < len(provider.asked)
    assert list(chain.logs_of(TRAINER, ADDRESS, ["Sealed"], 100)) == []


def test_several_kinds_are_asked_for_in_one_query(chain: Chain, server: Server) -> None:
    """Kinds in the first topic, the indexed argument in its place, the address only if there is one."""
    asked: list[dict[str, Any]] = []
    found = [swept(5, OTHER), sealed(4)]
    server.answers["eth_getLogs"] = lambda query: asked.append(query) or found  # type: ignore[func-returns-value]
    events = [event for _, part in chain.logs_of(TRAINER, None, ["Swept", "Sealed"], 1, 9) for event in part]
    assert [(event.name, event.block_number) for event in events] == [("Sealed", 4), ("Swept", 5)]
    assert events[0].block_hash == f"0x{4:064x}"
    found = [swept(5, OTHER)]
    chain.logs(TRAINER, ADDRESS, "Swept", 1, 9, sweeper=OTHER, batchId=None)
    assert asked == [
        {"fromBlock": "0x1", "toBlock": "0x9", "topics": [[TOPIC["Swept"], TOPIC["Sealed"]]]},
        {
            "fromBlock": "0x1",
            "toBlock": "0x9",
            "topics": [[TOPIC["Swept"]], None, "0x" + "00" * 12 + OTHER[2:]],
            "address": ADDRESS,
        },
    ]


def test_arguments_that_are_not_indexed_alike_are_refused(chain: Chain) -> None:
    """A fault of ours, not of the node: it is seen before anything is asked."""
    with pytest.raises(TypeError, match="Sealed has no indexed argument owner"):
        chain.logs(TRAINER, ADDRESS, "Sealed", 0, owner=ADDRESS)
    with pytest.raises(TypeError, match="Reported has no indexed argument contributor"):
        chain.logs_of(TRAINER, ADDRESS, ["Contributed", "Reported"], 0, contributor=ADDRESS)


def test_logs_that_were_reorganised_away_are_left_out(chain: Chain, server: Server) -> None:
    """A log marked as removed never happened."""
    server.answers["eth_getLogs"] = [sealed(3, removed=True), sealed(4, removed=False), sealed(4)]
    assert [event.block_number for event in chain.logs(TRAINER, ADDRESS, "Sealed", 0, 9)] == [4]


# Lies


LIES: dict[str, list[dict[str, Any]]] = {
    "of another contract": [sealed(5, address=OTHER)],
    "before the range": [sealed(0)],
    "after the range": [sealed(10)],
    "of another kind": [swept(5, OTHER)],
    "of an unknown kind": [sealed(5, topics=["0x" + "77" * 32])],
    "anonymous": [sealed(5, topics=[])],
    "two in one place": [sealed(5), sealed(5, data=f"0x{6:064x}")],
    "two blocks of one number": [sealed(5), sealed(5, logIndex="0x1", blockHash="0x" + "99" * 32)],
}


@pytest.mark.parametrize("lie", LIES)
def test_logs_that_were_not_asked_for_are_refused(chain: Chain, server: Server, lie: str) -> None:
    """A node that lies, or is broken, adds nothing to what we believe."""
    server.answers["eth_getLogs"] = LIES[lie]
    with pytest.raises(RpcError, match="does not fit the question") as refused:
        chain.logs(TRAINER, ADDRESS, "Sealed", 1, 9)
    assert SECRET not in refused.value.message


def test_logs_of_another_argument_are_refused(chain: Chain, server: Server) -> None:
    """Somebody else's sweep is not ours."""
    server.answers["eth_getLogs"] = [swept(5, OTHER)]
    assert len(chain.logs(TRAINER, ADDRESS, "Swept", 1, 9, sweeper=OTHER)) == 1
    with pytest.raises(RpcError, match="does not fit the question"):
        chain.logs(TRAINER, ADDRESS, "Swept", 1, 9, sweeper=ADDRESS)


@pytest.mark.parametrize(
    "member", ["address", "topics", "data", "blockNumber", "blockHash", "transactionHash", "logIndex"]
)
def test_broken_logs_are_refused(chain: Chain, server: Server, member: str) -> None:
    """Each member is checked: nothing but what it should be gets into the ledger."""
    junks: list[Any] = [None, 7, "", "0x", "0xzz", "-0x5", "0x_5", " 0x5", [], {}, ["0x"]]
    for junk in [*junks, "0x" + "f" * 65, "0x" + "f" * 17]:
        server.answers["eth_getLogs"] = [sealed(5, **{member: junk})]
        with pytest.raises(RpcError):
            chain.logs(TRAINER, ADDRESS, "Sealed", 1, 9)


# The past


PRUNED = [
    refusal("pruned history unavailable", 4_444),
    refusal("history has been pruned for this block"),
    refusal("missing trie node b03d68 (path )"),
    refusal("header not found"),
    refusal("resource not found", -32_001),
    refusal("old data not available due to pruning"),
    refusal("required historical state unavailable (reexec=128)"),
    refusal("failed to get logs for block #0 (0xd4e567..cb8fa3)"),
    refusal(
        "seek with txNum=1962853355 but data before txNum=2662500000 is not available: blockNum=16999999"
    ),
]


@pytest.mark.parametrize("answer", PRUNED, ids=lambda answer: str(answer["error"]["message"])[:20])
def test_a_node_that_forgot_has_its_own_error(chain: Chain, server: Server, answer: Any) -> None:
    """Which blocks, and what helps; splitting would not."""
    provider = use(server, Provider(lambda *_: answer))
    with pytest.raises(PrunedLogs, match="does not have the logs of blocks 0 to 99") as failed:
        times(chain)
    assert "archive node" in failed.value.hint
    assert isinstance(failed.value, RpcError)
    assert len(provider.asked) == 1


def test_what_is_gone_is_not_asked_for_in_parts(chain: Chain, server: Server) -> None:
    """Even if the node speaks of ranges in the same breath."""
    words = "history pruned: the block range is limited to the last 128 blocks"
    provider = use(server, Provider(lambda *_: refusal(words)))
    with pytest.raises(PrunedLogs, match="limited to the last 128 blocks"):
        times(chain)
    assert len(provider.asked) == 1


def test_the_words_for_each_trouble_are_told_apart() -> None:
    """No wording stands for two things."""
    caps = [
        answer["error"]
        for answer in CAPS.values()
        if isinstance(answer, dict) and "data" not in answer["error"]
    ]
    for error in (RpcError(said["message"], rpc_code=said["code"]) for said in caps):
        assert is_cap(error)
        assert not is_pruned(error)
        assert not is_busy(error, "eth_getLogs")
    for answer in PRUNED:
        error = RpcError(answer["error"]["message"], rpc_code=answer["error"]["code"])
        assert not is_cap(error)
        assert not is_busy(error, "eth_getLogs")


# Blocks


def block(height: int, **changes: Any) -> dict[str, Any]:
    """A block as nodes answer it."""
    return {
        "number": hex(height),
        "hash": "0x" + "AB" * 32,
        "parentHash": "0x" + "cd" * 32,
        "timestamp": "0x64",
        **changes,
    }


def test_a_block_is_read(chain: Chain, server: Server) -> None:
    """By number, and the latest."""
    server.answers["eth_getBlockByNumber"] = lambda tag, _: block(5 if tag == "0x5" else 9)
    assert chain.block(5) == Block(5, "0x" + "ab" * 32, "0x" + "cd" * 32, 100)
    assert chain.block("latest").number == 9


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        block(6),
        block(5, hash="0xab"),
        block(5, hash=None),
        block(5, parentHash=7),
        block(5, timestamp="0x" + "f" * 16),
        block(5, timestamp="soon"),
        block(5, number="0x" + "f" * 64),
    ],
)
def test_a_block_that_is_none_is_refused(chain: Chain, server: Server, answer: Any) -> None:
    """Another number, short hashes, times beyond all calendars."""
    server.answers["eth_getBlockByNumber"] = answer
    with pytest.raises(RpcError):
        chain.block(5)
