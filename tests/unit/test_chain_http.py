"""The client against a real HTTP server that answers badly: each fault is one of ours, no secret shows."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain import (
    Chain,
    Fees,
    FeeTooLow,
    GasTooHigh,
    NonceTaken,
    NotMined,
    Receipt,
    RpcError,
    open_chain,
)
from dcai_cli.chain.http import Limits
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import Settings, host_of
from dcai_cli.errors import DcaiError, InsufficientFunds, Reverted, RpcUnreachable, UsageError, WrongChain
from tests.unit.rpc_server import SECRET, Server, in_turn, refusal, serving

ADDRESS = "0x" + "22" * 20
HASH = "0x" + "ab" * 32


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free loopback port."""
    with serving() as running:
        yield running


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def waits() -> list[float]:
    """How long the client would have slept."""
    return []


@pytest.fixture
def chain(server: Server, waits: list[float], tmp_path: Path) -> Iterator[Chain]:
    """A client of the server that does not really sleep."""
    node = RemoteNode([server.url], {"X-Key": SECRET}, sleep=waits.append)
    yield Chain(node, Settings(tmp_path, tmp_path, tmp_path), sleep=waits.append)
    node.close()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, {}, b"not here"), "HTTP 404"),
        ((401, {}, b"{}"), "HTTP 401"),
        ((500, {}, b"<html>"), "HTTP 500"),
        ((200, {}, b"<html>hello</html>"), "not JSON"),
        ((200, {}, b"\xff\xfe\x00"), "not JSON"),
        ((200, {}, b"[]"), "not JSON-RPC"),
        ((200, {}, b"null"), "not JSON-RPC"),
        ((200, {}, b'{"jsonrpc": "2.0", "id": 1}'), "not JSON-RPC"),
        ((429, {}, b""), "HTTP 429"),
        ((503, {}, b""), "HTTP 503"),
        ((0, {}, b""), "cut"),
    ],
)
def test_what_is_no_answer_is_unreachable_and_shows_the_host_only(
    server: Server, tmp_path: Path, answer: tuple[int, dict[str, str], bytes], why: str
) -> None:
    """Bad statuses, pages, broken JSON and cut connections name host and cause, and no secret."""
    server.answers["eth_chainId"] = answer
    node = RemoteNode([server.url], {"X-Key": SECRET}, sleep=lambda _: None)
    with pytest.raises(RpcUnreachable, match=why) as failed:
        Chain(node, Settings(tmp_path, tmp_path, tmp_path))
    node.close()
    assert f"127.0.0.1:{server.server_port}" in failed.value.message
    assert SECRET not in "".join(traceback.format_exception(failed.value))
    assert SECRET not in failed.value.hint + repr(node)


def test_a_refused_connection_is_reported_within_a_second(tmp_path: Path, closed_port: int) -> None:
    """A node that restarts is back soon; one that is down must not be waited for."""
    waits: list[float] = []
    node = RemoteNode([f"http://user:{SECRET}@127.0.0.1:{closed_port}/{SECRET}"], {}, sleep=waits.append)
    with pytest.raises(RpcUnreachable, match="the connection failed") as failed:
        Chain(node, Settings(tmp_path, tmp_path, tmp_path))
    node.close()
    assert len(waits) == 2
    assert 0 < sum(waits) < 1
    assert SECRET not in "".join(traceback.format_exception(failed.value))


def test_a_node_that_never_answers_is_given_up(server: Server, tmp_path: Path, waits: list[float]) -> None:
    """A silent node costs the time-out twice, not for ever."""
    release = threading.Event()
    server.answers["eth_chainId"] = lambda: release.wait(5) and "0x1"
    node = RemoteNode([server.url], {}, sleep=waits.append, limits=Limits(read_s=0.05))
    with pytest.raises(RpcUnreachable, match=r"no answer within 0\.05 seconds"):
        Chain(node, Settings(tmp_path, tmp_path, tmp_path))
    release.set()
    node.close()
    assert len(waits) == 1


