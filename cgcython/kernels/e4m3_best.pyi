"""Types of the kernels that find the best rows of E4M3 codes; OUT arrays are written."""

from cgcython.types import (
    Float32Array,
    Float64Array,
    Int8Array,
    Int64Array,
    UInt8Array,
    UInt16Array,
)

def best(
    query: Float32Array,
    codes: UInt8Array,
    inverse_norms: Float32Array,
    scales: Float32Array | None,
    k: int,
    within: float,
    least: float,
    rows: Int64Array,
    scores: Float32Array,
) -> int: ...
def pack(
    queries: Float32Array,
    cosine: bool,
    laid: Float32Array,
    halves: UInt16Array,
    numbers: Int8Array,
    measures: Float64Array,
) -> None: ...
def best_many(
    laid: Float32Array,
    halves: UInt16Array,
    numbers: Int8Array,
    measures: Float64Array,
    codes: UInt8Array,
    inverse_norms: Float32Array,
    scales: Float32Array | None,
    k: int,
    within: float,
    least: Float64Array,
    rows: Int64Array,
    scores: Float32Array,
    held: Int64Array,
) -> None: ...
