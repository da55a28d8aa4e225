"""Sparse vectors of 5 % non-zeros. The specification allows 200 us to decode any embedder."""

from functools import cache

import numpy as np
import scipy.sparse

from cgcython import ModelId, SparseVector, kernels
from cgcython.codecs.sparse import SparseCodec
from cgcython.search.inverted import Rows, inverted, norms_of
from cgcython.search.sparse_scans import HalfSparseScan

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

CSR = Rows(INDPTR, INDICES, WEIGHTS)
LISTS = inverted(CSR, norms_of(CSR), VALUES.dimension, np.float32)
SCRATCH = np.empty(kernels.postings.ROWS_OF_BLOCK, np.float32)
COLUMNS = scipy.sparse.csr_matrix(
    (WEIGHTS, INDICES.astype(np.int32), INDPTR), (len(ROWS), VALUES.dimension)
).tocsc()
COLUMN = scipy.sparse.csc_matrix(QUERY[:, None])
OTHER = ROWS[0]


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
    kernels.sparse_products.dot_rows(QUERY, INDPTR, INDICES, WEIGHTS, DOTS)


def dots_by_scipy():
    return MATRIX @ QUERY[: MATRIX.shape[1]]


@at_least(1.5, v3=1.2, v4=0.9, v4n=0.9)
def track_dots_against_scipy_csr():
    dots()
    np.testing.assert_allclose(DOTS, dots_by_scipy(), rtol=1e-5)
    return times_as_fast(dots, dots_by_scipy, 25)


def score():
    arguments, blocks = LISTS.arguments(), len(LISTS.edges) - 1
    kernels.postings.score(VALUES.indices, VALUES.weights, *arguments, 0, blocks, DOTS, SCRATCH)


def score_by_scipy():
    return (COLUMNS @ COLUMN).toarray()


@at_least(1)
def track_inverted_lists_against_scipy_csc():
    score()
    np.testing.assert_allclose(DOTS, score_by_scipy()[:, 0], rtol=1e-4)
    return times_as_fast(score, score_by_scipy)


def dot_pair():
    a, b = VALUES, OTHER
    return kernels.sparse_products.dot_pair(a.indices, a.weights, b.indices, b.weights)


def dot_pair_by_numpy():
    a, b = VALUES, OTHER
    _, i, j = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
    return a.weights[i] @ b.weights[j]


@at_least(5)
def track_pair_against_numpy():
    np.testing.assert_allclose(dot_pair(), dot_pair_by_numpy(), rtol=1e-4)
    return times_as_fast(dot_pair, dot_pair_by_numpy)


class Best:
    """The best of 20,000 rows whose terms are as frequent, and weigh as much, as those of texts."""

    params, param_names = [[20, 100]], ["terms"]

    def setup(self, terms):
        self.scan, queries = _texts(20_000)
        self.query = queries(terms)

    def find(self):
        return self.scan.best(self.query, 10)

    def find_by_scores(self):
        scores = self.scan.scores(self.query)
        return np.argpartition(scores, -10)[-10:]

    def time_best(self, terms):
        self.find()

    @at_least(1.2)
    def track_best_against_all_scores(self, terms):
        assert set(self.find_by_scores()) <= set(self.find().rows.tolist())
        return times_as_fast(self.find, self.find_by_scores)

    @at_most(4.5, "bytes")
    def track_bytes_of_a_non_zero(self, terms):
        arrays = self.scan.arrays()
        return sum(one.nbytes for one in arrays.values()) / len(arrays["rows"])


@cache
def _texts(count, dimension=30_522, drawn=120):
    """Return the scan of rows, and a function that returns a query of so many terms."""
    rng = np.random.default_rng(1)
    shares = 1 / np.arange(10, dimension + 10)
    ends = np.cumsum(shares / shares.sum())
    terms = np.sort(np.searchsorted(ends, rng.random((count + 1, drawn))), axis=1)
    terms = np.minimum(terms, dimension - 1)
    first = np.diff(terms, axis=1, prepend=-1) > 0
    weights = -np.log(shares[terms]) * rng.gamma(2, 0.2, terms.shape).astype(np.float16)
    weights = np.float32(np.float16(weights))
    rows = Rows(
        np.append(0, np.cumsum(first[:count].sum(axis=1))),
        terms[:count][first[:count]].astype(np.uint32),
        weights[:count][first[:count]],
    )
    last_terms, last_weights = terms[count][first[count]], weights[count][first[count]]

    def query(nnz):
        heaviest = np.sort(np.argsort(-last_weights)[:nnz])
        return SparseVector(last_terms[heaviest], last_weights[heaviest], dimension)

    return HalfSparseScan.of_rows(rows, dimension), query
