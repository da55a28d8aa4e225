"""Every codec under contract, and what the contract is tried with. A new codec joins CASES."""

from typing import Any, NamedTuple

import numpy as np

from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.codecs.scalar import ScalarCodec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.records import SparseVector

RNG = np.random.default_rng(12)
DENSE = RNG.standard_normal((9, 36), dtype=np.float32)
TOKENS = [RNG.standard_normal((n, 12), dtype=np.float32) for n in (5, 1, 8, 3, 2, 6, 7, 4, 9)]
CENTROIDS = RNG.standard_normal((4, 256, 8), dtype=np.float32)
STAGES = RNG.standard_normal((3, 256, 32)) / np.arange(1, 4)[:, None, None]
ROTATION, MEAN = np.linalg.qr(RNG.standard_normal((36, 32)))[0], RNG.standard_normal(36)


def sparse_vectors(dimension=400):
    for nnz in (3, 0, 40, 1, 7, 11, 20, 2, 5):
        indices = RNG.choice(dimension, nnz, replace=False)
        # Halves of small whole numbers are exact in f16.
        yield SparseVector(indices, RNG.integers(1, 99, nnz) / 2, dimension)


SPARSE = list(sparse_vectors())


class Case(NamedTuple):
    """A codec, inputs for it, one it must refuse as too long, one with NaN, and its loss."""

    codec: Any
    inputs: Any
    too_long: Any
    not_finite: Any
    zero: Any
    most_loss: float = 1.0


NAN_DENSE = np.where(np.arange(36) == 3, np.nan, 1.0)
NAN_TOKENS = np.where(np.arange(12) == 3, np.nan, np.ones((2, 12)))


def dense(codec, most_loss=1.0):
    return Case(codec, DENSE, np.ones(37), NAN_DENSE, np.zeros(36), most_loss)


def sparse(layout, most_loss=1e-7):
    codec = SparseCodec(400, layout)
    not_finite = ([1, 2], [np.nan, 1.0])
    return Case(codec, SPARSE, SparseVector([1], [1], 401), not_finite, ([1], [0.0]), most_loss)


def tokens(layout, most_loss=0.003):
    codec = TokenPruningCodec(12, 1.0, layout=layout)
    return Case(codec, TOKENS, np.ones((2, 13)), NAN_TOKENS, np.zeros((2, 12)), most_loss)


CASES = [
    dense(Float8Codec(36), most_loss=0.003),
    dense(BinaryCodec(36, 0.25)),
    dense(PQ8Codec(PQ8Codebook(RNG.standard_normal((4, 256, 9))))),
    dense(PQ8Codec(PQ8Codebook(CENTROIDS, ROTATION, MEAN))),
    dense(RQ8Codec(RQ8Codebook(STAGES, ROTATION, MEAN))),
    *(sparse(layout) for layout in ("canonical", "compact_f16", "compact_f32")),
    sparse("compact_u8", most_loss=1e-4),
    *(tokens(layout) for layout in ("canonical", "compact_e4m3", "compact_f32")),
    *(tokens(layout, most_loss=0.01) for layout in ("compact_int4", "compact_int4_f16")),
    *(tokens(layout, most_loss=0.15) for layout in ("compact_int2", "compact_int2_f16")),
    Case(
        TokenPruningCodec(12, 0.5, layout="compact_f32", pool=True),
        *(TOKENS, np.ones((2, 13)), NAN_TOKENS, np.zeros((2, 12))),
    ),
    *(dense(ScalarCodec(36, b), loss) for b, loss in ((8, 1e-4), (6, 1e-3), (4, 0.02), (2, 0.2))),
]


def decoded(value):
    return value.weights if isinstance(value, SparseVector) else value
