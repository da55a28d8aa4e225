"""A folder of shards that can be searched, as a store can."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cgcython.base import EmbedderId, EmbedderName
from cgcython.errors import StoreUnavailable
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.frames import write_section
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.search.chosen_shards import chosen_shards
from cgcython.search.guide_cache import cache_folder
from cgcython.search.keys import key_array, whole_keys
from cgcython.search.open_shards import OpenShards
from cgcython.search.searcher import Searcher
from cgcython.search.shard_columns import ShardColumns
from cgcython.store import shards
from cgcython.store.ids import RecordId, as_key
from cgcython.store.shard_file import ShardPart
from cgcython.types import StrPath

CHUNK = 1 << 10  # memories whose parts are objects at a time


class _NothingChanges:
    """The journal of what is written once."""

    def position(self) -> int:
        """Return the only position there is."""
        return 0

    def changes_since(self, position: int, model_id: EmbedderId) -> list[bytes]:
        """Return the keys that changed: none."""
        return []


class ShardSearcher(Searcher):
    """The columns of safetensors shards, mapped and checked when first searched.

    Threads may search at the same time, and so may processes that are forked. `close`, or leaving
    its context, lets the files go.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        partial: bool = False,
        numbers: Sequence[int] | None = None,
        cache: StrPath | None = None,
    ) -> None:
        """`numbers`: only these shards of the folder. `partial`: shards may be missing.

        `cache`: a folder in which guides are kept, with copies of the codes, so that later
        searchers of the same shards map them; without a manifest nothing is kept.

        Raises InvalidInput for a number that is no shard's, and where there is no profile;
        StorageCorruption for a folder of which shards are missing, or whose job is unfinished.
        """
        self.path = Path(folder)
        self.profile = shards.read_profile(folder)
        self.router = QuantizationRouter(folder, self.profile)
        self.journal = _NothingChanges()
        chosen = chosen_shards(self.path, numbers, partial)
        self._shards, self._cache = OpenShards(chosen), cache_folder(cache, chosen)
        self._columns = self._new_columns()
        self._is_open = True

    def __repr__(self) -> str:
        embedders = ", ".join(one.short for one in self.profile)
        return f"ShardSearcher({str(self.path)!r}, shards={len(self._shards)}, {embedders})"

    def close(self) -> None:
        """Let the files go: what is mapped is unmapped when the last search has ended."""
        self._is_open = False
        self._shards.release()
        self._columns = self._new_columns()

    def _new_columns(self) -> ShardColumns:
        return ShardColumns(self, self._shards, self.router, self._cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable(path=self.path, reason="its searcher was closed; make another")

    @property
    def paths(self) -> list[Path]:
        """The files of the shards that are searched, in the order of memories."""
        return self._shards.paths

    @contextmanager
    def view(self) -> Iterator[Self]:
        """Yield this searcher: shards are written once."""
        yield self

    def has_any(self, model_id: EmbedderId) -> bool:
        """Return whether any memory has an embedder; nothing of it is read."""
        return any(file.count(model_id) for file in self._shards.files)

    def scan(self, model_id: EmbedderId) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of all memories that have an embedder."""
        for number in range(len(self._shards)):
            part = self._shards.part(number, model_id)
            if part is None:
                continue
            batch, rows = part
            own = self._shards.keys[number].row_keys
            own = own if rows is None else own[rows]
            for start in range(0, len(batch), CHUNK):
                some = slice(start, start + CHUNK)
                found = self.router.decoder(batch).rows(batch[some])
                yield from zip(whole_keys(own[some]), found)

    def sections(
        self, model_id: EmbedderId, damaged: list[bytes], disowned: list[bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, section) of all memories that have an embedder; nothing is wrong with one."""
        for key, quantized in self.scan(model_id):
            yield key, write_section(quantized, model_id)

    def quantized(self, record_id: RecordId, model_id: EmbedderName) -> QuantizedEmbedding | None:
        """Return one embedder's part of a memory, or None where it has none."""
        self._require_open()
        wanted = self.profile.embedder(model_id)
        return next((one for _, one in self._parts_of_keys([as_key(record_id)], wanted)), None)

    def _parts_of_keys(
        self, keys: Sequence[bytes], model_id: EmbedderId
    ) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of those of some memories that have an embedder."""
        for number, memories in self._shards.places.find(key_array(keys)).items():
            part = self._shards.files[number].some(model_id, memories)
            if part is not None:
                own = whole_keys(self._shards.keys[number].row_keys[part.rows])
                yield from zip(own, self.router.decoder(part.batch).rows(part.batch))

    def parts_of(self, key: bytes) -> tuple[int, QuantizedFingerprint] | None:
        """Return the number of the shard of a key's memory, and its parts; None without one."""
        for number, (memory,) in self._shards.places.find(key_array([key])).items():
            file = self._shards.files[number]
            found = {one: self._row(file.part(one), memory) for one in file.embedders}
            had = {one: quantized for one, quantized in found.items() if quantized is not None}
            return number, QuantizedFingerprint(had)
        return None

    def _row(self, part: ShardPart | None, memory: int) -> QuantizedEmbedding | None:
        """Return the embedding of a memory of a shard, None where it has none."""
        row = None if part is None else _row_of(part, memory)
        if part is None or row is None:
            return None
        one = part.batch[row : row + 1]
        return self.router.decoder(one).row(one, 0)


def _row_of(part: ShardPart, memory: int) -> int | None:
    """Return the row of a memory of the shard in an embedder's batch, None where it has none."""
    if part.rows is None:
        return memory
    row = int(part.rows.searchsorted(memory))
    return row if row < len(part.rows) and part.rows[row] == memory else None
