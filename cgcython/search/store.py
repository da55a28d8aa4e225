"""A store that can be searched by fingerprints."""

import logging
from collections.abc import Iterable
from pathlib import Path

from cgcython.base import EmbedderName, ModelId, Profile
from cgcython.checks import require_items
from cgcython.errors import QuantizationError
from cgcython.search.columns import Columns
from cgcython.search.searcher import Searcher
from cgcython.store.keepers.rocksdb import Database
from cgcython.store.records import RecordStore
from cgcython.store.shelf import CodebookShelf
from cgcython.types import Progress

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

    def __init__(self, files: Database, shelf: CodebookShelf, profile: Profile) -> None:
        super().__init__(files, shelf, profile)
        self._columns = Columns(self, shelf.codebook, self.path)

    def save_columns(
        self,
        embedders: Iterable[EmbedderName] | None = None,
        *,
        graphs: bool = False,
        num_threads: int = 1,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write the columns of some embedders, or those that were searched, and return the files.

        They lie in the folder `columns` of the store, are mapped when it is searched again, and may
        be deleted at any time. Closing a store saves large columns by itself, where they have no
        file or one of long ago, but not those of sparse vectors and tokens, which take as much room
        as the records. Graphs that were built are saved too; `graphs` builds those of `embedders`,
        and `progress` is called with the number of records added at a time.
        """
        self._files.require_writable()
        names = None if embedders is None else require_items(embedders, "embedders")
        wanted = None if names is None else [ModelId.parse(one) for one in names]
        if graphs:
            for model_id in wanted or ():
                self._columns.graph(model_id, num_threads, progress)
        return self._columns.save(wanted)

    def close(self) -> None:
        """Give the folder back to other processes."""
        if self._files.is_open and not self._files.read_only:
            try:
                self._columns.save_what_pays()
            except (OSError, QuantizationError) as error:
                _LOGGER.warning("store %s: its columns were not saved: %s", self.path, error)
        super().close()

    def _take_codebooks(self) -> None:
        super()._take_codebooks()
        self._columns.forget()

    def _require_open(self) -> None:
        self._files.require_open()  # columns in memory outlive the files
