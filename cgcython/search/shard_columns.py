"""Columns of shards: the arrays of files, searched where they lie and without an object a row."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np

from cgcython.base import EmbedderId, Profile
from cgcython.codecs.base import Codec
from cgcython.errors import InvalidQuantizedData
from cgcython.records import QuantizedBatch
from cgcython.router import QuantizationRouter
from cgcython.search.column import Column
from cgcython.search.column_part import ColumnPart
from cgcython.search.columns import Columns
from cgcython.search.gathering import Gathering
from cgcython.search.keys import found_among
from cgcython.search.loading import ChangingSource, Part
from cgcython.search.open_shards import OpenShards
from cgcython.search.scan import FindCodebook, Scan, ScanKey
from cgcython.search.scans import scan_class
from cgcython.search.shard_places import SortedKeys
from cgcython.store.fitting import misfit
from cgcython.store.shard_file import ShardPart
from cgcython.types import BoolArray, Int64Array, KeyArray, Progress

_LOGGER = logging.getLogger(__name__)
# A shard with so many bytes of an embedder is a part of its own: where its codes lie mapped, and
# where they were copied. Others are put together: a part costs each search some 0.1 ms.
MAPPED, COPIED = 1 << 22, 1 << 26


class ShardColumns(Columns):
    """The columns of a folder of shards, each loaded when first asked for."""

    def __init__(
        self,
        source: ChangingSource,
        shards: OpenShards,
        router: QuantizationRouter,
        cache: Path | None = None,
    ) -> None:
        """`cache` is the folder of a `cgcython.search.guide_cache`."""
        super().__init__(source, router.codebooks.by_id, cache)
        self._shards, self._router = shards, router

    def _loaded(self, model_id: EmbedderId) -> tuple[Column, int]:
        """Return the column of an embedder.

        Where something is not as an encoder writes it, rows are read one by one: what is of no use
        is left out, and named.
        """
        keys = self._shards.keys
        parts = (
            (part, keys[number] if part.rows is None else keys[number].some(part.rows))
            for number in range(len(self._shards))
            if (part := self._shards.part(number, model_id)) is not None
        )
        column = self._column(model_id, parts)
        if column is None:
            return super()._loaded(model_id)
        return column, self._store.journal.position()

    def some(self, model_id: EmbedderId, keys: KeyArray) -> Column:
        """Return the Column of an embedder where it is loaded, otherwise one of some memories."""
        if model_id in self._columns:
            return self.get(model_id)
        column = self._column(model_id, self._some_parts(model_id, keys))
        return super().some(model_id, keys) if column is None else column

    def _some_parts(
        self, model_id: EmbedderId, keys: KeyArray
    ) -> Iterator[tuple[ShardPart, SortedKeys]]:
        """Yield the parts of some memories that have an embedder, and their keys."""
        for number, memories in self._shards.places.find(keys).items():
            part = self._shards.files[number].some(model_id, memories)
            if part is not None:
                yield part, SortedKeys.of(self._shards.keys[number].row_keys[part.rows])

    def _column(
        self, model_id: EmbedderId, parts: Iterable[tuple[ShardPart, SortedKeys]]
    ) -> Column | None:
        """Return the column of parts and their keys; None where rows have to be read one by one."""
        loading = _Loading(self._router.profile, model_id, self._find_codebook)
        try:
            for (batch, _), keys in parts:
                if len(batch) and not loading.take(batch, self._router.decoder(batch), keys):
                    return None
        except InvalidQuantizedData:
            return None
        return loading.column()

    def guided(
        self, model_id: EmbedderId, num_threads: int = 1, progress: Progress | None = None
    ) -> Column:
        """Return the Column of an embedder with guides, each of all rows that share one.

        The first call copies the rows of several shards into one scan, and keeps the column in the
        cache; one that cannot be kept is told in a warning.
        """
        with self._reading:
            column = self.get(model_id)
            if len({one.key for one in column.scans}) < len(column.scans):
                self._columns[model_id] = Column.of(column.parts()), self._columns[model_id][1]
            found = super().guided(model_id, num_threads, progress)
            if found.guides and model_id not in self._saved:
                self._keep(model_id)
            return found

    def _keep(self, model_id: EmbedderId) -> None:
        try:
            self.save([model_id])
        except OSError as error:
            self._saved[model_id] = self.position()  # which is not tried again
            _LOGGER.warning("the guides of %s are not kept: %s", model_id.short, error)


class _Loading:
    """The parts of a column, taken from one shard after the other."""

    def __init__(self, profile: Profile, model_id: EmbedderId, find_codebook: FindCodebook) -> None:
        self._profile, self._model_id, self._find_codebook = profile, model_id, find_codebook
        self._parts: list[ColumnPart] = []
        self._small: dict[ScanKey, Gathering] = {}
        self._small_keys: defaultdict[ScanKey, list[KeyArray]] = defaultdict(list)

    def take(self, batch: QuantizedBatch, codec: Codec, keys: SortedKeys) -> bool:
        """Take rows and their keys; return False if they have to be read singly.

        Raises InvalidQuantizedData where some cannot be decoded, and CodebookMissing.
        """
        if misfit(self._profile, self._model_id, batch.method, batch.original_dim) is not None:
            return False
        for chosen, some in _by_layout(batch):
            scan = scan_class(codec.row(some, 0)).of_batch(some, self._find_codebook)
            if scan is None:
                return False
            least = MAPPED if scan.mapped else COPIED
            own = keys if chosen is None else keys.some(chosen)
            self._add(scan, own, some.nbytes >= least)
        return True

    def _add(self, scan: Scan, keys: SortedKeys, is_large: bool) -> None:
        if is_large:
            self._parts.append(ColumnPart(scan, *keys))
            return
        self._small_keys[scan.key].append(keys.row_keys)
        if scan.key in self._small:
            self._small[scan.key].add(scan)
        else:
            self._small[scan.key] = Gathering(scan)

    def column(self) -> Column:
        """Return the column of all that was taken."""
        small = [
            ColumnPart.of(Part(np.concatenate(self._small_keys[key]), one.scan()))
            for key, one in self._small.items()
        ]
        parts = [*self._parts, *small]
        return ShardColumn(parts) if len(parts) > 1 else Column(parts)


class KeyOrder:
    """Where each key of some parts is, whose rows count on; put in order when first asked."""

    def __init__(self, parts: Sequence[ColumnPart]) -> None:
        self._keys, self._rows = [part.keys for part in parts], [part.rows for part in parts]

    @classmethod
    def of(cls, parts: Sequence[ColumnPart]) -> Self:
        """Return the order of some parts: the same for columns whose parts have the same arrays."""
        names = tuple(id(part.keys) for part in parts)  # of arrays that live as long as the order
        found: Self | None = _ORDERS.get(names)
        if found is None:
            found = _ORDERS[names] = cls(parts)
        return found

    def find(self, keys: KeyArray) -> tuple[Int64Array, BoolArray]:
        """Return the row of each key, and whether it has one."""
        own, rows = self._every
        at, known = found_among(own, keys)
        return rows[at], known

    @cached_property
    def _every(self) -> tuple[KeyArray, Int64Array]:
        """The keys of all rows, ascending, and the row of each."""
        starts = np.cumsum([0, *map(len, self._rows)])
        keys = np.concatenate(self._keys)
        rows = np.concatenate([one + at for one, at in zip(self._rows, starts)])
        order = keys.argsort(kind="stable")
        return keys[order], rows[order]


class ShardColumn(Column):
    """A column of several parts that never changes: one look tells where each of some keys is."""

    def __init__(self, parts: Sequence[ColumnPart]) -> None:
        super().__init__(parts)
        self.order = KeyOrder.of(parts)

    def find(self, keys: KeyArray) -> tuple[Int64Array, BoolArray]:
        """Return the row of each key, and whether it has one."""
        return self.order.find(keys)


_ORDERS: WeakValueDictionary[tuple[int, ...], Any] = WeakValueDictionary()


def _by_layout(batch: QuantizedBatch) -> Iterator[tuple[Int64Array | None, QuantizedBatch]]:
    """Yield the rows of each layout of a batch, None for all, and the batch of these."""
    layouts = batch.columns.get("layouts")
    if layouts is None or np.all(layouts == layouts[0]):
        yield None, batch
        return
    for one in np.unique(layouts):
        rows = np.flatnonzero(layouts == one)
        yield rows, batch[rows]
