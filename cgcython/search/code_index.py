"""Product-quantization codes in memory, searched by the distance to what they decode to."""

import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from operator import index as whole_number
from typing import Any, Self, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32, as_integers, as_matrix, as_vector
from cgcython.checks import require_items, require_whole
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.pq_tables import DistanceTables, TableMaker
from cgcython.errors import InvalidInput
from cgcython.parallel import require_threads, split_rows
from cgcython.search import code_file
from cgcython.search.code_file import BLOCK, Content
from cgcython.search.nearest_codes import codes_of, distances_of, nearest, nearest_among
from cgcython.tensors import require_whole as require_whole_file
from cgcython.types import ArrayLike, Float32Array, Int64Array, StrPath, UInt8Array

Hits: TypeAlias = tuple[Int64Array, Float32Array]  # ids and squared distances, ascending
SIGNED = np.iinfo(np.int64)


class CodeIndex:
    """The codes [n, M] of one codebook, M bytes each and nothing else but `ids` where given.

    Distances are squared Euclidean ones between a float32 query and the decoded vectors (ADC), or
    between both as decoded (SDC, `symmetric`). The nearest are exact: a screen of 8-bit tables only
    skips what its bound excludes (Jégou et al., Product quantization for nearest neighbor search,
    2011). Threads may search while one of them adds.

    >>> book = PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None])
    >>> index = CodeIndex(book, book.encode([[1.0] * 8, [5.0] * 8]))
    >>> index.search([4.5] * 8, k=1)
    (array([1]), array([2.], dtype=float32))
    """

    blocks: UInt8Array  # [ceil(count / 64), M, 64], zeros behind the last row
    ids: Int64Array | None  # [count]
    count: int

    def __init__(
        self, codebook: PQ8Codebook, codes: ArrayLike = (), ids: ArrayLike | None = None
    ) -> None:
        if not isinstance(codebook, PQ8Codebook):
            actual = type(codebook).__name__
            raise InvalidInput(what="codebook", expected="a PQ8Codebook", actual=actual)
        self.codebook, self.count = codebook, 0
        self.blocks = np.empty((0, codebook.num_subvectors, BLOCK), np.uint8)
        self.ids = None if ids is None else np.empty(0, np.int64)
        self._adding = threading.Lock()
        if isinstance(codes, (list, tuple)) and not codes:
            codes = np.empty((0, codebook.num_subvectors), np.uint8)
        self.add(codes, ids)

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        named = "rows count from 0" if self.ids is None else "with ids"
        return f"CodeIndex(rows={self.count}, {named}, nbytes={self.nbytes}, {self.codebook})"

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_adding"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _adding=threading.Lock())

    @property
    def nbytes(self) -> int:
        """The bytes of codes and ids."""
        return self.blocks.nbytes + (0 if self.ids is None else self.ids.nbytes)

    @classmethod
    def load(cls, path: StrPath, codebook: PQ8Codebook, *, verify: bool = False) -> Self:
        """Return the index of a file that `save` wrote, mapped into memory and not read yet.

        `verify` reads all and compares checksums. Raises CodebookMissing where another codebook
        made the codes, StorageCorruption, UnsupportedVersion or FileUnavailable.
        """
        index = cls(codebook)
        index.blocks, index.ids, index.count = code_file.load(path, codebook, verify)
        return index

    def save(self, path: StrPath) -> None:
        """Write the codes and ids to a safetensors file, whole or not at all; not the codebook."""
        code_file.save(path, self._content(), self.codebook.codebook_id)

    def add(self, codes: ArrayLike, ids: ArrayLike | None = None) -> None:
        """Append codes [n, M]; `ids` [n] are whole numbers, or rows count from 0.

        Each call lays out the last block anew and copies the index: add many at a time. Raises
        InvalidInput.
        """
        added = self.codebook.checked_codes(codes)
        with self._adding:
            blocks, known, count = self._content()
            if count and (ids is None) != (known is None):
                expected = "ids for all rows, or for none"
                raise InvalidInput(what="ids", expected=expected, actual="some")
            if ids is not None:
                new = _checked_ids(ids, len(added))
                known = new if known is None or not count else np.concatenate([known, new])
            whole = count // BLOCK
            added = np.concatenate([codes_of(blocks, np.arange(whole * BLOCK, count)), added])
            last = np.empty((-(-len(added) // BLOCK), added.shape[1], BLOCK), np.uint8)
            kernels.adc.block_codes(np.ascontiguousarray(added), last)
            # Who searches meanwhile reads the count first, and then finds at least so many rows.
            self.blocks = np.concatenate([blocks[:whole], last])
            self.ids = known if ids is not None else None
            self.count = whole * BLOCK + len(added)

    def codes(self, rows: ArrayLike) -> UInt8Array:
        """Return the codes [len(rows), M] of some rows."""
        blocks, _, count = self._content()
        return codes_of(blocks, _checked_rows(rows, count))

    def search(
        self,
        query: ArrayLike,
        k: int = 10,
        *,
        symmetric: bool = False,
        among: Iterable[int] | None = None,
        finer: "CodeIndex | None" = None,
        oversample: int = 4,
        num_threads: int = 1,
    ) -> Hits:
        """Return (ids, distances) of the k nearest, ascending, the lower row first on ties.

        `query` is a vector [dim] or a matrix, whose results are matrices [queries, k]. `among`
        limits the search to some ids. `finer`, an index of the same rows with longer codes (or this
        one, after a symmetric search), orders the oversample * k nearest anew by its own distances.
        Raises InvalidInput, DimensionMismatch or NonFiniteValue.
        """
        content = self._content()
        k, factor = require_whole(k, "k"), require_whole(oversample, "oversample", least=1)
        wanted = k if finer is None else k * factor
        self._require_same_rows(finer, content.num_rows)
        rows = None if among is None else _rows_of(among, content)

        def search(vector: Float32Array, threads: int) -> Hits:
            tables = self._tables(vector, symmetric)
            found, distances = _nearest(tables, content, wanted, rows, threads)
            if finer is not None:
                tables = finer._tables(vector, False)
                found, distances = _reordered(found, finer._distances(tables, found), k)
            ids = found if content.ids is None else content.ids[found]
            return ids, tables.in_units(distances)

        queries = as_float32(query)
        if queries.ndim != 2:
            vector = as_vector(queries, self.codebook.embedding_dim)
            return search(vector, require_threads(num_threads))
        queries = as_matrix(queries, self.codebook.embedding_dim)
        most = content.num_rows if rows is None else len(rows)
        return _search_all(search, queries, min(k, most), num_threads)

    def distances(
        self, query: ArrayLike, rows: ArrayLike | None = None, *, symmetric: bool = False
    ) -> Float32Array:
        """Return the squared distance of some rows, by default of all; infinite beyond float32."""
        count = self._content().num_rows
        some = np.arange(count) if rows is None else _checked_rows(rows, count)
        tables = self._tables(as_vector(query, self.codebook.embedding_dim), symmetric)
        return tables.in_units(self._distances(tables, some))

    def _content(self) -> Content:
        """Return what there is to search now; raises StorageCorruption for a file cut short."""
        require_whole_file(self.blocks)
        count = self.count
        return Content(self.blocks, self.ids, count)

    def _tables(self, query: Float32Array, symmetric: bool) -> DistanceTables:
        if symmetric:
            query = self.codebook.dequantize(self.codebook.quantize(query))
        return self._maker.tables(query)

    def _distances(self, tables: DistanceTables, rows: Int64Array) -> Float32Array:
        return distances_of(tables.table, codes_of(self.blocks, rows)) + tables.constant

    @cached_property
    def _maker(self) -> TableMaker:
        return TableMaker(self.codebook.prepared)

    def _require_same_rows(self, finer: object, count: int) -> None:
        if finer is None:
            return
        expected = f"a CodeIndex of the same {count} rows"
        if not isinstance(finer, CodeIndex):
            raise InvalidInput(what="finer", expected=expected, actual=type(finer).__name__)
        if finer._content().num_rows != count:
            raise InvalidInput(what="finer", expected=expected, actual=finer.count)


def _nearest(
    tables: DistanceTables, content: Content, k: int, rows: Int64Array | None, num_threads: int
) -> Hits:
    """Return the nearest rows, or the nearest of some, and their distances in the tables' units."""
    table, (blocks, _, count) = tables.table, content
    if rows is None:
        found, distances = nearest(table, blocks[: -(-count // BLOCK)], count, k, num_threads)
    else:
        found, distances = nearest_among(table, blocks, rows, k, num_threads)
    return found, distances + tables.constant


def _reordered(rows: Int64Array, distances: Float32Array, k: int) -> Hits:
    order = np.lexsort((rows, distances))[:k]
    return rows[order], distances[order]


def _search_all(
    search: Callable[[Float32Array, int], Hits], queries: Float32Array, k: int, num_threads: int
) -> Hits:
    """Return the results of queries as matrices; where they are many, each is one thread's."""
    if len(queries) < require_threads(num_threads):
        found = [search(query, num_threads) for query in queries]
    else:
        done = split_rows(
            lambda start, stop: [search(query, 1) for query in queries[start:stop]],
            len(queries),
            num_threads,
            first=1,
        )
        found = [one for some in done for one in some]
    if not found:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    return np.array([ids for ids, _ in found]), np.array([distances for _, distances in found])


def _rows_of(among: Any, content: Content) -> Int64Array:
    """Return the rows of some ids, ascending; ids that are not there have none."""
    ids = np.unique(_as_ids(among))
    if ids.dtype.kind == "u":
        ids = ids[ids <= SIGNED.max]
    ids = ids.astype(np.int64)
    if content.ids is not None:
        return np.flatnonzero(np.isin(content.ids, ids))
    return ids[(ids >= 0) & (ids < content.num_rows)]


def _as_ids(among: Any) -> Int64Array:
    """Return the ids of any collection as an array; what no id can be is left out."""
    if isinstance(among, np.ndarray):
        return as_integers(among, "among")
    numbers = require_items(among, "among", "a collection of ids")
    if all(isinstance(one, (int, np.integer)) for one in numbers):
        numbers = [one for one in map(whole_number, numbers) if SIGNED.min <= one <= SIGNED.max]
    return as_integers(numbers, "among")


def _checked_rows(rows: ArrayLike, count: int) -> Int64Array:
    found = as_integers(rows, "rows")
    if found.ndim != 1:
        raise InvalidInput(what="rows", expected="a list of rows", actual=f"shape {found.shape}")
    if found.size and not (found.min() >= 0 and found.max() < count):
        expected, actual = f"0 to {count - 1}", f"{found.min()} to {found.max()}"
        raise InvalidInput(what="rows", expected=expected, actual=actual)
    return found.astype(np.int64)


def _checked_ids(ids: ArrayLike, count: int) -> Int64Array:
    found = as_integers(ids, "ids")
    if found.shape != (count,):
        actual = f"{found.dtype} {found.shape}"
        raise InvalidInput(what="ids", expected=f"{count} whole numbers", actual=actual)
    if count and int(found.max()) > SIGNED.max:
        raise InvalidInput(what="ids", expected="numbers below 2**63", actual=found.max())
    return found.astype(np.int64)
