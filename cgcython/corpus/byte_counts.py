"""Counts the bytes that embeddings are encoded in, and those that float32 would take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cgcython.base import EmbedderId, QuantizationMethod
from cgcython.codecs.base import codec_class
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.records import QuantizedBatch


@dataclass
class EmbedderBytes:
    """The bytes of one embedder's embeddings, encoded and as float32."""

    method: str
    memories: int = 0
    stored_bytes: int = 0
    float32_bytes: int = 0

    def add(self, memories: int, stored_bytes: int, float32_bytes: int) -> None:
        """Count some encoded embeddings."""
        self.memories += memories
        self.stored_bytes += stored_bytes
        self.float32_bytes += float32_bytes


class ByteCounts:
    """The bytes of encoded memories, by embedder and in all.

    `stored_bytes` has the framing of records too; `largest` is the largest memory.
    """

    def __init__(self) -> None:
        self.embedders: dict[EmbedderId, EmbedderBytes] = {}
        self.memories = self.stored_bytes = self.largest = 0

    def __repr__(self) -> str:
        sizes = f"stored_bytes={self.stored_bytes}, float32_bytes={self.float32_bytes}"
        return f"ByteCounts(memories={self.memories}, {sizes})"

    def add_records(self, records: Iterable[QuantizedFingerprint]) -> None:
        """Count QuantizedFingerprints, framing included in the total."""
        for record in records:
            for model_id, one in record.items():
                self._embedder(model_id, one.method).add(1, one.size_bytes, one.original_bytes)
            self._add_memory(record.size_bytes)

    def add_batches(
        self, batches: Mapping[EmbedderId, QuantizedBatch], sizes: Iterable[int]
    ) -> None:
        """Count QuantizedBatches `{ModelId: batch}` and the bytes of each memory in all of them."""
        for model_id, batch in batches.items():
            counts = self._embedder(model_id, batch.method)
            float32_bytes = codec_class(batch.method).batch_float32_bytes(batch)
            counts.add(len(batch), batch.nbytes, float32_bytes)
        for size in sizes:
            self._add_memory(int(size))

    def add_counts(self, other: "ByteCounts") -> None:
        """Count what another ByteCounts did."""
        for model_id, one in other.embedders.items():
            mine = self.embedders.setdefault(model_id, EmbedderBytes(one.method))
            mine.add(one.memories, one.stored_bytes, one.float32_bytes)
        self.memories += other.memories
        self.stored_bytes += other.stored_bytes
        self.largest = max(self.largest, other.largest)

    def _embedder(self, model_id: EmbedderId, method: QuantizationMethod) -> EmbedderBytes:
        return self.embedders.setdefault(model_id, EmbedderBytes(method.value))

    def _add_memory(self, size: int) -> None:
        self.memories += 1
        self.stored_bytes += size
        self.largest = max(self.largest, size)

    @property
    def float32_bytes(self) -> int:
        """What all of it would take as float32."""
        return sum(one.float32_bytes for one in self.embedders.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "memories": self.memories,
            "stored_bytes": self.stored_bytes,
            "float32_bytes": self.float32_bytes,
            "largest_bytes": self.largest,
            "embedders": {
                one.short: vars(counts) for one, counts in sorted(self.embedders.items())
            },
        }
