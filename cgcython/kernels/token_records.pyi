"""Types of the token record kernels; OUT arrays are written, all others are read."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]

CANONICAL: int
COMPACT_E4M3: int
COMPACT_F32: int
COMPACT_INT4: int
COMPACT_INT2: int
WIDEST_TURNED: int

def is_sound(values: object, dim: int) -> bool: ...
def encode(values: F32, kept: U32, importance: F32 | None, layout: int) -> bytes | None: ...
def decode(
    data: bytes | U8, n: int, count: int, dim: int, layout: int, out: F32 | None = None
) -> F32 | None: ...
def decode_rows(
    data: U8, offsets: I64, originals: U32, edges: I64, layout: int, values: F32
) -> int: ...
