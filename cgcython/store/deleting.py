"""Deletes records of a store: for good, or into the trash from where they come back."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from cgcython.checks import iterated
from cgcython.errors import StorageCorruption
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.manifest import Manifest
from cgcython.store import trash
from cgcython.store.ids import RecordId, StoredId, as_key, id_of, name_of
from cgcython.store.journal import mask_of
from cgcython.store.keepers.rocksdb import Delete, Put
from cgcython.store.naming import naming
from cgcython.store.updating import RecordUpdater
from cgcython.store.writing import BATCH, PREFIXES, embedders_of, section_keys


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
        keys, found = list(dict.fromkeys(map(as_key, ids))), 0
        puts: list[Put] = []
        deletes: list[Delete] = []
        changes: dict[bytes, int] = {}
        with self._writing:
            for key, before in zip(keys, self._manifests(keys)):
                if before is None:
                    if not soft and self._in_trash(key):
                        deletes.append(("trash", key))
                        found += 1
                    continue
                if soft:
                    puts.append(("trash", key, self._trashed(key, before)))
                else:
                    deletes.append(("trash", key))
                kept = embedders_of(before, self.profile)
                deletes += [("records", key), *section_keys(key, kept)]
                changes[key] = mask_of(kept)
            if puts or deletes:
                self.journal.write(puts, deletes, changes)
        return found + len(changes)

    def _in_trash(self, key: bytes) -> bool:
        return self._files.get("trash", key) is not None

    def _trashed(self, key: bytes, manifest: Manifest | StorageCorruption) -> bytes:
        """Return the value that keeps a record in the trash."""
        with naming(key):
            if isinstance(manifest, StorageCorruption):
                raise manifest
            return trash.pack(self._record_bytes(key, manifest))

    def restore(self, record_id: RecordId) -> bool:
        """Bring a record back from the trash and return whether one came.

        None comes where another was stored under the id since. Raises StorageCorruption, naming
        the id, for a damaged one.
        """
        key = as_key(record_id)
        where = f"record {name_of(key)} in the trash"
        with self._writing, naming(key):
            value = self._files.get("trash", key, where)
            if value is None or self._files.get("records", key) is not None:
                return False
            record = QuantizedFingerprint.from_bytes(
                trash.unpack(value, where)[1], where, self.profile
            )
            puts: list[Put] = [("records", key, record.manifest)]
            for model_id, section in record.sections.items():
                puts.append(("sections", PREFIXES[model_id] + key, section))
            self.journal.write(puts, [("trash", key)], {key: mask_of(record)})
        return True

    def purge(self, older_than: timedelta | float = 0) -> int:
        """Remove from the trash what was deleted before a time window, and return its number.

        `older_than`, a timedelta or seconds, is the window in which records can be restored.
        """
        before = trash.microseconds() - trash.seconds_to_microseconds(older_than)
        with self._writing:
            gone = [("trash", key) for key, deleted in self._trash() if deleted <= before]
            for start in range(0, len(gone), BATCH):
                self._files.write(deletes=gone[start : start + BATCH])
        return len(gone)

    def trash(self) -> dict[StoredId, int]:
        """Return `{id: microseconds since 1970 when it was deleted}` of what can be restored."""
        return {id_of(key): deleted for key, deleted in self._trash()}

    def _trash(self) -> Iterator[tuple[bytes, int]]:
        if self._files.has("trash"):
            for key, value in self._files.scan("trash"):
                yield key, trash.unpack(value, f"record {name_of(key)} in the trash")[0]
