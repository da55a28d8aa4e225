"""Types of late interaction on tokens of 8, 4, 2 and 1 bit; OUT arrays are written."""

from cgcython.types import Float32Array, Int8Array, Int64Array, UInt8Array

def lines(dim: int, planes: int) -> int: ...
def pack_query(tokens: Float32Array, packed: Int8Array) -> int: ...
def encode_rows(
    values: Float32Array, bits: int, codes: UInt8Array, scales: Float32Array
) -> int: ...
def decode_rows(
    codes: UInt8Array, bits: int, scales: Float32Array, values: Float32Array
) -> None: ...
def inverse_norms(
    codes: UInt8Array, bits: int, dim: int, scales: Float32Array | None, out: Float32Array
) -> None: ...
def score(
    packed: Int8Array,
    num_query: int,
    codes: UInt8Array,
    bits: int,
    norms: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
def align(
    packed: Int8Array,
    num_query: int,
    codes: UInt8Array,
    bits: int,
    norms: Float32Array,
    best: Int64Array,
    cosines: Float32Array,
) -> None: ...
