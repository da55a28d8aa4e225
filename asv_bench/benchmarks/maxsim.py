"""MaxSim of a 32-token query with documents of 128 dimensions."""

import numpy as np

from cgcython import TokenArray, max_sim, max_sim_batch

from .gates import at_least
from .inputs import RNG, unit
from .limits import fastest, track_fma_rate
from .stopwatch import times_as_fast

QUERY = unit(RNG.standard_normal((32, 128), dtype=np.float32))
DOCUMENTS = unit(RNG.standard_normal((64, 256, 128), dtype=np.float32))
TOKENS = TokenArray.from_list(list(DOCUMENTS))
FLOPS = 2 * QUERY.shape[0] * DOCUMENTS.size


def pair():
    return max_sim(QUERY, DOCUMENTS[0])


def pair_by_numpy():
    """Multiply and take the maximum, which needs unit rows to be a cosine."""
    return (QUERY @ DOCUMENTS[0].T).max(axis=1).mean()


def batch():
    return max_sim_batch(QUERY, TOKENS)


def batch_by_numpy():
    return [(QUERY @ document.T).max(axis=1).mean() for document in DOCUMENTS]


class Pair:
    def time_max_sim(self):
        pair()

    @at_least(1.5)
    def track_against_numpy_matmul_and_max(self):
        assert abs(pair() - pair_by_numpy()) < 1e-6
        return times_as_fast(pair, pair_by_numpy)


class Batch:
    @at_least(2)
    def track_against_numpy_matmul_and_max(self):
        np.testing.assert_allclose(batch(), batch_by_numpy(), atol=1e-6)
        return times_as_fast(batch, batch_by_numpy)

    @at_least(0.8, "of FMA")
    def track_share_of_the_fma_rate(self):
        rates = (FLOPS / fastest(batch, 5) / 1e9 / track_fma_rate() for _ in range(5))
        return max(rates)
