"""Types of the kernels of sections; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt32Array

def frame(
    heads: UInt8Array, data: UInt8Array, offsets: Int64Array, crcs: UInt32Array
) -> list[bytes]: ...
def stack(rows: list[Float32Array], are_matrices: bool, out: Float32Array) -> bool: ...
