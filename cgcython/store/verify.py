"""Reads every record and section of a store and says what is wrong, record by record."""

from collections.abc import Iterable, Mapping

from cgcython import frames
from cgcython.base import EmbedderId
from cgcython.checks import require_progress
from cgcython.errors import InvalidQuantizedData, StorageCorruption, UnsupportedVersion
from cgcython.manifest import Manifest, section_crc
from cgcython.records import QuantizedEmbedding
from cgcython.store.fitting import Decoding
from cgcython.store.keeper import Read, ReadKeeper, Record
from cgcython.store.verify_report import VerifyReport
from cgcython.types import Progress

STRETCH = 1024  # records, between two calls of `progress`


def verify(
    keeper: ReadKeeper,
    decoding: Decoding,
    codebooks: Mapping[int, str],
    damage: Iterable[tuple[str, str]],
    progress: Progress | None = None,
) -> VerifyReport:
    """Return the VerifyReport of a store whose sections a Decoding can decode.

    `codebooks` are those that cannot be read, and why, by id; `damage` names what is damaged
    besides records, and how. `progress` is called with the number of records of each stretch.
    """
    require_progress(progress)
    check = _Check(decoding, VerifyReport())
    report, told = check.report, 0
    for stripe in range(keeper.stripes()):
        try:
            for key, record in keeper.scan_records(stripe):
                check.take(key, record)
                if progress is not None and report.records - told == STRETCH:
                    progress(STRETCH)
                    told = report.records
        except StorageCorruption as error:
            report.add(str(error.where), f"damaged ({error.reason})")
    if progress is not None and report.records > told:
        progress(report.records - told)
    for codebook_id, reason in codebooks.items():
        needing = decoding.waiting[codebook_id]
        report.add(
            f"codebook {codebook_id:#010x}", f"cannot be read ({reason}); {needing} records need it"
        )
    for name, how in damage:
        report.add(name, how)
    return report


class _Check:
    """Notes in a report what is wrong with records."""

    def __init__(self, decoding: Decoding, report: VerifyReport) -> None:
        self._decoding, self.report = decoding, report
        self._known = decoding.profile.by_number

    def take(self, key: bytes, record: Record) -> None:
        """Note what is wrong with a record, or with sections that belong to none."""
        if record.head is None:
            self._add_all(key, record.sections, "of no record")
            return
        self.report.records += 1
        try:
            if isinstance(record.head, StorageCorruption):
                raise record.head
            listed = Manifest.from_bytes(record.head, profile=self._decoding.profile).checksums
        except StorageCorruption as error:  # what it listed cannot be told
            self.report.add(key, f"its manifest is {told(error)}")
            return
        self.report.stored_bytes += len(record.head)
        for model_id, crc in listed.items():
            reason = self._reason(record.sections.get(int(model_id)), model_id, crc)
            if reason:
                self._add(key, model_id, reason)
        if record.sections.keys() != listed.keys():
            left = sorted(record.sections.keys() - map(int, listed))
            self._add_all(key, left, "left over from an earlier record")

    def _reason(self, section: Read | None, model_id: EmbedderId, crc: int) -> str | None:
        """Return what is wrong with a section that its manifest lists, or nothing."""
        if section is None:
            return "missing"
        if isinstance(section, StorageCorruption):
            return told(section)
        self.report.sections += 1
        self.report.stored_bytes += len(section)
        try:
            found, fields = frames.read_section(section, model_id.short)
        except (StorageCorruption, InvalidQuantizedData) as error:
            return told(error)
        if found != int(model_id) or section_crc(section) != crc:
            return "another record's"
        quantized = QuantizedEmbedding(*fields)
        missing = self._decoding.missing_codebook(quantized)
        if missing is not None:
            return f"coded with the codebook {missing:#010x}, which cannot be read"
        return self._decoding.wrong(model_id, quantized)

    def _add_all(self, key: bytes, numbers: Iterable[int], reason: str) -> None:
        for number in numbers:
            self._add(key, self._known[number], reason)

    def _add(self, key: bytes, model_id: EmbedderId, reason: str) -> None:
        self.report.add(key, f"{model_id.short} is {reason}")


def told(error: StorageCorruption | InvalidQuantizedData) -> str:
    """Return what is wrong with something that could not be read."""
    of_another = isinstance(error, UnsupportedVersion)
    return f"{'of another release' if of_another else 'damaged'} ({error.reason})"
