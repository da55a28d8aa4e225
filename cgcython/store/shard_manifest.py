"""The manifest of a folder of shards: what the folder has when it is whole.

`manifest.json` is written last, when all shards are there. A folder of an earlier release has
none, and neither has one whose job is unfinished: that one has `job.json`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cgcython.base import parse_embedder
from cgcython.store.sealed_json import SealedKind
from cgcython.tensors import Malformed, told_as_damage
from cgcython.types import StrPath

MANIFEST, JOB = "manifest.json", "job.json"
MANIFEST_KIND = SealedKind("cgcython-shards", "1")
JOB_KIND = SealedKind("cgcython-shard-job", "1")
MOST = 2**63 - 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ShardEntry(NamedTuple):
    """A shard: its number, its first memory, how many it has, and the hash of its file."""

    number: int
    first: int
    rows: int
    sha256: str  # of the file's bytes, in hexadecimal


class ShardManifest(NamedTuple):
    """All of a folder: its shards in order, the codebooks of its codes and its profile."""

    memories: int
    shard_size: int
    codebooks: Mapping[str, str]  # the sha256 of each codebook by the short name of its embedder
    profile_sha256: str  # of the bytes of profile.toml
    entries: tuple[ShardEntry, ...]


def shard_count(memories: int, shard_size: int) -> int:
    """Return how many shards some memories take; no memories take an empty one.

    >>> shard_count(20, 8), shard_count(0, 8)
    (3, 1)
    """
    return max(1, -(-memories // shard_size))


def shard_range(number: int, memories: int, shard_size: int) -> tuple[int, int]:
    """Return the first memory of a shard, and the one after its last.

    >>> shard_range(2, 20, 8)
    (16, 20)
    """
    first = number * shard_size
    return first, min(first + shard_size, memories)


def manifest_path(folder: StrPath) -> Path:
    """Return the file of a folder's manifest."""
    return Path(folder) / MANIFEST


def job_path(folder: StrPath) -> Path:
    """Return the file that a folder has while its job is unfinished."""
    return Path(folder) / JOB


def write_manifest(folder: StrPath, manifest: ShardManifest) -> None:
    """Write the manifest of a folder, whole or not at all; equal ones give equal bytes."""
    MANIFEST_KIND.write(manifest_path(folder), _as_dict(manifest))


def manifest_bytes(manifest: ShardManifest) -> bytes:
    """Return the bytes of a manifest's file."""
    return MANIFEST_KIND.to_bytes(_as_dict(manifest))


def read_manifest(folder: StrPath) -> ShardManifest | None:
    """Return the manifest of a folder; None for one of an earlier release or an unfinished job.

    Raises StorageCorruption where it is damaged, or says what no folder can be;
    UnsupportedVersion and FileUnavailable.
    """
    path = manifest_path(folder)
    found = MANIFEST_KIND.read(path)
    if found is None:
        return None
    with told_as_damage(path):
        return _manifest(found)


def _as_dict(manifest: ShardManifest) -> dict[str, Any]:
    entries = [one._asdict() for one in manifest.entries]
    return {**manifest._asdict(), "codebooks": dict(manifest.codebooks), "entries": entries}


def _manifest(found: Mapping[str, Any]) -> ShardManifest:
    if found.keys() != set(ShardManifest._fields):
        raise Malformed(f"it has {', '.join(sorted(found)):.80}")
    memories = _count(found["memories"], "memories")
    shard_size = _count(found["shard_size"], "shard_size", least=1)
    entries, shards = found["entries"], shard_count(memories, shard_size)
    if type(entries) is not list or len(entries) != shards:
        raise Malformed(f"{memories} memories take {shards} shards, and it has others")
    made = tuple(_entry(one, i, memories, shard_size) for i, one in enumerate(entries))
    profile = _hash(found["profile_sha256"], "profile_sha256")
    return ShardManifest(memories, shard_size, _codebooks(found["codebooks"]), profile, made)


def _count(found: Any, what: str, least: int = 0) -> int:
    if type(found) is not int or not least <= found <= MOST:
        raise Malformed(f"{what} is {found!r:.40}")
    return found


def _hash(found: Any, what: str) -> str:
    if type(found) is not str or not _SHA256.fullmatch(found):
        raise Malformed(f"{what} is {found!r:.40}, expected a sha256")
    return found


def _codebooks(found: Any) -> dict[str, str]:
    if type(found) is not dict:
        raise Malformed("its codebooks are no object")
    for name in found:
        if parse_embedder(name).short != name:
            raise Malformed(f"it names an embedder {name!r:.40}")
    return {name: _hash(one, f"the codebook of {name}") for name, one in found.items()}


def _entry(found: Any, number: int, memories: int, shard_size: int) -> ShardEntry:
    first, stop = shard_range(number, memories, shard_size)
    place = {"number": number, "first": first, "rows": stop - first}
    if type(found) is not dict or {**found, **place} != found or len(found) != len(place) + 1:
        expected = f"{stop - first} memories from {first} on"
        raise Malformed(f"shard {number} has {expected}, and it says {found!s:.80}")
    if any(type(found[name]) is not int for name in place):
        raise Malformed(f"shard {number} is not told in whole numbers")
    return ShardEntry(**place, sha256=_hash(found.get("sha256"), f"sha256 of shard {number}"))
