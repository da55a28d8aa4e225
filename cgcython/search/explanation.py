"""Why a record was found: which of its tokens each token of the query met."""

from dataclasses import dataclass

import numpy as np

from cgcython.arrays import as_tokens
from cgcython.base import ModelId
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.similarity import token_alignments


@dataclass(frozen=True, eq=False)
class Explanation:
    """The cosines of a query's tokens with the kept tokens of a record, and the best of each.

    `positions` are those that the kept tokens had in their text; canonical records do not know
    them and number what they keep. `best` is -1 where a query token met none.
    """

    cosines: np.ndarray
    best: np.ndarray
    positions: np.ndarray
    original_tokens: int

    @property
    def similarities(self):
        """The cosine of each query token's match; 0 without one."""
        rows = np.arange(len(self.best))
        return np.where(self.best >= 0, self.cosines[rows, self.best], 0)

    @property
    def matches(self):
        """Return (query token, position in the text or -1, cosine) of each query token."""
        met = np.where(self.best >= 0, self.positions[self.best], -1)
        return list(zip(range(len(met)), met.tolist(), self.similarities.tolist()))


def explain(searcher, record_id, query):
    """Return the Explanation of one hit, None where it or the query has no tokens."""
    record = searcher.quantized(record_id, ModelId.LATE_INTERACTION)
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


def _units(tokens):
    tokens = tokens.astype(np.float64)
    lengths = np.linalg.norm(tokens, axis=1, keepdims=True)
    return tokens / np.where(lengths > 0, lengths, 1)
