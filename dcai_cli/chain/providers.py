"""What nodes and their providers say when they are busy, cap a query of logs, or forgot the past.

There is no standard for it: the words and codes are those that providers document and their users report.
"""

from __future__ import annotations

import re

from dcai_cli.chain.errors import RpcError

TOO_LARGE = 413
"""The HTTP status for too large a message; here also the code of an answer that is refused for its size."""

_REVERTED = 3
_LIMIT = -32_005  # "limit exceeded": of requests in a second for most methods, of results for logs

_BUSY_CODES = frozenset({429, _LIMIT})
_BUSY = (
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "request rate",
    "request limit",
    "requests limit",
    "too many requests",
    "requests per",
    "per second",
    "/second",
    "/sec",
    "throttl",
    "temporarily unavailable",
    "request count exceeded",
)

_CAP_CODES = frozenset({TOO_LARGE, _LIMIT, -32_614, -32_062})
_CAP = (
    "block range",
    "range limit",
    "max range",
    "maximum range",
    "range is too",
    "range too",
    "ranges over",
    "limited to",
    "exceed max",
    "exceeds max",
    "exceeds the",
    "exceeds limit",
    "exceeded max",
    "limit exceeded",
    "bigger than",
    "larger than",
    "returned more than",
    "more than",
    "max results",
    "too many",
    "too large",
    "too big",
    "too wide",
    "response size",
    "timed out",
    "timeout",
    "deadline exceeded",
)
_NO_CAP = ("beyond current head", "invalid block range", "after last", "rate limit")

_PRUNED_CODES = frozenset({4_444, -32_001})
_PRUNED = (
    "missing trie node",
    "prun",
    "header not found",
    "unknown block",
    "block not found",
    "resource not found",
    "historical state",
    "history unavailable",
    "history is not available",
    "data is not available",
    "is not available:",
    "failed to get logs for block",
)

_HEX_RANGE = re.compile(r"\[\s*(0x[0-9a-f]{1,16})\s*,\s*(0x[0-9a-f]{1,16})\s*\]", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"range\s+(\d{1,18})\s*-\s*(\d{1,18})", re.IGNORECASE | re.ASCII)


def is_busy(error: RpcError, method: str) -> bool:
    """Whether an answer only says that the node has no time now.

    Args:
        error: the node's answer.
        method: what was asked for: for logs "limit exceeded" is about their number.
    """
    words = error.message.lower()
    if error.rpc_code == _REVERTED or error.data is not None or "revert" in words:
        return False
    if any(said in words for said in _BUSY):
        return True
    return error.rpc_code in _BUSY_CODES and not (method == "eth_getLogs" and error.rpc_code == _LIMIT)


def is_cap(error: RpcError) -> bool:
    """Whether a query of logs was refused for its range, or for the size of its answer."""
    words = error.message.lower()
    if any(said in words for said in _NO_CAP):
        return False
    return error.rpc_code in _CAP_CODES or any(said in words for said in _CAP)


def is_pruned(error: RpcError) -> bool:
    """Whether the node does not have that part of the past (any more)."""
    words = error.message.lower()
    return error.rpc_code in _PRUNED_CODES or any(said in words for said in _PRUNED)


def suggested_last(error: RpcError, first: int, last: int) -> int | None:
    """The last block of the range that the node says would do; None if it names none, or none that helps.

    >>> suggested_last(RpcError("Try with this block range [0x10, 0x1f]."), 16, 99)
    31
    >>> suggested_last(RpcError("query exceeds max results 20000, retry with the range 16-31"), 16, 99)
    31
    """
    for pattern, base in ((_HEX_RANGE, 16), (_RANGE, 10)):
        found = pattern.search(error.message)
        if found is not None:
            start, end = (int(part, base) for part in found.groups())
            return end if start == first and first <= end < last else None
    return None
