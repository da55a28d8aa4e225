"""Skips documents that an int8 copy proves not to be among the best; what remains is exact."""

from collections.abc import Callable

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_weighted
from cgcython.similarity import scorers
from cgcython.similarity.query import PreparedQuery
from cgcython.token_array import TokenArray
from cgcython.token_array.screen import Screen
from cgcython.types import Float32Array, Int64Array


def contenders(
    query: PreparedQuery,
    documents: TokenArray,
    screen: Screen,
    k: int,
    reduce: Callable[[Float32Array, int], Float32Array],
    num_threads: int = 1,
) -> Int64Array:
    """Return the ids, ascending, of all documents whose float32 score can be among the best k.

    `reduce(sums, count)` turns sums into scores and never changes their order.
    """
    scorers.require_dim(query.dim, documents.dim)
    lower, upper = np.zeros((2, len(documents)), np.float32)
    arguments = scorers.screened(query, documents, screen)

    def bound(start: int, stop: int) -> None:
        rows = slice(start, stop)
        starts, counts = documents.starts[rows], documents.counts[rows]
        kernels.maxsim_screen.bound(*arguments, starts, counts, lower[rows], upper[rows])

    split_weighted(bound, documents.counts + scorers.PER_DOCUMENT, num_threads)
    sure = np.partition(reduce(lower, query.count), -k)[-k]
    return np.flatnonzero(reduce(upper, query.count) >= sure)
