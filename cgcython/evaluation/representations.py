"""The representations that a corpus is ranked by: float32, codes made now, records of a store.

A representation turns a block of documents into a Block; one block of a corpus is held at a time.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cgcython.arrays import as_matrix
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.measures import cosine_losses
from cgcython.frames import write_section
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.search.inverted import Rows
from cgcython.search.scan import Scan
from cgcython.search.scans import join, make_scan, scan_key
from cgcython.search.sparse_scans import FloatSparseScan
from cgcython.search.token_scans import Float32TokenScan
from cgcython.search.vector_scan import VectorScan
from cgcython.types import Float32Array, Float64Array

NEAR_BYTES = 1 << 20
ENOUGH_SECONDS, MOST_REPEATS = 0.1, 15
SCANNED_ROWS = 1 << 16
Fetch: TypeAlias = Callable[[int, int], Sequence[QuantizedEmbedding]]  # of (first, count)


class Block(NamedTuple):
    """Some documents in one representation: (rows, scan) pairs, losses as fractions, and bytes.

    `framed_bytes` counts what a fingerprint puts around each code too.
    """

    scans: list[tuple[Any, Any]]
    num_bytes: int
    losses: Float64Array | None = None
    framed_bytes: int = 0
    layouts: frozenset[str] = frozenset()


class Exact:
    """Documents as float32, scored by the scans that score codes once they are decoded."""

    encode_us: float | None = None
    scan_ns: float | None = None

    def __init__(self, inputs: InputKind) -> None:
        self.inputs = inputs

    def asked(self, queries: Sequence[Any]) -> Sequence[Any]:
        """Return the queries as the scans take them, which is as they are."""
        return queries

    def block(self, documents: Any, first: int, num_threads: int = 1) -> Block:
        """Return the Block of documents: rows [n, dim], CSR columns or token matrices."""
        return _EXACT[self.inputs](documents)


def _exact_rows(rows: Float32Array) -> Block:
    return Block(near(as_matrix(rows)), rows.nbytes)


def _exact_sparse(columns: Any) -> Block:
    indptr, indices, weights, dimension = columns
    indices, weights = np.asarray(indices, np.uint32), np.asarray(weights, np.float32)
    rows = Rows(np.asarray(indptr, np.int64), indices, weights)
    scan = FloatSparseScan.of_rows(rows, dimension)
    return Block([(slice(None), scan)], 8 * len(indices))


def _exact_tokens(texts: Sequence[Float32Array]) -> Block:
    values = np.concatenate(texts)
    counts = np.array([len(one) for one in texts], np.int64)
    scan = Float32TokenScan(values, np.cumsum(counts) - counts, counts, values.shape[1])
    return Block([(slice(None), scan)], values.nbytes)


_EXACT: dict[InputKind, Callable[[Any], Block]] = {
    InputKind.DENSE: _exact_rows,
    InputKind.SPARSE: _exact_sparse,
    InputKind.TOKENS: _exact_tokens,
}


def near(values: Float32Array) -> list[tuple[Any, Any]]:
    """Return scans of few enough rows to stay in a core's cache while queries meet them."""
    step = max(1, NEAR_BYTES // max(1, values[:1].nbytes))
    parts = (slice(start, start + step) for start in range(0, len(values), step))
    return [(rows, VectorScan(values[rows])) for rows in parts]


class Codes(Exact):
    """What a codec makes of documents, timed on the first block."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec.inputs)
        self.codec, self.encode_us = codec, None

    def block(self, documents: Any, first: int, num_threads: int = 1) -> Block:
        """Return the Block of the codes of documents."""
        if self.encode_us is None:
            self.encode_us, batch = timed(self.codec.encode_batch, documents)
        else:
            batch = self.codec.encode_batch(documents, num_threads)
        encoded, decoded = self.codec.rows(batch), None
        if self.inputs is InputKind.DENSE:
            decoded = self.codec.decode_batch(batch, num_threads)
        return self._block(documents, encoded, decoded)

    def _block(
        self, documents: Any, encoded: Sequence[QuantizedEmbedding], decoded: Any = None
    ) -> Block:
        """Return the Block of quantized embeddings; `decoded` where they are decoded already."""
        groups: dict[Any, list[int]] = {}
        for row, one in enumerate(encoded):
            groups.setdefault(scan_key(one), []).append(row)
        scans = [
            (rows, make_scan([encoded[row] for row in rows], self._find_codebook))
            for rows in groups.values()
        ]
        if decoded is None:
            decoded = [self._decode(one) for one in encoded]
        names = {getattr(one.metadata, "layout", None) for one in encoded}
        return Block(
            scans,
            sum(one.size_bytes for one in encoded),
            self._losses(documents, decoded),
            sum(len(write_section(one)) for one in encoded),
            frozenset(name for name in names if name is not None),
        )

    def _find_codebook(self, codebook_id: int) -> Codebook:
        codec: Any = self.codec
        codebook: Codebook = codec.codebook  # which codecs of methods that need one have
        return codebook

    def _decode(self, quantized: QuantizedEmbedding) -> Any:
        return self.codec.decode(quantized)

    def _losses(self, documents: Any, decoded: Any) -> Float64Array:
        if self.inputs is InputKind.DENSE:
            return cosine_losses(documents, np.asarray(decoded))
        originals: Iterable[Any] = documents
        if self.inputs is InputKind.SPARSE:
            indptr, indices, weights, _ = documents
            originals = [(indices[a:b], weights[a:b]) for a, b in pairwise(indptr)]
        losses = [self.codec.loss(*pair) for pair in zip(originals, decoded)]
        return np.array(losses, np.float64).clip(0)  # rounding may go below zero


class Stored(Codes):
    """Records that are there already: `fetch(first, count)` returns them, a router reads them.

    What encoding takes is still measured, on the first block.
    """

    def __init__(self, codec: Codec, router: QuantizationRouter, fetch: Fetch) -> None:
        super().__init__(codec)
        self.router, self.fetch = router, fetch

    def block(self, documents: Any, first: int, num_threads: int = 1) -> Block:
        """Return the Block of what is stored of documents from number `first` on."""
        if self.encode_us is None:
            self.encode_us, _ = timed(self.codec.encode_batch, documents)
        count = len(documents[0]) - 1 if self.inputs is InputKind.SPARSE else len(documents)
        return self._block(documents, self.fetch(first, count))

    def _find_codebook(self, codebook_id: int) -> Codebook:
        return self.router.codebooks.by_id(codebook_id)

    def _decode(self, quantized: QuantizedEmbedding) -> Any:
        return self.router.dequantize(quantized)


def timed(encode: Callable[[Any], Any], documents: Any) -> tuple[float, Any]:
    """Return the µs of this thread that one of a batch takes (best of some), and the batch."""
    best, spent, repeats, batch = float("inf"), 0.0, 0, ()
    # The first may lay tables that all later ones share.
    while repeats < 2 or (repeats < MOST_REPEATS and spent < ENOUGH_SECONDS):
        started = time.thread_time()
        batch = encode(documents)
        seconds = time.thread_time() - started
        best, spent, repeats = min(best, seconds), spent + seconds, repeats + 1
    return 1e6 * best / max(len(batch), 1), batch


def scan_time(scan: Scan, query: Any) -> float:
    """Return the ns that one thread takes for a row of a scan, repeated to 65,536 rows."""
    many = join([scan] * -(-SCANNED_ROWS // len(scan)))
    each, _ = timed(many.scores, query)
    return 1000 * each
