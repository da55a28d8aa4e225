"""Scores one query against the codes of many records of one embedder, where the codes lie.

A scan holds records that one query meets in one pass: of one method and dimension and, where
the method has them, one codebook, threshold or layout. Scores are cosines for dense and sparse
embeddings (dot products when asked for), 1 - distance / bits for binary ones, MaxSim for tokens.
"""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, as_vector
from cgcython.base import QuantizationMethod
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.sparse import LAYOUTS, SparseCodec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.errors import DimensionMismatch, InvalidInput, InvalidQuantizedData
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch
from cgcython.similarity import PreparedQuery

METRICS = ("cosine", "dot")


def scan_key(quantized):
    """Return what records must share to be in one scan: its class and what queries depend on."""
    metadata, dim = quantized.metadata, quantized.original_dim
    match quantized.method:
        case QuantizationMethod.FLOAT8_E4M3:
            return (Float8Scan if metadata.bias == 0 else DecodedScan), dim
        case QuantizationMethod.BINARY:
            return BinaryScan, dim, metadata.threshold
        case QuantizationMethod.PQ8:
            return PQ8Scan, dim, metadata.codebook_id
        case QuantizationMethod.SPARSE_NATIVE:
            return SparseScan, dim
        case QuantizationMethod.TOKEN_PRUNING:
            coded = metadata.layout == "compact_e4m3"
            return (CodedTokenScan if coded else TokenScan), dim


def make_scan(quantized, find_codebook):
    """Return the scan of records that share their `scan_key`; codebooks are found by id.

    Raises InvalidQuantizedData when a record cannot be decoded, and CodebookMissing.
    """
    kind, *shared = scan_key(quantized[0])
    if kind is PQ8Scan:
        shared = [find_codebook(shared[1])]
    return kind.of(quantized, *shared)


class Scan:
    """Rows that can be scored; a subclass prepares the query and scores a slice of rows."""

    def scores(self, query, metric="cosine", num_threads=1):
        """Return the score of every row."""
        if metric not in METRICS:
            raise InvalidInput(what="metric", expected=" or ".join(METRICS), actual=metric)
        out = np.empty(len(self), np.float32)
        prepared = self._prepare(query, metric)

        def score(start, stop):
            self._score(prepared, metric, slice(start, stop), out[start:stop])

        split_rows(score, len(self), num_threads)
        return out

    def like(self, query, stored):
        """Return the cosine of every row with `stored`, the query as a record would hold it.

        Nothing is like nothing: two zero embeddings score 1.
        """
        scores = self.scores(stored)
        if not _any(stored):
            scores[~self._directed()] = 1
        return scores

    def twins(self, query):
        """Return which rows are what the query would be stored as, where scores may hide it."""
        return np.zeros(len(self), bool)


class Float8Scan(Scan):
    """E4M3 codes, whose scale a cosine does not need."""

    def __init__(self, codes, scales):
        self.codes, self.scales = codes, scales

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        codes = _matrix(quantized, dim)
        if any(b"\x7f" in one.data or b"\xff" in one.data for one in quantized):
            raise _invalid(quantized, "a code is NaN")
        return cls(codes, np.array([one.metadata.scale for one in quantized], np.float32))

    def __len__(self):
        return len(self.codes)

    def take(self, rows):
        """Return the scan of some rows."""
        return Float8Scan(self.codes[rows], self.scales[rows])

    def _directed(self):
        return np.any(self.codes & 0x7F, axis=1)

    def _prepare(self, query, metric):
        return as_vector(query, self.codes.shape[1])

    def _score(self, query, metric, rows, out):
        if metric == "dot":
            kernels.e4m3.dot_rows(query, self.codes[rows], self.scales[rows], out)
        else:
            kernels.e4m3.cosine_rows(query, self.codes[rows], out)


class DecodedScan(Scan):
    """Vectors: of Float8 records with a bias, which this package reads but never writes."""

    def __init__(self, values):
        self.values = values

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        return cls(np.stack([Float8Codec(dim).decode(one) for one in quantized]))

    def __len__(self):
        return len(self.values)

    def take(self, rows):
        """Return the scan of some rows."""
        return DecodedScan(self.values[rows])

    def _directed(self):
        return np.any(self.values, axis=1)

    def _prepare(self, query, metric):
        return as_vector(query, self.values.shape[1])

    def _score(self, query, metric, rows, out):
        score = kernels.dense.dot_rows if metric == "dot" else kernels.dense.cosine_rows
        score(query, self.values[rows], out)


