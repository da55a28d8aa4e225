"""Scans of one key that become one as they come, so that their rows are in memory once.

The arrays of each are added to arrays that grow, and it is dropped. These lie in memory of their
own, of which the system gives what was written, and which it moves without copying.
"""

import math
import mmap
from contextlib import suppress

import numpy as np

from cgcython.search.scan import Scan
from cgcython.search.scans import join
from cgcython.types import Array

LEAST = 1 << 22  # bytes at first
CAN_MOVE = hasattr(mmap.mmap, "resize") and hasattr(mmap, "MAP_PRIVATE")


class Gathering:
    """What becomes one scan: the rows of several that share their key."""

    def __init__(self, first: Scan) -> None:
        self._first, self._scans = first, [first]
        self._grown: dict[str, Grown] | None = None

    def add(self, scan: Scan) -> None:
        """Add the rows of a scan behind those that are there."""
        if self._grown is None:
            arrays = self._first.appended({})
            if arrays is None:
                self._scans.append(scan)
                return
            self._scans.clear()
            self._grown = {name: Grown(one) for name, one in arrays.items()}
        lengths = {name: len(one) for name, one in self._grown.items()}
        for name, one in (scan.appended(lengths) or {}).items():
            self._grown[name].add(one)

    def scan(self) -> Scan:
        """Return the scan of all."""
        if self._grown is None:
            return join(self._scans)
        return self._first.of_appended({name: one.array() for name, one in self._grown.items()})


class Grown:
    """An array to which others are added, along its first axis."""

    def __init__(self, first: Array) -> None:
        self._dtype, self._shape, self._size = first.dtype, first.shape[1:], 0
        self._memory = _memory(max(2 * first.nbytes, LEAST))
        self.add(first)

    def __len__(self) -> int:
        return self._size // (self._dtype.itemsize * math.prod(self._shape))

    def add(self, array: Array) -> None:
        """Add an array of the same dtype and row shape."""
        wanted = self._size + array.nbytes
        if wanted > len(self._memory):
            self._memory = _enlarged(self._memory, self._size, 2 * wanted)
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        np.frombuffer(self._memory, np.uint8, len(flat), self._size)[:] = flat
        self._size = wanted

    def array(self) -> Array:
        """Return all that was added; nothing can be added any more."""
        count = self._size // self._dtype.itemsize
        return np.frombuffer(self._memory, self._dtype, count).reshape(-1, *self._shape)


def _memory(size: int) -> mmap.mmap:
    """Return memory of zeros that is none until it is written."""
    if not CAN_MOVE:
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _enlarged(memory: mmap.mmap, used: int, size: int) -> mmap.mmap:
    """Return memory of a size with the used bytes of another, which is moved or copied."""
    if CAN_MOVE:
        with suppress(SystemError):  # no mremap here
            memory.resize(size)
            return memory
    larger = _memory(size)
    larger[:used] = memory[:used]
    memory.close()
    return larger
