"""Scans of equally long codes: float8, binary and product quantization."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_vector
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.search.scan import Scan, invalid


class Float8Scan(Scan):
    """E4M3 codes, whose scale a cosine does not need."""

    def __init__(self, codes, scales):
        self.codes, self.scales = codes, scales

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        codes = _matrix(quantized, dim)
        if any(b"\x7f" in one.data or b"\xff" in one.data for one in quantized):
            raise invalid(quantized, "a code is NaN")
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
            raise invalid(quantized, "its padding bits are not zero")
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
            raise invalid(quantized, f"its codebook is not for {shape[0]} values in {shape[1]}")
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
            kernels.adc.scan(tables.dots, self.codes[rows], out)
            np.multiply(out + tables.dot_constant, norm, out=out, dtype=np.float32)
        else:
            kernels.adc.cosine(*tables, self.codes[rows], out)


def _matrix(quantized, width):
    joined = b"".join(one.data for one in quantized)
    return np.frombuffer(joined, np.uint8).reshape(len(quantized), width)
