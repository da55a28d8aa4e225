"""Which shards a folder lacks of those that it is to have."""

from itertools import count, islice
from typing import NamedTuple

from cgcython.store.shard_manifest import JOB_KIND, MOST, job_path, read_manifest, shard_count
from cgcython.store.shards import shard_numbers, shard_path
from cgcython.tensors import Malformed, told_as_damage
from cgcython.types import StrPath

MOST_NAMED = 5


class Gaps(NamedTuple):
    """The first shards that are missing, how many are, and whether a job has yet to write them."""

    folder: StrPath
    first: tuple[int, ...]
    missing: int
    unfinished: bool

    def __str__(self) -> str:
        names = [shard_path(self.folder, one).name for one in self.first]
        more = self.missing - len(names)
        told = ", ".join(names) + (f" and {more} more" if more else "")
        told = f"it lacks {told}" if names else "it has no manifest"
        return f"its job is unfinished, {told}" if self.unfinished else told


def gaps_of(folder: StrPath) -> Gaps | None:
    """Return the Gaps of a folder, None where it has none.

    Its manifest tells what it is to have, or the plan of a job that is unfinished; a folder of an
    earlier release has neither. Raises StorageCorruption where that file is damaged.
    """
    manifest = read_manifest(folder)
    planned = None if manifest is not None else _planned(folder)
    wanted = len(manifest.entries) if manifest is not None else planned or 0
    there = {one for one in shard_numbers(folder) if one < wanted}
    missing = wanted - len(there)
    if not missing and planned is None:
        return None
    first = islice((one for one in count() if one not in there), min(missing, MOST_NAMED))
    return Gaps(folder, tuple(first), missing, planned is not None)


def _planned(folder: StrPath) -> int | None:
    """Return how many shards an unfinished job is to write, None where there is none."""
    path = job_path(folder)
    with told_as_damage(path):
        found = JOB_KIND.read(path)
        if found is None:
            return None
        plan = found.get("job")
        if not isinstance(plan, dict):
            raise Malformed("it has no plan")
        return shard_count(_count(plan, "memories", 0), _count(plan, "shard_size", 1))


def _count(plan: dict[str, object], name: str, least: int) -> int:
    found = plan.get(name)
    if type(found) is not int or not least <= found <= MOST:
        raise Malformed(f"{name} is {found!r:.40}")
    return found
