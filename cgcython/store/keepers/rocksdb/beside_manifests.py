"""Reads the sections of an embedder with the manifests beside them, which tell whose each one is.

A section is sound by itself also where it is another record's, or left over from an earlier one:
only its manifest tells.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import TypeAlias

from cgcython.errors import StorageCorruption
from cgcython.store.keeper import Read, Stretch
from cgcython.store.keepers.rocksdb.around_damage import Listed, manifests
from cgcython.store.keepers.rocksdb.tables import Tables
from cgcython.store.owned import are_own

STRETCH = 1024  # sections
_Section: TypeAlias = tuple[bytes, Read]


def beside_manifests(files: Tables, number: int) -> Iterator[Stretch]:
    """Yield stretches of the sections of an embedder, in the order of keys."""
    rows, heads = _sections(files, number), _Heads(files)
    while stretch := list(islice(rows, STRETCH)):
        keys, sections = zip(*stretch)
        own = are_own(heads.of(keys), sections, number)
        yield Stretch(keys, sections, own) if all(own) else _of_now(files, number, stretch, own)


def _of_now(files: Tables, number: int, rows: Sequence[_Section], own: Sequence[bool]) -> Stretch:
    """Return a stretch with those sections read again that were written since their heads were."""
    found: list[tuple[bytes, Read, bool]] = []
    for (key, section), is_own in zip(rows, own):
        now: Read | None = section
        if not is_own:
            now, is_own = _section_of_now(files, number, key)
        if now is not None:
            found.append((key, now, is_own))
    return Stretch(*zip(*found)) if found else Stretch((), (), ())


def _section_of_now(files: Tables, number: int, key: bytes) -> tuple[Read | None, bool]:
    """Return the section of a key, None where it is gone, and whether its head lists it."""
    at = bytes([number]) + key
    before: tuple[Read | None, Read | None] = (None, None)
    while True:
        found = _read(files, "records", key), _read(files, "sections", at)
        head, section = found
        if section is None:
            return None, False
        (is_own,) = are_own([head], [section], number)
        if is_own or found == before or isinstance(section, StorageCorruption):
            return section, is_own
        before = found


def _read(files: Tables, family: str, key: bytes) -> Read | None:
    try:
        return files.get(family, key)
    except StorageCorruption as error:
        return error


def _sections(files: Tables, number: int) -> Iterator[_Section]:
    """Yield (key, section); for one whose block cannot be read, the error."""
    prefix, last = bytes([number]), b""
    try:
        for key, section in files.scan("sections", prefix):
            last = key[1:]
            yield last, section
        return
    except StorageCorruption:
        rest = [key for key, _ in manifests(files) if key > last]
    for key in rest:  # a damaged block ended the scan: ask for each record it may have held
        found = _read(files, "sections", prefix + key)
        if found is not None:
            yield key, found


class _Heads:
    """The manifests of a database, taken in the order of keys."""

    def __init__(self, files: Tables) -> None:
        self._rows = manifests(files)
        self._next: list[Listed] = []

    def of(self, keys: Sequence[bytes]) -> Sequence[Read | None]:
        """Return the manifest of each of some keys that ascend, None where there is none."""
        found = self._upto(keys[-1])
        known, heads = zip(*found) if found else ((), ())
        if known == keys:
            return heads
        by_key = dict(found)
        return [by_key.get(key) for key in keys]

    def _upto(self, last: bytes) -> list[Listed]:
        """Return what there is up to a key, what was not taken yet."""
        found = self._next
        while not found or found[-1][0] <= last:
            more = list(islice(self._rows, STRETCH))
            if not more:
                break
            found += more
        end = bisect_right(found, last, key=itemgetter(0))
        self._next = found[end:]
        return found[:end]
