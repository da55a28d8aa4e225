"""What a codec keeps of texts: tokens chosen by a score, merged with those like them, or all."""

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.codecs.token_pooling import pool_documents, pool_tokens
from cgcython.codecs.token_selection import ImportanceScoringMethod, choose_tokens, require_few
from cgcython.token_array import TokenArray
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array, UInt32Array

if TYPE_CHECKING:
    from cgcython.codecs.token_pruning import TokenPruningCodec

_POSITIONS = np.arange(512, dtype=np.uint32)  # of most texts, which are encoded one by one too
_WORTHLESS = np.zeros(len(_POSITIONS), np.float32)
Kept: TypeAlias = tuple[UInt32Array, Float32Array]  # positions, and what each is worth


def keep(
    codec: "TokenPruningCodec",
    tokens: Float32Array,
    count: int,
    attention_weights: ArrayLike | None = None,
) -> tuple[Float32Array, Kept]:
    """Return a matrix like a text's, and which `count` of its rows are what a codec keeps.

    Only canonical layouts hold what a token is worth.
    """
    if count == len(tokens) and codec.layout != "canonical" and attention_weights is None:
        return tokens, _all_of(count)
    if not codec.pool:
        return tokens, choose_tokens(tokens, count, codec.scoring_method, attention_weights)
    require_few(len(tokens))
    pooled, kept = pool_tokens(tokens, count)
    tokens = tokens.copy()
    tokens[kept] = pooled
    return tokens, (kept, _worth(codec, pooled))


def keep_many(
    codec: "TokenPruningCodec", tokens: Float32Array, offsets: Int64Array, edges: Int64Array
) -> Kept:
    """Return which rows of each of some texts a codec keeps; merged tokens take their places.

    Text i is tokens[offsets[i]:offsets[i + 1]], what it keeps lies between edges[i] and
    edges[i + 1].
    """
    starts = np.repeat(offsets[:-1], np.diff(edges))
    if edges[-1] == offsets[-1] and codec.layout != "canonical":
        kept = (np.arange(edges[-1]) - starts).astype(np.uint32)
        return kept, np.zeros(len(kept), np.float32)
    longest = int(np.diff(offsets).max(initial=0))
    if codec.pool:
        require_few(longest)
        pooled, kept = pool_documents(TokenArray(tokens, offsets), np.diff(edges))
        tokens[kept + starts] = pooled.values
        return kept, _worth(codec, pooled.values)
    kept, worth = np.empty(edges[-1], np.uint32), np.empty(edges[-1], np.float32)
    if codec.scoring_method is ImportanceScoringMethod.COVERAGE:
        require_few(longest)
        scratch = np.empty(kernels.coverage.cover_scratch(longest, codec.dim), np.uint8)
        kernels.coverage.cover_documents(tokens, offsets, kept, edges, worth, scratch)
    else:
        for (start, stop), (first, last) in zip(_pairs(offsets), _pairs(edges)):
            one = choose_tokens(tokens[start:stop], last - first, codec.scoring_method)
            kept[first:last], worth[first:last] = one
    return kept, worth


def _all_of(count: int) -> Kept:
    if count <= len(_POSITIONS):
        return _POSITIONS[:count], _WORTHLESS[:count]
    return np.arange(count, dtype=np.uint32), np.zeros(count, np.float32)


def _worth(codec: "TokenPruningCodec", pooled: Float32Array) -> Float32Array:
    """Return the lengths of pooled tokens, where a layout holds what they are worth."""
    worth = np.zeros(len(pooled), np.float32)
    if codec.layout == "canonical":
        kernels.tokens.magnitude(pooled, worth)
    return worth


def _pairs(edges: Array) -> list[tuple[int, int]]:
    return list(pairwise(edges.tolist()))
