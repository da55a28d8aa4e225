"""A folder of shards that can be searched, as a store can."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from cgcython.base import EmbedderId, EmbedderName
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.frames import write_section
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.search.columns import Columns
from cgcython.search.keys import NO_KEYS, found_among, key_array
from cgcython.search.searcher import Searcher
from cgcython.store import shards
from cgcython.store.ids import RecordId, as_key
from cgcython.types import Int64Array, KeyArray, StrPath


class _NothingChanges:
    """The journal of what is written once."""

    def position(self) -> int:
        """Return the only position there is."""
        return 0

    def changes_since(self, position: int, model_id: EmbedderId) -> list[bytes]:
        """Return the keys that changed: none."""
        return []


class _Places(NamedTuple):
    """The keys of all memories, ascending, and where each lies."""

    keys: KeyArray
    shards: Int64Array
    rows: Int64Array


class ShardSearcher(Searcher):
    """The columns of safetensors shards, read into memory when first searched."""

    def __init__(self, folder: StrPath) -> None:
        self.path = Path(folder)
        self.profile = shards.read_profile(folder)
        self.router = QuantizationRouter(folder, self.profile)
        self.journal = _NothingChanges()
        self._paths = shards.shard_paths(folder)
        self._columns = Columns(self, self.router.codebooks.by_id)

    def __repr__(self) -> str:
        embedders = ", ".join(one.short for one in self.profile)
        return f"ShardSearcher({str(self.path)!r}, shards={len(self._paths)}, {embedders})"

    @contextmanager
    def view(self) -> Iterator[Self]:
        """Yield this searcher: shards are written once."""
        yield self

    @cached_property
    def _shards(self) -> list[shards.Shard]:
        """The shards, mapped and checked."""
        return [shards.read_shard(path) for path in self._paths]

    def scan(self, model_id: EmbedderId) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of all memories that have an embedder."""
        for shard in self._shards:
            if model_id in shard.parts:
                batch, rows = shard.parts[model_id]
                keys = shard.ids.keys()
                own = keys if rows is None else [keys[row] for row in rows.tolist()]
                yield from zip(own, self.router.decoder(batch).rows(batch))

    def sections(
        self, model_id: EmbedderId, damaged: list[bytes], disowned: list[bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, section) of all memories that have an embedder; nothing is wrong with one."""
        for key, quantized in self.scan(model_id):
            yield key, write_section(quantized, model_id)

    def quantized(self, record_id: RecordId, model_id: EmbedderName) -> QuantizedEmbedding | None:
        """Return one embedder's part of a memory, or None where it has none."""
        wanted = self.profile.embedder(model_id)
        return next((one for _, one in self._parts_of_keys([as_key(record_id)], wanted)), None)

    def _parts_of_keys(
        self, keys: Sequence[bytes], model_id: EmbedderId
    ) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of those of some memories that have an embedder."""
        for key in keys:
            part = self._part_of_key(key, model_id)
            if part is not None:
                yield key, part

    def _part_of_key(self, key: bytes, model_id: EmbedderId) -> QuantizedEmbedding | None:
        """Return one embedder's part of the memory of a key, or None where it has none."""
        place = self._place_of(key)
        part = None if place is None else self._shards[place[0]].parts.get(model_id)
        return None if place is None or part is None else self._row(part, place[1])

    def parts_of(self, key: bytes) -> tuple[int, QuantizedFingerprint] | None:
        """Return the number of the shard of a key's memory, and its parts; None without one."""
        place = self._place_of(key)
        if place is None:
            return None
        parts = self._shards[place[0]].parts
        found = {one: self._row(part, place[1]) for one, part in parts.items()}
        had = {one: quantized for one, quantized in found.items() if quantized is not None}
        return place[0], QuantizedFingerprint(had)

    def _place_of(self, key: bytes) -> tuple[int, int] | None:
        """Return the shard and the row of a key's memory, None where there is none."""
        places = self._places
        if not len(places.keys):
            return None
        ((at,), (known,)) = found_among(places.keys, key_array([key]))
        return (int(places.shards[at]), int(places.rows[at])) if known else None

    def _row(self, part: shards.ShardPart, memory: int) -> QuantizedEmbedding | None:
        row = _row_of(part, memory)
        return None if row is None else self.router.decoder(part.batch).row(part.batch, row)

    @cached_property
    def _places(self) -> _Places:
        """Where each memory lies; of those with the same id, the last one is found."""
        ids = [key_array(shard.ids.keys()) for shard in self._shards]
        keys = np.concatenate([NO_KEYS, *ids])
        counts = [len(one) for one in ids]
        rows = np.concatenate([np.empty(0, np.int64), *map(np.arange, counts)])
        order = keys.argsort(kind="stable")
        ascending = keys[order]
        is_last = np.append(ascending[1:] != ascending[:-1], True)[: len(order)]
        order = order[is_last]
        return _Places(
            ascending[is_last], np.repeat(np.arange(len(ids)), counts)[order], rows[order]
        )


def _row_of(part: shards.ShardPart, memory: int) -> int | None:
    """Return the row of a memory of the shard in an embedder's batch, None where it has none."""
    if part.rows is None:
        return memory
    row = int(part.rows.searchsorted(memory))
    return row if row < len(part.rows) and part.rows[row] == memory else None
