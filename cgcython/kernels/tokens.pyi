"""Types of the token scores, selection and gathering; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt32Array

MAGNITUDE: int
MAX_ABS: int
ENTROPY: int

def magnitude(values: Float32Array, out: Float32Array) -> None: ...
def max_abs(values: Float32Array, out: Float32Array) -> None: ...
def entropy(values: Float32Array, out: Float32Array) -> None: ...
def select_top(scores: Float32Array, kept: UInt32Array) -> None: ...
def gather(values: Float32Array, kept: UInt32Array, out: Float32Array) -> None: ...
def prune(
    values: Float32Array, method: int, scores: Float32Array, kept: UInt32Array, out: Float32Array
) -> None: ...
def prune_documents(
    values: Float32Array,
    offsets: Int64Array,
    method: int,
    scores: Float32Array,
    kept: UInt32Array,
    kept_offsets: Int64Array,
    out: Float32Array,
) -> None: ...
