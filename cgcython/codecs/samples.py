"""Draws the rows that training reads: no more than it needs, each from where it lies.

A memory map, or another RowSource, may be far larger than memory: of it only the drawn rows are
read, in the order of the file and some at a time, and only they have to be finite. What comes from
other packages is checked: as many rows as were asked for, as wide as the source says, and those.
"""

import math
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeGuard, cast

import numpy as np

from cgcython.arrays import as_float32, as_matrix, shape_of
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue, QuantizationError
from cgcython.narrow_floats import WidenedRows
from cgcython.system import advise
from cgcython.types import ArrayLike, Float32Array, Int64Array, RowSource

BLOCK_BYTES = 1 << 24
READAHEAD_BYTES = 1 << 17  # what Linux reads around a page that a map lacks


class Samples(NamedTuple):
    """Rows to train on and rows held out, as float32; `given` counts what they were drawn from."""

    rows: Float32Array  # [n, dim]
    held_out: Float32Array  # [m, dim]
    given: int


def as_source(samples: ArrayLike | RowSource) -> RowSource:
    """Return what rows can be drawn from: a RowSource as it is, anything else as float32.

    Raises DimensionMismatch unless it is a matrix, InvalidInput where its shape cannot be one.
    """
    if not _is_source(samples):
        return as_matrix(cast(ArrayLike, samples), finite=False)
    if len(samples.shape) != 2:
        what = "dimensions of the array"
        raise DimensionMismatch(expected=2, actual=len(samples.shape), what=what)
    if not all(isinstance(count, (int, np.integer)) and count >= 0 for count in samples.shape):
        raise InvalidInput(what="shape of the samples", expected="[n, dim]", actual=samples.shape)
    return samples


def _is_source(samples: object) -> TypeGuard[RowSource]:
    """Tell sources from lists and from tensors, whose types are not NumPy's."""
    return (
        isinstance(getattr(samples, "dtype", None), np.dtype)
        and hasattr(samples, "__getitem__")
        and bool(shape_of(samples))
    )


def chosen(count: int, most: int, seed: int) -> Int64Array:
    """Return the numbers of `most` rows of `count`, or of all, in random order.

    >>> sorted(chosen(3, 8, seed=0).tolist())
    [0, 1, 2]
    """
    rng = np.random.default_rng(seed)
    return rng.permutation(count) if count <= most else rng.choice(count, most, replace=False)


def draw(source: RowSource, most: int, held_out: Callable[[int], int], seed: int) -> Samples:
    """Return Samples of up to `most` rows, of which `held_out(their number)` are held out.

    Raises NonFiniteValue, its index counted in the source.
    """
    order = chosen(source.shape[0], most, seed)
    held = held_out(len(order))
    is_held = np.zeros(len(order), bool)
    is_held[:held] = True
    by_place = np.argsort(order)
    is_held = is_held[by_place]
    places = np.where(is_held, len(order) - held, 0)
    places += np.where(is_held, np.cumsum(is_held), np.cumsum(~is_held)) - 1
    rows = _read(source, order[by_place], places)
    return Samples(rows[: len(order) - held], rows[len(order) - held :], source.shape[0])


def some_rows(source: RowSource, most: int, seed: int) -> Float32Array:
    """Return up to `most` rows in the order of the source, as float32 and finite."""
    rows = np.sort(chosen(source.shape[0], most, seed))
    return _read(source, rows, np.arange(len(rows)))


def _read(source: RowSource, rows: Int64Array, places: Int64Array) -> Float32Array:
    """Return some rows of a source, ascending, each put in its place."""
    found = np.empty((len(rows), source.shape[1]), np.float32)
    step = max(1, BLOCK_BYTES // max(1, found.itemsize * found.shape[1]))
    with _far_apart(source, len(rows)):
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            block = _block(source, some)
            _require_finite(block, some)
            found[places[start : start + step]] = block
    return found


def _block(source: RowSource, rows: Int64Array) -> Float32Array:
    """Return the rows of ascending numbers. Raises InvalidInput for what is something else."""
    if isinstance(source, (np.ndarray, WidenedRows)):
        return as_float32(source[rows])
    block = _taken(source, rows)
    probe = len(rows) // 2  # one row once more, by its place, since only a source knows its order
    first = int(rows[probe])
    if _taken(source, slice(first, first + 1)).tobytes() != block[probe].tobytes():
        raise InvalidInput(
            what="samples", expected=f"row {first} twice", actual="two different rows"
        )
    return block


def _taken(source: RowSource, rows: Int64Array | slice) -> Float32Array:
    count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    expected = f"{count} rows of {source.shape[1]} values"
    try:
        block = as_float32(source[rows])
    except QuantizationError:
        raise
    except (IndexError, TypeError, ValueError, OSError) as error:
        actual = f"{type(error).__name__}: {error}"
        raise InvalidInput(what="samples", expected=expected, actual=actual) from error
    if block.shape != (count, source.shape[1]):
        raise InvalidInput(what="samples", expected=expected, actual=f"an array {block.shape}")
    return block


def _require_finite(block: Float32Array, rows: Int64Array) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        row, column = divmod(int(np.argmin(finite)), block.shape[1])
        index = int(rows[row]) * block.shape[1] + column
        error = NonFiniteValue(index=index, value=float(block[row, column]))
        error.add_note(f"(row {rows[row]})")
        raise error


@contextmanager
def _far_apart(source: RowSource, count: int) -> Iterator[None]:
    """Tell the system, while rows of a map are read, whether to read their surroundings too."""
    mapped = getattr(getattr(source, "bits", source), "_mmap", None)
    size = math.prod(source.shape) * source.dtype.itemsize
    if not isinstance(mapped, mmap.mmap) or size < count * READAHEAD_BYTES:
        yield
        return
    advise(mapped, "MADV_RANDOM")
    try:
        yield
    finally:
        advise(mapped, "MADV_NORMAL")
