"""One part of a column: a scan, whose each row is, and which rows are still there."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from cgcython.search.best import UNRANKED, best_rows
from cgcython.search.guides.choice import guide_class
from cgcython.search.guides.guide import Guide, Near
from cgcython.search.keys import found_among
from cgcython.search.loading import Part
from cgcython.search.scan import Best, Embedding, Scan
from cgcython.search.scans import join
from cgcython.types import BoolArray, Float32Array, Int64Array, KeyArray, Progress

MOST_DELETED = 256  # rows; where more are, all scores are made, and theirs taken out
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
        return len(self.scan) - len(self.deleted)

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

    def best(self, query: Embedding, k: int, metric: str, num_threads: int) -> Best:
        """Return the Best k of the rows that are still there."""
        if len(self.deleted) <= MOST_DELETED:
            count = k + len(self.deleted)
            return self._present_of(self.scan.best(query, count, metric, num_threads))
        scores = self.scores(query, metric, num_threads)
        rows = best_rows(scores, k)
        return Best(rows, scores[rows], len(self.scan))

    def best_many(
        self, queries: Sequence[Embedding], k: int, metric: str, num_threads: int
    ) -> list[Best]:
        """Return what `best` returns for each of many queries."""
        if len(self.deleted) <= MOST_DELETED:
            count = k + len(self.deleted)
            found = self.scan.best_many(queries, count, metric, num_threads)
            return [self._present_of(one) for one in found]
        return [self.best(query, k, metric, num_threads) for query in queries]

    def guided(self, num_threads: int = 1, progress: Progress | None = None) -> Self:
        """Return the part with the guide that suits its scan, made where there is none."""
        kind = guide_class(self.scan)
        if type(self.guide) is (kind or type(None)):
            return self
        guide = None if kind is None else kind.of(self.scan, num_threads, progress)
        return type(self)(self.scan, self.row_keys, self.keys, self.rows, self.alive, guide)

    def best_near(self, query: Embedding, k: int, num_threads: int) -> Best:
        """Return nearly the Best k by cosine of the rows that are still there.

        Without a guide, or where it leaves few rows out, they are the Best.
        """
        rows, read = self._near(query, k, num_threads)
        if len(rows) < min(k, len(self)) or len(rows) * FEW > len(self):
            return self.best(query, k, "cosine", num_threads)
        scores = self.scan.take(rows).scores(query)
        best = best_rows(scores, k)
        return Best(rows[best], scores[best], read + len(rows))

    def _near(self, query: Embedding, k: int, num_threads: int) -> Near:
        if self.guide is None or not len(self):
            return Near(_NO_ROWS, 0)
        count = -(-k * len(self.scan) // len(self))
        rows, read = self.guide.near(self.scan, query, count, num_threads)
        return Near(rows if self.alive is None else rows[self.alive[rows]], read)

    def _present_of(self, best: Best) -> Best:
        if self.alive is None:
            return best
        there = self.alive[best.rows]
        return Best(best.rows[there], best.scores[there], best.read)

    def equal_rows(self, query: Embedding) -> Int64Array:
        """Return the rows that hold the bytes that the query would be stored as."""
        rows = self.scan.equal_rows(query)
        return rows if self.alive is None else rows[self.alive[rows]]


_NO_ROWS = np.empty(0, np.int64)
