"""Plain ABI encodings, read and written here: most calls need no more, and eth-abi takes long to import.

Each function answers None where something is not plain: a type that is not one of these, a value that does
not fit, bytes that are not exactly what an encoder would write. Then eth-abi says what it is, or what is
wrong with it. So there is no second set of rules; a test holds both against each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from dcai_cli.hashing import checksummed

_WORD = 32
_UINT = re.compile(r"uint([0-9]+)")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def encode(types: Sequence[str], values: Sequence[object]) -> bytes | None:
    """Encode values that take a word each, and bytes."""
    if len(types) != len(values):
        return None
    head, tail = bytearray(), bytearray()
    for name, value in zip(types, values, strict=True):
        if name == "bytes" and type(value) is bytes:
            head += (_WORD * len(types) + len(tail)).to_bytes(_WORD, "big")
            tail += len(value).to_bytes(_WORD, "big") + value + bytes(-len(value) % _WORD)
            continue
        word = _to_word(name, value)
        if word is None:
            return None
        head += word
    return bytes(head + tail)


def _to_word(name: str, value: object) -> bytes | None:
    bits = _bits(name)
    if bits is not None:
        return value.to_bytes(_WORD, "big") if type(value) is int and 0 <= value < 1 << bits else None
    if name == "address" and type(value) is str and _ADDRESS.fullmatch(value):
        return bytes(12) + bytes.fromhex(value[2:])
    if name == "bytes32" and type(value) is bytes and len(value) == _WORD:
        return value
    return None


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...] | None:
    """Decode values that take a word each, arrays of such, bytes and strings."""
    tail = _WORD * len(types)
    if len(data) < tail:
        return None
    values: list[Any] = []
    for place, name in enumerate(types):
        word = data[_WORD * place : _WORD * (place + 1)]
        if name in {"bytes", "string"} or name.endswith("[]"):
            found = _dynamic(name, data, tail) if int.from_bytes(word, "big") == tail else None
            if found is None:
                return None
            value, tail = found
        else:
            value = _from_word(name, word)
        if value is None:
            return None
        values.append(value)
    return tuple(values) if tail == len(data) else None


def _from_word(name: str, word: bytes) -> int | str | bytes | None:
    bits = _bits(name)
    if bits is not None:
        number = int.from_bytes(word, "big")
        return None if number >> bits else number
    if name == "bytes32":
        return bytes(word)
    if name == "bool":
        number = int.from_bytes(word, "big")
        return None if number > 1 else bool(number)
    if name == "address" and not any(word[:12]):
        return checksummed(word[12:].hex())
    return None


def _dynamic(name: str, data: bytes, start: int) -> tuple[Any, int] | None:
    """A value of any length that starts in the tail, and where the next one starts."""
    first = start + _WORD
    length = int.from_bytes(data[start:first], "big")
    is_array = name.endswith("[]")
    size = _WORD * length if is_array else length
    end = first + size
    following = end + -size % _WORD
    if following > len(data) or any(data[end:following]):
        return None
    if is_array:
        words = (data[place : place + _WORD] for place in range(first, end, _WORD))
        if name == "uint256[]":  # weights, of which there may be a million
            return tuple(int.from_bytes(word, "big") for word in words), following
        values = tuple(_from_word(name[:-2], word) for word in words)
        return None if None in values else (values, following)
    content = bytes(data[first:end])
    if name == "bytes":
        return content, following
    try:
        return content.decode(), following
    except UnicodeDecodeError:
        return None


@cache
def _bits(name: str) -> int | None:
    """The bits of an unsigned number's type; None for other types."""
    match = _UINT.fullmatch(name)
    return int(match[1]) if match else None
