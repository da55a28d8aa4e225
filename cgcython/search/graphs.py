"""An HNSW graph of one dense embedder: finds candidates without meeting every record.

The graph holds coarse copies of what the codes decode to: eight bits per value, or the sign bits
themselves. It only proposes; whoever asks scores the candidates by the codes. Labels number the
records in the order in which they were added, and are never used again.
"""

import numpy as np

from cgcython.errors import InvalidInput
from cgcython.search.code_scans import BinaryScan, DecodedScan, Float8Scan, PQ8Scan
from cgcython.search.loading import KEY
from cgcython.tensors import read_arrays, write_arrays

try:
    from usearch.index import Index
except ImportError:  # an optional extra
    Index = None

FORMAT, VERSION = "cgcython-graph", 1
CHUNK = 1 << 14
CONNECTIVITY, EXPANSION_ADD, LEAST_FOUND = 16, 64, 64
FEW = 1 << 14  # records among which the least number of candidates finds what there is
_DENSE = (Float8Scan, DecodedScan, PQ8Scan)


class Graph:
    """The records of a column, near ones connected, in step with it by `update`."""

    def __init__(self, bits, dim, position=None):
        _require_usearch()
        self.bits, self.dim, self.position = bits, dim, position
        kind = {"metric": "hamming", "dtype": "b1"} if bits else {"metric": "cos", "dtype": "i8"}
        self._index = Index(
            ndim=dim, connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD, **kind
        )
        self._keys, self._labels = np.empty(0, KEY), {}

    @classmethod
    def of(cls, column, num_threads=1, progress=None):
        """Return the graph of a column, None of one whose rows cannot be compared in a graph.

        `progress` is called with the number of records added at a time.
        """
        shape = _shape(column)
        if shape is None:
            return None
        graph = cls(*shape)
        graph._add(column, column.rows, num_threads, progress)
        return graph

    def __len__(self):
        return len(self._index)

    @property
    def memory_bytes(self):
        """The bytes of the graph itself, without what usearch reserves for more."""
        return self._index.serialized_length

    def fits(self, column):
        """Return whether the rows of a column can be compared in this graph."""
        return _shape(column) == (self.bits, self.dim)

    def update(self, column, changed, num_threads=1):
        """Follow a column in which the records of some keys changed."""
        gone = [self._labels.pop(key) for key in changed.tolist() if key in self._labels]
        if gone:
            self._index.remove(np.array(gone, np.uint64))
        rows, known = column.find(changed)
        self._add(column, rows[known], num_threads)

    def nearest(self, scan, query, count, num_threads=1):
        """Return the keys of about `count` records near a query, ascending; more in large graphs.

        The 64 that do for some thousand records miss a fourth of the best of a million.
        """
        least = LEAST_FOUND * max(1, len(self) / FEW) ** 0.5
        count = min(max(count, int(least)), len(self))
        if not count:
            return np.empty(0, KEY)
        self._index.expansion_search = count
        found = self._index.search(_coarse_query(scan, query), count, threads=num_threads)
        return np.sort(self._keys[found.keys.astype(np.int64)])

    def _add(self, column, rows, num_threads, progress=None):
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            keys = column.row_keys[some]
            labels = np.arange(len(self._keys), len(self._keys) + len(some), dtype=np.uint64)
            self._keys = np.concatenate([self._keys, keys])
            self._labels.update(zip(keys.tolist(), labels.tolist()))
            self._index.add(labels, _coarse_rows(column, some), threads=num_threads)
            if progress is not None:
                progress(len(some))

    def save(self, path):
        """Write the graph to a file, whole or not at all."""
        arrays = {
            "graph": np.frombuffer(self._index.save(), np.uint8),
            "keys": self._keys.view(np.uint8).reshape(-1, KEY.itemsize),
            "labels": np.fromiter(self._labels.values(), np.int64, len(self._labels)),
        }
        about = {"bits": self.bits, "dimension": self.dim, "position": self.position}
        write_arrays(path, arrays, {"format": FORMAT, "version": VERSION, **about})

    @classmethod
    def load(cls, path):
        """Return the graph of a file; None of one that is missing, damaged or of another make."""
        found = read_arrays(path, FORMAT, VERSION)
        if found is None:
            return None
        arrays, about = found
        graph = cls(about["bits"], about["dimension"], about["position"])
        graph._index.load(arrays["graph"].tobytes())
        graph._keys = arrays["keys"].reshape(-1).view(KEY).copy()
        labels = arrays["labels"]
        graph._labels = dict(zip(graph._keys[labels].tolist(), labels.tolist()))
        return graph


def _require_usearch():
    if Index is None:
        raise InvalidInput(
            what="approximate",
            expected="the package usearch: pip install cgcython[ann]",
            actual="it is not installed",
        )


def _shape(column):
    """Return (whether sign bits, dimension) that all rows of a column share, or None."""
    shapes = set()
    for scan in column.scans:
        if isinstance(scan, BinaryScan):
            shapes.add((True, scan.codec.dim, scan.codec.threshold))
        elif isinstance(scan, _DENSE):
            shapes.add((False, scan.key[1], None))
        else:
            return None
    return next(iter(shapes))[:2] if len(shapes) == 1 else None


def _coarse_rows(column, rows):
    """Return what a graph keeps of some rows of a column, in their order."""
    owners = np.searchsorted(column.starts, rows, side="right") - 1
    found = None
    for owner in set(owners.tolist()):
        mine = owners == owner
        some = column.scans[owner].vectors(rows[mine] - column.starts[owner])
        some = _coarse(some)
        found = np.empty((len(rows), some.shape[1]), some.dtype) if found is None else found
        found[mine] = some
    return found


def _coarse_query(scan, query):
    return _coarse(scan.vector(query)[None])[0]


def _coarse(vectors):
    """Return bits as they are, and vectors as whole numbers up to 127, which a cosine allows."""
    if vectors.dtype == np.uint8:
        return vectors
    peaks = np.abs(vectors).max(axis=1, keepdims=True)
    factors = np.divide(127, peaks, out=np.zeros_like(peaks), where=peaks > 0)
    return np.rint(vectors * factors).astype(np.int8)
