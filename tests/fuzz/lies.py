"""What a broken or dishonest node can answer: bytes that are no answer, and answers that are no truth."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass
class Reply:
    """What goes over the wire.

    Args:
        status: of HTTP.
        body: after the headers.
        headers: besides the usual ones.
        raw: sent as it is in the place of all that, and the connection closed.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


JUNK: list[Json] = [
    None, True, False, 0, 1, -1, 2**53, 2**64, 2**256, 10**4000, 1.5, -0.0, 1e308, float("nan"), float("inf"),
    "", "0", "0x", "0X1", "0x1", "0x0", "-0x1", "0x-1", "0x 1", "0x01", "0xg", "0x1_0", "1e3", "\u0661",
    "0x\u0661", "0x" + "f" * 63, "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "f" * 40, "0x" + "f" * 39,
    "0x" + "00" * 20, "0x" + "00" * 32, "ff" * 32, "0x" + "ab" * 1000, "zz", "\x00", "\x1b[2J", "\ud800", "é",
    "latest", [], {}, [[]], [None], {"": None}, [{}] * 3, ["0x1", "0x2"], {"number": "0x1"},
    "0x" + "f" * 1_000_000, "x" * 1_000_000, [0] * 10_000,
]  # fmt: skip
"""Values for any place of an answer."""

GAS_PRICES = [0, 1, 10**15, 10**16, 10**16 + 1, 2**63, 2**64, 2**200, 2**256 - 1]
COUNTS = [0, 1, 2, 1000, 2**31, 2**63 - 1, 2**63, 2**64, 2**255, 2**256 - 1]
TIMES = [0, 1, 2**31, 32_503_680_000, 253_402_300_799, 253_402_300_800, 2**53, 2**63 - 1, 2**64, 2**255]
ERRORS: list[tuple[int, str, Json]] = [
    (3, "execution reverted", None), (3, "execution reverted", "0x"), (3, "execution reverted", "0x08c379a0"),
    (3, "execution reverted: \x1b[2J", "0x4e487b71" + "00" * 31 + "11"), (-32000, "out of gas", None),
    (-32000, "insufficient funds for gas * price + value", None), (-32000, "nonce too low", None),
    (-32000, "nonce too high", None), (-32000, "replacement transaction underpriced", None),
    (-32000, "already known", None), (-32000, "max fee per gas less than block base fee", None),
    (-32005, "query returned more than 10000 results", None), (429, "slow down", None),
    (-32602, "block range is too wide", {"from": 5}), (-32601, "the method does not exist", None),
    (-32603, "header not found", None), (-32000, "missing trie node", None), (-32700, "x" * 5000, [1]),
    (0, "", {"originalError": {"data": 5}}),
]  # fmt: skip


def path_to_leaf(rng: random.Random, value: Json) -> tuple[Json, Any] | None:
    """A random place in a JSON value: its parent, and the name or index in it."""
    place = None
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        place = (value, key)
        if rng.random() < 0.2:
            break
        value = value[key]
    return place


def malformed(rng: random.Random, answer: Json, trap: str) -> Reply:
    """Something that is not the answer of a node.

    Args:
        rng: says what.
        answer: the whole JSON-RPC answer of the honest node.
        trap: a URL to which no request may ever come.
    """
    if rng.random() < 0.6:
        return Reply(json.dumps(spoilt(rng, answer)).encode("utf-8", "surrogatepass"))
    return rng.choice(WIRE)(rng, json.dumps(answer).encode(), trap)


def spoilt(rng: random.Random, answer: Json) -> Json:
    """The answer with a wrong value, a member too few or too many, or of another shape."""
    match rng.randrange(8):
        case 0 | 1 | 2 | 3:
            place = path_to_leaf(rng, answer)
            assert place is not None
            place[0][place[1]] = rng.choice(JUNK)
        case 4:
            place = path_to_leaf(rng, answer)
            assert place is not None
            del place[0][place[1]]
        case 5:
            answer["result"] = rng.choice(JUNK)
        case 6:
            answer["id"] = rng.choice([*JUNK[:20], answer["id"] + 1, str(answer["id"]), float(answer["id"])])
        case _:
            return rng.choice(
                [rng.choice(JUNK), [answer], [answer, answer], answer["result"], {"result": answer}]
            )
    return answer


def _redirect(rng: random.Random, body: bytes, trap: str) -> Reply:
    return Reply(body, rng.choice([301, 302, 303, 307, 308]), {"Location": f"{trap}/?key=1"})


def _cut(rng: random.Random, body: bytes, _: str) -> Reply:
    return Reply(
        raw=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[: rng.randrange(len(body))]
    )


def _bomb(rng: random.Random, _body: bytes, _: str) -> Reply:
    size = 2**29 if rng.random() < 0.02 else 2**21
    return Reply(gzip.compress(bytes(size), 1), headers={"Content-Encoding": "gzip"})


