"""The best rows of float8 codes by estimates with a proven bound, scored as a scan of all is."""

from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search.best import best_rows
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
FIRST_ROWS = 1 << 17  # a later piece of a thread does not know what an earlier one found
WORTH_A_THREAD = 1 << 22  # codes, about a tenth of a millisecond
FEWEST = 6  # queries that meet tiles of codes: fewer are faster one by one
GROUP = 128  # queries that meet one tile: as whole numbers they stay in the second cache
FIRST_PRODUCTS = 1 << 32  # of a piece of many queries, a few hundredths of a second
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

    def found(start: int, stop: int) -> Found:
        rows, scores = _best_of_range(query, codes.part(start, stop), min(k, stop - start), within)
        return rows + start, scores

    threads = min(num_threads, max(1, codes.codes.size // WORTH_A_THREAD))
    return merged(split_rows(found, len(codes.codes), threads, FIRST_ROWS), k, within)


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
    last = scores[best_rows(scores, k)].min(initial=np.inf)
    near = scores >= np.float64(last) - within if len(scores) > k else slice(None)
    return rows[near], scores[near]


def _best_of_range(query: Float32Array, codes: Codes, k: int, within: float) -> Found:
    for room in (2 * k + SPARE, len(codes.codes)):  # there is no limit to how many may be equal
        rows, scores = np.empty(room, np.int64), np.empty(room, np.float32)
        count = kernels.e4m3_best.best(query, *codes, k, within, rows, scores)
        if count >= 0:
            break
    return rows[:count], scores[:count]


def _best_of_group(
    queries: Float32Array, codes: Codes, k: int, num_threads: int, within: float
) -> list[Found]:
    rows, dim = codes.shape
    packed = _packed(queries, codes.scales is None)

    def found(start: int, stop: int) -> list[Found]:
        part, wanted = codes.part(start, stop), min(k, stop - start)
        return [
            (best + start, scores)
            for best, scores in _best_of_tiles(queries, packed, part, wanted, within)
        ]

    threads = min(num_threads, max(1, len(queries) * codes.codes.size // WORTH_A_THREAD))
    first = max(1 << 14, FIRST_PRODUCTS // (len(queries) * dim))
    ranges = split_rows(found, rows, threads, first)
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
    k: int,
    within: float,
) -> list[Found]:
    room = 2 * k + SPARE
    rows, scores = (
        np.empty((len(queries), room), np.int64),
        np.empty((len(queries), room), np.float32),
    )
    held = np.empty(len(queries), np.int64)
    kernels.e4m3_best.best_many(*packed, *codes, k, within, rows, scores, held)
    return [
        (rows[i, :count], scores[i, :count])
        if count >= 0
        else _best_of_range(queries[i], codes, k, within)
        for i, count in enumerate(held.tolist())
    ]
