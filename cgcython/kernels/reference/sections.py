"""Rows of a batch as bytes, each with a head and a checksum; rows of lists as a matrix."""

from zlib import crc32

import numpy as np

from cgcython.kernels.reference.door import agree, check_offsets, is_unmasked, require_apart, writes


@writes("crcs")
def frame(heads, data, offsets, crcs):
    """Return for each row its head, data[offsets[i]:offsets[i + 1]] and their CRC-32 as bytes."""
    agree("offsets", len(offsets), "heads and one more", len(heads) + 1)
    agree("crcs", len(crcs), "heads", len(heads))
    check_offsets("offsets", offsets, len(data))
    found = []
    for i, head in enumerate(heads):
        body = head.tobytes() + data[offsets[i] : offsets[i + 1]].tobytes()
        crcs[i] = crc32(body)
        found.append(body + crc32(body).to_bytes(4, "little"))
    return found


@writes("out")
def stack(rows, are_matrices, out):
    """Write contiguous float32 vectors or matrices of one width as the rows of a matrix.

    Return False where one is none, or is not all that there is room for; then `out` is undefined.
    """
    if type(rows) is not list:
        raise TypeError(f"rows are a list, not {type(rows).__name__}")
    if not all(_are_rows(row, are_matrices, out.shape[1]) for row in rows):
        return False
    for row in rows:
        require_apart("out", out, "a row", row)
    found = [row if are_matrices else row[None] for row in rows]
    if sum(map(len, found)) != len(out):
        return False
    out[:] = np.concatenate([out[:0], *found])
    return True


def _are_rows(row, are_matrices, dim):
    return (
        is_unmasked(row)
        and row.dtype == np.float32
        and row.dtype.isnative
        and row.ndim == 1 + are_matrices
        and row.shape[-1] == dim
        and row.flags.c_contiguous
        and row.flags.aligned
    )
