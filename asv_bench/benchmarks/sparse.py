"""Sparse vectors of 5 % non-zeros. The specification allows 200 us to decode any embedder."""

import numpy as np
import scipy.sparse

from cgcython import ModelId, kernels
from cgcython.codecs.sparse import SparseCodec

from .gates import at_least, at_most, budget_us, target_us
from .inputs import FINGERPRINT, sparse
from .stopwatch import times_as_fast

LAYOUTS = ["canonical", "compact_f16", "compact_f32"]
VALUES = FINGERPRINT[ModelId.SPARSE]
CODECS = {layout: SparseCodec(VALUES.dimension, layout) for layout in LAYOUTS}
STORED = {layout: codec.encode(VALUES) for layout, codec in CODECS.items()}

ROWS = [sparse(VALUES.dimension) for _ in range(200)]
INDPTR = np.cumsum([0, *(row.nnz for row in ROWS)], dtype=np.int64)
INDICES = np.concatenate([row.indices for row in ROWS])
WEIGHTS = np.concatenate([row.weights for row in ROWS])
QUERY = np.zeros(VALUES.dimension, np.float32)
QUERY[VALUES.indices] = VALUES.weights
DOTS = np.empty(len(ROWS), np.float32)
MATRIX = scipy.sparse.csr_matrix((WEIGHTS, INDICES.astype(np.int32), INDPTR.astype(np.int32)))


class One:
    params, param_names = [LAYOUTS], ["layout"]

    def time_encode(self, layout):
        CODECS[layout].encode(VALUES)

    @budget_us(200)
    @target_us(2)
    def time_decode(self, layout):
        CODECS[layout].decode(STORED[layout])


@at_most(5000, "bytes")
def track_compact_bytes():
    return STORED["compact_f16"].size_bytes


def dots():
    kernels.sparse.dot_rows(QUERY, INDPTR, INDICES, WEIGHTS, DOTS)


def dots_by_scipy():
    return MATRIX @ QUERY[: MATRIX.shape[1]]


@at_least(1.5)
def track_dots_against_scipy_csr():
    dots()
    np.testing.assert_allclose(DOTS, dots_by_scipy(), rtol=1e-5)
    return times_as_fast(dots, dots_by_scipy)
