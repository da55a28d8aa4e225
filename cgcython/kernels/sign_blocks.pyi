"""Types of the kernels of sign bits in blocks; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt32Array, UInt64Array

def pack(
    values: Float32Array,
    factors: Float32Array,
    centre: Float32Array,
    flips: UInt8Array,
    scratch: Float32Array,
    packed: UInt64Array,
) -> None: ...
def distances(query: UInt64Array, blocks: UInt64Array, out: UInt32Array) -> None: ...
def nearest(
    query: UInt64Array,
    blocks: UInt64Array,
    rows: int,
    k: int,
    ids: Int64Array,
    distances: UInt32Array,
) -> None: ...
