"""Types of late interaction on float32 and E4M3 tokens; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array

def pack_query(tokens: Float32Array, packed: Float32Array) -> int: ...
def inverse_norms(values: Float32Array, out: Float32Array) -> None: ...
def inverse_norms_codes(codes: UInt8Array, out: Float32Array) -> None: ...
def score(
    packed: Float32Array,
    num_query: int,
    values: Float32Array,
    norms: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
def score_codes(
    packed: Float32Array,
    num_query: int,
    data: UInt8Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> None: ...
def align(
    packed: Float32Array,
    num_query: int,
    values: Float32Array,
    norms: Float32Array,
    best: Int64Array,
    cosines: Float32Array,
) -> None: ...
def matrix_of(values: object) -> Float32Array | None: ...
def pair(query: object, document: object) -> float | None: ...
