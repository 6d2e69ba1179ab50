"""What the data handler commits to: a Merkle root over samples, and the hash of a batch's meta-data.

The leaf of a sample is keccak256 of its bytes on the wire. Leaves are padded with zero words to a power of
two; an inner node is keccak256(left || right). A proof has exactly ceil(log2(count)) hashes, lowest first, so
that an inner node can never pass for a leaf. The root of a single sample is its leaf.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dcai_cli.chain import abi
from dcai_cli.hashing import hasher, keccak256

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dcai_cli.domain import Batch

_ZERO = bytes(32)
_BATCH = [
    {"type": name} for name in ("address", "uint64", "uint128", "uint16", "uint32", "uint256", "bytes32")
]


def samples_root(samples: Sequence[bytes]) -> bytes:
    """The Merkle root of the samples of a batch.

    Args:
        samples: the bytes of each sample on the wire, in order; at least one.
    """
    return _levels(tuple(samples))[-1][0]


def sample_proof(samples: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that prove one sample of a batch, lowest first.

    Args:
        samples: the bytes of all samples of the batch on the wire, in order.
        index: which one to prove.

    Raises:
        IndexError: the batch has no such sample.
    """
    if not 0 <= index < len(samples):
        raise IndexError(f"sample {index} of {len(samples)}")
    return [level[(index >> height) ^ 1] for height, level in enumerate(_levels(tuple(samples))[:-1])]


def batch_hash(batch: Batch) -> bytes:
    """The one word that the data handler stores of a batch, under its id: the hash of its other meta-data."""
    return keccak256(abi.encode(_BATCH, batch.as_tuple()[1:]))


# Proofs are asked for one sample after the other, of the same batch.
@lru_cache(maxsize=8)
def _levels(samples: tuple[bytes, ...]) -> list[list[bytes]]:
    if not samples:
        raise ValueError("a batch has at least one sample")
    width = 1 << (len(samples) - 1).bit_length()
    keccak = hasher()
    levels = [[keccak(sample) for sample in samples] + [_ZERO] * (width - len(samples))]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([keccak(below[i] + below[i + 1]) for i in range(0, len(below), 2)])
    return levels
