"""Draws the rows that training reads: no more than it needs, each from where it lies.

A memory map may be far larger than memory: of it only the drawn rows are read, in the order of
the file and some at a time, and only they have to be finite.
"""

import math
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from cgcython.arrays import as_float32, as_matrix
from cgcython.errors import DimensionMismatch, NonFiniteValue
from cgcython.narrow_floats import Rows, WidenedRows
from cgcython.types import ArrayLike, Float32Array, Int64Array

BLOCK_BYTES = 1 << 24
READAHEAD_BYTES = 1 << 17  # what Linux reads around a page that a map lacks


class Samples(NamedTuple):
    """Rows to train on and rows held out, as float32; `given` counts what they were drawn from."""

    rows: Float32Array  # [n, dim]
    held_out: Float32Array  # [m, dim]
    given: int


def as_source(samples: ArrayLike | Rows) -> Rows:
    """Return what rows can be drawn from: an array of any number type as it is, or float32.

    Raises DimensionMismatch unless it is a matrix.
    """
    if not isinstance(samples, (np.ndarray, WidenedRows)):
        return as_matrix(samples, finite=False)
    if samples.ndim != 2:
        raise DimensionMismatch(expected=2, actual=samples.ndim, what="dimensions of the array")
    return samples


def chosen(count: int, most: int, seed: int) -> Int64Array:
    """Return the numbers of `most` rows of `count`, or of all, in random order.

    >>> sorted(chosen(3, 8, seed=0).tolist())
    [0, 1, 2]
    """
    rng = np.random.default_rng(seed)
    return rng.permutation(count) if count <= most else rng.choice(count, most, replace=False)


def draw(source: Rows, most: int, held_out: Callable[[int], int], seed: int) -> Samples:
    """Return Samples of up to `most` rows, of which `held_out(their number)` are held out.

    Raises NonFiniteValue, its index counted in the source.
    """
    order = chosen(len(source), most, seed)
    held = held_out(len(order))
    is_held = np.zeros(len(order), bool)
    is_held[:held] = True
    by_place = np.argsort(order)
    is_held = is_held[by_place]
    places = np.where(is_held, len(order) - held, 0)
    places += np.where(is_held, np.cumsum(is_held), np.cumsum(~is_held)) - 1
    rows = _read(source, order[by_place], places)
    return Samples(rows[: len(order) - held], rows[len(order) - held :], len(source))


def some_rows(source: Rows, most: int, seed: int) -> Float32Array:
    """Return up to `most` rows in the order of the source, as float32 and finite."""
    rows = np.sort(chosen(len(source), most, seed))
    return _read(source, rows, np.arange(len(rows)))


def _read(source: Rows, rows: Int64Array, places: Int64Array) -> Float32Array:
    """Return some rows of a source, ascending, each put in its place."""
    found = np.empty((len(rows), source.shape[1]), np.float32)
    step = max(1, BLOCK_BYTES // max(1, found.itemsize * found.shape[1]))
    with _far_apart(source, len(rows)):
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            block = as_float32(source[some])
            _require_finite(block, some)
            found[places[start : start + step]] = block
    return found


def _require_finite(block: Float32Array, rows: Int64Array) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        row, column = divmod(int(np.argmin(finite)), block.shape[1])
        index = int(rows[row]) * block.shape[1] + column
        error = NonFiniteValue(index=index, value=float(block[row, column]))
        error.add_note(f"(row {rows[row]})")
        raise error


@contextmanager
def _far_apart(source: Rows, count: int) -> Iterator[None]:
    """Tell the system, while rows of a map are read, whether to read their surroundings too."""
    mapped = getattr(getattr(source, "bits", source), "_mmap", None)
    size = math.prod(source.shape) * source.dtype.itemsize
    if not isinstance(mapped, mmap.mmap) or size < count * READAHEAD_BYTES:
        yield
        return
    mapped.madvise(mmap.MADV_RANDOM)
    try:
        yield
    finally:
        mapped.madvise(mmap.MADV_NORMAL)
