"""Scans over product-quantized codes, and the k-means that makes their codebooks, beside faiss."""

import faiss
import numpy as np

from cgcython import CodeIndex, PQ8Codebook, kernels
from cgcython.codecs.training import Training
from cgcython.kernels import pq_layout

from .gates import at_least
from .inputs import RNG, correlated
from .stopwatch import times_as_fast

PARTS, DIM, COUNT = 8, 128, 1 << 19
CENTROIDS = RNG.standard_normal((PARTS, 256, DIM // PARTS), dtype=np.float32)
CODES = RNG.integers(0, 256, (COUNT, PARTS), dtype=np.uint8)
CODE_INDEX = CodeIndex(PQ8Codebook(CENTROIDS), CODES)
# The index's own bytes: where two copies lie in a shared cache would be timed as well.
BLOCKS = CODE_INDEX.blocks
PREPARED, QUERY = pq_layout.prepare(CENTROIDS), RNG.standard_normal(DIM, dtype=np.float32)
TABLE, IDS = np.empty((PARTS, 256), np.float32), np.empty(10, np.int64)
BEST = np.empty(10, np.float32)
faiss.omp_set_num_threads(1)


def index(bits):
    """Return a faiss index of the same number of bytes in codes of 4 or 8 bits."""
    made = faiss.IndexPQ(DIM, PARTS * 8 // bits, bits)
    faiss.copy_array_to_vector(CENTROIDS.ravel()[: DIM << bits], made.pq.centroids)
    made.is_trained = True
    made.add_sa_codes(CODES)
    return made


INDEX, SHORT_INDEX = index(8), faiss.IndexPQFastScan(index(4))


def nearest():
    kernels.pq.distance_table(QUERY, PREPARED, TABLE)
    kernels.adc.topk(TABLE, CODES, IDS, BEST)


def nearest_in_blocks():
    kernels.pq.distance_table(QUERY, PREPARED, TABLE)
    kernels.adc.topk_blocks(TABLE, BLOCKS, COUNT, IDS, BEST)


def nearest_in_an_index():
    BEST[:] = CODE_INDEX.search(QUERY, 10)[1]


def nearest_by_cosine():
    return CODE_INDEX.search(QUERY, 10, metric="cosine")


def nearest_by_faiss():
    return INDEX.search(QUERY[None], 10)[0][0]


def nearest_by_fast_scan():
    """Search codes of 4 bits, which are coarser: other distances in the same number of bytes."""
    return SHORT_INDEX.search(QUERY[None], 10)


def check(call):
    """Require the distances that faiss finds."""
    BEST[:] = np.nan
    call()
    np.testing.assert_allclose(BEST, nearest_by_faiss(), rtol=1e-5)


class TopTen:
    @at_least(1)
    def track_rows_against_faiss(self):
        check(nearest)
        return times_as_fast(nearest, nearest_by_faiss)

    @at_least(8, v3=1.3, v4=3.5, v4n=3.5)  # tables in registers want byte permutations, or words
    def track_blocks_against_faiss(self):
        check(nearest_in_blocks)
        return times_as_fast(nearest_in_blocks, nearest_by_faiss)

    @at_least(0.7, "of the kernel")
    def track_index_against_its_kernel(self):
        check(nearest_in_an_index)
        return times_as_fast(nearest_in_an_index, nearest_in_blocks)

    @at_least(0.7, "x the speed of distances", v3=0.55)
    def track_cosines_against_distances(self):
        ids, cosines = nearest_by_cosine()
        np.testing.assert_array_equal(cosines, CODE_INDEX.distances(QUERY, ids, metric="cosine"))
        return times_as_fast(nearest_by_cosine, nearest_in_an_index)

    @at_least(1, v3=0.15, v4=0.5, v4n=0.5)
    def track_blocks_against_fast_scan(self):
        check(nearest_in_blocks)
        return times_as_fast(nearest_in_blocks, nearest_by_fast_scan)


# One of the eight parts of 1024 dimensions.
ROWS, TRAINED = correlated(20_480, 128), 1


def train():
    return Training(ROWS, ROWS[:1], TRAINED, 0).run().centroids


def train_by_faiss():
    """Train with 25 iterations on all rows, as faiss does by default."""
    quantizer = faiss.ProductQuantizer(ROWS.shape[1], TRAINED, 8)
    quantizer.train(ROWS)
    return faiss.vector_to_array(quantizer.centroids).reshape(TRAINED, 256, -1)


def mean_squared_error(centroids):
    """Return what rows lose when each part becomes its nearest centroid."""
    quantizer = faiss.ProductQuantizer(ROWS.shape[1], TRAINED, 8)
    faiss.copy_array_to_vector(np.ascontiguousarray(centroids).ravel(), quantizer.centroids)
    return np.square(quantizer.decode(quantizer.compute_codes(ROWS)) - ROWS).mean()


class Train:
    @at_least(1.5)
    def track_against_faiss(self):
        return times_as_fast(train, train_by_faiss, rounds=3)

    @at_least(0.995, "of its MSE")
    def track_error_against_faiss(self):
        return float(mean_squared_error(train_by_faiss()) / mean_squared_error(train()))
