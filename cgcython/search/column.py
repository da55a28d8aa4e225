"""The codes of one embedder: the scans of all its records, and whose each row is."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from cgcython.search.best import UNRANKED, best_rows, ordered
from cgcython.search.keys import NO_KEYS, found_among
from cgcython.search.loading import CHUNK, Part, joined
from cgcython.search.scan import Best, Embedding, Scan
from cgcython.types import BoolArray, Float32Array, Int64Array, KeyArray

MOST_PARTS = 64
MOST_DELETED = 256  # of a scan; with more, scores are all made, and theirs taken out


class Column:
    """What is stored of one embedder: scans, and the keys of the rows of all, one after the other.

    `keys` are those of `rows`, ascending; a row that is not among them was replaced or deleted.
    """

    def __init__(
        self, scans: Sequence[Scan], row_keys: KeyArray, keys: KeyArray, rows: Int64Array
    ) -> None:
        self.scans, self.row_keys, self.keys, self.rows = list(scans), row_keys, keys, rows
        self.starts = np.cumsum([0, *map(len, scans)])
        self._last_choice: tuple[KeyArray, tuple[KeyArray, Int64Array]] | None = None
        self._deleted = _NO_ROWS
        if len(rows) < len(row_keys):
            deleted = np.ones(len(row_keys), np.bool_)
            deleted[rows] = False
            self._deleted = deleted.nonzero()[0]
        self._deleted_starts = self._deleted.searchsorted(self.starts)

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """Return the column of parts."""
        row_keys = np.concatenate([NO_KEYS, *(part.keys for part in parts)])
        scans = [part.scan for part in parts]
        if np.all(row_keys[1:] > row_keys[:-1]):  # sorting what is sorted would take longer
            return cls(scans, row_keys, row_keys, np.arange(len(row_keys)))
        rows = np.argsort(row_keys, kind="stable")
        return cls(scans, row_keys, row_keys[rows], rows)

    def __len__(self) -> int:
        return len(self.keys)

    def scores(self, query: Embedding, metric: str, num_threads: int) -> Float32Array:
        """Return the score of each row, -inf for deleted rows."""
        scores = [scan.scores(query, metric, num_threads) for scan in self.scans]
        found = scores[0] if len(scores) == 1 else np.concatenate([_NO_SCORES, *scores])
        found[self._deleted] = UNRANKED
        return found

    def best(self, query: Embedding, k: int, metric: str, num_threads: int) -> Best:
        """Return the Best k rows, best first, and equals in the order of keys.

        Rows that equal the stored query come first, whatever they score.
        """
        spans = zip(self.scans, self.starts[:-1], self._deleted_starts, self._deleted_starts[1:])
        found = [
            self._best_of(scan, start, self._deleted[a:b], query, k, metric, num_threads)
            for scan, start, a, b in spans
        ]
        rows = np.concatenate([_NO_ROWS, *(one.rows for one in found)])
        scores = np.concatenate([_NO_SCORES, *(one.scores for one in found)])
        equal, ranks = self.equal_rows(query), scores
        if len(equal):
            others = np.isin(rows, equal, invert=True)
            rows = np.concatenate([equal, rows[others]])
            scores = np.concatenate([self.scores_of(equal, query, metric), scores[others]])
            ranks = scores.copy()
            ranks[: len(equal)] = np.inf
        best = ordered(self.row_keys[rows], ranks)[:k]
        return Best(rows[best], scores[best], sum(one.read for one in found))

    def _best_of(
        self,
        scan: Scan,
        start: int,
        deleted: Int64Array,
        query: Embedding,
        k: int,
        metric: str,
        num_threads: int,
    ) -> Best:
        """Return the Best of one scan, without deleted rows, in rows of the column."""
        if len(deleted) <= MOST_DELETED:
            rows, scores, read = scan.best(query, k + len(deleted), metric, num_threads)
            kept = np.isin(rows + start, deleted, invert=True)
            return Best(rows[kept] + start, scores[kept], read)
        scores = scan.scores(query, metric, num_threads)
        scores[deleted - start] = UNRANKED
        rows = best_rows(scores, k)
        return Best(rows + start, scores[rows], len(scan))

    def scores_of(self, rows: Int64Array, query: Embedding, metric: str) -> Float32Array:
        """Return the score of some rows."""
        return self._each(rows, lambda scan: scan.scores(query, metric))

    def similarities(self, rows: Int64Array, query: Embedding, stored: Embedding) -> Float32Array:
        """Return how alike some rows and a query are when both are as records hold them."""
        return self._each(rows, lambda scan: scan.similarities(query, stored))

    def _each(self, rows: Int64Array, score: Callable[[Scan], Float32Array]) -> Float32Array:
        found = np.empty(len(rows), np.float32)
        for scan, mine, own_rows in self.split(rows):
            found[mine] = score(scan.take(own_rows))
        return found

    def split(self, rows: Int64Array) -> list[tuple[Scan, BoolArray, Int64Array]]:
        """Return (scan, which of the rows are its, their rows there) of each scan with some."""
        owners = self.starts.searchsorted(rows, side="right") - 1
        found = []
        for owner in sorted(set(owners.tolist())):
            mine = owners == owner
            found.append((self.scans[owner], mine, rows[mine] - self.starts[owner]))
        return found

    def equal_rows(self, query: Embedding) -> Int64Array:
        """Return the rows that hold the bytes that the query would be stored as."""
        found = [scan.equal_rows(query) + start for scan, start in zip(self.scans, self.starts)]
        rows = np.concatenate([_NO_ROWS, *found])
        return rows[np.isin(rows, self._deleted, invert=True)] if len(rows) else rows

    def find(self, keys: KeyArray) -> tuple[Int64Array, BoolArray]:
        """Return the row of each key, and whether it has one."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        if keys.itemsize > self.keys.itemsize:
            places, known = found_among(self.keys, keys)
        else:  # one call less: a search makes many of these
            places = np.minimum(self.keys.searchsorted(keys), len(self.keys) - 1)
            known = self.keys[places] == keys
        return self.rows[places], known

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

    def updated(self, changed: KeyArray, parts: Sequence[Part]) -> "Column":
        """Return the column without the changed keys, which ascend, and with the new parts."""
        fresh = Column.of(parts)
        kept = np.ones(len(self), np.bool_)
        if len(self):
            places, known = found_among(self.keys, changed)
            kept[places[known]] = False
        keys, rows = np.concatenate([self.keys[kept], fresh.keys[:0]]), self.rows[kept]
        at = keys.searchsorted(fresh.keys)
        return Column(
            self.scans + fresh.scans,
            np.concatenate([self.row_keys, fresh.row_keys]),
            np.insert(keys, at, fresh.keys),
            np.insert(rows, at, fresh.rows + self.starts[-1]),
        )

    @property
    def is_fragmented(self) -> bool:
        """Whether so many rows were replaced or added that joining the parts pays."""
        return len(self.scans) > MOST_PARTS or bool(self.starts[-1] > 2 * len(self) + CHUNK)

    def parts(self) -> list[Part]:
        """Return the parts of the rows that are not deleted, one for each scan key."""
        found, alive = [], np.ones(len(self.row_keys), np.bool_)
        alive[self._deleted] = False
        for start, stop, scan in zip(self.starts, self.starts[1:], self.scans):
            rows = alive[start:stop].nonzero()[0]
            if len(rows):
                part = scan if len(rows) == stop - start else scan.subset(rows)
                found.append(Part(self.row_keys[start:stop][rows], part))
        return joined(found)


_NO_ROWS, _NO_SCORES = np.empty(0, np.int64), np.empty(0, np.float32)
