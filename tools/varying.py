"""What differs from run to run in what commands say, so that pages can be compared with what comes out."""

from __future__ import annotations

import re

VARIABLE = [
    re.compile(r"0x[0-9a-fA-F]{40,}"),
    re.compile(r"0x[0-9a-fA-F]{6}\.\.\.[0-9a-fA-F]{6}"),
    re.compile(r"\d+ (?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)?"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    re.compile(r"[+-]?[\d,]+(\.\d+)? (ETH|gwei|wei)\b"),
    re.compile(r"[\d,]+ gas\b"),
    re.compile(r"block \d+"),
    re.compile(r"the model gets \d+ right, and \d+ after"),
]
"""Keys, times and draws, and what every change of the contracts moves: gas, fees."""


def same(text: str) -> str:
    """A text without what differs from run to run, and without its line breaks."""
    words = " ".join(text.split())
    for pattern in VARIABLE:
        words = pattern.sub("*", words)
    return words
