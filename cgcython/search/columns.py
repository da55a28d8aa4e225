"""The codes of each embedder in memory, loaded when first searched and kept in step with writes."""

import threading
from collections import defaultdict
from itertools import islice
from uuid import UUID

import numpy as np

from cgcython.errors import InvalidQuantizedData, StorageCorruption
from cgcython.search.scans import make_scan, scan_key

CHUNK = 1 << 16  # records read at a time
MOST_PARTS = 64
KEY = np.dtype("S16")


class Column:
    """What is stored of one embedder: scans, and the ids of their rows in ascending order.

    `order` has the row of each id among the rows of all scans, one after the other.
    """

    def __init__(self, scans, keys, order):
        self.scans, self.keys, self.order = scans, keys, order
        self.starts = np.cumsum([0, *map(len, scans)])
        self._in_order = len(order) == self.starts[-1] and np.all(order[1:] > order[:-1])

    @classmethod
    def of(cls, parts):
        """Return the column of (keys, scan) parts."""
        keys = np.concatenate([np.empty(0, KEY), *(keys for keys, _ in parts)])
        order = np.argsort(keys, kind="stable")
        return cls([scan for _, scan in parts], keys[order], order)

    def __len__(self):
        return len(self.keys)

    def scores(self, query, metric, num_threads):
        """Return the score of each id."""
        scores = [scan.scores(query, metric, num_threads) for scan in self.scans]
        return self._sorted(np.concatenate([np.empty(0, np.float32), *scores]))

    def twins(self, query):
        """Return which ids have the bytes that the query would be stored as."""
        return self._sorted(
            np.concatenate([np.empty(0, bool), *(scan.twins(query) for scan in self.scans)])
        )

    def _sorted(self, rows):
        return rows if self._in_order else rows[self.order]

    def find(self, keys):
        """Return the place of each key among the ids, and whether it is one of them."""
        places = np.minimum(np.searchsorted(self.keys, keys), max(len(self) - 1, 0))
        return places, (self.keys[places] == keys if len(self) else np.zeros(len(keys), bool))

    def like(self, places, query, stored):
        """Return how like the query's stored form the records at some places are."""
        rows, similarity = self.order[places], np.empty(len(places), np.float32)
        owners = np.searchsorted(self.starts, rows, side="right") - 1
        for owner in set(owners.tolist()):
            mine = owners == owner
            scan = self.scans[owner].take(rows[mine] - self.starts[owner])
            similarity[mine] = scan.like(query, stored)
        return similarity

    def updated(self, changed, parts):
        """Return the column without the changed keys, and with the new parts."""
        fresh = Column.of(parts)
        places, known = self.find(changed)
        keys, order = (np.delete(a, places[known]) for a in (self.keys, self.order))
        at = np.searchsorted(keys, fresh.keys)
        return Column(
            self.scans + fresh.scans,
            np.insert(keys, at, fresh.keys),
            np.insert(order, at, fresh.order + self.starts[-1]),
        )

    @property
    def is_worn(self):
        """Whether so much was replaced or added that reading it all again pays."""
        return len(self.scans) > MOST_PARTS or self.starts[-1] > 2 * len(self) + CHUNK


class Columns:
    """The columns of a store, each loaded when first asked for."""

    def __init__(self, store, find_codebook):
        self._store, self._find_codebook = store, find_codebook
        self._columns, self._changed = {}, {}
        self._reading, self._noting = threading.Lock(), threading.Lock()

    def changed(self, keys):
        """Hear of keys that were written; reads after this see them."""
        with self._noting:
            for changed in self._changed.values():
                changed.update(keys)

    def get(self, model_id):
        """Return the Column of an embedder as it is now.

        Raises StorageCorruption naming the damaged records.
        """
        with self._reading:
            with self._noting:
                changed, self._changed[model_id] = self._changed.get(model_id), set()
            column = self._columns.get(model_id)
            try:
                if column is None or (changed and column.is_worn):
                    column = self._load(model_id)
                elif changed:
                    column = self._update(model_id, column, sorted(changed))
            except BaseException:
                self._columns.pop(model_id, None)
                raise
            self._columns[model_id] = column
            return column

    def _load(self, model_id):
        rows, parts = self._store.scan(model_id), []
        while chunk := list(islice(rows, CHUNK)):
            parts += self._parts(chunk)
        return Column.of(parts)

    def _update(self, model_id, column, changed):
        read = ((key, self._store.quantized(key, model_id)) for key in changed)
        parts = self._parts([(key, one) for key, one in read if one is not None])
        return column.updated(np.array(changed, KEY), parts)

    def _parts(self, rows):
        groups = defaultdict(list)
        for key, quantized in rows:
            groups[scan_key(quantized)].append((key, quantized))
        return [self._part(*zip(*group)) for group in groups.values()]

    def _part(self, keys, quantized):
        try:
            return np.array(keys, KEY), make_scan(quantized, self._find_codebook)
        except InvalidQuantizedData:
            raise self._damage(keys, quantized) from None

    def _damage(self, keys, quantized):
        ids, reason = [], ""
        for key, one in zip(keys, quantized):
            try:
                make_scan([one], self._find_codebook)
            except InvalidQuantizedData as error:
                ids.append(UUID(bytes=key))
                reason = reason or str(error)
        return StorageCorruption(where=f"record {ids[0]}", reason=reason, ids=ids)
