"""The head of a fingerprint's record: its parts, its times, and what its owner says of it.

A manifest holds the checksum of every section, so that a store can keep the parts under keys of
their own and still tell when one is missing, damaged or left over from an earlier record.
"""

import json
import operator
import struct
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple, SupportsIndex

import numpy as np

from cgcython import strict_json
from cgcython.base import EmbedderId, ModelId, Profile
from cgcython.checksums import RESIDUE, SIZE, crc32, ends_in_own_checksum, with_checksum
from cgcython.errors import InvalidInput, StorageCorruption, UnsupportedVersion
from cgcython.types import BytesLike

MAGIC, VERSION = b"CGFP", 2
NEWEST = 3  # where a record has embedders that a user named
MOST_METADATA_BYTES = 1 << 16
_EMBEDDERS: dict[int, EmbedderId] = {int(model_id): model_id for model_id in ModelId}
_FIRST, _TIMES = struct.Struct("<4sBBH"), struct.Struct("<QQI")
_ENTRY, _LISTED = struct.Struct("<BI"), struct.Struct("<B4s")
ENTRY_BYTES = _ENTRY.size  # of a section's embedder and checksum, the last before the metadata


class RecordInfo(NamedTuple):
    """When a record was first and last written, what it holds in 16 bytes, and its owner's words.

    Times are microseconds since 1970, or None where nobody noted them. Records of equal sections
    have equal content hashes. `metadata` is what JSON makes of an object.
    """

    created: int | None
    updated: int | None
    content_hash: bytes
    metadata: dict[str, Any]


