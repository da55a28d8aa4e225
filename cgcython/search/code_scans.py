"""Scans of equally long codes: float8, binary and product quantization."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.search.scan import Scan, invalid


class NormedScan(Scan):
    """Rows whose lengths are measured once: no query changes them."""

    def _norms(self):
        """Return one over the length of what each row decodes to, 0 for a length of 0."""
        if self._inverse_norms is None:
            self._inverse_norms = self._measured()
        return self._inverse_norms

    def _norms_of(self, rows):
        """Return those of some rows, where they were measured."""
        return None if self._inverse_norms is None else self._inverse_norms[rows]


class Float8Scan(NormedScan):
    """E4M3 codes, whose scale a cosine does not need; lengths are those of the codes' values."""

    def __init__(self, codes, scales, inverse_norms=None):
        self.codes, self.scales = codes, scales
        self._inverse_norms = inverse_norms

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        codes = _matrix(quantized, dim)
        if has_nan(codes):
            raise invalid(quantized, "a code is NaN")
        return cls(codes, np.array([one.metadata.scale for one in quantized], np.float32))

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        return cls(_joined(scans, "codes"), _joined(scans, "scales"))

    def arrays(self):
        """Return the arrays that a file keeps of this scan."""
        return {"codes": self.codes, "scales": self.scales, "inverse_norms": self._norms()}

    def __len__(self):
        return len(self.codes)

    def take(self, rows):
        """Return the scan of some rows."""
        return Float8Scan(self.codes[rows], self.scales[rows], self._norms_of(rows))

    def vectors(self, rows):
        """Return what some rows decode to."""
        values = np.empty((len(rows), self.codes.shape[1]), np.float32)
        kernels.e4m3.decode_rows(self.codes[rows], self.scales[rows], values)
        return values

    def vector(self, query):
        """Return a query as `vectors` has the rows."""
        return as_vector(query, self.codes.shape[1])

    def _directed(self):
        return self._norms() > 0

    def _prepare(self, query, metric):
        if metric == "cosine":
            self._norms()
        return as_vector(query, self.codes.shape[1])

    def _measured(self):
        norms = np.empty(len(self), np.float32)
        kernels.e4m3.inverse_norms(self.codes, norms)
        return norms

    def _score(self, query, metric, rows, out):
        if metric == "dot":
            kernels.e4m3.dot_rows(query, self.codes[rows], self.scales[rows], out)
        else:
            kernels.e4m3.cosine_rows(query, self.codes[rows], self._inverse_norms[rows], out)


class DecodedScan(Scan):
    """Vectors: of Float8 records with a bias, which this package reads but never writes."""

    def __init__(self, values):
        self.values = values

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        return cls(np.stack([Float8Codec(dim).decode(one) for one in quantized]))

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        return cls(_joined(scans, "values"))

    def __len__(self):
        return len(self.values)

    def take(self, rows):
        """Return the scan of some rows."""
        return DecodedScan(self.values[rows])

    def vectors(self, rows):
        """Return some rows."""
        return self.values[rows]

    def vector(self, query):
        """Return a query as `vectors` has the rows."""
        return as_vector(query, self.values.shape[1])

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
            raise invalid(quantized, "its padding bits are not zero")
        return cls(codes, BinaryCodec(dim, threshold))

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        return cls(_joined(scans, "codes"), scans[0].codec)

    def arrays(self):
        """Return the arrays that a file keeps of this scan."""
        return {"codes": self.codes}

    def __len__(self):
        return len(self.codes)

    def take(self, rows):
        """Return the scan of some rows."""
        return BinaryScan(self.codes[rows], self.codec)

    def vectors(self, rows):
        """Return the bits of some rows."""
        return self.codes[rows]

    def vector(self, query):
        """Return a query's bits."""
        return self._prepare(query, None)

    def like(self, query, stored):
        """Return the score of every row: the query is compared as it would be stored."""
        return self.scores(query)

    def _prepare(self, query, metric):
        return np.frombuffer(self.codec.encode(query).data, np.uint8)

    def _score(self, query, metric, rows, out):
        kernels.bits.agreement_rows(query, self.codes[rows], self.codec.dim, out)


class PQ8Scan(NormedScan):
    """Codes of one codebook, scored by its tables: the score of what they decode to."""

    def __init__(self, codes, codebook, inverse_norms=None):
        self.codes, self.codebook = codes, codebook
        self._inverse_norms = inverse_norms

    @classmethod
    def of(cls, quantized, codebook):
        """Return the scan of records."""
        first = quantized[0]
        shape = first.original_dim, first.metadata.num_subvectors
        if shape != (codebook.embedding_dim, codebook.num_subvectors):
            raise invalid(quantized, f"its codebook is not for {shape[0]} values in {shape[1]}")
        return cls(_matrix(quantized, codebook.num_subvectors), codebook)

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        return cls(_joined(scans, "codes"), scans[0].codebook)

    def arrays(self):
        """Return the arrays that a file keeps of this scan."""
        return {"codes": self.codes, "inverse_norms": self._norms()}

    def __len__(self):
        return len(self.codes)

    def take(self, rows):
        """Return the scan of some rows."""
        return PQ8Scan(self.codes[rows], self.codebook, self._norms_of(rows))

    def vectors(self, rows):
        """Return what some rows decode to."""
        return self.codebook.decode(self.codes[rows])

    def vector(self, query):
        """Return a query as `vectors` has the rows."""
        return as_vector(query, self.codebook.embedding_dim)

    def twins(self, query):
        """Return the rows that hold the query's own codes.

        Codes are nearest by distance; by cosine, coarse ones of another record can be nearer.
        """
        wanted = np.frombuffer(self.codebook.quantize(query), np.uint8)
        first = np.uint64 if len(wanted) % 8 == 0 else np.uint8
        rows = np.flatnonzero(self.codes.view(first)[:, 0] == wanted.view(first)[0])
        return rows[np.all(self.codes[rows] == wanted, axis=1)]

    def like(self, query, stored):
        """Return the cosine of every row with the query, coded by the codebook of these rows."""
        return self.scores(self.codebook.dequantize(self.codebook.quantize(query)))

    def _prepare(self, query, metric):
        query = as_vector(query, self.codebook.embedding_dim)
        tables = self.codebook.search_tables(query)
        if metric == "dot":
            return tables, np.linalg.norm(query.astype(np.float64))
        self._norms()
        return tables, 1.0

    def _measured(self):
        norms = np.empty(len(self), np.float32)
        tables = self.codebook.search_tables(np.zeros(self.codebook.embedding_dim, np.float32))
        kernels.adc.scan(tables.norms, self.codes, norms)
        norms += np.float32(tables.norm_constant)
        np.sqrt(np.maximum(norms, 0, out=norms), out=norms)
        return np.divide(1, norms, out=norms, where=norms > 0)

    def _score(self, prepared, metric, rows, out):
        tables, norm = prepared
        factors = norm if metric == "dot" else self._inverse_norms[rows]
        kernels.adc.scan(tables.dots, self.codes[rows], out)
        np.add(out, np.float32(tables.dot_constant), out=out)
        np.multiply(out, factors, out=out, dtype=np.float32)


def has_nan(codes):
    """Return whether one of the E4M3 codes is NaN."""
    return bool(np.any(codes & 0x7F == 0x7F))


def _joined(scans, name):
    return np.concatenate([getattr(scan, name) for scan in scans])


def _matrix(quantized, width):
    joined = b"".join(one.data for one in quantized)
    return np.frombuffer(joined, np.uint8).reshape(len(quantized), width)
