"""Says what a store holds and how much room it takes: estimated at once, or counted."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from cgcython.base import EmbedderId, Profile
from cgcython.errors import StorageCorruption
from cgcython.frames import layout_title
from cgcython.store.ids import UUID_BYTES
from cgcython.store.keepers.rocksdb import Tables
from cgcython.store.quality import QualitySample, quality_samples

SAMPLE = 256  # records; as most ids are random, the first ones are a sample


class Part(NamedTuple):
    """The sections of one embedder in one layout."""

    embedder: EmbedderId
    layout: str
    sections: int
    bytes: int


class StoreStatistics(NamedTuple):
    """What a store holds; `exact` tells whether numbers were counted or estimated.

    `record_bytes` are manifests and sections, as `get_stored_size` counts them. `database_bytes`
    are those of the files on disk, always exact: what was replaced or deleted still takes room
    there until the database compacts. `codebooks` are ids by embedder, oldest first,
    `quality` samples of what encoding and queries lost, oldest first.
    """

    exact: bool
    records: int
    record_bytes: int
    database_bytes: int
    trashed: int
    trash_bytes: int
    parts: list[Part]
    codebooks: dict[EmbedderId, list[int]]
    quality: list[QualitySample]


def statistics(
    files: Tables, profile: Profile, codebooks: Mapping[EmbedderId, list[int]], exact: bool
) -> StoreStatistics:
    """Return the StoreStatistics of a database; exact ones read all of it."""
    limit = None if exact else SAMPLE
    records = _tally(files, "records", limit)
    total = records[0] if exact else _estimate(files, "records", records[0])
    share = total / records[0] if records[0] else 0
    parts, last = [], _last_key(files, limit)
    for model_id in profile.storable:
        for number, (count, size) in _layouts(files, model_id, last).items():
            name = layout_title(number)
            parts.append(Part(model_id, name, round(count * share), round(size * share)))
    trashed = _tally(files, "trash", limit) if files.has("trash") else (0, 0)
    trash_count = trashed[0] if exact else _estimate(files, "trash", trashed[0])
    trash_share = trash_count / trashed[0] if trashed[0] else 0
    return StoreStatistics(
        exact=exact,
        records=total,
        record_bytes=round(records[1] * share) + sum(part.bytes for part in parts),
        database_bytes=files.disk_bytes(),
        trashed=trash_count,
        trash_bytes=round(trashed[1] * trash_share),
        parts=parts,
        codebooks=dict(codebooks),
        quality=quality_samples(files),
    )


def _tally(files: Tables, family: str, limit: int | None) -> tuple[int, int]:
    """Return how many values there are, up to a limit, and their bytes."""
    sizes = [len(value) for _, value in islice(files.scan(family), limit)]
    return len(sizes), sum(sizes)


def _estimate(files: Tables, family: str, seen: int) -> int:
    """Estimate how many keys a family has; exact when all of them were in the sample."""
    return seen if seen < SAMPLE else max(seen, files.estimated_keys(family))


def _last_key(files: Tables, limit: int | None) -> bytes:
    if limit is None:
        return b"\xff" * UUID_BYTES  # no key is above the last UUID
    keys = [key for key, _ in islice(files.scan("records"), limit)]
    return keys[-1] if keys else b""


def _layouts(files: Tables, model_id: EmbedderId, last: bytes) -> dict[int, tuple[int, int]]:
    """Return `{layout number: (sections, bytes)}` of the records up to a key."""
    found: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for key, section in files.scan("sections", bytes([model_id])):
        if key[1:] > last:
            break
        if len(section) < 2:
            raise StorageCorruption(where=f"{model_id.short} in {files.path}", reason="too short")
        count, size = found[section[1]]
        found[section[1]] = count + 1, size + len(section)
    return found
