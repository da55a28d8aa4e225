"""The codes of each embedder, mapped or in memory when first searched, in step with writes."""

import threading

import numpy as np

from cgcython.search.column_files import (
    column_path,
    graph_path,
    is_of_codes,
    load_parts,
    save_parts,
)
from cgcython.search.fusion import NOWHERE
from cgcython.search.graphs import Graph
from cgcython.search.loading import CHUNK, KEY, Loader, joined, whole_keys

MOST_PARTS = 64
MOST_CHANGES = 1 << 16  # more of them are read faster with everything else


class Column:
    """What is stored of one embedder: scans, and the ids of the rows of all, one after the other.

    `keys` are the ids of `rows`, ascending; a row that is not among them was replaced or deleted.
    """

    def __init__(self, scans, row_keys, keys, rows):
        self.scans, self.row_keys, self.keys, self.rows = scans, row_keys, keys, rows
        self.starts = np.cumsum([0, *map(len, scans)])
        self._dead = np.empty(0, np.int64)
        if len(rows) < len(row_keys):
            dead = np.ones(len(row_keys), bool)
            dead[rows] = False
            self._dead = np.flatnonzero(dead)

    @classmethod
    def of(cls, parts):
        """Return the column of (keys, scan) parts."""
        row_keys = np.concatenate([np.empty(0, KEY), *(keys for keys, _ in parts)])
        scans = [scan for _, scan in parts]
        if np.all(row_keys[1:] > row_keys[:-1]):  # sorting what is sorted would take longer
            return cls(scans, row_keys, row_keys, np.arange(len(row_keys)))
        rows = np.argsort(row_keys, kind="stable")
        return cls(scans, row_keys, row_keys[rows], rows)

    def __len__(self):
        return len(self.keys)

    def scores(self, query, metric, num_threads):
        """Return the score of each row, NOWHERE where it is none's."""
        scores = [scan.scores(query, metric, num_threads) for scan in self.scans]
        if len(scores) == 1:
            scores = scores[0]
        else:
            scores = np.concatenate([np.empty(0, np.float32), *scores])
        scores[self._dead] = NOWHERE
        return scores

    def scores_of(self, rows, query, metric):
        """Return the score of some rows."""
        return self._each(rows, lambda scan: scan.scores(query, metric))

    def like(self, rows, query, stored):
        """Return how like the query's stored form some rows are."""
        return self._each(rows, lambda scan: scan.like(query, stored))

    def _each(self, rows, score):
        found = np.empty(len(rows), np.float32)
        owners = np.searchsorted(self.starts, rows, side="right") - 1
        for owner in set(owners.tolist()):
            mine = owners == owner
            found[mine] = score(self.scans[owner].take(rows[mine] - self.starts[owner]))
        return found

    def twins(self, query):
        """Return the rows that have the bytes that the query would be stored as."""
        found = [scan.twins(query) + start for scan, start in zip(self.scans, self.starts)]
        return np.setdiff1d(np.concatenate([np.empty(0, np.int64), *found]), self._dead)

    def find(self, keys):
        """Return the row of each key, and whether it has one."""
        if not len(self):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return self.rows[places], self.keys[places] == keys

    def updated(self, changed, parts):
        """Return the column without the changed keys, which ascend, and with the new parts."""
        fresh = Column.of(parts)
        kept = np.ones(len(self), bool)
        places = np.searchsorted(self.keys, changed)
        places = places[places < len(self)]
        kept[places[np.isin(self.keys[places], changed)]] = False
        keys, rows = self.keys[kept], self.rows[kept]
        at = np.searchsorted(keys, fresh.keys)
        return Column(
            self.scans + fresh.scans,
            np.concatenate([self.row_keys, fresh.row_keys]),
            np.insert(keys, at, fresh.keys),
            np.insert(rows, at, fresh.rows + self.starts[-1]),
        )

    @property
    def is_worn(self):
        """Whether so much was replaced or added that laying it out anew pays."""
        return len(self.scans) > MOST_PARTS or self.starts[-1] > 2 * len(self) + CHUNK

    def parts(self):
        """Return (keys, scan) parts of the rows that are there, one of each kind."""
        found, alive = [], np.ones(len(self.row_keys), bool)
        alive[self._dead] = False
        for start, stop, scan in zip(self.starts, self.starts[1:], self.scans):
            rows = np.flatnonzero(alive[start:stop])
            if len(rows):
                part = scan if len(rows) == stop - start else scan.without_others(rows)
                part.key = scan.key
                found.append((self.row_keys[start:stop][rows], part))
        return joined(found)


