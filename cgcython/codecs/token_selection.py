"""Which tokens of a text are worth keeping: scorers, the number to keep, and the choice."""

import math
import warnings
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, pairwise

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, as_vector
from cgcython.codecs.token_pooling import pool_tokens
from cgcython.errors import InvalidInput
from cgcython.parallel import split_rows, split_weighted
from cgcython.token_array import TokenArray

_ROUNDING = 1e-9  # so that 40.000000000000007 tokens are 40
_LEAST_SPREAD = 1e-3
_PER_TOKEN = 200  # what a token costs to cover beside its cosines, in cosines
MOST_TOKENS = 32767  # that all can be compared with all


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

    def __post_init__(self):
        require_part("target_compression", self.target_compression, largest=math.nextafter(1, 0))
        if not isinstance(self.min_tokens, (int, np.integer)) or self.min_tokens < 1:
            raise InvalidInput(what="min_tokens", expected="1 or more", actual=self.min_tokens)
        require_method(self.scoring_method)


@dataclass(frozen=True, eq=False)
class PrunedEmbeddings:
    """The kept tokens, where they stood (ascending) and the part of all that was removed.

    Pooled tokens stood where the token most like them did.
    """

    embeddings: np.ndarray
    retained_indices: np.ndarray
    compression_ratio: float


@dataclass(frozen=True)
class TokenPruningQuantizer:
    """Removes the least important tokens of a text."""

    config: TokenPruningConfig = field(default_factory=TokenPruningConfig)

    def prune(self, embeddings, attention_weights=None, pool=False):
        """Return the tokens worth keeping: at least `min_tokens`, or all there are.

        `pool=True` merges tokens that are alike (Ward's clustering) instead of dropping some;
        the scoring method then decides nothing.

        >>> config = TokenPruningConfig(0.5, 1, ImportanceScoringMethod.MAX_ABS)
        >>> TokenPruningQuantizer(config).prune([[1.0], [3.0], [2.0], [0.0]]).retained_indices
        array([1, 2])
        """
        pruned, notice = self._prune(embeddings, attention_weights, pool)
        _warn(notice)
        return pruned

    def prune_batch(self, documents, attention_weights=None, pool=False, num_threads=1):
        """Return the pruned tokens of each document of a list or float32 TokenArray.

        `attention_weights` are one vector per document. What would be warned of for several is
        warned of once.
        """
        weights = [None] * len(documents) if attention_weights is None else attention_weights
        if len(weights) != len(documents):
            raise InvalidInput(
                what="attention_weights", expected=len(documents), actual=len(weights)
            )
        getattr(documents, "require_values", int)()
        covers = self.config.scoring_method is ImportanceScoringMethod.COVERAGE and not pool
        if covers and isinstance(documents, TokenArray):
            return self._cover_batch(documents.compact(), num_threads)

        def prune(start, stop):
            return [self._prune(documents[i], weights[i], pool) for i in range(start, stop)]

        found = list(chain.from_iterable(split_rows(prune, len(documents), num_threads)))
        for notice in sorted({notice for _, notice in found if notice}):
            _warn(notice)
        return [pruned for pruned, _ in found]

    def _cover_batch(self, documents, num_threads):
        """Return what `prune` does for each of documents that lie one after another."""
        part, least = 1 - self.config.target_compression, self.config.min_tokens
        _require_few(int(documents.counts.max(initial=0)))
        ends = np.cumsum([count_kept(count, part, least) for count in documents.counts.tolist()])
        places = np.concatenate([[0], ends]).astype(np.int64)
        kept = np.empty(places[-1], np.uint32)
        out = np.empty((len(kept), documents.dim), np.float32)

        def cover(start, stop):
            _cover(documents[start:stop], places[start : stop + 1], kept, out)

        split_weighted(cover, documents.counts * (documents.counts + _PER_TOKEN), num_threads)
        positions = kept.astype(np.int64)
        return [
            PrunedEmbeddings(out[a:b], positions[a:b], 1 - (b - a) / count if count else 0.0)
            for (a, b), count in zip(pairwise(places.tolist()), documents.counts.tolist())
        ]

    def _prune(self, embeddings, attention_weights, pool):
        """Return the PrunedEmbeddings and what to warn of, or None."""
        config, tokens = self.config, as_tokens(embeddings)
        count = count_kept(len(tokens), 1 - config.target_compression, config.min_tokens)
        removed = 1 - count / len(tokens) if len(tokens) else 0.0
        if pool:
            _require_few(len(tokens))
            out, kept = pool_tokens(tokens, count)
            return PrunedEmbeddings(out, kept.astype(np.int64), removed), None
        out = np.empty((count, tokens.shape[1]), np.float32)
        method, strict = config.scoring_method, config.strict
        kept, _, notice = _chosen(tokens, count, method, attention_weights, strict, out)
        return PrunedEmbeddings(out, kept.astype(np.int64), removed), notice


