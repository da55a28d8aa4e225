"""The keeper of a folder: the records of a store in RocksDB, which one process writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cgcython.errors import StoreUnavailable
from cgcython.files import as_path
from cgcython.locks import ForkSafeLock
from cgcython.store.ids import are_free
from cgcython.store.keeper import Change, Note, Numbers
from cgcython.store.keepers.rocksdb import copies, creation, layout
from cgcython.store.keepers.rocksdb.database import Database, Delete, Put
from cgcython.store.keepers.rocksdb.format import (
    FIRST,
    FREE,
    PLAIN,
    VERSION,
    read_version,
    version_puts,
    version_row,
    version_value,
)
from cgcython.store.keepers.rocksdb.journal import WritableJournal, mask_of
from cgcython.store.keepers.rocksdb.reading import PREFIXES, TablesKeeper
from cgcython.types import StrPath

if TYPE_CHECKING:
    from rocksdict import WriteBatch

# Of these notes there are two copies.
_COPIED = (b"format", b"profile", b"codebook/", b"generations/")


class Folder:
    """A Place on this machine."""

    def __init__(self, path: StrPath) -> None:
        self.path = as_path(path)

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    def exists(self) -> bool:
        """Return whether there is a database, whatever state it is in."""
        try:
            return layout.exists(self.path)
        except OSError as error:
            raise StoreUnavailable(path=self.path, reason=error.strerror) from error

    def create(self, notes: Mapping[bytes, bytes], numbers: Numbers) -> None:
        """Make an empty store, whole or not at all.

        Does nothing where another process was faster. Raises StoreUnavailable.
        """
        version = FREE if are_free((), numbers) else PLAIN
        creation.create(self.path, {VERSION: version_value(version), **notes})

    def remove(self) -> None:
        """Remove an empty, closed store; a folder that others use stays, and is empty."""
        for one in self.path.iterdir():
            one.unlink()
        with suppress(OSError):  # a mount point, or the working folder of another process
            self.path.rmdir()

    def open(self, *, read_only: bool, sync: bool, follow: bool) -> FolderKeeper:
        """Return the Keeper of the store that is there."""
        return FolderKeeper(self.path, read_only=read_only, sync=sync, follow=follow)


class FolderKeeper(TablesKeeper):
    """A Keeper of a folder."""

    files: Database
    _journal: WritableJournal  # where it is open to write

    def __init__(
        self, path: StrPath, *, read_only: bool = False, sync: bool = False, follow: bool = False
    ) -> None:
        """Open the store in a folder; with `follow`, it catches up when asked.

        Raises StoreUnavailable and StorageCorruption.
        """
        super().__init__(Database(path, read_only, sync, follow))
        self.read_only = self.files.read_only
        self.promises = self.promises._replace(durable=sync)
        self._turn = ForkSafeLock()
        if not self.read_only:
            self._journal = WritableJournal(self.files)
        try:
            read_version(self.files)
        except BaseException:
            self.files.close()
            raise

    @property
    def how(self) -> str:
        """How it was opened."""
        if self.read_only:
            return "follow=True" if self.files.follows else "read_only=True"
        return f"durability={'sync' if self.files.is_sync else 'wal'!r}"

    def require_writable(self) -> None:
        """Raise StoreUnavailable where it was opened to read, or closed."""
        self.files.require_writable()

    def write(
        self, changes: Sequence[Change], expected: Mapping[bytes, bytes | None] | None = None
    ) -> None:
        """Write changes of different records, all or nothing; nobody else writes notes."""
        batch, masks = self._batch(changes)
        with self._turn:
            self._journal.commit(batch, masks)

    def _batch(self, changes: Sequence[Change]) -> tuple[WriteBatch, dict[bytes, int]]:
        """Return a batch of changes, and which embedders they are of, by key.

        What names families must not live as long as an error of writing, which keeps its frames:
        the database would stay open.
        """
        batch = self.files.new_batch()
        put, delete = batch.put, batch.delete
        records, trash, kept = map(self.files.handle, ("records", "trash", "sections"))
        masks: dict[bytes, int] = {}
        shared, mask = None, 0  # new records of a batch may share what says their embedders
        for key, head, sections, before, changed, partial, gone in changes:
            if head is None:
                delete(key, records)
            else:
                put(key, head, records)
            for number, section in sections.items():
                if section is not None:
                    put(PREFIXES[number] + key, section, kept)
                else:
                    delete(PREFIXES[number] + key, kept)
            if before is not None and not partial:
                for number in changed:
                    if number not in sections:
                        delete(PREFIXES[number] + key, kept)
            if gone is None:
                delete(key, trash)
            elif isinstance(gone, bytes):
                put(key, gone, trash)
            if changed or head is not None or isinstance(gone, bytes):
                if changed is not shared:
                    shared, mask = changed, mask_of(changed)
                masks[key] = mask
        return batch, masks

    def forget_changes(self) -> None:
        """Begin anew with what changed, so that no earlier position is known."""
        self._journal.reset()

    def purge(self, keys: Sequence[bytes]) -> None:
        """Remove what the trash keeps under some keys."""
        self.files.write(deletes=[("trash", key) for key in keys])

    def put_notes(
        self,
        notes: Mapping[bytes, bytes | None],
        expected: Mapping[bytes, bytes | None] | None = None,
    ) -> None:
        """Keep notes, some of them twice, and remove those that are None: all or nothing."""
        puts: list[Put] = []
        deletes: list[Delete] = []
        for name, value in notes.items():
            for family in copies.FAMILIES if name.startswith(_COPIED) else ("meta",):
                if value is None:
                    deletes.append((family, name))
                else:
                    puts.append((family, name, value))
        self.files.write(puts, deletes)

    def add_embedders(self, numbers: Numbers) -> None:
        """Learn which embedders there are, and take the format that they need."""
        super().add_embedders(numbers)
        if not self.read_only and are_free((), numbers) and read_version(self.files) != FREE:
            self.files.write(version_puts(FREE))

    def mend(self, notes: Iterable[Note]) -> None:
        """Give a store of an earlier format its families, and make notes and journal whole."""
        if read_version(self.files) == FIRST:
            self.files.add_families()
            self._journal.reset(version_puts(PLAIN))
        if copies.mend(self.files, [version_row(self.files), *notes]):
            self._journal.reset()  # its floor may have been in what was lost
        self._journal.mend()

    def damage(self, notes: Iterable[Note]) -> Iterator[tuple[str, str]]:
        """Yield what else is damaged besides records, and how."""
        return super().damage([version_row(self.files), *notes])

    @contextmanager
    def moment(self) -> Iterator[TablesKeeper]:
        """Yield the keeper of this moment, which later writes leave as it is."""
        with self._turn:
            frozen = self.files.freeze()
        try:
            yield TablesKeeper(frozen, self._numbers)
        finally:
            frozen.close()

    def catch_up(self) -> None:
        """See what the process that writes wrote since."""
        self.files.catch_up()
        if self.read_only:
            self._look_again()

    def compact(self) -> None:
        """Rewrite the tables without what was replaced or deleted."""
        self.files.compact()

    def backup(self, path: StrPath) -> None:
        """Write a copy to a new folder, whole or not at all."""
        self.files.backup(as_path(path))

    def close(self) -> None:
        """Give the files back."""
        self.files.close()
