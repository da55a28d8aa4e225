"""Types of late interaction on product-quantization codes; OUT arrays are written."""

from cgcython.types import Float32Array, Float64Array, Int64Array, UInt8Array

def tables(packed: Float32Array, codebook: Float32Array, out: Float32Array) -> None: ...
def squares(codebook: Float32Array, out: Float64Array) -> None: ...
def inverse_norms(squares: Float64Array, codes: UInt8Array, out: Float32Array) -> None: ...
def score(
    tables: Float32Array,
    num_query: int,
    codes: UInt8Array,
    norms: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
