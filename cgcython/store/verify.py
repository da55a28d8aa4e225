"""Reads every record and section of a store and says what is wrong, record by record."""

from dataclasses import dataclass, field
from uuid import UUID

from cgcython.base import ModelId
from cgcython.errors import StorageCorruption
from cgcython.fingerprint import read_section
from cgcython.manifest import Manifest
from cgcython.metadata import PQ8Metadata


@dataclass
class VerifyReport:
    """What a store holds, and what is wrong with it: `problems` lists reasons by record id."""

    records: int = 0
    sections: int = 0
    stored_bytes: int = 0
    problems: dict = field(default_factory=dict)

    @property
    def ok(self):
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, key, reason):
        """Note what is wrong with the record of a key."""
        self.problems.setdefault(UUID(bytes=key), []).append(reason)

    def require_ok(self, path):
        """Raise StorageCorruption, naming the records, unless nothing is wrong."""
        if self.ok:
            return
        ids = list(self.problems)
        named = "; ".join(f"{one}: {', '.join(self.problems[one])}" for one in ids[:3])
        more = f"; and {len(ids) - 3} more" if len(ids) > 3 else ""
        raise StorageCorruption(
            where=f"store {path}", reason=f"{len(ids)} records ({named}{more})", ids=ids
        )


def verify(database, codebook_ids, progress=None):
    """Return the VerifyReport of a database that holds these codebooks.

    `progress` is called with 1 for each record.
    """
    report = VerifyReport()
    columns = {model_id: _Column(database, model_id, report) for model_id in ModelId}
    for key, manifest in _manifests(database):
        report.records += 1
        _Record(key, report, codebook_ids).check(manifest, columns)
        if progress is not None:
            progress(1)
    for column in columns.values():
        column.take_orphans()
    return report


class _Record:
    """The check of one record against its manifest."""

    def __init__(self, key, report, codebook_ids):
        self.key, self.report, self.codebook_ids = key, report, codebook_ids

    def check(self, manifest, columns):
        """Take this record's sections off the columns and note what is wrong with them."""
        checksums = self._listed(manifest)
        for model_id, column in columns.items():
            try:
                section = column.take(self.key)
                reason = checksums is not None and self._reason(
                    section, model_id, checksums.get(model_id)
                )
            except StorageCorruption as error:
                reason = f"damaged ({error.reason})"
            if reason:
                self.report.add(self.key, f"{model_id.short} is {reason}")

    def _listed(self, manifest):
        try:
            if isinstance(manifest, StorageCorruption):
                raise manifest
            checksums = Manifest.from_bytes(manifest).checksums
        except StorageCorruption as error:
            self.report.add(self.key, f"its manifest is damaged ({error.reason})")
            return None
        self.report.stored_bytes += len(manifest)
        return checksums

    def _reason(self, section, model_id, crc):
        if section is None or crc is None:
            return ["", "left over from an earlier record", "missing"][
                (section is not None) + 2 * (crc is not None)
            ]
        metadata = read_section(section, model_id, model_id.short, crc).metadata
        self.report.sections += 1
        self.report.stored_bytes += len(section)
        if isinstance(metadata, PQ8Metadata) and metadata.codebook_id not in self.codebook_ids:
            return f"coded with the codebook {metadata.codebook_id:#010x}, which is missing"
        return ""


class _Column:
    """The sections of one embedder, taken in the order of ids beside the manifests."""

    def __init__(self, database, model_id, report):
        self._database, self._model_id, self._report = database, model_id, report
        self._rows = database.scan("sections", bytes([model_id]))
        self._scanning, self._next = True, None
        self._advance()

    def take(self, key):
        """Return the section of a record, or None; note those before it as belonging to none."""
        self.take_orphans(before=key)
        if not self._scanning:
            return self._database.get("sections", bytes([self._model_id]) + key)
        if not self._next or self._next[0] != key:
            return None
        section = self._next[1]
        self._advance()
        return section

    def take_orphans(self, before=None):
        """Note sections that belong to no record, up to a key or to the end."""
        while self._next and (before is None or self._next[0] < before):
            self._report.add(self._next[0], f"{self._model_id.short} belongs to no record")
            self._advance()

    def _advance(self):
        try:
            row = next(self._rows, None)
        except StorageCorruption:
            # A damaged block ends the scan; asking for each section names the ones it took.
            self._scanning, row = False, None
        self._next = row and (row[0][1:], row[1])


def _manifests(database):
    last = b""
    rows = database.scan("records")
    try:
        for row in rows:
            last = row[0]
            yield row
    except StorageCorruption:
        yield from _manifests_after(database, last)


def _manifests_after(database, last):
    """A damaged block of manifests: the sections' keys tell which ids lie in it and after it."""
    for key in sorted(key for key in _ids_of_sections(database) if key > last):
        try:
            manifest = database.get("records", key)
        except StorageCorruption as error:
            manifest = error
        if manifest is not None:
            yield key, manifest


def _ids_of_sections(database):
    ids = set()
    for model_id in ModelId:
        try:
            ids.update(key[1:] for key, _ in database.scan("sections", bytes([model_id])))
        except StorageCorruption:
            continue  # the same records have sections of other embedders
    return ids
