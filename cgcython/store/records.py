"""A store of fingerprints: quantized bytes under their ids, nothing else beside them."""

import threading
from contextlib import contextmanager
from itertools import islice

from cgcython.base import ModelId
from cgcython.errors import QuantizationError, StorageCorruption
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES, Fingerprint, QuantizedFingerprint
from cgcython.router import QuantizationRouter
from cgcython.store.ids import as_key
from cgcython.store.journal import Journal, mask_of
from cgcython.store.opening import open_files
from cgcython.store.reading import RecordReader
from cgcython.store.shelf import CodebookShelf
from cgcython.store.verify import verify

BATCH = 256


class RecordStore(RecordReader):
    """Fingerprints by id in a folder: stored quantized, retrieved decoded.

    An acknowledged write survives the death of the process; with `sync=True`, that of the machine.
    One process writes; others may open the folder with `read_only=True`.
    """

    def __init__(self, files, shelf, profile):
        router = QuantizationRouter(shelf.current(), profile=profile)
        super().__init__(files, shelf, profile, router, Journal(files))
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path, codebooks=None, profile=None, *, read_only=False, create=True, sync=False):
        """Open the store in a folder, made when there is none.

        Codebooks (`{ModelId: PQ8Codebook}` or the folder of `pq8_codebooks/`) are copied into the
        store, which then encodes with them; without, it uses those it has. The profile is that of
        the store's making. Raises StoreUnavailable, StorageCorruption and the codebook errors.
        """
        files, profile = open_files(path, profile, read_only, create, sync)
        try:
            shelf = CodebookShelf(files, profile)
            shelf.add(codebooks)
            return cls(files, shelf, profile)
        except BaseException:
            files.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Give the folder back to other processes."""
        self._files.close()

    def store(self, record_id, fingerprint, budget_bytes=DEFAULT_BUDGET_BYTES):
        """Keep a fingerprint under an id, replacing what was there.

        Raises BudgetExceeded and what the codecs raise, before anything is written.
        """
        quantized = Fingerprint.of(fingerprint).encode(self.router, budget_bytes)
        self.store_quantized([(record_id, quantized)])

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

        Each batch is written all or nothing; `progress` is called with the size of each.
        """
        items, count = iter(items), 0
        while batch := list(islice(items, batch_size)):
            ids, fingerprints = zip(*batch)
            quantized = self.encode(fingerprints, num_threads, budget_bytes)
            self.store_quantized(zip(ids, quantized))
            count += len(batch)
            if progress is not None:
                progress(len(batch))
        return count

    def encode(self, fingerprints, num_threads=1, budget_bytes=DEFAULT_BUDGET_BYTES):
        """Return the QuantizedFingerprints that this store would keep.

        What is raised has a note that tells which of the fingerprints it is about.
        """
        fingerprints = [Fingerprint.of(one) for one in fingerprints]
        try:
            encoded = self.router.quantize_fingerprints(fingerprints, num_threads=num_threads)
        except QuantizationError:
            # A batch does not know its rows; the first one that fails alone says it better.
            return list(_each(lambda one: one.encode(self.router, budget_bytes), fingerprints))
        return list(_each(lambda one: QuantizedFingerprint(one).within(budget_bytes), encoded))

    def store_quantized(self, items):
        """Keep (id, QuantizedFingerprint) pairs, all or nothing."""
        items = {as_key(record_id): quantized for record_id, quantized in items}
        puts, deletes, changes = [], [], {}
        with self._writing:
            for key, quantized in items.items():
                puts.append(("records", key, quantized.manifest))
                for model_id, section in quantized.sections.items():
                    puts.append(("sections", bytes([model_id]) + key, section))
                kept = self._kept(key)
                for model_id in kept - quantized.keys():
                    deletes.append(("sections", bytes([model_id]) + key))
                changes[key] = mask_of(kept | quantized.keys())
            self._write(puts, deletes, changes)

    def delete(self, record_id):
        """Remove a record and return whether there was one."""
        key = as_key(record_id)
        with self._writing:
            if self._files.get("records", key) is None:
                return False
            kept = self._kept(key)
            deletes = [("sections", bytes([model_id]) + key) for model_id in kept]
            self._write([], [("records", key), *deletes], {key: mask_of(kept)})
        return True

    def _write(self, puts, deletes, changes):
        """Write what changes `{key: mask of embedders}`; the write lock is held."""
        self.journal.write(puts, deletes, changes)
        self._changed(changes)

    def _kept(self, key):
        """Return the embedders that may have a section under a key: all, when none can tell."""
        try:
            manifest = self._manifest(key, "")
        except StorageCorruption:
            return set(ModelId)
        return set() if manifest is None else manifest.checksums.keys()

    def _changed(self, keys):
        """Hear of keys that were written; the write lock is held."""

    @contextmanager
    def snapshot(self):
        """Yield a RecordReader of the store at this moment, while writes go on.

        Its `journal.position()` is that of the moment.
        """
        with self._writing:
            frozen = self._files.freeze()
        try:
            yield RecordReader(frozen, self._shelf, self.profile, self.router, Journal(frozen))
        finally:
            frozen.close()

    def check(self, progress=None):
        """Read every record, section and codebook and return the VerifyReport of what was found.

        `progress` is called with 1 for each record.
        """
        return verify(self._files, self._shelf.check(), progress)

    def verify(self, progress=None):
        """Return the report of `check` when all is well.

        Raises StorageCorruption naming the records, all of them in its `ids`, when something is
        damaged, missing or left over.
        """
        report = self.check(progress)
        report.require_ok(self.path)
        return report

    def backup(self, path):
        """Write a copy of the store, as it is now, to a new folder, whole or not at all."""
        self._files.backup(path)


def _each(function, items):
    """Yield the result for each item, noting on an error which one it is about."""
    for number, item in enumerate(items):
        try:
            yield function(item)
        except QuantizationError as error:
            error.add_note(f"(fingerprint {number} of the batch)")
            raise
