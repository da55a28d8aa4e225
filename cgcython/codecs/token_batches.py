"""Batches of tokens: chosen and written a block of texts at a time, without a call for each."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cgcython import kernels
from cgcython.codecs.checks import output_columns
from cgcython.codecs.rows import numbered
from cgcython.codecs.token_layouts import NUMBERS, size_of
from cgcython.codecs.token_selection import (
    ImportanceScoringMethod,
    choose_tokens,
    count_kept,
    require_few,
)
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch
from cgcython.token_array import TokenArray
from cgcython.types import Array, Float32Array, Int64Array, TokensLike, UInt32Array

if TYPE_CHECKING:
    from cgcython.codecs.token_pruning import TokenPruningCodec

BLOCK = 64  # texts, so that what is chosen from is still in the cache when it is written


def encode(
    codec: "TokenPruningCodec",
    documents: TokenArray | Sequence[TokensLike],
    num_threads: int,
    out: QuantizedBatch | None,
) -> QuantizedBatch:
    """Return the batch of a TokenArray or list of token matrices."""
    texts = numbered(documents)
    counts = np.array([_count(codec, one) for one in texts], np.int64)
    ratio, known = codec.pruning_ratio, np.unique(counts)
    few = np.array([count_kept(count, ratio) for count in known.tolist()], np.int64)
    kept = few[np.searchsorted(known, counts)]
    places = _edges(size_of(codec.layout, codec.dim, counts, kept))
    (data,) = output_columns(out, codec, data=((int(places[-1]),), np.uint8))

    def write(start: int, stop: int) -> None:
        for first in range(start, stop, BLOCK):
            rows = slice(first, min(first + BLOCK, stop))
            tokens, edges = _joined(codec, texts[rows], counts[rows]), _edges(kept[rows])
            chosen = _chosen(codec, tokens, _edges(counts[rows]), edges)
            room = places[rows.start : rows.stop + 1]
            kernels.token_records.encode_rows(
                tokens, _edges(counts[rows]), *chosen, edges, NUMBERS[codec.layout], data, room
            )

    split_rows(write, len(texts), num_threads, first=BLOCK)
    columns = {"data": data, "offsets": places, "original_tokens": counts.astype(np.uint32)}
    return QuantizedBatch(codec.method, codec.dim, columns, codec.shared_values)


def _count(codec: "TokenPruningCodec", tokens: Any) -> int:
    is_matrix = type(tokens) is np.ndarray and tokens.ndim == 2
    return len(tokens if is_matrix else codec.as_tokens(tokens))


def _edges(counts: Int64Array) -> Int64Array:
    """Return where each of some rows begins, and where the last one ends."""
    edges = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=edges[1:])
    return edges


def _joined(codec: "TokenPruningCodec", texts: Any, counts: Int64Array) -> Float32Array:
    """Return the tokens of some texts in one finite matrix, or say what is wrong with one."""
    tokens = np.empty((int(counts.sum()), codec.dim), np.float32)
    is_stacked = kernels.sections.stack(list(texts), True, tokens)
    if not is_stacked or kernels.dense.first_nonfinite(tokens.reshape(-1)) >= 0:
        sound = [codec.as_tokens(one) for one in texts]
        tokens = np.concatenate([tokens[:0], *sound])
    return tokens


def _chosen(
    codec: "TokenPruningCodec", tokens: Float32Array, offsets: Int64Array, edges: Int64Array
) -> tuple[UInt32Array, Float32Array]:
    """Return the positions of the tokens that each of some texts keeps, and their importance."""
    kept, importance = np.empty(edges[-1], np.uint32), np.empty(edges[-1], np.float32)
    if codec.scoring_method is ImportanceScoringMethod.COVERAGE:
        longest = int(np.diff(offsets).max(initial=0))
        require_few(longest)
        scratch = np.empty(kernels.coverage.cover_scratch(longest, codec.dim), np.uint8)
        kernels.coverage.cover_documents(tokens, offsets, kept, edges, importance, scratch)
        return kept, importance
    for (start, stop), (first, last) in zip(_pairs(offsets), _pairs(edges)):
        one = choose_tokens(tokens[start:stop], last - first, codec.scoring_method)
        kept[first:last], importance[first:last] = one
    return kept, importance


def _pairs(edges: Array) -> list[tuple[int, int]]:
    return list(pairwise(edges.tolist()))
