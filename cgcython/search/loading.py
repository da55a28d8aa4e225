"""Reads the sections of one embedder into scans, in bulk where they are equally long.

Sections of scans of fixed length are one matrix of bytes: their checksums are checked by one call
each, everything else column by column. Others, and chunks in which something is not as an encoder
writes it, are read record by record.

What is damaged raises. What is whole but of no use is left out, so that it is in the way of no
search: a section that is another record's, of a method or dimension that the profile does not have,
of a codebook that is not at hand, or that no scan can be made of.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from cgcython import frames
from cgcython.base import EmbedderId, Profile
from cgcython.errors import CodebookMissing, InvalidQuantizedData, StorageCorruption
from cgcython.fingerprint import read_section
from cgcython.records import QuantizedEmbedding
from cgcython.search.gathering import Gathering
from cgcython.search.guides.guide import Guide
from cgcython.search.keys import key_array
from cgcython.search.scan import FindCodebook, Scan, ScanKey
from cgcython.search.scans import join, make_scan, scan_class, scan_key
from cgcython.store.fitting import misfit
from cgcython.store.ids import id_of, name_of
from cgcython.types import KeyArray

CHUNK_BYTES, STRETCH = 1 << 22, 256  # of sections read at a time, and records between two looks
NO_CODEBOOK = CodebookMissing, StorageCorruption  # what finding a codebook may raise


class Part(NamedTuple):
    """Some rows of a column: their keys and, in the same order, their scan; its guide, if made."""

    keys: KeyArray
    scan: Scan
    guide: Guide | None = None


class Loaded(NamedTuple):
    """The parts of some records, and why others are left out, by key."""

    parts: list[Part]
    left_out: dict[bytes, str]


class Positions(Protocol):
    """The journal of a store, as columns follow it; see `cgcython.store.journal`."""

    def position(self) -> int:
        """Return a number that grows with every write."""

    def changes_since(self, position: int, model_id: EmbedderId) -> list[bytes] | None:
        """Return the keys that changed since, ascending; None where that is not known."""


class SectionSource(Protocol):
    """Where the sections of an embedder are read from."""

    @property
    def profile(self) -> Profile:
        """The methods and dimensions of its embedders."""

    @property
    def journal(self) -> Positions:
        """The positions of its writes."""

    def sections(
        self, model_id: EmbedderId, damaged: list[bytes], disowned: list[bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, section) of an embedder.

        Keys that cannot be read are added to `damaged`, those of sections that are not of their
        record to `disowned`.
        """

    def _parts_of_keys(
        self, keys: Sequence[bytes], model_id: EmbedderId
    ) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of those of some records that have an embedder."""


class ChangingSource(SectionSource, Protocol):
    """What columns are made of and follow: a store, or a folder of shards."""

    def view(self) -> AbstractContextManager[SectionSource]:
        """Return the records of now: of one moment, where the store has those."""


class Loader:
    """Makes the parts of columns out of what a store holds."""

    def __init__(self, store: SectionSource, find_codebook: FindCodebook) -> None:
        self._store, self._find_codebook = store, find_codebook

    def all(self, model_id: EmbedderId) -> Loaded:
        """Return the Loaded of all records; raises StorageCorruption naming damaged ones."""
        return _Loading(self._store, model_id, self._find_codebook).all()

    def some(self, model_id: EmbedderId, keys: Iterable[bytes]) -> Loaded:
        """Return the Loaded of those of some records that there are.

        Raises StorageCorruption where one is damaged or another record's.
        """
        return _Loading(self._store, model_id, self._find_codebook).some(keys)


class _Loading:
    """The records of an embedder that one call of a Loader took, and those that it left out."""

    def __init__(
        self, store: SectionSource, model_id: EmbedderId, find_codebook: FindCodebook
    ) -> None:
        self._store, self._model_id, self._find_codebook = store, model_id, find_codebook
        self._parts: list[Part] = []
        self._left_out: dict[bytes, str] = {}

    def all(self) -> Loaded:
        damaged: list[bytes] = []
        disowned: list[bytes] = []
        rows = self._store.sections(self._model_id, damaged, disowned)
        gathered = _GatheredParts()
        while self._take_chunk(rows, damaged):
            gathered.take(self._parts)
        if damaged:
            raise _damage_of(self._model_id, damaged)
        self._leave_out(disowned, "another record's, or left over from an earlier one")
        return Loaded(gathered.parts(), self._left_out)

    def _take_chunk(self, rows: Iterator[tuple[bytes, bytes]], damaged: list[bytes]) -> bool:
        """Take some records; returns whether there were any."""
        chunk = _chunk(rows)
        if chunk:
            keys, sections = zip(*chunk)
            self._take_sections(keys, sections, damaged)
        return bool(chunk)

    def some(self, keys: Iterable[bytes]) -> Loaded:
        self._take_records(self._store._parts_of_keys(list(keys), self._model_id))
        return Loaded(self._parts, self._left_out)

    def _take_sections(
        self, keys: Sequence[bytes], sections: Sequence[bytes], damaged: list[bytes]
    ) -> None:
        if frames.are_whole(sections):
            with suppress(StorageCorruption):  # of a first section; below, its record is named
                parts = self._in_bulk(key_array(keys), sections)
                if parts is not None:
                    self._parts += parts
                    return
        self._take_records(_sound(self._model_id, keys, sections, damaged))

    def _take_records(self, rows: Iterable[tuple[bytes, QuantizedEmbedding]]) -> None:
        groups: dict[ScanKey, list[tuple[bytes, QuantizedEmbedding]]] = defaultdict(list)
        for key, quantized in rows:
            wrong = self._misfit(quantized)
            if wrong is None:
                groups[scan_key(quantized)].append((key, quantized))
            else:
                self._leave_out([key], wrong)
        for group in groups.values():
            self._take_group(group)

    def _take_group(self, group: Sequence[tuple[bytes, QuantizedEmbedding]]) -> None:
        """Take records of one scan; where there can be none, those that one can be made of."""
        keys, quantized = zip(*group)
        try:
            scan = make_scan(quantized, self._find_codebook)
        except NO_CODEBOOK as error:
            self._leave_out(keys, str(error))
        except InvalidQuantizedData as error:
            if len(group) == 1:
                self._leave_out(keys, str(error))
                return
            middle = len(group) // 2
            self._take_group(group[:middle])
            self._take_group(group[middle:])
        else:
            self._parts.append(Part(key_array(keys), scan))

    def _misfit(self, quantized: QuantizedEmbedding) -> str | None:
        return misfit(self._store.profile, self._model_id, quantized.method, quantized.original_dim)

    def _leave_out(self, keys: Iterable[bytes], reason: str) -> None:
        self._left_out.update(dict.fromkeys(keys, reason))

    def _in_bulk(self, keys: KeyArray, sections: Sequence[bytes]) -> list[Part] | None:
        """Return the parts of sections of fixed length; None where one is not as it should be."""
        numbers = list(map(frames.layout_number, sections))
        ends = {}
        for number, section in dict(zip(numbers, sections)).items():
            first = self._read(section)
            if self._misfit(first) or not scan_class(first).is_fixed_length:
                return None
            ends[number] = frames.data_start(number, scan_class(first).shared_fields)
        groups = defaultdict(list)
        for row, (number, section) in enumerate(zip(numbers, sections)):
            groups[section[: ends[number]]].append(row)
        parts = []
        for rows in groups.values():
            scan = self._fixed_scan([sections[row] for row in rows])
            if scan is None:
                return None
            parts.append(Part(keys if len(groups) == 1 else keys[rows], scan))
        return parts

    def _fixed_scan(self, sections: Sequence[bytes]) -> Scan | None:
        """Return the scan of sections that share a head; None where they have to be read singly."""
        matrix, first = frames.as_matrix(sections), self._read(sections[0])
        if matrix is None or self._misfit(first):
            return None
        try:
            return scan_class(first).of_sections(first, matrix, self._find_codebook)
        except NO_CODEBOOK:
            return None

    def _read(self, section: bytes) -> QuantizedEmbedding:
        return read_section(section, self._model_id, self._model_id.short)


class _GatheredParts:
    """Parts of which those of one scan key become one as they come."""

    def __init__(self) -> None:
        self._keys: dict[ScanKey, list[KeyArray]] = defaultdict(list)
        self._scans: dict[ScanKey, Gathering] = {}

    def take(self, parts: list[Part]) -> None:
        """Take all of some parts, of which none is left."""
        for keys, scan, _ in parts:
            self._keys[scan.key].append(keys)
            if scan.key in self._scans:
                self._scans[scan.key].add(scan)
            else:
                self._scans[scan.key] = Gathering(scan)
        parts.clear()

    def parts(self) -> list[Part]:
        """Return one part for each scan key."""
        return [
            Part(np.concatenate(self._keys[key]), one.scan()) for key, one in self._scans.items()
        ]


def _chunk(rows: Iterator[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the next records, up to about CHUNK_BYTES of sections."""
    chunk: list[tuple[bytes, bytes]] = []
    size = 0
    while size < CHUNK_BYTES and (some := list(islice(rows, STRETCH))):
        size += sum(len(section) for _, section in some)
        chunk += some
    return chunk


def joined(parts: Iterable[Part]) -> list[Part]:
    """Return the parts with all rows of one key in one scan."""
    groups = defaultdict(list)
    for part in parts:
        groups[part.scan.key].append(part)
    return [group[0] if len(group) == 1 else _join(group) for group in groups.values()]


def _join(parts: Sequence[Part]) -> Part:
    keys, scans, (guide, *_) = zip(*parts)
    scan = join(scans)
    longer = None if guide is None else guide.extended(scan)
    return Part(np.concatenate(keys), scan, longer)


def _sound(
    model_id: EmbedderId, keys: Sequence[bytes], sections: Sequence[bytes], damaged: list[bytes]
) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
    """Yield the records of sections that are whole; the keys of others are added to `damaged`."""
    for key, section in zip(keys, sections):
        try:
            yield key, read_section(section, model_id, f"record {name_of(key)}")
        except StorageCorruption:
            damaged.append(key)


def _damage_of(model_id: EmbedderId, damaged: Sequence[bytes]) -> StorageCorruption:
    return StorageCorruption(
        where=f"{model_id.short} of {len(damaged)} records",
        reason=f"the first is {name_of(damaged[0])}",
        ids=map(id_of, damaged),
    )
