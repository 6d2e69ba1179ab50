"""Columns of lists, as pyarrow has them, to vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def column_vectors(column: Any) -> list[NDArray[np.float64]] | None:  # noqa: ANN401 - pyarrow has no types
    """The vectors of a column, as exact as they are.

    Args:
        column: an array of pyarrow.

    Returns:
        The numbers of each cell: nan for null, none at all where the cell is null. None if the column is not
        one of lists of numbers.
    """
    import numpy as np
    import pyarrow as pa

    kind = column.type
    if not (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ) or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        return None
    # Null lists are left out of what is flattened, whatever lies below them.
    lengths = np.asarray(column.value_lengths().fill_null(0))
    numbers = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    ends = np.cumsum(lengths).tolist()
    return [numbers[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
