"""The best rows of float8 codes by estimates with a proven bound, scored as a scan of all is."""

from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.types import (
    Float32Array,
    Float64Array,
    Int8Array,
    Int64Array,
    UInt8Array,
    UInt16Array,
)

WIDEST = 4096  # dimensions that the kernels take
SPARSE = 16  # rows for each of the k best, below which all are scored: more would be near the best
SPARE = 512  # rows that may be held beside twice the k best
UNIT_PRODUCTS = 1 << 26  # of rows and many queries, that one thread works on: half a millisecond
FIRST_UNITS = 64
FIRST_ROWS = 1 << 17  # of a piece of one query
FEWEST = 6  # queries that meet tiles of codes: fewer are faster one by one
GROUP = 128  # queries that meet one tile: as whole numbers they stay in the second cache
LANES = 32  # queries of a block


class Codes(NamedTuple):
    """Codes [rows, dim], one over the length of each row, and its scale; without scales cosines."""

    codes: UInt8Array
    inverse_norms: Float32Array
    scales: Float32Array | None

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows, and of values in a row."""
        rows, dim = self.codes.shape
        return rows, dim

    def part(self, start: int, stop: int) -> "Codes":
        """Return some rows."""
        scales = None if self.scales is None else self.scales[start:stop]
        return Codes(self.codes[start:stop], self.inverse_norms[start:stop], scales)


Packed = tuple[Float32Array, UInt16Array, Int8Array, Float64Array]  # queries, see the kernel
Found = tuple[Int64Array, Float32Array]  # rows and their scores


def pays(rows: int, dim: int, k: int) -> bool:
    """Return whether estimates can save enough of the scores, when the k best are wanted."""
    return 0 < k <= rows // SPARSE and 0 < dim <= WIDEST


def best_of(
    query: Float32Array, codes: Codes, k: int, num_threads: int, within: float = 0.0
) -> Found:
    """Return the k best rows, and all whose scores are `within` of the last of them, and scores."""
    # Threads raise it at the same time: one may forget what another found, which only takes longer.
    least = -np.inf

    def found(start: int, stop: int) -> Found:
        nonlocal least
        rows, scores = _best_of_range(query, codes.part(start, stop), k, within, least)
        if len(scores) >= k:
            least = max(least, float(np.partition(scores, -k)[-k]) - within)
        return rows + start, scores

    return merged(split_rows(found, len(codes.codes), num_threads, FIRST_ROWS), k, within)


def best_of_many(
    queries: Float32Array, codes: Codes, k: int, num_threads: int, within: float = 0.0
) -> list[Found]:
    """Return what `best_of` returns for each query [n, dim]; many queries share the reading."""
    if len(queries) < FEWEST:
        return [best_of(query, codes, k, num_threads, within) for query in queries]
    groups = [queries[at : at + GROUP] for at in range(0, len(queries), GROUP)]
    return [one for group in groups for one in _best_of_group(group, codes, k, num_threads, within)]


def merged(found: list[Found], k: int, within: float) -> Found:
    """Return the best of ranges, each of which had its own k best."""
    if len(found) == 1:
        return found[0]
    rows, scores = (np.concatenate(column) for column in zip(*found))
    if len(scores) <= k:
        return rows, scores
    near = scores >= float(np.partition(scores, -k)[-k]) - within
    return rows[near], scores[near]


def _best_of_range(query: Float32Array, codes: Codes, k: int, within: float, least: float) -> Found:
    for room in (2 * k + SPARE, len(codes.codes)):  # there is no limit to how many may be equal
        rows, scores = np.empty(room, np.int64), np.empty(room, np.float32)
        count = kernels.e4m3_best.best(query, *codes, k, within, least, rows, scores)
        if count >= 0:
            break
    return rows[:count], scores[:count]


def _best_of_group(
    queries: Float32Array, codes: Codes, k: int, num_threads: int, within: float
) -> list[Found]:
    rows, dim = codes.shape
    packed, known = _packed(queries, codes.scales is None), np.full(len(queries), -np.inf)

    unit = -(-UNIT_PRODUCTS // (len(queries) * dim))  # rows: what each piece begins with takes time

    def found(first: int, last: int) -> list[Found]:
        start, stop = first * unit, min(last * unit, rows)
        least = known.copy()  # as far as it is known; see best_of
        best = _best_of_tiles(queries, packed, codes, range(start, stop), k, within, least)
        np.maximum(known, least, out=known)
        return best

    ranges = split_rows(found, -(-rows // unit), num_threads, FIRST_UNITS)
    return [merged(list(one), k, within) for one in zip(*ranges)]


def _packed(queries: Float32Array, cosine: bool) -> Packed:
    count, dim = queries.shape
    laid = np.empty((count, -(-dim // 64) * 64), np.float32)
    halves = np.empty(laid.shape, np.uint16)
    numbers = np.empty((-(-count // LANES), -(-dim // 4), 4 * LANES), np.int8)
    measures = np.empty((count, 8), np.float64)
    kernels.e4m3_best.pack(queries, cosine, laid, halves, numbers, measures)
    return laid, halves, numbers, measures


def _best_of_tiles(
    queries: Float32Array,
    packed: Packed,
    codes: Codes,
    piece: range,
    k: int,
    within: float,
    least: Float64Array,
) -> list[Found]:
    """Return the best of some rows for each query, and raise what the best of others must reach."""
    shape, part = (len(queries), 2 * k + SPARE), codes.part(piece.start, piece.stop)
    rows, scores = np.zeros(shape, np.int64), np.empty(shape, np.float32)
    held = np.empty(len(queries), np.int64)
    kernels.e4m3_best.best_many(*packed, *part, k, within, least, rows, scores, held)
    rows += piece.start
    found = [(rows[i, :count], scores[i, :count]) for i, count in enumerate(held.tolist())]
    for i in (held < 0).nonzero()[0]:
        some, their_scores = _best_of_range(queries[i], part, k, within, least[i])
        found[i] = some + piece.start, their_scores
    return found
