"""Types of the sparse kernels; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt32Array

CANONICAL: int
COMPACT_F16: int
COMPACT_F32: int
COMPACT_U8: int
SOUND: int
BAD_LENGTH: int
BAD_COUNT: int
BAD_PADDING: int
BAD_INDEX: int
BAD_WEIGHT: int

def size(nnz: int, dimension: int, layout: int) -> int: ...
def encode(
    indices: UInt32Array, weights: Float32Array, dimension: int, layout: int, data: UInt8Array
) -> bool: ...
def decode(
    data: UInt8Array | bytes,
    dimension: int,
    layout: int,
    indices: UInt32Array,
    weights: Float32Array,
) -> int: ...
def encode_vector(
    indices: object, weights: object, dimension: int, layout: int
) -> bytes | None: ...
def decode_vector(
    data: bytes, nnz: int, dimension: int, layout: int
) -> tuple[UInt32Array, Float32Array] | None: ...
def fits_half(indptr: Int64Array, weights: Float32Array, fits: UInt8Array) -> None: ...
def measure_rows(
    indptr: Int64Array, dimension: int, layouts: UInt8Array, offsets: Int64Array
) -> None: ...
def encode_rows(
    indptr: Int64Array,
    indices: UInt32Array,
    weights: Float32Array,
    dimension: int,
    layouts: UInt8Array,
    data: UInt8Array,
    offsets: Int64Array,
) -> int: ...
def fits_half_vectors(weights: list[Float32Array], fits: UInt8Array) -> bool: ...
def encode_vectors(
    indices: list[UInt32Array],
    weights: list[Float32Array],
    dimension: int,
    layouts: UInt8Array,
    data: UInt8Array,
    offsets: Int64Array,
) -> int: ...
def decode_rows(
    data: UInt8Array,
    offsets: Int64Array,
    layouts: UInt8Array,
    dimension: int,
    indptr: Int64Array,
    indices: UInt32Array,
    weights: Float32Array,
) -> int: ...
