"""Sparse vectors as exact pairs, or compactly: Elias-Fano indices, weights as f16, f32 or u8."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.checks import require_choice, require_whole
from cgcython.codecs import csr, sparse_batches, sparse_forms
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.checks import (
    invalid,
    not_quantized,
    output,
    require_kind,
    require_row,
)
from cgcython.codecs.framing import Payloads
from cgcython.codecs.row_settings import SPARSE
from cgcython.codecs.rows import embeddings_of, payloads_at, tuples_of
from cgcython.codecs.sparse_layouts import COLUMNS, F16, F32, LAYOUTS, NAMES, NUMBERS, REASONS
from cgcython.errors import (
    InvalidInput,
    InvalidQuantizedData,
    SparseTooDense,
)
from cgcython.metadata import SparseMetadata
from cgcython.records import QuantizedBatch, QuantizedEmbedding, SparseVector
from cgcython.types import Float32Array, UInt32Array

MAX_PERCENT = 10
_SECTION_NUMBERS = np.array([one.number for one in LAYOUTS], np.uint8)  # LAYOUTS are as NAMES
Pairs: TypeAlias = tuple[Any, Any]  # indices and weights
Buffers: TypeAlias = tuple[UInt32Array, Float32Array]  # for indices and weights


@dataclass(frozen=True)
class SparseCodec(Codec):
    """The non-zeros of vectors of `dim` values, at most 10 % of them.

    `compact_f16` keeps a vector as `compact_f32` when its largest weight is not a normal f16;
    `compact_u8` keeps of each weight which of 256 even steps its root, sign kept, is nearest.
    Batches have the columns `data` [bytes] u8, `offsets` [n + 1] i64, `nnz` [n] u32 and `layouts`
    [n] u8, which are positions in sparse_layouts.NAMES.
    """

    dim: int
    layout: str = "canonical"
    _number: int = field(init=False, repr=False, compare=False)
    _most: int = field(init=False, repr=False, compare=False)

    method = QuantizationMethod.SPARSE_NATIVE
    layouts = LAYOUTS
    inputs = InputKind.SPARSE
    columns, shared = COLUMNS, ("layout",)
    ragged = True
    ratio, max_loss = 1.0, 0.0
    settings = ("layout",)
    row_settings = SPARSE

    def __post_init__(self) -> None:
        require_choice(self.layout, "layout", NAMES)
        dim = require_whole(self.dim, "dim", least=1, most=2**32 - 1)
        object.__setattr__(self, "dim", dim)
        object.__setattr__(self, "_number", NUMBERS[self.layout])
        object.__setattr__(self, "_most", self.dim * MAX_PERCENT // 100)

    def compact(self, step: int) -> "SparseCodec":
        """Return the codec with weights of f16 at step 0 of the ladder, of u8 at later ones."""
        return replace(self, layout="compact_u8" if step else "compact_f16")

    def encode(self, vector: SparseVector | Pairs) -> QuantizedEmbedding:
        """Return the quantized embedding of a SparseVector or of (indices, weights).

        >>> SparseCodec(dim=100).encode(([7, 2], [0.5, 1.0])).data.hex()
        '02000000020000000000803f070000000000003f'
        """
        vector = self.as_vector(vector)
        indices, weights = vector.indices, vector.weights
        nnz, number = len(indices), self._number
        if nnz > self._most:
            self.require_sparse(nnz)
        data = kernels.sparse.encode_vector(indices, weights, self.dim, number)
        if data is None and number == F16:  # for most: f16 does not hold the weights
            number = F32
            data = kernels.sparse.encode_vector(indices, weights, self.dim, number)
        if data is None:
            data, number = self._encode_closely(vector)
        # The named constructor, which is Python, takes twice as long.
        metadata = tuple.__new__(SparseMetadata, (self.dim, nnz, NAMES[number]))
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(self, quantized: QuantizedEmbedding, out: Buffers | None = None) -> SparseVector:
        """Return the SparseVector of a quantized embedding of any layout.

        `out` is (indices u32, weights f32) arrays of nnz elements to use.
        """
        nnz, number = self._header(quantized)
        if out is None:
            arrays = kernels.sparse.decode_vector(quantized.data, nnz, self.dim, number)
            if arrays is None:
                raise self._damage(quantized.data, nnz, number)
            return SparseVector.trusted(*arrays, self.dim)
        self._require_bytes(quantized.data, nnz, number)
        if not isinstance(out, (tuple, list)) or len(out) != 2:
            expected, actual = "(indices, weights)", type(out).__name__
            raise InvalidInput(what="out", expected=expected, actual=actual)
        indices, weights = output(out[0], (nnz,), np.uint32), output(out[1], (nnz,))
        if kernels.sparse.decode(quantized.data, self.dim, number, indices, weights):
            raise self._damage(quantized.data, nnz, number)
        return SparseVector.trusted(indices, weights, self.dim)

    def encode_batch(
        self,
        vectors: Sequence[SparseVector | Pairs] | tuple[Any, Any, Any, int],
        num_threads: int = 1,
        out: QuantizedBatch | None = None,
    ) -> QuantizedBatch:
        """Return the batch of a list of vectors, or of (indptr, indices, weights, dimension).

        `out` is a batch of the same sizes whose columns may be reused.
        """
        return sparse_batches.encode(self, vectors, num_threads, out)

    def decode_batch(
        self,
        batch: QuantizedBatch,
        num_threads: int = 1,
        out: csr.Columns | None = None,
    ) -> csr.Columns:
        """Return the CSR columns (indptr i64, indices u32, weights f32) of a batch.

        `out` is three such arrays of the right lengths to use.
        """
        return sparse_batches.decode(self, batch, num_threads, out)

    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return row i of a batch as a quantized embedding."""
        i = require_row(batch, self, i)
        data, offsets, layouts, indptr = sparse_batches.checked_columns(self, batch)
        nnz, layout = int(indptr[i + 1] - indptr[i]), NAMES[layouts[i]]
        part = data[offsets[i] : offsets[i + 1]].tobytes()
        metadata = SparseMetadata(self.dim, nnz, layout)
        return QuantizedEmbedding(self.method, self.dim, part, metadata)

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all rows of a batch as quantized embeddings."""
        data, offsets, layouts, indptr = sparse_batches.checked_columns(self, batch)
        counts, names = np.diff(indptr).tolist(), map(NAMES.__getitem__, layouts.tolist())
        metadata = tuples_of(SparseMetadata, repeat(self.dim), counts, names)
        return embeddings_of(self, payloads_at(data, offsets), metadata)

    def payloads(self, batch: QuantizedBatch) -> Payloads | None:
        """Return what sections hold of a batch; None where canonical ones are among them."""
        data, offsets, layouts, indptr = sparse_batches.checked_columns(self, batch)
        if np.any(layouts == NUMBERS["canonical"]):  # which count their pairs too
            return None
        fields, numbers = {"nnz": np.diff(indptr)}, _SECTION_NUMBERS[layouts]
        return Payloads(self.layouts[F16], self.dim, fields, data, offsets, numbers)

    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of `count` non-zeros; of 5 % of the dimension without a count."""
        nnz = self.dim // 20 if count is None else require_whole(count, "count")
        self.require_sparse(nnz)
        return kernels.sparse.size(nnz, self.dim, NUMBERS[self.layout])

    def loss(self, original: SparseVector | Pairs, decoded: SparseVector | Pairs) -> float:
        """Return 1 - cosine."""
        a, b = self.as_vector(original), self.as_vector(decoded)
        norms = np.linalg.norm(a.weights.astype(float)) * np.linalg.norm(b.weights.astype(float))
        if norms == 0:
            return 0.0 if not a.weights.any() and not b.weights.any() else 1.0
        if np.array_equal(a.indices, b.indices):  # as of a vector and what it decodes to
            return float(1 - a.weights.astype(float) @ b.weights / norms)
        _, i, j = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
        return float(1 - a.weights[i].astype(float) @ b.weights[j] / norms)

    @classmethod
    def float32_bytes(cls, original_dim: int, metadata: SparseMetadata) -> int:
        """Return the bytes of the non-zeros as (u32, float32) pairs."""
        return 8 * metadata.nnz

    @classmethod
    def batch_float32_bytes(cls, batch: QuantizedBatch) -> int:
        """Return the bytes of a batch's non-zeros as (u32, float32) pairs."""
        return 8 * int(batch.columns["nnz"].sum())

    def as_vector(self, vector: SparseVector | Pairs) -> SparseVector:
        """Return a vector of this codec's dimension as a SparseVector; raises what is wrong."""
        return sparse_forms.as_vector(vector, self.dim)

    def require_sparse(self, nnz: int) -> None:
        """Raise SparseTooDense for more non-zeros than the method is made for."""
        nnz = require_whole(nnz, "nnz")
        if nnz * 100 > self.dim * MAX_PERCENT:
            percent = 100 * nnz / self.dim
            raise SparseTooDense(
                expected_sparsity=MAX_PERCENT, nnz=nnz, total=self.dim, actual_pct=percent
            )

    def _encode_closely(self, vector: SparseVector) -> tuple[bytes, int]:
        """Say what is wrong, or keep f32 where f16 does not hold the weights."""
        vector = SparseVector(vector.indices, vector.weights, self.dim)
        data, number = None, NUMBERS[self.layout]
        while data is None:
            data = kernels.sparse.encode_vector(vector.indices, vector.weights, self.dim, number)
            number = number if data is not None else F32
        return data, number

    def _header(self, quantized: QuantizedEmbedding) -> tuple[int, int]:
        try:
            metadata, method = quantized.metadata, quantized.method
        except AttributeError:
            raise not_quantized(quantized) from None
        if not (
            method is self.method
            and type(metadata) is SparseMetadata
            and quantized.original_dim == self.dim
        ):
            require_kind(quantized, self, SparseMetadata)
        vocab_size, nnz, layout = metadata
        if vocab_size != self.dim or layout not in NUMBERS:
            raise invalid(self, f"metadata is {metadata}")
        if not (type(nnz) is int or isinstance(nnz, np.integer)) or not 0 <= nnz <= self.dim:
            raise invalid(self, f"{nnz} non-zeros of {self.dim}")
        return int(nnz), NUMBERS[layout]

    def _require_bytes(self, data: bytes, nnz: int, number: int) -> None:
        expected = kernels.sparse.size(nnz, self.dim, number)
        if len(data) != expected:
            raise invalid(self, expected=expected, actual=len(data))

    def _damage(self, data: bytes, nnz: int, number: int) -> InvalidQuantizedData:
        """Return the error that says why a kernel refused these bytes."""
        self._require_bytes(data, nnz, number)
        scratch = np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
        return invalid(self, REASONS[kernels.sparse.decode(data, self.dim, number, *scratch)])
