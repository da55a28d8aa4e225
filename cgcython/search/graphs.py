"""An HNSW graph of one dense embedder: finds candidates without scoring every record.

The graph holds coarse copies of what the codes decode to: eight bits per value, or the sign bits
themselves. Records whose coarse copies are equal share one node, for equal nodes link to each other
and to nothing else. The graph only proposes candidates, which are then scored by their codes.
Nodes and entries (records as they were added) are numbered, and no number is used again.
"""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from cgcython.errors import InvalidInput
from cgcython.search.column import Column
from cgcython.search.graph_links import require_sound
from cgcython.search.keys import NO_KEYS, as_rows, from_rows
from cgcython.search.scan import Embedding, GraphSpace, Scan
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
CONNECTIVITY, EXPANSION_ADD, LEAST_FOUND = 16, 64, 64
FEW = 1 << 14  # up to so many records, LEAST_FOUND candidates include nearly all of the best


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
        self._keys: KeyArray = NO_KEYS  # by entry
        self._nodes: Int64Array = np.empty(0, np.int64)  # by entry, -1 for one that is gone
        self._entries: dict[bytes, int] = {}  # by key
        self._firsts: list[int] = []  # an entry of each node
        self._others: dict[int, set[int]] = {}  # the other entries of a node that has several
        self._digests: list[int] = []  # of the coarse copy, by node
        self._node_of: dict[int, int] = {}  # by digest

    @classmethod
    def of(
        cls, column: Column, num_threads: int = 1, progress: Progress | None = None
    ) -> Self | None:
        """Return the graph of a column, None where its rows cannot be compared in one graph.

        `progress` is called with the number of records added at a time.
        """
        space = _space(column)
        if space is None:
            return None
        graph = cls(space.bits, space.dim)
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
        gone = [self._entries.pop(key) for key in changed.tolist() if key in self._entries]
        empty = [node for entry in gone if (node := self._left(entry)) is not None]
        if empty:
            self._index.remove(np.array(empty, np.uint64))
        rows, known = column.find(changed)
        self._add(column, rows[known], num_threads)

    def _left(self, entry: int) -> int | None:
        """Take an entry out of its node; return the node where that was its last."""
        node = int(self._nodes[entry])
        self._nodes[entry] = -1
        others = self._others.get(node)
        if others:
            if self._firsts[node] == entry:
                self._firsts[node] = others.pop()
            others.discard(entry)
            return None
        del self._node_of[self._digests[node]]
        return node

    def nearest(
        self, scan: Scan, query: Embedding, count: int, num_threads: int = 1
    ) -> KeyArray | None:
        """Return the keys of about `count` records near a query, ascending; more in large graphs.

        64 candidates, enough for some thousand records, miss a quarter of the best of a million.
        Returns None where the graph finds fewer than it should: links may be gone with their nodes.
        """
        least = LEAST_FOUND * max(1, len(self) / FEW) ** 0.5
        count = min(max(count, int(least)), len(self))
        if not count:
            return NO_KEYS
        nodes = min(count, len(self._node_of))
        self._index.expansion_search = nodes
        coarse = _coarse(scan.vector(query)[None])[0]
        found = self._index.search(coarse, nodes, threads=num_threads).keys
        entries = self._entries_of(found.tolist())
        return np.sort(self._keys[entries]) if len(entries) >= count else None

    def _entries_of(self, nodes: list[int]) -> list[int]:
        others = chain.from_iterable(self._others.get(node, ()) for node in nodes)
        return [*(self._firsts[node] for node in nodes), *others]

    def _add(
        self,
        column: Column,
        rows: Int64Array,
        num_threads: int,
        progress: Progress | None = None,
    ) -> None:
        keys, nodes = [self._keys], [self._nodes]
        first = len(self._keys)
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            coarse = _coarse_rows(column, some)
            entries = range(first + start, first + start + len(some))
            before = len(self._firsts)
            joined = self._joined(entries, coarse)
            labels, firsts = np.unique(joined, return_index=True)
            new = labels >= before
            if np.any(new):
                added = labels[new].astype(np.uint64)
                self._index.add(added, coarse[firsts[new]], threads=num_threads)
            keys.append(column.row_keys[some])
            nodes.append(joined)
            self._entries.update(zip(keys[-1].tolist(), entries))
            if progress is not None:
                progress(len(some))
        self._keys, self._nodes = np.concatenate(keys), np.concatenate(nodes)

    def _joined(self, entries: Iterable[int], coarse: Array) -> Int64Array:
        """Return the node of each entry: that of an equal one, or a new one."""
        found = []
        for entry, row in zip(entries, coarse):
            digest = int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest(), "little")
            node = self._node_of.setdefault(digest, len(self._firsts))
            found.append(node)
            if node == len(self._firsts):
                self._firsts.append(entry)
                self._digests.append(digest)
            else:
                self._others.setdefault(node, set()).add(entry)
        return np.array(found, np.int64)

    def save(self, path: Path) -> None:
        """Write the graph to a file, whole or not at all."""
        arrays: dict[str, Array] = {
            "graph": np.frombuffer(self._index.save(), np.uint8),
            "keys": as_rows(self._keys),
            "nodes": self._nodes,
            "digests": np.array(self._digests, np.uint64),
        }
        about = {"bits": self.bits, "dimension": self.dim, "position": self.position}
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
            graph = cls(space.bits, space.dim, int(about["position"]))
            graph._fill(require_arrays(arrays, _FORMS))
            return graph
        except MALFORMED:
            return None

    def _fill(self, arrays: dict[str, Array]) -> None:
        """Take over the arrays of a file; raises Malformed where they contradict each other."""
        keys, nodes = from_rows(arrays["keys"]).copy(), arrays["nodes"].copy()
        digests = arrays["digests"].tolist()
        empty = np.frombuffer(self._index.save(), np.uint8)
        width = self.dim if not self.bits else (self.dim + 7) // 8
        require_sound(arrays["graph"], empty, width, len(digests))
        if np.any(nodes < -1) or np.any(nodes >= len(digests)):
            raise Malformed("an entry is of no node")
        alive = np.flatnonzero(nodes >= 0)
        self._keys, self._nodes, self._digests = keys, nodes, digests
        self._entries = dict(zip(keys[alive].tolist(), alive.tolist()))
        self._firsts = [-1] * len(digests)
        for entry, node in zip(alive.tolist(), nodes[alive].tolist()):
            if self._firsts[node] < 0:
                self._firsts[node] = entry
                self._node_of[digests[node]] = node
            else:
                self._others.setdefault(node, set()).add(entry)
        self._index.load(arrays["graph"].tobytes())
        if len(self._index) != len(self._node_of) or len(self._entries) != len(alive):
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
