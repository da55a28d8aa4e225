"""A store that can be searched by fingerprints."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgcython.base import EmbedderName, Profile
from cgcython.checks import require_items
from cgcython.errors import InvalidInput, QuantizationError
from cgcython.locks import ForkSafeLock
from cgcython.manifest import RecordInfo
from cgcython.router import QuantizationRouter
from cgcython.search.column_files import FOLDER, METADATA
from cgcython.search.columns import Columns
from cgcython.search.graph_settings import GraphSettings
from cgcython.search.hits import Hits
from cgcython.search.keys import sorted_keys, whole_keys
from cgcython.search.searcher import Searcher
from cgcython.store.ids import RecordId, StoredId, as_key, id_of
from cgcython.store.keeper import Keeper
from cgcython.store.quality import QUERIES
from cgcython.store.records import RecordStore
from cgcython.store.shelf import CodebookShelf
from cgcython.store.where.conditions import Where, parsed
from cgcython.types import BytesLike, KeyArray, Progress

if TYPE_CHECKING:
    from cgcython.search.metadata.index import MetadataIndex

QUERY_SAMPLES_EVERY = 64  # queries, of which one is decoded to measure its loss
_LOGGER = logging.getLogger(__name__)


class FingerprintStore(RecordStore, Searcher):
    """Fingerprints by id in a folder, found by what they are like.

    >>> from tempfile import TemporaryDirectory
    >>> from uuid import UUID
    >>> from cgcython import Fingerprint
    >>> memory = Fingerprint({"E9": [1.0, -1.0] * 512})
    >>> with TemporaryDirectory() as folder, FingerprintStore.open(folder) as store:
    ...     store.store(UUID(int=1), memory)
    ...     store.get_stored_size(UUID(int=1)), store.search(memory)
    (183, [Hit(id=UUID('00000000-0000-0000-0000-000000000001'), similarity=1.0, \
scores={<ModelId.HDC: 8>: 1.0})])
    """

    def __init__(self, keeper: Keeper, shelf: CodebookShelf, profile: Profile) -> None:
        super().__init__(keeper, shelf, profile)
        self._columns = Columns(self, shelf.codebook, self.path)
        self._queries: QuantizationRouter | None = None
        self._index: MetadataIndex | None = None  # made when metadata are first asked for
        self._making = ForkSafeLock()

    def ids(
        self, prefix: BytesLike | str = "", *, where: Where | None = None
    ) -> Iterator[StoredId]:
        """Return an iterator over the ids in the order of their keys: those that begin so.

        `where`, conditions on metadata as in `search`: only those of records that meet them.
        """
        if where is None:
            return super().ids(prefix)
        found = sorted(whole_keys(self._keys_where(where)))
        if not prefix:
            return map(id_of, found)
        wanted = set(found)
        return (one for one in super().ids(prefix) if as_key(one) in wanted)

    def infos(
        self, prefix: BytesLike | str = "", *, where: Where | None = None
    ) -> Iterator[tuple[StoredId, RecordInfo]]:
        """Return an iterator over (id, RecordInfo) in the order of ids, of those that begin so.

        It reads no sections. `where` as in `ids`. Raises StorageCorruption, naming the id, at a
        damaged record.
        """
        if where is None:
            return super().infos(prefix)
        found = ((one, self.info(one)) for one in self.ids(prefix, where=where))
        return ((one, info) for one, info in found if info is not None)

    def delete_where(self, where: Where, soft: bool = False) -> int:
        """Remove the records that meet conditions on metadata, all or nothing.

        Returns how many there were; `soft` as in `delete`. Raises InvalidInput where no condition
        is given: that would be all records.
        """
        self._keeper.require_writable()
        condition = parsed(where)
        if not where:
            raise InvalidInput(what="where", expected="one condition or more", actual="none")
        index = self._metadata_index()
        with index.lock, self._writing:  # nobody changes a record in between
            return self.delete_many(map(id_of, whole_keys(index.keys(condition))), soft)

    def compact(self) -> int:
        """Rewrite the files without what was replaced or deleted, and return the bytes freed.

        The index of metadata is made anew where it has some of that; it is not counted.
        """
        freed = super().compact()
        if (self.path / FOLDER / METADATA).exists():
            self._metadata_index().compact()
        return freed

    def _keys_where(self, where: Where) -> KeyArray:
        self._keeper.require_open()
        condition = parsed(where)
        found = self._keeper.keys_where(condition)
        return self._metadata_index().keys(condition) if found is None else sorted_keys(found)

    def _metadata_of(self, ids: Iterable[RecordId]) -> list[dict[str, Any]]:
        texts = self._metadata_texts([as_key(one) for one in ids])
        return [json.loads(text) if text else {} for _, text in texts]

    def _metadata_index(self) -> MetadataIndex:
        with self._making:
            if self._index is None:
                # SQLite takes a while to import, and most searches have no conditions.
                try:
                    from cgcython.search.metadata.index import MetadataIndex
                except ImportError as error:
                    expected = "a Python that has the module sqlite3"
                    raise InvalidInput(what="where", expected=expected, actual=error) from None

                path = self.path / FOLDER / METADATA
                self._index = MetadataIndex(self, path, not self._keeper.read_only)
            return self._index

    def save_columns(
        self,
        embedders: Iterable[EmbedderName] | None = None,
        *,
        guides: bool = True,
        graphs: bool | Mapping[str, int] = False,
        num_threads: int = 1,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write the columns of some embedders, or those that were searched, and return the files.

        They lie in the folder `columns` of the store, are mapped when it is searched again, and may
        be deleted at any time. Closing a store saves large columns by itself, where they have no
        file or one of long ago, but not those of sparse vectors and tokens, which take as much room
        as the records. `guides` makes those that `approximate=True` uses, which stand in the same
        files; without it those that were made are saved. Graphs that were built are saved too;
        `graphs` builds those of `embedders`: True, or settings such as `{"connectivity": 32}`,
        which the files keep (`GraphSettings`). `progress` is called with the number of records
        added to a guide or a graph at a time. Raises InvalidInput.
        """
        self._keeper.require_writable()
        names = None if embedders is None else require_items(embedders, "embedders")
        wanted = None if names is None else [self.profile.embedder(one) for one in names]
        settings = None if isinstance(graphs, bool) else GraphSettings.of(graphs)
        for model_id in self._columns.loaded() if wanted is None else wanted:
            if guides:
                self._columns.guided(model_id, num_threads, progress)
            if graphs is not False and wanted is not None:
                self._columns.graph(model_id, num_threads, progress, settings)
        return self._columns.save(wanted)

    def close(self) -> None:
        """Give the folder back to other processes."""
        if self._keeper.is_open and not self._keeper.read_only:
            try:
                self._columns.save_what_pays()
                if self._index is not None:
                    self._index.save_what_pays()
            except (OSError, QuantizationError) as error:
                _LOGGER.warning("store %s: its columns were not saved: %s", self.path, error)
        super().close()
        if self._index is not None:
            self._index.close()  # last: no thread opens it again

    def _forget_columns(self) -> None:
        self._columns.forget()
        self._note_queries()
        self._queries = None

    def _query_router(self) -> QuantizationRouter:
        """Return a router of queries alone, so that their losses are not those of records."""
        if self._queries is None:
            self._queries = QuantizationRouter(
                self.router.codebooks, self.profile, sample_every=QUERY_SAMPLES_EVERY
            )
        return self._queries

    def _searched(self, hits: Hits) -> None:
        if hits:
            self._quality.searched(hits[0].scores)

    def _keep_quality(self) -> None:
        self._note_queries()
        super()._keep_quality()

    def _note_queries(self) -> None:
        if self._queries is not None:
            self._quality.note(self._queries, QUERIES)

    def _require_open(self) -> None:
        self._keeper.require_open()  # columns in memory outlive the files


open_store = FingerprintStore.open
