"""Cells of rows whose directions are alike: a query looks into the nearest cells alone.

How far it looks was measured on the rows themselves when the cells were made; see `probing`. Where
it looks into many cells, the signs of their rows say whose codes are scored.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from cgcython.search.guides.cell_signs import FORMS, CellSigns
from cgcython.search.guides.centroids import Centroids, nearest
from cgcython.search.guides.directions import direction, directions
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.guides.guide import MOST_GROWTH, Guide, Near
from cgcython.search.guides.probing import (
    COUNTS,
    MEASURES,
    Measures,
    Trials,
    measured,
    unevenness,
    within,
)
from cgcython.search.scan import DIM, ROWS, Embedding, Forms, Scan
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, Float32Array, Int64Array, Progress, UInt32Array

SEED, SAMPLE = 384, 1 << 16
CHUNK = 1 << 15  # rows that are decoded at a time
MOST_UNEVENNESS = 2.0  # so many times less even than they were, cells are made anew
KEPT = 0.995  # of the neighbours in the cells differ in so few bits that they are scored
WORTH = 1_500  # rows whose codes are not scored make up for turning the query into signs


class CellGuide(Guide):
    """The rows of cells, one cell after the other, and the centroid of each cell.

    `offsets` i64 [cells + 1] say where the rows of each cell begin in `rows`, u32. The signs of
    rows are in the same order, where codes are so long that a first pass suits them.
    """

    name, least_rows = "cells", 100_000
    kept: ClassVar[Forms] = {
        "centroids": ArrayForm("U8", ("cells", DIM)),
        "offsets": ArrayForm("I64", ("cells and one",)),
        "rows": ArrayForm("U32", (ROWS,)),
        "measures": ArrayForm("F64", (len(MEASURES),)),
        **FORMS,
    }

    def __init__(
        self,
        centroids: Centroids,
        offsets: Int64Array,
        rows: UInt32Array,
        measures: Measures,
        signs: CellSigns | None = None,
    ) -> None:
        self._centroids, self.offsets, self.rows = centroids, offsets, rows
        self.measured, self._signs = measures, signs

    @classmethod
    def suits(cls, scan: Scan) -> bool:
        """Return whether the rows are bits, or vectors whose codes a first pass suits.

        Codes of product quantization are scanned as fast, and lie too close to tell cells apart.
        """
        space = scan.graph_space()
        return space is not None and (space.bits or FirstPass.suits(scan))

    @classmethod
    def of(cls, scan: Scan, num_threads: int = 1, progress: Progress | None = None) -> Self:
        rng = np.random.default_rng(SEED)
        sample = directions(scan, np.sort(rng.permutation(len(scan))[:SAMPLE]))
        centroids = Centroids.trained(sample, cells_of(len(scan)), rng, num_threads)
        del sample  # the largest of what is in memory
        cells = _cells(scan, 0, centroids, num_threads, progress)
        trials = Trials.of(scan, rng, num_threads)
        measures = measured(trials, centroids, cells)
        found = cls(centroids, *_grouped(cells, len(centroids.codes)), measures)
        if FirstPass.suits(scan):
            found._signs = CellSigns.of(scan, found.rows.astype(np.int64), num_threads)
            found.measured = found._with_bits(found._signs, trials)
        return found

    def extended(self, scan: Scan) -> Self | None:
        first = len(self)
        if len(scan) > MOST_GROWTH * self.measured.rows:
            return None
        cells = np.concatenate([self._cells(), _cells(scan, first, self._centroids)])
        places = np.concatenate([self._places(), np.arange(first, len(scan))])
        signs = self._signs and self._signs.extended(scan, self.rows.astype(np.int64), first)
        return self._of_cells(cells, places, signs)

    def subset(self, rows: Int64Array) -> Self | None:
        if len(rows) * MOST_GROWTH < self.measured.rows:
            return None
        return self._of_cells(self._cells()[rows], self._places()[rows], self._signs)

    def _of_cells(
        self, cells: Int64Array, places: Int64Array, signs: CellSigns | None
    ) -> Self | None:
        """Return the guide of rows in such cells, whose signs are at some places until now.

        Returns None where the cells are much less even than they were.
        """
        offsets, rows = _grouped(cells, len(self._centroids.codes))
        if unevenness(np.diff(offsets)) > MOST_UNEVENNESS * self.measured.unevenness:
            return None
        ordered = signs and signs.ordered(places[rows])
        return type(self)(self._centroids, offsets, rows, self.measured, ordered)

    def near(self, scan: Scan, query: Embedding, count: int, num_threads: int = 1) -> Near:
        if count >= len(self):
            return Near(np.arange(len(self)), 0)
        vector = direction(scan, query)
        cells = self._probed(self._centroids.cosines(vector), count)
        starts, stops = self.offsets[cells], self.offsets[cells + 1]
        if self._signs is not None and (stops - starts).sum() - count > WORTH:
            bits = self.measured.bits_of(count)
            rows = self.rows[self._signs.nearest(vector, starts, stops, count, bits)]
        else:
            spans = zip(starts.tolist(), stops.tolist())
            rows = np.concatenate([self.rows[start:stop] for start, stop in spans])
        return Near(rows.astype(np.int64), 0)

    def _probed(self, cosines: Float32Array, count: int) -> Int64Array:
        """Return the cells within the gap that was measured, more where they hold too few rows."""
        least = cosines.max() - np.float32(self.measured.gap_of(count))
        cells: Int64Array = (cosines >= least).nonzero()[0]
        if (self.offsets[cells + 1] - self.offsets[cells]).sum() < count:
            order = np.argsort(-cosines, kind="stable")
            held = np.cumsum(np.diff(self.offsets)[order])
            cells = np.sort(order[: held.searchsorted(count) + 1])
        return cells

    def _with_bits(self, signs: CellSigns, trials: Trials) -> Measures:
        """Return what was measured, with the bits in which the best rows differ."""
        places = self._places()
        bits = []
        for count in COUNTS:
            needs = []
            for query, best in zip(*trials):
                cells = self._probed(self._centroids.cosines(query), count)
                spans = self.offsets[cells], self.offsets[cells + 1]
                needs.append(signs.more_bits(query, *spans, places[best[:count]]))
            bits.append(within(np.stack(needs), KEPT))
        return self.measured._replace(bits=bits[0], wide_bits=max(bits))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], scan: Scan) -> Self:
        offsets, rows, centroids = arrays["offsets"], arrays["rows"], arrays["centroids"]
        if len(rows) != len(scan) or len(offsets) != len(centroids) + 1 or not len(centroids):
            raise Malformed(f"it has {len(centroids)} cells, {len(offsets)} offsets")
        if offsets[0] != 0 or offsets[-1] != len(rows) or np.any(offsets[1:] < offsets[:-1]):
            raise Malformed("its offsets do not divide its rows")
        if np.any(centroids & 0x7F == 0x7F):
            raise Malformed("a code of a centroid is NaN")
        seen = np.zeros(len(rows), np.bool_)
        seen[rows[rows < len(rows)]] = True
        if not seen.all():
            raise Malformed("a row of its scan is in no cell")
        own = {name: arrays[name] for name in FORMS if name in arrays}
        signs = CellSigns.from_arrays(own, len(rows))
        return cls(Centroids(centroids), offsets, rows, Measures.of(arrays["measures"]), signs)

    def arrays(self) -> dict[str, Array]:
        own: dict[str, Array] = {
            "centroids": self._centroids.codes,
            "offsets": self.offsets,
            "rows": self.rows,
            "measures": np.array(self.measured),
        }
        return own if self._signs is None else own | self._signs.arrays()

    def __len__(self) -> int:
        return len(self.rows)

    def _cells(self) -> Int64Array:
        """Return the cell of each row."""
        cells = np.empty(len(self), np.int64)
        cells[self.rows] = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return cells

    def _places(self) -> Int64Array:
        """Return where each row is among those of all cells."""
        places = np.empty(len(self), np.int64)
        places[self.rows] = np.arange(len(self))
        return places


def cells_of(rows: int) -> int:
    """Return how many cells so many rows get: about as many as a query then reads of them.

    >>> cells_of(100_000), cells_of(1_000_000)
    (944, 3000)
    """
    return max(8, int(3 * rows**0.5) // 8 * 8)


def _cells(
    scan: Scan,
    first: int,
    centroids: Centroids,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> Int64Array:
    """Return the cell of each row from `first` on; `progress` is told of rows."""
    decoded, cells = centroids.decoded(), np.empty(len(scan) - first, np.int64)
    for start in range(first, len(scan), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(scan)))
        cells[rows - first] = nearest(directions(scan, rows), decoded, num_threads)
        if progress is not None:
            progress(len(rows))
    return cells


def _grouped(cells: Int64Array, count: int) -> tuple[Int64Array, UInt32Array]:
    """Return the offsets and rows of `count` cells."""
    sizes = np.bincount(cells, minlength=count)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return offsets, np.argsort(cells.astype(np.uint16), kind="stable").astype(np.uint32)
