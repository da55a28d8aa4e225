"""Types of the product-quantization kernels; OUT arrays are written."""

from cgcython.kernels.pq_layout import PreparedCodebook
from cgcython.types import Float32Array, UInt8Array

def encode_rows(
    values: Float32Array, prepared: PreparedCodebook, codes: UInt8Array, scratch: Float32Array
) -> int: ...
def encode_vector(values: object, prepared: PreparedCodebook) -> bytes | None: ...
def decode_rows(
    codes: UInt8Array,
    prepared: PreparedCodebook,
    out: Float32Array,
    scratch: Float32Array,
    table: Float32Array | None = None,
) -> None: ...
def decode_vector(
    codes: bytes, prepared: PreparedCodebook, table: Float32Array | None = None
) -> Float32Array: ...
def back_table(prepared: PreparedCodebook, table: Float32Array) -> bool: ...
def dot_table(query: Float32Array, prepared: PreparedCodebook, table: Float32Array) -> None: ...
def distance_table(
    query: Float32Array, prepared: PreparedCodebook, table: Float32Array
) -> None: ...
