"""Types of the inverted lists; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt16Array, UInt32Array

ROWS_OF_BLOCK: int

def score(
    query_indices: UInt32Array,
    query_weights: Float32Array,
    edges: Int64Array,
    spans: Int64Array,
    terms: UInt32Array,
    starts: Int64Array,
    rows: UInt16Array,
    halves: UInt16Array,
    weights: Float32Array,
    first: int,
    last: int,
    out: Float32Array,
    scratch: Float32Array,
) -> None: ...
def score_rows(
    query_indices: UInt32Array,
    query_weights: Float32Array,
    edges: Int64Array,
    spans: Int64Array,
    terms: UInt32Array,
    starts: Int64Array,
    rows: UInt16Array,
    halves: UInt16Array,
    weights: Float32Array,
    wanted: Int64Array,
    out: Float32Array,
) -> None: ...
def best_scratch(num_terms: int, k: int) -> int: ...
def best(
    query_indices: UInt32Array,
    query_weights: Float32Array,
    edges: Int64Array,
    spans: Int64Array,
    terms: UInt32Array,
    starts: Int64Array,
    rows: UInt16Array,
    halves: UInt16Array,
    weights: Float32Array,
    highest: Float32Array,
    norms: Float32Array,
    first: int,
    last: int,
    k: int,
    best_rows: Int64Array,
    best_scores: Float32Array,
    scratch: UInt8Array,
) -> int: ...
