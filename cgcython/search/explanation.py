"""Why a record was found: which of its tokens each token of the query matched."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cgcython.arrays import as_tokens
from cgcython.base import EmbedderId, ModelId
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.similarity import token_alignments
from cgcython.store.ids import RecordId
from cgcython.types import Float32Array, Float64Array, Int64Array, TokensLike


class TokenSource(Protocol):
    """What has the tokens of records: a store, or a ShardSearcher."""

    router: QuantizationRouter

    def quantized(self, record_id: RecordId, model_id: EmbedderId) -> QuantizedEmbedding | None:
        """Return one embedder's part of a record, or None."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """The cosines of a query's tokens with the kept tokens of a record, and the best of each.

    `positions` are those that the kept tokens had in their text; canonical records do not know
    them and number what they keep. `best` is -1 for a query token without a match.
    """

    cosines: Float32Array  # [query tokens, kept tokens]
    best: Int64Array  # [query tokens]
    positions: Int64Array  # [kept tokens]
    original_tokens: int

    @property
    def similarities(self) -> Float32Array:
        """The cosine of each query token's match; 0 without one."""
        rows = np.arange(len(self.best))
        return np.where(self.best >= 0, self.cosines[rows, self.best], np.float32(0))

    @property
    def matches(self) -> list[tuple[int, int, float]]:
        """Return (query token, position in the text or -1, cosine) of each query token."""
        matched = np.where(self.best >= 0, self.positions[self.best], -1)
        return list(zip(range(len(matched)), matched.tolist(), self.similarities.tolist()))


def explain(
    searcher: TokenSource,
    record_id: RecordId,
    query: TokensLike,
    embedder: EmbedderId = ModelId.LATE_INTERACTION,
) -> Explanation | None:
    """Return the Explanation of one hit by its tokens, None where it or the query has none."""
    record = searcher.quantized(record_id, embedder)
    query = as_tokens(query)
    if record is None or not record.metadata.kept_tokens or not len(query):
        return None
    kept = searcher.router.dequantize(record)
    positions = np.arange(len(kept))
    if record.metadata.layout != "canonical":
        positions = TokenPruningCodec(record.original_dim).positions(record)
    best = np.array([one.doc_token_idx for one in token_alignments(query, kept)])
    cosines = (_units(query) @ _units(kept).T).astype(np.float32)
    return Explanation(cosines, best, positions, record.metadata.original_tokens)


def _units(tokens: Float32Array) -> Float64Array:
    exact = tokens.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / np.where(lengths > 0, lengths, 1)
