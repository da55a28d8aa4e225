"""Types of the k-means steps; sums, counts and distances are read and written."""

from cgcython.types import Float32Array, Float64Array, Int64Array, UInt8Array

def shrink_distances(
    values: Float32Array, centre: Float32Array, distances: Float32Array
) -> None: ...
def accumulate(
    values: Float32Array, codes: UInt8Array, sums: Float64Array, counts: Int64Array
) -> None: ...
