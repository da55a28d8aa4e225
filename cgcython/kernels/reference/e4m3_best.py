"""The best rows of E4M3 codes by definition: score all, and keep those near the k-th."""

import numpy as np

from cgcython.kernels.reference import e4m3
from cgcython.kernels.reference.door import agree, writes

WIDEST = 4096
LANES, MOST = 32, 256
MEASURES = 8


@writes("rows", "scores")
def best(query, codes, inverse_norms, scales, k, within, least, rows, scores):
    """Write the k best rows and all within some distance of the k-th score, and their scores.

    Of these only the rows that score `least` or more, where that much is known. Scores are what
    dot_rows writes, or cosine_rows where scales are None; rows ascend. Rows that score NaN or -inf
    are left out. Returns how many were written, or -1 where `rows` is too short.
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
    found = np.flatnonzero((every > -np.inf) & (every >= np.float64(least)))
    if len(found) >= k:
        last = np.sort(every[found])[-k]
        found = found[every[found] >= float(last) - within]
    if len(found) > len(rows):
        return -1
    rows[: len(found)], scores[: len(found)] = found, every[found]
    return len(found)


@writes("laid", "halves", "numbers", "measures")
def pack(queries, cosine, laid, halves, numbers, measures):
    """Prepare queries [n, dim] for `best_many`, to be scored by cosines or by dot products.

    `laid` and `halves` are [n, dim in multiples of 64], `numbers` are
    [ceil(n / 32), ceil(dim / 4), 128] and `measures` [n, 8]. The reference keeps
    the queries as they are.
    """
    _check_packed(*queries.shape, laid, halves, numbers, measures)
    laid[:], halves[:], numbers[:], measures[:] = 0, 0, 0, 0
    laid[:, : queries.shape[1]] = queries


@writes("rows", "scores", "held", "least")
def best_many(
    laid,
    halves,
    numbers,
    measures,
    codes,
    inverse_norms,
    scales,
    k,
    within,
    least,
    rows,
    scores,
    held,
):
    """Write what `best` writes for each of up to 256 queries that `pack` prepared.

    `held` says how many each has, or -1 where a row of `rows` is too short; `least` is raised to
    what the best of more rows must reach.
    """
    dim = codes.shape[1]
    _check_rows(dim, codes, inverse_norms, scales)
    _check_packed(len(laid), dim, laid, halves, numbers, measures)
    agree("rows", rows.shape[0], "queries", len(laid))
    agree("scores", scores.shape[0], "queries", len(laid))
    agree("a row of scores", scores.shape[1], "a row of rows", rows.shape[1])
    agree("held", held.shape[0], "queries", len(laid))
    agree("least", least.shape[0], "queries", len(laid))
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")
    if len(laid) > MOST:
        raise ValueError(f"laid holds {len(laid)} queries, expected up to {MOST}")
    for i, query in enumerate(laid[:, :dim].copy()):
        known = codes, inverse_norms, scales, k, within, least[i]
        held[i] = best(query, *known, rows[i], scores[i])
        if held[i] >= k:
            last = float(np.sort(scores[i, : held[i]])[-k])
            least[i] = max(least[i], last - within)


def _check_packed(n, dim, laid, halves, numbers, measures):
    agree("laid", laid.shape[0], "queries", n)
    agree("a row of laid", laid.shape[1], "a query", -(-dim // 64) * 64)
    agree("halves", halves.shape[0], "queries", n)
    agree("a row of halves", halves.shape[1], "a row of laid", laid.shape[1])
    agree("numbers", numbers.shape[0], "queries in blocks", -(-n // LANES))
    agree("a block of numbers", numbers.shape[1], "a query in fours", -(-dim // 4))
    agree("a line of numbers", numbers.shape[2], "the lanes", 4 * LANES)
    agree("measures", measures.shape[0], "queries", n)
    agree("a row of measures", measures.shape[1], "what is measured", MEASURES)


def _check_rows(dim, codes, inverse_norms, scales):
    agree("a row of codes", codes.shape[1], "query", dim)
    agree("inverse_norms", inverse_norms.shape[0], "codes", codes.shape[0])
    if scales is not None:
        agree("scales", scales.shape[0], "codes", codes.shape[0])
    if dim > WIDEST:
        raise ValueError(f"query holds {dim}, expected up to {WIDEST}")
