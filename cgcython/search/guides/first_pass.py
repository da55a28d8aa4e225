"""A first pass over one bit per value, from which the rows come whose codes are scored.

Rows of length 1 are centred, turned at random and kept as their signs. The fewer bits of a row
differ from a query's, the likelier it is near: a neighbour is mostly among the `depth` rows of the
least differing bits. The depth is measured with queries that are rows of the scan, and with others
that lie between two of them; see `probing`.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search.guides.guide import MOST_GROWTH, Guide, Near
from cgcython.search.guides.probing import COUNTS, RECALL, Trials, within
from cgcython.search.guides.signs import EACH, TURNS, Signs, require_signs, taken
from cgcython.search.scan import DIM, Embedding, Forms, Scan, has_direction
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, Float32Array, Int64Array, Progress, UInt64Array

SCAN = 64  # rows more than are found, for which the kernel takes room
FEW = 8  # where more than one row in so many would be scored, all are
PART = 1 << 18  # rows that one thread scans sooner than another one starts


class FirstPass(Guide):
    """The signs of all rows, and how many of the nearest by them are scored."""

    name, least_rows = "first pass", 10_000
    kept: ClassVar[Forms] = {
        "blocks": ArrayForm("U64", ("blocks", "words", EACH)),
        "centre": ArrayForm("F32", (DIM,)),
        "flips": ArrayForm("U8", (TURNS, "turned values")),
        "depths": ArrayForm("I64", (len(COUNTS),)),
        "made_of": ArrayForm("I64", (1,)),
    }

    def __init__(
        self,
        rows: int,
        blocks: UInt64Array,
        centre: Float32Array,
        flips: Array,
        depths: Int64Array,
        made_of: Int64Array,
    ) -> None:
        """`depths` are how many rows hold the nearest COUNTS among the `made_of` first ones."""
        self._rows, self.blocks, self.depths, self.made_of = rows, blocks, depths, made_of
        self.centre, self.flips = centre, flips
        self._signs = Signs(centre, flips)

    @classmethod
    def suits(cls, scan: Scan) -> bool:
        """Return whether the rows are vectors whose codes take at least four times these bits."""
        space = scan.graph_space()
        if space is None or space.bits or not len(scan):
            return False
        code_bytes = sum(one.nbytes for one in scan.arrays().values()) / len(scan)
        return code_bytes * 8 >= 4 * space.dim

    @classmethod
    def of(cls, scan: Scan, num_threads: int = 1, progress: Progress | None = None) -> Self:
        signs, rows = Signs.of(scan), np.arange(len(scan))
        blocks = signs.blocks(scan, rows, num_threads, progress)
        return cls(
            len(scan),
            blocks,
            signs.centre,
            signs.flips,
            depths=_measured(scan, signs, blocks, num_threads),
            made_of=np.array([len(scan)]),
        )

    def extended(self, scan: Scan) -> Self | None:
        if len(scan) > MOST_GROWTH * int(self.made_of[0]):
            return None
        full = len(self) // EACH  # blocks
        added = self._signs.blocks(scan, np.arange(full * EACH, len(scan)))
        blocks = np.concatenate([self.blocks[:full], added])
        return type(self)(len(scan), blocks, self.centre, self.flips, self.depths, self.made_of)

    def subset(self, rows: Int64Array) -> Self | None:
        made_of = int(np.searchsorted(rows, self.made_of[0]))
        if made_of * MOST_GROWTH < self.made_of[0]:
            return None
        words = taken(self.blocks, rows)
        centre, flips, depths = self.centre, self.flips, self.depths
        return type(self)(len(rows), words, centre, flips, depths, np.array([made_of]))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], scan: Scan) -> Self:
        rows = len(scan)
        require_signs(arrays["blocks"], arrays["centre"], arrays["flips"], rows)
        if not 0 < arrays["made_of"][0] <= rows:
            raise Malformed(f"it was made of {arrays['made_of'][0]} of {rows} rows")
        return cls(rows, **arrays)

    def __len__(self) -> int:
        return self._rows

    def near(self, scan: Scan, query: Embedding, count: int, num_threads: int = 1) -> Near:
        depth, vector = self.depth(count), scan.vector(query)
        if depth * FEW > len(self) or not has_direction(vector):
            return Near(np.arange(len(self)), 0)
        words = self._signs.query(vector)
        threads = min(num_threads, 1 + len(self) // PART)

        def nearest(first: int, last: int) -> UInt64Array:
            rows = min(last * EACH, len(self)) - first * EACH
            return _nearest(words, self.blocks[first:last], rows, depth) + np.uint64(first * EACH)

        blocks = len(self.blocks)
        found = np.concatenate(split_rows(nearest, blocks, threads, first=blocks))
        if len(found) > depth:
            found = np.partition(found, depth - 1)[:depth]
        return Near((found & _ROW).astype(np.int64), 0)

    def depth(self, count: int) -> int:
        """Return how many rows by the least differing bits hold nearly all of the nearest."""
        (few, many), (less, more) = self.depths.tolist(), COUNTS
        between = few + (many - few) * (count - less) / (more - less)
        depth: float = max(few, between if count < more else many * count / more)
        return min(len(self), max(count, round(depth * len(self) / int(self.made_of[0]))))


_ROW = np.uint64((1 << 44) - 1)  # the bits of a row's number, above which stands its distance


def _nearest(query: UInt64Array, blocks: UInt64Array, rows: int, depth: int) -> UInt64Array:
    """Return the rows of the least differing bits, with how many those are in higher bits."""
    depth = min(depth, rows)
    room = 2 * depth + 4 * SCAN
    ids, distances = np.empty(room, np.int64), np.empty(room, np.uint32)
    kernels.sign_blocks.nearest(query, blocks, rows, depth, ids, distances)
    found: UInt64Array = distances[:depth].astype(np.uint64) << np.uint64(44)
    found |= ids[:depth].view(np.uint64)
    return found


def _measured(scan: Scan, signs: Signs, blocks: UInt64Array, num_threads: int) -> Int64Array:
    """Return the depths that hold nearly all of the nearest COUNTS of either kind of trials."""
    trials = Trials.of(scan, np.random.default_rng(0), num_threads)
    ranks = np.empty(trials.best.shape, np.int64)
    differing = np.empty(len(scan), np.uint32)
    for query, best, found in zip(trials.queries, trials.best, ranks):
        kernels.sign_blocks.distances(signs.query(query), blocks, differing)
        within_bits = np.cumsum(np.bincount(differing))  # rows of at most so many differing bits
        found[:] = within_bits[differing[best]]
    deepest = [within(ranks[:, :count].astype(np.float64), RECALL) for count in COUNTS]
    depths: Int64Array = np.ceil(np.array(deepest)).astype(np.int64)
    return depths
