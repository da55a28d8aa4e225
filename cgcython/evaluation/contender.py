"""One embedder under evaluation: the same memories as float32 and as codes."""

import time
from functools import cached_property
from itertools import pairwise

import numpy as np

from cgcython.arrays import as_matrix
from cgcython.base import QuantizationMethod
from cgcython.evaluation.metrics import cosine_losses
from cgcython.search.scans import DecodedScan, InvertedScan, TokenScan, make_scan, scan_key

ENOUGH_SECONDS, MOST_REPEATS = 0.2, 5


class Contender:
    """The records of documents, made now or given, and the scores of queries against both sides.

    `documents` is what the codec's batch encoder takes: a matrix, CSR columns (indptr, indices,
    weights, dimension) or a list of token matrices. `memories` are their numbers in the corpus,
    ascending.
    """

    def __init__(self, router, model_id, documents, memories, metric="cosine", records=None):
        self.router, self.model_id, self.documents = router, model_id, documents
        self.memories, self.metric = np.asarray(memories, np.int64), metric
        self.codec = router.encoders[router.profile[model_id].method].compact_codec(model_id)
        self.encode_us, batch = _timed(self.codec, documents)
        self.records = records or [self.codec.row(batch, i) for i in range(len(batch))]

    @cached_property
    def float_scan(self):
        """The float32 side, scored by the scans that score codes once they are decoded."""
        match self.codec.method:
            case QuantizationMethod.SPARSE_NATIVE:
                indptr, indices, weights, dimension = self.documents
                indices, weights = np.asarray(indices, np.uint32), np.asarray(weights, np.float32)
                return InvertedScan(np.asarray(indptr, np.int64), indices, weights, dimension)
            case QuantizationMethod.TOKEN_PRUNING:
                values = np.concatenate(self.documents)
                counts = np.array([len(one) for one in self.documents], np.int64)
                return TokenScan(values, np.cumsum(counts) - counts, counts, values.shape[1])
        return DecodedScan(as_matrix(self.documents))

    @cached_property
    def code_scans(self):
        """The code side as (rows, scan) pairs; records of one method may differ in layout."""
        groups = {}
        for row, record in enumerate(self.records):
            groups.setdefault(scan_key(record), []).append(row)
        return [
            (rows, make_scan([self.records[row] for row in rows], self.router.codebooks.by_id))
            for rows in groups.values()
        ]

    def scores(self, query, num_threads=1):
        """Return the scores of every document as float32, and of every document's code."""
        exact = self.float_scan.scores(query, self.metric, num_threads)
        coded = np.empty_like(exact)
        for rows, scan in self.code_scans:
            coded[rows] = scan.scores(query, self.metric, num_threads)
        return exact, coded

    @cached_property
    def losses(self):
        """What each document loses, as a fraction: 1 - cosine, for tokens 1 - MaxSim."""
        decoded = [self.router.dequantize(record) for record in self.records]
        match self.codec.method:
            case QuantizationMethod.SPARSE_NATIVE:
                originals = self._sparse_originals()
            case QuantizationMethod.TOKEN_PRUNING:
                originals = self.documents
            case _:
                return cosine_losses(self.documents, np.stack(decoded))
        return np.array([self.codec.loss(*pair) for pair in zip(originals, decoded)])

    def _sparse_originals(self):
        indptr, indices, weights, _ = self.documents
        return [(indices[a:b], weights[a:b]) for a, b in pairwise(indptr)]

    @property
    def stored_bytes(self):
        """The bytes of all codes."""
        return sum(record.size_bytes for record in self.records)

    @property
    def float32_bytes(self):
        """The bytes of the same embeddings as float32."""
        return sum(record.original_bytes for record in self.records)

    @property
    def layout(self):
        """The layouts of the records, or None where the method has one only."""
        found = {getattr(record.metadata, "layout", None) for record in self.records}
        return ", ".join(sorted(filter(None, found))) or None


def _timed(codec, documents):
    """Return the µs that one of a batch takes on one thread (best of some), and the batch."""
    best, spent, repeats = float("inf"), 0.0, 0
    while repeats < MOST_REPEATS and spent < ENOUGH_SECONDS:
        started = time.perf_counter()
        batch = codec.encode_batch(documents)
        seconds = time.perf_counter() - started
        best, spent, repeats = min(best, seconds), spent + seconds, repeats + 1
    return 1e6 * best / max(len(batch), 1), batch
