"""Product-quantization codes in memory, searched by the distance to what they decode to."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS
from cgcython.parallel import split_rows

BLOCK = 64  # codes side by side, as kernels.adc.topk_blocks reads them


class CodeIndex:
    """The codes [n, M] of one codebook, M bytes each and nothing else but `ids` where given.

    Distances are squared Euclidean ones between a float32 query and the decoded vectors (ADC), or
    between both as decoded (SDC, `symmetric`). The nearest are exact: a screen of 8-bit tables only
    skips what its bound excludes (Jégou et al., Product quantization for nearest neighbor search,
    2011).

    >>> from cgcython import PQ8Codebook
    >>> book = PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None])
    >>> index = CodeIndex(book, book.encode([[1.0] * 8, [5.0] * 8]))
    >>> index.search([4.5] * 8, k=1)
    (array([1]), array([2.], dtype=float32))
    """

    def __init__(self, codebook, codes=(), ids=None):
        self.codebook, self.count = codebook, 0
        self.blocks = np.empty((0, codebook.num_subvectors, BLOCK), np.uint8)
        self.ids = None if ids is None else np.empty(0, np.int64)
        if len(codes):
            self.add(codes, ids)

    def __len__(self):
        return self.count

    def add(self, codes, ids=None):
        """Append codes [n, M]; `ids` [n] are whole numbers, or rows count from 0.

        Each call lays out the last block anew and copies the index: add many at a time.
        """
        codes = self._checked_codes(codes)
        if (ids is None) != (self.ids is None):
            raise InvalidInput(what="ids", expected="ids for all rows, or for none", actual="some")
        if ids is not None:
            self.ids = np.concatenate([self.ids, _checked_ids(ids, len(codes))])
        whole = self.count // BLOCK
        codes = np.concatenate([self.codes(np.arange(whole * BLOCK, self.count)), codes])
        added = np.empty((-(-len(codes) // BLOCK), codes.shape[1], BLOCK), np.uint8)
        kernels.adc.block_codes(np.ascontiguousarray(codes), added)
        self.blocks = np.concatenate([self.blocks[:whole], added])
        self.count = whole * BLOCK + len(codes)

    def codes(self, rows):
        """Return the codes [len(rows), M] of some rows."""
        rows = np.asarray(rows)
        return self.blocks[rows // BLOCK, :, rows % BLOCK]

    def search(
        self, query, k=10, *, symmetric=False, among=None, finer=None, oversample=4, num_threads=1
    ):
        """Return (ids, distances) of the k nearest, ascending, the lower row first on ties.

        `query` is a vector [dim] or a matrix, whose results are matrices [queries, k]. `among`
        limits the search to some ids. `finer`, an index of the same rows with longer codes, orders
        the oversample * k nearest anew by its own distances.
        """
        if np.ndim(query) == 2:
            options = {"symmetric": symmetric, "among": among, "finer": finer}
            options |= {"oversample": oversample, "num_threads": num_threads}
            found = [self.search(row, k, **options) for row in as_matrix(query)]
            return tuple(np.array(column) for column in zip(*found))
        k = _whole("k", k, 0)
        table, constant = self._table(query, symmetric)
        wanted = k if finer is None else k * _whole("oversample", oversample, 1)
        if among is None:
            rows, distances = self._nearest(table, min(wanted, self.count), num_threads)
        else:
            rows, distances = self._nearest_among(table, self._rows(among), wanted)
        distances += np.float32(constant)
        if finer is not None:
            rows, distances = _reordered(rows, finer.distances(query, rows))
        rows = rows[:k]
        return (rows if self.ids is None else self.ids[rows]), distances[:k]

    def distances(self, query, rows=None, *, symmetric=False):
        """Return the distance of some rows, by default of all."""
        table, constant = self._table(query, symmetric)
        rows = np.arange(self.count) if rows is None else np.asarray(rows)
        out = np.empty(len(rows), np.float32)
        kernels.adc.scan(table, self.codes(rows), out)
        return out + np.float32(constant)

    def _table(self, query, symmetric):
        """Return the tables whose sums, plus a constant, are the distances of a query."""
        book = self.codebook
        query = as_vector(query, book.embedding_dim)
        if symmetric:
            query = book.dequantize(book.quantize(query))
        parts, constant = query.astype(np.float64), 0.0
        if book.rotation is not None:
            centred = parts - book.mean
            parts = centred @ book.rotation
            # What a narrower rotation does not see of a query, no code can come near to.
            constant = max(float(centred @ centred - parts @ parts), 0.0)
        table = np.empty((book.num_subvectors, NUM_CENTROIDS), np.float32)
        kernels.pq.distance_table(parts.astype(np.float32), book.prepared, table)
        return table, constant

    def _nearest(self, table, k, num_threads):
        def nearest(start, stop):
            rows = min(stop * BLOCK, self.count) - start * BLOCK
            ids, best = np.empty(min(k, rows), np.int64), np.empty(min(k, rows), np.float32)
            kernels.adc.topk_blocks(table, self.blocks[start:stop], rows, ids, best)
            return ids + start * BLOCK, best

        found = split_rows(nearest, len(self.blocks), num_threads)
        ids, best = (np.concatenate(column) for column in zip(*found))
        order = np.argsort(best, kind="stable")[:k]  # parts are in the order of rows
        return ids[order], best[order]

    def _nearest_among(self, table, rows, k):
        ids, best = (np.empty(min(k, len(rows)), kind) for kind in (np.int64, np.float32))
        kernels.adc.topk(table, self.codes(rows), ids, best)
        return rows[ids], best

    def _rows(self, among):
        """Return the rows of ids, ascending."""
        among = np.unique(np.asarray(among))
        if among.dtype.kind not in "ui" and among.size:
            raise InvalidInput(what="among", expected="whole numbers", actual=among.dtype)
        if self.ids is not None:
            return np.flatnonzero(np.isin(self.ids, among))
        return among[(among >= 0) & (among < self.count)].astype(np.int64)

    def _checked_codes(self, codes):
        codes = np.asarray(codes)
        expected = self.codebook.num_subvectors
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != expected:
            actual = f"{codes.dtype} {codes.shape}"
            raise InvalidInput(what="codes", expected=f"u8 [n, {expected}]", actual=actual)
        return codes


def _checked_ids(ids, count):
    ids = np.asarray(ids)
    if ids.shape != (count,) or ids.dtype.kind not in "ui":
        actual = f"{ids.dtype} {ids.shape}"
        raise InvalidInput(what="ids", expected=f"{count} whole numbers", actual=actual)
    return ids.astype(np.int64)


def _whole(what, number, least):
    if not isinstance(number, (int, np.integer)) or number < least:
        raise InvalidInput(what=what, expected=f"{least} or more", actual=number)
    return int(number)


def _reordered(rows, distances):
    order = np.lexsort((rows, distances))
    return rows[order], distances[order]
