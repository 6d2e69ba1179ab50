"""Many names to indices at once, in numpy: the hash that `hashing` has for one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcai_cli.features.hashing import murmurhash3_x86_32

_MIN_GROUP = 8
"""Names of one length below which numpy is not worth its calls."""


def feature_indices(names: Sequence[str], n_features: int) -> NDArray[np.int32]:
    """The index of each named feature, as `hashing.feature_index` has it.

    Args:
        names: valid Unicode.
        n_features: size of the hash space.

    >>> feature_indices(["hello", "free", "prize"], 4096).tolist()
    [2631, 1134, 809]
    """
    written = [name.encode() for name in names]
    sizes = np.fromiter(map(len, written), dtype=np.int64, count=len(written))
    hashes = np.empty(len(written), dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    starts = np.flatnonzero(np.diff(sizes[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        alike = [written[at] for at in group.tolist()]
        if len(alike) < _MIN_GROUP:
            hashes[group] = [murmurhash3_x86_32(one) for one in alike]
        else:
            hashes[group] = _murmurhash3(b"".join(alike), len(alike[0]))
    return (np.abs(hashes) % n_features).astype(np.int32)


def _murmurhash3(data: bytes, size: int) -> NDArray[np.int32]:
    """MurmurHash3 x86 32, seed 0, of strings of one size, one behind the other."""
    strings = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
    words = np.zeros((len(strings), -(-size // 4) * 4), dtype=np.uint8)
    words[:, :size] = strings
    blocks = words.view("<u4").astype(np.uint32)
    state = np.zeros(len(strings), dtype=np.uint32)
    for place in range(size // 4):
        state ^= _scramble(blocks[:, place])
        state = _rotated(state, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    if size % 4:
        state ^= _scramble(blocks[:, -1])
    state ^= np.uint32(size)
    state = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    state ^= state >> np.uint32(16)
    return state.view(np.int32)


def _scramble(block: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return _rotated(block * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)


def _rotated(word: NDArray[np.uint32], by: int) -> NDArray[np.uint32]:
    return (word << np.uint32(by)) | (word >> np.uint32(32 - by))
