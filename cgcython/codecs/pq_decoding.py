"""Turns codes back into embeddings; with a rotation, by a table once many were decoded.

A rotation of 1024 x 256 values is a megabyte, and to read it takes 12 us for one embedding. What a
centroid adds to an embedding can be kept: then M rows of the table are read and added up, in 2 us,
to the same bits. The table takes 8 MB for 8 codes of 1024 values, and as long to make as 200
embeddings to decode one by one.
"""

from typing import Final

import numpy as np

from cgcython import kernels
from cgcython.arrays import aligned_empty
from cgcython.kernels.pq_layout import NUM_CENTROIDS, PreparedCodebook, scratch
from cgcython.parallel import split_rows
from cgcython.types import Float32Array, UInt8Array

MOST_TABLE_BYTES: Final = 16 << 20
TABLE_AFTER: Final = 512  # embeddings, which take longer to decode than the table to make


class Decoder:
    """Decodes the codes of one codebook, and counts them until a table pays."""

    def __init__(self, prepared: PreparedCodebook) -> None:
        self._prepared = prepared
        self._table: Float32Array | None = None
        shape = len(prepared.centroids), NUM_CENTROIDS, prepared.dim
        fits = prepared.rotation is not None and 4 * np.prod(shape) <= MOST_TABLE_BYTES
        self._shape = shape
        self._left = TABLE_AFTER if fits else -1  # embeddings before a table; -1 where none is made

    def one(self, data: bytes) -> Float32Array:
        """Return the embedding of M bytes of codes."""
        return kernels.pq.decode_vector(data, self._prepared, self._table_for(1))

    def many(self, codes: UInt8Array, rows: Float32Array, num_threads: int) -> None:
        """Write the embeddings [n, dim] of codes [n, M]."""
        table = self._table_for(len(codes))

        def decode_range(start: int, stop: int) -> None:
            some, space = slice(start, stop), scratch(self._prepared)
            kernels.pq.decode_rows(codes[some], self._prepared, rows[some], space, table)

        split_rows(decode_range, len(codes), num_threads)

    def _table_for(self, count: int) -> Float32Array | None:
        """Return the table where there is one, or where it pays with so many embeddings more."""
        if self._left > 0:  # threads that count at the same time make the same table
            self._left = max(0, self._left - count)
            if self._left == 0:
                table = aligned_empty(self._shape)
                self._table = table if kernels.pq.back_table(self._prepared, table) else None
        return self._table
