"""Types of the kernels of residual codes; OUT and INOUT arrays are written."""

from cgcython.types import Float32Array, Int16Array, Int32Array, UInt8Array

def product(values: Float32Array, strips: Float32Array, out: Float32Array) -> None: ...
def search(
    products: Float32Array,
    norms: Float32Array,
    cross: Int16Array,
    shifts: UInt8Array,
    unit: float,
    first: int,
    codes: UInt8Array,
    scores: Int32Array,
) -> None: ...
def sums(codes: UInt8Array, centroids: Float32Array, out: Float32Array) -> None: ...
