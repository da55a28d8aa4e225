"""A scan of product-quantization codes."""

import numpy as np

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.search.codebook_scan import CodebookScan, DotTables, inverses
from cgcython.types import Float32Array


class PQ8Scan(CodebookScan):
    """Codes of one product quantizer, scored by its tables."""

    method, name, kind = QuantizationMethod.PQ8, "pq8", PQ8Codebook
    codebook: PQ8Codebook

    def _dot_tables(self, query: Float32Array) -> DotTables:
        tables = self.codebook.search_tables(query)
        return DotTables(tables.dots, tables.dot_constant)

    def _measured(self) -> Float32Array:
        norms = np.empty(len(self), np.float32)
        tables = self.codebook.search_tables(np.zeros(self.codebook.embedding_dim, np.float32))
        kernels.adc.scan(tables.norms, self.codes, norms)
        norms += np.float32(tables.norm_constant)
        return inverses(np.sqrt(np.maximum(norms, 0, out=norms), out=norms))
