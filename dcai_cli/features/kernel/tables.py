"""What the kernel must know of every code point: flags and lower case, from `unicode14`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dcai_cli.features.unicode14 import CODE_POINTS, DOTTED_I, kernel_tables

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


@lru_cache(maxsize=1)
def unicode_tables() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The tables of the kernel; the arrays cannot be written to.

    Returns:
        flags: uint8[0x110000], a sum of the flags above.
        lower: int32[0x110000], the lower case of each code point; U+0130, which becomes two, stays itself.

    >>> flags, lower = unicode_tables()
    >>> int(flags[ord("\u00c4")]) == WORD | LOWERED | CASED, chr(lower[ord("\u00c4")])
    (True, '\u00e4')
    """
    tables = kernel_tables()
    lowered = tables.lower != np.arange(CODE_POINTS, dtype=np.int32)
    lowered[ord(DOTTED_I)] = True
    flags = np.zeros(CODE_POINTS, dtype=np.uint8)
    for flag, points in (
        (WORD, tables.word),
        (SPACE, tables.space),
        (LOWERED, lowered),
        (CASED, tables.cased),
        (IGNORABLE, tables.case_ignorable),
    ):
        flags[points] |= flag
    flags[0xD800:0xE000] |= SURROGATE
    flags.setflags(write=False)
    return flags, tables.lower
