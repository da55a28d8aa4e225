"""Codes of faiss, trained on the same rows as ours and judged in the same way.

Unless a name ends in ", own search", only codes are compared: what they decode to meets a float
query by cosine. faiss is imported when it is asked for, not before.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import numpy as np

from cgcython.codecs.sizes import sizes_of
from cgcython.errors import UsageError
from cgcython.evaluation.choices import Kind
from cgcython.evaluation.folds import MakeScan, decoded_scan
from cgcython.types import Float32Array, UInt8Array

PEER = "faiss "
OWN_SEARCH = ", own search"
MOST_STAGES = 24  # of residual quantizers, whose training and coding take long
SCALAR_BITS = 4, 6, 8
FACTORS = 8  # bytes that RaBitQ keeps beside its bits
FIRST_SEED = 1234  # faiss's own


def require_faiss() -> None:
    """Raise UsageError, before any work, where faiss is not installed."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        raise UsageError("peers need faiss: pip install faiss-cpu") from None


class FaissCoder:
    """A trained faiss index that only codes: no row is added."""

    def __init__(self, index: Any) -> None:
        self.index = index

    def encode(self, rows: Any, /, *, num_threads: int = 1) -> UInt8Array:
        """Return the codes [n, bytes] of rows [n, dim]."""
        with _threads(num_threads):
            codes: UInt8Array = self.index.sa_encode(np.ascontiguousarray(rows, np.float32))
        return codes

    def decode(self, codes: UInt8Array, /, *, num_threads: int = 1) -> Float32Array:
        """Return the rows [n, dim] that codes stand for."""
        rows: Float32Array = self.index.sa_decode(codes)
        return rows


class OwnSearch:
    """Codes in an index of their own, which finds the nearest of them by faiss's estimate."""

    def __init__(self, codes: UInt8Array, coder: FaissCoder) -> None:
        import faiss

        self.index = faiss.clone_index(coder.index)
        inner = faiss.downcast_index(getattr(self.index, "index", self.index))
        inner.add_sa_codes(codes)
        self.index.ntotal = inner.ntotal

    def scores(self, query: Any, metric: str = "cosine") -> Float32Array:
        """Return minus the estimated squared distance of each code."""
        asked = np.ascontiguousarray(query, np.float32)[None]
        distances, rows = self.index.search(asked, self.index.ntotal)
        scores = np.full(self.index.ntotal, -np.inf, np.float32)
        found = rows[0] >= 0
        scores[rows[0][found]] = -distances[0][found]
        return scores


def faiss_kinds(dim: int, sizes: Sequence[int] | None = None, num_threads: int = 1) -> list[Kind]:
    """Return the kinds of codes that faiss makes, of all sizes unless some are given.

    Scalar codes and RaBitQ come in the sizes that they have. Raises UsageError where faiss is
    not installed.
    """
    require_faiss()
    divisors = sizes or sizes_of(dim)
    stages = [size for size in divisors if 1 < size <= MOST_STAGES]

    def made(make: Callable[[int, int], Any]) -> Callable[[Float32Array, int, int], FaissCoder]:
        return lambda rows, size, seed: _trained(make(dim, size), rows, seed, num_threads)

    residual = _Residual(max(stages, default=0), num_threads)
    return [
        Kind(divisors, made(_product), _scans("PQ")),
        Kind(divisors, made(_rotated_product), _scans("OPQ")),
        Kind(stages, residual.plain, _scans("RQ")),
        Kind(stages, residual.with_norm, _scans("RQ and 1-byte norm", own=True)),
        Kind([dim // 8 + FACTORS], made(_rabitq), _scans("RaBitQ", own=True)),
        Kind([dim * bits // 8 for bits in SCALAR_BITS], made(_scalar), _scans("SQ")),
    ]


def _scans(name: str, own: bool = False) -> dict[str, MakeScan]:
    found: dict[str, MakeScan] = {PEER + name: decoded_scan}
    return found | ({PEER + name + OWN_SEARCH: OwnSearch} if own else {})


def _product(dim: int, size: int) -> Any:
    import faiss

    return faiss.IndexPQ(dim, size, 8)


def _rotated_product(dim: int, size: int) -> Any:
    import faiss

    return _kept(faiss.OPQMatrix(dim, size), _product(dim, size))


def _rabitq(dim: int, size: int) -> Any:
    import faiss

    index = faiss.IndexRaBitQ(dim)
    index.qb = 0  # queries stay float32
    return _kept(faiss.RandomRotationMatrix(dim, dim), index)


def _scalar(dim: int, size: int) -> Any:
    import faiss

    kind = getattr(faiss.ScalarQuantizer, f"QT_{8 * size // dim}bit")
    return faiss.IndexScalarQuantizer(dim, kind)


def _kept(transform: Any, inner: Any) -> Any:
    """Return an index behind a transform, which owns both."""
    import faiss

    index = faiss.IndexPreTransform(transform, inner)
    index.own_fields = True
    transform.this.disown()
    inner.this.disown()
    return index


def _trained(index: Any, rows: Float32Array, seed: int, num_threads: int) -> FaissCoder:
    """Return what an index learns from rows."""
    import faiss

    inner = faiss.downcast_index(getattr(index, "index", index))
    if hasattr(inner, "pq"):
        inner.pq.cp.seed = seed + FIRST_SEED
    with _threads(num_threads):
        index.train(rows)
    return FaissCoder(index)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(number)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class _Residual:
    """Residual quantizers of all sizes, cut out of the largest: stages are trained in order."""

    def __init__(self, most: int, num_threads: int) -> None:
        self.most, self.num_threads = most, num_threads
        self._known: dict[tuple[int, bytes], Any] = {}

    def plain(self, rows: Float32Array, size: int, seed: int) -> FaissCoder:
        """Return the first stages of a quantizer, as many as bytes."""
        return FaissCoder(self._cut(rows, size, seed, "decompress"))

    def with_norm(self, rows: Float32Array, size: int, seed: int) -> FaissCoder:
        """Return the first stages of a quantizer, one less than bytes, and a norm of 8 bits."""
        import faiss

        index = self._cut(rows, size - 1, seed, "norm_qint8")
        decoded = index.sa_decode(index.sa_encode(rows))
        norms = np.einsum("rd,rd->r", decoded, decoded)
        index.rq.train_norm(len(norms), faiss.swig_ptr(norms))
        return FaissCoder(index)

    def _cut(self, rows: Float32Array, stages: int, seed: int, search: str) -> Any:
        import faiss

        kind = getattr(faiss.AdditiveQuantizer, f"ST_{search}")
        make: Any = faiss.IndexResidualQuantizer  # whose stub knows four arguments
        index = make(rows.shape[1], stages, 8, faiss.METRIC_L2, kind)
        index.rq.initialize_from(self._whole(rows, seed).rq)
        index.is_trained = True
        return index

    def _whole(self, rows: Float32Array, seed: int) -> Any:
        import faiss

        key = seed, sha256(rows.data).digest()
        if key not in self._known:
            index = faiss.IndexResidualQuantizer(rows.shape[1], self.most, 8)
            index.rq.cp.seed = seed + FIRST_SEED
            with _threads(self.num_threads):
                index.train(rows)
            self._known[key] = index
        return self._known[key]
