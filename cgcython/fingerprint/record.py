"""The record of bytes that keeps one memory: a manifest and one section per embedder."""

import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from cgcython import frames
from cgcython.base import EmbedderId, OwnEmbedder, Profile, QuantizationMethod
from cgcython.checks import require_instance, require_mapping, require_whole
from cgcython.errors import BudgetExceeded, InvalidQuantizedData, StorageCorruption
from cgcython.fingerprint.parts import Parts
from cgcython.manifest import Manifest, RecordInfo, section_crc, size_of
from cgcython.metadata import codebook_id_of
from cgcython.records import QuantizedEmbedding, as_bytes
from cgcython.router import QuantizationRouter
from cgcython.types import BytesLike

if TYPE_CHECKING:
    from cgcython.fingerprint.embeddings import Fingerprint

DEFAULT_BUDGET_BYTES = 20_000


class Form(NamedTuple):
    """How an embedding is kept: by which method, of how many values, with which codebook if any."""

    method: QuantizationMethod
    dimension: int
    codebook_id: int | None


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

    @classmethod
    def _framed(cls, sections: dict[EmbedderId, bytes], known: dict[str, Any]) -> Self:
        """Return the record of sections just written, in order; `known` are properties of it.

        Its embeddings are read when they are asked for.
        """
        record = object.__new__(cls)
        known["sections"] = sections
        record.__dict__ = known
        return record

    @cached_property
    def _parts(self) -> dict[EmbedderId, QuantizedEmbedding]:  # type: ignore[override]  # late
        found = ((key, frames.read_section(part)[1]) for key, part in self.sections.items())
        return {key: QuantizedEmbedding(*fields) for key, fields in found}

    @cached_property
    def sections(self) -> dict[EmbedderId, bytes]:
        """The framed bytes of each embedder."""
        return {key: frames.write_section(value, key) for key, value in self._parts.items()}

    @cached_property
    def forms(self) -> Mapping[EmbedderId, Form]:
        """The Form of each embedder's part."""
        return {
            key: Form(one.method, one.original_dim, codebook_id_of(one.metadata))
            for key, one in self._parts.items()
        }

    @cached_property
    def moment(self) -> int:
        """When it was encoded, in microseconds since 1970."""
        return time.time_ns() // 1000

    @cached_property
    def head(self) -> Manifest:
        """The Manifest of this record: that of its bytes, or else one of the moment."""
        crcs = {key: section_crc(part) for key, part in self.sections.items()}
        return Manifest(crcs, self.moment, self.moment)

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
        head = self.head.with_info(created, updated, metadata)
        shared = self.__dict__.keys() & {"_parts", "forms", "budgeted_bytes"}
        known = {name: self.__dict__[name] for name in shared}
        return self._framed(self.sections, {**known, "head": head})

    def numbered(self, profile: Profile) -> Self:
        """Return this record with the numbers that a profile gives to embedders of its own.

        Raises InvalidInput for an embedder of a user's that the profile does not have.
        """
        own = [one for one in self.sections if isinstance(one, OwnEmbedder)]
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
            raise BudgetExceeded(budget_bytes=budget_bytes, smallest_bytes=self.budgeted_bytes)
        return self

    def fits(self, budget_bytes: int | None) -> bool:
        """Return whether this record, without its owner's metadata, is within a budget."""
        if budget_bytes is None:
            return True
        return self.budgeted_bytes <= require_whole(budget_bytes, "budget_bytes")

    @cached_property
    def budgeted_bytes(self) -> int:
        """The bytes of this record without its owner's metadata."""
        return size_of(len(self.sections)) + sum(map(len, self.sections.values()))

    def decode(self, router: QuantizationRouter) -> "Fingerprint":
        """Return the Fingerprint of the decoded embeddings; of tokens, those that were kept."""
        from cgcython.fingerprint.embeddings import Fingerprint  # which makes records

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
