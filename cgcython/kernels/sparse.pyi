"""Types of the sparse kernels; OUT arrays are written, all others are read."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]

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
def encode(indices: U32, weights: F32, dimension: int, layout: int, data: U8) -> bool: ...
def decode(data: U8 | bytes, dimension: int, layout: int, indices: U32, weights: F32) -> int: ...
def encode_vector(
    indices: object, weights: object, dimension: int, layout: int
) -> bytes | None: ...
def decode_vector(data: bytes, nnz: int, dimension: int, layout: int) -> tuple[U32, F32] | None: ...
def fits_half(indptr: I64, weights: F32, fits: U8) -> None: ...
def measure_rows(indptr: I64, dimension: int, layouts: U8, offsets: I64) -> None: ...
def encode_rows(
    indptr: I64, indices: U32, weights: F32, dimension: int, layouts: U8, data: U8, offsets: I64
) -> int: ...
def decode_rows(
    data: U8, offsets: I64, layouts: U8, dimension: int, indptr: I64, indices: U32, weights: F32
) -> int: ...
