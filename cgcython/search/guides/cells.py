"""Cells of rows whose directions are alike: a query looks into the nearest cells alone.

How far it looks was measured on the rows themselves when the cells were made; see `probing`.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from cgcython.search.guides.centroids import Centroids, nearest
from cgcython.search.guides.directions import direction, directions
from cgcython.search.guides.guide import Guide, Near
from cgcython.search.guides.probing import MEASURES, Measures, measured, unevenness
from cgcython.search.scan import DIM, ROWS, Embedding, Forms, Scan
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, Float32Array, Int64Array, Progress, UInt32Array

CELLS, ENDS = "cells", "cells and one"
SEED, SAMPLE = 384, 1 << 16
CHUNK = 1 << 15  # rows that are decoded at a time
MOST_GROWTH, MOST_UNEVENNESS = 1.5, 2.0


class CellGuide(Guide):
    """The rows of cells, one cell after the other, and the centroid of each cell.

    `offsets` i64 [cells + 1] say where the rows of each cell begin in `rows`, u32.
    """

    name, least_rows = "cells", 100_000
    kept: ClassVar[Forms] = {
        "centroids": ArrayForm("U8", (CELLS, DIM)),
        "offsets": ArrayForm("I64", (ENDS,)),
        "rows": ArrayForm("U32", (ROWS,)),
        "measures": ArrayForm("F64", (len(MEASURES),)),
    }

    def __init__(
        self, centroids: Centroids, offsets: Int64Array, rows: UInt32Array, measures: Measures
    ) -> None:
        self._centroids, self.offsets, self.rows = centroids, offsets, rows
        self.measured = measures

    @classmethod
    def suits(cls, scan: Scan) -> bool:
        return scan.graph_space() is not None

    @classmethod
    def of(cls, scan: Scan, num_threads: int = 1, progress: Progress | None = None) -> Self:
        rng = np.random.default_rng(SEED)
        sample = directions(scan, np.sort(rng.permutation(len(scan))[:SAMPLE]))
        centroids = Centroids.trained(sample, cells_of(len(scan)), rng, num_threads)
        cells = _cells(scan, 0, centroids, num_threads, progress)
        measures = measured(scan, centroids, cells, rng, num_threads)
        return cls(centroids, *_grouped(cells, len(centroids.codes)), measures)

    def extended(self, scan: Scan) -> Self | None:
        if len(scan) > MOST_GROWTH * self.measured.rows:
            return None
        new = _cells(scan, len(self), self._centroids)
        cells = np.concatenate([self._cells(), new])
        return self._of_cells(cells)

    def subset(self, rows: Int64Array) -> Self | None:
        if len(rows) * MOST_GROWTH < self.measured.rows:
            return None
        return self._of_cells(self._cells()[rows])

    def _of_cells(self, cells: Int64Array) -> Self | None:
        """Return the guide of rows in such cells, None where their sizes differ too much."""
        offsets, rows = _grouped(cells, len(self._centroids.codes))
        if unevenness(np.diff(offsets)) > MOST_UNEVENNESS * self.measured.unevenness:
            return None
        return type(self)(self._centroids, offsets, rows, self.measured)

    def near(self, scan: Scan, query: Embedding, count: int, num_threads: int = 1) -> Near:
        if count >= len(self):
            return Near(np.arange(len(self)), 0)
        cosines = self._centroids.cosines(direction(scan, query))
        cells = self._probed(cosines, count)
        spans = zip(self.offsets[cells].tolist(), self.offsets[cells + 1].tolist())
        rows = np.concatenate([self.rows[start:stop] for start, stop in spans]).astype(np.int64)
        return Near(rows, 0)

    def _probed(self, cosines: Float32Array, count: int) -> Int64Array:
        """Return the cells within the gap that was measured, more where they hold too few rows."""
        least = cosines.max() - np.float32(self.measured.gap_of(count))
        cells: Int64Array = (cosines >= least).nonzero()[0]
        if (self.offsets[cells + 1] - self.offsets[cells]).sum() < count:
            order = np.argsort(-cosines, kind="stable")
            held = np.cumsum(np.diff(self.offsets)[order])
            cells = order[: held.searchsorted(count) + 1]
        return cells

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
        return cls(Centroids(centroids), offsets, rows, Measures.of(arrays["measures"]))

    def arrays(self) -> dict[str, Array]:
        return {
            "centroids": self._centroids.codes,
            "offsets": self.offsets,
            "rows": self.rows,
            "measures": np.array(self.measured),
        }

    def __len__(self) -> int:
        return len(self.rows)

    def _cells(self) -> Int64Array:
        """Return the cell of each row."""
        cells = np.empty(len(self), np.int64)
        cells[self.rows] = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return cells


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
