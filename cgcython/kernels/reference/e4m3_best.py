"""The best rows of E4M3 codes by definition: score all, and keep those near the k-th."""

import numpy as np

from cgcython.kernels.reference import e4m3
from cgcython.kernels.reference.door import agree, writes

WIDEST = 4096


@writes("rows", "scores")
def best(query, codes, inverse_norms, scales, k, within, rows, scores):
    """Write the k best rows and all within some distance of the k-th score, and their scores.

    Scores are what dot_rows writes, or cosine_rows where scales are None; rows ascend. Rows that
    score NaN or -inf are left out. Returns how many were written, or -1 where `rows` is too short.
    """
    _check_rows(query.shape[0], codes, inverse_norms, scales)
    agree("scores", scores.shape[0], "rows", rows.shape[0])
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")
    every = np.empty(len(codes), np.float32)
    with np.errstate(all="ignore"):  # as compiled kernels do
        if scales is None:
            e4m3.cosine_rows(query, codes, inverse_norms, every)
        else:
            e4m3.dot_rows(query, codes, scales, every)
    found = np.flatnonzero(every > -np.inf)
    if len(found) >= k:
        last = np.sort(every[found])[-k]
        found = found[every[found] >= float(last) - within]
    if len(found) > len(rows):
        return -1
    rows[: len(found)], scores[: len(found)] = found, every[found]
    return len(found)


def _check_rows(dim, codes, inverse_norms, scales):
    agree("a row of codes", codes.shape[1], "query", dim)
    agree("inverse_norms", inverse_norms.shape[0], "codes", codes.shape[0])
    if scales is not None:
        agree("scales", scales.shape[0], "codes", codes.shape[0])
    if dim > WIDEST:
        raise ValueError(f"query holds {dim}, expected up to {WIDEST}")
