"""Hashing many texts at once, bit for bit as scikit-learn's HashingVectorizer, in machine code.

Importing this package is cheap; the first call loads numba and compiles, or takes what is in numba's cache.
Ask `pays` first: for small inputs plain Python is done before numba is imported.
"""

from dcai_cli.features.kernel.engine import (
    SparseRows,
    TextSettings,
    hash_chunks,
    hash_texts,
    is_available,
    pays,
)

__all__ = ["SparseRows", "TextSettings", "hash_chunks", "hash_texts", "is_available", "pays"]
