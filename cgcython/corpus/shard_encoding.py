"""Encodes a range of memories into the columns of a shard."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cgcython.base import EmbedderId
from cgcython.corpus.corpus import Corpus, CorpusColumn
from cgcython.corpus.writing import raise_named
from cgcython.embedders.ladder import steps_for
from cgcython.errors import BudgetExceeded, QuantizationError
from cgcython.router import QuantizationRouter
from cgcython.store import shards
from cgcython.types import Int64Array

Parts = dict[EmbedderId, shards.ShardPart]


def pieces_of(corpus: Corpus, start: int, stop: int) -> dict[EmbedderId, CorpusColumn]:
    """Return the inputs of memories start to stop, each read once."""
    return {model_id: column.piece(start, stop) for model_id, column in corpus.items()}


def input_checksums(pieces: Mapping[EmbedderId, CorpusColumn]) -> dict[str, int]:
    """Return the CRC-32 of each embedder's inputs, the rows of its memories among them."""
    return {one.short: piece.checksum(0, piece.num_memories) for one, piece in pieces.items()}


class RangeEncoder:
    """Encodes one range of memories, at the finest step of the ladder that fits a budget."""

    def __init__(
        self,
        corpus: Corpus,
        router: QuantizationRouter,
        memories: tuple[int, int],
        num_threads: int = 1,
    ) -> None:
        self._corpus, self._router, self._memories = corpus, router, memories
        self._num_threads = num_threads
        self.pieces = pieces_of(corpus, *memories)

    def within_budget(self, budget_bytes: int | None) -> tuple[Parts, Int64Array]:
        """Return the parts in the finest layouts that fit, and the bytes of each memory.

        Raises BudgetExceeded and what encoding raises, with a note that names the memory.
        """
        start, stop = self._memories
        parts, before = self._encoded(budget_bytes, 0), 0
        for step in steps_for(_mean_tokens(parts)):
            parts, before = self._encoded(budget_bytes, step, before, parts), step
            sizes = _sizes(parts, stop - start)
            largest = int(sizes.max(initial=0))
            if budget_bytes is None or largest <= budget_bytes:
                return parts, sizes
        error = BudgetExceeded(budget_bytes=budget_bytes, smallest_bytes=largest)
        error.add_note(f"(memory {start + int(sizes.argmax())})")
        raise error

    def _encoded(
        self,
        budget_bytes: int | None,
        step: int,
        known_step: int = 0,
        known: Mapping[EmbedderId, shards.ShardPart] | None = None,
    ) -> Parts:
        """Return the parts at a step of the ladder; `known` has those of another."""
        router, parts = self._router, {}
        for model_id, piece in self.pieces.items():
            if known and router.codec(model_id, step) == router.codec(model_id, known_step):
                parts[model_id] = known[model_id]
                continue
            try:
                inputs = piece.embeddings.batch(0, len(piece.embeddings))
                batch = router.quantize_batch(
                    model_id, inputs, self._num_threads, compact=True, step=step
                )
            except QuantizationError as error:
                raise_named(self._corpus, router, budget_bytes, self._memories, error)
            parts[model_id] = shards.ShardPart(batch, _rows_of(piece))
        return parts


def _rows_of(piece: CorpusColumn) -> Int64Array | None:
    return None if piece.rows is None else np.asarray(piece.rows)


def _sizes(parts: Mapping[EmbedderId, shards.ShardPart], memories: int) -> Int64Array:
    """Return the bytes of each memory of a shard."""
    sizes = np.zeros(memories, np.int64)
    for batch, rows in parts.values():
        sizes[slice(None) if rows is None else rows] += shards.row_bytes(batch)
    return sizes


def _mean_tokens(parts: Mapping[EmbedderId, shards.ShardPart]) -> float:
    """Return how many tokens the texts of a shard have on average, 0 without texts."""
    columns = [batch.columns.get("original_tokens") for batch, _ in parts.values()]
    counts = [one for one in columns if one is not None]
    return float(np.concatenate(counts).mean()) if sum(map(len, counts)) else 0.0
