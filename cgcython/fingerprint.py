"""One memory as its embedders see it, and the record of bytes that keeps it.

A record is a manifest and one section per embedder. The manifest holds the checksum of every
section, so that a store can keep the parts under keys of their own and still tell when one is
missing, damaged or left over from an earlier record.
"""

import struct
from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import chain
from zlib import crc32

import numpy as np

from cgcython import frames, kernels
from cgcython.arrays import as_float32, require_finite
from cgcython.base import ModelId
from cgcython.errors import (
    BudgetExceeded,
    InvalidInput,
    InvalidQuantizedData,
    QuantizationError,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.records import QuantizedEmbedding, SparseVector, as_bytes

DEFAULT_BUDGET_BYTES = 20_000
_EMBEDDERS = {int(model_id): model_id for model_id in ModelId}
MAGIC, VERSION = b"CGFP", 1
_HEAD, _ENTRY, _U32 = struct.Struct("<4sBBH"), struct.Struct("<BI"), struct.Struct("<I")
_SECTION_HEAD = struct.Struct("<BBII")


class _Parts(Mapping):
    """A frozen mapping from ModelId, in the order of the embedders."""

    def __init__(self, parts):
        named = _items(parts)
        parts = {_model_id(key): value for key, value in named}
        if len(parts) != len(named):
            actual = f"{len(named)} values for {len(parts)} embedders"
            raise InvalidInput(what="fingerprint", expected="one value each", actual=actual)
        self._parts = {key: parts[key] for key in sorted(parts)}

    @classmethod
    def _trusted(cls, parts):
        """Return the mapping of checked parts in the order of the embedders."""
        trusted = object.__new__(cls)
        trusted._parts = parts
        return trusted

    def __getitem__(self, model_id):
        if type(model_id) is ModelId:
            return self._parts[model_id]
        try:
            return self._parts[_model_id(model_id)]
        except InvalidInput:
            raise KeyError(model_id) from None

    def __iter__(self):
        return iter(self._parts)

    def __len__(self):
        return len(self._parts)

    def items(self):
        """Return the pairs; those of Mapping look every value up again."""
        return self._parts.items()

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(one.short for one in self)})"


def _items(parts):
    try:
        return list(dict(parts).items())
    except (TypeError, ValueError):
        actual = type(parts).__name__
        expected = "a mapping from embedders"
        raise InvalidInput(what="fingerprint", expected=expected, actual=actual) from None


def _model_id(key):
    try:
        return key if type(key) is ModelId else ModelId(key)
    except ValueError:
        return ModelId.parse(key)


class Fingerprint(_Parts):
    """The embeddings of one memory: all thirteen, or the embedders a user has.

    A value is a float32 vector, a SparseVector or a token matrix. Raises NonFiniteValue and
    InvalidInput; dimensions are checked when a router encodes it.

    >>> Fingerprint({"E9": [0.5, -0.5], ModelId.GRAPH: [1.0, 2.0]})
    Fingerprint(E8, E9)
    """

    def __init__(self, embeddings):
        super().__init__(embeddings)
        self._parts = {key: _value(value, key) for key, value in self._parts.items()}

    @classmethod
    def of(cls, embeddings):
        """Return a Fingerprint as it is, and any other mapping as one."""
        if isinstance(embeddings, cls):
            return embeddings
        if not isinstance(embeddings, Mapping):
            actual = type(embeddings).__name__
            raise InvalidInput(what="fingerprint", expected="a Fingerprint", actual=actual)
        return cls(embeddings)

    def __eq__(self, other):
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return self.keys() == other.keys() and all(
            _equal(value, other[key]) for key, value in self.items()
        )

    __hash__ = None

    def encode(self, router, budget_bytes=DEFAULT_BUDGET_BYTES):
        """Return the QuantizedFingerprint of these embeddings in the router's compact layouts.

        Raises BudgetExceeded when the record is larger than the budget; None lifts it.
        """
        quantized = QuantizedFingerprint._trusted(router.quantize_fingerprint(self))
        return quantized.within(budget_bytes)


def _value(value, model_id):
    if isinstance(value, SparseVector):
        return value
    try:
        array = as_float32(getattr(value, "embeddings", value))
        if kernels.dense.first_nonfinite(array.reshape(-1)) >= 0:
            require_finite(array)
    except QuantizationError as error:
        error.model_id = model_id
        raise
    return array


def _equal(a, b):
    if isinstance(a, SparseVector) or isinstance(b, SparseVector):
        return isinstance(a, SparseVector) and a == b
    return np.array_equal(a, b)


