"""The signs of rows in the order of their cells: the rows of some cells whose bits differ least.

They serve queries that are far from all rows and so look into many cells; see `first_pass`.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np

from cgcython import kernels
from cgcython.search.guides.signs import EACH, TURNS, Signs, require_signs, taken
from cgcython.search.scan import DIM, Forms, Scan
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, Float32Array, Int64Array, UInt32Array, UInt64Array

FORMS: Forms = {
    "blocks": ArrayForm("U64", ("blocks", "words", EACH), optional=True),
    "centre": ArrayForm("F32", (DIM,), optional=True),
    "flips": ArrayForm("U8", (TURNS, "turned values"), optional=True),
}
ALL = 4  # where more than one block in so many is wanted, to copy them takes longer than all do


class CellSigns:
    """Blocks of signs; a place is the number of a row in the order of cells."""

    def __init__(self, places: int, blocks: UInt64Array, signs: Signs) -> None:
        self._places, self.blocks, self._signs = places, blocks, signs

    @classmethod
    def of(cls, scan: Scan, rows: Int64Array, num_threads: int = 1) -> Self:
        """Return the signs of rows that stand in the order of their cells."""
        signs = Signs.of(scan)
        return cls(len(rows), signs.blocks(scan, rows, num_threads), signs)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], places: int) -> Self | None:
        """Return the signs of so many places, None of no arrays; raises Malformed."""
        if not arrays:
            return None
        if arrays.keys() != FORMS.keys():
            raise Malformed(f"of its signs it has {', '.join(arrays)} alone")
        require_signs(**arrays, rows=places)
        return cls(places, arrays["blocks"], Signs(arrays["centre"], arrays["flips"]))

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of FORMS."""
        signs = self._signs
        return {"blocks": self.blocks, "centre": signs.centre, "flips": signs.flips}

    def ordered(self, places: Int64Array) -> Self:
        """Return the signs of some places, in their order."""
        return type(self)(len(places), taken(self.blocks, places), self._signs)

    def extended(self, scan: Scan, rows: Int64Array, first: int) -> Self:
        """Return the signs with those of the rows of a scan from `first` on behind the last place.

        `rows` are the rows of the places until now.
        """
        full = len(rows) // EACH
        new = np.concatenate([rows[full * EACH :], np.arange(first, len(scan))])
        blocks = np.concatenate([self.blocks[:full], self._signs.blocks(scan, new)])
        return type(self)(full * EACH + len(new), blocks, self._signs)

    def nearest(
        self, query: Float32Array, starts: Int64Array, stops: Int64Array, count: int, bits: int
    ) -> Int64Array:
        """Return the places whose signs differ least from the query's, in any order.

        They are `count` of those from each start to its stop, which ascend, and of a few beside
        them, and all that differ in up to so many bits more.
        """
        numbers, distances = self._differing(query, starts, stops)
        last = _least(distances, count)
        at = (distances <= last + bits).nonzero()[0]
        return numbers[at // EACH] * EACH + at % EACH

    def more_bits(
        self, query: Float32Array, starts: Int64Array, stops: Int64Array, places: Int64Array
    ) -> Int64Array:
        """Return how many bits more differ at some places than at as many nearest ones.

        0 where a place is not between a start and its stop.
        """
        numbers, distances = self._differing(query, starts, stops)
        last = _least(distances, len(places))
        block = np.minimum(numbers.searchsorted(places // EACH), len(numbers) - 1)
        at = np.minimum(block * EACH + places % EACH, len(distances) - 1)
        there = numbers[block] == places // EACH
        return np.where(there, np.maximum(distances[at].astype(np.int64) - last, 0), 0)

    def _differing(
        self, query: Float32Array, starts: Int64Array, stops: Int64Array
    ) -> tuple[Int64Array, UInt32Array]:
        """Return the numbers of blocks, and in how many bits each of their rows differs."""
        numbers, blocks, places = self._taken(starts, stops)
        distances = np.empty(places, np.uint32)
        kernels.sign_blocks.distances(self._signs.query(query), blocks, distances)
        return numbers, distances

    def _taken(self, starts: Int64Array, stops: Int64Array) -> tuple[Int64Array, UInt64Array, int]:
        """Return the numbers of the blocks of some places, these blocks, and how many places."""
        firsts, ends = starts // EACH, -(-stops // EACH)
        counts = ends - firsts
        if counts.sum() * ALL > len(self.blocks):
            return np.arange(len(self.blocks)), self.blocks, self._places
        shifts = firsts - (np.cumsum(counts) - counts)
        numbers = np.arange(counts.sum()) + np.repeat(shifts, counts)
        numbers = numbers[np.diff(numbers, prepend=-1) > 0]  # two cells may share a block
        places = len(numbers) * EACH
        if numbers[-1] == len(self.blocks) - 1:
            places -= len(self.blocks) * EACH - self._places
        return numbers, self.blocks.take(numbers, axis=0, mode="clip"), places


def _least(distances: UInt32Array, count: int) -> int:
    """Return the least number that `count` distances or more do not exceed.

    They are at most the bits of a row: counting them takes a quarter of the time of a partition.
    """
    return int(np.cumsum(np.bincount(distances)).searchsorted(count))
