"""Skips documents that an int8 copy proves not to be among the best; what remains is exact."""

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_weighted
from cgcython.similarity import scorers


def contenders(query, documents, k, reduce, num_threads=1):
    """Return the ids, ascending, of all documents whose float32 score can be among the best k.

    `reduce(sums, count)` turns sums into scores and never changes their order.
    """
    scorers.require_dim(query.dim, documents.dim)
    lower, upper = np.zeros((2, len(documents)), np.float32)
    arguments = scorers.screened(query, documents)

    def bound(start, stop):
        rows = slice(start, stop)
        which = documents.starts[rows], documents.counts[rows], lower[rows], upper[rows]
        kernels.maxsim_screen.bound(*arguments, *which)

    split_weighted(bound, documents.counts + scorers.PER_DOCUMENT, num_threads)
    sure = np.partition(reduce(lower, query.count), -k)[-k]
    return np.flatnonzero(reduce(upper, query.count) >= sure)
