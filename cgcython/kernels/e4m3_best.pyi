"""Types of the kernels that find the best rows of E4M3 codes; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array

def best(
    query: Float32Array,
    codes: UInt8Array,
    inverse_norms: Float32Array,
    scales: Float32Array | None,
    k: int,
    within: float,
    rows: Int64Array,
    scores: Float32Array,
) -> int: ...
