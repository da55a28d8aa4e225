"""What a store asks of the place that keeps its records: a folder, a database, a cluster.

A keeper knows keys, heads (framed manifests), sections and notes as bytes, and embedders by their
numbers; what the bytes mean it need not know. Every record has one row: its head, a section for
each of its embedders, and apart from these what is `gone`: the value that keeps a deleted record in
the trash.

What holds for every keeper:

- The head and the sections of a record that is returned are of one moment.
- Repeating a change is harmless.
- `changes_since` may name records that did not change, and never leaves out one that did.
- A scan takes keys in ascending order within a stripe, and each key that is there throughout.
- Where something is damaged, a StorageCorruption stands in its place; the rest is returned.
- After `close`, and in the child of a fork, every call raises StoreUnavailable.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import EllipsisType
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from cgcython.base import EmbedderId
from cgcython.errors import StorageCorruption
from cgcython.store.where.conditions import Condition
from cgcython.types import StrPath

Numbers: TypeAlias = Collection[int]  # of embedders
Read: TypeAlias = bytes | StorageCorruption  # what was read, or why it cannot be
Sections: TypeAlias = Mapping[EmbedderId, bytes | None] | Mapping[int, bytes | None]
# The number of a stripe; or a part of the keys, from one up to another that is not in it.
Stripe: TypeAlias = int | tuple[bytes, bytes]
_Made = TypeVar("_Made")


class Promises(NamedTuple):
    """What a keeper promises that others do not."""

    whole_calls: bool  # all changes of a call of `write` are kept, or none
    ordered: bool  # keys ascend across stripes too
    frozen: bool  # `moment` is one moment of all records
    one_writer: bool  # while it is open to write nobody else writes
    durable: bool  # what was written survives the loss of power


class Record(NamedTuple):
    """A record as it is kept; `head` is None for sections that belong to no record."""

    head: Read | None
    sections: Mapping[int, Read]


class Change(NamedTuple):
    """What becomes of one record.

    `head` None removes the record. `sections` are written, by embedder or its number; where one is
    None it is removed.
    Sections that are not named stay where the change is `partial`, and are removed otherwise.
    `before` is the head that is replaced, as `heads` returned it, None for none. `changed` are the
    numbers of the embedders that `changes_since` reports. `gone` is what the trash keeps from now
    on: bytes, None for nothing, `...` for what it keeps already.
    """

    key: bytes
    head: bytes | None
    sections: Sections
    before: Read | None
    changed: Numbers
    partial: bool = False
    gone: bytes | EllipsisType | None = ...


class Stretch(NamedTuple):
    """Sections of one embedder, one after the other.

    `own` is whether the record of the key lists just this section, as `owned.are_own` tells.
    """

    keys: Sequence[bytes]
    sections: Sequence[Read]
    own: Sequence[bool]


class Sizes(NamedTuple):
    """About how many records and trashed records there are, and the bytes on disk if known."""

    records: int
    gone: int
    disk_bytes: int | None


class Note(NamedTuple):
    """What a store keeps about itself under a name: its title in messages, and what it means.

    `parse` raises StorageCorruption for a value that is damaged.
    """

    name: bytes
    title: str
    parse: Callable[[bytes], Any]


class Outdated(Exception):
    """Another writer changed a record since it was read; who writes reads it again."""


class ReadKeeper(Protocol):
    """What can be read of the place of a store's records: now, or as it was at one moment.

    Threads may call it at the same time. Errors are StoreUnavailable, where the place cannot be
    reached or refuses, with a remedy, and StorageCorruption.
    """

    promises: Promises
    read_only: bool

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""

    @property
    def place(self) -> str:
        """Where it is, as a user names it, without a password."""

    @property
    def folder(self) -> Path:
        """The folder on this machine for files that are made of the records and may be lost."""

    def require_open(self) -> None:
        """Raise StoreUnavailable once it was closed."""

    def add_embedders(self, numbers: Numbers) -> None:
        """Learn which embedders there are; where it writes, make room for their sections."""

    # Records.

    def heads(self, keys: Sequence[bytes]) -> list[Read | None]:
        """Return the head of each key, None where there is no record."""

    def records(
        self, keys: Sequence[bytes], numbers: Numbers | None = None
    ) -> list[Record | StorageCorruption | None]:
        """Return the record of each key, None where there is none.

        With all its sections, or those of some embedders; one that is not there is left out.
        """

    def gone(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what the trash keeps under each key."""

    def last_key(self, upto: bytes) -> bytes | None:
        """Return the last key of a record that is not above another one."""

    # Scans, of all stripes one after the other or of one.

    def stripes(self) -> int:
        """Return the number of stripes: parts of the keys that can be read side by side."""

    def parts(self) -> Sequence[Stripe]:
        """Return stripes, or parts of them, of about as many records each, as far as is known.

        They have all keys, also those that are written later.
        """

    def scan_heads(
        self, prefix: bytes = b"", stripe: int | None = None
    ) -> Iterator[tuple[bytes, Read]]:
        """Yield (key, head) of the records whose keys have a prefix."""

    def scan_sections(self, number: int, stripe: Stripe | None = None) -> Iterator[Stretch]:
        """Yield stretches of the sections of an embedder, of a thousand or so at a time."""

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record) of all records, and of sections without one."""

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of what the trash keeps."""

    # Notes: what a store keeps about itself, such as its profile and codebooks.

    def note(self, name: bytes, parse: Callable[[bytes], _Made], where: str) -> _Made | None:
        """Return what `parse` makes of a note, None where there is none.

        `parse` raises StorageCorruption for a value that is damaged; where there are several copies
        the first that is whole counts. Raises the StorageCorruption of `where`.
        """

    def notes(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, value) of the notes whose names have a prefix, in order."""

    def damage(self, notes: Iterable[Note]) -> Iterator[tuple[str, str]]:
        """Yield what else is damaged besides records, and how, as sentences have it."""

    # What changed, and how much there is.

    def position(self) -> int:
        """Return the position of the last write, a number that only grows, below 2**63."""

    def changes_since(self, position: int, number: int | None = None) -> list[bytes] | None:
        """Return the sorted keys that changed after a position, of one embedder when given.

        None where that is not known.
        """

    def keys_where(self, condition: Condition) -> list[bytes] | None:
        """Return the keys, in order, of the records for whose metadata a condition holds.

        None where the keeper does not look into metadata: then they are indexed beside it.
        """

    def sizes(self) -> Sizes:
        """Return about how much there is."""


class Keeper(ReadKeeper, Protocol):
    """The place of a store's records, open to read or to write."""

    @property
    def how(self) -> str:
        """How it was opened, as the argument that says so: `read_only=True`."""

    def require_writable(self) -> None:
        """Raise StoreUnavailable where it was opened to read, or closed."""

    def write(
        self, changes: Sequence[Change], expected: Mapping[bytes, bytes | None] | None = None
    ) -> None:
        """Write changes of different records; all or nothing where the keeper promises that.

        Raises Outdated, before anything is written, where another writer changed a record that
        `before` tells of, if writing would then mix the two. It raises Outdated, too, where one of
        the notes `expected` is another by now, also afterwards if it has no transactions: then the
        changes are made and written again. Whoever changes those notes, and reads records after
        that, misses none that was written by the old ones and stays.
        """

    def purge(self, keys: Sequence[bytes]) -> None:
        """Remove what the trash keeps under some keys, and nothing else."""

    def put_notes(
        self,
        notes: Mapping[bytes, bytes | None],
        expected: Mapping[bytes, bytes | None] | None = None,
    ) -> None:
        """Keep notes in the order given, and remove those that are None.

        Raises Outdated, before anything is written, where one of `expected` is another by now.
        """

    # Upkeep.

    def mend(self, notes: Iterable[Note]) -> None:
        """Make whole what can be made whole of all it keeps besides records, as when it opens."""

    def moment(self) -> AbstractContextManager[ReadKeeper]:
        """Return the keeper of this moment, which others' writes leave as it is.

        Where that is not promised, it is the keeper itself.
        """

    def catch_up(self) -> None:
        """See what another process wrote, where that is not seen at once."""

    def compact(self) -> None:
        """Give back the room of what was replaced or deleted, where it can be asked for."""

    def backup(self, path: StrPath) -> None:
        """Write a copy to a new folder, where the keeper can."""

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
