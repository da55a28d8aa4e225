"""Reads every record and section of a store and says what is wrong, record by record.

Manifests are read some at a time, and beside them the same stretch of each embedder's sections, so
that memory does not grow with the store. A damaged block ends a scan: each key of the stretch is
then asked for alone, which names those in the block, and the next stretch scans again.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

from cgcython import frames
from cgcython.base import EmbedderId, Profile
from cgcython.checks import require_progress
from cgcython.errors import InvalidQuantizedData, StorageCorruption, UnsupportedVersion
from cgcython.manifest import Manifest, section_crc
from cgcython.records import QuantizedEmbedding
from cgcython.store.around_damage import Listed, manifests
from cgcython.store.fitting import Decoding
from cgcython.store.keepers.rocksdb import Row, Tables
from cgcython.store.verify_report import VerifyReport
from cgcython.types import Progress

STRETCH = 1024  # records
OTHERS = ("journal", "trash", "meta")


def verify(
    database: Tables,
    decoding: Decoding,
    codebooks: Mapping[int, str],
    copies: Iterable[str],
    progress: Progress | None = None,
) -> VerifyReport:
    """Return the VerifyReport of a database whose sections a Decoding can decode.

    `codebooks` are those that cannot be read, and why, by id; `copies` names what has a damaged
    copy beside a whole one.
    `progress` is called with the number of records of each stretch.
    """
    report = VerifyReport()
    require_progress(progress)
    profile = decoding.profile
    rows = manifests(database)
    columns = [_Column(database, one, report) for one in profile.storable]
    while stretch := list(islice(rows, STRETCH)):
        found = _Stretch(stretch, report, profile)
        for column in columns:
            column.check(found, decoding)
        if progress is not None:
            progress(len(stretch))
    for column in columns:
        column.take_orphans()
    for family in OTHERS:
        _read_all(database, family, report)
    for codebook_id, reason in codebooks.items():
        needing = decoding.waiting[codebook_id]
        report.add(
            f"codebook {codebook_id:#010x}", f"cannot be read ({reason}); {needing} records need it"
        )
    for name in copies:
        report.add(name, "damaged in one of two copies; opening the store to write mends it")
    return report


class _Stretch:
    """Some manifests in the order of their keys: what they list, by embedder."""

    def __init__(self, rows: list[Listed], report: VerifyReport, profile: Profile) -> None:
        self.keys, self.last = {key for key, _ in rows}, rows[-1][0]
        self.unknown: set[bytes] = set()  # whose manifest is damaged: what it listed cannot be told
        self._profile = profile
        self.listed: dict[EmbedderId, dict[bytes, int]] = {one: {} for one in profile.storable}
        for key, manifest in rows:
            report.records += 1
            try:
                report.stored_bytes += self._list(key, manifest)
            except StorageCorruption as error:
                self.unknown.add(key)
                report.add(key, f"its manifest is {told(error)}")

    def unlisted(self, key: bytes) -> str | None:
        """Return what is wrong with a section that no manifest lists, or nothing."""
        if key in self.unknown:
            return None
        return "left over from an earlier record" if key in self.keys else "of no record"

    def _list(self, key: bytes, manifest: bytes | StorageCorruption) -> int:
        """Note the sections that a manifest lists, and return its size."""
        if isinstance(manifest, StorageCorruption):
            raise manifest
        for model_id, crc in Manifest.from_bytes(manifest, profile=self._profile).checksums.items():
            self.listed[model_id][key] = crc
        return len(manifest)


class _Column:
    """The sections of one embedder, taken in the order of ids beside the manifests."""

    def __init__(self, database: Tables, model_id: EmbedderId, report: VerifyReport) -> None:
        self._database, self._model_id, self._report = database, model_id, report
        self._prefix, self._short = bytes([model_id]), model_id.short
        self._rows: Iterator[Row] = self._scan(b"")
        self._next: list[Row] = []

    def check(self, stretch: _Stretch, decoding: Decoding) -> None:
        """Take the sections of a stretch and note what is wrong with them."""
        listed, count, size = stretch.listed[self._model_id], 0, 0
        for key, section in self._upto(stretch):
            crc = listed.pop(key, None)
            if crc is None:
                reason = stretch.unlisted(key)
            else:
                reason = self._reason(section, crc, decoding)
                size += len(section)
                count += 1
            if reason:
                self._add(key, reason)
        for key in listed:
            self._add(key, "missing")
        self._report.sections += count
        self._report.stored_bytes += size

    def _reason(self, section: bytes, crc: int, decoding: Decoding) -> str | None:
        """Return what is wrong with a section that its manifest lists, or nothing."""
        try:
            found, fields = frames.read_section(section, self._short)
        except (StorageCorruption, InvalidQuantizedData) as error:
            return told(error)
        if found != int(self._model_id) or section_crc(section) != crc:
            return "another record's"
        quantized = QuantizedEmbedding(*fields)
        missing = decoding.missing_codebook(quantized)
        if missing is not None:
            return f"coded with the codebook {missing:#010x}, which cannot be read"
        return decoding.wrong(self._model_id, quantized)

    def _upto(self, stretch: _Stretch) -> Iterator[Row]:
        """Yield the (key, section) of a stretch, and those before it."""
        last, at = stretch.last, b""
        try:
            for row in chain(self._next, self._rows):
                key = row[0][1:]
                if key > last:
                    self._next = [row]
                    return
                yield key, row[1]
                at = key
            self._next = []
        except StorageCorruption:  # a damaged block ended the scan
            yield from self._each(sorted(key for key in stretch.keys if key > at), stretch)
            self._rows, self._next = self._scan(last + b"\0"), []

    def _each(self, keys: Iterable[bytes], stretch: _Stretch) -> Iterator[Row]:
        for key in keys:
            try:
                section = self._database.get("sections", self._prefix + key)
            except StorageCorruption as error:
                if stretch.listed[self._model_id].pop(key, None) is not None:
                    self._add(key, told(error))
                continue
            if section is not None:
                yield key, section

    def take_orphans(self) -> None:
        """Note the sections that are left as belonging to no record."""
        try:
            for key, _ in chain(self._next, self._rows):
                self._add(key[1:], "of no record")
        except StorageCorruption as error:
            self._report.add(f"the end of {self._short}", f"damaged ({error.reason})")

    def _add(self, key: bytes, reason: str) -> None:
        self._report.add(key, f"{self._short} is {reason}")

    def _scan(self, key: bytes) -> Iterator[Row]:
        # Within a generator, so that damage is raised where the rows are taken.
        yield from self._database.scan("sections", self._prefix, self._prefix + key)


def told(error: StorageCorruption | InvalidQuantizedData) -> str:
    """Return what is wrong with something that could not be read."""
    of_another = isinstance(error, UnsupportedVersion)
    return f"{'of another release' if of_another else 'damaged'} ({error.reason})"


def _read_all(database: Tables, family: str, report: VerifyReport) -> None:
    if not database.has(family):
        return
    try:
        for _ in database.scan(family):
            pass
    except StorageCorruption as error:
        report.add(f"the family {family}", f"damaged ({error.reason})")
