"""Inverted lists by definition.

Blocks are runs of at most 65,536 rows: `edges` [blocks + 1] are their first rows. Block b has the
lists `spans[b]` to `spans[b + 1]`; list l is of index `terms[l]`, and holds the postings from
`starts[l]` to `starts[l + 1]`: rows within the block, ascending, and weights, in bits of f16 or
as f32.
"""

from itertools import pairwise

import numpy as np

from cgcython.kernels.reference.door import agree, check_offsets, writes

ROWS_OF_BLOCK = 65536
_MOST = 1e37  # of sums; larger ones may overflow


@writes("out", "scratch")
def score(
    query_indices, query_weights, edges, spans, terms, starts, rows, halves, weights, first, last,
    out, scratch,
):  # fmt: skip
    """Write the dot products of a sparse query with the rows of some blocks."""
    agree("query_weights", len(query_weights), "query_indices", len(query_indices))
    lists = _Lists(edges, spans, terms, starts, rows, halves, weights)
    lists.require_blocks(first, last)
    agree("out", len(out), "the blocks", edges[last] - edges[first])
    agree("scratch", len(scratch), "a block", ROWS_OF_BLOCK)
    found = [lists.scores(block, query_indices, query_weights) for block in range(first, last)]
    out[:] = np.concatenate([np.empty(0), *found])


@writes("out")
def score_rows(
    query_indices, query_weights, edges, spans, terms, starts, rows, halves, weights, wanted, out
):
    """Write the dot products of a sparse query with some rows, which ascend."""
    agree("query_weights", len(query_weights), "query_indices", len(query_indices))
    agree("out", len(out), "wanted", len(wanted))
    lists = _Lists(edges, spans, terms, starts, rows, halves, weights)
    if len(wanted):
        check_offsets("wanted rows", wanted, edges[-1] - 1)
    every = [lists.scores(block, query_indices, query_weights) for block in range(lists.blocks)]
    out[:] = np.concatenate([np.empty(0), *every])[wanted]


def best_scratch(num_terms, k):
    """Return how many bytes `best` needs as scratch."""
    if not (0 <= num_terms < 2**32 and 0 < k < 2**40):
        raise ValueError(f"no scratch for the {k} best by {num_terms} terms")
    return 0


@writes("best_rows", "best_scores", "scratch")
def best(
    query_indices, query_weights, edges, spans, terms, starts, rows, halves, weights, highest,
    norms, first, last, k, best_rows, best_scores, scratch,
):  # fmt: skip
    """Write the k best rows of some blocks among those above 0, ascending, and their scores."""
    agree("query_weights", len(query_weights), "query_indices", len(query_indices))
    lists = _Lists(edges, spans, terms, starts, rows, halves, weights)
    lists.require_blocks(first, last)
    agree("highest", len(highest), "terms", len(terms))
    if len(norms):
        agree("norms", len(norms), "the blocks", edges[-1])
    agree("best_rows", len(best_rows), "the blocks", edges[last] - edges[first])
    agree("best_scores", len(best_scores), "best_rows", len(best_rows))
    best_scratch(len(query_indices), k)
    blocks = range(first, last)
    if not all(lists.most(one, query_indices, query_weights, highest) < _MOST for one in blocks):
        return -1
    found = [lists.scores(block, query_indices, query_weights) for block in blocks]
    scores = np.concatenate([np.empty(0), *found]).astype(np.float32)
    if len(norms):
        own = norms[edges[first] : edges[last]]
        np.divide(scores, own, out=scores, where=own > 0)
    kept = _best_above_zero(scores, k)
    best_rows[: len(kept)], best_scores[: len(kept)] = kept + edges[first], scores[kept]
    return len(kept)


def _best_above_zero(scores, k):
    above = np.flatnonzero(scores > 0)
    if len(above) <= k:
        return above
    return above[scores[above] >= np.partition(scores[above], -k)[-k]]


class _Lists:
    """Checked lists, and the scores of a block."""

    def __init__(self, edges, spans, terms, starts, rows, halves, weights):
        check_offsets("spans", spans, len(terms))
        agree("spans", len(spans), "edges", len(edges))
        agree("starts", len(starts), "terms and one more", len(terms) + 1)
        for block, (start, stop) in enumerate(pairwise(edges.tolist())):
            if not 0 < stop - start <= ROWS_OF_BLOCK or edges[0] != 0:
                raise ValueError(f"block {block} has {stop - start} rows")
        if len(weights) and len(halves):
            raise ValueError("weights are halves or floats, not both")
        agree("weights", max(len(weights), len(halves)), "rows", len(rows))
        self.edges, self.spans, self.terms, self.starts, self.rows = (
            edges,
            spans,
            terms,
            starts,
            rows,
        )
        self.weights = halves.view(np.float16) if len(halves) else weights
        self.blocks = len(edges) - 1

    def require_blocks(self, first, last):
        """Raise ValueError unless there are blocks from the first to before the last."""
        if not 0 <= first <= last <= self.blocks:
            raise ValueError(f"no blocks {first} to {last} among {self.blocks}")

    def scores(self, block, query_indices, query_weights):
        """Return the dot products of a query with the rows of a block, f64."""
        size = self.edges[block + 1] - self.edges[block]
        scores = np.zeros(ROWS_OF_BLOCK)
        for index, weight in zip(query_indices.tolist(), query_weights.tolist()):
            for number in self._lists_of(block, index):
                part = slice(self.starts[number], self.starts[number + 1])
                if not 0 <= part.start <= part.stop <= len(self.rows):
                    raise ValueError("a list lies beyond the postings")
                products = weight * self.weights[part].astype(np.float64)
                scores[self.rows[part]] += products
        return scores[:size]

    def most(self, block, query_indices, query_weights, highest):
        """Return what the sizes of the products of a row add up to at most."""
        return sum(
            abs(weight * float(highest[number]))
            for index, weight in zip(query_indices.tolist(), query_weights.tolist())
            for number in self._lists_of(block, index)
        )

    def _lists_of(self, block, index):
        span = slice(self.spans[block], self.spans[block + 1])
        return (np.flatnonzero(self.terms[span] == index) + span.start).tolist()
