"""Copies a folder of shards into a store: each memory becomes the record of its codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from cgcython.checks import require_progress
from cgcython.errors import InvalidInput
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.search.shards import ShardSearcher
from cgcython.store.copy_tally import Tally
from cgcython.store.copying import copy_records
from cgcython.store.keeper import Record
from cgcython.store.opening import notes_of
from cgcython.store.shard_file import ShardFile
from cgcython.store.shard_folder import has_shards
from cgcython.store.shelf import CODEBOOK, GENERATIONS
from cgcython.types import Progress, StrPath


def copy_shards(
    folder: StrPath,
    target: StrPath,
    *,
    progress: Progress | None = None,
    verifying: Progress | None = None,
) -> Tally:
    """Copy shards to a place where no store is, codes and codebooks byte for byte.

    Shards keep neither metadata nor times: records have the time when their shard was written.
    All else as in `copy_store`; raises InvalidInput, too, for a folder that has no shards.
    """
    for one in (progress, verifying):
        require_progress(one)
    if not has_shards(folder):
        raise InvalidInput(what="folder", expected="one with shards", actual=folder)
    source = ShardRecords(folder)
    return copy_records(source, source.profile, target, progress, verifying)


class ShardRecords:
    """The memories of shards as records that can be copied; a stripe is a shard."""

    def __init__(self, folder: StrPath) -> None:
        self._searcher, self.place = ShardSearcher(folder), str(folder)
        self.profile = self._searcher.profile
        self._paths = self._searcher.paths

    def stripes(self) -> int:
        """Return the number of shards."""
        return len(self._paths)

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record) in the order of keys, of memories that no later one replaces."""
        for number in range(self.stripes()) if stripe is None else [stripe]:
            keys = sorted(set(ShardFile(self._paths[number]).ids.keys()))
            for key in keys:
                found = self._searcher.parts_of(key)
                if found is not None and found[0] == number:
                    yield key, self._record(*found)

    def _record(self, number: int, parts: QuantizedFingerprint) -> Record:
        told = parts.numbered(self.profile).with_info(self._moments[number], self._moments[number])
        return Record(told.manifest, {int(one): section for one, section in told.sections.items()})

    @cached_property
    def _moments(self) -> list[int]:
        """When each shard was written, in microseconds since 1970."""
        return [path.stat().st_mtime_ns // 1000 for path in self._paths]

    def records(self, keys: Sequence[bytes]) -> list[Record | None]:
        """Return the record of each key, None where there is none."""
        found = map(self._searcher.parts_of, keys)
        return [None if one is None else self._record(*one) for one in found]

    def gone(self, keys: Sequence[bytes]) -> list[None]:
        """Return None for each key: shards have no trash."""
        return [None] * len(keys)

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield nothing."""
        return iter(())

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, value) of what a store would keep of the profile and the codebooks."""
        found, books = dict(notes_of(self.profile)), self._searcher.router.codebooks
        for model_id in books:
            packed = books[model_id].codebook_id.to_bytes(4, "big")
            found[CODEBOOK + packed] = books[model_id].to_bytes()
            found[GENERATIONS + bytes([self.profile.embedder(model_id)])] = packed
        return (row for row in sorted(found.items()) if row[0].startswith(prefix))

    def position(self) -> int:
        """Return 0: shards are written once."""
        return 0

    def changes_since(self, position: int) -> list[bytes]:
        """Return nothing."""
        return []
