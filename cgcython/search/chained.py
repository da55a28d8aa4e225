"""Data of several embeddings one after the other."""

from collections.abc import Sequence

import numpy as np

from cgcython.records import QuantizedEmbedding
from cgcython.types import Int64Array, UInt8Array


def concatenated(quantized: Sequence[QuantizedEmbedding]) -> tuple[UInt8Array, Int64Array]:
    """Return the data of embeddings one after the other, and where each begins and ends."""
    data = np.frombuffer(b"".join(one.data for one in quantized), np.uint8)
    return data, np.cumsum([0, *(len(one.data) for one in quantized)], dtype=np.int64)
