"""The methods that `compare_methods` is given: all that suit a kind of embedding."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.residual_training import SIZES
from cgcython.codecs.scalar import ScalarCodec
from cgcython.codecs.sizes import sizes_of
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NAMES
from cgcython.evaluation import first_passes, limits
from cgcython.evaluation.first_passes import FACTOR_BYTES, CentredSigns
from cgcython.evaluation.folds import (
    Coder,
    Folded,
    MakeScan,
    Rows,
    require_enough,
    train_folds,
)
from cgcython.evaluation.methods import IN_DOMAIN, MIXED, Method
from cgcython.evaluation.ranking import Representation
from cgcython.evaluation.representations import Block, Codes, near, scan_time
from cgcython.search.pq_scan import PQ8Scan
from cgcython.search.rq_scan import RQ8Scan
from cgcython.types import Float32Array, UInt8Array

PROJECTED_BITS, PROJECTIONS = 1024, 10


class CodesAndScales(Codes):
    """Codes that are counted with the scale that each embedding has, and whose scan is timed."""

    def block(self, documents: Float32Array, first: int, num_threads: int = 1) -> Block:
        """Return the Block of documents; its bytes are those of all columns of a batch."""
        found = super().block(documents, first, num_threads)
        if self.scan_ns is None:
            self.scan_ns = scan_time(found.scans[0][1], documents[0])
        one = self.codec.encode_batch(documents[:1])
        each = sum(column.nbytes for column in one.columns.values())
        return found._replace(num_bytes=each * len(documents))


class AskedAsFloat(Codes):
    """Codes that meet a float query as what they decode to: of sign bits, +1 and -1."""

    def block(self, documents: Float32Array, first: int, num_threads: int = 1) -> Block:
        """Return the Block of documents: bytes of codes, scans of what these decode to."""
        found = super().block(documents, first, num_threads)
        batch = self.codec.encode_batch(documents, num_threads)
        return found._replace(scans=near(self.codec.decode_batch(batch, num_threads)))


class Projected:
    """Gaussian projections of documents and queries; losses would be those of projections."""

    def __init__(self, projected: Representation, dim: int, seed: int) -> None:
        self.projected, self.inputs = projected, projected.inputs
        rng = np.random.default_rng(seed)
        self.projection = rng.standard_normal((dim, PROJECTED_BITS)).astype(np.float32)

    @property
    def encode_us(self) -> float | None:
        """What encoding takes once projected."""
        return self.projected.encode_us

    @property
    def scan_ns(self) -> float | None:
        """What scanning takes for a row."""
        return self.projected.scan_ns

    def asked(self, queries: Sequence[Any]) -> Sequence[Any]:
        """Return the projected queries."""
        return [np.asarray(query, np.float32) @ self.projection for query in queries]

    def block(self, documents: Float32Array, first: int, num_threads: int = 1) -> Block:
        """Return the Block of the projected documents."""
        found = self.projected.block(documents @ self.projection, first, num_threads)
        return found._replace(losses=None)


class NearestScan:
    """What codes decode to, scored by its distance from a query: as codes are searched by L2."""

    def __init__(self, codes: UInt8Array, book: Coder) -> None:
        self.rows = book.decode(codes)
        self.half_squares = np.einsum("rd,rd->r", self.rows, self.rows) / 2

    def scores(self, query: Any, metric: str = "cosine") -> Float32Array:
        """Return minus half the squared distance of each row, but for what all rows share."""
        scores: Float32Array = self.rows @ np.asarray(query, np.float32) - self.half_squares
        return scores


def sparse_methods(dim: int) -> list[Method]:
    """Return the Methods of sparse vectors: their layouts."""
    return [Method(one, (partial(Codes, SparseCodec(dim, one)),)) for one in NAMES]


def dense_methods(dim: int) -> list[Method]:
    """Return the Methods of vectors that need no training."""
    signs, wide = BinaryCodec(dim), BinaryCodec(PROJECTED_BITS)

    def projected(kind: type[Codes]) -> tuple[Callable[[], Representation], ...]:
        def make(seed: int) -> Representation:
            return Projected(kind(wide), dim, seed)

        return tuple(partial(make, seed) for seed in range(PROJECTIONS))

    return [
        Method(limits.FLOAT8, (partial(CodesAndScales, Float8Codec(dim)),)),
        *(
            Method(name, (partial(CodesAndScales, ScalarCodec(dim, bits)),), family="scalar")
            for bits, name in limits.SCALARS.items()
        ),
        Method(limits.SIGNS, (partial(CodesAndScales, signs),)),
        Method(limits.SIGNS_ASKED, (partial(AskedAsFloat, signs),)),
        Method(limits.PROJECTED, projected(CodesAndScales)),
        Method(limits.PROJECTED_ASKED, projected(AskedAsFloat)),
    ]


class Kind(NamedTuple):
    """A kind of trained codes: `train(rows, size, seed)`, and how they may be scanned, by name."""

    sizes: Sequence[int]
    train: Callable[[Float32Array, int, int], Coder]
    scans: Mapping[str, MakeScan]


def own_kinds(dim: int, sizes: Sequence[int] | None = None, num_threads: int = 1) -> list[Kind]:
    """Return the kinds of codes that our codebooks make, of all sizes unless some are given."""

    def product(rotation: str | None) -> Callable[[Float32Array, int, int], Coder]:
        return lambda rows, size, seed: PQ8Codebook.train(
            rows, size, seed, rotation, num_threads=num_threads
        )

    def residual(rows: Float32Array, size: int, seed: int) -> Coder:
        return RQ8Codebook.train(rows, size, seed, num_threads=num_threads)

    divisors = sizes or sizes_of(dim)
    rotated = {limits.ROTATED_PQ: PQ8Scan, limits.ROTATED_PQ_L2: NearestScan}
    few = [size for size in divisors if size in SIZES]
    return [
        Kind(divisors, product(None), {limits.PLAIN_PQ: PQ8Scan}),
        Kind(divisors, product("opq"), rotated),
        Kind(few, residual, {limits.RQ8: RQ8Scan}),
        *(
            Kind([-(-dim // 8) + more], CentredSigns.train, first_passes.scans(more > 0))
            for more in (0, FACTOR_BYTES)
        ),
    ]


def trained_methods(
    column: Rows,
    others: Rows | None,
    kinds: Sequence[Kind],
    *,
    folds: int = 2,
    seeds: int = 5,
    in_domain: bool = False,
) -> list[Method]:
    """Return the Methods of trained codes, of each kind and size.

    `others` are rows of other texts; without any, and beside them if `in_domain`, codebooks are
    trained on the other folds alone, then for the first scan of a kind only. Raises InvalidInput
    where these are too few.
    """
    trainings: dict[str, Rows | None] = {MIXED: others} if others is not None else {}
    trainings |= {IN_DOMAIN: None} if in_domain or others is None else {}
    for rows in trainings.values():
        require_enough(column, rows, folds)
    first = next(iter(trainings))
    return [
        method
        for training, rows in trainings.items()
        for kind in kinds
        for method in _methods_of(kind, training, column, rows, folds, seeds)
        if training == first or method.name == next(iter(kind.scans))
    ]


def _methods_of(
    kind: Kind, training: str, column: Rows, others: Rows | None, folds: int, seeds: int
) -> Iterator[Method]:
    """Yield the Methods of a kind; scans of one size follow each other and share codebooks."""

    @lru_cache(maxsize=seeds)
    def books(size: int, seed: int) -> list[Coder]:
        def train(rows: Float32Array) -> Coder:
            return kind.train(rows, size, seed)

        return train_folds(column, others, train, folds=folds, seed=seed)

    def folded(size: int, seed: int, make_scan: MakeScan) -> Representation:
        return Folded(books(size, seed), make_scan)

    for size in kind.sizes:
        for name, make_scan in kind.scans.items():
            runs = tuple(partial(folded, size, seed, make_scan) for seed in range(seeds))
            yield Method(name, runs, training, size, books=next(iter(kind.scans)))
