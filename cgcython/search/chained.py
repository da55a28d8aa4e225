"""Data of several embeddings one after the other, and parts of columns put together."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from cgcython.records import QuantizedEmbedding
from cgcython.types import Array, Int64Array, UInt8Array

SHORT, SPARE = 512, 4  # elements of a part, and how many times as many may be copied for it


def concatenated(quantized: Sequence[QuantizedEmbedding]) -> tuple[UInt8Array, Int64Array]:
    """Return the data of embeddings one after the other, and where each begins and ends."""
    data = np.frombuffer(b"".join(one.data for one in quantized), np.uint8)
    return data, np.cumsum([0, *(len(one.data) for one in quantized)], dtype=np.int64)


def gathered(column: Array, starts: Int64Array, stops: Int64Array) -> Array:
    """Return the parts of a column from each start to its stop, one after the other."""
    sizes = stops - starts
    longest, total = int(sizes.max(initial=0)), int(sizes.sum())
    if column.ndim == 1 and longest <= SHORT and len(sizes) * longest <= SPARE * total:
        return _gathered_short(column, starts, sizes, longest)
    spans = zip(starts.tolist(), stops.tolist())
    return np.concatenate([column[:0], *[column[start:stop] for start, stop in spans]])


def _gathered_short(column: Array, starts: Int64Array, sizes: Int64Array, longest: int) -> Array:
    """Return short parts: as much is copied for each as for the longest, then what is not its."""
    step = column.strides[0]
    windows = as_strided(column, (len(column) - longest + 1, longest), (step, step))
    firsts = np.minimum(starts, len(column) - longest)
    places, begins = np.arange(longest), (starts - firsts)[:, None]
    own = (places >= begins) & (places < begins + sizes[:, None])
    found: Array = windows[firsts][own]
    return found
