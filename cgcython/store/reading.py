"""Reads the records of a store: all of one, one embedder of it, or one embedder of all."""

from contextlib import contextmanager
from itertools import chain
from uuid import UUID

from cgcython.base import ModelId
from cgcython.errors import StorageCorruption
from cgcython.fingerprint import QuantizedFingerprint, read_section
from cgcython.manifest import Manifest
from cgcython.metadata import PQ8Metadata
from cgcython.parallel import split_rows
from cgcython.store.ids import as_key, name_of, prefix_digits


class RecordReader:
    """Fingerprints by id: as they are now, or as they were at the moment of a snapshot."""

    def __init__(self, files, shelf, profile, router, journal):
        self._files, self._shelf, self.profile = files, shelf, profile
        self.router, self.journal = router, journal

    @property
    def path(self):
        """The folder of the store."""
        return self._files.path

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
        model_id = None if model_id is None else ModelId.parse(model_id)
        return self._consistent(key, lambda manifest: self._quantized(key, model_id, manifest))

    def _quantized(self, key, model_id, manifest):
        where = f"record {name_of(key)}"
        checksums = manifest.checksums
        if model_id is None:
            sections = self._section_bytes(key, list(checksums), where)
            return QuantizedFingerprint.from_sections(manifest, sections, where)
        if model_id not in checksums:
            return None
        section = self._section_bytes(key, [model_id], where)[model_id]
        return read_section(section, model_id, where, checksums[model_id])

    def _consistent(self, key, read):
        """Return what `read` makes of a record's manifest, or None for an unknown id.

        Errors name the record. A write in between the manifest and the sections is no damage.
        """
        with naming(key):
            while (manifest := self._manifest(key)) is not None:
                try:
                    return read(manifest)
                except StorageCorruption:
                    if self._manifest(key) == manifest:
                        raise

    def _section_bytes(self, key, model_ids, where):
        keys = [bytes([model_id]) + key for model_id in model_ids]
        sections = dict(zip(model_ids, self._files.get("sections", keys, where)))
        for model_id, section in sections.items():
            if section is None:
                reason = f"the section of {model_id.short} is gone"
                raise StorageCorruption(where=where, reason=reason)
        return sections

    def _manifest(self, key):
        where = f"record {name_of(key)}"
        manifest = self._files.get("records", key, where)
        return None if manifest is None else Manifest.from_bytes(manifest, where)

    def info(self, record_id):
        """Return the RecordInfo of an id (times, content hash, metadata), or None."""
        return self._consistent(as_key(record_id), lambda manifest: manifest.info)

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
                yield key, read_section(section, model_id, f"record {name_of(key)}")
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
        return self._consistent(key, lambda manifest: len(self._record_bytes(key, manifest)))

    def _record_bytes(self, key, manifest):
        sections = self._section_bytes(key, list(manifest.checksums), f"record {name_of(key)}")
        return b"".join([manifest.to_bytes(), *sections.values()])

    def __contains__(self, record_id):
        return self._files.get("records", as_key(record_id)) is not None

    def __iter__(self):
        """Yield the ids in order, as they are now; raises StorageCorruption at a damaged block."""
        return self.ids()

    def ids(self, prefix=""):
        """Return an iterator over the ids in order that begin with some bytes, or with text."""
        return (UUID(bytes=key) for key, _ in self._manifests_from(prefix))

    def infos(self, prefix=""):
        """Yield (id, RecordInfo) in the order of ids, of those that begin so; reads no sections.

        Raises StorageCorruption, naming the id, at a damaged record.
        """
        for key, manifest in self._manifests_from(prefix):
            with naming(key):
                info = Manifest.from_bytes(manifest, f"record {name_of(key)}").info
            yield UUID(bytes=key), info

    def _manifests_from(self, prefix):
        digits = prefix_digits(prefix)
        rows = self._files.scan("records", bytes.fromhex(digits[: len(digits) & ~1]))
        return ((key, manifest) for key, manifest in rows if key.hex().startswith(digits))

    def __len__(self):
        return sum(1 for _ in self._files.scan("records"))


@contextmanager
def naming(key):
    try:
        yield
    except StorageCorruption as error:
        error.ids = (UUID(bytes=key),)
        raise
