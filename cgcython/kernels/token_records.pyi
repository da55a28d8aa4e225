"""Types of the token record kernels; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt32Array

CANONICAL: int
COMPACT_E4M3: int
COMPACT_F32: int
COMPACT_INT4: int
COMPACT_INT2: int
COMPACT_INT4_F16: int
COMPACT_INT2_F16: int
WIDEST_TURNED: int

def is_sound(values: object, dim: int) -> bool: ...
def encode(
    values: Float32Array, kept: UInt32Array, importance: Float32Array | None, layout: int
) -> bytes | None: ...
def encode_rows(
    values: Float32Array,
    offsets: Int64Array,
    kept: UInt32Array,
    importance: Float32Array,
    edges: Int64Array,
    layout: int,
    data: UInt8Array,
    places: Int64Array,
) -> int: ...
def decode(
    data: bytes | UInt8Array,
    n: int,
    count: int,
    dim: int,
    layout: int,
    out: Float32Array | None = None,
) -> Float32Array | None: ...
def decode_rows(
    data: UInt8Array,
    offsets: Int64Array,
    originals: UInt32Array,
    edges: Int64Array,
    layout: int,
    values: Float32Array,
) -> int: ...
def count_kept(
    data: UInt8Array, offsets: Int64Array, originals: UInt32Array, kept: Int64Array
) -> None: ...
