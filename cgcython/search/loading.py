"""Reads the sections of one embedder into scans, in bulk where they are equally long.

Sections of a fixed layout are one matrix of bytes: their checksums are checked by one call each,
everything else column by column. Other layouts, and chunks in which something does not fit, are
read record by record, which names what is wrong.
"""

from collections import defaultdict
from itertools import islice
from uuid import UUID
from zlib import crc32

import numpy as np

from cgcython import kernels
from cgcython.codecs.binary import BinaryCodec
from cgcython.errors import InvalidQuantizedData, StorageCorruption
from cgcython.fingerprint import read_section
from cgcython.search.code_scans import BinaryScan, Float8Scan, PQ8Scan, has_nan
from cgcython.search.scans import join, make_scan, scan_key

CHUNK = 1 << 16  # records read at a time
KEY = np.dtype("S16")
_HEAD, _CRC = 10, 4
_RESIDUE = crc32(crc32(b"").to_bytes(4, "little"))  # of anything followed by its own CRC-32
# By layout: what the sections of one scan have in common, their head included, and where data are.
_COMMON = {1: (_HEAD, 18), 2: (14, 14), 3: (15, 15)}


def whole_keys(keys):
    """Return the 16 bytes of each key of an array, which drops zeros at an end."""
    return [key.ljust(KEY.itemsize, b"\0") for key in keys.tolist()]


class Loader:
    """Makes the (keys, scan) parts of a column out of what a store holds."""

    def __init__(self, store, find_codebook):
        self._store, self._find_codebook = store, find_codebook

    def all(self, model_id):
        """Return the parts of all records; raises StorageCorruption naming damaged ones."""
        parts, damaged = [], []
        rows = self._store.sections(model_id, damaged)
        while chunk := list(islice(rows, CHUNK)):
            keys, sections = zip(*chunk)
            parts += self._of_sections(model_id, keys, sections, damaged)
        if damaged:
            raise _damage_of(model_id, damaged)
        return joined(parts)

    def some(self, model_id, keys):
        """Return the parts of those of some records that there are."""
        read = ((key, self._store.quantized(key, model_id)) for key in keys)
        return self.of_records((key, one) for key, one in read if one is not None)

    def of_records(self, rows):
        """Return the parts of (key, QuantizedEmbedding) rows."""
        groups = defaultdict(list)
        for key, quantized in rows:
            groups[scan_key(quantized)].append((key, quantized))
        return [self._part(*zip(*group)) for group in groups.values()]

    def _part(self, keys, quantized):
        try:
            return np.array(keys, KEY), make_scan(quantized, self._find_codebook)
        except InvalidQuantizedData:
            raise self._damage(keys, quantized) from None

    def _damage(self, keys, quantized):
        ids, reason = [], ""
        for key, one in zip(keys, quantized):
            try:
                make_scan([one], self._find_codebook)
            except InvalidQuantizedData as error:
                ids.append(UUID(bytes=key))
                reason = reason or str(error)
        return StorageCorruption(where=f"record {ids[0]}", reason=reason, ids=ids)

    def _of_sections(self, model_id, keys, sections, damaged):
        if set(map(crc32, sections)) == {_RESIDUE}:
            parts = self._in_bulk(model_id, keys, sections)
            if parts is not None:
                return parts
        return self.of_records(_sound(model_id, keys, sections, damaged))

    def _in_bulk(self, model_id, keys, sections):
        """Return the parts of sections of fixed layouts; None where one is not as it should be."""
        layouts = {section[1] for section in sections}
        if layouts - _COMMON.keys():
            return None
        groups = defaultdict(list)
        for row, section in enumerate(sections):
            groups[section[: _COMMON[section[1]][0]]].append(row)
        keys, parts = np.array(keys, KEY), []
        for rows in groups.values():
            scan = self._fixed_scan(model_id, [sections[row] for row in rows])
            if scan is None:
                return None
            parts.append((keys if len(groups) == 1 else keys[rows], scan))
        return parts

    def _fixed_scan(self, model_id, sections):
        first = read_section(sections[0], model_id, model_id.short)
        length = len(sections[0])
        joined_bytes = np.frombuffer(b"".join(sections), np.uint8)
        if joined_bytes.size != length * len(sections) or set(map(len, sections)) != {length}:
            return None
        matrix = joined_bytes.reshape(len(sections), length)
        key = scan_key(first)
        start = _COMMON[sections[0][1]][1]
        codes = np.ascontiguousarray(matrix[:, start:-_CRC])
        scan = _SCANS[key[0]](codes, matrix, key, self._find_codebook) if key[0] in _SCANS else None
        if scan is not None:
            scan.key = key
        return scan


def joined(parts):
    """Return the parts with all rows of one key in one scan."""
    groups = defaultdict(list)
    for part in parts:
        groups[part[1].key].append(part)
    return [
        group[0] if len(group) == 1 else (np.concatenate([keys for keys, _ in group]), join(scans))
        for group in groups.values()
        for scans in [[scan for _, scan in group]]
    ]


def _float8(codes, matrix, key, find_codebook):
    scale, bias = np.ascontiguousarray(matrix[:, _HEAD:18]).view("<f4").T
    if np.any(bias) or not np.isfinite(scale).all() or has_nan(codes):
        return None
    return Float8Scan(codes, scale.copy())


def _binary(codes, matrix, key, find_codebook):
    _, dim, threshold = key
    return (
        BinaryScan(codes, BinaryCodec(dim, threshold))
        if kernels.bits.padding_is_zero(codes, dim)
        else None
    )


def _pq8(codes, matrix, key, find_codebook):
    codebook = find_codebook(key[2])
    if (key[1], codes.shape[1]) != (codebook.embedding_dim, codebook.num_subvectors):
        return None
    return PQ8Scan(codes, codebook)


_SCANS = {Float8Scan: _float8, BinaryScan: _binary, PQ8Scan: _pq8}


def _sound(model_id, keys, sections, damaged):
    for key, section in zip(keys, sections):
        try:
            yield key, read_section(section, model_id, f"record {UUID(bytes=key)}")
        except StorageCorruption:
            damaged.append(key)


def _damage_of(model_id, damaged):
    return StorageCorruption(
        where=f"{model_id.short} of {len(damaged)} records",
        reason=f"the first is {UUID(bytes=damaged[0])}",
        ids=[UUID(bytes=key) for key in damaged],
    )
