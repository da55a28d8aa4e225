"""Counts the bytes that encoding makes, beside what float32 would take."""

from dataclasses import dataclass

from cgcython.base import QuantizationMethod


@dataclass
class EmbedderBytes:
    """The bytes of one embedder's embeddings, encoded and as float32."""

    method: str
    memories: int = 0
    stored_bytes: int = 0
    float32_bytes: int = 0

    def add(self, memories, stored_bytes, float32_bytes):
        """Count some encoded embeddings."""
        self.memories += memories
        self.stored_bytes += stored_bytes
        self.float32_bytes += float32_bytes


class ByteCounts:
    """The bytes of encoded memories, by embedder and in all.

    `stored_bytes` has the framing of records too; `largest` is the largest memory.
    """

    def __init__(self):
        self.embedders = {}
        self.memories = self.stored_bytes = self.largest = 0

    def add_records(self, records):
        """Count QuantizedFingerprints, framing included in the total."""
        for record in records:
            for model_id, one in record.items():
                self._embedder(model_id, one.method).add(1, one.size_bytes, one.original_bytes)
            self._add_memory(record.size_bytes)

    def add_batches(self, batches, sizes):
        """Count QuantizedBatches `{ModelId: batch}` and the bytes of each memory in all of them."""
        for model_id, batch in batches.items():
            counts = self._embedder(model_id, batch.method)
            counts.add(len(batch), batch.nbytes, float32_bytes(batch))
        for size in sizes:
            self._add_memory(int(size))

    def _embedder(self, model_id, method):
        return self.embedders.setdefault(model_id, EmbedderBytes(method.value))

    def _add_memory(self, size):
        self.memories += 1
        self.stored_bytes += size
        self.largest = max(self.largest, size)

    @property
    def float32_bytes(self):
        """What all of it would take as float32."""
        return sum(one.float32_bytes for one in self.embedders.values())

    def as_dict(self):
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


def float32_bytes(batch):
    """Return the bytes of a batch's embeddings as float32 values, pairs or tokens."""
    match batch.method:
        case QuantizationMethod.SPARSE_NATIVE:
            return 8 * int(batch.columns["nnz"].sum())
        case QuantizationMethod.TOKEN_PRUNING:
            return 4 * batch.original_dim * int(batch.columns["original_tokens"].sum())
    return 4 * batch.original_dim * len(batch)
