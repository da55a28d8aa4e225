"""The sides that a corpus is ranked by: as float32, as codes made now, as records of a store.

A side turns a block of documents into a Block; only one block of a corpus is held at a time.
"""

import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cgcython.arrays import as_matrix
from cgcython.base import QuantizationMethod
from cgcython.codecs.measures import cosine_losses
from cgcython.frames import write_section
from cgcython.search.scans import make_scan, scan_key
from cgcython.search.sparse_scans import InvertedScan
from cgcython.search.token_scans import Float32TokenScan
from cgcython.search.vector_scan import VectorScan

NEAR_BYTES = 1 << 20
ENOUGH_SECONDS, MOST_REPEATS = 0.2, 5


class Block(NamedTuple):
    """Some documents of a side: (rows, scan) pairs, losses as fractions, and bytes.

    `framed_bytes` counts what a fingerprint puts around each code too.
    """

    scans: list
    num_bytes: int
    losses: np.ndarray | None = None
    framed_bytes: int = 0
    layouts: frozenset = frozenset()


class Exact:
    """Documents as float32, scored by the scans that score codes once they are decoded."""

    encode_us: float | None = None

    def __init__(self, method):
        self.method = method

    def asked(self, queries):
        """Return the queries as this side takes them."""
        return queries

    def block(self, documents, first, num_threads=1):
        """Return the Block of documents: rows, CSR columns or token matrices."""
        match self.method:
            case QuantizationMethod.SPARSE_NATIVE:
                indptr, indices, weights, dimension = documents
                indices, weights = np.asarray(indices, np.uint32), np.asarray(weights, np.float32)
                scan = InvertedScan(np.asarray(indptr, np.int64), indices, weights, dimension)
                num_bytes = 8 * len(indices)
            case QuantizationMethod.TOKEN_PRUNING:
                values = np.concatenate(documents)
                counts = np.array([len(one) for one in documents], np.int64)
                scan = Float32TokenScan(values, np.cumsum(counts) - counts, counts, values.shape[1])
                num_bytes = values.nbytes
            case _:
                return Block(near(as_matrix(documents)), documents.nbytes)
        return Block([(slice(None), scan)], num_bytes)


def near(values):
    """Return scans of few enough rows to stay in a core's cache while queries meet them."""
    step = max(1, NEAR_BYTES // max(1, values[:1].nbytes))
    parts = (slice(start, start + step) for start in range(0, len(values), step))
    return [(rows, VectorScan(values[rows])) for rows in parts]


class Codes(Exact):
    """What a codec makes of documents, timed on the first block."""

    def __init__(self, codec):
        super().__init__(codec.method)
        self.codec, self.encode_us = codec, None

    def block(self, documents, first, num_threads=1):
        if self.encode_us is None:
            self.encode_us, batch = timed(self.codec.encode_batch, documents)
        else:
            batch = self.codec.encode_batch(documents, num_threads)
        if self.method in (QuantizationMethod.SPARSE_NATIVE, QuantizationMethod.TOKEN_PRUNING):
            decoded = None
        else:
            decoded = self.codec.decode_batch(batch, num_threads)
        return self._block(documents, self.codec.rows(batch), decoded)

    def _block(self, documents, records, decoded=None):
        """Return the Block of records; `decoded` where they are decoded already."""
        groups = {}
        for row, record in enumerate(records):
            groups.setdefault(scan_key(record), []).append(row)
        scans = [
            (rows, make_scan([records[row] for row in rows], self._find_codebook))
            for rows in groups.values()
        ]
        if decoded is None:
            decoded = [self._decode(record) for record in records]
        return Block(
            scans,
            sum(record.size_bytes for record in records),
            self._losses(documents, decoded),
            sum(len(write_section(record)) for record in records),
            frozenset(getattr(record.metadata, "layout", None) for record in records) - {None},
        )

    def _find_codebook(self, codebook_id):
        return self.codec.codebook

    def _decode(self, record):
        return self.codec.decode(record)

    def _losses(self, documents, decoded):
        match self.method:
            case QuantizationMethod.SPARSE_NATIVE:
                indptr, indices, weights, _ = documents
                originals = [(indices[a:b], weights[a:b]) for a, b in pairwise(indptr)]
            case QuantizationMethod.TOKEN_PRUNING:
                originals = documents
            case _:
                return cosine_losses(documents, np.asarray(decoded))
        losses = np.array([self.codec.loss(*pair) for pair in zip(originals, decoded)])
        return np.maximum(losses, 0.0)  # rounding may go below zero


class Stored(Codes):
    """Records that are there already: `fetch(first, count)` returns them, a router reads them.

    What encoding takes is still measured, on the first block.
    """

    def __init__(self, codec, router, fetch):
        super().__init__(codec)
        self.router, self.fetch = router, fetch

    def block(self, documents, first, num_threads=1):
        if self.encode_us is None:
            self.encode_us, _ = timed(self.codec.encode_batch, documents)
        count = len(documents[0]) - 1 if isinstance(documents, tuple) else len(documents)
        return self._block(documents, self.fetch(first, count))

    def _find_codebook(self, codebook_id):
        return self.router.codebooks.by_id(codebook_id)

    def _decode(self, record):
        return self.router.dequantize(record)


def timed(encode, documents):
    """Return the µs that one of a batch takes on one thread (best of some), and the batch."""
    best, spent, repeats = float("inf"), 0.0, 0
    while repeats < MOST_REPEATS and spent < ENOUGH_SECONDS:
        started = time.perf_counter()
        batch = encode(documents)
        seconds = time.perf_counter() - started
        best, spent, repeats = min(best, seconds), spent + seconds, repeats + 1
    return 1e6 * best / max(len(batch), 1), batch
