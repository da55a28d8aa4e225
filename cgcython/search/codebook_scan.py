"""What scans of codes share whose codebook sums a table entry for each byte."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.codecs.codebook_base import Codebook
from cgcython.frames import SectionMatrix
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.search.row_scan import CODES, ONE_EACH, RowScan, code_matrix, require_inverses
from cgcython.search.scan import Embedding, FindCodebook, Forms, GraphSpace, invalid
from cgcython.tensors import Malformed
from cgcython.types import Array, Float32Array, Int64Array, UInt8Array

SHORTEST: Final = 1e-38  # lengths of which float32 has one over them


class DotTables(NamedTuple):
    """The dot products of a query with what codes decode to: constant + sum of table[m, code_m].

    They are those of the query as a unit vector times `factor`.
    """

    table: Float32Array  # [M, ksub]
    constant: float
    factor: float = 1.0


class CodebookScan(RowScan):
    """Codes of one codebook, scored by its tables: the score of what they decode to.

    A subclass names the `kind` of its codebooks and defines `_dot_tables` and `_measured`.
    """

    kind: ClassVar[type[Codebook]]
    kept: ClassVar[Forms] = {"codes": CODES, "inverse_norms": ONE_EACH}
    is_fixed_length, shared_fields = True, 2

    def __init__(
        self, codes: UInt8Array, codebook: Any, inverse_norms: Float32Array | None = None
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
        if not cls._fits(codebook, first):
            what = f"{codebook.embedding_dim} values in {codebook.code_size} codes"
            raise invalid(quantized, f"its codebook is for {what}, by {codebook.method}")
        return cls(code_matrix(quantized, codebook.code_size), codebook)

    @classmethod
    def of_sections(
        cls, first: QuantizedEmbedding, sections: SectionMatrix, find_codebook: FindCodebook
    ) -> Self | None:
        codebook = find_codebook(first.metadata.codebook_id)
        if not cls._fits(codebook, first):
            return None
        return cls(np.ascontiguousarray(sections.data), codebook)

    @classmethod
    def of_batch(cls, batch: QuantizedBatch, find_codebook: FindCodebook) -> Self | None:
        codes, codebook = batch.columns["codes"], find_codebook(batch.shared["codebook_id"])
        fits = cls._is_of(codebook, batch.original_dim, codes.shape[1])
        return cls(codes, codebook) if fits else None

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        dim, codebook_id = shared
        if type(codebook_id) is not int or not 0 <= codebook_id < 2**32:
            raise Malformed(f"its codebook is {codebook_id!r:.40}")
        require_inverses(arrays["inverse_norms"])
        codebook = find_codebook(codebook_id)
        if not cls._is_of(codebook, dim, arrays["codes"].shape[1]):
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
        found: Float32Array = self.codebook.decode(self.codes[rows])
        return found

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

    def _prepare(self, query: Embedding, metric: str) -> DotTables:
        query = as_vector(query, self.codebook.embedding_dim)
        tables = self._dot_tables(query)
        if metric != "dot":
            return tables
        return tables._replace(factor=float(np.linalg.norm(query.astype(np.float64))))

    @abstractmethod
    def _dot_tables(self, query: Float32Array) -> DotTables:
        """Return the DotTables of a query, as a unit vector."""

    @abstractmethod
    def _measured(self) -> Float32Array:
        """Return one over the length of what each row decodes to, 0 for a length of 0."""

    def _score(self, prepared: DotTables, metric: str, rows: slice, out: Float32Array) -> None:
        table, constant, factor = prepared
        factors = factor if metric == "dot" else self.inverse_norms[rows]
        kernels.adc.scan(table, self.codes[rows], out)
        np.add(out, np.float32(constant), out=out)
        np.multiply(out, factors, out=out, dtype=np.float32)

    @classmethod
    def _fits(cls, codebook: Codebook, quantized: QuantizedEmbedding) -> bool:
        _, code_size = quantized.metadata
        return cls._is_of(codebook, quantized.original_dim, code_size)

    @classmethod
    def _is_of(cls, codebook: Codebook, dim: int, code_size: int) -> bool:
        shape = codebook.embedding_dim, codebook.code_size
        return isinstance(codebook, cls.kind) and (dim, code_size) == shape


def inverses(norms: Float32Array) -> Float32Array:
    """Return one over each length, in place; 0 for a length of 0, or that float32 cannot invert."""
    known = norms > SHORTEST
    np.divide(1, norms, out=norms, where=known)
    norms[~known] = 0
    return norms