class Columns:
    """The columns and graphs of a store, each made when first asked for.

    They follow the store by its journal, whoever writes: what stands at an older position is
    brought up to date with what changed since, or made anew where the journal cannot tell.
    """

    def __init__(self, store, find_codebook, folder=None):
        self._store, self._folder, self._find_codebook = store, folder, find_codebook
        self._loader = Loader(store, find_codebook)
        self._columns, self._graphs, self._saved = {}, {}, {}
        self._reading = threading.RLock()

    def get(self, model_id):
        """Return the Column of an embedder as it is now.

        Raises StorageCorruption naming the damaged records.
        """
        with self._reading:
            known = self._columns.pop(model_id, None) or self._from_file(model_id)
            known = known and self._followed(model_id, *known)
            self._columns[model_id] = known or self._loaded(model_id)
            return self._columns[model_id][0]

    def _from_file(self, model_id):
        if self._folder is None:
            return None
        found = load_parts(column_path(self._folder, model_id), model_id, self._find_codebook)
        if found is None:
            return None
        self._saved[model_id] = found[1]
        return Column.of(found[0]), found[1]

    def _followed(self, model_id, column, position):
        """Return a column as it is now, and where the journal stands; None if it cannot tell."""
        changed, now = self._changes(model_id, position)
        if changed is None or len(changed) > MOST_CHANGES:
            return None
        if changed:
            parts = self._loader.some(model_id, changed)
            column = column.updated(np.array(changed, KEY), parts)
            column = Column.of(column.parts()) if column.is_worn else column
        return column, now

    def _changes(self, model_id, position):
        """Return the keys that changed since a position, None if unknown, and the position now."""
        journal = self._store.journal
        now = journal.position()
        return ([] if now == position else journal.changes_since(position, model_id)), now

    def _loaded(self, model_id):
        with self._store.snapshot() as frozen:
            parts = Loader(frozen, self._find_codebook).all(model_id)
            return Column.of(parts), frozen.journal.position()

    def some(self, model_id, keys):
        """Return the Column of an embedder where it is loaded, otherwise one of some records."""
        if model_id in self._columns:
            return self.get(model_id)
        return Column.of(self._loader.some(model_id, whole_keys(keys)))

    def graph(self, model_id, num_threads=1, progress=None):
        """Return the Column of an embedder and its Graph as they are now.

        The graph is None where the embedder has none: sparse vectors, tokens, rows of several
        dimensions or thresholds. The first call builds it.
        """
        with self._reading:
            column = self.get(model_id)
            now = self._columns[model_id][1]
            graph = self._graphs.pop(model_id, None) or self._graph_from_file(model_id)
            if graph is not None and graph.fits(column):
                changed, _ = self._changes(model_id, graph.position)
                if changed:
                    graph.update(column, np.array(changed, KEY), num_threads)
                graph = None if changed is None else graph
            else:
                graph = None
            graph = graph or Graph.of(column, num_threads, progress)
            if graph is not None:
                graph.position = now
                self._graphs[model_id] = graph
            return column, graph

    def _graph_from_file(self, model_id):
        return self._folder and Graph.load(graph_path(self._folder, model_id))

    def save(self, model_ids=None):
        """Write the loaded columns and graphs, of some embedders if given, to their files."""
        saved = []
        with self._reading:
            for model_id in sorted(self._columns if model_ids is None else model_ids):
                column, position = self.get(model_id), self._columns[model_id][1]
                path = column_path(self._folder, model_id)
                if save_parts(path, model_id, column.parts(), position):
                    self._saved[model_id] = position
                    saved.append(path)
                if self._graphs.get(model_id):
                    graph = self.graph(model_id)[1]
                    graph.save(graph_path(self._folder, model_id))
                    saved.append(graph_path(self._folder, model_id))
        return saved

    def save_what_pays(self):
        """Save the large columns of codes that have no file, or one that much was changed since."""
        with self._reading:
            self.save([one for one in list(self._columns) if self._saving_pays(one)])

    def _saving_pays(self, model_id):
        column = self.get(model_id)
        if len(column) < CHUNK or not all(map(is_of_codes, column.scans)):
            return False
        if model_id not in self._saved:
            return True
        changed, _ = self._changes(model_id, self._saved[model_id])
        return changed is None or len(changed) > len(column) // 32
