"""Reads the sections of an embedder beside the manifests, which tell whose each section is.

A section is sound by itself also where it is another record's, or left over from an earlier one:
only its manifest tells.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter

from cgcython.base import EmbedderId
from cgcython.checksums import RESIDUE, SIZE, crc32
from cgcython.errors import StorageCorruption
from cgcython.manifest import listed_crc, listed_crcs
from cgcython.store.around_damage import Listed, manifests
from cgcython.store.keepers.rocksdb import Row, Tables

STRETCH = 1024  # sections


def readable_sections(
    database: Tables, model_id: EmbedderId, damaged: list[bytes]
) -> Iterator[Row]:
    """Yield (key, section) of an embedder in the order of keys, unchecked.

    Keys whose block cannot be read are added to `damaged`.
    """
    prefix, last = bytes([model_id]), b""
    try:
        for key, section in database.scan("sections", prefix):
            last = key[1:]
            yield last, section
        return
    except StorageCorruption:
        rest = [key for key, _ in manifests(database) if key > last]
    for key in rest:  # a damaged block ended the scan: ask for each record it may have held
        try:
            found = database.get("sections", prefix + key)
        except StorageCorruption:
            damaged.append(key)
            continue
        if found is not None:
            yield key, found


def beside_manifests(
    database: Tables, model_id: EmbedderId, sections: Iterable[Row]
) -> Iterator[tuple[list[Row], list[bool]]]:
    """Yield stretches of (key, section), and whether the manifest of each lists just this section.

    A manifest that is not whole lists nothing.
    """
    rows, heads = iter(sections), _Heads(database)
    while stretch := list(islice(rows, STRETCH)):
        found = heads.upto(stretch[-1][0])
        yield stretch, _all_listed(stretch, found, model_id) or _listed(stretch, found, model_id)


def _listed(rows: list[Row], heads: list[Row], model_id: EmbedderId) -> list[bool]:
    known = {key: listed_crc(head, model_id) for key, head in heads if crc32(head) == RESIDUE}
    return [known.get(key) == section[-SIZE:] for key, section in rows]


def _all_listed(rows: list[Row], heads: list[Row], model_id: EmbedderId) -> list[bool]:
    """Return True for each row where all are listed, in the same place of like manifests.

    Returns an empty list where that is not so.
    """
    crcs = b"".join([section[-SIZE:] for _, section in rows])
    same = [key for key, _ in rows] == [key for key, _ in heads]
    if same and listed_crcs([head for _, head in heads], model_id) == crcs:
        return [True] * len(rows)
    return []


class _Heads:
    """The manifests of a database that can be read, taken in the order of keys."""

    def __init__(self, database: Tables) -> None:
        self._rows = manifests(database)
        self._next: list[Listed] = []

    def upto(self, last: bytes) -> list[Row]:
        """Return the (key, manifest) up to a key, those not taken yet."""
        found = self._next
        while not found or found[-1][0] <= last:
            more = list(islice(self._rows, STRETCH))
            if not more:
                break
            found += more
        end = bisect_right(found, last, key=itemgetter(0))
        self._next = found[end:]
        return [(key, head) for key, head in found[:end] if isinstance(head, bytes)]
