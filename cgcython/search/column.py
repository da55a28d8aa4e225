"""The codes of one embedder: the scans of all its records, and whose each row is."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from operator import is_
from typing import Self

import numpy as np

from cgcython.errors import StorageCorruption
from cgcython.search.best import ordered
from cgcython.search.column_part import ColumnPart
from cgcython.search.filters import Filter
from cgcython.search.guides.guide import Guide
from cgcython.search.keys import NO_KEYS
from cgcython.search.loading import Part, joined
from cgcython.search.merging import merged
from cgcython.search.scan import Best, Embedding, Scan
from cgcython.tensors import require_whole
from cgcython.types import Array, BoolArray, Float32Array, Int64Array, KeyArray, Keys, Progress


class Column:
    """What is stored of one embedder: parts, whose rows count on from one to the next.

    A column never changes. A row that was replaced or deleted keeps its number, and has no key.
    """

    def __init__(self, parts: Iterable[ColumnPart]) -> None:
        self._parts = tuple(parts)
        self.scans = [part.scan for part in self._parts]
        self.starts = np.cumsum([0, *map(len, self.scans)])
        self._length = sum(map(len, self._parts))
        self.row_keys = _row_keys(self._parts, self.starts)
        self._last_choice: tuple[KeyArray, tuple[KeyArray, Int64Array]] | None = None

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Self:
        """Return the column of parts."""
        return cls(map(ColumnPart.of, parts))

    def __len__(self) -> int:
        return self._length

    @property
    def is_whole(self) -> bool:
        """Whether no file in which arrays are mapped was cut short since."""
        try:
            for one in self._mapped:
                require_whole(one)
        except StorageCorruption:
            return False
        return True

    @cached_property
    def _mapped(self) -> list[Array]:
        """Arrays of the files in which scans and guides are mapped."""
        found: list[Array] = []
        for part in self._parts:
            found += part.scan.mapped
            found += [] if part.guide is None else part.guide.mapped
        return found

    def scores(self, query: Embedding, metric: str, num_threads: int) -> Float32Array:
        """Return the score of each row, -inf for deleted rows."""
        if len(self._parts) == 1:
            return self._parts[0].scores(query, metric, num_threads)
        scores = [part.scores(query, metric, num_threads) for part in self._parts]
        return np.concatenate([_NO_SCORES, *scores])

    def best(
        self,
        query: Embedding,
        k: int,
        metric: str,
        num_threads: int,
        among: Filter | None = None,
    ) -> Best:
        """Return the Best k rows, or those of a filter, best first, equals in the order of keys.

        Rows that equal the stored query come first, whatever they score.
        """
        found = [part.best(query, k, metric, num_threads, among) for part in self._parts]
        return self._first(query, k, metric, found, among)

    def guided(self, num_threads: int = 1, progress: Progress | None = None) -> "Column":
        """Return the column whose parts have the guides that suit them.

        `progress` is called with the number of rows at a time of guides that are made.
        """
        parts = [part.guided(num_threads, progress) for part in self._parts]
        return self if all(map(is_, parts, self._parts)) else Column(parts)

    def best_near(
        self, query: Embedding, k: int, num_threads: int, among: Filter | None = None
    ) -> Best:
        """Return nearly what `best` does by cosine, found by the guides of the parts."""
        found = [part.best_near(query, k, num_threads, among) for part in self._parts]
        return self._first(query, k, "cosine", found, among)

    @property
    def guides(self) -> list[Guide]:
        """The guides of the parts that have one."""
        return [part.guide for part in self._parts if part.guide is not None]

    def best_many(
        self,
        queries: Sequence[Embedding],
        k: int,
        metric: str,
        num_threads: int,
        among: Filter | None = None,
    ) -> list[Best]:
        """Return what `best` returns for each of many queries."""
        ways = k, metric, num_threads, among
        every = [part.best_many(queries, *ways) for part in self._parts]
        return [
            self._first(query, k, metric, [found[number] for found in every], among)
            for number, query in enumerate(queries)
        ]

    def _first(
        self,
        query: Embedding,
        k: int,
        metric: str,
        found: Sequence[Best],
        among: Filter | None,
    ) -> Best:
        """Return the first k of what the parts found best."""
        rows, scores, read, _ = found[0] if len(found) == 1 else self._gathered(found)
        equal, ranks = self.equal_rows(query), scores
        if among is not None and len(equal):
            equal = equal[among.has(self.row_keys[equal])]
        if len(equal):
            others = np.isin(rows, equal, invert=True)
            rows = np.concatenate([equal, rows[others]])
            scores = np.concatenate([self.scores_of(equal, query, metric), scores[others]])
            ranks = scores.copy()
            ranks[: len(equal)] = np.inf
        best = ordered(self.row_keys, rows, ranks)[:k]
        return Best(rows[best], scores[best], read, min(len(equal), len(best)))

    def _gathered(self, found: Sequence[Best]) -> Best:
        rows = np.concatenate([_NO_ROWS, *(one.rows + at for one, at in zip(found, self.starts))])
        scores = np.concatenate([_NO_SCORES, *(one.scores for one in found)])
        return Best(rows, scores, sum(one.read for one in found))

    def scores_of(self, rows: Int64Array, query: Embedding, metric: str) -> Float32Array:
        """Return the score of some rows."""
        if len(self.scans) == 1:
            return self.scans[0].scores_of(rows, query, metric)
        return self._each(rows, lambda scan, own: scan.scores_of(own, query, metric))

    def similarities(self, rows: Int64Array, query: Embedding, stored: Embedding) -> Float32Array:
        """Return how alike some rows and a query are when both are as records hold them."""
        if len(self.scans) == 1:
            return self.scans[0].take(rows).similarities(query, stored)
        return self._each(rows, lambda scan, own: scan.take(own).similarities(query, stored))

    def _each(
        self, rows: Int64Array, score: Callable[[Scan, Int64Array], Float32Array]
    ) -> Float32Array:
        found = np.empty(len(rows), np.float32)
        for scan, mine, own_rows in self.split(rows):
            found[mine] = score(scan, own_rows)
        return found

    def split(self, rows: Int64Array) -> list[tuple[Scan, BoolArray, Int64Array]]:
        """Return (scan, which of the rows are its, their rows there) of each scan with some."""
        return [
            (self.scans[owner], mine, own_rows)
            for owner, mine, own_rows in split_rows_of(rows, self.starts)
        ]

    def equal_rows(self, query: Embedding) -> Int64Array:
        """Return the rows that hold the bytes that the query would be stored as."""
        if len(self._parts) == 1:
            return self._parts[0].equal_rows(query)
        found = [part.equal_rows(query) + at for part, at in zip(self._parts, self.starts)]
        return np.concatenate([_NO_ROWS, *found])

    @property
    def rows(self) -> Int64Array:
        """The rows that were not deleted."""
        there = [
            np.setdiff1d(np.arange(len(part.scan)), part.deleted, assume_unique=True) + at
            for part, at in zip(self._parts, self.starts)
        ]
        return np.concatenate([_NO_ROWS, *there])

    def find(self, keys: KeyArray) -> tuple[Int64Array, BoolArray]:
        """Return the row of each key, and whether it has one."""
        if len(self._parts) == 1:
            return self._parts[0].find(keys)
        rows, known = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        for part, at in zip(self._parts, self.starts):
            own_rows, own = part.find(keys)
            rows[own] = own_rows[own] + at
            known |= own
        return rows, known

    def chosen(self, keys: KeyArray) -> tuple[KeyArray, Int64Array]:
        """Return those of some keys that have a row, and the rows.

        It is remembered for the last array: many queries have one filter.
        """
        last = self._last_choice
        if last is None or last[0] is not keys:
            rows, known = self.find(keys)
            own = (keys, rows) if known.all() else (keys[known], rows[known])
            last = self._last_choice = keys, own
        return last[1]

    def largest_part(self) -> tuple[ColumnPart, int]:
        """Return the part of the most rows, and the number of its first row."""
        owner = max(range(len(self.scans)), key=lambda i: len(self.scans[i]))
        return self._parts[owner], int(self.starts[owner])

    def updated(self, changed: KeyArray, parts: Iterable[Part]) -> "Column":
        """Return the column without the changed keys, which ascend, and with the new parts."""
        kept = [part.without(changed) for part in self._parts]
        return Column(merged(kept, map(ColumnPart.of, parts)))

    def parts(self) -> list[Part]:
        """Return the parts of the rows that are not deleted, one for each scan key."""
        return joined(part.whole() for part in self._parts)


class RowKeys:
    """The keys of the rows of several parts, by row; they are not put together."""

    def __init__(self, keys: Sequence[KeyArray], starts: Int64Array) -> None:
        self._keys, self._starts = keys, starts
        self._width = max((one.itemsize for one in keys), default=NO_KEYS.itemsize)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: Int64Array) -> KeyArray:
        found = np.empty(len(rows), f"S{self._width}")
        for owner, mine, own_rows in split_rows_of(rows, self._starts):
            found[mine] = self._keys[owner][own_rows]
        return found


def _row_keys(parts: Sequence[ColumnPart], starts: Int64Array) -> Keys:
    keys = [part.row_keys for part in parts]
    return keys[0] if len(keys) == 1 else RowKeys(keys, starts)


def split_rows_of(rows: Int64Array, starts: Int64Array) -> list[tuple[int, BoolArray, Int64Array]]:
    """Return (part, which of the rows are its, their rows there) of each part with some rows."""
    owners = starts.searchsorted(rows, side="right") - 1
    found = []
    for owner in sorted(set(owners.tolist())):
        mine = owners == owner
        found.append((owner, mine, rows[mine] - starts[owner]))
    return found


_NO_ROWS, _NO_SCORES = np.empty(0, np.int64), np.empty(0, np.float32)