def test_a_busy_node_is_asked_again_as_late_as_it_says(
    chain: Chain, server: Server, waits: list[float]
) -> None:
    """429 with and without Retry-After, a gateway error and a cut connection pass with patience."""
    server.answers["eth_blockNumber"] = in_turn(
        (429, {"Retry-After": "7"}, b""), (429, {}, b""), (502, {}, b""), (0, {}, b""), "0x10"
    )
    assert chain.block_number() == 16
    assert 7 <= waits[0] <= 8
    assert len(waits) == 4
    assert all(wait_s <= 4 for wait_s in waits[1:])


def test_headers_are_sent_and_secrets_stay_out_of_logs(
    chain: Chain, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The node gets the user's headers; our own loggers write nothing of them."""
    with caplog.at_level(logging.DEBUG, logger="dcai_cli"):
        assert chain.chain_id == 7
    assert server.headers[-1]["X-Key"] == SECRET
    assert server.headers[-1]["Content-Type"] == "application/json"
    assert SECRET not in caplog.text + repr(chain) + chain.url_label


def test_an_error_with_an_http_status_is_still_the_nodes_answer(chain: Chain, server: Server) -> None:
    """Some nodes answer a JSON-RPC error with status 400 or 500."""
    body = json.dumps(refusal("header not found")).encode()
    server.answers["eth_blockNumber"] = (500, {}, body)
    with pytest.raises(RpcError, match="header not found"):
        chain.block_number()


@pytest.mark.parametrize(
    "url", ["", "node", "ftp://node", "http://", "ws://", "ipc://", f"http://[{SECRET}", "http://a:b"]
)
def test_what_is_no_http_url_is_refused_without_showing_it(url: str) -> None:
    """A URL may hold a key, so even a wrong one is not repeated."""
    with pytest.raises(UsageError) as refused:
        host_of(url)
    assert SECRET not in refused.value.message
    assert "http://127.0.0.1:8545" in refused.value.hint


def test_an_ipv6_host_keeps_its_brackets() -> None:
    """The label can be told from the port."""
    assert host_of("http://[::1]:8545/path") == "[::1]:8545"


def test_the_chain_id_is_pinned(server: Server, tmp_path: Path) -> None:
    """A node on another chain than the settings say is refused; on the same one it is used."""
    good = Settings(tmp_path, tmp_path, tmp_path, rpc_url=server.url, chain_id=7)
    with open_chain(good) as opened:
        assert opened.chain_id == 7
    bad = Settings(tmp_path, tmp_path, tmp_path, rpc_url=server.url, chain_id=1)
    with pytest.raises(WrongChain, match="on chain 7, not on chain 1"), open_chain(bad):
        pass


JUNK = [
    None,
    "text",
    "0x",
    "0xzz",
    7,
    True,
    [],
    [7],
    [{"a": 1}],
    {},
    {"a": 1},
    {"blockNumber": 7},
    {"blockNumber": "0x1"},
]
READS: dict[str, Callable[[Chain], object]] = {
    "balance": lambda chain: chain.balance_wei(ADDRESS),
    "nonce": lambda chain: chain.next_nonce(ADDRESS),
    "code": lambda chain: chain.code(ADDRESS),
    "key": lambda chain: chain.key,
    "time": lambda chain: chain.timestamp(),
    "fees": lambda chain: chain.fees(),
    "call": lambda chain: chain.call(ADDRESS, b"data"),
    "view": lambda chain: chain.view("CollaborativeTrainer", ADDRESS, "terms"),
    "estimate": lambda chain: chain.estimate_gas(ADDRESS, ADDRESS, b"data"),
    "receipt": lambda chain: chain.receipt("0xab"),
    "logs": lambda chain: chain.logs("CollaborativeTrainer", ADDRESS, "Sealed", 0, 5),
    "reason": lambda chain: chain.revert_reason(Receipt("0xab", False, 5, "0xcd", 6, 7, None, ())),
}


@pytest.mark.parametrize("read", READS)
def test_nonsense_is_an_error_of_the_node_or_no_answer(chain: Chain, server: Server, read: str) -> None:
    """Whatever JSON a node answers, what comes out is a value or one of our errors."""
    methods = ["eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getBlockByNumber", "eth_call"]
    methods += ["eth_estimateGas", "eth_getTransactionReceipt", "eth_getLogs", "eth_getTransactionByHash"]
    failed = 0
    for junk in JUNK:
        server.answers |= dict.fromkeys(
            [*methods, "eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_feeHistory"], junk
        )
        try:
            READS[read](chain)
        except DcaiError:
            failed += 1
    assert failed > 4


# Fees


def settings_with(folder: Path, **values: int) -> Settings:
    """Settings with fixed prices."""
    return Settings(folder, folder, folder, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fixed", "answers", "expected"),
    [
        ({}, {"eth_maxPriorityFeePerGas": "0x5"}, Fees(205, 5)),
        ({}, {}, Fees(300, 100)),
        ({"priority_fee_wei": 3}, {"eth_maxPriorityFeePerGas": "0x5"}, Fees(203, 3)),
        ({"gas_price_wei": 150}, {"eth_maxPriorityFeePerGas": "0x5"}, Fees(150, 5)),
        ({"gas_price_wei": 104, "priority_fee_wei": 3}, {}, Fees(104, 3)),
    ],
)
def test_fees_cover_two_base_fees_unless_the_settings_fix_them(
    server: Server, tmp_path: Path, fixed: dict[str, int], answers: dict[str, str], expected: Fees
) -> None:
    """Base fee 100: twice that and the suggested tip, or as much again; the prices of the user win."""
    server.answers |= {"eth_getBlockByNumber": {"baseFeePerGas": "0x64"}, **answers}
    node = RemoteNode([server.url], {})
    assert Chain(node, settings_with(tmp_path, **fixed)).fees() == expected
    node.close()


def test_chains_without_a_base_fee_get_a_gas_price(chain: Chain, server: Server) -> None:
    """Before EIP-1559 there is one price, and the transaction has the old type."""
    from eth_account import Account

    server.answers |= {"eth_getBlockByNumber": {"number": "0x1"}, "eth_gasPrice": "0x9"}
    fees = chain.fees()
    assert fees == Fees(9, None)
    signed = chain.sign(Account.create(), to=ADDRESS, data=b"", value_wei=0, nonce=0, gas=21_000, fees=fees)
    assert signed.raw[0] >= 0xC0  # a list, not a type byte
    assert signed.max_fee_wei == 9 * 21_000


# Sending and waiting


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("insufficient funds for gas * price + value", InsufficientFunds),
        ("Insufficient funds for gas * price + value", InsufficientFunds),
        ("nonce too low: next nonce 5, tx nonce 4", NonceTaken),
        ("replacement transaction underpriced", FeeTooLow),
        ("max fee per gas less than block base fee", FeeTooLow),
        ("something else", RpcError),
    ],
)
def test_refusals_of_the_pool_have_their_own_errors(
    chain: Chain, server: Server, message: str, expected: type[DcaiError]
) -> None:
    """What the caller can do something about can be told apart."""
    server.answers |= {"eth_sendRawTransaction": refusal(message), "eth_getTransactionByHash": None}
    with pytest.raises(DcaiError, match=message.split("*", maxsplit=1)[0]) as refused:
        chain.send(b"\x02raw")
    assert type(refused.value) is expected


