"""Reads the records of a store: all of one, one embedder of it, or one embedder of all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar, overload

from cgcython.base import EmbedderId, EmbedderName, Profile
from cgcython.checks import require_items
from cgcython.errors import CodebookMissing, StorageCorruption
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint, read_section
from cgcython.manifest import Manifest, RecordInfo, section_crc
from cgcython.metadata import codebook_id_of
from cgcython.parallel import split_rows
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.store.beside_manifests import beside_manifests, readable_sections
from cgcython.store.id_prefixes import IdPrefix
from cgcython.store.ids import RecordId, StoredId, as_key, id_of, name_of
from cgcython.store.journal import Journal
from cgcython.store.keepers.rocksdb import Row, Tables
from cgcython.store.naming import naming
from cgcython.store.shelf import CodebookShelf
from cgcython.types import BytesLike

_Found = TypeVar("_Found")


class RecordReader:
    """Fingerprints by id: as they are now, or as they were at the moment of a snapshot."""

    def __init__(
        self,
        files: Tables,
        shelf: CodebookShelf,
        profile: Profile,
        router: QuantizationRouter,
        journal: Journal,
    ) -> None:
        self._files, self._shelf, self.profile = files, shelf, profile
        self.router, self.journal = router, journal

    @property
    def path(self) -> Path:
        """The folder of the store."""
        return self._files.path

    def retrieve(self, record_id: RecordId) -> Fingerprint | None:
        """Return the decoded Fingerprint of an id, or None.

        Raises StorageCorruption, naming the id, for a damaged record.
        """
        while (quantized := self.quantized(record_id)) is not None:
            try:
                return self._decoded(quantized)
            except CodebookMissing:  # dropped since, where the record has another one now
                if self.quantized(record_id) == quantized:
                    raise
        return None

    def retrieve_many(
        self, record_ids: Iterable[RecordId], num_threads: int = 1
    ) -> list[Fingerprint | None]:
        """Return the decoded Fingerprint of each id, None for an unknown one."""
        wanted = require_items(record_ids, "record_ids", "ids")

        def retrieve(start: int, stop: int) -> list[Fingerprint | None]:
            return [self.retrieve(record_id) for record_id in wanted[start:stop]]

        return list(chain.from_iterable(split_rows(retrieve, len(wanted), num_threads)))

    @overload
    def quantized(
        self, record_id: RecordId, model_id: None = None
    ) -> QuantizedFingerprint | None: ...
    @overload
    def quantized(
        self, record_id: RecordId, model_id: EmbedderName
    ) -> QuantizedEmbedding | None: ...
    def quantized(
        self, record_id: RecordId, model_id: EmbedderName | None = None
    ) -> QuantizedFingerprint | QuantizedEmbedding | None:
        """Return what is stored: a QuantizedFingerprint, or one embedder's QuantizedEmbedding.

        None for an unknown id or embedder. One embedder is read without the others.
        """
        key = as_key(record_id)
        if model_id is None:
            return self._consistent(key, lambda manifest: self._whole(key, manifest))
        return self._part_of_key(key, self.profile.embedder(model_id))

    def _part_of_key(self, key: bytes, model_id: EmbedderId) -> QuantizedEmbedding | None:
        """Return one embedder's QuantizedEmbedding of the record of a key, or None."""
        return self._consistent(key, lambda manifest: self._part(key, model_id, manifest))

    def _whole(self, key: bytes, manifest: Manifest) -> QuantizedFingerprint:
        where = f"record {name_of(key)}"
        sections = self._section_bytes(key, list(manifest.checksums), where)
        return QuantizedFingerprint.from_sections(manifest, sections, where)

    def _part(
        self, key: bytes, model_id: EmbedderId, manifest: Manifest
    ) -> QuantizedEmbedding | None:
        section = self._own_section(key, model_id, manifest)
        if section is None:
            return None
        return read_section(section, model_id, f"record {name_of(key)}")

    def _own_section(self, key: bytes, model_id: EmbedderId, manifest: Manifest) -> bytes | None:
        """Return the section that a manifest lists, None where it lists none of the embedder."""
        crc = manifest.checksums.get(model_id)
        if crc is None:
            return None
        where = f"record {name_of(key)}"
        section = self._section_bytes(key, [model_id], where)[model_id]
        if section_crc(section) != crc:
            reason = f"the section of {model_id.short} is another record's"
            raise StorageCorruption(where=where, reason=reason)
        return section

    def _consistent(self, key: bytes, read: Callable[[Manifest], _Found]) -> _Found | None:
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
        return None

    def _section_bytes(
        self, key: bytes, model_ids: list[EmbedderId], where: str
    ) -> dict[EmbedderId, bytes]:
        keys = [bytes([model_id]) + key for model_id in model_ids]
        sections: dict[EmbedderId, bytes] = {}
        for model_id, section in zip(model_ids, self._files.get("sections", keys, where)):
            if section is None:
                reason = f"the section of {model_id.short} is gone"
                raise StorageCorruption(where=where, reason=reason)
            sections[model_id] = section
        return sections

    def _manifest(self, key: bytes) -> Manifest | None:
        where = f"record {name_of(key)}"
        manifest = self._files.get("records", key, where)
        return None if manifest is None else Manifest.from_bytes(manifest, where, self.profile)

    def info(self, record_id: RecordId) -> RecordInfo | None:
        """Return the RecordInfo of an id (times, content hash, metadata), or None."""
        return self._consistent(as_key(record_id), lambda manifest: manifest.info)

    def _metadata_texts(
        self, keys: Sequence[bytes] | None = None
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield (key, metadata as JSON, empty for none) of all records in order, or of some keys.

        The text of a key without a record is None. Raises StorageCorruption naming all damaged
        records, after the last sound one.
        """
        damaged: list[bytes] = []
        rows: Iterable[tuple[bytes, bytes | None]] = self._files.scan("records")
        if keys is not None:
            rows = zip(keys, self._files.get("records", list(keys), "metadata of records"))
        for key, value in rows:
            try:
                yield (
                    key,
                    None
                    if value is None
                    else Manifest.from_bytes(value, profile=self.profile).text,
                )
            except StorageCorruption:
                damaged.append(key)
        self._require_sound("metadata", damaged)

    def _decoded(self, quantized: QuantizedFingerprint) -> Fingerprint:
        router = self.router  # another thread may change codebooks, and so take another router
        for one in quantized.values():
            codebook_id = codebook_id_of(one.metadata)
            if codebook_id is not None:  # of whatever generation
                router.codebooks.add(self._shelf.codebook(codebook_id))
        return quantized.decode(router)

    def scan(self, model_id: EmbedderName) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of one embedder, in the order of keys.

        The key of a UUID is its 16 bytes; `id_of` returns the id of any.
        Raises StorageCorruption naming all damaged records, after the last sound one.
        """
        wanted = self.profile.embedder(model_id)
        damaged: list[bytes] = []
        for key, section in self.sections(wanted, damaged):
            try:
                yield key, read_section(section, wanted, f"record {name_of(key)}")
            except StorageCorruption:
                damaged.append(key)
        self._require_sound(wanted.short, damaged)

    def _require_sound(self, what: str, damaged: list[bytes]) -> None:
        """Raise StorageCorruption that names the records of some keys, where there are any."""
        if damaged:
            raise StorageCorruption(
                where=f"{what} of {len(damaged)} records in store {self.path}",
                reason=f"the first is {name_of(damaged[0])}",
                ids=map(id_of, damaged),
            )

    def sections(
        self, model_id: EmbedderName, damaged: list[bytes], disowned: list[bytes] | None = None
    ) -> Iterator[Row]:
        """Yield (key, section) of one embedder in the order of keys, unchecked.

        Keys whose block cannot be read are added to `damaged`; those whose section is none that
        their record lists to `disowned`, by default to `damaged` too. Where a manifest is damaged
        that cannot be told.
        """
        wanted, others = self.profile.embedder(model_id), damaged if disowned is None else disowned
        rows = readable_sections(self._files, wanted, damaged)
        for stretch, are_own in beside_manifests(self._files, wanted, rows):
            for (key, section), is_own in zip(stretch, are_own):
                self._files.require_open()  # a stretch was read before
                found = section if is_own else self._own_now(key, wanted, section)
                if found is not None:
                    yield key, found
                elif self._files.get("sections", bytes([wanted]) + key) is not None:
                    others.append(key)

    def _own_now(self, key: bytes, model_id: EmbedderId, section: bytes) -> bytes | None:
        """Return the section that the record of a key lists now, None where it has none.

        The record may have been written since its section was read. Where its manifest is damaged,
        that is the section that was read.
        """
        try:
            return self._consistent(
                key, lambda manifest: self._own_section(key, model_id, manifest)
            )
        except StorageCorruption:
            return None if self._is_readable(key) else section

    def _is_readable(self, key: bytes) -> bool:
        """Return whether the manifest of a record is whole."""
        try:
            self._manifest(key)
        except StorageCorruption:
            return False
        return True

    def get_stored_size(self, record_id: RecordId) -> int | None:
        """Return the bytes of a record, framing included, before the database; None if unknown."""
        key = as_key(record_id)
        return self._consistent(key, lambda manifest: len(self._record_bytes(key, manifest)))

    def _record_bytes(self, key: bytes, manifest: Manifest) -> bytes:
        sections = self._section_bytes(key, list(manifest.checksums), f"record {name_of(key)}")
        return b"".join([manifest.to_bytes(), *sections.values()])

    def __contains__(self, record_id: RecordId) -> bool:
        return self._files.get("records", as_key(record_id)) is not None

    def __iter__(self) -> Iterator[StoredId]:
        """Yield the ids in order, as they are now; raises StorageCorruption at a damaged block."""
        return self.ids()

    def ids(self, prefix: BytesLike | str = "") -> Iterator[StoredId]:
        """Return an iterator over the ids in the order of their keys: those that begin so.

        Text is how a text id or the text of a UUID begins, bytes are how those of a UUID begin.
        UUIDs are in the order of their bytes. Integers ascend, then come texts of all lengths but
        15 bytes in the order of their UTF-8, then those of 15 bytes.
        """
        return (id_of(key) for key, _ in self._manifests_from(prefix))

    def infos(self, prefix: BytesLike | str = "") -> Iterator[tuple[StoredId, RecordInfo]]:
        """Yield (id, RecordInfo) in the order of ids, of those that begin so; reads no sections.

        Raises StorageCorruption, naming the id, at a damaged record.
        """
        for key, manifest in self._manifests_from(prefix):
            with naming(key):
                where = f"record {name_of(key)}"
                info = Manifest.from_bytes(manifest, where, self.profile).info
            yield id_of(key), info

    def _manifests_from(self, prefix: BytesLike | str) -> Iterator[Row]:
        wanted = IdPrefix.of(prefix)
        if wanted is None:
            return self._files.scan("records")
        stretches = [self._files.scan("records", start) for start in wanted.starts()]
        return (row for row in chain.from_iterable(stretches) if wanted.matches(row[0]))

    def __len__(self) -> int:
        return sum(1 for _ in self._files.scan("records"))
