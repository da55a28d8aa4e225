"""Types of late interaction on bfloat16 tokens; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt16Array

def encode(values: Float32Array, halves: UInt16Array) -> int: ...
def decode(halves: UInt16Array, values: Float32Array) -> None: ...
def pack_query(tokens: Float32Array, packed: UInt16Array) -> int: ...
def inverse_norms(values: UInt16Array, out: Float32Array) -> None: ...
def score(
    packed: UInt16Array,
    num_query: int,
    values: UInt16Array,
    norms: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
def score_codes(
    packed: UInt16Array,
    num_query: int,
    codes: UInt8Array,
    norms: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
