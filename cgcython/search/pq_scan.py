"""A scan of product-quantization codes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.pq_tables import SearchTables
from cgcython.frames import SectionMatrix
from cgcython.records import QuantizedEmbedding
from cgcython.search.row_scan import CODES, ONE_EACH, RowScan, code_matrix
from cgcython.search.scan import Embedding, FindCodebook, Forms, GraphSpace, invalid
from cgcython.tensors import Malformed
from cgcython.types import Array, Float32Array, Int64Array, UInt8Array


class _PreparedTables(NamedTuple):
    """A query as the codes of one codebook are scored: its tables, and a factor of dot products."""

    tables: SearchTables
    norm: float


class PQ8Scan(RowScan):
    """Codes of one codebook, scored by its tables: the score of what they decode to."""

    method, name = QuantizationMethod.PQ8, "pq8"
    kept: ClassVar[Forms] = {"codes": CODES, "inverse_norms": ONE_EACH}
    is_fixed_length, shared_fields = True, 2

    def __init__(
        self,
        codes: UInt8Array,
        codebook: PQ8Codebook,
        inverse_norms: Float32Array | None = None,
    ) -> None:
        """`codes` are u8 [rows, M]; lengths of what they decode to are measured unless given."""
        self.codes, self.codebook = codes, codebook
        self.inverse_norms = self._measured() if inverse_norms is None else inverse_norms

    @classmethod
    def shared_by(cls, quantized: QuantizedEmbedding) -> tuple[int, int]:
        return quantized.original_dim, quantized.metadata.codebook_id

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        first = quantized[0]
        codebook = find_codebook(first.metadata.codebook_id)
        if not _fits(codebook, first):
            reason = f"its codebook is for {codebook.embedding_dim} values"
            raise invalid(quantized, f"{reason} in {codebook.num_subvectors} codes")
        return cls(code_matrix(quantized, codebook.num_subvectors), codebook)

    @classmethod
    def of_sections(
        cls, first: QuantizedEmbedding, sections: SectionMatrix, find_codebook: FindCodebook
    ) -> Self | None:
        codebook = find_codebook(first.metadata.codebook_id)
        if not _fits(codebook, first):
            return None
        return cls(np.ascontiguousarray(sections.data), codebook)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        dim, codebook_id = shared
        codebook = find_codebook(codebook_id)
        shape = dim, arrays["codes"].shape[1]
        if shape != (codebook.embedding_dim, codebook.num_subvectors):
            raise Malformed("its codes are not those of its codebook")
        return cls(**arrays, codebook=codebook)

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        return type(self)(**arrays, codebook=self.codebook)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shared(self) -> tuple[int, int]:
        return self.codebook.embedding_dim, self.codebook.codebook_id

    def graph_space(self) -> GraphSpace:
        return GraphSpace(False, self.codebook.embedding_dim)

    def vectors(self, rows: Int64Array) -> Float32Array:
        return self.codebook.decode(self.codes[rows])

    def vector(self, query: Embedding) -> Float32Array:
        return as_vector(query, self.codebook.embedding_dim)

    def equal_rows(self, query: Embedding) -> Int64Array:
        """Return the rows that hold the query's own codes.

        Codes are nearest by distance; by cosine, coarse ones of another record can be nearer.
        """
        wanted = np.frombuffer(self.codebook.quantize(query), np.uint8)
        first = np.uint64 if len(wanted) % 8 == 0 else np.uint8
        rows = (self.codes.view(first)[:, 0] == wanted.view(first)[0]).nonzero()[0]
        equal: Int64Array = rows[(self.codes[rows] == wanted).all(axis=1)]
        return equal

    def similarities(self, query: Embedding, stored: Embedding) -> Float32Array:
        """Return the cosine of every row with the query, coded by the codebook of these rows."""
        return self.scores(self.codebook.dequantize(self.codebook.quantize(query)))

    def _prepare(self, query: Embedding, metric: str) -> _PreparedTables:
        query = as_vector(query, self.codebook.embedding_dim)
        tables = self.codebook.search_tables(query)
        norm = float(np.linalg.norm(query.astype(np.float64))) if metric == "dot" else 1.0
        return _PreparedTables(tables, norm)

    def _measured(self) -> Float32Array:
        """Return one over the length of what each row decodes to, 0 for a length of 0."""
        norms = np.empty(len(self), np.float32)
        tables = self.codebook.search_tables(np.zeros(self.codebook.embedding_dim, np.float32))
        kernels.adc.scan(tables.norms, self.codes, norms)
        norms += np.float32(tables.norm_constant)
        np.sqrt(np.maximum(norms, 0, out=norms), out=norms)
        return np.divide(1, norms, out=norms, where=norms > 0)

    def _score(
        self, prepared: _PreparedTables, metric: str, rows: slice, out: Float32Array
    ) -> None:
        tables, norm = prepared
        factors = norm if metric == "dot" else self.inverse_norms[rows]
        kernels.adc.scan(tables.dots, self.codes[rows], out)
        np.add(out, np.float32(tables.dot_constant), out=out)
        np.multiply(out, factors, out=out, dtype=np.float32)


def _fits(codebook: PQ8Codebook, quantized: QuantizedEmbedding) -> bool:
    shape = quantized.original_dim, quantized.metadata.num_subvectors
    return shape == (codebook.embedding_dim, codebook.num_subvectors)
