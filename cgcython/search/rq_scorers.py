"""The distance of one query to residual codes, whose lengths an index keeps."""

import numpy as np

from cgcython import kernels
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.search.code_scorers import Arrays, Scorer
from cgcython.types import Float32Array, Float64Array, Int64Array


class RQDistance(Scorer):
    """Squared Euclidean distance to what residual codes decode to: |q|^2 - 2qd + |d|^2."""

    def __init__(self, codebook: RQ8Codebook, query: Float32Array) -> None:
        wide = query.astype(np.float64)
        self._norm = float(np.linalg.norm(wide))
        self._table, self._offset = codebook.dot_tables(_unit(wide, self._norm))

    @np.errstate(over="ignore", under="ignore")  # what is beyond float32 is infinite
    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        lengths = arrays["norms"][rows].astype(np.float64)
        apart = lengths * lengths - 2 * self._norm * self._dots(arrays, rows)
        apart += self._norm * self._norm
        found: Float32Array = np.maximum(apart, 0, out=apart).astype(np.float32)
        return found

    def _dots(self, arrays: Arrays, rows: Int64Array | slice) -> Float64Array:
        """Return the dot products with the query as a unit vector."""
        codes = np.ascontiguousarray(arrays["codes"][rows])
        sums = np.empty(len(codes), np.float32)
        kernels.adc.scan(self._table, codes, sums)
        return sums + np.float64(self._offset)


class RQCosine(RQDistance):
    """1 - cosine with what residual codes decode to; 1 where either is zero."""

    def distances(self, arrays: Arrays, rows: Int64Array | slice) -> Float32Array:
        dots, lengths = self._dots(arrays, rows), arrays["norms"][rows]
        cosines = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
        return np.subtract(1, cosines, out=cosines).astype(np.float32)


def _unit(wide: Float64Array, norm: float) -> Float32Array:
    return (wide / (norm or 1.0)).astype(np.float32)
