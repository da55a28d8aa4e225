"""Writes the records of a store: whole, in part, and away; every batch all or nothing."""

import threading
from itertools import islice
from uuid import UUID

from cgcython.base import ModelId
from cgcython.errors import QuantizationError, StorageCorruption
from cgcython.fingerprint import (
    DEFAULT_BUDGET_BYTES,
    Fingerprint,
    QuantizedFingerprint,
    encode_all,
)
from cgcython.manifest import Manifest
from cgcython.store import trash
from cgcython.store.ids import as_key, name_of
from cgcython.store.journal import Journal, mask_of
from cgcython.store.reading import RecordReader, naming

BATCH = 256
PREFIXES = [bytes([model_id]) for model_id in ModelId]


class RecordWriter(RecordReader):
    """A RecordReader that writes too, one batch after the other."""

    def __init__(self, files, shelf, profile, router):
        super().__init__(files, shelf, profile, router, Journal(files))
        self._writing = threading.Lock()

    def store(
        self,
        record_id,
        fingerprint,
        budget_bytes=DEFAULT_BUDGET_BYTES,
        *,
        metadata=None,
        timestamp=None,
    ):
        """Keep a fingerprint under an id, replacing what was there.

        A record that is replaced keeps when it was created, and its `metadata` (a JSON object)
        unless others are given. `timestamp`, microseconds since 1970 or an aware datetime, is by
        default now. Raises BudgetExceeded and what the codecs raise, before anything is written.
        """
        quantized = Fingerprint.of(fingerprint).encode(self.router, budget_bytes)
        self.store_quantized([(record_id, quantized)], metadata=metadata, timestamp=timestamp)

    def store_many(
        self,
        items,
        *,
        num_threads=1,
        batch_size=BATCH,
        budget_bytes=DEFAULT_BUDGET_BYTES,
        progress=None,
    ):
        """Keep (id, fingerprint) pairs and return their number.

        An item may have metadata as its third part. Each batch is written all or nothing;
        `progress` is called with the size of each.
        """
        items, count = iter(items), 0
        while batch := list(islice(items, batch_size)):
            fingerprints = [item[1] for item in batch]
            quantized = self.encode(fingerprints, num_threads, budget_bytes)
            self.store_quantized(
                (item[0], one if len(item) < 3 else one.with_info(metadata=item[2]))
                for item, one in zip(batch, quantized)
            )
            count += len(batch)
            if progress is not None:
                progress(len(batch))
        return count

    def encode(self, fingerprints, num_threads=1, budget_bytes=DEFAULT_BUDGET_BYTES):
        """Return the QuantizedFingerprints that this store would keep, each within the budget.

        What is raised has a note that tells which of the fingerprints it is about.
        """
        fingerprints = [Fingerprint.of(one) for one in fingerprints]
        try:
            return encode_all(fingerprints, self.router, budget_bytes, num_threads)
        except QuantizationError:
            # A batch does not know its rows; the first one that fails alone says it better.
            return list(_each(lambda one: one.encode(self.router, budget_bytes), fingerprints))

    def store_quantized(self, items, *, metadata=None, timestamp=None):
        """Keep (id, QuantizedFingerprint) pairs, all or nothing; arguments as in `store`.

        New records carry their times and metadata with them; those that are replaced keep theirs
        as in `store`. The same record again is written again: that mends a damaged one.
        """
        moment = None if timestamp is None else trash.microseconds(timestamp)
        records = {as_key(record_id): quantized for record_id, quantized in items}
        puts, deletes, changes = [], [], {}
        with self._writing:
            for key, before in zip(records, self._manifests(list(records))):
                quantized, mask = records[key], 0
                head = _head(quantized, before, metadata, moment)
                puts.append(("records", key, head))
                for model_id, section in quantized.sections.items():
                    puts.append(("sections", PREFIXES[model_id] + key, section))
                    mask |= 1 << model_id
                if before is not None:
                    kept = _embedders(before)
                    deletes += _section_keys(key, kept - quantized.keys())
                    mask |= mask_of(kept)
                changes[key] = mask
            self.journal.write(puts, deletes, changes)

    def update(self, record_id, embeddings, *, metadata=None, timestamp=None):
        """Replace some embeddings of a record and return whether there is such a record.

        `embeddings` is `{ModelId: value}`; None takes an embedder away. The other sections are
        neither read nor written, so a budget is not looked at. Other arguments as in `store`.
        """
        given = {ModelId.parse(key): value for key, value in dict(embeddings).items()}
        wanted = {key: value for key, value in given.items() if value is not None}
        sections = Fingerprint(wanted).encode(self.router, None).sections
        sections |= dict.fromkeys(given.keys() - wanted.keys())
        return self._update(as_key(record_id), sections, metadata, timestamp)

    def _update(self, key, sections, metadata=None, timestamp=None):
        """Write sections, None for one to remove, into the record of a key."""
        with self._writing, naming(key):
            manifest = self._manifest(key)
            if manifest is None:
                return False
            moment = trash.microseconds(timestamp)
            head = manifest.replaced(sections).with_info(updated=moment, metadata=metadata)
            puts, gone = [("records", key, head.to_bytes())], []
            for model_id, section in sections.items():
                if section is None:
                    gone.append(model_id)
                else:
                    puts.append(("sections", PREFIXES[model_id] + key, section))
            self.journal.write(puts, _section_keys(key, gone), {key: mask_of(sections)})
        return True

    def delete(self, record_id, soft=False):
        """Remove a record and return whether there was one.

        `soft` moves it to the trash, from where `restore` brings it back until `purge`; without,
        one under this id leaves the trash too.
        """
        return self.delete_many([record_id], soft) == 1

    def delete_many(self, record_ids, soft=False):
        """Remove records, all or nothing, and return how many there were; `soft` as in `delete`."""
        keys, found = list(dict.fromkeys(map(as_key, record_ids))), 0
        puts, deletes, changes = [], [], {}
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
                kept = _embedders(before)
                deletes += [("records", key), *_section_keys(key, kept)]
                changes[key] = mask_of(kept)
            if puts or deletes:
                self.journal.write(puts, deletes, changes)
        return found + len(changes)

    def _in_trash(self, key):
        return self._files.get("trash", key) is not None

    def _trashed(self, key, manifest):
        with naming(key):
            if isinstance(manifest, StorageCorruption):
                raise manifest
            return trash.pack(self._record_bytes(key, manifest))

    def restore(self, record_id):
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
            record = QuantizedFingerprint.from_bytes(trash.unpack(value, where)[1], where)
            puts = [("records", key, record.manifest)]
            for model_id, section in record.sections.items():
                puts.append(("sections", PREFIXES[model_id] + key, section))
            self.journal.write(puts, [("trash", key)], {key: mask_of(record)})
        return True

    def purge(self, older_than=0):
        """Empty the trash of what was deleted longer ago, and return how many that were.

        `older_than`, a timedelta or seconds, is the window in which records can be restored.
        """
        before = trash.microseconds() - trash.seconds_to_microseconds(older_than)
        with self._writing:
            gone = [("trash", key) for key, deleted in self._trash() if deleted <= before]
            for start in range(0, len(gone), BATCH):
                self._files.write(deletes=gone[start : start + BATCH])
        return len(gone)

    def trash(self):
        """Return `{id: microseconds since 1970 when it was deleted}` of what can be restored."""
        return {UUID(bytes=key): deleted for key, deleted in self._trash()}

    def _trash(self):
        if self._files.has("trash"):
            for key, value in self._files.scan("trash"):
                yield key, trash.unpack(value, f"record {name_of(key)} in the trash")[0]

    def _manifests(self, keys):
        """Return the Manifest of each key, None for an unknown one, the error of a damaged one."""
        try:
            found = self._files.get("records", keys)
        except StorageCorruption:  # of one or more of them
            return [self._manifest_or_error(key) for key in keys]
        return [value and self._manifest_or_error(key, value) for key, value in zip(keys, found)]

    def _manifest_or_error(self, key, value=None):
        try:
            return self._manifest(key) if value is None else Manifest.from_bytes(value)
        except StorageCorruption as error:
            return error


def _each(function, items):
    """Yield the result for each item, noting on an error which one it is about."""
    for number, item in enumerate(items):
        try:
            yield function(item)
        except QuantizationError as error:
            error.add_note(f"(fingerprint {number} of the batch)")
            raise


def _head(quantized, before, metadata, moment):
    """Return the framed manifest of a record that comes in the place of another, or of None."""
    head = quantized.head
    if isinstance(before, Manifest):
        text = head.text or before.text
        head = head._replace(created=before.created or head.created, text=text)
        # Each replacement has a time of its own: a reader in between sees that there was one.
        return head.with_info(updated=trash.microseconds(moment), metadata=metadata).to_bytes()
    if moment is None and metadata is None:
        return quantized.manifest
    return head.with_info(moment, moment, metadata).to_bytes()


def _embedders(manifest):
    """Return the embedders that may have a section: all, where the manifest is damaged."""
    if isinstance(manifest, StorageCorruption):
        return set(ModelId)
    return set() if manifest is None else manifest.checksums.keys()


def _section_keys(key, model_ids):
    return [("sections", PREFIXES[model_id] + key) for model_id in model_ids]
