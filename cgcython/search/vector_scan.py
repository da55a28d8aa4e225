"""A scan of decoded vectors, for methods whose codes have no scan of their own."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.codecs.base import codec_class
from cgcython.records import QuantizedEmbedding
from cgcython.search.row_scan import RowScan
from cgcython.search.scan import DIM, ROWS, Embedding, FindCodebook, Forms, GraphSpace
from cgcython.tensors import ArrayForm
from cgcython.types import Array, BoolArray, Float32Array, Int64Array


class VectorScan(RowScan):
    """Vectors in float32, scored by cosine or dot product.

    A dense method joins with a subclass that says its `method`; with a `name` its columns can be
    saved.
    """

    kept: ClassVar[Forms] = {"values": ArrayForm("F32", (ROWS, DIM))}

    def __init__(self, values: Float32Array) -> None:
        """`values` are f32 [rows, dim]."""
        self.values = values

    @classmethod
    def decoded(
        cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook
    ) -> Float32Array:
        """Return what embeddings decode to by the method's codec, f32 [n, dim].

        Raises InvalidQuantizedData, CodebookMissing.
        """
        kind, dim = codec_class(cls.method), quantized[0].original_dim
        if not kind.needs_codebook:
            codec = kind.for_dimension(dim)
            return np.stack([codec.decode(one) for one in quantized])
        ids = [one.metadata.codebook_id for one in quantized]
        codecs = {book: kind.for_dimension(dim, find_codebook(book)) for book in set(ids)}
        return np.stack([codecs[book].decode(one) for book, one in zip(ids, quantized)])

    @classmethod
    def of(cls, quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Self:
        return cls(cls.decoded(quantized, find_codebook))

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        return cls(**arrays)

    def with_arrays(self, arrays: Mapping[str, Array]) -> Self:
        return type(self)(**arrays)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shared(self) -> tuple[int]:
        return (self.values.shape[1],)

    def graph_space(self) -> GraphSpace:
        return GraphSpace(False, self.values.shape[1])

    def vectors(self, rows: Int64Array) -> Float32Array:
        return self.values[rows]

    def vector(self, query: Embedding) -> Float32Array:
        return as_vector(query, self.values.shape[1])

    def _nonzero(self) -> BoolArray:
        nonzero: BoolArray = np.any(self.values, axis=1)
        return nonzero

    def _prepare(self, query: Embedding, metric: str) -> Float32Array:
        return as_vector(query, self.values.shape[1])

    def _score(self, query: Float32Array, metric: str, rows: slice, out: Float32Array) -> None:
        score = kernels.dense.dot_rows if metric == "dot" else kernels.dense.cosine_rows
        score(query, self.values[rows], out)
