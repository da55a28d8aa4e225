"""Sparse vectors kept exactly as pairs, or compactly: Elias-Fano indices, f16 or f32 weights."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32
from cgcython.base import QuantizationMethod
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    SparseTooDense,
)
from cgcython.metadata import SparseMetadata
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding, SparseVector

LAYOUTS = ("canonical", "compact_f16", "compact_f32")
_CODES = {layout: code for code, layout in enumerate(LAYOUTS)}
_F16, _F32 = _CODES["compact_f16"], _CODES["compact_f32"]
MAX_PERCENT = 10
_REASONS = (
    "",
    "wrong length",
    "wrong count",
    "padding is not zero",
    "indices do not ascend within the dimension",
    "a weight is not finite",
)


@dataclass(frozen=True)
class SparseCodec:
    """The non-zeros of vectors of `dim` values; at most 10 % of them.

    `compact_f16` keeps a vector as `compact_f32` when a weight is outside f16's normal range.

    >>> q = SparseCodec(dim=100).encode(SparseVector([7, 2], [0.5, 1.0], dimension=100))
    >>> q.data.hex()
    '02000000020000000000803f070000000000003f'
    >>> SparseCodec(dim=100).decode(q).weights
    array([1. , 0.5], dtype=float32)
    """

    dim: int
    layout: str = "canonical"
    method = QuantizationMethod.SPARSE_NATIVE

    def __post_init__(self):
        if self.layout not in _CODES:
            raise InvalidInput(what="layout", expected=" or ".join(LAYOUTS), actual=self.layout)
        if not isinstance(self.dim, int) or not 1 <= self.dim < 2**32:
            raise InvalidInput(what="dim", expected="1 to 2**32 - 1", actual=self.dim)

    def encode(self, vector):
        """Return the bytes of one SparseVector or (indices, weights).

        Raises SparseTooDense, DimensionMismatch, InvalidInput or NonFiniteValue.
        """
        indices, weights = self._parts(vector)
        code = _CODES[self.layout]
        self._require_sparse(len(indices))
        data = kernels.sparse.encode_vector(indices, weights, self.dim, code)
        if data is None:
            data, code = self._encode_closely(indices, weights)
        metadata = SparseMetadata(self.dim, len(indices), LAYOUTS[code])
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(self, quantized):
        """Return the SparseVector of any layout's bytes.

        Raises MethodMismatch, DimensionMismatch or InvalidQuantizedData.
        """
        nnz, code = self._header(quantized)
        arrays = kernels.sparse.decode_vector(quantized.data, nnz, self.dim, code)
        if arrays is None:
            raise _damage(quantized.data, nnz, self.dim, code)
        return SparseVector.trusted(*arrays, self.dim)

    def encode_batch(self, vectors, num_threads=1):
        """Return many vectors as columns: `data`, `offsets`, `nnz`, `layouts`.

        Takes a list of SparseVector or CSR columns (indptr, indices, weights, dimension).
        """
        indptr, indices, weights = self._columns(vectors)
        self._require_sparse(int(np.diff(indptr).max(initial=0)))
        layouts = self._choose_layouts(indptr, weights)
        offsets = np.empty(len(indptr), np.int64)
        kernels.sparse.measure_rows(indptr, self.dim, layouts, offsets)
        data = np.empty(offsets[-1], np.uint8)

        def encode(start, stop):
            rows, edges = slice(start, stop), slice(start, stop + 1)
            bad = kernels.sparse.encode_rows(
                indptr[edges], indices, weights, self.dim, layouts[rows], data, offsets[edges]
            )
            return start + bad if bad >= 0 else -1

        bad = max(split_rows(encode, len(layouts), num_threads))
        if bad >= 0:
            return self.encode_batch(self._sorted_rows(indptr, indices, weights), num_threads)
        columns = {
            "data": data,
            "offsets": offsets,
            "nnz": np.diff(indptr).astype(np.uint32),
            "layouts": layouts,
        }
        return QuantizedBatch(self.method, self.dim, columns, {"layout": self.layout})

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return CSR columns (indptr i64, indices u32, weights f32).

        `out` is (indices, weights) with room for all non-zeros of the batch.
        """
        self._require_own(batch)
        columns = batch.columns
        indptr = np.zeros(len(batch) + 1, np.int64)
        np.cumsum(columns["nnz"], out=indptr[1:])
        indices, weights = out or (
            np.empty(indptr[-1], np.uint32),
            np.empty(indptr[-1], np.float32),
        )

        def decode(start, stop):
            rows, edges = slice(start, stop), slice(start, stop + 1)
            bad = kernels.sparse.decode_rows(
                columns["data"],
                columns["offsets"][edges],
                columns["layouts"][rows],
                self.dim,
                indptr[edges],
                indices,
                weights,
            )
            return start + bad if bad >= 0 else -1

        bad = max(split_rows(decode, len(batch), num_threads))
        if bad >= 0:
            self.decode(self.row(batch, bad))
        return indptr, indices[: indptr[-1]], weights[: indptr[-1]]

    def row(self, batch, i):
        """Return row i of a batch as a record of its own."""
        columns = batch.columns
        data = columns["data"][columns["offsets"][i] : columns["offsets"][i + 1]].tobytes()
        layout = LAYOUTS[columns["layouts"][i]]
        metadata = SparseMetadata(self.dim, int(columns["nnz"][i]), layout)
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def expected_size(self, count=None):
        """Return the bytes of `count` non-zeros; of 5 % when no count is given."""
        nnz = self.dim // 20 if count is None else count
        return kernels.sparse.size(nnz, self.dim, _CODES[self.layout])

    def loss(self, original, decoded):
        """Return 1 - cosine of two sparse vectors; 0 when both are empty."""
        sides = [SparseVector(*self._parts(one), self.dim) for one in (original, decoded)]
        common = np.intersect1d(
            *(side.indices for side in sides), assume_unique=True, return_indices=True
        )[1:]
        left, right = (side.weights.astype(np.float64) for side in sides)
        scale = np.linalg.norm(left) * np.linalg.norm(right)
        if scale == 0:
            return float(np.any(left) != np.any(right))
        return 1.0 - float(left[common[0]] @ right[common[1]]) / scale

    def _parts(self, vector):
        if isinstance(vector, SparseVector):
            if vector.dimension != self.dim:
                raise DimensionMismatch(expected=self.dim, actual=vector.dimension)
            return vector.indices, vector.weights
        try:
            indices, weights = vector
            len(indices), len(weights)
        except (TypeError, ValueError):
            raise InvalidInput(
                what="sparse vector",
                expected="a SparseVector or (indices, weights)",
                actual=type(vector).__name__,
            ) from None
        return indices, weights

    def _require_sparse(self, nnz):
        if nnz * 100 > self.dim * MAX_PERCENT:
            raise SparseTooDense(
                expected_sparsity=MAX_PERCENT,
                nnz=nnz,
                total=self.dim,
                actual_pct=100 * nnz / self.dim,
            )

    def _encode_closely(self, indices, weights):
        """Sort and convert, or raise; fall from f16 to f32 where weights need it."""
        vector = SparseVector(indices, weights, self.dim)
        for code in dict.fromkeys((_CODES[self.layout], _F32)):
            data = kernels.sparse.encode_vector(vector.indices, vector.weights, self.dim, code)
            if data is not None:
                return data, code
        raise AssertionError("a SparseVector always fits in f32")

    def _header(self, quantized):
        if quantized.method is not self.method:
            raise MethodMismatch(expected=self.method, actual=quantized.method)
        metadata = quantized.metadata
        if not isinstance(metadata, SparseMetadata) or metadata.layout not in _CODES:
            raise MethodMismatch(expected="SparseMetadata", actual=repr(metadata))
        if not self.dim == quantized.original_dim == metadata.vocab_size:
            raise DimensionMismatch(expected=self.dim, actual=quantized.original_dim)
        nnz = metadata.nnz
        if not isinstance(nnz, int) or not 0 <= nnz <= self.dim:
            raise InvalidQuantizedData(
                method=self.method, actual_bytes=len(quantized.data), reason=f"nnz is {nnz}"
            )
        return nnz, _CODES[metadata.layout]

    def _require_own(self, batch):
        if batch.method is not self.method:
            raise MethodMismatch(expected=self.method, actual=batch.method)
        if batch.original_dim != self.dim:
            raise DimensionMismatch(expected=self.dim, actual=batch.original_dim)

    def _columns(self, vectors):
        if isinstance(vectors, tuple) and len(vectors) == 4:
            return self._csr_columns(*vectors)
        parts = [self._parts(vector) for vector in vectors]
        indptr = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(indices) for indices, _ in parts], out=indptr[1:])
        indices = [np.empty(0, np.uint32), *(one for one, _ in parts)]
        weights = [np.empty(0, np.float32), *(one for _, one in parts)]
        return indptr, np.concatenate(indices), np.concatenate(weights)

    def _csr_columns(self, indptr, indices, weights, dimension):
        if dimension != self.dim:
            raise DimensionMismatch(expected=self.dim, actual=dimension)
        indices = np.asarray(indices)
        return (
            np.ascontiguousarray(indptr, np.int64),
            np.ascontiguousarray(indices, np.uint32),
            as_float32(weights),
        )

    def _choose_layouts(self, indptr, weights):
        layouts = np.full(len(indptr) - 1, _CODES[self.layout], np.uint8)
        if self.layout == "compact_f16":
            kernels.sparse.fits_half(indptr, weights, layouts)
            layouts = np.where(layouts, np.uint8(_F16), np.uint8(_F32))
        return layouts

    def _sorted_rows(self, indptr, indices, weights):
        """Return every row as a SparseVector; raises for the first that is none."""
        return [
            SparseVector(indices[start:stop], weights[start:stop], self.dim)
            for start, stop in pairwise(indptr)
        ]


def _damage(data, nnz, dim, code):
    """Return the error that says what is wrong with bytes that were refused."""
    expected = kernels.sparse.size(nnz, dim, code)
    status = kernels.sparse.BAD_LENGTH
    if len(data) == expected:
        indices, weights = np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
        status = kernels.sparse.decode(data, dim, code, indices, weights)
    return InvalidQuantizedData(
        method=QuantizationMethod.SPARSE_NATIVE,
        expected_bytes=expected,
        actual_bytes=len(data),
        reason=_REASONS[status],
    )
