"""Graphs: what they find of the best of an exact scan, and what is around usearch itself."""

from functools import cache

import numpy as np

from cgcython.search.best import best_rows
from cgcython.search.column import Column
from cgcython.search.graphs import Graph
from cgcython.search.keys import sorted_keys
from cgcython.search.loading import Part
from cgcython.search.vector_scan import VectorScan

from .gates import at_least, beside
from .inputs import unit
from .stopwatch import times_as_fast

RECORDS, DIM = 3000, 64


class _Vectors(VectorScan):
    """Vectors of no method, which are their own column."""


@cache
def made():
    """Return a column of vectors, its graph and queries."""
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((RECORDS // 20, DIM), dtype=np.float32)
    drawn = centres[rng.integers(0, len(centres), RECORDS + 100)]
    rows = unit(drawn + rng.standard_normal(drawn.shape, dtype=np.float32))
    keys = sorted_keys([number.to_bytes(16, "big") for number in range(RECORDS)])
    column = Column.of([Part(keys, _Vectors(rows[:RECORDS]))])
    return column, Graph.of(column), rows[RECORDS:]


def overlap(query):
    """Return how many of the ten best of a scan are among the rows that the graph finds."""
    column, graph, _ = made()
    best = best_rows(column.scores(query, "cosine", 1), 10)
    return np.isin(best, graph.nearest(column, query, 10)).mean()


@beside("usearch")
@at_least(0.97)
def track_recall_of_an_exact_scan():
    return np.mean([overlap(query) for query in made()[2]])


@beside("usearch")
@at_least(0.4)
def track_against_usearch_itself():
    column, graph, queries = made()
    coarse = np.rint(queries[0] * (127 / np.abs(queries[0]).max())).astype(np.int8)
    count = len(graph.nearest(column, queries[0], 10))
    return times_as_fast(
        lambda: graph.nearest(column, queries[0], 10),
        lambda: graph._index.search(coarse, count, threads=1),
    )
