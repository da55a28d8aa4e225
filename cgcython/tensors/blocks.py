"""Checksums of blocks of a file's arrays, so that some rows are checked without reading all."""

from collections.abc import Mapping

import numpy as np

from cgcython.checksums import crc32
from cgcython.tensors.arrays import ArrayForm, require_arrays
from cgcython.tensors.damage import Malformed
from cgcython.types import Array, BoolArray, Int64Array, UInt8Array, UInt32Array

BLOCK = 1 << 16  # bytes: their checksum takes 15 us, and a ten-thousandth is added to a file
BLOCKS = "blocks"  # the array of all checksums: those of the arrays one after the other, by name
_FORM = {BLOCKS: ArrayForm("U32", ("blocks",))}


def block_checksums(arrays: Mapping[str, Array]) -> UInt32Array:
    """Return the CRC-32 of each block of the arrays, by name; the last block may be shorter.

    >>> block_checksums({"b": np.zeros(1, np.uint8), "a": np.zeros(BLOCK + 1, np.uint8)}).shape
    (3,)
    """
    views = [_bytes(arrays[name]) for name in sorted(arrays)]
    found = [crc32(one[at : at + BLOCK].data) for one in views for at in range(0, len(one), BLOCK)]
    return np.array(found, np.uint32)


class Blocks:
    """The arrays of a file and the checksums of their blocks, each compared once."""

    def __init__(self, arrays: Mapping[str, Array], checksums: Array) -> None:
        """`checksums` were read from the file. Raises Malformed unless there is one a block."""
        starts = np.cumsum([0, *(-(-arrays[name].nbytes // BLOCK) for name in sorted(arrays))])
        axes = {"blocks": int(starts[-1])}
        self._expected = require_arrays({BLOCKS: checksums}, _FORM, axes)[BLOCKS]
        self._first = dict(zip(sorted(arrays), starts.tolist()))
        self._arrays, self._compared = arrays, np.zeros(axes["blocks"], np.bool_)

    def require(self, name: str, starts: Int64Array, stops: Int64Array) -> None:
        """Raise Malformed unless the bytes of an array from each start to its stop are sound."""
        wanted = np.zeros(-(-self._arrays[name].nbytes // BLOCK) + 1, np.int64)
        some = stops > starts
        np.add.at(wanted, starts[some] // BLOCK, 1)
        np.add.at(wanted, (stops[some] - 1) // BLOCK + 1, -1)
        first, values = self._first[name], _bytes(self._arrays[name])
        compared: BoolArray = self._compared[first : first + len(wanted) - 1]
        for block in np.flatnonzero((np.cumsum(wanted[:-1]) > 0) & ~compared).tolist():
            found = crc32(values[block * BLOCK : (block + 1) * BLOCK].data)
            if found != self._expected[first + block]:
                raise Malformed(f"the checksum of block {block} of {name} differs")
            compared[block] = True


def _bytes(array: Array) -> UInt8Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