class QuantizedFingerprint(_Parts):
    """The encoded embeddings of one memory: `ModelId -> QuantizedEmbedding`, and their bytes."""

    def __eq__(self, other):
        if not isinstance(other, QuantizedFingerprint):
            return NotImplemented
        return self._parts == other._parts

    __hash__ = None

    @cached_property
    def sections(self):
        """The framed bytes of each embedder."""
        return {key: frames.write_section(value, key) for key, value in self._parts.items()}

    @cached_property
    def manifest(self):
        """The embedders of this record and the checksums of their sections, framed."""
        return write_manifest({key: section_crc(part) for key, part in self.sections.items()})

    @property
    def size_bytes(self):
        """The bytes of the whole record, framing included."""
        return len(self.manifest) + sum(map(len, self.sections.values()))

    def within(self, budget_bytes):
        """Return this record, or raise BudgetExceeded when it is larger than the budget."""
        if budget_bytes is not None and self.size_bytes > budget_bytes:
            raise BudgetExceeded(budget_bytes=budget_bytes, smallest_bytes=self.size_bytes)
        return self

    def decode(self, router):
        """Return the Fingerprint of the decoded embeddings; of tokens, those that were kept."""
        return Fingerprint._trusted(router.dequantize_fingerprint(self))

    def to_bytes(self):
        """Return the record: manifest, then the sections in the order of the embedders."""
        return b"".join([self.manifest, *self.sections.values()])

    @classmethod
    def from_bytes(cls, data, where="fingerprint record"):
        """Return the record that `to_bytes` wrote.

        Raises StorageCorruption, naming `where`, for bytes that were not written as they are.
        """
        data = as_bytes(data)
        checksums, at = _read_manifest(data, where)
        sections = {}
        for model_id in checksums:
            end = at + _section_length(data, at, where)
            sections[model_id], at = data[at:end], end
        if at != len(data):
            raise _damaged(where, f"{len(data) - at} bytes follow the last section")
        return cls.from_sections(checksums, sections, where)

    @classmethod
    def from_sections(cls, checksums, sections, where):
        """Return the record whose manifest lists `checksums`, checking every section."""
        return cls._trusted(
            {
                model_id: read_section(sections[model_id], model_id, where, crc)
                for model_id, crc in checksums.items()
            }
        )


def section_crc(section):
    """Return the checksum that ends a section."""
    return int.from_bytes(section[-_U32.size :], "little")


def write_manifest(checksums):
    """Return the manifest of `{ModelId: checksum of its section}`."""
    count = len(checksums)
    body = _body(count).pack(MAGIC, VERSION, count, 0, *chain.from_iterable(checksums.items()))
    return body + _U32.pack(crc32(body))


@lru_cache
def _body(count):
    """Return the struct of a manifest's head and entries."""
    return struct.Struct(_HEAD.format + count * _ENTRY.format.removeprefix("<"))


def manifest_bytes(count):
    """Return the length of the manifest of `count` sections."""
    return _HEAD.size + count * _ENTRY.size + _U32.size


def read_manifest(data, where):
    """Return `{ModelId: checksum}` of a manifest that stands alone; errors as in `from_bytes`."""
    checksums, end = _read_manifest(data, where)
    if end != len(data):
        raise _damaged(where, f"{len(data) - end} bytes follow the manifest")
    return checksums


def _read_manifest(data, where):
    if len(data) < _HEAD.size:
        raise _damaged(where, f"{len(data)} bytes are fewer than a manifest's {_HEAD.size}")
    magic, version, count, flags = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise _damaged(where, f"it does not begin with {MAGIC!r}")
    if version != VERSION:
        raise UnsupportedVersion(
            where=where, reason=f"it has version {version}, this release reads {VERSION}"
        )
    end = _HEAD.size + count * _ENTRY.size
    if len(data) < end + _U32.size:
        raise _damaged(where, "the manifest is cut off")
    if _U32.unpack_from(data, end)[0] != crc32(data[:end]):
        raise _damaged(where, "the checksum of the manifest differs")
    if flags:
        raise UnsupportedVersion(where=where, reason=f"its flags {flags:#x} are of a later version")
    entries = list(_ENTRY.iter_unpack(data[_HEAD.size : end]))
    return _checksums(entries, where), end + _U32.size


def _checksums(entries, where):
    numbers = [number for number, _ in entries]
    if numbers != sorted(set(numbers)) or not _EMBEDDERS.keys() >= set(numbers):
        raise _damaged(where, f"it lists the embedders {numbers}")
    return {_EMBEDDERS[number]: crc for number, crc in entries}


def _section_length(data, at, where):
    if len(data) < at + _SECTION_HEAD.size:
        raise _damaged(where, "a section is missing")
    length = frames.OVERHEAD + _SECTION_HEAD.unpack_from(data, at)[3]
    if len(data) < at + length:
        raise _damaged(where, f"a section of {length} bytes is cut off at {len(data) - at}")
    return length


def read_section(section, model_id, where, crc=None):
    """Return the QuantizedEmbedding of an embedder's section.

    Raises StorageCorruption unless it is whole and, given the manifest's `crc`, the one it means.
    """
    try:
        found, fields = frames.read_section(section, where)
    except InvalidQuantizedData as error:
        raise _damaged(where, str(error)) from error
    if found is not model_id or crc not in (None, section_crc(section)):
        raise _damaged(where, f"the section of {model_id.short} is another record's")
    return QuantizedEmbedding(*fields)


def _damaged(where, reason):
    return StorageCorruption(where=where, reason=reason)
