"""Codes in memory, searched by the distance to what they decode to."""

import threading
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from cgcython.arrays import as_float32, as_matrix, as_vector
from cgcython.checks import require_items, require_whole
from cgcython.codecs.base import Codec
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import InvalidInput
from cgcython.parallel import require_threads
from cgcython.records import QuantizedBatch
from cgcython.search import code_loading
from cgcython.search.code_file import Content
from cgcython.search.code_ids import (
    Ids,
    IndexId,
    checked_ids,
    checked_rows,
    joined_ids,
    rows_of,
)
from cgcython.search.code_scorers import Scorer, nearest_to_all
from cgcython.search.code_spaces import space_of
from cgcython.search.nearest_codes import Found, reordered, search_all
from cgcython.tensors import require_whole as require_whole_file
from cgcython.types import Array, ArrayLike, Float32Array, StrPath, UInt8Array


class CodeIndex:
    """The codes of one codec, and nothing else but `ids` where given.

    `codec` is a codebook or its codec, a ScalarCodec, Float8Codec or BinaryCodec; codes are a batch
    of it, or plain codes [n, bytes] u8 where they need no scale. Hits come by ascending distance
    from a float32 query, by `metric`: `l2`, squared Euclidean (the default of PQ and float8),
    `cosine` (1 - cosine, 1 beside zeros), for bits `hamming` (how many differ) or `jaccard` (1 -
    similarity). Distances are to the decoded vectors (ADC), `symmetric` ones between both decoded.
    The nearest are exact: a screen only skips what its bound excludes (Jégou et al., Product
    quantization for nearest neighbor search, 2011). Threads may search while one of them adds.

    >>> from cgcython import BinaryCodec
    >>> index = CodeIndex(BinaryCodec(8))
    >>> index.add_embeddings([[1.0] * 8, [1.0] * 4 + [-1.0] * 4], ids=[7, 9])
    >>> index.search([1.0] * 5 + [-1.0] * 3, k=2)
    (array([9, 7]), array([1., 3.], dtype=float32))
    """

    def __init__(
        self,
        codec: Codebook | Codec,
        codes: QuantizedBatch | ArrayLike = (),
        ids: Ids | None = None,
        metric: str | None = None,
    ) -> None:
        self._space = space_of(codec, metric)
        self._content = Content(self._space.empty(), None, 0)
        self._adding = threading.Lock()
        if not (isinstance(codes, (list, tuple)) and not codes):
            self.add(codes, ids)
        elif ids is not None:
            self._content = self._content._replace(ids=checked_ids(ids, 0))

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        named = "rows count from 0" if self.ids is None else "with ids"
        made_by = getattr(self.codec, "codebook", self.codec)
        return f"CodeIndex(rows={self.count}, {named}, nbytes={self.nbytes}, {made_by})"

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_adding"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _adding=threading.Lock())

    @property
    def codec(self) -> Any:
        """The codec of all codes."""
        return self._space.codec

    @property
    def metric(self) -> str:
        """How distances are measured."""
        return self._space.metric

    @property
    def codebook(self) -> Codebook | None:
        """The codebook of codes that have one."""
        return getattr(self.codec, "codebook", None)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays of the codes: `blocks` of product quantization, else a batch's columns."""
        return dict(self._content.arrays)

    @property
    def blocks(self) -> UInt8Array:
        """The codes of product quantization [ceil(count / 64), M, 64]; set them before `count`."""
        if "blocks" not in self._content.arrays:
            raise AttributeError("only codes of product quantization lie in blocks: see `arrays`")
        return self._content.arrays["blocks"]

    @blocks.setter
    def blocks(self, blocks: UInt8Array) -> None:
        self._content = self._content._replace(arrays={"blocks": blocks})

    @property
    def ids(self) -> Array | None:
        """The ids [count], int64 or texts and UUIDs; None where rows count from 0."""
        return self._content.ids

    @property
    def count(self) -> int:
        """The number of rows."""
        return self._content.num_rows

    @count.setter
    def count(self, count: int) -> None:
        self._content = self._content._replace(num_rows=count)

    @property
    def nbytes(self) -> int:
        """The bytes of codes and ids."""
        arrays, ids, _ = self._content
        return sum(one.nbytes for one in arrays.values()) + (0 if ids is None else ids.nbytes)

    @classmethod
    def load(
        cls, path: StrPath, codec: Codebook | Codec | None = None, *, verify: bool = False
    ) -> Self:
        """Return the index of a file that `save` wrote, mapped into memory and not read yet.

        Codes of a codebook need it, others may go without `codec`. `verify`
        reads all and compares checksums. Raises CodebookMissing where another codebook made the
        codes, StorageCorruption, UnsupportedVersion or FileUnavailable.
        """
        index = cls.__new__(cls)
        index._space, index._content = code_loading.load(path, codec, verify)
        index._adding = threading.Lock()
        return index

    def save(self, path: StrPath) -> None:
        """Write the codes and ids to a safetensors file, whole or not at all; not the codebook."""
        code_loading.save(path, self._space, self._whole())

    def add(self, codes: QuantizedBatch | ArrayLike, ids: Ids | None = None) -> None:
        """Append a batch, or codes [n, bytes]; `ids` [n] are integers, or texts and UUIDs, or rows
        count from 0.

        Each call copies the index: add many at a time. Raises InvalidInput, MethodMismatch or
        CodebookMissing.
        """
        added = self._space.columns_of(codes)
        num_added = len(next(iter(added.values())))
        with self._adding:
            arrays, known, count = self._whole()
            if count and (ids is None) != (known is None):
                expected = "ids for all rows, or for none"
                raise InvalidInput(what="ids", expected=expected, actual="some")
            new = None if ids is None else checked_ids(ids, num_added)
            if new is not None and known is not None and count:
                new = joined_ids(known, new)
            arrays = self._space.appended(arrays, count, added)
            self._content = Content(arrays, new, count + num_added)

    def add_embeddings(
        self, embeddings: ArrayLike, ids: Ids | None = None, num_threads: int = 1
    ) -> None:
        """Encode embeddings [n, dim] and append them, as `add` does."""
        self.add(self.codec.encode_batch(embeddings, num_threads), ids)

    def remove(self, ids: Iterable[IndexId]) -> int:
        """Remove the rows of some ids and return how many there were.

        Where rows count from 0 ids are rows, and those behind a removed one move up.
        """
        wanted = require_items(ids, "ids", "a collection of ids")
        with self._adding:
            content = self._whole()
            gone = rows_of(wanted, content)
            kept = np.delete(np.arange(content.num_rows), gone)
            columns = self._space.taken(content.arrays, kept)
            arrays = self._space.appended(self._space.empty(), 0, columns)
            known = None if content.ids is None else content.ids[kept]
            self._content = Content(arrays, known, len(kept))
        return len(gone)

    def codes(self, rows: ArrayLike) -> UInt8Array:
        """Return the codes [len(rows), bytes] of some rows."""
        return self.batch(rows).columns["codes"]

    def batch(self, rows: ArrayLike) -> QuantizedBatch:
        """Return some rows as a QuantizedBatch, which `index.codec.decode_batch` decodes."""
        arrays, _, count = self._whole()
        columns = self._space.taken(arrays, checked_rows(rows, count))
        codec = self.codec
        return QuantizedBatch(codec.method, codec.dim, columns, self._space.shared)

    def search(
        self,
        query: ArrayLike,
        k: int = 10,
        *,
        metric: str | None = None,
        symmetric: bool = False,
        among: Iterable[IndexId] | None = None,
        finer: "CodeIndex | None" = None,
        oversample: int = 4,
        num_threads: int = 1,
    ) -> Found:
        """Return (ids, distances) of the k nearest, ascending, the lower row first on ties.

        `query` is a vector [dim], or a matrix that gives matrices [queries, k]. `metric` is another
        one for this search, `among` limits it to some ids. `finer`, an index of the same rows with
        longer codes (or this one, after a symmetric search), orders the oversample * k nearest anew
        by its metric or that given. Raises InvalidInput, DimensionMismatch or NonFiniteValue.
        """
        content, space = self._whole(), self._space.measuring(metric)
        k, factor = require_whole(k, "k"), require_whole(oversample, "oversample", least=1)
        wanted = k * (factor if self._is_finer(finer, content.num_rows) else 1)
        rows = None if among is None else rows_of(among, content)

        def search(vector: Float32Array, threads: int) -> Found:
            scorer = space.scorer(self._asked(vector, symmetric))
            found, distances = scorer.nearest_in(content, wanted, rows, threads)
            if finer is not None:
                scorer, found, distances = finer._reordered(vector, found, k, metric)
            return content.named(found), scorer.in_units(distances)

        queries = as_float32(query)
        if queries.ndim != 2:
            return search(as_vector(queries, self.codec.dim), require_threads(num_threads))
        matrix = as_matrix(queries, self.codec.dim)
        if among is None and finer is None and space.reads_together(content.num_rows, k):
            scorers = [space.scorer(self._asked(one, symmetric)) for one in matrix]
            return nearest_to_all(scorers, content, k, require_threads(num_threads))
        most = content.num_rows if rows is None else len(rows)
        return search_all(search, matrix, min(k, most), num_threads)

    def search_ids(self, ids: Iterable[IndexId], k: int = 10, **how: Any) -> Found:
        """Return the k nearest of stored rows [len(ids), k], themselves among them, by their ids.

        Rows are searched for as decoded; where rows count from 0 ids are rows. `how` are the
        arguments of `search`. Raises InvalidInput for ids that are not there.
        """
        content = self._whole()
        wanted = require_items(ids, "ids", "a collection of ids")
        rows = [rows_of([one], content) for one in wanted]
        missing = [one for one, found in zip(wanted, rows) if not len(found)]
        if missing:
            raise InvalidInput(what="ids", expected="ids of the index", actual=missing[0])
        batch = self.batch([int(found[0]) for found in rows])
        return self.search(self.codec.decode_batch(batch), k, **how)

    def distances(
        self,
        query: ArrayLike,
        rows: ArrayLike | None = None,
        *,
        metric: str | None = None,
        symmetric: bool = False,
    ) -> Float32Array:
        """Return the distance of some rows, by default of all; infinite beyond float32."""
        arrays, _, count = self._whole()
        some = np.arange(count) if rows is None else checked_rows(rows, count)
        asked = self._asked(as_vector(query, self.codec.dim), symmetric)
        scorer = self._space.measuring(metric).scorer(asked)
        return scorer.in_units(scorer.distances(arrays, some))

    def _whole(self) -> Content:
        """Return what there is to search now; raises StorageCorruption for a file cut short."""
        content = self._content
        for one in content.arrays.values():
            require_whole_file(one)
        return content

    def _asked(self, query: Float32Array, symmetric: bool) -> Float32Array:
        return self.codec.decode(self.codec.encode(query)) if symmetric else query

    def _reordered(
        self, query: Float32Array, rows: Array, k: int, metric: str | None
    ) -> tuple[Scorer, Array, Float32Array]:
        """Return the k nearest of rows in any order, and what measured them."""
        scorer = self._space.measuring(metric).scorer(query)
        return scorer, *reordered(rows, scorer.distances(self._content.arrays, rows), k)

    @staticmethod
    def _is_finer(finer: object, count: int) -> bool:
        """Return whether there is one, which must be an index of so many rows."""
        expected = f"a CodeIndex of the same {count} rows"
        if not (finer is None or isinstance(finer, CodeIndex)):
            raise InvalidInput(what="finer", expected=expected, actual=type(finer).__name__)
        if finer is not None and finer._whole().num_rows != count:
            raise InvalidInput(what="finer", expected=expected, actual=finer.count)
        return finer is not None