def count_kept(tokens, part, least=1):
    """Return how many of some tokens to keep.

    >>> count_kept(100, 1 - 0.6), count_kept(5, 0.5), count_kept(0, 0.5)
    (40, 3, 0)
    """
    return min(tokens, max(math.ceil(tokens * part - _ROUNDING), least))


def choose_tokens(tokens, count, method, attention_weights=None, strict=False):
    """Return the ascending positions (u32) of the tokens to keep and the importance of each."""
    kept, importance, notice = _chosen(tokens, count, method, attention_weights, strict)
    _warn(notice)
    return kept, importance


def require_part(what, value, largest):
    """Check that a number lies above 0 and does not exceed `largest`."""
    if not isinstance(value, (int, float, np.number)) or not 0 < value <= largest:
        expected = "above 0 and below 1" if largest < 1 else "above 0, at most 1"
        raise InvalidInput(what=what, expected=expected, actual=value)


def require_method(method):
    """Check that a scoring method is one."""
    if not isinstance(method, ImportanceScoringMethod):
        names = ", ".join(known.name for known in ImportanceScoringMethod)
        raise InvalidInput(what="scoring_method", expected=names, actual=method)


def _chosen(tokens, count, method, attention_weights, strict, out=None):
    """Return what `choose_tokens` does, and what to warn of, or None; kept tokens go to `out`."""
    kept, importance = np.empty(count, np.uint32), np.empty(count, np.float32)
    if method is ImportanceScoringMethod.COVERAGE:
        _require_few(len(tokens))
        scratch = np.empty(kernels.coverage.cover_scratch(*tokens.shape), np.uint8)
        kernels.coverage.cover(tokens, kept, importance, scratch)
        _gather(tokens, kept, out)
        return kept, importance, None
    by_attention = method is ImportanceScoringMethod.ATTENTION_BASED
    missing = by_attention and attention_weights is None
    if missing and strict:
        raise InvalidInput(what="attention_weights", expected=f"{len(tokens)} weights", actual=None)
    if by_attention and not missing:
        scores = as_vector(attention_weights, len(tokens))
        kernels.tokens.select_top(scores, kept)
        _gather(tokens, kept, out)
    else:
        scores = _select(tokens, method, kept, out)
    notice = _notice(scores, method, missing) if count < len(tokens) else None
    return kept, scores[kept], notice


def _select(tokens, method, kept, out):
    """Write the positions of the best tokens, and these, by what a kernel scores; return scores."""
    scores = np.empty(len(tokens), np.float32)
    name = _SCORERS.get(method, "magnitude")  # attention without weights too
    if out is None:
        getattr(kernels.tokens, name)(tokens, scores)
        kernels.tokens.select_top(scores, kept)
    else:
        kernels.tokens.prune(tokens, getattr(kernels.tokens, name.upper()), scores, kept, out)
    return scores


def _gather(tokens, kept, out):
    if out is not None:
        kernels.tokens.gather(tokens, kept, out)


def _cover(documents, places, kept, out):
    """Write the kept positions and tokens of some documents, each at its places."""
    offsets, longest = documents.offsets, int(documents.counts.max(initial=0))
    scratch = np.empty(kernels.coverage.cover_scratch(longest, documents.dim), np.uint8)
    gains = np.empty(len(kept), np.float32)
    values = documents.values
    kernels.coverage.cover_documents(values, offsets, kept, places, gains, scratch)
    span = slice(places[0], places[-1])
    rows = kept[span] + np.repeat(offsets[:-1], np.diff(places))
    kernels.tokens.gather(values, rows.astype(np.uint32), out[span])


def _notice(scores, method, missing):
    """Return what to warn of: missing attention weights, or lengths that tell nothing."""
    if missing:
        told = "no attention weights: tokens are scored by magnitude"
    elif method is ImportanceScoringMethod.EMBEDDING_MAGNITUDE and (
        scores.max() - scores.min() < _LEAST_SPREAD * scores.max()
    ):
        told = "tokens are normalised: their magnitudes differ by rounding noise only"
    else:
        return None
    return f"{told}; choose ImportanceScoringMethod.COVERAGE"


def _warn(notice):
    if notice:
        warnings.warn(notice, stacklevel=3)


def _require_few(count):
    """Check that a table of all cosines can be made and their sums held."""
    if count > MOST_TOKENS:
        raise InvalidInput(what="tokens", expected=f"at most {MOST_TOKENS}", actual=count)
