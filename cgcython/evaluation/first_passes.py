"""One bit per value, as a first pass over codes reads them: which rows may be among the best.

Rows are centred on the mean of the training rows and turned at random before their signs are
taken. RaBitQ's estimator (Gao and Long, 2024) multiplies the product with a query by one factor
per row, the row's length over its product with its own signs, so that no row is favoured.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from cgcython.evaluation import limits
from cgcython.evaluation.folds import MakeScan
from cgcython.types import Float32Array, UInt8Array

FACTOR_BYTES = 2  # f16


class CentredSigns(NamedTuple):
    """The signs of centred and turned rows, and the factor of each where it is kept."""

    mean: Float32Array
    rotation: Float32Array
    has_factor: bool

    @classmethod
    def train(cls, rows: Float32Array, size: int, seed: int) -> "CentredSigns":
        """Return the coder of rows [n, dim] that makes `size` bytes of each."""
        dim = rows.shape[1]
        gaussian = np.random.default_rng(seed).standard_normal((dim, dim))
        rotation = np.linalg.qr(gaussian)[0].astype(np.float32)
        return cls(rows.mean(0), rotation, size > -(-dim // 8))

    def encode(self, rows: Any, /, *, num_threads: int = 1) -> UInt8Array:
        """Return the bits [n, bytes] of rows [n, dim], and behind them their factors."""
        turned = self.turned(rows)
        bits = np.packbits(turned >= 0, axis=1)
        if not self.has_factor:
            return bits
        lengths, products = np.einsum("rd,rd->r", turned, turned), np.abs(turned).sum(1)
        factors = lengths / np.maximum(products, np.finfo(np.float32).tiny)
        return np.hstack([bits, factors.astype(np.float16)[:, None].view(np.uint8)])

    def decode(self, codes: UInt8Array, /, *, num_threads: int = 1) -> Float32Array:
        """Return the rows [n, dim] whose products with a query are the estimates."""
        dim = len(self.mean)
        count = -(-dim // 8)
        signs = 2 * np.unpackbits(codes[:, :count], axis=1, count=dim).astype(np.float32) - 1
        factors = np.full((len(codes), 1), dim**-0.5, np.float32)
        if self.has_factor:
            factors[:] = np.ascontiguousarray(codes[:, count:]).view(np.float16)
        return np.asarray(self.mean + (signs * factors) @ self.rotation.T, np.float32)

    def turned(self, rows: Any) -> Float32Array:
        """Return rows, centred and turned."""
        centred = np.asarray(rows, np.float32) - self.mean
        return np.asarray(centred @ self.rotation, np.float32)


class HammingScan:
    """Bits scored by the bits of a query that differ."""

    def __init__(self, codes: UInt8Array, coder: CentredSigns) -> None:
        self.codes, self.coder = codes, coder

    def scores(self, query: Any, metric: str = "cosine") -> Float32Array:
        """Return minus the number of bits that differ."""
        asked = np.packbits(self.coder.turned(query) >= 0)
        scores: Float32Array = -np.bitwise_count(self.codes ^ asked).sum(1, dtype=np.float32)
        return scores


class EstimateScan:
    """Bits scored by the product of a float query with what they decode to."""

    def __init__(self, codes: UInt8Array, coder: CentredSigns) -> None:
        self.rows = coder.decode(codes)

    def scores(self, query: Any, metric: str = "cosine") -> Float32Array:
        """Return the estimated product of each row with a query."""
        scores: Float32Array = self.rows @ np.asarray(query, np.float32)
        return scores


def scans(has_factor: bool) -> Mapping[str, MakeScan]:
    """Return the ways to scan centred bits, by name."""
    if has_factor:
        return {limits.CENTRED_FACTOR: EstimateScan}
    return {limits.CENTRED: HammingScan, limits.CENTRED_ASKED: EstimateScan}
