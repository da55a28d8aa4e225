"""Looks records up by id: whole, decoded, or one embedder of them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias, overload

from cgcython.base import EmbedderId, EmbedderName, Profile
from cgcython.checks import require_items, require_whole
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import CodebookMissing, StorageCorruption
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint, read_section
from cgcython.manifest import Manifest, RecordInfo, section_crc
from cgcython.metadata import codebook_id_of
from cgcython.parallel import split_rows
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.store.ids import RecordId, StoredId, as_key, id_of, name_of
from cgcython.store.journal import Journal
from cgcython.store.keeper import Read, ReadKeeper, Record
from cgcython.store.naming import naming, require_sound
from cgcython.store.shelf import ID_BYTES, CodebookShelf

_Found: TypeAlias = Record | StorageCorruption | None  # of a record
ASKED = 256  # records of one request


class RecordLookup:
    """Fingerprints by id: as they are now, or as they were at the moment of a snapshot."""

    def __init__(
        self,
        keeper: ReadKeeper,
        shelf: CodebookShelf,
        profile: Profile,
        router: QuantizationRouter,
        journal: Journal,
    ) -> None:
        self._keeper, self._shelf, self.profile = keeper, shelf, profile
        self.router, self.journal = router, journal

    @property
    def path(self) -> Path:
        """The folder of the store, or that of what is made of a store elsewhere."""
        return self._keeper.folder

    @property
    def place(self) -> str:
        """Where the store is: its folder, or its address without a password."""
        return self._keeper.place

    def codebook(self, codebook_id: int) -> Codebook:
        """Return a codebook of the store by its id, of whatever generation.

        Raises CodebookMissing and CodebookCorrupt; InvalidInput for what is no id.
        """
        self._keeper.require_open()
        most = (1 << 8 * ID_BYTES) - 1
        return self._shelf.codebook(require_whole(codebook_id, "codebook_id", 0, most))

    def retrieve(self, record_id: RecordId) -> Fingerprint | None:
        """Return the decoded Fingerprint of an id, or None.

        Raises StorageCorruption, naming the id, for a damaged record.
        """
        key = as_key(record_id)
        return self._fingerprint(key, self._whole(key))

    def _fingerprint(
        self, key: bytes, quantized: QuantizedFingerprint | None
    ) -> Fingerprint | None:
        while quantized is not None:
            try:
                return self._decoded(quantized)
            except CodebookMissing:  # dropped since, where the record has another one now
                before, quantized = quantized, self._whole(key)
                if before == quantized:
                    raise
        return None

    def retrieve_many(
        self, record_ids: Iterable[RecordId], num_threads: int = 1
    ) -> list[Fingerprint | None]:
        """Return the decoded Fingerprint of each id, None for an unknown one."""
        keys = list(map(as_key, require_items(record_ids, "record_ids", "ids")))

        def retrieve(start: int, stop: int) -> list[Fingerprint | None]:
            found: list[Fingerprint | None] = []
            for first in range(start, stop, ASKED):
                some = keys[first : min(first + ASKED, stop)]
                for key, record in zip(some, self._keeper.records(some)):
                    found.append(self._fingerprint(key, self._quantized_of(key, record)))
            return found

        return list(chain.from_iterable(split_rows(retrieve, len(keys), num_threads)))

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
            return self._whole(key)
        wanted = self.profile.embedder(model_id)
        return self._part_of(key, wanted, self._keeper.records([key], [int(wanted)])[0])

    def quantized_many(
        self, record_ids: Iterable[RecordId], model_id: EmbedderName
    ) -> list[QuantizedEmbedding | None]:
        """Return what is stored of one embedder under each id, None for an unknown id or embedder.

        Records are read some hundred at a time.
        """
        keys = list(map(as_key, require_items(record_ids, "record_ids", "ids")))
        found = dict(self._parts_of_keys(keys, self.profile.embedder(model_id)))
        return [found.get(key) for key in keys]

    def _whole(self, key: bytes) -> QuantizedFingerprint | None:
        return self._quantized_of(key, self._keeper.records([key])[0])

    def _quantized_of(self, key: bytes, found: _Found) -> QuantizedFingerprint | None:
        """Return what a keeper found of a record, all of it; errors name the record."""
        if found is None:
            return None
        where = f"record {name_of(key)}"
        with naming(key):
            manifest, sections = self._parts(found, where)
            return QuantizedFingerprint.from_sections(manifest, sections, where)

    def _parts(
        self, found: Record | StorageCorruption, where: str
    ) -> tuple[Manifest, dict[EmbedderId, bytes]]:
        """Return the manifest of a record and the sections that it lists."""
        if isinstance(found, StorageCorruption):
            raise found
        manifest = self._manifest_of(found.head, where)
        sections = {
            one: _present(found.sections.get(int(one)), one, where) for one in manifest.checksums
        }
        return manifest, sections

    def _part_of(
        self, key: bytes, model_id: EmbedderId, found: _Found
    ) -> QuantizedEmbedding | None:
        """Return one embedder's part of what a keeper found of a record, or None."""
        if found is None:
            return None
        where = f"record {name_of(key)}"
        with naming(key):
            if isinstance(found, StorageCorruption):
                raise found
            crc = self._manifest_of(found.head, where).checksums.get(model_id)
            if crc is None:
                return None
            section = _present(found.sections.get(int(model_id)), model_id, where)
            if section_crc(section) != crc:
                reason = f"the section of {model_id.short} is another record's"
                raise StorageCorruption(where=where, reason=reason)
            return read_section(section, model_id, where)

    def _parts_of_keys(
        self, keys: Sequence[bytes], model_id: EmbedderId
    ) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of those of some records that have an embedder."""
        for start in range(0, len(keys), ASKED):
            some = keys[start : start + ASKED]
            for key, record in zip(some, self._keeper.records(some, [int(model_id)])):
                part = self._part_of(key, model_id, record)
                if part is not None:
                    yield key, part

    def _manifest_of(self, head: Read | None, where: str) -> Manifest:
        if isinstance(head, StorageCorruption):
            raise head
        return Manifest.from_bytes(head or b"", where, self.profile)

    def _manifest(self, key: bytes) -> Manifest | None:
        """Return the manifest of a record, or None; errors name the record."""
        with naming(key):
            (head,) = self._keeper.heads([key])
            return None if head is None else self._manifest_of(head, f"record {name_of(key)}")

    def info(self, record_id: RecordId) -> RecordInfo | None:
        """Return the RecordInfo of an id (times, content hash, metadata), or None."""
        manifest = self._manifest(as_key(record_id))
        return None if manifest is None else manifest.info

    def _decoded(self, quantized: QuantizedFingerprint) -> Fingerprint:
        router = self.router  # another thread may change codebooks, and so take another router
        for one in quantized.values():
            codebook_id = codebook_id_of(one.metadata)
            if codebook_id is not None:  # of whatever generation
                router.codebooks.add(self._shelf.codebook(codebook_id))
        return quantized.decode(router)

    def _require_sound(self, what: str, damaged: list[bytes]) -> None:
        """Raise StorageCorruption that names the records of some keys, where there are any."""
        require_sound(what, damaged, self.place)

    def get_stored_size(self, record_id: RecordId) -> int | None:
        """Return the bytes of a record, framing included, before the database; None if unknown."""
        record = self._record_bytes(as_key(record_id))
        return None if record is None else len(record)

    def _record_bytes(self, key: bytes) -> bytes | None:
        """Return head and sections of a record one after the other, or None."""
        (found,) = self._keeper.records([key])
        if found is None:
            return None
        with naming(key):
            manifest, sections = self._parts(found, f"record {name_of(key)}")
            return b"".join([manifest.to_bytes(), *sections.values()])

    def __contains__(self, record_id: RecordId) -> bool:
        key = as_key(record_id)
        (head,) = self._keeper.heads([key])
        if isinstance(head, StorageCorruption):
            with naming(key):
                raise head
        return head is not None

    def existing(self, record_ids: Iterable[RecordId]) -> set[StoredId]:
        """Return those of some ids that the store has, asked for some hundred at a time.

        Raises StorageCorruption, naming the id, at a damaged record.
        """
        keys = list(map(as_key, require_items(record_ids, "record_ids", "ids")))
        found: set[StoredId] = set()
        for start in range(0, len(keys), ASKED):
            some = keys[start : start + ASKED]
            for key, head in zip(some, self._keeper.heads(some)):
                if isinstance(head, StorageCorruption):
                    with naming(key):
                        raise head
                if head is not None:
                    found.add(id_of(key))
        return found


def _present(section: Read | None, model_id: EmbedderId, where: str) -> bytes:
    """Return the section of an embedder that a record lists; raises StorageCorruption."""
    if section is None:
        reason = f"the section of {model_id.short} is gone"
        raise StorageCorruption(where=where, reason=reason)
    if isinstance(section, StorageCorruption):
        raise section
    return section
