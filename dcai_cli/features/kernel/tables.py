"""What the kernel must know of every code point: flags and lower case, as Python's own methods have them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WORD = 1
"""The regular expression `\\w` matches."""
SPACE = 2
"""`\\s` matches, and str.split splits there."""
LOWERED = 4
"""Lower-casing changes it."""
CASED = 8
"""A cased letter for the rule of the final sigma."""
IGNORABLE = 16
"""The rule of the final sigma looks through it."""
SURROGATE = 32
"""Half of a pair: no character, and not in UTF-8."""

_POINTS = 0x110000


@lru_cache(maxsize=1)
def unicode_tables() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The tables of the kernel.

    Returns:
        flags: uint8[0x110000], a sum of the flags above.
        lower: int32[0x110000], the lower case of each code point; for U+0130 its first character.

    >>> flags, lower = unicode_tables()
    >>> int(flags[ord("\u00c4")]) == WORD | LOWERED | CASED, chr(lower[ord("\u00c4")])
    (True, '\u00e4')
    """
    characters = [chr(point) for point in range(_POINTS)]
    word = np.fromiter((c.isalnum() for c in characters), dtype=bool, count=_POINTS)
    word[ord("_")] = True
    space = np.fromiter((c.isspace() for c in characters), dtype=bool, count=_POINTS)
    # Python looks at a sigma's neighbours through "ignorable" characters; only a test shows which.
    cased = np.fromiter(((c + "\u03a3").lower()[-1] == "\u03c2" for c in characters), bool, count=_POINTS)
    final = np.fromiter((("A" + c + "\u03a3").lower()[-1] == "\u03c2" for c in characters), bool, _POINTS)
    lower = np.fromiter((ord(c.lower()[0]) for c in characters), dtype=np.int32, count=_POINTS)
    lowered = lower != np.arange(_POINTS, dtype=np.int32)
    flags = WORD * word + SPACE * space + LOWERED * lowered + CASED * cased + IGNORABLE * (final & ~cased)
    flags[0xD800:0xE000] |= SURROGATE
    return flags.astype(np.uint8), lower
