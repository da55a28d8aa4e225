"""What must hold for one sparse vector, and for many one behind the other."""

import numpy as np

_F16_SMALLEST, _F16_TOO_LARGE = 2.0**-14, 65520.0


def is_plain(array, dtype):
    """Return whether this is a contiguous aligned native vector of a type."""
    return (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.ndim == 1
        and array.flags.c_contiguous
        and array.flags.aligned
    )


def rows_of(indptr):
    """Return where each row lies."""
    return [slice(start, stop) for start, stop in zip(indptr[:-1].tolist(), indptr[1:].tolist())]


def check_rows(indptr, length, *columns):
    """Raise ValueError unless the edges fit the columns."""
    for column in columns:
        if len(indptr) != len(column) + 1:
            raise ValueError(f"{len(indptr)} row edges, {len(column)} rows")
    if indptr[0] < 0 or indptr[-1] > length or np.any(indptr[1:] < indptr[:-1]):
        raise ValueError(f"row edges must ascend from 0 to {length}")


def fits_in_half(weights):
    """Return whether the largest magnitude is zero or a normal f16."""
    peak = np.abs(weights).max(initial=0)
    return bool(peak == 0 or _F16_SMALLEST <= peak < _F16_TOO_LARGE)