class Manifest(NamedTuple):
    """`{embedder: checksum of its section}`, times as in RecordInfo, and the metadata as JSON."""

    checksums: Mapping[EmbedderId, int]
    created: int | None = None
    updated: int | None = None
    text: bytes = b""
    version: int = VERSION

    @classmethod
    def now(cls, checksums: Mapping[EmbedderId, int]) -> "Manifest":
        """Return the manifest of sections that are written now.

        >>> Manifest.now({ModelId.HDC: 7}).info.content_hash.hex()
        '6fc07e78abd45717dd7de9d650136f55'
        """
        moment = time.time_ns() // 1000
        return cls(checksums, moment, moment)

    def replaced(self, sections: Mapping[EmbedderId, bytes | None]) -> "Manifest":
        """Return the manifest after writing some sections, and without those that are None."""
        changed = {key: one if one is None else section_crc(one) for key, one in sections.items()}
        found: dict[EmbedderId, int | None] = {**self.checksums, **changed}
        kept = {key: crc for key, crc in sorted(found.items()) if crc is not None}
        return Manifest(kept, self.created, time.time_ns() // 1000, self.text)

    def with_info(
        self,
        created: SupportsIndex | None = None,
        updated: SupportsIndex | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> "Manifest":
        """Return the manifest with other times or metadata; None leaves what there is.

        Raises InvalidInput for times that are none, and for metadata that JSON cannot keep.
        """
        return Manifest(
            self.checksums,
            self.created if created is None else _time("created", created),
            self.updated if updated is None else _time("updated", updated),
            self.text if metadata is None else to_text(metadata),
        )

    @property
    def info(self) -> RecordInfo:
        """The RecordInfo of this manifest."""
        entries = b"".join(_ENTRY.pack(*entry) for entry in self.checksums.items())
        content_hash = blake2b(entries, digest_size=16).digest()
        metadata = _parsed(self.text) if self.text else {}
        return RecordInfo(self.created, self.updated, content_hash, metadata)

    def to_bytes(self) -> bytes:
        """Return the manifest framed."""
        count, checksums = len(self.checksums), chain.from_iterable(self.checksums.items())
        # The embedders that users name come last.
        version = NEWEST if count and max(self.checksums) not in _EMBEDDERS else self.version
        times = (self.created or 0, self.updated or 0, len(self.text)) if version > 1 else ()
        head = _body(version, count).pack(MAGIC, version, count, 0, *times, *checksums)
        return with_checksum(head + self.text)

    @classmethod
    def from_bytes(
        cls, data: BytesLike, where: str = "manifest", profile: Profile | None = None
    ) -> "Manifest":
        """Return the manifest that `to_bytes` wrote, of any version.

        Embedders that a user named are found by their numbers in a profile. Raises InvalidInput
        where they need one that was not given, StorageCorruption, naming `where`, for bytes that
        were not written as they are.
        """
        try:
            manifest, end = cls.read(data, where, profile)
        except UnsupportedVersion as error:
            if not ends_in_own_checksum(data):  # so is whatever a later release writes
                raise _damaged(where, f"{error.reason}, and its checksum differs") from None
            raise
        if end != len(data):
            raise _damaged(where, f"{len(data) - end} bytes follow the manifest")
        return manifest

    @classmethod
    def read(
        cls, data: BytesLike, where: str, profile: Profile | None = None
    ) -> "tuple[Manifest, int]":
        """Return the manifest at the beginning of some bytes, and where it ends."""
        version, count, flags = _first(data, where)
        start, created, updated, length = _FIRST.size, 0, 0, 0
        if version > 1:
            if len(data) < start + _TIMES.size:
                raise _damaged(where, "the manifest is cut off")
            created, updated, length = _TIMES.unpack_from(data, start)
            start += _TIMES.size
        middle = start + count * _ENTRY.size
        end = middle + length
        if len(data) < end + SIZE:
            raise _damaged(where, "the manifest is cut off")
        if not ends_in_own_checksum(data[: end + SIZE]):
            raise _damaged(where, "the checksum of the manifest differs")
        if flags:
            reason = f"its flags {flags:#x} are of a later version"
            raise UnsupportedVersion(where=where, reason=reason)
        checksums = _checksums(data[start:middle], where, version, profile)
        if text := bytes(data[middle:end]):
            _require_metadata(text, where)
        return cls(checksums, created or None, updated or None, text, version), end + SIZE


@lru_cache
def _body(version: int, count: int) -> struct.Struct:
    """Return the struct of a manifest before its text."""
    times = _TIMES.format.removeprefix("<") if version > 1 else ""
    return struct.Struct(_FIRST.format + times + count * _ENTRY.format.removeprefix("<"))


def size_of(count: int) -> int:
    """Return the bytes of a manifest of `count` sections, without metadata.

    >>> size_of(13)
    97
    """
    return _body(VERSION, count).size + SIZE


def section_crc(section: BytesLike) -> int:
    """Return the checksum that ends a section."""
    return int.from_bytes(section[-SIZE:], "little")


def listed_sections(manifest: bytes) -> dict[int, bytes]:
    """Return the last four bytes of the section of each embedder that a manifest lists, by number.

    Of what is no manifest or is cut off nothing is told; nothing else of it is checked.

    >>> listed_sections(Manifest.now({ModelId.HDC: 7}).to_bytes())
    {8: b'\\x07\\x00\\x00\\x00'}
    """
    if not manifest.startswith(MAGIC) or len(manifest) < _FIRST.size:
        return {}
    entries = _entries(manifest)
    stop = min(entries.stop, len(manifest) - (len(manifest) - entries.start) % _ENTRY.size)
    return dict(_LISTED.iter_unpack(manifest[entries.start : stop]))


def listed_crcs(manifests: Sequence[bytes], model_id: int) -> bytes | None:
    """Return the last four bytes of the section of an embedder that each of some manifests lists.

    None where they are not whole, or do not all list the same embedders.
    """
    place = _place_of_crc(manifests[0], model_id)
    if place is None or set(map(crc32, manifests)) != {RESIDUE}:
        return None
    entries = _entries(manifests[0])
    heads = np.frombuffer(b"".join([one[: entries.stop] for one in manifests]), np.uint8)
    if len(heads) != len(manifests) * entries.stop:
        return None
    heads = heads.reshape(len(manifests), entries.stop)
    kinds = np.concatenate([heads[:, : _FIRST.size], heads[:, entries]], axis=1)
    return heads[:, place].tobytes() if np.all(kinds == kinds[0]) else None


def _entries(manifest: bytes) -> slice:
    """Return where the numbers of the embedders stand that a manifest lists."""
    start = _FIRST.size + (_TIMES.size if manifest[4] > 1 else 0)
    return slice(start, start + manifest[5] * _ENTRY.size, _ENTRY.size)


def _place_of_crc(manifest: bytes, model_id: int) -> slice | None:
    if not manifest.startswith(MAGIC):
        return None
    entries = _entries(manifest)
    number = manifest[entries].find(model_id)
    if number < 0:
        return None
    stop = entries.start + (number + 1) * _ENTRY.size
    return slice(stop - SIZE, stop)


def to_text(metadata: Any) -> bytes:
    """Return a user's metadata as JSON, no bytes for none.

    NumPy's numbers and dates are taken as `strict_json.plain` has them. Raises InvalidInput unless
    it is then an object that JSON gives back as it is, of at most MOST_METADATA_BYTES.

    >>> to_text({"source": "notes.md", "tags": [1, 2]})
    b'{"source":"notes.md","tags":[1,2]}'
    """
    try:
        given = strict_json.plain(metadata)
        text = json.dumps(
            given, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        if _parsed(text) != given:
            raise ValueError("a value or key that JSON gives back as another")
    except (TypeError, ValueError, RecursionError) as error:
        limit = f"{MOST_METADATA_BYTES} bytes ({MOST_METADATA_BYTES >> 10} KiB)"
        expected = f"a JSON object of at most {limit}"
        raise InvalidInput(what="metadata", expected=expected, actual=error) from None
    return text if metadata else b""


def _parsed(text: bytes) -> dict[str, Any]:
    """Return the object of a JSON text; raises ValueError for all else."""
    if len(text) > MOST_METADATA_BYTES:
        raise ValueError(f"{len(text)} bytes")
    return strict_json.parse_object(text)


def _require_metadata(text: bytes, where: str) -> None:
    try:
        _parsed(text)
    except ValueError as error:
        raise _damaged(where, f"its metadata is {error}") from None


def _time(what: str, moment: SupportsIndex) -> int:
    try:
        number = operator.index(moment)
    except TypeError:
        number = 0
    if not 0 < number < 1 << 64:
        raise InvalidInput(what=what, expected="microseconds since 1970", actual=moment)
    return number


def _first(data: BytesLike, where: str) -> tuple[int, int, int]:
    if len(data) < _FIRST.size:
        raise _damaged(where, f"{len(data)} bytes are fewer than a manifest's {_FIRST.size}")
    magic, version, count, flags = _FIRST.unpack_from(data)
    if magic != MAGIC:
        raise _damaged(where, f"it does not begin with {MAGIC!r}")
    if not 1 <= version <= NEWEST:
        reason = f"it has version {version}, this release reads 1 to {NEWEST}"
        raise UnsupportedVersion(where=where, reason=reason)
    return version, count, flags


def _checksums(
    data: BytesLike, where: str, version: int, profile: Profile | None
) -> dict[EmbedderId, int]:
    entries = list(_ENTRY.iter_unpack(data))
    numbers = [number for number, _ in entries]
    known: Mapping[int, EmbedderId] = _EMBEDDERS
    if version == NEWEST:
        if profile is None:
            expected = f"the one that has the embedders {numbers} of {where}"
            raise InvalidInput(what="profile", expected=expected, actual="none")
        known = profile.by_number
    if numbers != sorted(set(numbers)) or not known.keys() >= set(numbers):
        raise _damaged(where, f"it lists the embedders {numbers}")
    return {known[number]: crc for number, crc in entries}


def _damaged(where: str, reason: str) -> StorageCorruption:
    return StorageCorruption(where=where, reason=reason)
