"""Counts the bytes that encoding makes, beside what float32 would take."""

from dataclasses import dataclass

from cgcython.base import QuantizationMethod


@dataclass
class Line:
    """One embedder's share."""

    method: str
    memories: int = 0
    stored_bytes: int = 0
    float32_bytes: int = 0

    def add(self, memories, stored_bytes, float32_bytes):
        """Count some encoded embeddings."""
        self.memories += memories
        self.stored_bytes += stored_bytes
        self.float32_bytes += float32_bytes


class Tally:
    """Bytes per embedder and per memory."""

    def __init__(self):
        self.lines = {}
        self.memories = self.stored_bytes = self.largest = 0

    def add_records(self, records):
        """Count QuantizedFingerprints, framing included in the total."""
        for record in records:
            for model_id, one in record.items():
                self._line(model_id, one.method).add(1, one.size_bytes, one.original_bytes)
            self._add_memory(record.size_bytes)

    def add_batches(self, batches, sizes):
        """Count QuantizedBatches `{ModelId: batch}` and the bytes of each memory in all of them."""
        for model_id, batch in batches.items():
            line = self._line(model_id, batch.method)
            line.add(len(batch), batch.nbytes, float32_bytes(batch))
        for size in sizes:
            self._add_memory(int(size))

    def _line(self, model_id, method):
        return self.lines.setdefault(model_id, Line(method.value))

    def _add_memory(self, size):
        self.memories += 1
        self.stored_bytes += size
        self.largest = max(self.largest, size)

    @property
    def float32_bytes(self):
        """What all of it would take as float32."""
        return sum(line.float32_bytes for line in self.lines.values())

    def as_dict(self):
        """Return the counts for JSON."""
        return {
            "memories": self.memories,
            "stored_bytes": self.stored_bytes,
            "float32_bytes": self.float32_bytes,
            "largest_bytes": self.largest,
            "embedders": {one.short: vars(line) for one, line in sorted(self.lines.items())},
        }


def float32_bytes(batch):
    """Return the bytes of a batch's embeddings as float32 values, pairs or tokens."""
    match batch.method:
        case QuantizationMethod.SPARSE_NATIVE:
            return 8 * int(batch.columns["nnz"].sum())
        case QuantizationMethod.TOKEN_PRUNING:
            return 4 * batch.original_dim * int(batch.columns["original_tokens"].sum())
    return 4 * batch.original_dim * len(batch)