@pytest.mark.parametrize(
    "message", ["already known", "nonce too low", "transaction already imported", "ALREADY_EXISTS"]
)
def test_what_the_node_has_already_was_sent(chain: Chain, server: Server, message: str) -> None:
    """However a node words it, a transaction that it knows is no error."""
    server.answers |= {"eth_sendRawTransaction": refusal(message), "eth_getTransactionByHash": {"hash": "0x"}}
    assert chain.send(b"\x02raw").startswith("0x")


def test_waiting_ends(chain: Chain, server: Server, waits: list[float]) -> None:
    """Without a receipt the wait lasts as long as it may, and says what to do."""
    server.answers["eth_getTransactionReceipt"] = None
    with pytest.raises(NotMined, match="within 10 seconds"):
        chain.wait("0xab", timeout_s=10)
    assert sum(waits) == pytest.approx(10)
    assert max(waits) <= 1


def test_a_receipt_is_waited_for(chain: Chain, server: Server, waits: list[float]) -> None:
    """A receipt that is null, or pending, at first is asked for again."""
    form: dict[str, Any] = {
        "transactionHash": HASH,
        "status": "0x1",
        "blockNumber": "0x5",
        "blockHash": HASH,
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x2",
        "contractAddress": None,
        "logs": [],
    }
    server.answers["eth_getTransactionReceipt"] = in_turn(None, {**form, "blockNumber": None}, form)
    receipt = chain.wait(HASH)
    assert (receipt.block_number, receipt.fee_wei, receipt.status) == (5, 42_000, True)
    assert len(waits) == 2


