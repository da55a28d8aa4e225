"""Types of the sparse products; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt32Array

def dot_pair(
    indices_a: UInt32Array, weights_a: Float32Array, indices_b: UInt32Array, weights_b: Float32Array
) -> float: ...
def dot_rows(
    query: Float32Array,
    indptr: Int64Array,
    indices: UInt32Array,
    weights: Float32Array,
    out: Float32Array,
) -> None: ...
def norms(indptr: Int64Array, weights: Float32Array, out: Float32Array) -> None: ...
def invert(
    indptr: Int64Array,
    indices: UInt32Array,
    weights: Float32Array,
    starts: Int64Array,
    docs: UInt32Array,
    placed: Float32Array,
) -> None: ...
