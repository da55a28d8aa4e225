"""Types of the kernels of sign bits in blocks; OUT arrays are written."""

from cgcython.types import Int64Array, UInt32Array, UInt64Array

def distances(query: UInt64Array, blocks: UInt64Array, out: UInt32Array) -> None: ...
def nearest(
    query: UInt64Array,
    blocks: UInt64Array,
    rows: int,
    k: int,
    ids: Int64Array,
    distances: UInt32Array,
) -> None: ...