def _deep(rng: random.Random, _body: bytes, _: str) -> Reply:
    depth = rng.choice([101, 1_000, 20_000, 200_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opening * depth + b"1" + (closing * depth if rng.random() < 0.5 else b"")
    return Reply(rng.choice([inner, b'{"jsonrpc":"2.0","id":1,"result":' + inner + b"}"]))


WIRE: list[Callable[[random.Random, bytes, str], Reply]] = [
    lambda _, body, __: Reply(body.replace(b'"result"', b'"result":"0x1","result"', 1)),
    lambda _, body, __: Reply(body[:-1]),
    lambda _, body, __: Reply(b"\xef\xbb\xbf" + body),
    lambda _, body, __: Reply(body.decode().encode("utf-16")),
    lambda _, body, __: Reply(body + body),
    lambda rng, body, _: Reply(body.replace(b"0x", rng.choice([b"", b"0", b"\xff", b"\\ud800", b"0x0x"]))),
    lambda *_: Reply(b""),
    lambda *_: Reply(b"null"),
    lambda *_: Reply(b'{"jsonrpc":"2.0","id":1,"result":' + b"9" * 5_000 + b"}"),
    lambda *_: Reply(b"<html><title>Sign in</title></html>", headers={"Content-Type": "text/html"}),
    lambda rng, body, _: Reply(body, rng.choice([201, 204, 206, 299, 400, 401, 403, 404, 405, 413, 418])),
    lambda rng, body, _: Reply(body, rng.choice([500, 502, 503, 504, 520, 599])),
    lambda rng, *_: Reply(
        b"busy", 429, {"Retry-After": rng.choice(["1", "-1", "1e9", "99999999", "x", "²"])}
    ),
    lambda rng, *_: Reply(b"<h1>Bad gateway</h1>", rng.choice([500, 502, 503])),
    _redirect,
    _cut,
    _bomb,
    _deep,
    lambda _, body, __: Reply(body, headers={"Content-Encoding": "gzip"}),
    lambda _, body, __: Reply(body, headers={"Content-Encoding": "br, gzip, identity"}),
    lambda _, body, __: Reply(raw=b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n" + body),
    lambda _, body, __: Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body),
    lambda _, body, __: Reply(raw=b"HTTP/1.1 99999 Odd\r\n\r\n" + body),
    lambda *_: Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
    lambda *_: Reply(raw=b""),
]
"""What can be wrong below JSON."""


def lie(rng: random.Random, method: str, result: Json) -> Json | ValueError:
    """Another result of the same shape, or a `ValueError` that holds an error object."""
    if rng.random() < 0.1:
        code, message, data = rng.choice(ERRORS)
        return ValueError({"code": code, "message": message} | ({} if data is None else {"data": data}))
    teller = LIES.get(method)
    return teller(rng, result) if teller else rng.choice([None, "0x1", [], {}])


def _count(rng: random.Random, result: Json) -> Json:
    honest = int(result, 16)
    other = rng.choice([*COUNTS, honest + 1, max(0, honest - 1), honest * 2, honest // 2])
    return rng.choice([hex(other)] * 9 + ["-0x5"])


def _price(rng: random.Random, _: Json) -> Json:
    return hex(rng.choice(GAS_PRICES))


def _history(rng: random.Random, result: Json) -> Json:
    price = rng.choice(GAS_PRICES)
    match rng.randrange(7):
        case 0 | 1:
            result["baseFeePerGas"] = [hex(price)] * len(result["baseFeePerGas"])
        case 2:
            result["baseFeePerGas"][-1] = hex(price)
        case 3:
            result["reward"] = [[hex(price)] * 2 for _ in result.get("reward") or [0]]
        case 4:
            result["reward"] = rng.choice([[], [[]], None])
        case 5:
            result["gasUsedRatio"] = [rng.choice([-1, 2, 1e300, "1"]) for _ in result["gasUsedRatio"]]
        case _:
            result["baseFeePerGas"] = rng.choice([[], ["0x0"], [hex(price)] * 2000])
    return result


def _block(rng: random.Random, result: Json) -> Json:
    if result is None or rng.random() < 0.1:
        return None
    match rng.randrange(5):
        case 0:
            result["timestamp"] = hex(rng.choice(TIMES))
        case 1:
            result["baseFeePerGas"] = rng.choice([None, *map(hex, GAS_PRICES)])
        case 2:
            result["number"] = hex(rng.choice(COUNTS))
        case 3:
            result["hash"] = "0x" + rng.randbytes(32).hex()
        case _:
            result["timestamp"] = hex(int(result["timestamp"], 16) + rng.choice([-(10**6), 10**6, 10**9]))
    return result


def _gas(rng: random.Random, result: Json) -> Json:
    honest = int(result, 16)
    return hex(
        rng.choice([0, 1, 21_000, honest // 10, honest * 2, honest * 10, 2**24, 2**24 - 1, 2**63, 2**256 - 1])
    )


def _code(rng: random.Random, result: Json) -> Json:
    code = bytearray.fromhex(result[2:])
    match rng.randrange(5):
        case 0:
            return "0x"
        case 1:
            return "0x" + rng.randbytes(len(code) or 20).hex()
        case 2:
            return "0x" + code[::-1].hex()
        case 3:
            return "0x363d3d373d3d3d363d73" + rng.randbytes(20).hex() + "5af43d82803e903d91602b57fd5bf3"
        case _:
            if code:
                code[rng.randrange(len(code))] ^= 1 << rng.randrange(8)
            return "0x" + code.hex()


def data(rng: random.Random, result: Json) -> Json:
    """Other bytes in the place of some: words that are small, huge or another address, other lengths."""
    code = bytearray.fromhex(result[2:])
    words = len(code) // 32
    match rng.randrange(7):
        case 0:
            return "0x" + "00" * len(code)
        case 1:
            return "0x" + "ff" * len(code)
        case 2:
            return "0x" + code[: rng.randrange(len(code) + 1)].hex()
        case 3:
            return "0x" + (bytes(code) * 2).hex()
        case 4 if words:
            at = 32 * rng.randrange(words)
            word = rng.choice([0, 1, 2**31, 2**64, 2**128, 2**255, 2**256 - 1, rng.getrandbits(160), 32, 64])
            code[at : at + 32] = word.to_bytes(32, "big")
        case 5 if code:
            code[rng.randrange(len(code))] ^= 1 << rng.randrange(8)
        case _:
            return "0x" + rng.randbytes(rng.choice([0, 4, 32, 64, 1000, 100_000])).hex()
    return "0x" + code.hex()


def _receipt(rng: random.Random, result: Json) -> Json:
    if result is None or rng.random() < 0.05:
        return None
    match rng.randrange(9):
        case 0:
            result["status"] = "0x0" if result["status"] == "0x1" else "0x1"
        case 1:
            result["gasUsed"] = hex(rng.choice(COUNTS))
        case 2:
            result["effectiveGasPrice"] = hex(rng.choice(GAS_PRICES))
        case 3:
            result["contractAddress"] = "0x" + rng.randbytes(20).hex()
        case 4:
            result["transactionHash"] = "0x" + rng.randbytes(32).hex()
        case 5:
            result["blockNumber"] = hex(rng.choice(COUNTS))
        case 6:
            result["blockHash"] = "0x" + rng.randbytes(32).hex()
        case 7:
            result["l1Fee"] = hex(rng.choice(GAS_PRICES))
        case _:
            result["logs"] = _logs(rng, result["logs"])
    return result


def _logs(rng: random.Random, result: Json) -> Json:
    logs = json.loads(json.dumps(result))
    if not logs:
        return [] if rng.random() < 0.5 else [{"address": "0x" + "11" * 20, "topics": [], "data": "0x"}]
    log = rng.choice(logs)
    match rng.randrange(9):
        case 0:
            return []
        case 1:
            return logs + logs
        case 2:
            return logs[::-1]
        case 3 | 4:
            log["data"] = data(rng, log["data"])
        case 5:
            log["topics"][rng.randrange(len(log["topics"]))] = "0x" + rng.randbytes(32).hex()
        case 6:
            log["address"] = "0x" + rng.randbytes(20).hex()
        case 7:
            log["blockNumber"] = hex(rng.choice(COUNTS))
        case _:
            name = rng.choice(["removed", "logIndex", "transactionHash", "blockHash"])
            log[name] = {"removed": True, "logIndex": hex(rng.choice(COUNTS))}.get(
                name, "0x" + rng.randbytes(32).hex()
            )
    return logs


def _transaction(rng: random.Random, result: Json) -> Json:
    if result is None or rng.random() < 0.5:
        return None
    result[rng.choice(list(result))] = rng.choice(JUNK[:40])
    return result


LIES: dict[str, Callable[[random.Random, Json], Json]] = {
    "eth_chainId": _count,
    "eth_blockNumber": _count,
    "eth_getBalance": _count,
    "eth_getTransactionCount": _count,
    "eth_gasPrice": _price,
    "eth_maxPriorityFeePerGas": _price,
    "eth_feeHistory": _history,
    "eth_getBlockByNumber": _block,
    "eth_estimateGas": _gas,
    "eth_getCode": _code,
    "eth_call": data,
    "eth_getTransactionReceipt": _receipt,
    "eth_getLogs": _logs,
    "eth_getTransactionByHash": _transaction,
    "eth_sendRawTransaction": lambda rng, _: rng.choice([None, "0x", "0x" + rng.randbytes(32).hex()]),
}
"""By method, how a node lies about it."""
