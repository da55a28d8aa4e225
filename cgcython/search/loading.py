"""Reads the sections of one embedder into scans, in bulk where they are equally long.

Sections of scans of fixed length are one matrix of bytes: their checksums are checked by one call
each, everything else column by column. Others, and chunks in which something is not as an encoder
writes it, are read record by record, so that the error names the record.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import islice
from typing import NamedTuple, Protocol
from uuid import UUID

import numpy as np

from cgcython import frames
from cgcython.base import ModelId
from cgcython.errors import InvalidQuantizedData, StorageCorruption
from cgcython.fingerprint import read_section
from cgcython.records import QuantizedEmbedding
from cgcython.search.keys import KEY
from cgcython.search.scan import FindCodebook, Scan, ScanKey
from cgcython.search.scans import join, make_scan, scan_class, scan_key
from cgcython.types import KeyArray

CHUNK = 1 << 16  # records read at a time


class Part(NamedTuple):
    """Some rows of a column: their keys and, in the same order, their scan."""

    keys: KeyArray
    scan: Scan


class Positions(Protocol):
    """The journal of a store, as columns follow it; see `cgcython.store.journal`."""

    def position(self) -> int:
        """Return a number that grows with every write."""

    def changes_since(self, position: int, model_id: ModelId) -> list[bytes] | None:
        """Return the keys that changed since, ascending; None where that is not known."""


class SectionSource(Protocol):
    """Where the sections of an embedder are read from."""

    @property
    def journal(self) -> Positions:
        """The positions of its writes."""

    def sections(self, model_id: ModelId, damaged: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, section) of an embedder; keys that cannot be read are added to `damaged`."""

    def quantized(self, record_id: bytes, model_id: ModelId) -> QuantizedEmbedding | None:
        """Return one embedder's part of a record, or None."""


class ChangingSource(SectionSource, Protocol):
    """What columns are made of and follow: a store, or a folder of shards."""

    def snapshot(self) -> AbstractContextManager[SectionSource]:
        """Return the records of one moment, which stay as they are while others write."""


class Loader:
    """Makes the parts of a column out of what a store holds."""

    def __init__(self, store: SectionSource, find_codebook: FindCodebook) -> None:
        self._store, self._find_codebook = store, find_codebook

    def all(self, model_id: ModelId) -> list[Part]:
        """Return the parts of all records; raises StorageCorruption naming damaged ones."""
        parts: list[Part] = []
        damaged: list[bytes] = []
        rows = self._store.sections(model_id, damaged)
        while chunk := list(islice(rows, CHUNK)):
            keys, sections = zip(*chunk)
            parts += self._of_sections(model_id, keys, sections, damaged)
        if damaged:
            raise _damage_of(model_id, damaged)
        return joined(parts)

    def some(self, model_id: ModelId, keys: Iterable[bytes]) -> list[Part]:
        """Return the parts of those of some records that there are."""
        read = ((key, self._store.quantized(key, model_id)) for key in keys)
        return self._of_records((key, one) for key, one in read if one is not None)

    def _of_records(self, rows: Iterable[tuple[bytes, QuantizedEmbedding]]) -> list[Part]:
        groups: dict[ScanKey, list[tuple[bytes, QuantizedEmbedding]]] = defaultdict(list)
        for key, quantized in rows:
            groups[scan_key(quantized)].append((key, quantized))
        return [self._part(*zip(*group)) for group in groups.values()]

    def _part(self, keys: Sequence[bytes], quantized: Sequence[QuantizedEmbedding]) -> Part:
        try:
            return Part(np.array(keys, KEY), make_scan(quantized, self._find_codebook))
        except InvalidQuantizedData:
            raise self._damage(keys, quantized) from None

    def _damage(
        self, keys: Sequence[bytes], quantized: Sequence[QuantizedEmbedding]
    ) -> StorageCorruption:
        """Return the error that names those of some records that no scan can be made of."""
        ids, reason = [], ""
        for key, one in zip(keys, quantized):
            try:
                make_scan([one], self._find_codebook)
            except InvalidQuantizedData as error:
                ids.append(UUID(bytes=key))
                reason = reason or str(error)
        return StorageCorruption(where=f"record {ids[0]}", reason=reason, ids=ids)

    def _of_sections(
        self,
        model_id: ModelId,
        keys: Sequence[bytes],
        sections: Sequence[bytes],
        damaged: list[bytes],
    ) -> list[Part]:
        if frames.are_whole(sections):
            with suppress(StorageCorruption):  # of a first section; below, its record is named
                parts = self._in_bulk(model_id, np.array(keys, KEY), sections)
                if parts is not None:
                    return parts
        return self._of_records(_sound(model_id, keys, sections, damaged))

    def _in_bulk(
        self, model_id: ModelId, keys: KeyArray, sections: Sequence[bytes]
    ) -> list[Part] | None:
        """Return the parts of sections of fixed length; None where one is not as it should be."""
        numbers = list(map(frames.layout_number, sections))
        ends = {}
        for number, section in dict(zip(numbers, sections)).items():
            kind = scan_class(read_section(section, model_id, model_id.short))
            if not kind.is_fixed_length:
                return None
            ends[number] = frames.data_start(number, kind.shared_fields)
        groups = defaultdict(list)
        for row, (number, section) in enumerate(zip(numbers, sections)):
            groups[section[: ends[number]]].append(row)
        parts = []
        for rows in groups.values():
            scan = self._fixed_scan(model_id, [sections[row] for row in rows])
            if scan is None:
                return None
            parts.append(Part(keys if len(groups) == 1 else keys[rows], scan))
        return parts

    def _fixed_scan(self, model_id: ModelId, sections: Sequence[bytes]) -> Scan | None:
        matrix = frames.as_matrix(sections)
        if matrix is None:
            return None
        first = read_section(sections[0], model_id, model_id.short)
        return scan_class(first).of_sections(first, matrix, self._find_codebook)


def joined(parts: Iterable[Part]) -> list[Part]:
    """Return the parts with all rows of one key in one scan."""
    groups = defaultdict(list)
    for part in parts:
        groups[part.scan.key].append(part)
    return [group[0] if len(group) == 1 else _join(group) for group in groups.values()]


def _join(parts: Sequence[Part]) -> Part:
    keys, scans = zip(*parts)
    return Part(np.concatenate(keys), join(scans))


def _sound(
    model_id: ModelId, keys: Sequence[bytes], sections: Sequence[bytes], damaged: list[bytes]
) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
    """Yield the records of sections that are whole; the keys of others are added to `damaged`."""
    for key, section in zip(keys, sections):
        try:
            yield key, read_section(section, model_id, f"record {UUID(bytes=key)}")
        except StorageCorruption:
            damaged.append(key)


def _damage_of(model_id: ModelId, damaged: Sequence[bytes]) -> StorageCorruption:
    return StorageCorruption(
        where=f"{model_id.short} of {len(damaged)} records",
        reason=f"the first is {UUID(bytes=damaged[0])}",
        ids=[UUID(bytes=key) for key in damaged],
    )
