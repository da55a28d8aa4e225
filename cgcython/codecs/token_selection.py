"""Token selection: the highest scores by magnitude or attention, or coverage of the others.

COVERAGE is greedy facility location: it takes the token that raises the cosines of all tokens with
their nearest kept one the most, until enough are kept.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, pairwise

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, as_vector
from cgcython.checks import require_items, require_whole
from cgcython.codecs.rows import numbered
from cgcython.codecs.token_covering import cover_documents
from cgcython.codecs.token_pooling import pool_documents, pool_tokens
from cgcython.errors import InvalidInput
from cgcython.parallel import split_rows
from cgcython.token_array import TokenArray
from cgcython.types import ArrayLike, Float32Array, Int64Array, TokensLike, UInt32Array

_ROUNDING = 1e-9  # so that 40.000000000000007 tokens are 40
_LEAST_SPREAD = 1e-3  # of lengths, by which they say more than rounding noise does
MOST_TOKENS = 32767  # of a text, so that the table of all cosines can be made


class ImportanceScoringMethod(Enum):
    """What makes a token important."""

    ATTENTION_BASED = "attention"
    EMBEDDING_MAGNITUDE = "magnitude"
    ENTROPY = "entropy"
    MAX_ABS = "max_abs"
    COVERAGE = "coverage"


_SCORERS = {
    ImportanceScoringMethod.MAX_ABS: "max_abs",
    ImportanceScoringMethod.ENTROPY: "entropy",
}


@dataclass(frozen=True)
class TokenPruningConfig:
    """How much to prune and by what; `strict` refuses to guess missing attention weights."""

    target_compression: float = 0.5
    min_tokens: int = 64
    scoring_method: ImportanceScoringMethod = ImportanceScoringMethod.ATTENTION_BASED
    strict: bool = False

    def __post_init__(self) -> None:
        require_part("target_compression", self.target_compression, largest=math.nextafter(1, 0))
        require_whole(self.min_tokens, "min_tokens", least=1)
        require_method(self.scoring_method)


@dataclass(frozen=True, eq=False)
class PrunedEmbeddings:
    """The kept tokens [kept, dim], their positions, ascending, and the part that was removed.

    The position of a pooled token is that of its cluster's representative.
    """

    embeddings: Float32Array
    retained_indices: Int64Array
    compression_ratio: float


@dataclass(frozen=True)
class TokenPruningQuantizer:
    """Removes the least important tokens of a text."""

    config: TokenPruningConfig = field(default_factory=TokenPruningConfig)

    def prune(
        self,
        embeddings: TokensLike,
        attention_weights: ArrayLike | None = None,
        pool: bool = False,
    ) -> PrunedEmbeddings:
        """Return the tokens worth keeping: at least `min_tokens`, or all there are.

        `embeddings` are a matrix [tokens, dim], `attention_weights` one number per token.
        `pool=True` merges similar tokens by Ward clustering instead of dropping some, and then the
        scoring method is not used. Warns where it has nothing to score by.

        >>> config = TokenPruningConfig(0.5, 1, ImportanceScoringMethod.MAX_ABS)
        >>> TokenPruningQuantizer(config).prune([[1.0], [3.0], [2.0], [0.0]]).retained_indices
        array([1, 2])
        """
        pruned, notice = self._prune(embeddings, attention_weights, pool)
        _warn(notice)
        return pruned

    def prune_batch(
        self,
        documents: TokenArray | Sequence[TokensLike],
        attention_weights: Sequence[ArrayLike | None] | None = None,
        pool: bool = False,
        num_threads: int = 1,
    ) -> list[PrunedEmbeddings]:
        """Return the pruned tokens of each document of a list or float32 TokenArray.

        `attention_weights` are one vector per document. Each warning is given once.
        """
        documents = numbered(documents)
        weights = [None] * len(documents)
        if attention_weights is not None:
            weights = require_items(attention_weights, "attention_weights")
        if len(weights) != len(documents):
            raise InvalidInput(
                what="attention_weights", expected=len(documents), actual=len(weights)
            )
        covers = self.config.scoring_method is ImportanceScoringMethod.COVERAGE and not pool
        if (covers or pool) and isinstance(documents, TokenArray):
            return self._prune_together(documents.compact(), pool, num_threads)

        def prune(start: int, stop: int) -> list[tuple[PrunedEmbeddings, str | None]]:
            return [self._prune(documents[i], weights[i], pool) for i in range(start, stop)]

        found = list(chain.from_iterable(split_rows(prune, len(documents), num_threads)))
        for notice in sorted({notice for _, notice in found if notice}):
            _warn(notice)
        return [pruned for pruned, _ in found]

    def _prune_together(
        self, documents: TokenArray, pool: bool, num_threads: int
    ) -> list[PrunedEmbeddings]:
        """Return what `prune` returns of each document of a compact TokenArray, by COVERAGE."""
        part, least = 1 - self.config.target_compression, self.config.min_tokens
        require_few(int(documents.counts.max(initial=0)))
        few = [count_kept(count, part, least) for count in documents.counts.tolist()]
        if pool:
            pooled, kept = pool_documents(documents, np.array(few, np.int64), num_threads)
            out, places = pooled.values, pooled.offsets
        else:
            places = np.concatenate([[0], np.cumsum(few)]).astype(np.int64)
            out, kept = cover_documents(documents, places, num_threads)
        positions = kept.astype(np.int64)
        return [
            PrunedEmbeddings(out[a:b], positions[a:b], 1 - (b - a) / count if count else 0.0)
            for (a, b), count in zip(pairwise(places.tolist()), documents.counts.tolist())
        ]

    def _prune(
        self, embeddings: TokensLike, attention_weights: ArrayLike | None, pool: bool
    ) -> tuple[PrunedEmbeddings, str | None]:
        """Return the PrunedEmbeddings, and a warning or None."""
        config, tokens = self.config, as_tokens(embeddings)
        count = count_kept(len(tokens), 1 - config.target_compression, config.min_tokens)
        removed = 1 - count / len(tokens) if len(tokens) else 0.0
        if pool:
            require_few(len(tokens))
            out, kept = pool_tokens(tokens, count)
            return PrunedEmbeddings(out, kept.astype(np.int64), removed), None
        out = np.empty((count, tokens.shape[1]), np.float32)
        method, strict = config.scoring_method, config.strict
        kept, _, notice = _chosen(tokens, count, method, attention_weights, strict, out)
        return PrunedEmbeddings(out, kept.astype(np.int64), removed), notice


def count_kept(tokens: int, part: float, least: int = 1) -> int:
    """Return how many of some tokens to keep.

    >>> count_kept(100, 1 - 0.6), count_kept(5, 0.5), count_kept(0, 0.5)
    (40, 3, 0)
    """
    return min(tokens, max(math.ceil(tokens * part - _ROUNDING), least))


def choose_tokens(
    tokens: Float32Array,
    count: int,
    method: ImportanceScoringMethod,
    attention_weights: ArrayLike | None = None,
    strict: bool = False,
) -> tuple[UInt32Array, Float32Array]:
    """Return the ascending positions (u32) of the tokens to keep and the importance of each."""
    kept, importance, notice = _chosen(tokens, count, method, attention_weights, strict)
    _warn(notice)
    return kept, importance


def require_part(what: str, value: object, largest: float) -> None:
    """Check that a number lies above 0 and does not exceed `largest`."""
    if not isinstance(value, (int, float, np.number)) or not 0 < value <= largest:
        expected = "above 0 and below 1" if largest < 1 else "above 0, at most 1"
        raise InvalidInput(what=what, expected=expected, actual=value)


def require_method(method: object) -> None:
    """Check that a scoring method is one."""
    if not isinstance(method, ImportanceScoringMethod):
        names = ", ".join(known.name for known in ImportanceScoringMethod)
        raise InvalidInput(what="scoring_method", expected=names, actual=method)


def _chosen(
    tokens: Float32Array,
    count: int,
    method: ImportanceScoringMethod,
    attention_weights: ArrayLike | None,
    strict: bool,
    out: Float32Array | None = None,
) -> tuple[UInt32Array, Float32Array, str | None]:
    """Return positions and importance as `choose_tokens`, and a warning; write tokens to `out`."""
    kept, importance = np.empty(count, np.uint32), np.empty(count, np.float32)
    if method is ImportanceScoringMethod.COVERAGE:
        require_few(len(tokens))
        scratch = np.empty(kernels.coverage.cover_scratch(*tokens.shape), np.uint8)
        kernels.coverage.cover(tokens, kept, importance, scratch)
        _gather(tokens, kept, out)
        return kept, importance, None
    by_attention = method is ImportanceScoringMethod.ATTENTION_BASED
    missing = by_attention and attention_weights is None
    if missing and strict:
        raise InvalidInput(what="attention_weights", expected=f"{len(tokens)} weights", actual=None)
    if by_attention and attention_weights is not None:
        scores = as_vector(attention_weights, len(tokens))
        kernels.tokens.select_top(scores, kept)
        _gather(tokens, kept, out)
    else:
        scores = _select(tokens, method, kept, out)
    notice = _notice(scores, method, missing) if count < len(tokens) else None
    return kept, scores[kept], notice


def _select(
    tokens: Float32Array,
    method: ImportanceScoringMethod,
    kept: UInt32Array,
    out: Float32Array | None,
) -> Float32Array:
    """Score the tokens, write the best ones' positions and values, and return the scores."""
    scores = np.empty(len(tokens), np.float32)
    name = _SCORERS.get(method, "magnitude")  # attention without weights too
    if out is None:
        getattr(kernels.tokens, name)(tokens, scores)
        kernels.tokens.select_top(scores, kept)
    else:
        kernels.tokens.prune(tokens, getattr(kernels.tokens, name.upper()), scores, kept, out)
    return scores


def _gather(tokens: Float32Array, kept: UInt32Array, out: Float32Array | None) -> None:
    if out is not None:
        kernels.tokens.gather(tokens, kept, out)


def _notice(scores: Float32Array, method: ImportanceScoringMethod, missing: bool) -> str | None:
    """Return a warning of missing attention weights or of equal lengths, or None."""
    if missing:
        told = "no attention weights: tokens are scored by magnitude"
    elif method is ImportanceScoringMethod.EMBEDDING_MAGNITUDE and (
        scores.max() - scores.min() < _LEAST_SPREAD * scores.max()
    ):
        told = "tokens are normalised: their magnitudes differ by rounding noise only"
    else:
        return None
    return f"{told}; choose ImportanceScoringMethod.COVERAGE"


def _warn(notice: str | None) -> None:
    if notice:
        warnings.warn(notice, stacklevel=3)


def require_few(count: int) -> None:
    """Check that a table of the cosines of all pairs fits, and sums of its rows do too."""
    if count > MOST_TOKENS:
        raise InvalidInput(what="tokens", expected=f"at most {MOST_TOKENS}", actual=count)
