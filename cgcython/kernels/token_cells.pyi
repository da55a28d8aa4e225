"""Types of cells of tokens; OUT arrays are written."""

from cgcython.types import Float32Array, Int8Array, Int32Array, Int64Array, UInt8Array, UInt32Array

def nearest(
    packed: Int8Array,
    num_tokens: int,
    codes: UInt8Array,
    norms: Float32Array,
    cells: Int32Array,
    cosines: Float32Array,
) -> None: ...
def accumulate(
    cells: Int32Array,
    gains: Float32Array,
    offsets: Int64Array,
    documents: UInt32Array,
    marks: Int32Array,
    sums: Float32Array,
) -> int: ...
