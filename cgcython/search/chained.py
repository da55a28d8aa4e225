"""Data of several embeddings one after the other, and parts of columns put together."""

from collections.abc import Sequence

import numpy as np

from cgcython.records import QuantizedEmbedding
from cgcython.types import Array, Int64Array, UInt8Array

SHORT = 64  # rows: as many are numbered in the time of a slice


def concatenated(quantized: Sequence[QuantizedEmbedding]) -> tuple[UInt8Array, Int64Array]:
    """Return the data of embeddings one after the other, and where each begins and ends."""
    data = np.frombuffer(b"".join(one.data for one in quantized), np.uint8)
    return data, np.cumsum([0, *(len(one.data) for one in quantized)], dtype=np.int64)


def gathered(column: Array, starts: Int64Array, stops: Int64Array) -> Array:
    """Return the parts of a column from each start to its stop, one after the other."""
    sizes = stops - starts
    if sizes.sum() <= SHORT * len(sizes):
        places = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        return column[places + np.arange(len(places))]
    spans = zip(starts.tolist(), stops.tolist())
    return np.concatenate([column[:0], *[column[start:stop] for start, stop in spans]])
