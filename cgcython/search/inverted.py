"""Inverted lists of sparse vectors, in blocks of rows: made from rows, put together, read back.

A block is a run of rows. A posting is a row within its block and a weight; those of one index lie
together, by row. Blocks end where they have as many rows as 16 bits can number, or so many
postings that making them takes little memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from cgcython import kernels
from cgcython.types import Array, Float32Array, Int64Array, UInt16Array, UInt32Array

MOST_ROWS = 1 << 16
MOST_POSTINGS = 1 << 22  # 16 MB; a single row may have more


Arguments: TypeAlias = tuple[
    Int64Array, Int64Array, UInt32Array, Int64Array, UInt16Array, UInt16Array, Float32Array
]


class Rows(NamedTuple):
    """Sparse vectors one behind the other: ends i64 [rows + 1], indices u32 and weights."""

    indptr: Int64Array
    indices: UInt32Array
    weights: Array


class Lists(NamedTuple):
    """The non-zeros of rows by index, block after block.

    `highest` are the largest weights of lists, `highest_cosines` those of weights over the norm of
    their row; negative where a weight is below 0.
    """

    edges: Int64Array  # [blocks + 1] the first row of each block
    spans: Int64Array  # [blocks + 1] the first list of each block
    terms: UInt32Array  # [lists] the index of each list, ascending within a block
    starts: Int64Array  # [lists + 1] the first posting of each list
    rows: UInt16Array  # [postings] within the block
    weights: Array  # [postings] f16 or f32
    highest: Float32Array
    highest_cosines: Float32Array

    def arguments(self) -> Arguments:
        """Return the lists as kernels take them."""
        is_half = self.weights.dtype == np.float16
        halves = self.weights.view(np.uint16) if is_half else _NO_HALVES
        weights = _NO_WEIGHTS if is_half else self.weights
        return (self.edges, self.spans, self.terms, self.starts, self.rows, halves, weights)


def norms_of(rows: Rows) -> Float32Array:
    """Return the length of each row."""
    norms = np.empty(len(rows.indptr) - 1, np.float32)
    kernels.sparse_products.norms(rows.indptr, rows.weights, norms)
    return norms


def inverted(rows: Rows, norms: Float32Array, dim: int, dtype: DTypeLike) -> Lists:
    """Return the lists of rows whose weights a dtype holds exactly."""
    edges = _edges(rows.indptr)
    blocks = [_block(rows, norms, a, b, dim, dtype) for a, b in pairwise(edges)]
    return joined(blocks) if blocks else _nothing(dtype)


def joined(parts: Sequence[Lists]) -> Lists:
    """Return the lists of the rows of all, block after block."""
    if len(parts) == 1:
        return parts[0]
    columns: list[Array] = []
    for name in Lists._fields:
        arrays = [getattr(one, name) for one in parts]
        columns.append(_chained(arrays) if name in _ENDS else np.concatenate(arrays))
    return Lists(*columns)


def compacted(lists: Lists, norms: Float32Array, dim: int) -> Lists:
    """Return lists in which no two neighbouring blocks would fit into one."""
    dtype = lists.weights.dtype
    found = []
    for first, last in _groups(lists):
        part = blocks_of(lists, first, last)
        if last - first > 1:
            own = norms[lists.edges[first] : lists.edges[last]]
            part = inverted(rows_of(part), own, dim, dtype)
        found.append(part)
    return joined(found) if len(found) < len(lists.edges) - 1 else lists


def blocks_of(lists: Lists, first: int, last: int) -> Lists:
    """Return some blocks, without copying what is large."""
    span = slice(lists.spans[first], lists.spans[last])
    starts = lists.starts[span.start : span.stop + 1]
    posting = slice(starts[0], starts[-1])
    return Lists(
        lists.edges[first : last + 1] - lists.edges[first],
        lists.spans[first : last + 1] - lists.spans[first],
        lists.terms[span],
        starts - starts[0],
        lists.rows[posting],
        lists.weights[posting],
        lists.highest[span],
        lists.highest_cosines[span],
    )


def rows_of(lists: Lists) -> Rows:
    """Return the rows whose lists these are, weights as f32."""
    blocks = range(len(lists.edges) - 1)
    every = [_rows_of_block(blocks_of(lists, block, block + 1)) for block in blocks]
    return chained_rows(every)


def chained_rows(parts: Iterable[Rows]) -> Rows:
    """Return rows one behind the other."""
    every = [Rows(_NO_ENDS, _NO_INDICES, _NO_WEIGHTS), *parts]
    indptr = _chained([one.indptr for one in every])
    return Rows(
        indptr,
        np.concatenate([one.indices for one in every]),
        np.concatenate([one.weights for one in every]),
    )


def _edges(indptr: Int64Array) -> list[int]:
    """Return where blocks of rows begin, and where the last one ends."""
    edges, rows = [0], len(indptr) - 1
    while edges[-1] < rows:
        start = edges[-1]
        fits = int(indptr.searchsorted(indptr[start] + MOST_POSTINGS, side="right")) - 1
        edges.append(min(max(fits, start + 1), start + MOST_ROWS, rows))
    return edges


def _block(
    rows: Rows, norms: Float32Array, first: int, last: int, dim: int, dtype: DTypeLike
) -> Lists:
    indptr = rows.indptr[first : last + 1]
    here = slice(indptr[0], indptr[-1])
    starts, count = np.empty(dim + 1, np.int64), int(indptr[-1] - indptr[0])
    found, weights = np.empty(count, np.uint32), np.empty(count, np.float32)
    kernels.sparse_products.invert(
        indptr - indptr[0], rows.indices[here], rows.weights[here], starts, found, weights
    )
    terms = (starts[1:] > starts[:-1]).nonzero()[0].astype(np.uint32)
    starts = np.append(starts[:-1][terms], count)
    highest, stored, own = _highest(weights, starts), weights.astype(dtype), norms[first:last]
    weights /= np.where(own > 0, own, 1)[found]
    return Lists(
        np.array([0, last - first]),
        np.array([0, len(terms)]),
        terms,
        starts,
        found.astype(np.uint16),
        stored,
        highest,
        _highest(weights, starts),
    )


def _highest(weights: Float32Array, starts: Int64Array) -> Float32Array:
    """Return the largest size in each list; its negative where one is below 0."""
    if not len(weights):
        return np.empty(0, np.float32)
    top = np.maximum.reduceat(weights, starts[:-1])
    bottom = np.minimum.reduceat(weights, starts[:-1])
    return np.where(bottom < 0, np.minimum(bottom, -top), top).astype(np.float32)


def _groups(lists: Lists) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of neighbouring blocks that fit into one."""
    edges, ends = lists.edges.tolist(), lists.starts[lists.spans].tolist()
    first, blocks = 0, len(edges) - 1
    for block in range(1, blocks + 1):
        if (
            block == blocks
            or edges[block + 1] - edges[first] > MOST_ROWS
            or ends[block + 1] - ends[first] > MOST_POSTINGS
        ):
            yield first, block
            first = block


def _rows_of_block(block: Lists) -> Rows:
    counts = np.bincount(block.rows, minlength=int(block.edges[-1]))
    order = np.argsort(block.rows, kind="stable")  # of 16 bits: numpy counts them
    indices = np.repeat(block.terms, np.diff(block.starts))
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return Rows(indptr, indices[order], block.weights[order].astype(np.float32))


def _chained(every: Sequence[Int64Array]) -> Int64Array:
    """Return ends that go on from one part to the next."""
    sizes = np.concatenate([_NO_ENDS[:0], *(np.diff(one) for one in every)])
    ends = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return ends


def _nothing(dtype: DTypeLike) -> Lists:
    none = np.empty(0, np.float32)
    rows = np.empty(0, np.uint16)
    return Lists(_NO_ENDS, _NO_ENDS, _NO_INDICES, _NO_ENDS, rows, none.astype(dtype), none, none)


_ENDS = {"edges", "spans", "starts"}
_NO_ENDS, _NO_INDICES = np.zeros(1, np.int64), np.empty(0, np.uint32)
_NO_HALVES, _NO_WEIGHTS = np.empty(0, np.uint16), np.empty(0, np.float32)
