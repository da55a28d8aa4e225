"""PQ-8. The specification allows 100 us to encode and 200 us to decode, plain and rotated."""

import faiss
import numpy as np

from cgcython import ModelId

from .gates import at_least, budget_us, target_us
from .inputs import FINGERPRINT, codebook, correlated, router
from .limits import share_of_fma
from .stopwatch import times_as_fast

EMBEDDERS = [ModelId.CAUSAL, ModelId.SEMANTIC, ModelId.CODE]
ROTATIONS = {"plain": None, "rotated": "pca"}
ROUTERS = {name: router(rotation) for name, rotation in ROTATIONS.items()}
VALUES = FINGERPRINT[ModelId.SEMANTIC]
STORED = {
    (model_id, name): ROUTERS[name].quantize(model_id, FINGERPRINT[model_id])
    for model_id in EMBEDDERS
    for name in ROTATIONS
}

BOOK = codebook(1024, None)
ROWS = correlated(2048, 1024)
CODES = np.empty((len(ROWS), 8), np.uint8)
DECODED = np.empty_like(ROWS)
THEIRS = faiss.ProductQuantizer(1024, 8, 8)
faiss.copy_array_to_vector(BOOK.centroids.ravel(), THEIRS.centroids)
faiss.omp_set_num_threads(1)


class One:
    params, param_names = [EMBEDDERS, list(ROTATIONS)], ["embedder", "codebook"]

    @budget_us(100)
    def time_quantize(self, model_id, name):
        ROUTERS[name].quantize(model_id, FINGERPRINT[model_id])

    @budget_us(200)
    def time_dequantize(self, model_id, name):
        ROUTERS[name].dequantize(STORED[model_id, name])


class Semantic:
    """One 1024-d vector, whose time the specification names."""

    @target_us(5.5)
    def time_plain(self):
        ROUTERS["plain"].quantize(ModelId.SEMANTIC, VALUES)

    @target_us(25, "reads")
    def time_rotated(self):
        ROUTERS["rotated"].quantize(ModelId.SEMANTIC, VALUES)

    @target_us(2)
    def time_dequantize_rotated(self):
        ROUTERS["rotated"].dequantize(STORED[ModelId.SEMANTIC, "rotated"])


def encode():
    return BOOK.encode(ROWS, out=CODES)


def encode_by_faiss():
    return THEIRS.compute_codes(ROWS)


def decode():
    return BOOK.decode(CODES, out=DECODED)


def decode_by_faiss():
    return THEIRS.decode(CODES)


class Batch:
    @at_least(1.5)
    def track_encode_against_faiss(self):
        # faiss rounds in float32 only, so a close call may differ.
        assert np.mean(encode() == encode_by_faiss()) > 0.999
        return times_as_fast(encode, encode_by_faiss)

    @at_least(0.6, "of FMA")
    def track_encode_as_a_share_of_the_fma_rate(self):
        return share_of_fma(2 * 256 * ROWS.size, encode)

    def track_decode_against_faiss(self):
        encode()
        assert np.array_equal(decode(), decode_by_faiss())
        return times_as_fast(decode, decode_by_faiss)
