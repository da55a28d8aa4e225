"""Types of the sparse products; OUT arrays are written, all others are read."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

def dot_pair(indices_a: U32, weights_a: F32, indices_b: U32, weights_b: F32) -> float: ...
def dot_rows(query: F32, indptr: I64, indices: U32, weights: F32, out: F32) -> None: ...
def norms(indptr: I64, weights: F32, out: F32) -> None: ...
def invert(
    indptr: I64, indices: U32, weights: F32, starts: I64, docs: U32, placed: F32
) -> None: ...
def score_postings(
    query_indices: U32,
    query_weights: F32,
    starts: I64,
    docs: U32,
    weights: F32,
    first: int,
    out: F32,
) -> None: ...
