"""Arrays in objects: a shape and a type, and rows that are read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cgcython.corpus.remote.objects import Range, RemoteObject
from cgcython.corpus.remote.ranges import Run, batches_of, parts_of, runs_of
from cgcython.errors import InvalidInput
from cgcython.types import Array, Int64Array


class RemoteArray:
    """An array in C order that begins at a byte of an object.

    It has `shape`, `dtype`, `ndim` and a length, and gives rows by number, by slice, or by an array
    of numbers, each read anew. Of what was read, nothing is kept.
    """

    def __init__(
        self, source: RemoteObject, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> None:
        self.source, self.dtype, self.shape = source, dtype, shape
        self._start, self._row_bytes = start, math.prod(shape[1:]) * dtype.itemsize

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"RemoteArray({self.source.url}, {self.dtype}, {list(self.shape)})"

    def __getitem__(self, rows: Any) -> Array:
        if isinstance(rows, slice):
            first, last, step = rows.indices(len(self))
            if step == 1:
                return self._slice(first, max(first, last))
            return self._some(np.arange(first, last, step))
        if isinstance(rows, (int, np.integer)):
            row = range(len(self))[int(rows)]
            only: Array = self._slice(row, row + 1)[0]
            return only
        numbers = np.asarray(rows)
        if numbers.dtype == bool:
            numbers = np.flatnonzero(numbers)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            expected = "a number, a slice or an array of row numbers"
            raise InvalidInput(what="rows", expected=expected, actual=f"{rows!r:.60}")
        return self._some(numbers.astype(np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        values = self._slice(0, len(self)) if self.ndim else self._scalar()
        return values if dtype is None else values.astype(dtype, copy=False)

    def _scalar(self) -> Array:
        with self.source.unchanged():
            data = self.source.read(self._start, self._start + self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).reshape(())

    def _slice(self, first: int, last: int) -> Array:
        """Return consecutive rows."""
        runs = parts_of(Run(first, last), self._row_bytes)
        with self.source.unchanged():
            if len(runs) == 1:
                return self._rows_in(self.source.read(*self._bytes_of(runs[0])), runs[0])
            found = np.empty((last - first, *self.shape[1:]), self.dtype)
            for run, rows in self._read(runs):
                found[run.first - first : run.last - first] = rows
        return found

    def _some(self, rows: Int64Array) -> Array:
        """Return rows of any numbers in any order."""
        rows = np.where(rows < 0, rows + len(self), rows)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        with self.source.unchanged():
            for run, block in self._read(runs_of(ascending, self._row_bytes)):
                low, high = np.searchsorted(ascending, run).tolist()
                found[order[low:high]] = block[ascending[low:high] - run.first]
        return found

    def _read(self, runs: list[Run]) -> Iterator[tuple[Run, Array]]:
        """Yield runs with their rows, several read at the same time."""
        for batch in batches_of(runs, self._row_bytes):
            found = self.source.read_ranges([self._bytes_of(run) for run in batch])
            for run, data in zip(batch, found):
                yield run, self._rows_in(data, run)

    def _bytes_of(self, run: Run) -> Range:
        first, last = run
        return self._start + first * self._row_bytes, self._start + last * self._row_bytes

    def _rows_in(self, data: bytes, run: Run) -> Array:
        return np.frombuffer(data, self.dtype).reshape(run.last - run.first, *self.shape[1:])


class RemoteArrays(dict[str, Any]):
    """The arrays of an object by name."""

    def __init__(self, source: RemoteObject, arrays: Mapping[str, Any]) -> None:
        super().__init__(arrays)
        self.source = source
