"""Scans of sparse vectors, in rows and by inverted lists."""

from functools import cached_property

import numpy as np

from cgcython import kernels
from cgcython.codecs.sparse import LAYOUTS, SparseCodec
from cgcython.errors import DimensionMismatch
from cgcython.records import QuantizedBatch
from cgcython.search.scan import Scan, concatenated

MANY_POSTINGS = 250_000  # half a millisecond
_POSTINGS = ("list_starts", "list_rows", "list_weights")


class SparseScan(Scan):
    """Non-zeros of many vectors in rows: indptr, indices, weights."""

    def __init__(self, indptr, indices, weights, dim, norms=None):
        self.indptr, self.indices, self.weights, self.dim = indptr, indices, weights, dim
        self.norms = self._measured() if norms is None else norms

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        codec, (data, offsets) = SparseCodec(dim), concatenated(quantized)
        layouts = [LAYOUTS.index(one.metadata.layout) for one in quantized]
        columns = {
            "data": data,
            "offsets": offsets,
            "nnz": np.array([one.metadata.nnz for one in quantized], np.uint32),
            "layouts": np.array(layouts, np.uint8),
        }
        return cls(*codec.decode_batch(QuantizedBatch(codec.method, dim, columns)), dim)

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        counts = np.concatenate([np.diff(scan.indptr) for scan in scans])
        indices = np.concatenate([scan.indices for scan in scans])
        weights = np.concatenate([scan.weights for scan in scans])
        return cls(np.cumsum([0, *counts]), indices, weights, scans[0].dim)

    def __len__(self):
        return len(self.norms)

    def take(self, rows):
        """Return the scan of some rows."""
        return SparseScan(*self._taken(rows), self.dim)

    def _taken(self, rows):
        spans = [slice(self.indptr[row], self.indptr[row + 1]) for row in rows]
        indptr = np.cumsum([0, *(span.stop - span.start for span in spans)], dtype=np.int64)
        indices, weights = (
            np.concatenate([column[:0], *(column[span] for span in spans)])
            for column in (self.indices, self.weights)
        )
        return indptr, indices, weights

    def _measured(self):
        norms = np.empty(len(self.indptr) - 1, np.float32)
        kernels.sparse_products.norms(self.indptr, self.weights, norms)
        return norms

    def _directed(self):
        return self.norms > 0

    def _prepare(self, query, metric):
        dense = np.zeros(self.dim, np.float32)
        dense[query.indices] = self._query_weights(query, metric)
        return dense

    def _query_weights(self, query, metric):
        if query.dimension != self.dim:
            raise DimensionMismatch(expected=self.dim, actual=query.dimension)
        weights = query.weights.astype(np.float64)
        length = 1 if metric == "dot" else np.linalg.norm(weights) or 1
        return (weights / length).astype(np.float32)

    def _score(self, query, metric, rows, out):
        self._dot(query, rows, out)
        if metric == "cosine":
            norms = self.norms[rows]
            np.divide(out, norms, out=out, where=norms > 0)

    def _dot(self, query, rows, out):
        indptr = self.indptr[rows.start : rows.stop + 1]
        kernels.sparse_products.dot_rows(query, indptr, self.indices, self.weights, out)


class InvertedScan(SparseScan):
    """Non-zeros of vectors that many queries meet: also by index, so that a query reads its own.

    The rows stay, because a few of them are scored faster than found in the lists.
    """

    @classmethod
    def from_arrays(cls, arrays, dim):
        """Return the scan of the `arrays` of another, which are used as they are."""
        postings = tuple(arrays[name] for name in _POSTINGS)
        rows = (arrays[name] for name in ("indptr", "indices", "weights"))
        scan = cls(*rows, dim, arrays["norms"])
        scan.postings = postings
        return scan

    def arrays(self):
        """Return the arrays that a file keeps of this scan."""
        rows = {name: getattr(self, name) for name in ("indptr", "indices", "weights", "norms")}
        return {**rows, **dict(zip(_POSTINGS, self.postings))}

    def without_others(self, rows):
        """Return the scan of some rows for as many queries as this one."""
        return InvertedScan(*self._taken(rows), self.dim)

    @cached_property
    def postings(self):
        """Return where the list of each index begins, and the lists: rows and weights."""
        postings = (
            np.empty(self.dim + 1, np.int64),
            np.empty_like(self.indices),
            np.empty_like(self.weights),
        )
        kernels.sparse_products.invert(self.indptr, self.indices, self.weights, *postings)
        return postings

    def _prepare(self, query, metric):
        weights = self._query_weights(query, metric)
        return query.indices, weights, *self.postings

    def _threads(self, prepared, num_threads):
        """One where a thread would take longer to start than the lists to read."""
        terms, starts = prepared[0], prepared[2]
        postings = int((starts[1:][terms] - starts[:-1][terms]).sum())
        return num_threads if postings >= MANY_POSTINGS else 1

    def _dot(self, query, rows, out):
        kernels.sparse_products.score_postings(*query, rows.start, out)
