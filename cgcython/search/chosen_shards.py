"""Which shards of a folder a search reads: all of a whole folder, unless told otherwise."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cgcython.checks import require_items, require_whole
from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.store.shard_file import ShardFile
from cgcython.store.shard_manifest import ShardEntry, job_path, read_manifest
from cgcython.store.shards import MOST, shard_numbers, shard_path

_MOST_NAMED = 5
_PARTIAL = "partial=True (`--partial`) searches the others"


class ChosenShard(NamedTuple):
    """A shard that is to be searched, and what the manifest, where there is one, says of it."""

    path: Path
    entry: ShardEntry | None = None

    @property
    def number(self) -> int:
        """The number of the shard."""
        return int(self.path.stem.rpartition("-")[2])

    def open(self) -> ShardFile:
        """Return the file, mapped; raises StorageCorruption where it is not that of its entry."""
        file = ShardFile(self.path)
        if self.entry is not None:
            found = file.memories, file.facts.get("first")
            expected = self.entry.rows, self.entry.first
            if found != expected:
                reason = f"it has {_told(*found)}, the manifest {_told(*expected)}"
                raise StorageCorruption(where=self.path, reason=reason)
        return file


def chosen_shards(
    folder: Path, numbers: Sequence[int] | None = None, partial: bool = False
) -> list[ChosenShard]:
    """Return the shards of a folder, or those of some numbers, in the order of memories.

    A folder with a manifest has the shards that it lists, one of an earlier release those that are
    there. Raises StorageCorruption where some are missing, and for a folder whose job is
    unfinished, unless `partial`; InvalidInput for numbers that are none of the folder's.
    """
    manifest, there = read_manifest(folder), shard_numbers(folder)
    if manifest is None and job_path(folder).exists() and not partial:
        reason = "the job that writes its shards is unfinished: run it again to the end"
        raise StorageCorruption(where=folder, reason=f"{reason}, or {_PARTIAL}")
    entries = {} if manifest is None else {one.number: one for one in manifest.entries}
    wanted = _wanted(numbers, sorted(entries) if entries else there, folder, partial)
    missing = sorted(set(wanted) - set(there))
    if missing and not partial:
        raise StorageCorruption(where=folder, reason=f"{_named(missing)} missing; {_PARTIAL}")
    found = [number for number in wanted if number not in set(missing)]
    return [ChosenShard(shard_path(folder, one), entries.get(one)) for one in found]


def _wanted(
    numbers: Sequence[int] | None, known: Sequence[int], folder: Path, partial: bool
) -> Sequence[int]:
    if numbers is None:
        return known
    given = require_items(numbers, "numbers", "numbers of shards")
    wanted = sorted({require_whole(one, "numbers", 0, MOST) for one in given})
    unknown = set(wanted) - set(known)
    if unknown and not partial:
        expected = f"numbers of the {len(known)} shards of {folder}"
        raise InvalidInput(what="numbers", expected=expected, actual=min(unknown))
    return wanted


def _named(missing: Sequence[int]) -> str:
    """Return the names of missing shards for a sentence."""
    names = [shard_path("", one).name for one in missing[:_MOST_NAMED]]
    more = len(missing) - len(names)
    told = ", ".join(names) + (f" and {more} more" if more else "")
    return f"{told} {'is' if len(missing) == 1 else 'are'}"


def _told(rows: int, first: object) -> str:
    return f"{rows} memories from {first!r:.40} on"
