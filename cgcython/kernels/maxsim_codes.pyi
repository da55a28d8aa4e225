"""Types of late interaction on E4M3 tokens as bytes; OUT arrays are written."""

from cgcython.types import Float32Array, Int8Array, Int64Array, UInt8Array

def pays() -> bool: ...
def measure(codes: UInt8Array, norms: Float32Array, distances: Float32Array) -> None: ...
def score(
    packed: Int8Array,
    num_query: int,
    codes: UInt8Array,
    norms: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
