"""Skips documents that an int8 copy proves not to be among the best; what remains is exact.

Let a query token differ from its whole numbers by an angle u and a document token from its codes by
an angle v. Then their angle differs from that of the numbers and codes by at most u + v, and the
cosine by as much; so does the best cosine of a document whose widest angle is v.
"""

import numpy as np

from cgcython.similarity import scorers
from cgcython.similarity.query import PreparedQuery
from cgcython.token_array.screen import angles_between, widest_angles

EPSILON = 2.0**-23


def contenders(query, documents, k, reduce, num_threads=1):
    """Return the ids, ascending, of all documents whose float32 score can be among the best k.

    `reduce(sums, count)` turns sums into scores and never changes their order.
    """
    if not query.count:
        return np.arange(len(documents))
    coarse = PreparedQuery(query.tokens)
    sums = scorers.sums(coarse, documents.coarse(), num_threads).astype(np.float64)
    margins = _margins(coarse, documents)
    sure = reduce((sums - margins).astype(np.float32), query.count)
    possible = reduce((sums + margins).astype(np.float32), query.count)
    return np.flatnonzero(possible >= np.partition(sure, -k)[-k])


def _margins(query, documents):
    """Return how far the sum of each document may be from that of its codes."""
    angles = angles_between(query.tokens, query.numbers).astype(np.float64)
    widest = widest_angles(documents.screen, documents.starts, documents.counts)
    # What float32 rounds while it multiplies, adds and sums up, and then some.
    rounding = query.count * (query.dim + query.count + 16) * EPSILON
    return angles.sum() + query.count * widest.astype(np.float64) + rounding
