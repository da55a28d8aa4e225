"""A scan of residual codes."""

import numpy as np

from cgcython.base import QuantizationMethod
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.search.codebook_scan import CodebookScan, DotTables, inverses
from cgcython.types import Float32Array


class RQ8Scan(CodebookScan):
    """Codes of one residual quantizer, scored by its tables and the lengths of decoded rows."""

    method, name, kind = QuantizationMethod.RQ8, "rq8", RQ8Codebook
    codebook: RQ8Codebook

    def _dot_tables(self, query: Float32Array) -> DotTables:
        wide = query.astype(np.float64)
        wide /= np.linalg.norm(wide) or 1.0
        return DotTables(*self.codebook.dot_tables(wide.astype(np.float32)))

    def _measured(self) -> Float32Array:
        return inverses(self.codebook.norms(self.codes))
