"""An array that grows by rows: in memory while it is small, then in a temporary file, mapped."""

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import IO

import numpy as np

from cgcython.inputs.columns import Column, DenseColumn, SparseColumn, TokenColumn
from cgcython.types import Array, Int64Array

MOST_BYTES = 1 << 27  # of one array in memory


class GrowingArray:
    """Rows of one type and shape, one after the other."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._nbytes, self._rows = 0, 0
        self._file: IO[bytes] | None = None

    def append(self, rows: Array) -> None:
        """Add some rows."""
        self._parts.append(rows)
        self._rows += len(rows)
        self._nbytes += rows.nbytes
        if self._nbytes > MOST_BYTES:
            self._spill()

    def _spill(self) -> None:
        """Write what is in memory to the file, which the system removes when nobody has it open."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="cgcython-")  # noqa: SIM115  # mapped below
        for one in self._parts:
            self._file.write(np.ascontiguousarray(one).data)
        self._parts, self._nbytes = [one[:0] for one in self._parts[-1:]], 0

    def whole(self) -> Array:
        """Return all rows in one array."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._spill()
        self._file.flush()
        like = self._parts[0]
        return np.memmap(self._file, like.dtype, "r", shape=(self._rows, *like.shape[1:]))

    def close(self) -> None:
        """Give the file back; what maps it keeps it."""
        if self._file is not None:
            self._file.close()


class _Grown:
    """One column that several of a kind become."""

    def __init__(self, first: Column, stack: ExitStack) -> None:
        self._kind, self._dimension, self._end = type(first), getattr(first, "dimension", 0), 0
        self._values = [stack.enter_context(closing(GrowingArray())) for _ in _values_of(first)]
        self._ends = stack.enter_context(closing(GrowingArray()))
        self._ends.append(np.zeros(1, np.int64))

    def add(self, column: Column) -> None:
        for grown, values in zip(self._values, _values_of(column)):
            grown.append(values)
        bounds = _bounds_of(column)
        self._ends.append(bounds[1:] + self._end)
        self._end += int(bounds[-1])

    def whole(self) -> Column:
        values = [one.whole() for one in self._values]
        if self._kind is SparseColumn:
            indices, weights = values
            return SparseColumn(self._ends.whole(), indices, weights, self._dimension)
        if self._kind is DenseColumn:
            return DenseColumn(values[0])
        return TokenColumn(values[0], self._ends.whole())


def join_columns(columns: Iterable[Column]) -> Column | None:
    """Return one column of several of a kind, read one after the other; None of none."""
    grown: _Grown | None = None
    with ExitStack() as stack:
        for one in columns:
            grown = grown or _Grown(one, stack)
            grown.add(one)
        return None if grown is None else grown.whole()


def _values_of(column: Column) -> list[Array]:
    if isinstance(column, SparseColumn):
        return [np.asarray(column.indices), np.asarray(column.weights)]
    return [np.asarray(column.values)]


def _bounds_of(column: Column) -> Int64Array:
    """Return where the embeddings of a column begin and end; nobody needs those of dense ones."""
    if isinstance(column, DenseColumn):
        return np.zeros(1, np.int64)
    return np.asarray(column.indptr if isinstance(column, SparseColumn) else column.offsets)
