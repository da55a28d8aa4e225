"""The nearest of many codes by tables of distances, exactly, whatever number is asked for."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.parallel import require_threads, split_rows
from cgcython.search.code_file import BLOCK
from cgcython.types import Array, Float32Array, Int64Array, UInt8Array

MOST_INSERTED = 128  # the kernel inserts into a sorted list, whose cost grows with k * k
FIRST_BLOCKS = 1 << 16  # millions of codes: each piece begins without what others found
GATHERED = 1 << 15  # codes that are copied out of their blocks at once

Found: TypeAlias = tuple[Array, Float32Array]  # rows or ids, and distances, ascending


def nearest(table: Float32Array, blocks: UInt8Array, count: int, k: int, num_threads: int) -> Found:
    """Return the k nearest of `count` codes in blocks, the lower row first on ties."""

    def one_range(start: int, stop: int, rows: int) -> Found:
        some = blocks[start:stop]
        if k > MOST_INSERTED:
            return selected(lambda codes: distances_of(table, codes), some, rows, k)
        ids, best = np.empty(min(k, rows), np.int64), np.empty(min(k, rows), np.float32)
        kernels.adc.topk_blocks(table, some, rows, ids, best)
        return ids, best

    return nearest_of_ranges(one_range, count, k, num_threads)


def nearest_of_ranges(
    one_range: Callable[[int, int, int], Found], count: int, k: int, num_threads: int
) -> Found:
    """Return the k nearest of `count` rows by what finds those of the blocks start to stop.

    It is called with start, stop and the number of rows, and counts rows from 0.
    """

    def found(start: int, stop: int) -> Found:
        ids, distances = one_range(start, stop, min(stop * BLOCK, count) - start * BLOCK)
        return ids + start * BLOCK, distances

    return merged(split_rows(found, -(-count // BLOCK), num_threads, FIRST_BLOCKS), k)


def nearest_among(
    table: Float32Array, blocks: UInt8Array, rows: Int64Array, k: int, num_threads: int
) -> Found:
    """Return the k nearest of some rows, which ascend."""

    def found(start: int, stop: int) -> Found:
        selection = Selection(k)
        for some in np.array_split(rows[start:stop], -(-(stop - start) // GATHERED) or 1):
            selection.add(some, distances_of(table, codes_of(blocks, some)))
        return selection.found()

    return merged(split_rows(found, len(rows), num_threads), k)


def codes_of(blocks: UInt8Array, rows: Int64Array) -> UInt8Array:
    """Return the codes [len(rows), M] of some rows."""
    return blocks[rows // BLOCK, :, rows % BLOCK]


def distances_of(table: Float32Array, codes: UInt8Array) -> Float32Array:
    """Return the sums over codes [n, M] of a table."""
    sums = np.empty(len(codes), np.float32)
    kernels.adc.scan(table, codes, sums)
    return sums


class Selection:
    """The k smallest of the distances met so far, the earlier row first on ties."""

    def __init__(self, k: int) -> None:
        self._k, self._held = k, 0
        self._rows: list[Int64Array] = [np.empty(0, np.int64)]
        self._distances: list[Float32Array] = [np.empty(0, np.float32)]
        self._bound: np.float32 | None = None  # a distance that k rows are no farther than

    def add(self, rows: Int64Array, distances: Float32Array) -> None:
        """Meet rows that come after all earlier ones."""
        if self._bound is not None:
            near = np.flatnonzero(distances < self._bound)
            rows, distances = rows[near], distances[near]
        self._rows.append(rows)
        self._distances.append(distances)
        self._held += len(rows)
        if self._held >= 2 * self._k:
            self._shrink()

    def found(self) -> Found:
        """Return the rows and their distances, ascending."""
        if self._held > self._k:
            self._shrink()
        return _ascending(np.concatenate(self._rows), np.concatenate(self._distances), self._k)

    def _shrink(self) -> None:
        rows, distances = np.concatenate(self._rows), np.concatenate(self._distances)
        if self._k:
            bound = np.partition(distances, self._k - 1)[self._k - 1]
            near = distances < bound
            near[np.flatnonzero(distances == bound)[: self._k - int(near.sum())]] = True
            rows, distances, self._bound = rows[near], distances[near], bound
        else:
            rows, distances = rows[:0], distances[:0]
        self._rows, self._distances, self._held = [rows], [distances], len(rows)


def selected(
    measure: Callable[[UInt8Array], Float32Array], blocks: UInt8Array, rows: int, k: int
) -> Found:
    """Return the k nearest of the rows of blocks, by what returns the distances of codes."""
    selection = Selection(k)
    for start, codes in unblocked(blocks, rows):
        at = np.arange(start, start + len(codes))
        # A cosine may be NaN: such rows are farthest.
        selection.add(at, np.fmin(measure(codes), np.float32(np.inf)))
    return selection.found()


def unblocked(blocks: UInt8Array, rows: int) -> Iterator[tuple[int, UInt8Array]]:
    """Yield the codes of blocks row by row, GATHERED rows at a time, and where they begin."""
    step = max(1, GATHERED // BLOCK)
    for first in range(0, len(blocks), step):
        some = blocks[first : first + step]
        codes = np.ascontiguousarray(some.transpose(0, 2, 1)).reshape(-1, blocks.shape[1])
        yield first * BLOCK, codes[: rows - first * BLOCK]


def merged(found: list[Found], k: int) -> Found:
    """Return the k nearest of parts whose rows follow each other and whose distances ascend."""
    if len(found) == 1:
        return found[0]
    rows, distances = (np.concatenate(column) for column in zip(*found))
    return _ascending(rows, distances, k)


def _ascending(rows: Array, distances: Float32Array, k: int) -> Found:
    order = np.argsort(distances, kind="stable")[:k]
    return rows[order], distances[order]


def reordered(rows: Int64Array, distances: Float32Array, k: int) -> Found:
    """Return the k nearest of rows in any order, the lower row first on ties."""
    order = np.lexsort((rows, distances))[:k]
    return rows[order], distances[order]


def search_all(
    search: Callable[[Float32Array, int], Found], queries: Float32Array, k: int, num_threads: int
) -> Found:
    """Return the results of queries as matrices; where they are many, each is one thread's."""
    if len(queries) < require_threads(num_threads):
        found = [search(query, num_threads) for query in queries]
    else:
        done = split_rows(
            lambda start, stop: [search(query, 1) for query in queries[start:stop]],
            len(queries),
            num_threads,
            first=1,
        )
        found = [one for some in done for one in some]
    if not found:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    return np.array([ids for ids, _ in found]), np.array([distances for _, distances in found])
