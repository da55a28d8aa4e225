"""A store of fingerprints: quantized bytes under their ids, nothing else beside them."""

import threading
from contextlib import contextmanager
from itertools import chain, islice
from uuid import UUID

from cgcython.base import ModelId
from cgcython.errors import QuantizationError, StorageCorruption
from cgcython.fingerprint import (
    DEFAULT_BUDGET_BYTES,
    Fingerprint,
    QuantizedFingerprint,
    read_section,
)
from cgcython.manifest import Manifest
from cgcython.metadata import PQ8Metadata
from cgcython.parallel import split_rows
from cgcython.router import QuantizationRouter
from cgcython.store.ids import as_key
from cgcython.store.opening import open_files
from cgcython.store.shelf import CodebookShelf
from cgcython.store.verify import verify

BATCH = 256


class RecordStore:
    """Fingerprints by id in a folder: stored quantized, retrieved decoded.

    An acknowledged write survives the death of the process; with `sync=True`, that of the machine.
    One process writes; others may open the folder with `read_only=True`.
    """

    def __init__(self, files, shelf, profile):
        self._files, self._shelf, self.profile = files, shelf, profile
        self.router = QuantizationRouter(shelf.current(), profile=profile)
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

    @property
    def path(self):
        """The folder of this store."""
        return self._files.path

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
        puts, deletes = [], []
        with self._writing:
            for key, quantized in items.items():
                puts.append(("records", key, quantized.manifest))
                for model_id, section in quantized.sections.items():
                    puts.append(("sections", bytes([model_id]) + key, section))
                for model_id in self._kept(key) - quantized.keys():
                    deletes.append(("sections", bytes([model_id]) + key))
            self._files.write(puts, deletes)
            self._changed(items)

    def delete(self, record_id):
        """Remove a record and return whether there was one."""
        key = as_key(record_id)
        with self._writing:
            if self._files.get("records", key) is None:
                return False
            deletes = [("sections", bytes([model_id]) + key) for model_id in self._kept(key)]
            self._files.write(deletes=[("records", key), *deletes])
            self._changed([key])
        return True

    def retrieve(self, record_id):
        """Return the decoded Fingerprint of an id, or None.

        Raises StorageCorruption, naming the id, for a damaged record.
        """
        quantized = self.quantized(record_id)
        return None if quantized is None else self._decoded(quantized)

    def retrieve_many(self, record_ids, num_threads=1):
        """Return the decoded Fingerprint of each id, None for an unknown one."""
        record_ids = list(record_ids)

        def retrieve(start, stop):
            return [self.retrieve(record_id) for record_id in record_ids[start:stop]]

        return list(chain.from_iterable(split_rows(retrieve, len(record_ids), num_threads)))

    def quantized(self, record_id, model_id=None):
        """Return what is stored: a QuantizedFingerprint, or one embedder's QuantizedEmbedding.

        None for an unknown id or embedder. One embedder is read without the others.
        """
        key = as_key(record_id)
        where = f"record {UUID(bytes=key)}"
        with _naming(key):
            manifest = self._manifest(key, where)
            if manifest is None:
                return None
            checksums = manifest.checksums
            if model_id is None:
                sections = self._section_bytes(key, list(checksums), where)
                return QuantizedFingerprint.from_sections(manifest, sections, where)
            model_id = ModelId.parse(model_id)
            if model_id not in checksums:
                return None
            section = self._section_bytes(key, [model_id], where)[model_id]
            return read_section(section, model_id, where, checksums[model_id])

    def _section_bytes(self, key, model_ids, where):
        keys = [bytes([model_id]) + key for model_id in model_ids]
        sections = dict(zip(model_ids, self._files.get("sections", keys, where)))
        for model_id, section in sections.items():
            if section is None:
                reason = f"the section of {model_id.short} is gone"
                raise StorageCorruption(where=where, reason=reason)
        return sections

    def _manifest(self, key, where):
        manifest = self._files.get("records", key, where)
        return None if manifest is None else Manifest.from_bytes(manifest, where)

    def _kept(self, key):
        """Return the embedders that may have a section under a key: all, when none can tell."""
        try:
            manifest = self._manifest(key, "")
        except StorageCorruption:
            return set(ModelId)
        return set() if manifest is None else manifest.checksums.keys()

    def _changed(self, keys):
        """Hear of keys that were written; the write lock is held."""

    def _decoded(self, quantized):
        for one in quantized.values():
            if isinstance(one.metadata, PQ8Metadata):  # of whatever generation
                self.router.codebooks.add(self._shelf.codebook(one.metadata.codebook_id))
        return quantized.decode(self.router)

    def scan(self, model_id):
        """Yield (16 bytes of id, QuantizedEmbedding) of one embedder, in the order of ids.

        Raises StorageCorruption naming all damaged records, after the last sound one.
        """
        model_id, damaged = ModelId.parse(model_id), []
        for key, section in self.sections(model_id, damaged):
            try:
                yield key, read_section(section, model_id, f"record {UUID(bytes=key)}")
            except StorageCorruption:
                damaged.append(key)
        if damaged:
            raise StorageCorruption(
                where=f"{model_id.short} of {len(damaged)} records in store {self.path}",
                reason=f"the first is {UUID(bytes=damaged[0])}",
                ids=[UUID(bytes=key) for key in damaged],
            )

    def sections(self, model_id, damaged):
        """Yield (16 bytes of id, section) of one embedder in the order of ids, unchecked.

        Ids whose block cannot be read are added to `damaged`.
        """
        prefix, last = bytes([model_id]), b""
        try:
            for key, section in self._files.scan("sections", prefix):
                last = key[1:]
                yield last, section
            return
        except StorageCorruption:
            rest = [key for key, _ in self._files.scan("records") if key > last]
        for key in rest:  # a damaged block ended the scan: ask for each record it may have held
            try:
                section = self._files.get("sections", prefix + key)
            except StorageCorruption:
                damaged.append(key)
                continue
            if section is not None:
                yield key, section

    def get_stored_size(self, record_id):
        """Return the bytes of a record, framing included, before the database; None if unknown."""
        key = as_key(record_id)
        with _naming(key):
            manifest = self._manifest(key, f"record {UUID(bytes=key)}")
            if manifest is None:
                return None
            keys = [bytes([model_id]) + key for model_id in manifest.checksums]
            parts = self._files.get("sections", keys)
            return len(manifest.to_bytes()) + sum(len(part or b"") for part in parts)

    def __contains__(self, record_id):
        return self._files.get("records", as_key(record_id)) is not None

    def __iter__(self):
        """Yield the ids in order, as they are now; raises StorageCorruption at a damaged block."""
        return (UUID(bytes=key) for key, _ in self._files.scan("records"))

    def __len__(self):
        return sum(1 for _ in self._files.scan("records"))

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


@contextmanager
def _naming(key):
    try:
        yield
    except StorageCorruption as error:
        error.ids = (UUID(bytes=key),)
        raise
