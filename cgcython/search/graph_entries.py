"""Which records lie at the nodes of a graph, and in which rows of a column.

Nodes and entries (records as they were added) are numbered, and no number is used again. Records
whose coarse copies are equal share one node. Most nodes have one entry, which is in an array;
those of several are few.
"""

from hashlib import blake2b
from itertools import chain

import numpy as np

from cgcython.search.column import Column
from cgcython.search.column_part import ColumnPart
from cgcython.search.keys import NO_KEYS
from cgcython.tensors import Malformed
from cgcython.types import Array, Int64Array, KeyArray

_NONE = np.empty(0, np.int64)


class Entries:
    """The entries of a graph, by number: their keys, their nodes and, by key, their numbers."""

    def __init__(
        self, keys: KeyArray = NO_KEYS, nodes: Int64Array = _NONE, digests: Array = _NONE
    ) -> None:
        """`nodes` are -1 for entries that are gone; `digests` are those of the nodes' copies.

        Raises Malformed where they contradict each other.
        """
        if np.any(nodes < -1) or np.any(nodes >= len(digests)):
            raise Malformed("an entry is of no node")
        alive = np.flatnonzero(nodes >= 0)
        self.keys, self.nodes = keys, nodes
        self.digests: list[int] = digests.tolist()
        self._firsts = np.full(len(digests), -1)  # an entry of each node, -1 where it has none
        self._firsts[nodes[alive[::-1]]] = alive[::-1]
        self._others: dict[int, set[int]] = {}  # the other entries of a node that has several
        for entry in alive[self._firsts[nodes[alive]] != alive].tolist():
            self._others.setdefault(int(nodes[entry]), set()).add(entry)
        self._numbers = dict(zip(keys[alive].tolist(), alive.tolist()))
        present = np.flatnonzero(self._firsts >= 0).tolist()
        self._node_of = {self.digests[node]: node for node in present}
        if len(self._numbers) != len(alive) or len(self._node_of) != len(present):
            raise Malformed("two entries are of one key, or two nodes of one copy")
        self._added: list[tuple[KeyArray, Int64Array]] = []
        self._placed: tuple[KeyArray, int, Int64Array | None] | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def node_count(self) -> int:
        """The number of nodes that have an entry."""
        return len(self._node_of)

    def remove(self, keys: KeyArray) -> list[int]:
        """Take the records of some keys out; return the nodes that have no entry any more."""
        gone = [self._numbers.pop(key) for key in keys.tolist() if key in self._numbers]
        return [node for entry in gone if (node := self._left(entry)) is not None]

    def _left(self, entry: int) -> int | None:
        """Take an entry out of its node; return the node where that was its last."""
        node = int(self.nodes[entry])
        self.nodes[entry] = -1
        others = self._others.get(node)
        if others:
            if self._firsts[node] == entry:
                self._firsts[node] = others.pop()
            others.discard(entry)
            return None
        self._firsts[node] = -1
        del self._node_of[self.digests[node]]
        return node

    def add(self, keys: KeyArray, coarse: Array) -> Int64Array:
        """Return the node of each of some records: that of an equal one, or a new one.

        They are entries once `settle` was called.
        """
        first, nodes = len(self.keys) + sum(len(one) for one, _ in self._added), []
        for entry, row in enumerate(coarse, first):
            digest = int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest(), "little")
            node = self._node_of.setdefault(digest, len(self.digests))
            nodes.append(node)
            if node == len(self.digests):
                self.digests.append(digest)
            else:
                self._others.setdefault(node, set()).add(entry)
        self._numbers.update(zip(keys.tolist(), range(first, first + len(keys))))
        self._added.append((keys, np.array(nodes, np.int64)))
        return self._added[-1][1]

    def settle(self) -> None:
        """Take over what was added."""
        before, entries = len(self._firsts), len(self.keys)
        self.keys = np.concatenate([self.keys, *(keys for keys, _ in self._added)])
        self.nodes = np.concatenate([self.nodes, *(nodes for _, nodes in self._added)])
        self._added.clear()
        new = self.nodes[entries:]
        firsts = np.full(len(self.digests) - before, -1)
        numbers = np.arange(entries, len(self.nodes))[::-1]
        mine = new[::-1] >= before
        firsts[new[::-1][mine] - before] = numbers[mine]
        self._firsts = np.concatenate([self._firsts, firsts])

    def of(self, nodes: Int64Array) -> Int64Array:
        """Return the entries of nodes."""
        if len(self._firsts) == len(self.nodes):  # as many: each node has its one entry
            return nodes
        firsts = self._firsts[nodes]
        if not self._others:
            return firsts
        others = chain.from_iterable(self._others.get(node, ()) for node in nodes.tolist())
        return np.concatenate([firsts, np.fromiter(others, np.int64)])

    def rows(self, entries: Int64Array, column: Column) -> Int64Array:
        """Return the rows of entries in a column, in any order.

        The rows of its largest part are known by entry; those of newer parts are found by key.
        """
        part, start = column.largest_part()
        count, places = self._places(part)
        near = entries[entries < count] if len(self.nodes) > count else entries
        rows = near if places is None else places[near]
        there = rows >= 0
        if len(near) == len(entries) and there.all():
            return rows + start
        others = self.keys[np.concatenate([near[~there], entries[entries >= count]])]
        found, known = column.find(others)
        return np.concatenate([rows[there] + start, found[known]])

    def _places(self, part: ColumnPart) -> tuple[int, Int64Array | None]:
        """Return of how many entries the row in a part is known, -1 where it has none, and these.

        None where each entry's row has its number. Later entries are of records that were written
        since, which are in parts that came since.
        """
        if self._placed is None or self._placed[0] is not part.row_keys:
            self._placed = part.row_keys, len(self.keys), self._places_in(part)
        return self._placed[1:]

    def _places_in(self, part: ColumnPart) -> Int64Array | None:
        if np.array_equal(self.keys, part.row_keys):
            return None
        alive = np.flatnonzero(self.nodes >= 0)
        rows, known = part.find(self.keys[alive])
        places = np.full(len(self.keys), -1)
        places[alive[known]] = rows[known]
        return places
