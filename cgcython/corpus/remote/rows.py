"""The numbers of the memories that have an embedding, in an object: searched, and read by parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from cgcython.errors import InvalidInput
from cgcython.types import Array, Int64Array, LazyArray

BLOCK = 8192  # numbers that a search reads at a time
MOST_BLOCKS = 64  # that are kept


class LazyRows:
    """Memory numbers in strictly ascending order; what is read of them is checked."""

    def __init__(self, numbers: LazyArray) -> None:
        self._numbers = numbers
        self._blocks: dict[int, Int64Array] = {}  # the few that searches came by

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: Any) -> Any:
        found = self._checked(np.asarray(self._numbers[rows]))
        return found if found.ndim else int(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        whole = self._checked(np.asarray(self._numbers))
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def position(self, memory: int) -> int:
        """Return how many of the numbers are less than that of a memory."""
        low, high = 0, -(-len(self) // BLOCK)  # blocks that may hold the place
        while low < high:
            middle = (low + high) // 2
            if self._block(middle)[-1] < memory:
                low = middle + 1
            else:
                high = middle
        if low * BLOCK >= len(self):
            return len(self)
        return low * BLOCK + int(np.searchsorted(self._block(low), memory))

    def _block(self, number: int) -> Int64Array:
        if number not in self._blocks:
            if len(self._blocks) == MOST_BLOCKS:
                self._blocks.clear()
            first = number * BLOCK
            self._blocks[number] = self[first : min(first + BLOCK, len(self))]
        return self._blocks[number]

    def _checked(self, found: Array) -> Int64Array:
        ordered = found.ndim == 0 or bool(np.all(found[1:] > found[:-1]))
        if not ordered or (found.size and not 0 <= found.min() <= found.max() < 1 << 62):
            expected = f"{len(self)} memory numbers, strictly ascending"
            raise InvalidInput(what="rows", expected=expected, actual="others")
        return found.astype(np.int64)
