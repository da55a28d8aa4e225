"""One memory as its embedders see it, and the record of bytes that keeps it.

A record is a manifest and one section per embedder.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from cgcython import frames, kernels
from cgcython.arrays import as_float32, require_finite
from cgcython.base import EmbedderId, OwnEmbedder, Profile
from cgcython.checks import require_instance, require_mapping, require_whole
from cgcython.codecs.sparse_forms import is_sparse, row_of
from cgcython.errors import (
    BudgetExceeded,
    InvalidInput,
    InvalidQuantizedData,
    QuantizationError,
    StorageCorruption,
)
from cgcython.fingerprint.parts import Parts
from cgcython.manifest import Manifest, RecordInfo, section_crc, size_of
from cgcython.records import QuantizedEmbedding, SparseVector, as_bytes
from cgcython.router import QuantizationRouter
from cgcython.types import BytesLike, Float32Array

DEFAULT_BUDGET_BYTES = 20_000


class Fingerprint(Parts[Any]):
    """The embeddings of one memory: all thirteen, or the embedders a user has.

    A value is a float32 vector, a SparseVector or a token matrix. Raises NonFiniteValue and
    InvalidInput; dimensions are checked when a router encodes it.

    >>> Fingerprint({"E9": [0.5, -0.5], "E8": [1.0, 2.0]})
    Fingerprint(E8, E9)
    """

    def __init__(self, embeddings: Mapping[Any, Any]) -> None:
        super().__init__(embeddings)
        self._parts = {key: _value(value, key) for key, value in self._parts.items()}

    @classmethod
    def of(cls, embeddings: Mapping[Any, Any]) -> Self:
        """Return a Fingerprint as it is, and any other mapping as one."""
        if isinstance(embeddings, cls):
            return embeddings
        if not isinstance(embeddings, Mapping):
            actual = type(embeddings).__name__
            raise InvalidInput(what="fingerprint", expected="a Fingerprint", actual=actual)
        return cls(embeddings)

    def copied(self) -> "Fingerprint":
        """Return the same embeddings in arrays of their own, which no other code writes to."""
        return self._trusted({key: _copied(value) for key, value in self.items()})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return self.keys() == other.keys() and all(
            _equal(value, other[key]) for key, value in self.items()
        )

    __hash__ = None  # type: ignore[assignment]  # which is how Python says unhashable

    def encode(
        self,
        router: QuantizationRouter,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        metadata: Mapping[str, Any] | None = None,
    ) -> "QuantizedFingerprint":
        """Return the QuantizedFingerprint of these embeddings in the router's compact layouts.

        Of the steps of `cgcython.embedders.ladder` the finest that fits the budget is taken; None
        takes the finest. `metadata` is a JSON object that travels with the record and is not
        counted. Raises BudgetExceeded when the smallest layouts are larger than the budget.
        """
        router = require_instance(router, QuantizationRouter, "router")
        for step in _steps(self, router, budget_bytes):
            record = QuantizedFingerprint._trusted(router.quantize_fingerprint(self, step))
            if record.fits(budget_bytes):
                break
        record = record.within(budget_bytes)
        return record if metadata is None else record.with_info(metadata=metadata)


def encode_all(
    fingerprints: Sequence[Fingerprint],
    router: QuantizationRouter,
    budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
    num_threads: int = 1,
) -> "list[QuantizedFingerprint]":
    """Return a list as `Fingerprint.encode` does for each, encoding embedder by embedder.

    The errors of a batch do not tell which fingerprint they are about.
    """
    steps = [_steps(one, router, budget_bytes)[0] for one in fingerprints]
    quantized = router.quantize_fingerprints(fingerprints, num_threads, steps)
    records = map(QuantizedFingerprint._trusted, quantized)
    return [
        record if record.fits(budget_bytes) else one.encode(router, budget_bytes)
        for record, one in zip(records, fingerprints)
    ]


def _steps(fingerprint: Fingerprint, router: QuantizationRouter, budget_bytes: int | None) -> range:
    if budget_bytes is not None:
        budget_bytes = require_whole(budget_bytes, "budget_bytes") - size_of(len(fingerprint))
    return router.steps_within(fingerprint, budget_bytes)


def _value(value: Any, model_id: EmbedderId) -> Any:
    if isinstance(value, SparseVector):
        return value
    try:
        if type(value) is not np.ndarray and is_sparse(value):
            return row_of(value)
        array = as_float32(getattr(value, "embeddings", value))
        if kernels.dense.first_nonfinite(array.reshape(-1)) >= 0:
            require_finite(array)
    except QuantizationError as error:
        error.model_id = model_id
        raise
    return array


def _copied(value: Float32Array | SparseVector) -> Float32Array | SparseVector:
    if isinstance(value, SparseVector):
        return SparseVector.trusted(value.indices.copy(), value.weights.copy(), value.dimension)
    return value.copy()


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, SparseVector) or isinstance(b, SparseVector):
        return isinstance(a, SparseVector) and a == b
    return np.array_equal(a, b)


class QuantizedFingerprint(Parts[QuantizedEmbedding]):
    """The encoded embeddings of one memory: `embedder -> QuantizedEmbedding`, and their bytes.

    Records of equal embeddings are equal, whatever their times and metadata.
    """

    def __init__(self, parts: Mapping[Any, QuantizedEmbedding]) -> None:
        super().__init__(parts)
        for model_id, one in self.items():
            require_instance(one, QuantizedEmbedding, f"part {model_id.short}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantizedFingerprint):
            return NotImplemented
        return self._parts == other._parts

    __hash__ = None  # type: ignore[assignment]  # which is how Python says unhashable

    @cached_property
    def sections(self) -> dict[EmbedderId, bytes]:
        """The framed bytes of each embedder."""
        return {key: frames.write_section(value, key) for key, value in self._parts.items()}

    @cached_property
    def head(self) -> Manifest:
        """The Manifest of this record: that of its bytes, or else one of now."""
        return Manifest.now({key: section_crc(part) for key, part in self.sections.items()})

    @cached_property
    def manifest(self) -> bytes:
        """The manifest, framed."""
        return self.head.to_bytes()

    @property
    def info(self) -> RecordInfo:
        """The RecordInfo: times, content hash and the metadata of the record's owner."""
        return self.head.info

    def with_info(
        self,
        created: int | None = None,
        updated: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return this record with other times or metadata; None leaves what there is.

        Raises InvalidInput for times that are none, and for metadata that JSON cannot keep.
        """
        record = self._trusted(self._parts)
        record.__dict__["sections"] = self.sections
        record.__dict__["head"] = self.head.with_info(created, updated, metadata)
        return record

    def numbered(self, profile: Profile) -> Self:
        """Return this record with the numbers that a profile gives to embedders of its own.

        Raises InvalidInput for an embedder of a user's that the profile does not have.
        """
        own = [one for one in self if isinstance(one, OwnEmbedder)]
        named: dict[EmbedderId, EmbedderId] = {one: profile.embedder(one) for one in own}
        if all(int(one) == int(named[one]) for one in own):
            return self
        parts = {named.get(key, key): part for key, part in self.items()}
        record = self._trusted({key: parts[key] for key in sorted(parts)})
        crcs = {key: section_crc(part) for key, part in record.sections.items()}
        record.__dict__["head"] = self.head._replace(checksums=crcs)
        return record

    @property
    def size_bytes(self) -> int:
        """The bytes of the whole record, framing included."""
        return len(self.manifest) + sum(map(len, self.sections.values()))

    def within(self, budget_bytes: int | None) -> Self:
        """Return this record, or raise BudgetExceeded when it does not fit."""
        if not self.fits(budget_bytes):
            raise BudgetExceeded(budget_bytes=budget_bytes, smallest_bytes=self._budgeted_bytes)
        return self

    def fits(self, budget_bytes: int | None) -> bool:
        """Return whether this record, without its owner's metadata, is within a budget."""
        if budget_bytes is None:
            return True
        return self._budgeted_bytes <= require_whole(budget_bytes, "budget_bytes")

    @property
    def _budgeted_bytes(self) -> int:
        return size_of(len(self)) + sum(map(len, self.sections.values()))

    def decode(self, router: QuantizationRouter) -> Fingerprint:
        """Return the Fingerprint of the decoded embeddings; of tokens, those that were kept."""
        router = require_instance(router, QuantizationRouter, "router")
        return Fingerprint._trusted(router.dequantize_fingerprint(self))

    def to_bytes(self) -> bytes:
        """Return the record: manifest, then the sections in the order of the embedders."""
        return b"".join([self.manifest, *self.sections.values()])

    @classmethod
    def from_bytes(
        cls,
        data: BytesLike,
        where: str = "fingerprint record",
        profile: Profile | None = None,
    ) -> Self:
        """Return the record that `to_bytes` wrote; `profile` has the embedders that a user named.

        Raises InvalidInput where it needs a profile, and StorageCorruption, naming `where`, for
        bytes that were not written as they are.
        """
        whole = as_bytes(data)
        manifest, at = Manifest.read(whole, where, profile)
        sections = {}
        for model_id in manifest.checksums:
            end = at + frames.section_length(whole, at, where)
            sections[model_id], at = whole[at:end], end
        if at != len(whole):
            raise _damaged(where, f"{len(whole) - at} bytes follow the last section")
        return cls.from_sections(manifest, sections, where)

    @classmethod
    def from_sections(
        cls, manifest: Manifest, sections: Mapping[EmbedderId, bytes], where: str
    ) -> Self:
        """Return the record of a Manifest, checking that these are the sections it lists."""
        checksums = require_instance(manifest, Manifest, "manifest").checksums
        if missing := checksums.keys() - require_mapping(sections, "sections").keys():
            lacks = ", ".join(one.short for one in sorted(missing))
            raise _damaged(where, f"it lacks the section of {lacks}")
        record = cls._trusted(
            {
                model_id: read_section(sections[model_id], model_id, where, crc)
                for model_id, crc in checksums.items()
            }
        )
        record.__dict__["head"] = manifest
        return record


def read_section(
    section: BytesLike, model_id: EmbedderId, where: str, crc: int | None = None
) -> QuantizedEmbedding:
    """Return the QuantizedEmbedding of an embedder's section.

    Raises StorageCorruption unless it is whole and, given the manifest's `crc`, the one it means.
    """
    try:
        found, fields = frames.read_section(section, where)
    except InvalidQuantizedData as error:
        raise _damaged(where, str(error)) from error
    is_own = found is model_id or found == int(model_id)
    if not is_own or crc not in (None, section_crc(section)):
        raise _damaged(where, f"the section of {model_id.short} is another record's")
    return QuantizedEmbedding(*fields)


def _damaged(where: str, reason: str) -> StorageCorruption:
    return StorageCorruption(where=where, reason=reason)
