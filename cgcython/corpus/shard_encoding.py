"""Encodes a range of memories into the columns of a shard."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cgcython.base import EmbedderId
from cgcython.corpus.corpus import Corpus, CorpusColumn
from cgcython.corpus.writing import raise_named
from cgcython.embedders.ladder import LADDER, steps_for
from cgcython.errors import BudgetExceeded, QuantizationError
from cgcython.router import QuantizationRouter
from cgcython.store import shards
from cgcython.types import Int64Array

Parts = dict[EmbedderId, shards.ShardPart]


def input_checksums(corpus: Corpus, start: int, stop: int) -> dict[str, int]:
    """Return the CRC-32 of each embedder's inputs, the rows of its memories among them."""
    return {one.short: column.checksum(start, stop) for one, column in corpus.items()}


class RangeEncoder:
    """Encodes one range of memories, at the finest step of the ladder that fits a budget.

    The inputs of one embedder are in memory at a time, and of those with layouts to choose from, so
    that each is read once. `checksums` has the CRC-32 of the inputs of each embedder.
    """

    def __init__(
        self,
        corpus: Corpus,
        router: QuantizationRouter,
        memories: tuple[int, int],
        num_threads: int = 1,
    ) -> None:
        self._corpus, self._router, self._memories = corpus, router, memories
        self._num_threads = num_threads
        self.checksums: dict[str, int] = {}
        self._held: dict[EmbedderId, CorpusColumn] = {}

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
        for model_id in self._corpus:
            if known and router.codec(model_id, step) == router.codec(model_id, known_step):
                parts[model_id] = known[model_id]
            else:
                parts[model_id] = self._part(model_id, step, budget_bytes)
        return parts

    def _part(self, model_id: EmbedderId, step: int, budget_bytes: int | None) -> shards.ShardPart:
        piece, router = self._piece(model_id), self._router
        try:
            inputs = piece.embeddings.batch(0, len(piece.embeddings))
            batch = router.quantize_batch(
                model_id, inputs, self._num_threads, compact=True, step=step
            )
        except QuantizationError as error:
            raise_named(self._corpus, router, budget_bytes, self._memories, error)
        return shards.ShardPart(batch, None if piece.rows is None else np.asarray(piece.rows))

    def _piece(self, model_id: EmbedderId) -> CorpusColumn:
        """Return the inputs of an embedder."""
        if model_id in self._held:
            return self._held[model_id]
        piece = self._corpus[model_id].piece(*self._memories)
        self.checksums[model_id.short] = piece.checksum(0, piece.num_memories)
        if any(
            self._router.codec(model_id, step) != self._router.codec(model_id, 0)
            for step in range(len(LADDER))
        ):
            self._held[model_id] = piece
        return piece


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
