"""Ethereum's hash, and what addresses take from it: without what eth-utils imports beside them."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_ADDRESS = re.compile(r"(?:0[xX])?([0-9a-fA-F]{40})")


@cache
def hasher() -> Callable[[bytes], bytes]:
    """Keccak-256 itself, for loops."""
    from eth_hash.auto import keccak

    keccak(b"")  # the first one looks for a backend
    return keccak.hasher


def keccak256(data: bytes) -> bytes:
    """The Keccak-256 hash of some bytes.

    >>> keccak256(b"").hex()[:16]
    'c5d2460186f7233c'
    """
    return hasher()(data)


class Digest(Protocol):
    """A hash of what is handed over in parts."""

    def update(self, part: bytes) -> None:
        """Take the next part."""

    def digest(self) -> bytes:
        """The hash of all parts so far."""


def keccak256_in_parts() -> Digest:
    """Keccak-256 of what need not be in memory at once.

    >>> digest = keccak256_in_parts()
    >>> digest.update(b"abc")
    >>> digest.digest() == keccak256(b"abc")
    True
    """
    from eth_hash.auto import keccak

    digest: Digest = keccak.new(b"")
    return digest


def checksummed(address: str) -> str:
    """An address with its EIP-55 checksum, whatever the case of its digits was.

    Raises:
        ValueError: it is none.

    >>> checksummed("0x5fbdb2315678afecb367f032d93f642f64180aa3")
    '0x5FbDB2315678afecb367f032d93F642f64180aa3'
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(f"{address[:60]!r} is no address.")
    return _checksummed(match[1].lower())


@lru_cache(maxsize=4096)
def _checksummed(digits: str) -> str:
    marks = keccak256(digits.encode()).hex()
    shown = (digit.upper() if mark > "7" else digit for digit, mark in zip(digits, marks, strict=False))
    return f"0x{''.join(shown)}"