class BinaryScan(Scan):
    """Sign bits; the score is the part of bits that agree, whatever the metric."""

    def __init__(self, codes, codec):
        self.codes, self.codec = codes, codec

    @classmethod
    def of(cls, quantized, dim, threshold):
        """Return the scan of records."""
        codes = _matrix(quantized, (dim + 7) // 8)
        if not kernels.bits.padding_is_zero(codes, dim):
            raise _invalid(quantized, "its padding bits are not zero")
        return cls(codes, BinaryCodec(dim, threshold))

    def __len__(self):
        return len(self.codes)

    def take(self, rows):
        """Return the scan of some rows."""
        return BinaryScan(self.codes[rows], self.codec)

    def like(self, query, stored):
        """Return the score of every row: the query is compared as it would be stored."""
        return self.scores(query)

    def _prepare(self, query, metric):
        return np.frombuffer(self.codec.encode(query).data, np.uint8)

    def _score(self, query, metric, rows, out):
        distances = np.empty(len(out), np.uint32)
        kernels.bits.hamming_rows(query, self.codes[rows], distances)
        np.subtract(1, distances / np.float32(self.codec.dim), out=out, dtype=np.float32)


class PQ8Scan(Scan):
    """Codes of one codebook, scored by its tables: the score of what they decode to."""

    def __init__(self, codes, codebook):
        self.codes, self.codebook = codes, codebook

    @classmethod
    def of(cls, quantized, codebook):
        """Return the scan of records."""
        first = quantized[0]
        shape = first.original_dim, first.metadata.num_subvectors
        if shape != (codebook.embedding_dim, codebook.num_subvectors):
            raise _invalid(quantized, f"its codebook is not for {shape[0]} values in {shape[1]}")
        return cls(_matrix(quantized, codebook.num_subvectors), codebook)

    def __len__(self):
        return len(self.codes)

    def take(self, rows):
        """Return the scan of some rows."""
        return PQ8Scan(self.codes[rows], self.codebook)

    def twins(self, query):
        """Return which rows hold the query's own codes.

        Codes are nearest by distance; by cosine, coarse ones of another record can be nearer.
        """
        return np.all(self.codes == np.frombuffer(self.codebook.quantize(query), np.uint8), axis=1)

    def like(self, query, stored):
        """Return the cosine of every row with the query, coded by the codebook of these rows."""
        return self.scores(self.codebook.dequantize(self.codebook.quantize(query)))

    def _prepare(self, query, metric):
        query = as_vector(query, self.codebook.embedding_dim)
        return self.codebook.search_tables(query), np.linalg.norm(query.astype(np.float64))

    def _score(self, prepared, metric, rows, out):
        tables, norm = prepared
        if metric == "dot":
            kernels.pq.adc_scan(tables.dots, self.codes[rows], out)
            np.multiply(out + tables.dot_constant, norm, out=out, dtype=np.float32)
        else:
            kernels.pq.adc_cosine(*tables, self.codes[rows], out)


class SparseScan(Scan):
    """Non-zeros of many vectors in rows: indptr, indices, weights."""

    def __init__(self, indptr, indices, weights, dim):
        self.indptr, self.indices, self.weights, self.dim = indptr, indices, weights, dim
        self.norms = np.empty(len(indptr) - 1, np.float32)
        kernels.sparse.norms(indptr, weights, self.norms)

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        codec, (data, offsets) = SparseCodec(dim), _concatenated(quantized)
        layouts = [LAYOUTS.index(one.metadata.layout) for one in quantized]
        columns = {
            "data": data,
            "offsets": offsets,
            "nnz": np.array([one.metadata.nnz for one in quantized], np.uint32),
            "layouts": np.array(layouts, np.uint8),
        }
        return cls(*codec.decode_batch(QuantizedBatch(codec.method, dim, columns)), dim)

    def __len__(self):
        return len(self.norms)

    def take(self, rows):
        """Return the scan of some rows."""
        spans = [slice(self.indptr[row], self.indptr[row + 1]) for row in rows]
        indptr = np.cumsum([0, *(span.stop - span.start for span in spans)], dtype=np.int64)
        indices, weights = (
            np.concatenate([column[:0], *(column[span] for span in spans)])
            for column in (self.indices, self.weights)
        )
        return SparseScan(indptr, indices, weights, self.dim)

    def _directed(self):
        return self.norms > 0

    def _prepare(self, query, metric):
        if query.dimension != self.dim:
            raise DimensionMismatch(expected=self.dim, actual=query.dimension)
        dense = np.zeros(self.dim, np.float32)
        weights = query.weights.astype(np.float64)
        dense[query.indices] = (
            weights if metric == "dot" else weights / (np.linalg.norm(weights) or 1)
        )
        return dense

    def _score(self, query, metric, rows, out):
        indptr = self.indptr[rows.start : rows.stop + 1]
        kernels.sparse.dot_rows(query, indptr, self.indices, self.weights, out)
        if metric == "cosine":
            norms = self.norms[rows]
            np.divide(out, norms, out=out, where=norms > 0)


class _TokenScan(Scan):
    """Documents of tokens; the score is MaxSim, whatever the metric."""

    def __init__(self, values, starts, counts, dim):
        self.values, self.starts, self.counts, self.dim = values, starts, counts, dim

    def __len__(self):
        return len(self.starts)

    def take(self, rows):
        """Return the scan of some rows."""
        return type(self)(self.values, self.starts[rows], self.counts[rows], self.dim)

    def _prepare(self, query, metric):
        return PreparedQuery.of(as_tokens(query, self.dim))

    def _score(self, query, metric, rows, out):
        self._sum(query, self.starts[rows], self.counts[rows], out)
        np.clip(out / np.float32(max(query.count, 1)), 0, 1, out=out)


class CodedTokenScan(_TokenScan):
    """Tokens as E4M3 codes, scored inside their payloads."""

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        for one in quantized:
            TokenPruningCodec(dim).positions(one)
        data, offsets = _concatenated(quantized)
        originals, counts = _token_counts(quantized)
        # The bitmap of kept positions and a scale per token stand before the codes.
        return cls(data, offsets[:-1] + (originals + 7) // 8 + 4 * counts, counts, dim)

    def _directed(self):
        spans = zip(self.starts, self.starts + self.counts * self.dim)
        return np.array([np.any(self.values[a:b] & 0x7F) for a, b in spans], bool)

    def _sum(self, query, starts, counts, sums):
        kernels.maxsim.score_codes(query.packed, query.count, self.values, starts, counts, sums)


class TokenScan(_TokenScan):
    """Tokens as float32 rows."""

    def __init__(self, values, starts, counts, dim, norms=None):
        super().__init__(values, starts, counts, dim)
        self.norms = np.empty(len(values), np.float32)
        kernels.maxsim.inverse_norms(values, self.norms)

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        rows = [TokenPruningCodec(dim).decode(one) for one in quantized]
        counts = _token_counts(quantized)[1]
        return cls(np.concatenate(rows), np.cumsum(counts) - counts, counts, dim)

    def _directed(self):
        spans = zip(self.starts, self.starts + self.counts)
        return np.array([np.any(self.values[a:b]) for a, b in spans], bool)

    def _sum(self, query, starts, counts, sums):
        packed, values = query.packed, self.values
        kernels.maxsim.score(packed, query.count, values, self.norms, starts, counts, sums)


def _any(embedding):
    return np.any(getattr(embedding, "weights", embedding))


def _token_counts(quantized):
    counts = [(one.metadata.original_tokens, one.metadata.kept_tokens) for one in quantized]
    return np.array(counts, np.int64).T.copy()


def _matrix(quantized, width):
    joined = b"".join(one.data for one in quantized)
    return np.frombuffer(joined, np.uint8).reshape(len(quantized), width)


def _concatenated(quantized):
    data = np.frombuffer(b"".join(one.data for one in quantized), np.uint8)
    return data, np.cumsum([0, *(len(one.data) for one in quantized)], dtype=np.int64)


def _invalid(quantized, reason):
    return InvalidQuantizedData(method=quantized[0].method, reason=reason)
