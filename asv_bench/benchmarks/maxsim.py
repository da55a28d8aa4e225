"""MaxSim of a 32-token query with a 256-token document of 128 dimensions."""

import numpy as np

from cgcython import max_sim

from .gates import at_least
from .inputs import RNG, unit
from .stopwatch import times_as_fast

QUERY = unit(RNG.standard_normal((32, 128), dtype=np.float32))
DOCUMENT = unit(RNG.standard_normal((256, 128), dtype=np.float32))


def ours():
    return max_sim(QUERY, DOCUMENT)


def theirs():
    """NumPy's matrix product and maximum, which needs unit rows to be a cosine."""
    return (QUERY @ DOCUMENT.T).max(axis=1).mean()


class Pair:
    def time_max_sim(self):
        ours()

    @at_least(1.5)
    def track_against_numpy_matmul_and_max(self):
        assert abs(ours() - theirs()) < 1e-6
        return times_as_fast(ours, theirs)
