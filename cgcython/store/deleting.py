"""Deletes records of a store: for good, or into the trash from where they come back."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from cgcython.checks import iterated
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.store import trash
from cgcython.store.ids import RecordId, StoredId, as_key, id_of, name_of
from cgcython.store.keeper import Change
from cgcython.store.naming import naming
from cgcython.store.updating import RecordUpdater
from cgcython.store.writing import BATCH, embedders_of


class RecordDeleter(RecordUpdater):
    """A RecordUpdater that deletes records too."""

    def delete(self, record_id: RecordId, soft: bool = False) -> bool:
        """Remove a record and return whether there was one.

        `soft` moves it to the trash, from where `restore` brings it back until `purge`; without,
        one under this id leaves the trash too.
        """
        return self.delete_many([record_id], soft) == 1

    def delete_many(self, record_ids: Iterable[RecordId], soft: bool = False) -> int:
        """Remove records, all or nothing, and return how many there were; `soft` as in `delete`."""
        ids = iterated(record_ids, "record_ids", "ids")
        keys = list(dict.fromkeys(map(as_key, ids)))
        return len(self._write(lambda: list(self._removed(keys, soft))))

    def _removed(self, keys: list[bytes], soft: bool) -> Iterator[Change]:
        """Yield the changes that remove those of some records that there are."""
        heads = self._keeper.heads(keys)
        absent = [] if soft else [key for key, head in zip(keys, heads) if head is None]
        trashed = {key for key, value in zip(absent, self._keeper.gone(absent)) if value}
        for key, before in zip(keys, heads):
            if before is None:
                if key in trashed:
                    yield Change(key, None, {}, None, (), gone=None)
                continue
            gone = self._trashed(key) if soft else None
            if soft and gone is None:
                continue  # another process deleted it meanwhile
            changed = embedders_of(self._manifest_or_error(before), self.profile)
            yield Change(key, None, {}, before, changed, gone=gone)

    def _trashed(self, key: bytes) -> bytes | None:
        """Return the value that keeps a record in the trash, None where it is gone by now."""
        record = self._record_bytes(key)
        return None if record is None else trash.pack(record)

    def restore(self, record_id: RecordId) -> bool:
        """Bring a record back from the trash and return whether one came.

        None comes where another was stored under the id since. Raises StorageCorruption, naming
        the id, for a damaged one.
        """
        self._keeper.require_writable()
        key = as_key(record_id)
        where = f"record {name_of(key)} in the trash"

        def changes() -> list[Change]:
            (value,) = self._keeper.gone([key])
            if value is None or self._keeper.heads([key]) != [None]:
                return []
            record = QuantizedFingerprint.from_bytes(
                trash.unpack(value, where)[1], where, self.profile
            )
            sections = record.sections
            return [Change(key, record.manifest, sections, None, sections.keys(), gone=None)]

        with naming(key):
            return bool(self._write(changes))

    def purge(self, older_than: timedelta | float = 0) -> int:
        """Remove from the trash what was deleted before a time window, and return its number.

        `older_than`, a timedelta or seconds, is the window in which records can be restored.
        """
        before = trash.microseconds() - trash.seconds_to_microseconds(older_than)
        with self._writing:
            self._keeper.require_writable()
            gone = [key for key, deleted in self._trash() if deleted <= before]
            for start in range(0, len(gone), BATCH):
                self._keeper.purge(gone[start : start + BATCH])
        return len(gone)

    def trash(self) -> dict[StoredId, int]:
        """Return `{id: microseconds since 1970 when it was deleted}` of what can be restored."""
        return {id_of(key): deleted for key, deleted in self._trash()}

    def _trash(self) -> Iterator[tuple[bytes, int]]:
        for key, value in self._keeper.scan_gone():
            yield key, trash.unpack(value, f"record {name_of(key)} in the trash")[0]
