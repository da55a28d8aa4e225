"""Scans of sparse vectors, by rows and by inverted lists."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NAMES, NUMBERS
from cgcython.errors import DimensionMismatch
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search.scan import ROWS, Embedding, FindCodebook, Forms, Scan, concatenated, gathered
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, BoolArray, Float32Array, Float64Array, Int64Array, UInt32Array

MANY_POSTINGS = 250_000  # that take half a millisecond to read
NONZEROS = "non-zeros"


class SparseScan(Scan):
    """Non-zeros of many vectors in rows: indptr i64 [rows + 1], indices u32, weights f32."""

    def __init__(
        self,
        indptr: Int64Array,
        indices: UInt32Array,
        weights: Float32Array,
        dim: int,
        norms: Float32Array | None = None,
    ) -> None:
        """`norms` are the lengths of the rows, f32 [rows], measured unless given."""
        self.indptr, self.indices, self.weights, self.dim = indptr, indices, weights, dim
        self.norms = self._measured() if norms is None else norms

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        codec, (data, offsets) = SparseCodec(quantized[0].original_dim), concatenated(quantized)
        layouts = [NUMBERS[one.metadata.layout] for one in quantized]
        columns: dict[str, Array] = {
            "data": data,
            "offsets": offsets,
            "nnz": np.array([one.metadata.nnz for one in quantized], np.uint32),
            "layouts": np.array(layouts, np.uint8),
        }
        batch = QuantizedBatch(codec.method, codec.dim, columns)
        indptr, indices, weights = codec.decode_batch(batch)
        return cls(indptr, indices, weights, codec.dim)

    @classmethod
    def joined(cls, scans: Sequence[Self]) -> Self:
        counts = np.concatenate([np.diff(scan.indptr) for scan in scans])
        indices = np.concatenate([scan.indices for scan in scans])
        weights = np.concatenate([scan.weights for scan in scans])
        norms = np.concatenate([scan.norms for scan in scans])
        return cls(np.cumsum([0, *counts]), indices, weights, scans[0].dim, norms)

    def __len__(self) -> int:
        return len(self.norms)

    @property
    def shared(self) -> tuple[int]:
        return (self.dim,)

    def take(self, rows: Int64Array) -> "SparseScan":
        return SparseScan(*self._taken(rows), self.dim, self.norms[rows])

    def _taken(self, rows: Int64Array) -> tuple[Int64Array, UInt32Array, Float32Array]:
        starts, stops = self.indptr[rows], self.indptr[rows + 1]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(stops - starts, out=indptr[1:])
        indices, weights = (gathered(one, starts, stops) for one in (self.indices, self.weights))
        return indptr, indices, weights

    def _measured(self) -> Float32Array:
        norms = np.empty(len(self.indptr) - 1, np.float32)
        kernels.sparse_products.norms(self.indptr, self.weights, norms)
        return norms

    def _nonzero(self) -> BoolArray:
        return self.norms > 0

    def _prepare(self, query: Embedding, metric: str) -> Any:
        """Return the query's weights at their places among zeros, f32 [dim]."""
        dense = np.zeros(self.dim, np.float32)
        dense[query.indices] = self._query_weights(query, metric)
        return dense

    def _query_weights(self, query: Embedding, metric: str) -> Float32Array:
        if query.dimension != self.dim:
            raise DimensionMismatch(expected=self.dim, actual=query.dimension)
        weights: Float64Array = query.weights.astype(np.float64)
        length = 1.0 if metric == "dot" else float(np.linalg.norm(weights)) or 1.0
        return (weights / length).astype(np.float32)

    def _score(self, prepared: Any, metric: str, rows: slice, out: Float32Array) -> None:
        self._dot(prepared, rows, out)
        if metric == "cosine":
            norms = self.norms[rows]
            np.divide(out, norms, out=out, where=norms > 0)

    def _dot(self, prepared: Any, rows: slice, out: Float32Array) -> None:
        indptr = self.indptr[rows.start : rows.stop + 1]
        kernels.sparse_products.dot_rows(prepared, indptr, self.indices, self.weights, out)


class Postings(NamedTuple):
    """The non-zeros by index: where the list of each begins, and the lists, rows and weights."""

    list_starts: Int64Array  # [dim + 1]
    list_rows: UInt32Array
    list_weights: Float32Array


class _PreparedTerms(NamedTuple):
    """The non-zeros of a query, and the lists that it reads."""

    indices: UInt32Array
    weights: Float32Array
    postings: Postings


class InvertedScan(SparseScan):
    """Non-zeros of many vectors, in rows and also by index, as many queries score them.

    A query reads only the lists of its own indices. The rows are kept too, because scoring a few
    of them is faster than finding them in the lists.
    """

    method, name = QuantizationMethod.SPARSE_NATIVE, "sparse"
    layouts = NAMES
    kept: ClassVar[Forms] = {
        "indptr": ArrayForm("I64", ("rows + 1",)),
        "indices": ArrayForm("U32", (NONZEROS,)),
        "weights": ArrayForm("F32", (NONZEROS,)),
        "norms": ArrayForm("F32", (ROWS,)),
        "list_starts": ArrayForm("I64", ("dim + 1",)),
        "list_rows": ArrayForm("U32", (NONZEROS,)),
        "list_weights": ArrayForm("F32", (NONZEROS,)),
    }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        (dim,), indices = shared, arrays["indices"]
        scan = cls(arrays["indptr"], indices, arrays["weights"], dim, arrays["norms"])
        scan.postings = Postings(*(arrays[name] for name in Postings._fields))
        _require_lists(scan.indptr, indices, len(scan), dim)
        _require_lists(scan.postings.list_starts, scan.postings.list_rows, dim, len(scan))
        return scan

    def arrays(self) -> dict[str, Array]:
        rows = {name: getattr(self, name) for name in ("indptr", "indices", "weights", "norms")}
        return {**rows, **self.postings._asdict()}

    def subset(self, rows: Int64Array) -> "InvertedScan":
        return InvertedScan(*self._taken(rows), self.dim, self.norms[rows])

    @cached_property
    def postings(self) -> Postings:
        """The inverted lists, made when first used."""
        postings = Postings(
            np.empty(self.dim + 1, np.int64),
            np.empty_like(self.indices),
            np.empty_like(self.weights),
        )
        kernels.sparse_products.invert(self.indptr, self.indices, self.weights, *postings)
        return postings

    def _prepare(self, query: Embedding, metric: str) -> _PreparedTerms:
        return _PreparedTerms(query.indices, self._query_weights(query, metric), self.postings)

    def _threads(self, prepared: _PreparedTerms, num_threads: int) -> int:
        """Return one where starting a thread would take longer than reading the lists."""
        starts = prepared.postings.list_starts
        lengths = starts[1:][prepared.indices] - starts[:-1][prepared.indices]
        return num_threads if int(lengths.sum()) >= MANY_POSTINGS else 1

    def _dot(self, prepared: _PreparedTerms, rows: slice, out: Float32Array) -> None:
        indices, weights, postings = prepared
        kernels.sparse_products.score_postings(indices, weights, *postings, rows.start, out)


def _require_lists(ends: Int64Array, numbers: UInt32Array, count: int, below: int) -> None:
    """Raise Malformed unless numbers below a limit lie in `count` lists between each two ends."""
    lists = len(ends) == count + 1 and ends[0] == 0 and ends[-1] == len(numbers)
    if not lists or np.any(ends[1:] < ends[:-1]) or np.max(numbers, initial=0) >= below:
        raise Malformed("its lists are not those of its non-zeros")
