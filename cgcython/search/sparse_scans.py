"""Scans of sparse vectors by inverted lists."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from cgcython import kernels
from cgcython.arrays import gathered
from cgcython.base import QuantizationMethod
from cgcython.checks import require_choice
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NUMBERS
from cgcython.errors import DimensionMismatch
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search import inverted
from cgcython.search.chained import concatenated
from cgcython.search.inverted import Lists, Rows
from cgcython.search.scan import (
    METRICS,
    ROWS,
    Best,
    Embedding,
    FindCodebook,
    Forms,
    Scan,
)
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import (
    Array,
    BoolArray,
    Float32Array,
    Float64Array,
    Int64Array,
    UInt16Array,
    UInt32Array,
)

MANY_ROWS = 1 << 18  # of which a thread reads its lists in more time than it takes to start
FEW_BLOCKS = 16  # that are read before it is known how long they take
LOOKED_UP = 64  # rows are looked up in lists where less than one in so many is wanted
SORTED_OUT = 64  # the best are found without all sums where they are less than one in so many
POSTINGS, LISTS, EDGES = "postings", "lists", "blocks + 1"


Terms: TypeAlias = tuple[UInt32Array, Float32Array]  # the indices and weights of a query
Asked: TypeAlias = tuple[
    UInt32Array,
    Float32Array,
    Int64Array,
    Int64Array,
    UInt32Array,
    Int64Array,
    UInt16Array,
    UInt16Array,
    Float32Array,
]


class SparseScan(Scan):
    """Inverted lists: a query reads only those of its own indices.

    `norms` f32 [rows] are the lengths of rows. A scan that was taken from another has its lists,
    and `chosen` i64 [rows], its rows there.
    """

    dtype: ClassVar[DTypeLike] = np.float32  # of weights

    def __init__(
        self, lists: Lists, norms: Float32Array, dim: int, chosen: Int64Array | None = None
    ) -> None:
        self.lists, self.norms, self.dim, self.chosen = lists, norms, dim, chosen
        self._arguments = lists.arguments()

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
        return cls.of_batch(QuantizedBatch(codec.method, codec.dim, columns), find_codebook)

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self:
        dim = batch.original_dim
        return cls.of_rows(Rows(*SparseCodec(dim).decode_batch(batch)), dim)

    @classmethod
    def of_rows(cls, rows: Rows, dim: int) -> Self:
        """Return the scan of rows whose weights, f32, the dtype of the scan holds exactly."""
        norms = inverted.norms_of(rows)
        return cls(inverted.inverted(rows, norms, dim, cls.dtype), norms, dim)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        (dim,), lists = shared, Lists(*(arrays[name] for name in _KEPT))
        _require_lists(lists, len(arrays["norms"]), dim)
        return cls(lists, arrays["norms"], dim)

    def arrays(self) -> dict[str, Array]:
        whole = self.whole()
        return {**dict(zip(_KEPT, whole.lists)), "norms": whole.norms}

    @classmethod
    def joined(cls, scans: Sequence[Self]) -> Self:
        whole = [one.whole() for one in scans]
        lists = inverted.joined([one.lists for one in whole])
        norms, dim = np.concatenate([one.norms for one in whole]), scans[0].dim
        return cls(inverted.compacted(lists, norms, dim), norms, dim)

    def appended(self, lengths: Mapping[str, int]) -> dict[str, Array]:
        arrays = self.arrays()
        ends_of = {"list_rows": "norms", "list_starts": "indices", "indptr": "rows"}
        for ends, numbered in ends_of.items():
            if lengths:  # the first end is the last one that is there
                arrays[ends] = arrays[ends][1:] + lengths[numbered]
        return arrays

    def of_appended(self, arrays: Mapping[str, Array]) -> Self:
        lists = Lists(*(arrays[name] for name in _KEPT))
        return type(self)(lists, arrays["norms"], self.dim)

    def __len__(self) -> int:
        return len(self.norms)

    @property
    def shared(self) -> tuple[int]:
        return (self.dim,)

    def take(self, rows: Int64Array) -> Self:
        chosen = rows if self.chosen is None else self.chosen[rows]
        return type(self)(self.lists, self.norms[rows], self.dim, chosen)

    def subset(self, rows: Int64Array) -> Self:
        return self.take(rows).whole()

    def whole(self) -> Self:
        """Return the scan of the same rows with lists of its own."""
        if self.chosen is None:
            return self
        indptr, indices, weights = inverted.rows_of(self.lists)
        starts, stops = indptr[self.chosen], indptr[self.chosen + 1]
        ends = np.zeros(len(starts) + 1, np.int64)
        np.cumsum(stops - starts, out=ends[1:])
        some = Rows(ends, *(gathered(one, starts, stops) for one in (indices, weights)))
        return type(self).of_rows(some, self.dim)

    def _nonzero(self) -> BoolArray:
        return self.norms > 0

    def _prepare(self, query: Embedding, metric: str) -> Terms:
        if query.dimension != self.dim:
            raise DimensionMismatch(expected=self.dim, actual=query.dimension)
        weights: Float64Array = query.weights.astype(np.float64)
        length = 1.0 if metric == "dot" else float(np.linalg.norm(weights)) or 1.0
        return query.indices, (weights / length).astype(np.float32)

    def _asked(self, prepared: Terms) -> Asked:
        """Return a query and the lists as kernels take them."""
        return (*prepared, *self._arguments)

    def _threads(self, prepared: Terms, num_threads: int) -> int:
        return num_threads if int(self.lists.edges[-1]) >= MANY_ROWS else 1

    def scores(
        self, query: Embedding, metric: str = "cosine", num_threads: int = 1
    ) -> Float32Array:
        total = int(self.lists.edges[-1])
        if self.chosen is not None and len(self) * LOOKED_UP <= total:
            return super().scores(query, metric, 1)
        require_choice(metric, "metric", METRICS)
        prepared, out = self._prepare(query, metric), np.empty(total, np.float32)

        def score(first: int, last: int) -> None:
            scratch = np.empty(kernels.postings.ROWS_OF_BLOCK, np.float32)
            edges = self.lists.edges
            here = out[edges[first] : edges[last]]
            kernels.postings.score(*self._asked(prepared), first, last, here, scratch)

        threads = self._threads(prepared, num_threads)
        split_rows(score, len(self.lists.edges) - 1, threads, first=FEW_BLOCKS)
        dots = out if self.chosen is None else out[self.chosen]
        return self._divided(dots, self.norms, metric)

    def _score(self, prepared: Terms, metric: str, rows: slice, out: Float32Array) -> None:
        """Look rows up in the lists."""
        wanted = np.arange(rows.start, rows.stop) if self.chosen is None else self.chosen[rows]
        order = np.argsort(wanted, kind="stable")
        found = np.empty(len(out), np.float32)
        kernels.postings.score_rows(*self._asked(prepared), wanted[order], found)
        out[order] = found
        self._divided(out, self.norms[rows], metric)

    def _divided(self, dots: Float32Array, norms: Float32Array, metric: str) -> Float32Array:
        if metric == "cosine":
            np.divide(dots, norms, out=dots, where=norms > 0)
        return dots

    def best(self, query: Embedding, k: int, metric: str = "cosine", num_threads: int = 1) -> Best:
        """Return the Best k rows; lists that cannot matter are not read.

        One thread does it: of two, each would have to find out what does not matter.
        """
        require_choice(metric, "metric", METRICS)
        if self.chosen is not None or k < 1 or k * SORTED_OUT > len(self):
            return super().best(query, k, metric, num_threads)
        prepared, blocks = self._prepare(query, metric), len(self.lists.edges) - 1
        by_norm = metric == "cosine"
        highest = self.lists.highest_cosines if by_norm else self.lists.highest
        norms = self.norms if by_norm else self.norms[:0]
        rows, scores = np.empty(len(self), np.int64), np.empty(len(self), np.float32)
        scratch = np.empty(kernels.postings.best_scratch(len(prepared[0]), k), np.uint8)
        found = kernels.postings.best(
            *self._asked(prepared), highest, norms, 0, blocks, k, rows, scores, scratch
        )
        if found < k:  # others score 0 or less, or sums may overflow
            return super().best(query, k, metric, num_threads)
        return Best(rows[:found].copy(), scores[:found].copy(), len(self))


# The fields of Lists by the names that arrays of sparse vectors have in column files.
_KEPT = "list_rows", "list_starts", "indices", "indptr", *Lists._fields[4:]


def _forms(dtype: str) -> Forms:
    return {
        "list_rows": ArrayForm("I64", (EDGES,)),
        "list_starts": ArrayForm("I64", (EDGES,)),
        "indices": ArrayForm("U32", (LISTS,)),
        "indptr": ArrayForm("I64", ("lists + 1",)),
        "rows": ArrayForm("U16", (POSTINGS,)),
        "weights": ArrayForm(dtype, (POSTINGS,)),
        "highest": ArrayForm("F32", (LISTS,)),
        "highest_cosines": ArrayForm("F32", (LISTS,)),
        "norms": ArrayForm("F32", (ROWS,)),
    }


class HalfSparseScan(SparseScan):
    """Lists with weights in f16, as records of the layout hold them."""

    method, name = QuantizationMethod.SPARSE_NATIVE, "sparse_f16"
    layouts, dtype = ("compact_f16",), np.float16
    kept = _forms("F16")


class FloatSparseScan(SparseScan):
    """Lists with weights in f32."""

    method, name = QuantizationMethod.SPARSE_NATIVE, "sparse_f32"
    layouts = ("canonical", "compact_f32", "compact_u8")
    kept = _forms("F32")


def _require_lists(lists: Lists, num_rows: int, dim: int) -> None:
    """Raise Malformed unless these are lists of so many rows."""
    edges, spans, terms, starts = lists[:4]
    if not (
        _are_ends(edges, num_rows, 1, inverted.MOST_ROWS)
        and _are_ends(spans, len(terms), 0, len(terms))
        and len(starts) == len(terms) + 1
        and _are_ends(starts, len(lists.rows), 1, len(lists.rows))
        and np.max(terms, initial=0) < dim
        and _ascend(terms, spans)
        and _ascend(lists.rows, starts)
        and _lie_within(lists)
    ):
        raise Malformed("its lists are not those of its rows")


def _are_ends(ends: Int64Array, total: int, least: int, most: int) -> bool:
    """Return whether parts of a size from the least to the most make up the total."""
    if not len(ends) or ends[0] != 0 or ends[-1] != total:
        return False
    return bool(np.all((ends[1:] >= ends[:-1] + least) & (ends[1:] <= ends[:-1] + most)))


def _ascend(numbers: Array, ends: Int64Array) -> bool:
    """Return whether numbers ascend within each part."""
    falls = numbers[1:] <= numbers[:-1]
    inner = ends[1:-1]
    falls[inner[(inner > 0) & (inner < len(numbers))] - 1] = False
    return not falls.any()


def _lie_within(lists: Lists) -> bool:
    """Return whether the last posting of each list is a row of its block; they ascend."""
    sizes = np.repeat(np.diff(lists.edges), np.diff(lists.spans))
    return bool(np.all(lists.rows[lists.starts[1:] - 1] < sizes))
