"""Product-quantization codes in memory, searched by the distance to what they decode to."""

from functools import cached_property

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_matrix, as_vector
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS
from cgcython.parallel import require_threads, split_rows
from cgcython.search import code_file
from cgcython.search.code_file import BLOCK

GATHERED = 1 << 15  # filtered codes that are copied out of their blocks at once


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

    @classmethod
    def load(cls, path, codebook, *, verify=False):
        """Return the index of a file that `save` wrote, mapped into memory and not read yet.

        `verify` reads all and compares checksums. Raises CodebookMissing where another codebook
        made the codes, StorageCorruption or UnsupportedVersion.
        """
        index = cls(codebook)
        index.blocks, index.ids, index.count = code_file.load(path, codebook, verify)
        return index

    def save(self, path):
        """Write the codes and ids to a safetensors file, whole or not at all; not the codebook."""
        content = code_file.Content(self.blocks, self.ids, self.count)
        code_file.save(path, content, self.codebook.codebook_id)

    def add(self, codes, ids=None):
        """Append codes [n, M]; `ids` [n] are whole numbers, or rows count from 0.

        Each call lays out the last block anew and copies the index: add many at a time.
        """
        codes = self._checked_codes(codes)
        if self.count and (ids is None) != (self.ids is None):
            raise InvalidInput(what="ids", expected="ids for all rows, or for none", actual="some")
        if ids is not None:
            ids = _checked_ids(ids, len(codes))
            ids = np.concatenate([self.ids, ids]) if self.count else ids
        whole = self.count // BLOCK
        codes = np.concatenate([self.codes(np.arange(whole * BLOCK, self.count)), codes])
        added = np.empty((-(-len(codes) // BLOCK), codes.shape[1], BLOCK), np.uint8)
        kernels.adc.block_codes(np.ascontiguousarray(codes), added)
        self.blocks = np.concatenate([self.blocks[:whole], added])
        self.ids, self.count = ids, whole * BLOCK + len(codes)

    def codes(self, rows):
        """Return the codes [len(rows), M] of some rows."""
        rows = self._checked_rows(rows)
        return self.blocks[rows // BLOCK, :, rows % BLOCK]

    def search(
        self, query, k=10, *, symmetric=False, among=None, finer=None, oversample=4, num_threads=1
    ):
        """Return (ids, distances) of the k nearest, ascending, the lower row first on ties.

        `query` is a vector [dim] or a matrix, whose results are matrices [queries, k]. `among`
        limits the search to some ids. `finer`, an index of the same rows with longer codes (or this
        one, after a symmetric search), orders the oversample * k nearest anew by its own distances.
        """
        k = _whole("k", k, 0)
        wanted = k if finer is None else k * _whole("oversample", oversample, 1)
        self._require_same_rows(finer)
        among = None if among is None else self._rows(among)

        def search(query, num_threads):
            rows, distances = self._nearest(query, wanted, symmetric, among, num_threads)
            if finer is not None:
                rows, distances = _reordered(rows, finer.distances(query, rows))
            rows = rows[:k]
            return (rows if self.ids is None else self.ids[rows]), distances[:k]

        if np.ndim(query) != 2:
            return search(query, require_threads(num_threads))
        queries = as_matrix(query, self.codebook.embedding_dim)
        return _search_all(search, queries, min(k, self.count), num_threads)

    def distances(self, query, rows=None, *, symmetric=False):
        """Return the distance of some rows, by default of all."""
        table, constant = self._table(query, symmetric)
        rows = self._checked_rows(np.arange(self.count) if rows is None else rows)
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
            parts = centred @ self._rotation
            # What a narrower rotation does not see of a query, no code can come near to.
            constant = max(float(centred @ centred - parts @ parts), 0.0)
        table = np.empty((book.num_subvectors, NUM_CENTROIDS), np.float32)
        kernels.pq.distance_table(parts.astype(np.float32), book.prepared, table)
        return table, constant

    @cached_property
    def _rotation(self):
        """The rotation in float64, whose conversion would take as long as a scan."""
        return self.codebook.rotation.astype(np.float64)

    def _nearest(self, query, k, symmetric, among, num_threads):
        """Return the nearest rows, or the nearest among some, and their distances."""
        table, constant = self._table(query, symmetric)
        if among is None:
            found = self._nearest_of_all(table, k, num_threads)
        else:
            found = self._nearest_among(table, among, k, num_threads)
        ids, best = (np.concatenate(column) for column in zip(*found))
        order = np.argsort(best, kind="stable")[:k]  # parts are in the order of rows
        return ids[order], best[order] + np.float32(constant)

    def _nearest_of_all(self, table, k, num_threads):
        def nearest(start, stop):
            rows = min(stop * BLOCK, self.count) - start * BLOCK
            ids, best = np.empty(min(k, rows), np.int64), np.empty(min(k, rows), np.float32)
            kernels.adc.topk_blocks(table, self.blocks[start:stop], rows, ids, best)
            return ids + start * BLOCK, best

        return split_rows(nearest, len(self.blocks), num_threads)

    def _nearest_among(self, table, rows, k, num_threads):
        def nearest(start, stop):
            some = rows[start:stop]
            ids, best = (np.empty(min(k, len(some)), kind) for kind in (np.int64, np.float32))
            kernels.adc.topk(table, self.codes(some), ids, best)
            return some[ids], best

        def each(start, stop):
            return [
                nearest(at, min(at + GATHERED, stop)) for at in range(start, stop, GATHERED)
            ] or [nearest(start, stop)]

        return [one for some in split_rows(each, len(rows), num_threads) for one in some]

    def _rows(self, among):
        """Return the rows of ids, ascending."""
        among = np.unique(np.asarray(among))
        if among.dtype.kind not in "ui" and among.size:
            raise InvalidInput(what="among", expected="whole numbers", actual=among.dtype)
        among = among[among <= np.iinfo(np.int64).max].astype(np.int64)
        if self.ids is not None:
            return np.flatnonzero(np.isin(self.ids, among))
        return among[(among >= 0) & (among < self.count)]

    def _checked_codes(self, codes):
        codes = np.asarray(codes)
        expected = self.codebook.num_subvectors
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != expected:
            actual = f"{codes.dtype} {codes.shape}"
            raise InvalidInput(what="codes", expected=f"u8 [n, {expected}]", actual=actual)
        return codes

    def _checked_rows(self, rows):
        rows = np.asarray(rows)
        if rows.dtype.kind not in "ui" and rows.size:
            raise InvalidInput(what="rows", expected="whole numbers", actual=rows.dtype)
        if rows.size and not (rows.min() >= 0 and rows.max() < self.count):
            expected, actual = f"0 to {self.count - 1}", f"{rows.min()} to {rows.max()}"
            raise InvalidInput(what="rows", expected=expected, actual=actual)
        return rows.astype(np.int64)

    def _require_same_rows(self, finer):
        if finer is None:
            return
        expected = f"a CodeIndex of the same {self.count} rows"
        if not isinstance(finer, CodeIndex):
            raise InvalidInput(what="finer", expected=expected, actual=type(finer).__name__)
        if finer.count != self.count:
            raise InvalidInput(what="finer", expected=expected, actual=finer.count)


def _search_all(search, queries, k, num_threads):
    """Return the results of queries as matrices; where they are many, each is one thread's."""
    if len(queries) < require_threads(num_threads):
        found = [search(query, num_threads) for query in queries]
    else:
        done = split_rows(
            lambda start, stop: [search(query, 1) for query in queries[start:stop]],
            len(queries),
            num_threads,
        )
        found = [one for some in done for one in some]
    if not found:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    return tuple(np.array(column) for column in zip(*found))


def _checked_ids(ids, count):
    ids = np.asarray(ids)
    if ids.shape != (count,) or (ids.dtype.kind not in "ui" and count):
        actual = f"{ids.dtype} {ids.shape}"
        raise InvalidInput(what="ids", expected=f"{count} whole numbers", actual=actual)
    if count and int(ids.max()) > np.iinfo(np.int64).max:
        raise InvalidInput(what="ids", expected="numbers below 2**63", actual=ids.max())
    return ids.astype(np.int64)


def _whole(what, number, least):
    if not isinstance(number, (int, np.integer)) or number < least:
        raise InvalidInput(what=what, expected=f"{least} or more", actual=number)
    return int(number)


def _reordered(rows, distances):
    order = np.lexsort((rows, distances))
    return rows[order], distances[order]
