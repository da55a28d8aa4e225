"""Types of the kernels of turned scalar codes; OUT arrays are written."""

from cgcython.types import Float32Array, Int8Array, Int16Array, UInt8Array

def scratch(dim: int) -> int: ...
def encode_rows(
    values: Float32Array,
    bits: int,
    room: Float32Array,
    codes: UInt8Array,
    scales: Float32Array,
    powers: Int8Array,
) -> int: ...
def decode_rows(
    codes: UInt8Array,
    bits: int,
    scales: Float32Array,
    powers: Int8Array,
    values: Float32Array,
) -> None: ...
def encode_vector(values: object, dim: int, bits: int) -> tuple[bytes, float, int] | None: ...
def decode_vector(
    codes: bytes,
    dim: int,
    bits: int,
    scale: float,
    power: int,
    out: Float32Array | None = None,
) -> Float32Array | None: ...
def inverse_norms(codes: UInt8Array, bits: int, dim: int, out: Float32Array) -> None: ...
def packed_size(dim: int, bits: int) -> int: ...
def pack_query(
    query: Float32Array, bits: int, room: Float32Array, packed: Int16Array
) -> tuple[int, int, float]: ...
def score_rows(
    packed: Int16Array,
    total: int,
    factor: float,
    codes: UInt8Array,
    bits: int,
    dim: int,
    factors: Float32Array,
    out: Float32Array,
) -> None: ...
