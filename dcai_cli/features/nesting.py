"""How deep lists and objects stand in one another: a limit of our own, before Python's is reached.

Python's differs between versions, and other libraries (py-evm) raise it so far that it is no guard any more:
the parser of JSON, which is written in C, runs out of stack first and takes the process with it.
"""

from __future__ import annotations

import re
from typing import Any

MAX_NESTING = 100
"""Levels of lists and objects in a cell."""

TOO_DEEP = f"lists and objects are nested more than {MAX_NESTING} deep"

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def check_json_nesting(text: str, most: int = MAX_NESTING) -> None:
    """Refuse JSON that is nested too deeply, before it is parsed.

    Args:
        text: what may be JSON.
        most: how many levels it may have.

    Raises:
        ValueError: it has more.

    >>> check_json_nesting('{"a": ["[[["]}', 2)
    >>> check_json_nesting('{"a": [[]]}', 2)
    Traceback (most recent call last):
    ...
    ValueError: lists and objects are nested more than 100 deep
    """
    if text.count("[") + text.count("{") <= most:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > most:
            raise ValueError(TOO_DEEP)


def check_nesting(value: list[Any] | dict[str, Any]) -> None:
    """Refuse a value that is nested too deeply, level by level.

    Raises:
        ValueError: it has more than MAX_NESTING levels.
    """
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [one for values in inner for one in values if isinstance(one, list | dict)]
        if not level:
            return
    raise ValueError(TOO_DEEP)
