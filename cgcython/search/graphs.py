"""An HNSW graph of one dense embedder: finds candidates without scoring every record.

The graph holds coarse copies of what the codes decode to: eight bits per value, or the sign bits
themselves. Records whose coarse copies are equal share one node, for equal nodes link to each other
and to nothing else. The graph only proposes candidates, which are then scored by their codes.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np

from cgcython.errors import InvalidInput
from cgcython.search.column import Column
from cgcython.search.graph_entries import Entries
from cgcython.search.graph_links import require_sound
from cgcython.search.graph_settings import EARLIER, USUAL, GraphSettings
from cgcython.search.keys import as_rows, from_rows
from cgcython.search.scan import Embedding, GraphSpace
from cgcython.tensors import (
    MALFORMED,
    ArrayForm,
    Malformed,
    read_arrays,
    require_arrays,
    write_arrays,
)
from cgcython.types import Array, Int64Array, KeyArray, Progress

try:
    from usearch.index import Index
except ImportError:
    Index = None  # type: ignore[assignment, misc]  # an optional extra

FORMAT, VERSION = "cgcython-graph", 3
CHUNK = 1 << 10  # rows added by one call, which nothing can interrupt: a tenth of a second
_FORMS = {
    "graph": ArrayForm("U8", ("bytes",)),
    "keys": ArrayForm("U8", ("entries", "bytes of a key")),
    "nodes": ArrayForm("I64", ("entries",)),
    "digests": ArrayForm("U64", ("nodes",)),
}


class Graph:
    """The records of a column, near ones connected, in step with it by `update`."""

    def __init__(
        self, bits: bool, dim: int, position: int = 0, settings: GraphSettings = USUAL
    ) -> None:
        """`bits` are compared by Hamming distance; `position` is the journal's, of the column."""
        _require_usearch()
        self.bits, self.dim, self.position, self.settings = bits, dim, position, settings
        metric, dtype = ("hamming", "b1") if bits else ("cos", "i8")
        self._index: Any = Index(
            ndim=dim,
            metric=metric,
            dtype=dtype,
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
        )
        self._entries = Entries()

    @classmethod
    def of(
        cls,
        column: Column,
        num_threads: int = 1,
        progress: Progress | None = None,
        settings: GraphSettings = USUAL,
    ) -> Self | None:
        """Return the graph of a column, None where its rows cannot be compared in one graph.

        `progress` is called with the number of records added at a time.
        """
        space = _space(column)
        if space is None:
            return None
        graph = cls(space.bits, space.dim, settings=settings)
        graph._add(column, column.rows, num_threads, progress)
        return graph

    def __len__(self) -> int:
        return len(self._entries)

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
        empty = self._entries.remove(changed)
        if empty:
            self._index.remove(np.array(empty, np.uint64))
        rows, known = column.find(changed)
        self._add(column, rows[known], num_threads)

    def nearest(
        self, column: Column, query: Embedding, count: int, num_threads: int = 1
    ) -> Int64Array | None:
        """Return the rows of about `count` records near a query, or more: see GraphSettings.

        Returns None where the graph finds fewer than it should: links may be gone with their nodes.
        """
        count = min(max(count, self.settings.candidates(len(self))), len(self))
        if not count:
            return np.empty(0, np.int64)
        nodes = min(count, self._entries.node_count)
        self._index.expansion_search = nodes
        coarse = _coarse(column.scans[0].vector(query)[None])[0]
        found = self._index.search(coarse, nodes, threads=num_threads).keys
        entries = self._entries.of(found.astype(np.int64))
        return self._entries.rows(entries, column) if len(entries) >= count else None

    def _add(
        self,
        column: Column,
        rows: Int64Array,
        num_threads: int,
        progress: Progress | None = None,
    ) -> None:
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            coarse, before = _coarse_rows(column, some), len(self._entries.digests)
            labels, firsts = np.unique(
                self._entries.add(column.row_keys[some], coarse), return_index=True
            )
            new = labels >= before
            if np.any(new):
                added = labels[new].astype(np.uint64)
                self._index.add(added, coarse[firsts[new]], threads=num_threads)
            if progress is not None:
                progress(len(some))
        self._entries.settle()

    def save(self, path: Path) -> None:
        """Write the graph to a file, whole or not at all."""
        arrays: dict[str, Array] = {
            "graph": np.frombuffer(self._index.save(), np.uint8),
            "keys": as_rows(self._entries.keys),
            "nodes": self._entries.nodes,
            "digests": np.array(self._entries.digests, np.uint64),
        }
        about = {"bits": self.bits, "dimension": self.dim, "position": self.position}
        about |= self.settings._asdict()
        write_arrays(path, arrays, {"format": FORMAT, "version": VERSION, **about})

    @classmethod
    def load(cls, path: Path, column: Column) -> Self | None:
        """Return the graph of a column that is in a file.

        Returns None of one that is missing, damaged, of another make or not for such rows.
        """
        found, space = read_arrays(path, FORMAT, VERSION), _space(column)
        if found is None or space is None:
            return None
        arrays, about = found
        try:
            if (about["bits"], about["dimension"]) != (space.bits, space.dim):
                return None
            known = {name: about[name] for name in EARLIER._fields if name in about}
            settings = GraphSettings.of({**EARLIER._asdict(), **known})
            graph = cls(space.bits, space.dim, int(about["position"]), settings)
            graph._fill(require_arrays(arrays, _FORMS))
            return graph
        except (InvalidInput, *MALFORMED):
            return None

    def _fill(self, arrays: dict[str, Array]) -> None:
        """Take over the arrays of a file; raises Malformed where they contradict each other."""
        digests = arrays["digests"]
        empty = np.frombuffer(self._index.save(), np.uint8)
        width = self.dim if not self.bits else (self.dim + 7) // 8
        require_sound(arrays["graph"], empty, width, len(digests))
        keys, nodes = from_rows(arrays["keys"]).copy(), arrays["nodes"].copy()
        self._entries = Entries(keys, nodes, digests)
        self._index.load(arrays["graph"].tobytes())
        if len(self._index) != self._entries.node_count:
            raise Malformed("its nodes are not those of its entries")


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
    """Return bits as they are, and vectors scaled to whole numbers from -127 to 127.

    No cosine depends on a vector's scale.
    """
    if vectors.dtype == np.uint8:
        return vectors
    peaks = np.abs(vectors).max(axis=1, keepdims=True)
    factors = np.divide(127, peaks, out=np.zeros_like(peaks), where=peaks > 0)
    coarse: Array = np.rint(vectors * factors).astype(np.int8)
    return coarse
