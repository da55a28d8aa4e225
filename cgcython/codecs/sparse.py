"""Sparse vectors as exact pairs, or compactly: Elias-Fano indices, weights as f16, f32 or u8."""

from dataclasses import dataclass
from itertools import pairwise, repeat

import numpy as np

from cgcython import kernels
from cgcython.base import QuantizationMethod
from cgcython.codecs import csr
from cgcython.codecs.base import (
    invalid,
    output,
    output_columns,
    payloads_at,
    records_of,
    require_columns,
    require_count,
    require_kind,
    rows_as,
)
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError, SparseTooDense
from cgcython.metadata import SparseMetadata
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding, SparseVector

LAYOUTS = ("canonical", "compact_f16", "compact_f32", "compact_u8")
_NUMBERS = {layout: number for number, layout in enumerate(LAYOUTS)}
_F16, _F32 = _NUMBERS["compact_f16"], _NUMBERS["compact_f32"]
MAX_PERCENT = 10
_REASONS = (
    None,
    "wrong length",
    "the count differs",
    "padding is not zero",
    "indices do not ascend within the dimension",
    "a weight is not finite",
)


@dataclass(frozen=True)
class SparseCodec:
    """The non-zeros of vectors of `dim` values, at most 10 % of them.

    `compact_f16` keeps a vector as `compact_f32` when its largest weight is not a normal f16;
    `compact_u8` keeps of each weight which of 256 even steps its root, sign kept, is nearest.
    """

    dim: int
    layout: str = "canonical"
    method = QuantizationMethod.SPARSE_NATIVE

    def __post_init__(self):
        if self.layout not in LAYOUTS:
            raise InvalidInput(what="layout", expected=" or ".join(LAYOUTS), actual=self.layout)
        if not isinstance(self.dim, int) or not 1 <= self.dim < 2**32:
            raise InvalidInput(what="dim", expected="1 to 2**32 - 1", actual=self.dim)
        object.__setattr__(self, "_number", _NUMBERS[self.layout])
        object.__setattr__(self, "_most", self.dim * MAX_PERCENT // 100)

    def encode(self, vector):
        """Return the record of a SparseVector or of (indices, weights).

        >>> SparseCodec(dim=100).encode(([7, 2], [0.5, 1.0])).data.hex()
        '02000000020000000000803f070000000000003f'
        """
        indices, weights = self._parts(vector)
        nnz, number = len(indices), self._number
        if nnz > self._most:
            self._require_sparse(nnz)
        data = kernels.sparse.encode_vector(indices, weights, self.dim, number)
        if data is None and number == _F16:  # for most: f16 does not hold the weights
            number = _F32
            data = kernels.sparse.encode_vector(indices, weights, self.dim, number)
        if data is None:
            data, number = self._encode_closely(indices, weights)
        # The named constructor, which is Python, takes twice as long.
        metadata = tuple.__new__(SparseMetadata, (self.dim, nnz, LAYOUTS[number]))
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(self, quantized, out=None):
        """Return the SparseVector of a record of any layout.

        `out` is (indices u32, weights f32) arrays of nnz elements to use.
        """
        nnz, number = self._header(quantized)
        if out is None:
            arrays = kernels.sparse.decode_vector(quantized.data, nnz, self.dim, number)
            if arrays is None:
                raise self._damage(quantized.data, nnz, number)
            return SparseVector.trusted(*arrays, self.dim)
        self._require_bytes(quantized.data, nnz, number)
        indices, weights = output(out[0], (nnz,), np.uint32), output(out[1], (nnz,))
        if kernels.sparse.decode(quantized.data, self.dim, number, indices, weights):
            raise self._damage(quantized.data, nnz, number)
        return SparseVector.trusted(indices, weights, self.dim)

    def encode_batch(self, vectors, num_threads=1, out=None):
        """Return the batch of a list of vectors, or of (indptr, indices, weights, dimension).

        Columns: `data`, `offsets`, `nnz` and `layouts`, which are positions in LAYOUTS. `out` is a
        batch of the same sizes whose columns may be reused.
        """
        rows = self._rows(vectors)
        batch = self._empty_batch(*rows, out)
        if not self._fill(batch.columns, *rows, num_threads):
            rows = self._rows(self._sorted_rows(*rows))
            batch = self._empty_batch(*rows, out)
            self._fill(batch.columns, *rows, num_threads)
        return batch

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the CSR columns (indptr i64, indices u32, weights f32) of a batch.

        `out` is three such arrays of the right lengths to use.
        """
        data, offsets, layouts, indptr = self._checked_columns(batch)
        out = out or (None, None, None)
        edges_out = output(out[0], indptr.shape, np.int64)
        edges_out[:] = indptr
        indices, weights = output(out[1], (indptr[-1],), np.uint32), output(out[2], (indptr[-1],))

        def decode(start, stop):
            rows, edges = slice(start, stop), slice(start, stop + 1)
            bad = kernels.sparse.decode_rows(
                data, offsets[edges], layouts[rows], self.dim, indptr[edges], indices, weights
            )
            return start + bad if bad >= 0 else len(layouts)

        bad = min(split_rows(decode, len(layouts), num_threads))
        if bad < len(layouts):
            _naming_row(bad, self.decode, self.row(batch, bad))
        return edges_out, indices, weights

    def row(self, batch, i):
        """Return row i of a batch as a record."""
        columns, i = batch.columns, range(len(batch))[i]
        data = columns["data"][columns["offsets"][i] : columns["offsets"][i + 1]].tobytes()
        layout = LAYOUTS[columns["layouts"][i]]
        metadata = SparseMetadata(self.dim, int(columns["nnz"][i]), layout)
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def rows(self, batch):
        """Return all rows of a batch as records."""
        columns = batch.columns
        parts = payloads_at(columns["data"], columns["offsets"])
        counts, layouts = columns["nnz"].tolist(), columns["layouts"].tolist()
        names = map(LAYOUTS.__getitem__, layouts)
        return records_of(self, parts, rows_as(SparseMetadata, repeat(self.dim), counts, names))

    def expected_size(self, count=None):
        """Return the bytes of `count` non-zeros; of 5 % of the dimension without a count."""
        nnz = self.dim // 20 if count is None else count
        require_count(nnz)
        self._require_sparse(nnz)
        return kernels.sparse.size(nnz, self.dim, _NUMBERS[self.layout])

    def loss(self, original, decoded):
        """Return 1 - cosine."""
        a, b = self._as_vector(original), self._as_vector(decoded)
        norms = np.linalg.norm(a.weights.astype(float)) * np.linalg.norm(b.weights.astype(float))
        if norms == 0:
            return 0.0 if not a.weights.any() and not b.weights.any() else 1.0
        if np.array_equal(a.indices, b.indices):  # as of every vector and its own record
            return float(1 - a.weights.astype(float) @ b.weights / norms)
        _, i, j = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
        return float(1 - a.weights[i].astype(float) @ b.weights[j] / norms)

    def _parts(self, vector):
        if isinstance(vector, SparseVector):
            if vector.dimension != self.dim:
                raise DimensionMismatch(expected=self.dim, actual=vector.dimension)
            return vector.indices, vector.weights
        if not (isinstance(vector, (tuple, list)) and len(vector) == 2):
            expected = "a SparseVector or (indices, weights)"
            raise InvalidInput(what="vector", expected=expected, actual=type(vector).__name__)
        indices = np.asarray(vector[0])
        if indices.ndim != 1:
            raise DimensionMismatch(expected=1, actual=indices.ndim, what="dimensions of indices")
        return indices, vector[1]

    def _as_vector(self, vector):
        indices, weights = self._parts(vector)
        if isinstance(vector, SparseVector):
            return vector
        return SparseVector(indices, weights, self.dim)

    def _require_sparse(self, nnz):
        if nnz * 100 > self.dim * MAX_PERCENT:
            percent = 100 * nnz / self.dim
            raise SparseTooDense(
                expected_sparsity=MAX_PERCENT, nnz=nnz, total=self.dim, actual_pct=percent
            )

    def _encode_closely(self, indices, weights):
        """Sort and convert, or say what is wrong; keep f32 where f16 does not hold the weights."""
        vector = SparseVector(indices, weights, self.dim)
        data, number = None, _NUMBERS[self.layout]
        while data is None:
            data = kernels.sparse.encode_vector(vector.indices, vector.weights, self.dim, number)
            number = number if data is not None else _F32
        return data, number

    def _header(self, quantized):
        metadata = quantized.metadata
        if not (
            quantized.method is self.method
            and type(metadata) is SparseMetadata
            and quantized.original_dim == self.dim
        ):
            require_kind(quantized, self, SparseMetadata)
        vocab_size, nnz, layout = metadata
        if vocab_size != self.dim or layout not in LAYOUTS:
            raise invalid(self, f"metadata is {metadata}")
        if not (type(nnz) is int or isinstance(nnz, np.integer)) or not 0 <= nnz <= self.dim:
            raise invalid(self, f"{nnz} non-zeros of {self.dim}")
        return nnz, _NUMBERS[layout]

    def _require_bytes(self, data, nnz, number):
        expected = kernels.sparse.size(nnz, self.dim, number)
        if len(data) != expected:
            raise invalid(self, expected=expected, actual=len(data))

    def _damage(self, data, nnz, number):
        """Return the error that says why a kernel refused these bytes."""
        self._require_bytes(data, nnz, number)
        scratch = np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
        return invalid(self, _REASONS[kernels.sparse.decode(data, self.dim, number, *scratch)])

    def _rows(self, vectors):
        """Return (indptr, indices, weights) in the types the kernels take."""
        if isinstance(vectors, tuple) and len(vectors) == 4 and np.ndim(vectors[0]) == 1:
            *rows, dimension = vectors
            if dimension != self.dim:
                raise DimensionMismatch(expected=self.dim, actual=dimension)
            return csr.checked(*rows, self.dim)
        return csr.joined([self._as_vector(vector) for vector in vectors])

    def _empty_batch(self, indptr, indices, weights, out):
        """Return a batch with room for these rows, its columns besides `data` filled in."""
        counts = np.diff(indptr)
        self._require_sparse(int(counts.max(initial=0)))
        layouts = self._choose_layouts(indptr, weights)
        offsets = np.empty(len(indptr), np.int64)
        kernels.sparse.measure_rows(indptr, self.dim, layouts, offsets)
        columns = _columns_of(len(layouts)) | {"data": ((int(offsets[-1]),), np.uint8)}
        columns = dict(zip(columns, output_columns(out, self, **columns)))
        columns["offsets"][:], columns["nnz"][:], columns["layouts"][:] = offsets, counts, layouts
        return QuantizedBatch(self.method, self.dim, columns, {"layout": self.layout})

    def _choose_layouts(self, indptr, weights):
        layouts = np.full(len(indptr) - 1, _NUMBERS[self.layout], np.uint8)
        if self.layout == "compact_f16":
            kernels.sparse.fits_half(indptr, weights, layouts)
            layouts = np.where(layouts, np.uint8(_F16), np.uint8(_F32))
        return layouts

    def _fill(self, columns, indptr, indices, weights, num_threads):
        """Write `data`; return False when a row is unsorted or damaged."""
        data, offsets, layouts = columns["data"], columns["offsets"], columns["layouts"]

        def encode(start, stop):
            rows, edges = slice(start, stop), slice(start, stop + 1)
            return kernels.sparse.encode_rows(
                indptr[edges], indices, weights, self.dim, layouts[rows], data, offsets[edges]
            )

        return max(split_rows(encode, len(layouts), num_threads)) < 0

    def _sorted_rows(self, indptr, indices, weights):
        """Return each row as a SparseVector, or say which is none and why."""
        return [
            _naming_row(row, SparseVector, indices[start:stop], weights[start:stop], self.dim)
            for row, (start, stop) in enumerate(pairwise(indptr))
        ]

    def _checked_columns(self, batch):
        """Return data, offsets, layouts and indptr, so that nothing is allocated for a lie."""
        offsets, nnz, layouts = require_columns(batch, self, **_columns_of(len(batch)))
        indptr, expected = np.zeros(len(offsets), np.int64), np.empty(len(offsets), np.int64)
        np.cumsum(nnz, out=indptr[1:])
        if np.any(nnz > self.dim) or np.any(layouts >= len(LAYOUTS)):
            raise invalid(self, "a count or layout is out of range")
        kernels.sparse.measure_rows(indptr, self.dim, layouts, expected)
        (data,) = require_columns(batch, self, data=((int(offsets[-1]),), np.uint8))
        if not np.array_equal(offsets, expected):
            raise invalid(self, "offsets do not fit the counts", int(expected[-1]), len(data))
        return data, offsets, layouts, indptr


def _columns_of(rows):
    return {
        "offsets": ((rows + 1,), np.int64),
        "nnz": ((rows,), np.uint32),
        "layouts": ((rows,), np.uint8),
    }


def _naming_row(row, function, *arguments):
    try:
        return function(*arguments)
    except QuantizationError as error:
        error.add_note(f"in row {row}")
        raise
