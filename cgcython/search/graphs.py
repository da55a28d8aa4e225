"""An HNSW graph of one dense embedder: finds candidates without meeting every record.

The graph holds coarse copies of what the codes decode to: eight bits per value, or the sign bits
themselves. It only proposes; whoever asks scores the candidates by the codes. Labels number the
records in the order in which they were added, and are never used again.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np

from cgcython.errors import InvalidInput
from cgcython.search.column import Column
from cgcython.search.keys import KEY
from cgcython.search.scan import Embedding, GraphSpace, Scan
from cgcython.tensors import read_arrays, write_arrays
from cgcython.types import Array, Int64Array, KeyArray, Progress

try:
    from usearch.index import Index
except ImportError:
    Index = None  # type: ignore[assignment, misc]  # an optional extra

FORMAT, VERSION = "cgcython-graph", 1
CHUNK = 1 << 14
CONNECTIVITY, EXPANSION_ADD, LEAST_FOUND = 16, 64, 64
FEW = 1 << 14  # records among which the least number of candidates finds what there is


class Graph:
    """The records of a column, near ones connected, in step with it by `update`."""

    def __init__(self, bits: bool, dim: int, position: int = 0) -> None:
        """`bits` are compared by Hamming distance; `position` is the journal's, of the column."""
        _require_usearch()
        self.bits, self.dim, self.position = bits, dim, position
        metric, dtype = ("hamming", "b1") if bits else ("cos", "i8")
        self._index: Any = Index(
            ndim=dim,
            metric=metric,
            dtype=dtype,
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
        )
        self._keys: KeyArray = np.empty(0, KEY)
        self._labels: dict[bytes, int] = {}

    @classmethod
    def of(
        cls, column: Column, num_threads: int = 1, progress: Progress | None = None
    ) -> Self | None:
        """Return the graph of a column, None of one whose rows cannot be compared in a graph.

        `progress` is called with the number of records added at a time.
        """
        space = _space(column)
        if space is None:
            return None
        graph = cls(space.bits, space.dim)
        graph._add(column, column.rows, num_threads, progress)
        return graph

    def __len__(self) -> int:
        return len(self._index)

    @property
    def memory_bytes(self) -> int:
        """The bytes of the graph itself, without what usearch reserves for more."""
        return int(self._index.serialized_length)

    def fits(self, column: Column) -> bool:
        """Return whether the rows of a column can be compared in this graph."""
        space = _space(column)
        return space is not None and (space.bits, space.dim) == (self.bits, self.dim)

    def update(self, column: Column, changed: KeyArray, num_threads: int = 1) -> None:
        """Follow a column in which the records of some keys changed."""
        gone = [self._labels.pop(key) for key in changed.tolist() if key in self._labels]
        if gone:
            self._index.remove(np.array(gone, np.uint64))
        rows, known = column.find(changed)
        self._add(column, rows[known], num_threads)

    def nearest(self, scan: Scan, query: Embedding, count: int, num_threads: int = 1) -> KeyArray:
        """Return the keys of about `count` records near a query, ascending; more in large graphs.

        The 64 that do for some thousand records miss a fourth of the best of a million.
        """
        least = LEAST_FOUND * max(1, len(self) / FEW) ** 0.5
        count = min(max(count, int(least)), len(self))
        if not count:
            return np.empty(0, KEY)
        self._index.expansion_search = count
        coarse = _coarse(scan.vector(query)[None])[0]
        found = self._index.search(coarse, count, threads=num_threads)
        return np.sort(self._keys[found.keys.astype(np.int64)])

    def _add(
        self,
        column: Column,
        rows: Int64Array,
        num_threads: int,
        progress: Progress | None = None,
    ) -> None:
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            keys = column.row_keys[some]
            labels = np.arange(len(self._keys), len(self._keys) + len(some), dtype=np.uint64)
            self._keys = np.concatenate([self._keys, keys])
            self._labels.update(zip(keys.tolist(), labels.tolist()))
            self._index.add(labels, _coarse_rows(column, some), threads=num_threads)
            if progress is not None:
                progress(len(some))

    def save(self, path: Path) -> None:
        """Write the graph to a file, whole or not at all."""
        arrays: dict[str, Array] = {
            "graph": np.frombuffer(self._index.save(), np.uint8),
            "keys": self._keys.view(np.uint8).reshape(-1, KEY.itemsize),
            "labels": np.fromiter(self._labels.values(), np.int64, len(self._labels)),
        }
        about = {"bits": self.bits, "dimension": self.dim, "position": self.position}
        write_arrays(path, arrays, {"format": FORMAT, "version": VERSION, **about})

    @classmethod
    def load(cls, path: Path) -> Self | None:
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


def _require_usearch() -> None:
    if Index is None:
        raise InvalidInput(
            what="approximate",
            expected="the package usearch: pip install cgcython[ann]",
            actual="it is not installed",
        )


def _space(column: Column) -> GraphSpace | None:
    """Return the space that all rows of a column share, or None."""
    spaces = {scan.graph_space() for scan in column.scans}
    return spaces.pop() if len(spaces) == 1 else None


def _coarse_rows(column: Column, rows: Int64Array) -> Array:
    """Return what a graph keeps of some rows of a column, in their order."""
    parts = [(mine, _coarse(scan.vectors(own_rows))) for scan, mine, own_rows in column.split(rows)]
    found = np.empty((len(rows), *parts[0][1].shape[1:]), parts[0][1].dtype)
    for mine, coarse in parts:
        found[mine] = coarse
    return found


def _coarse(vectors: Array) -> Array:
    """Return bits as they are, and vectors as whole numbers up to 127, which a cosine allows."""
    if vectors.dtype == np.uint8:
        return vectors
    peaks = np.abs(vectors).max(axis=1, keepdims=True)
    factors = np.divide(127, peaks, out=np.zeros_like(peaks), where=peaks > 0)
    coarse: Array = np.rint(vectors * factors).astype(np.int8)
    return coarse
