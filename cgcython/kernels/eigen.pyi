"""Types of the eigenvector kernels; OUT arrays are written, INOUT arrays read and written."""

from cgcython.types import Float64Array

def tridiagonal(
    matrix: Float64Array,
    factors: Float64Array,
    diagonal: Float64Array,
    off: Float64Array,
    work: Float64Array,
    start: int,
    stop: int,
) -> None: ...
def vectors(
    matrix: Float64Array,
    factors: Float64Array,
    diagonal: Float64Array,
    off: Float64Array,
    first: int,
    columns: Float64Array,
) -> None: ...
def product(a: Float64Array, b: Float64Array, out: Float64Array) -> None: ...
