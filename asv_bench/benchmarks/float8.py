"""Float8. The specification allows 50 us to encode 512 values and 200 us to decode them."""

from functools import cache

import ml_dtypes
import numpy as np

from cgcython import ModelId, kernels
from cgcython.codecs.float8 import Float8Codec
from cgcython.search.best import best_rows
from cgcython.search.float8_scans import Float8Scan

from .gates import at_least, budget_us, target_us
from .inputs import FINGERPRINT, RNG, router
from .stopwatch import seconds_per_call, share_of, times_as_fast

EMBEDDERS = [ModelId.TEMPORAL_RECENT, ModelId.GRAPH]
ROUTER = router(None)
STORED = {model_id: ROUTER.quantize(model_id, FINGERPRINT[model_id]) for model_id in EMBEDDERS}
DIMS = {model_id: model_id.dimension() for model_id in EMBEDDERS}
CODECS = {model_id: Float8Codec(dim) for model_id, dim in DIMS.items()}
DECODED = {model_id: np.empty(dim, np.float32) for model_id, dim in DIMS.items()}

ROWS = RNG.standard_normal((4096, 512), dtype=np.float32)
CODES = np.empty(ROWS.shape, np.uint8)
SCALES = np.empty(len(ROWS), np.float32)
THEIRS = np.empty(ROWS.shape, ml_dtypes.float8_e4m3fn)
VALUES = np.empty_like(ROWS)
TABLE = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)


class One:
    params, param_names = [EMBEDDERS], ["embedder"]

    @budget_us(50)
    @target_us(1)
    def time_quantize(self, model_id):
        ROUTER.quantize(model_id, FINGERPRINT[model_id])

    @budget_us(200)
    def time_dequantize(self, model_id):
        ROUTER.dequantize(STORED[model_id])

    @target_us(0.16)
    def track_kernel(self, model_id):
        values, dim = FINGERPRINT[model_id], DIMS[model_id]
        return seconds_per_call(lambda: kernels.e4m3.encode_vector(values, dim))

    @target_us(0.12)
    def track_kernel_decode_into(self, model_id):
        codes, out = STORED[model_id].data, DECODED[model_id]
        return seconds_per_call(lambda: kernels.e4m3.decode_vector(codes, 1.0, 0.0, out))

    @target_us(0.5)
    def track_decode_into(self, model_id):
        codec, stored, out = CODECS[model_id], STORED[model_id], DECODED[model_id]
        return seconds_per_call(lambda: codec.decode(stored, out=out))


def encode():
    kernels.e4m3.encode_rows(ROWS, CODES, SCALES)


def encode_by_ml_dtypes(block=256):
    """Scale and cast rows in blocks that stay in the cache: the fastest form there is."""
    for i in range(0, len(ROWS), block):
        rows = ROWS[i : i + block]
        scaled = rows * (np.float32(448) / np.abs(rows).max(axis=1, keepdims=True))
        np.copyto(THEIRS[i : i + block], scaled, casting="unsafe")


def encode_plain():
    kernels.e4m3.encode(ROWS.reshape(-1), CODES.reshape(-1))


def encode_plain_by_ml_dtypes():
    np.copyto(THEIRS, ROWS, casting="unsafe")


def decode():
    kernels.e4m3.decode_rows(CODES, SCALES, VALUES)


def decode_by_numpy(block=256):
    """Look codes up and scale them, in blocks that stay in the cache."""
    for i in range(0, len(ROWS), block):
        rows = slice(i, i + block)
        np.take(TABLE, CODES[rows], out=VALUES[rows], mode="clip")
        VALUES[rows] *= SCALES[rows, None]


class Batch:
    @at_least(10)
    def track_encode_against_ml_dtypes(self):
        ratio = times_as_fast(encode_plain, encode_plain_by_ml_dtypes)
        assert np.array_equal(CODES, THEIRS.view(np.uint8))
        return ratio

    @at_least(10)
    def track_scaled_encode_against_ml_dtypes(self):
        ratio = times_as_fast(encode, encode_by_ml_dtypes)
        assert np.array_equal(CODES, THEIRS.view(np.uint8))
        return ratio

    @at_least(4)
    def track_scaled_decode_against_numpy(self):
        encode()
        decode()
        ours = VALUES.copy()
        decode_by_numpy()
        assert np.array_equal(ours, VALUES)
        return times_as_fast(decode, decode_by_numpy)


NUM_ROWS, DIM, NUM_QUERIES, K = 200_000, 384, 100, 10  # 77 MB of codes, more than most caches


@cache
def scan():
    columns = (
        Float8Codec(DIM).encode_batch(RNG.standard_normal((NUM_ROWS, DIM), np.float32)).columns
    )
    return Float8Scan(columns["codes"], columns["scales"])


@cache
def queries():
    return RNG.standard_normal((NUM_QUERIES, DIM), np.float32)


def read():
    kernels.limits.read(scan().codes.reshape(-1).view(np.float32))


def best_by_all_scores(query):
    scores = scan().scores(query)
    return scores[best_rows(scores, K)]


class Best:
    """The best rows: one query against the bare read of the codes, many against all scores."""

    timeout = 300

    @at_least(0.7, "of read", v4n=0.3, v4=0.3, v3=0.28, v2=0.08)
    def track_one_query(self):
        found = scan().best(queries()[0], K).scores
        assert np.array_equal(np.sort(found), np.sort(best_by_all_scores(queries()[0])))
        return share_of(read, lambda: scan().best(queries()[0], K))

    @at_least(9.5, v4n=6, v4=2.5, v3=2.2, v2=2.8)
    def track_many_queries_against_all_scores(self):
        many = scan().best_many(queries(), K)
        for query, found in zip(queries(), many):
            assert np.array_equal(np.sort(found.scores), np.sort(best_by_all_scores(query)))
        ratio = times_as_fast(
            lambda: scan().best_many(queries(), K), lambda: best_by_all_scores(queries()[0])
        )
        return NUM_QUERIES * ratio
