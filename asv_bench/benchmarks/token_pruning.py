"""Token pruning: records of 32 tokens, and the choice or pooling of 256 of 512.

The specification allows 200 us to decode any embedder.
"""

import numpy as np

from cgcython import ModelId, kernels
from cgcython.codecs.token_pooling import pool_tokens
from cgcython.codecs.token_pruning import TokenPruningCodec

from .gates import at_least, budget_us, target_us
from .inputs import FINGERPRINT, RNG
from .stopwatch import seconds_per_call, times_as_fast

LAYOUTS = ["canonical", "compact_e4m3", "compact_f32", "compact_int4_f16"]
TOKENS = FINGERPRINT[ModelId.LATE_INTERACTION]
CODECS = {layout: TokenPruningCodec(TOKENS.shape[1], layout=layout) for layout in LAYOUTS}
STORED = {layout: codec.encode(TOKENS) for layout, codec in CODECS.items()}

TEXT = RNG.standard_normal((512, 128), dtype=np.float32)
TEXT *= RNG.uniform(0.5, 2, (512, 1)).astype(np.float32)
SCORES, KEPT = np.empty(512, np.float32), np.empty(256, np.uint32)
OUT = np.empty((256, 128), np.float32)


class One:
    params, param_names = [LAYOUTS], ["layout"]

    def time_encode(self, layout):
        CODECS[layout].encode(TOKENS)

    @budget_us(200)
    @target_us(1)
    def time_decode(self, layout):
        CODECS[layout].decode(STORED[layout])


class Pooling:
    """Of tokens that are as unlike as random ones, which merge in the most even order."""

    @budget_us(1500)
    def time_pool_512_tokens(self):
        pool_tokens(TEXT, 256)

    @budget_us(100)
    def time_pool_32_tokens(self):
        pool_tokens(TEXT[:32], 16)


def prune(method):
    kernels.tokens.prune(TEXT, method, SCORES, KEPT, OUT)


def prune_by_numpy(scores):
    kept = np.argpartition(scores, 256)[256:]
    kept.sort()
    return kept, TEXT[kept]


def by_magnitude():
    return prune_by_numpy(np.einsum("td,td->t", TEXT, TEXT))


def by_entropy():
    sizes = np.abs(TEXT)
    p = sizes / sizes.sum(axis=1, keepdims=True)
    return prune_by_numpy(-(p * np.log(p)).sum(axis=1))


class Choice:
    @target_us(6.5)
    def track_prune_by_magnitude(self):
        return seconds_per_call(lambda: prune(kernels.tokens.MAGNITUDE))

    # Four of its instructions go to the two ports that multiply and add, where there are no more.
    @target_us(14, v4=20, v4n=20)
    def track_prune_by_entropy(self):
        return seconds_per_call(lambda: prune(kernels.tokens.ENTROPY))

    @at_least(1.5)
    def track_prune_by_magnitude_against_numpy(self):
        prune(kernels.tokens.MAGNITUDE)
        assert np.array_equal(KEPT, by_magnitude()[0])
        return times_as_fast(lambda: prune(kernels.tokens.MAGNITUDE), by_magnitude)

    @at_least(3)
    def track_prune_by_entropy_against_numpy(self):
        prune(kernels.tokens.ENTROPY)
        assert np.array_equal(KEPT, by_entropy()[0])
        return times_as_fast(lambda: prune(kernels.tokens.ENTROPY), by_entropy)
