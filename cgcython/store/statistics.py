"""Says what a store holds and how much room it takes: estimated at once, or counted."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple, TypeAlias

from cgcython.base import EmbedderId, Profile
from cgcython.errors import StorageCorruption
from cgcython.frames import layout_title
from cgcython.store.ids import name_of
from cgcython.store.keeper import Read, ReadKeeper
from cgcython.store.quality import QualitySample, quality_samples

_Layouts: TypeAlias = defaultdict[int, dict[int, tuple[int, int]]]  # sections and bytes
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
    keeper: ReadKeeper, profile: Profile, codebooks: Mapping[EmbedderId, list[int]], exact: bool
) -> StoreStatistics:
    """Return the StoreStatistics of a store; exact ones read all of it."""
    limit, sizes = None if exact else SAMPLE, keeper.sizes()
    seen, head_bytes, layouts = _records(keeper, limit)
    total = seen if exact else _estimate(seen, sizes.records)
    share = total / seen if seen else 0
    parts = [
        Part(model_id, layout_title(number), round(count * share), round(size * share))
        for model_id in profile.storable
        for number, (count, size) in layouts[int(model_id)].items()
    ]
    trashed = [len(value) for _, value in islice(keeper.scan_gone(), limit)]
    trash_count = len(trashed) if exact else _estimate(len(trashed), sizes.gone)
    trash_share = trash_count / len(trashed) if trashed else 0
    return StoreStatistics(
        exact=exact,
        records=total,
        record_bytes=round(head_bytes * share) + sum(part.bytes for part in parts),
        database_bytes=sizes.disk_bytes or 0,
        trashed=trash_count,
        trash_bytes=round(sum(trashed) * trash_share),
        parts=parts,
        codebooks=dict(codebooks),
        quality=quality_samples(keeper),
    )


def _records(keeper: ReadKeeper, limit: int | None) -> tuple[int, int, _Layouts]:
    """Return how many records there are, up to a limit, the bytes of their heads, and layouts."""
    layouts: _Layouts = defaultdict(lambda: defaultdict(lambda: (0, 0)))
    count = head_bytes = 0
    for key, (head, sections) in islice(keeper.scan_records(), limit):
        if head is None:
            continue
        count += 1
        head_bytes += len(_whole(head))
        for number, section in sections.items():
            whole = _whole(section)
            if len(whole) < 2:
                raise StorageCorruption(where=f"record {name_of(key)}", reason="too short")
            found, size = layouts[number][whole[1]]
            layouts[number][whole[1]] = found + 1, size + len(whole)
    return count, head_bytes, layouts


def _whole(value: Read) -> bytes:
    if isinstance(value, StorageCorruption):
        raise value
    return value


def _estimate(seen: int, estimated: int) -> int:
    """Return how many there are; exact when all of them were in the sample."""
    return seen if seen < SAMPLE else max(seen, estimated)
