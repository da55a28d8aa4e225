"""Tells whether a folder of shards is whole, as far as its manifest or its job say."""

from pathlib import Path
from typing import Any

from cgcython.errors import StorageCorruption
from cgcython.store import shards
from cgcython.store.shard_manifest import (
    JOB_KIND,
    job_path,
    manifest_path,
    read_manifest,
    shard_count,
)
from cgcython.types import StrPath

_NAMED = 3  # missing shards that a sentence names


def has_shards(folder: StrPath) -> bool:
    """Return whether a folder is one of shards, even where they are missing."""
    told = manifest_path(folder).is_file() or job_path(folder).is_file()
    return bool(shards.shard_numbers(folder)) or (
        told and (Path(folder) / shards.PROFILE).is_file()
    )


def why_partial(folder: StrPath) -> str | None:
    """Return what a folder lacks of what its manifest or its unfinished job say, None if nothing.

    Raises StorageCorruption for a damaged manifest. Folders of earlier releases have none: of them
    nothing is known.

    >>> why_partial("nowhere") is None
    True
    """
    there = set(shards.shard_numbers(folder))
    manifest = read_manifest(folder)
    if manifest is not None:
        missing = [one.number for one in manifest.entries if one.number not in there]
        return _missing(missing) if missing else None
    return unfinished_reason(folder) if job_path(folder).is_file() else None


def unfinished_reason(folder: StrPath) -> str:
    """Return what a folder lacks whose job is unfinished."""
    there = len(shards.shard_numbers(folder))
    return f"its job is unfinished: {there} of {_planned(folder)} shards are there"


def require_whole(folder: StrPath) -> None:
    """Raise StorageCorruption, which names what is missing, for a folder that is not whole."""
    reason = why_partial(folder)
    if reason is not None:
        error = StorageCorruption(where=str(folder), reason=reason)
        error.add_note(f"({remedy(folder)})")
        raise error


def remedy(folder: StrPath) -> str:
    """Return what makes a partial folder whole."""
    return f"run the same cgcython encode --out {folder} again: it writes what is missing"


def _missing(numbers: list[int]) -> str:
    names = [shards.shard_path("", one).name for one in numbers[:_NAMED]]
    more = f" and {len(numbers) - _NAMED} others" if len(numbers) > _NAMED else ""
    return f"{', '.join(names)}{more} {'is' if len(numbers) == 1 else 'are'} missing"


def _planned(folder: StrPath) -> int | str:
    """Return how many shards the job of a folder has, `?` where its file does not tell."""
    try:
        job = (JOB_KIND.read(job_path(folder)) or {}).get("job")
    except StorageCorruption:
        return "?"
    found: list[Any] = (
        [job.get(name) for name in ("memories", "shard_size")] if type(job) is dict else []
    )
    if (
        len(found) != 2
        or any(type(one) is not int for one in found)
        or not found[0] >= 0 < found[1]
    ):
        return "?"
    return shard_count(found[0], found[1])
