"""Types of the screen of late interaction; OUT arrays are written."""

from cgcython.types import Float32Array, Int8Array, Int64Array, UInt8Array

def pays() -> bool: ...
def lines(dim: int) -> int: ...
def encode_rows(
    values: Float32Array, norms: Float32Array, codes: UInt8Array, bounds: Float32Array
) -> None: ...
def pack_query(packed: Float32Array, rows: Float32Array, numbers: Int8Array) -> None: ...
def score(
    packed: Float32Array,
    rows: Float32Array,
    numbers: Int8Array,
    num_query: int,
    values: Float32Array,
    norms: Float32Array,
    codes: UInt8Array,
    bounds: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    sums: Float32Array,
) -> int: ...
def bound(
    packed: Float32Array,
    rows: Float32Array,
    numbers: Int8Array,
    num_query: int,
    values: Float32Array,
    norms: Float32Array,
    codes: UInt8Array,
    bounds: Float32Array,
    starts: Int64Array,
    counts: Int64Array,
    lower: Float32Array,
    upper: Float32Array,
) -> None: ...
def align(
    packed: Float32Array,
    rows: Float32Array,
    numbers: Int8Array,
    num_query: int,
    values: Float32Array,
    norms: Float32Array,
    codes: UInt8Array,
    bounds: Float32Array,
    best: Int64Array,
    cosines: Float32Array,
) -> None: ...
