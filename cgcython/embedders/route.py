"""What passes through one embedder's codec: how many embeddings, and what a sample of them lost."""

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from cgcython import frames
from cgcython.base import EmbedderId
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.sparse_forms import is_sparse
from cgcython.embedders.losses import LossTotals
from cgcython.errors import QuantizationError
from cgcython.locks import ForkSafeLock
from cgcython.records import QuantizedBatch, QuantizedEmbedding, SparseVector

ENOUGH_SAMPLES = 64  # of one embedder, before their mean loss says anything
MOST_SAMPLES = 32  # of one batch, so that measuring never costs as much as encoding does
DRIFT_TOLERANCE = 0.25  # by which part of it the loss may rise above what training measured
Measured = TypeVar("Measured")
_LOGGER = logging.getLogger(__name__)


class DriftWarning(UserWarning):
    """Embeddings lose more than those that their codebook was trained on."""


class Route:
    """One embedder's codec, how often it encoded and what the sampled embeddings lost."""

    def __init__(self, model_id: EmbedderId, codec: Codec, sample_every: int) -> None:
        self.model_id, self.codec, self.sample_every = model_id, codec, sample_every
        self.encode, self.is_dense = codec.encode, codec.inputs is InputKind.DENSE
        self.overhead = frames.overhead(codec.method, codec.layout)
        self.counting = ForkSafeLock()
        self.encoded, self.next_sample = 0, 0 if sample_every else -1
        self.samples, self.total_loss, self.maximum_loss = 0, 0.0, 0.0
        self.squared_loss = 0.0
        self.trained_loss = trained_loss(getattr(codec, "codebook", None))

    def quantize(self, embedding: Any) -> QuantizedEmbedding:
        """Encode one embedding, count it, and measure its loss where it is a sample."""
        try:
            encoded = self.encode(embedding)
        except QuantizationError as error:
            error.about(self.model_id)
            raise
        with self.counting:
            is_sample = self.encoded == self.next_sample
            self.encoded += 1
            self.next_sample += self.sample_every * is_sample
        if is_sample:
            self.sample(embedding, encoded)
        return encoded

    def section_bytes(self, embedding: Any) -> int:
        """Return the bytes of the section that an embedding becomes, without encoding it."""
        if self.is_dense:
            return self.overhead + self.codec.expected_size()
        return self.overhead + self.codec.expected_size(_count(embedding))

    def section_sizes(self, embeddings: Sequence[Any]) -> list[int] | int:
        """Return what `section_bytes` returns for each embedding, or the one size of all."""
        if self.is_dense:
            return self.overhead + self.codec.expected_size()
        if set(map(type, embeddings)) == {SparseVector}:
            counts = [len(one.indices) for one in embeddings]
        else:
            counts = list(map(_count, embeddings))
        known = {n: self.overhead + self.codec.expected_size(n) for n in set(counts)}
        return list(map(known.__getitem__, counts))

    def encode_batch(
        self, embeddings: Any, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Encode many embeddings, and nothing else."""
        try:
            return self.codec.encode_batch(embeddings, num_threads, out)
        except QuantizationError as error:
            error.about(self.model_id)
            raise

    def quantize_batch(
        self, embeddings: Any, num_threads: int, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Encode many embeddings, count them, and measure the loss of some."""
        batch = self.encode_batch(embeddings, num_threads, out)
        # Columns, in a tuple or a sparse matrix, have rows that would first be put together.
        is_columns = isinstance(embeddings, tuple) or is_sparse(embeddings)
        are_rows = hasattr(embeddings, "__getitem__") and not is_columns
        for i in self.sampled(len(batch), are_rows):
            self.sample(embeddings[i], self.codec.row(batch, i))
        return batch

    def sampled(self, count: int, are_rows: bool) -> range:
        """Count the rows of a batch and return which of them are samples."""
        with self.counting:
            first = self.next_sample - self.encoded
            self.encoded += count
            if not self.sample_every:
                return range(0)
            if not are_rows:
                self.next_sample = max(self.next_sample, self.encoded)
                return range(0)
            rows = range(first, count, self.sample_every)
            self.next_sample += len(rows) * self.sample_every
        return rows[:: 1 + len(rows) // MOST_SAMPLES]

    def sample(self, embedding: Any, encoded: QuantizedEmbedding) -> None:
        """Note what one embedding lost; warn once where samples lose far more than in training."""
        self.note(self.loss(embedding, encoded), stacklevel=5)

    def loss(self, embedding: Any, encoded: QuantizedEmbedding) -> float:
        """Return what an embedding lost by being encoded."""
        return self.codec.loss(embedding, self.codec.decode(encoded))

    def note(self, loss: float, stacklevel: int = 4) -> None:
        """Note what a sample lost, as `sample` does."""
        with self.counting:
            self.samples += 1
            self.total_loss += loss
            self.squared_loss += loss * loss
            self.maximum_loss = max(self.maximum_loss, loss)
            told = drift_told(self.model_id, self.trained_loss, self.samples, self.total_loss)
            self.trained_loss = None if told else self.trained_loss  # to warn once
        if told:
            _LOGGER.warning(told)
            warnings.warn(told, DriftWarning, stacklevel=stacklevel)

    def totals(self) -> LossTotals:
        """Return how many embeddings passed, and what the samples lost."""
        with self.counting:
            return LossTotals(self.encoded, self.samples, self.total_loss, self.squared_loss)


def drift_told(
    model_id: EmbedderId, trained: float | None, samples: int, total_loss: float
) -> str | None:
    """Return what is to be said where samples lose far more than training measured."""
    if trained is None or samples < ENOUGH_SAMPLES:
        return None
    mean = total_loss / samples
    if mean <= trained * (1 + DRIFT_TOLERANCE):
        return None
    return (
        f"{model_id.label}: {samples} sampled embeddings lose {mean:.2%}, "
        f"training measured {trained:.2%}; train a codebook on the new kind (see cgcython drift)"
    )


def trained_loss(codebook: Codebook | None) -> float | None:
    """Return the loss that a codebook's training measured, None where it measured none."""
    return None if codebook is None else codebook.metadata.get("held_out_loss")


def _count(embedding: Any) -> int:
    """Return how many non-zeros a sparse vector has, or tokens a text."""
    return embedding.nnz if isinstance(embedding, SparseVector) else len(embedding)


def by_embedder(
    routes: Iterable[Route], embedders: Iterable[EmbedderId], measure: Callable[[Route], Measured]
) -> dict[EmbedderId, list[Measured]]:
    """Return a measure of each route, by embedder in a given order; without those of none."""
    different = dict.fromkeys(routes)
    found = {
        one: [measure(route) for route in different if route.model_id == one] for one in embedders
    }
    return {one: measured for one, measured in found.items() if measured}
