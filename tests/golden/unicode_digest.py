"""Prints what `unicode14` makes of every code point, as SHA-256: the same on all Pythons from 3.11 on.

Every code point stands alone, between letters, and where the rule of the final sigma sees it. Nothing but
the standard library is imported, so that an interpreter without our dependencies can run it:
``python tests/golden/unicode_digest.py``
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Lower = Callable[[str], str]
FindWords = Callable[[str], list[str]]

SIGMA = "\u03a3"
CONTEXTS = (
    "{0}\n",
    "ab{0}cd\n",
    "A{0}\n",
    "{0}{0}\n",
    f"{{0}}{SIGMA}\n",
    f"A{{0}}{SIGMA}\n",
    f"A{SIGMA}{{0}}\n",
    f"A{SIGMA}{{0}}B\n",
    f"A{SIGMA}{{0}}{{0}}B\n",
    f"A'{{0}}.{SIGMA}'{{0}}{SIGMA}\n",
)
"""What stands around a code point; the line feed is neither cased nor looked through."""


FEW_CONTEXTS = CONTEXTS[:2] + CONTEXTS[5:6] + CONTEXTS[7:8]
"""What is enough where no version has characters, but for private ones, tags and variation selectors."""


def texts() -> Iterator[str]:
    """Texts with every code point, in every context where it may have one."""
    for first in range(0, 0x110000, 0x4000):
        contexts = FEW_CONTEXTS if 0x40000 <= first < 0xE0000 or first >= 0xF0000 else CONTEXTS
        points = range(first, first + 0x4000)
        yield "".join(context.format(chr(point)) for point in points for context in contexts)


def digest(lower: Lower, find_words: FindWords) -> str:
    """SHA-256 of all texts lower-cased, and of the words in them before and after."""
    found = hashlib.sha256()
    for text in texts():
        for part in (lower(text), *find_words(text)):
            found.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()


def space_digest(collapse: Callable[[str], str], split: Callable[[str], list[str]]) -> str:
    """SHA-256 of what becomes of every code point as white space, once and twice."""
    found = hashlib.sha256()
    for point in range(0x110000):
        text = f"a{chr(point)}b{chr(point)}{chr(point)}"
        for part in (collapse(text), *split(text)):
            found.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    from dcai_cli.features import unicode14

    print(digest(unicode14.lower, unicode14.find_words))  # noqa: T201 - its result
    print(space_digest(unicode14.collapse_spaces, unicode14.split_at_spaces))  # noqa: T201 - its result
