"""Reads the records of a store in RocksDB: as they are now, or as they were at one moment.

Families: `records` has heads by key, `sections` what an embedder kept, by its number in a byte and
then the key; `trash` what is gone, by key; `meta` and COPIES notes; `journal` what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from cgcython.checksums import SIZE
from cgcython.errors import StorageCorruption
from cgcython.manifest import listed_sections
from cgcython.store.ids import name_of
from cgcython.store.keeper import Note, Numbers, Promises, Read, Record, Sizes, Stretch, Stripe
from cgcython.store.keepers.rocksdb.beside_manifests import beside_manifests
from cgcython.store.keepers.rocksdb.copies import damaged_copies, read_row
from cgcython.store.keepers.rocksdb.journal import Journal
from cgcython.store.keepers.rocksdb.tables import Tables
from cgcython.store.keepers.rocksdb.whole_records import whole_records
from cgcython.store.where.conditions import Condition

PREFIXES = [bytes([number]) for number in range(256)]  # of keys of sections
_OTHERS = ("journal", "trash", "meta")
_Made = TypeVar("_Made")


class TablesKeeper:
    """What a Keeper does that is open to read, over families of keys and values."""

    read_only = True
    promises = Promises(whole_calls=True, ordered=True, frozen=True, one_writer=True, durable=False)

    def __init__(self, files: Tables, numbers: Numbers = ()) -> None:
        self.files, self._numbers = files, sorted(numbers)
        self._journal = Journal(files)

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self.files.is_open

    @property
    def place(self) -> str:
        """The path of the folder."""
        return str(self.files.path)

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.files.path

    def require_open(self) -> None:
        """Raise StoreUnavailable once it was closed."""
        self.files.require_open()

    def add_embedders(self, numbers: Numbers) -> None:
        """Learn which embedders there are."""
        self._numbers = sorted(numbers)

    # Records.

    def heads(self, keys: Sequence[bytes]) -> list[Read | None]:
        """Return the head of each key, None where there is no record."""
        try:
            found: list[Read | None] = [*self.files.get("records", list(keys))]
        except StorageCorruption:  # of one or more of them
            return [self._head(key) for key in keys]
        return found

    def _head(self, key: bytes) -> Read | None:
        try:
            return self.files.get("records", key, f"record {name_of(key)}")
        except StorageCorruption as error:
            return error

    def records(
        self, keys: Sequence[bytes], numbers: Numbers | None = None
    ) -> list[Record | StorageCorruption | None]:
        """Return the record of each key, with all of its sections or those of some embedders."""
        return [self._record(key, numbers) for key in keys]

    def _record(self, key: bytes, numbers: Numbers | None) -> Record | StorageCorruption | None:
        """Return a record; a write between its head and its sections is no damage."""
        try:
            head = self.files.get("records", key)
            while head is not None:
                listed = listed_sections(head)
                wanted = listed if numbers is None else [one for one in numbers if one in listed]
                found = self._sections(key, wanted)
                if not isinstance(found, StorageCorruption):
                    crcs = [section[-SIZE:] for section in found.values()]
                    if crcs == [listed[one] for one in wanted]:
                        return Record(head, found)
                before, head = head, self.files.get("records", key)
                if head == before:
                    return found if isinstance(found, StorageCorruption) else Record(head, found)
        except StorageCorruption as error:
            return _named(error, key)
        return None

    def _sections(
        self, key: bytes, numbers: Collection[int]
    ) -> dict[int, bytes] | StorageCorruption:
        """Return those of some sections of a record that there are, or what is wrong with one."""
        try:
            values = self.files.get("sections", [PREFIXES[one] + key for one in numbers])
        except StorageCorruption as error:
            return _named(error, key)
        return {one: value for one, value in zip(numbers, values) if value is not None}

    def gone(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what the trash keeps under each key."""
        if not self.files.has("trash"):
            return [None] * len(keys)
        return [self.files.get("trash", key, f"record {name_of(key)} in the trash") for key in keys]

    def last_key(self, upto: bytes) -> bytes | None:
        """Return the last key of a record that is not above another one."""
        row = self.files.last("records", upto)
        return None if row is None else row[0]

    # Scans.

    def stripes(self) -> int:
        """Return 1: a folder is read as a whole."""
        return 1

    def parts(self) -> Sequence[Stripe]:
        """Return the one stripe."""
        return [0]

    def scan_heads(
        self, prefix: bytes = b"", stripe: int | None = None
    ) -> Iterator[tuple[bytes, Read]]:
        """Yield (key, head) of the records whose keys have a prefix."""
        return self.files.scan("records", prefix)

    def scan_sections(self, number: int, stripe: Stripe | None = None) -> Iterator[Stretch]:
        """Yield stretches of the sections of an embedder."""
        return beside_manifests(self.files, number)

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record) of all records, and of sections without one."""
        return whole_records(self.files, self._numbers)

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of what the trash keeps."""
        return self.files.scan("trash") if self.files.has("trash") else iter(())

    # Notes, changes and sizes.

    def note(self, name: bytes, parse: Callable[[bytes], _Made], where: str) -> _Made | None:
        """Return what `parse` makes of a note: of the first of two copies that is whole."""
        return read_row(self.files, name, parse, where)

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, value) of the notes whose names have a prefix."""
        return self.files.scan("meta", prefix)

    def damage(self, notes: Iterable[Note]) -> Iterator[tuple[str, str]]:
        """Yield what else is damaged besides records, and how."""
        for family in _OTHERS:
            if self.files.has(family):
                try:
                    for _ in self.files.scan(family):
                        pass
                except StorageCorruption as error:
                    yield f"the family {family}", f"damaged ({error.reason})"
        for title in damaged_copies(self.files, notes):
            yield title, "damaged in one of two copies; opening the store to write mends it"

    def position(self) -> int:
        """Return the position of the last write."""
        return self._journal.position()

    def _look_again(self) -> None:
        """Forget where the journal ended: the files were caught up with who writes them."""
        self._journal = Journal(self.files)

    def changes_since(self, position: int, number: int | None = None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position; None where that is not known."""
        return self._journal.changes_since(position, number)

    def keys_where(self, condition: Condition) -> list[bytes] | None:
        """Return None: metadata are indexed beside a folder."""
        return None

    def sizes(self) -> Sizes:
        """Return about how many records there are, and the bytes of the files."""
        gone = self.files.estimated_keys("trash") if self.files.has("trash") else 0
        return Sizes(self.files.estimated_keys("records"), gone, self.files.disk_bytes())


def _named(error: StorageCorruption, key: bytes) -> StorageCorruption:
    """Return an error that says which record it is about; names are made where they are needed."""
    error.where = f"record {name_of(key)}"
    return error
