"""The best of many scores."""

from typing import TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.checks import require_whole
from cgcython.types import Float32Array, Int64Array

Best: TypeAlias = tuple[Int64Array, Float32Array]  # ids and scores, best first


def top_k(scores: Float32Array, k: int) -> Best:
    """Return (ids, scores) of the `k` highest scores, descending; ties keep the lower index."""
    k = min(require_whole(k, "k"), len(scores))
    ids, best = np.empty(k, np.int64), np.empty(k, np.float32)
    kernels.dense.top_k(scores, ids, best)
    return ids, best
