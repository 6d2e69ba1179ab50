"""Storage words: 32 big-endian bytes each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcai_cli.errors import BadInput

WORD_BYTES = 32


def pack_words(raw: bytes) -> list[int]:
    r"""Read words from bytes.

    >>> pack_words(bytes(31) + b"\x07")
    [7]
    """
    return [int.from_bytes(raw[at : at + WORD_BYTES], "big") for at in range(0, len(raw), WORD_BYTES)]


def word_rows(words: Sequence[int] | bytes) -> NDArray[np.uint8]:
    """Words as an array of their bytes, shape (words, 32).

    Args:
        words: integers, or 32 bytes each.

    Raises:
        BadInput: the bytes are not a whole number of words.
    """
    raw = words if isinstance(words, bytes) else b"".join(word.to_bytes(WORD_BYTES, "big") for word in words)
    if len(raw) % WORD_BYTES:
        raise BadInput(f"{len(raw)} bytes are not a whole number of words.")
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, WORD_BYTES)