# Estimates


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal("gas required exceeds allowance (16777216)"), GasTooHigh),
        (refusal("Out of gas: gas required exceeds allowance: 16777216"), GasTooHigh),
        (refusal("EVM error OutOfGas"), GasTooHigh),
        ("0x1000001", GasTooHigh),
        ({"error": {"code": 3, "message": "execution reverted", "data": "0x"}}, GasTooHigh),
        (refusal("execution reverted"), GasTooHigh),
        ({"error": {"code": 3, "message": "execution reverted", "data": "0x12345678"}}, Reverted),
        (refusal("insufficient funds for transfer"), InsufficientFunds),
        (refusal("internal error", -32_603), RpcError),
    ],
)
def test_estimates_tell_too_much_gas_from_a_refusal(
    chain: Chain, server: Server, answer: Any, expected: type[DcaiError]
) -> None:
    """Our contracts name every refusal, so a nameless revert at the cap is an inner call out of gas."""
    server.answers["eth_estimateGas"] = answer
    with pytest.raises(DcaiError) as failed:
        chain.estimate_gas(ADDRESS, ADDRESS, b"data")
    assert type(failed.value) is expected


def test_a_node_that_lacks_a_method_is_told_with_a_way_out(chain: Chain, server: Server) -> None:
    """What was typed is right: the hint is about the node."""
    server.answers["eth_estimateGas"] = refusal("the method eth_estimateGas is not available", -32_601)
    with pytest.raises(RpcError, match="eth_estimateGas is not available") as failed:
        chain.estimate_gas(ADDRESS, ADDRESS, b"data")
    assert failed.value.hint == "Ask a node that has this method: --rpc-url URL"


# Logs


def test_logs_that_were_reorganised_away_are_left_out(chain: Chain) -> None:
    """A log marked as removed never happened."""
    from dcai_cli.chain import abi
    from dcai_cli.chain.artifacts import artifact

    topic = f"0x{abi.topic(artifact('CollaborativeTrainer').events['Sealed']).hex()}"
    log = {
        "address": ADDRESS,
        "topics": [topic],
        "data": "0x" + "00" * 32,
        "blockNumber": "0x1",
        "blockHash": "0x" + "cd" * 32,
        "transactionHash": "0x" + "ab" * 32,
        "logIndex": "0x0",
    }
    foreign = {**log, "topics": ["0x" + "77" * 32]}
    anonymous = {**log, "topics": []}
    found = chain.events("CollaborativeTrainer", [log, {**log, "removed": True}, foreign, anonymous])
    assert [event.name for event in found] == ["Sealed"]


def test_time_cannot_be_advanced_on_other_nodes(chain: Chain) -> None:
    """A real network has no such method; the hint says where there is."""
    with pytest.raises(UsageError, match="does not let time be advanced") as refused:
        chain.advance(5)
    assert "anvil" in refused.value.hint
