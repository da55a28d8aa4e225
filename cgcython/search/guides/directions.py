"""The directions of rows and queries: what k-means compares, whatever the rows are stored as."""

import numpy as np

from cgcython.search.guides.signs import units
from cgcython.search.scan import Embedding, Scan
from cgcython.types import Array, Float32Array, Int64Array


def directions(scan: Scan, rows: Int64Array) -> Float32Array:
    """Return some rows as they decode, scaled to length 1, f32 [n, dim]; bits are -1 and 1."""
    return units(_values(scan, scan.vectors(rows)))


def direction(scan: Scan, query: Embedding) -> Float32Array:
    """Return a query as `directions` has rows, of any length. Raises DimensionMismatch."""
    found: Float32Array = _values(scan, scan.vector(query)[None])[0]
    return found


def between(scan: Scan, some: Float32Array, others: Float32Array) -> Float32Array:
    """Return queries that are as near to some rows as to others, f32 [n, dim].

    Bits are taken from either in turn, and lie off the threshold on their own sides.
    """
    space = scan.graph_space()
    if space is None or not space.bits:
        return some + others
    mixed = some.copy()
    mixed[:, ::2] = others[:, ::2]
    return mixed


def as_queries(scan: Scan, found: Float32Array) -> Float32Array:
    """Return directions as queries that the scan takes: bits on either side of its threshold."""
    space = scan.graph_space()
    if space is None or not space.threshold:
        return found
    return np.sign(found) * np.float32(1 + abs(space.threshold)) + np.float32(space.threshold)


def _values(scan: Scan, vectors: Array) -> Float32Array:
    """Return vectors that a scan's `vectors` or `vector` gave, packed bits as -1 and 1."""
    if vectors.dtype != np.uint8:
        return vectors
    space = scan.graph_space()
    assert space is not None  # it gave vectors
    signs: Float32Array = np.unpackbits(vectors, axis=1, count=space.dim).astype(np.float32)
    return 2 * signs - 1
