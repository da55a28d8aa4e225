"""Columns of codes in memory, made in seconds at any size, and queries that are like some of them.

Codes are those of vectors around random centres, drawn once; rows are made distinct by exchanging
some of their codes.
"""

import numpy as np

from cgcython import Fingerprint, ModelId, PQ8Codebook, Profile
from cgcython.codecs.binary import BinaryCodec
from cgcython.router import QuantizationRouter
from cgcython.search.binary_scan import BinaryScan
from cgcython.search.column import Column
from cgcython.search.float8_scans import Float8Scan
from cgcython.search.keys import sorted_keys
from cgcython.search.loading import Part
from cgcython.search.pq_scan import PQ8Scan
from cgcython.search.searcher import Searcher

CENTRES, DRAWN = 500, 1 << 14
EXCHANGED = {PQ8Scan: 2, BinaryScan: 12, Float8Scan: 24}  # codes of a row


class RandomColumns(Searcher):
    """Columns of some embedders without a store."""

    def __init__(self, records, embedders, seed=0):
        rng = np.random.default_rng(seed)
        self.keys = sorted_keys(
            [key.tobytes() for key in rng.integers(0, 256, (records, 16), np.uint8)]
        )
        self.drawn, self.rng, self.columns, self.graphs = {}, rng, {}, {}
        books = {one: self._book(one) for one in (ModelId.SEMANTIC, ModelId.CODE)}
        self.router = QuantizationRouter(books, Profile.named("default"))
        self._columns = self
        for one in sorted(map(ModelId.parse, embedders)):
            scan = self._scan(one, books, records)
            self.columns[one] = Column.of([Part(self.keys, scan)])

    def get(self, model_id):
        """Return the column of an embedder, as Columns do."""
        return self.columns[model_id]

    def guided(self, model_id, num_threads):
        """Return the column of an embedder with its guides, as Columns do."""
        return self.columns[model_id].guided(num_threads)

    def graph(self, model_id, num_threads):
        """Return the column and the graph of an embedder, as Columns do."""
        return self.columns[model_id], self.graphs.get(model_id)

    def vectors(self, model_id, count=DRAWN):
        """Return vectors around centres."""
        if model_id not in self.drawn:
            centres = self.rng.standard_normal((CENTRES, model_id.dimension()), np.float32)
            chosen = centres[self.rng.integers(0, CENTRES, DRAWN)]
            noise = self.rng.standard_normal(chosen.shape, np.float32)
            self.drawn[model_id] = chosen + 0.7 * noise
        return self.drawn[model_id][:count]

    def _book(self, model_id):
        samples = self.vectors(model_id, 4096).reshape(4096, 8, -1)
        rows = self.rng.choice(4096, 256, replace=False)
        return PQ8Codebook(samples[rows].transpose(1, 0, 2).copy())

    def _scan(self, model_id, books, records):
        drawn = self.encoded(model_id, books, self.vectors(model_id))
        arrays = drawn.take(self.rng.integers(0, DRAWN, records)).arrays()
        arrays["codes"] = self._noisy(arrays["codes"], EXCHANGED[type(drawn)])
        arrays.pop("inverse_norms", None)  # those of the noisy codes are measured anew
        return drawn.with_arrays(arrays)

    def encoded(self, model_id, books, vectors):
        """Return the scan of some vectors."""
        if model_id in books:
            return PQ8Scan(books[model_id].encode(vectors), books[model_id])
        columns = self.router.quantize_batch(model_id, vectors).columns
        if model_id is ModelId.HDC:
            return BinaryScan(columns["codes"], BinaryCodec(model_id.dimension()))
        return Float8Scan(columns["codes"], columns["scales"])

    def _noisy(self, codes, places):
        """Return codes of which a few of each row are another row's."""
        rows = np.arange(len(codes))
        for _ in range(places):
            columns = self.rng.integers(0, codes.shape[1], len(codes))
            codes[rows, columns] = codes[self.rng.permutation(rows), columns]
        return codes

    def queries(self, mix, count):
        """Return fingerprints that are like some of the records."""
        rows = self.rng.integers(0, DRAWN, count)
        near = 0.3 * self.rng.standard_normal(2048).astype(np.float32)
        return [
            Fingerprint({one: self.vectors(one)[row] + near[: one.dimension()] for one in mix})
            for row in rows
        ]
