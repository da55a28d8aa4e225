"""Scans of rows that are equally long."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from cgcython.parallel import threads_for
from cgcython.records import QuantizedEmbedding
from cgcython.search.scan import ROWS, Scan
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, Float32Array, Int64Array, UInt8Array

CODES = ArrayForm("U8", (ROWS, "bytes of a code"))
ROW_SECONDS = 1e-7  # at most, to score a row of a thousand bytes or of a code of fewer
ONE_EACH = ArrayForm("F32", (ROWS,))


class RowScan(Scan):
    """A scan whose kept arrays all have one entry, or one row, for each embedding."""

    @abstractmethod
    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        """Return the scan of other arrays of the names of `kept`, with the same `shared`."""

    @classmethod
    def joined(cls, scans: Sequence[Self]) -> Self:
        every = [scan.arrays() for scan in scans]
        arrays = {name: np.concatenate([one[name] for one in every]) for name in every[0]}
        return scans[0].with_arrays(arrays)

    def appended(self, lengths: Mapping[str, int]) -> dict[str, Array]:
        return self.arrays()

    def of_appended(self, arrays: Mapping[str, Array]) -> Self:
        return self.with_arrays(arrays)

    def take(self, rows: Int64Array) -> Self:
        # One call of each array's method, which is faster than indexing it.
        return self.with_arrays({name: getattr(self, name).take(rows, 0) for name in self.kept})

    def _threads(self, prepared: Any, num_threads: int) -> int:
        return threads_for(len(self) * ROW_SECONDS, num_threads)


def code_matrix(quantized: Sequence[QuantizedEmbedding], width: int) -> UInt8Array:
    """Return the data of embeddings of `width` bytes each, u8 [n, width]."""
    joined = b"".join(one.data for one in quantized)
    return np.frombuffer(joined, np.uint8).reshape(len(quantized), width)


def require_inverses(inverse_norms: Float32Array) -> None:
    """Raise Malformed unless numbers of a file can be one over lengths, 0 beside rows of zeros."""
    if not np.all((inverse_norms >= 0) & (inverse_norms < np.inf)):
        raise Malformed("a length of its rows is none")
