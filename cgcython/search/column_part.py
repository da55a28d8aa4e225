"""One part of a column: a scan, whose each row is, and which rows are still there."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Self

import numpy as np

from cgcython.parallel import each_alone
from cgcython.search.best import UNRANKED, best_rows
from cgcython.search.filters import Filter, Members
from cgcython.search.guides.choice import guide_class
from cgcython.search.guides.guide import Guide
from cgcython.search.keys import found_among
from cgcython.search.loading import Part
from cgcython.search.scan import Best, Embedding, Scan
from cgcython.search.scans import join
from cgcython.types import BoolArray, Float32Array, Int64Array, KeyArray, Progress

MOST_ASKED = 256  # rows of which some are to rank; where more are needed, all are scored
LIKELY = 2  # so many times the expected number of rows to ask for mostly holds enough
FEW_SCORED = 8  # where less than one row in so many ranks, scoring those alone is faster
FEW = 4  # where a guide finds more than one row in so many, all are scored
REWRITTEN = 32  # a part is rewritten where more than one row in so many was replaced or deleted


class ColumnPart:
    """Rows of one scan. It never changes: what follows a write is another part of the same scan.

    `row_keys` are those of all rows, `keys` those of `rows`, ascending: of the rows that were there
    when the scan was made. `alive` tells which still are; None where that is all of the scan.
    """

    def __init__(
        self,
        scan: Scan,
        row_keys: KeyArray,
        keys: KeyArray,
        rows: Int64Array,
        alive: BoolArray | None = None,
        guide: Guide | None = None,
    ) -> None:
        """`guide`, where there is one, finds rows of the scan."""
        self.scan, self.row_keys, self.keys, self.rows = scan, row_keys, keys, rows
        self.alive, self.guide = alive, guide
        self.deleted: Int64Array = _NO_ROWS if alive is None else (~alive).nonzero()[0]
        self._length = len(scan) - len(self.deleted)

    @classmethod
    def of(cls, part: Part) -> Self:
        """Return a part in which all rows are there."""
        keys, scan, guide = part
        if np.all(keys[1:] > keys[:-1]):  # sorting what is sorted would take longer
            return cls(scan, keys, keys, np.arange(len(keys)), guide=guide)
        rows = np.argsort(keys, kind="stable")
        return cls(scan, keys, keys[rows], rows, guide=guide)

    def __len__(self) -> int:
        """Return how many rows are still there."""
        return self._length

    def find(self, keys: KeyArray) -> tuple[Int64Array, BoolArray]:
        """Return the row of each key, and whether it has one."""
        own = self.keys
        if keys.itemsize > own.itemsize:
            places, known = found_among(own, keys)
        else:  # a call less: a search makes many of these
            places = np.minimum(own.searchsorted(keys), len(own) - 1)
            known = own[places] == keys
        rows: Int64Array = self.rows[places]
        return rows, known if self.alive is None else known & self.alive[rows]

    def without(self, keys: KeyArray) -> Self:
        """Return the part without the rows of some keys, which ascend."""
        if len(keys) > len(self.keys):  # what is looked up takes longer than where
            among = found_among(keys, self.keys)[1]
            gone = self.rows[among]
        else:
            rows, known = self.find(keys)
            gone = rows[known]
        if not len(gone):
            return self
        alive = np.ones(len(self.scan), np.bool_) if self.alive is None else self.alive.copy()
        alive[gone] = False
        return type(self)(self.scan, self.row_keys, self.keys, self.rows, alive, self.guide)

    def joined(self, other: "ColumnPart") -> "ColumnPart":
        """Return one part of the rows of two, which have one scan key.

        Rows that are gone stay, so that the scan begins with the rows of this one's.
        """
        scan = join([self.scan, other.scan])
        row_keys = np.concatenate([self.row_keys, other.row_keys])
        alive = None
        if len(self.deleted) or len(other.deleted):
            alive = np.ones(len(scan), np.bool_)
            alive[self.deleted] = alive[other.deleted + len(self.scan)] = False
        (keys, rows), (more, other_rows) = self._present(), other._present()
        keys, rows = np.concatenate([keys, more]), np.concatenate([rows, other_rows])
        rows[len(rows) - len(other_rows) :] += len(self.scan)
        order = keys.argsort(kind="stable")  # two runs, which it finds and merges
        guide = None if self.guide is None else self.guide.extended(scan)
        return ColumnPart(scan, row_keys, keys[order], rows[order], alive, guide)

    def _present(self) -> tuple[KeyArray, Int64Array]:
        """Return the keys that are still there, ascending, and their rows."""
        if self.alive is None:
            return self.keys, self.rows
        there = self.alive[self.rows]
        return self.keys[there], self.rows[there]

    @property
    def wants_rewriting(self) -> bool:
        """Whether so many rows are gone that a scan of the others pays."""
        return len(self.deleted) * REWRITTEN > len(self.scan)

    def whole(self) -> Part:
        """Return the rows that are still there."""
        if self.alive is None:
            return Part(self.row_keys, self.scan, self.guide)
        rows = self.alive.nonzero()[0]
        guide = None if self.guide is None else self.guide.subset(rows)
        return Part(self.row_keys[rows], self.scan.subset(rows), guide)

    def scores(self, query: Embedding, metric: str, num_threads: int) -> Float32Array:
        """Return the score of each row, -inf for deleted rows."""
        scores = self.scan.scores(query, metric, num_threads)
        scores[self.deleted] = UNRANKED
        return scores

    def best(
        self,
        query: Embedding,
        k: int,
        metric: str,
        num_threads: int,
        among: Filter | None = None,
    ) -> Best:
        """Return the Best k of the rows that are still there, and of a filter's alone."""
        members = self._members(among)
        if members is None:
            return self.scan.best(query, k, metric, num_threads)
        asked = self._asked(k, members)
        if asked is not None:
            found = self.scan.best(query, asked, metric, num_threads)
            best = self._kept(found, asked, k, members)
            if best is not None:
                return best
        return self._best_of(members.rows, query, k, metric, num_threads)

    def best_many(
        self,
        queries: Sequence[Embedding],
        k: int,
        metric: str,
        num_threads: int,
        among: Filter | None = None,
    ) -> list[Best]:
        """Return what `best` returns for each of many queries."""
        members = self._members(among)
        if members is None:
            return self.scan.best_many(queries, k, metric, num_threads)
        asked = self._asked(k, members)
        if asked is None:
            return each_alone(
                lambda query, threads: self._best_of(members.rows, query, k, metric, threads),
                queries,
                num_threads,
            )
        every = self.scan.best_many(queries, asked, metric, num_threads)
        kept = [self._kept(found, asked, k, members) for found in every]
        return [
            self._best_of(members.rows, query, k, metric, num_threads) if best is None else best
            for query, best in zip(queries, kept)
        ]

    def _members(self, among: Filter | None) -> Members | None:
        """Return the rows that are there and of a filter; None where these are all of the scan."""
        if among is None:
            return self._there
        mask, rows = among.members(self.scan, self.keys, self.rows)
        if self.alive is not None:
            mask, rows = mask & self.alive, rows[self.alive[rows]]
        return Members(mask, rows)

    @cached_property
    def _there(self) -> Members | None:
        return None if self.alive is None else Members(self.alive, self.alive.nonzero()[0])

    def _asked(self, k: int, members: Members) -> int | None:
        """Return how many of all rows are likely to hold k members; None where they are too many.

        All others may be better than these k; where few are members, most are.
        """
        others = len(self.scan) - len(members.rows)
        likely = LIKELY * (k * len(self.scan) // max(1, len(members.rows)) + k)
        asked = min(k + others, likely)
        return asked if asked <= MOST_ASKED else None

    def _kept(self, found: Best, asked: int, k: int, members: Members) -> Best | None:
        """Return the members of the `asked` best rows; None where that may be too few for k."""
        kept = members.mask[found.rows]
        rows = found.rows[kept]
        if len(rows) < min(k, len(members.rows)) and asked < len(self.scan):
            return None
        return Best(rows, found.scores[kept], found.read)

    def _best_of(
        self, rows: Int64Array, query: Embedding, k: int, metric: str, num_threads: int
    ) -> Best:
        """Return the Best k of some rows, by the scores of all where these are many."""
        if len(rows) * FEW_SCORED > len(self.scan):
            scores, read = self.scan.scores(query, metric, num_threads)[rows], len(self.scan)
        else:
            scores, read = self.scan.scores_of(rows, query, metric), len(rows)
        best = best_rows(scores, k)
        return Best(rows[best], scores[best], read)

    def guided(self, num_threads: int = 1, progress: Progress | None = None) -> Self:
        """Return the part with the guide that suits its scan, made where there is none."""
        kind = self._guide_class
        if type(self.guide) is (kind or type(None)):
            return self
        guide = None if kind is None else kind.of(self.scan, num_threads, progress)
        return type(self)(self.scan, self.row_keys, self.keys, self.rows, self.alive, guide)

    @cached_property
    def _guide_class(self) -> type[Guide] | None:
        return guide_class(self.scan)

    def best_near(
        self, query: Embedding, k: int, num_threads: int, among: Filter | None = None
    ) -> Best:
        """Return nearly what `best` does by cosine, found by the guide.

        Without a guide, or where it leaves few rows out or finds too few, they are the Best.
        """
        members = self._members(among)
        wanted = k if members is None else min(k, len(members.rows))
        if self.guide is not None and wanted:
            share = 1.0 if members is None else len(members.rows) / len(self.scan) / LIKELY
            count = max(k, math.ceil(k / share))
            rows, read = self.guide.near(self.scan, query, count, num_threads)
            if len(rows) * FEW <= len(self.scan):
                best = self._best_found(rows, query, k, count, members)
                if best is not None:
                    return best._replace(read=read + len(rows))
        return self.best(query, k, "cosine", num_threads, among)

    def _best_found(
        self, rows: Int64Array, query: Embedding, k: int, count: int, members: Members | None
    ) -> Best | None:
        """Return the Best k of rows that a guide found, of members alone where there is a choice.

        Returns None where they are too few, or lie deeper than the `count` best that it looked for.
        """
        if members is None:
            return self.scan.best_of(rows, query, k) if len(rows) >= k else None
        scores, wanted = self.scan.scores_of(rows, query), min(k, len(members.rows))
        own = np.where(members.mask[rows], scores, np.float32(UNRANKED))
        best = best_rows(own, wanted)
        if len(best) < wanted or np.count_nonzero(scores > own[best].min()) > count:
            return None
        return Best(rows[best], scores[best], len(rows))

    def equal_rows(self, query: Embedding) -> Int64Array:
        """Return the rows that hold the bytes that the query would be stored as."""
        rows = self.scan.equal_rows(query)
        return rows if self.alive is None else rows[self.alive[rows]]


_NO_ROWS = np.empty(0, np.int64)
