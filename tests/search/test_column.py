"""A column finds the best of all its parts, and never a row that was replaced or deleted."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython.codecs.float8 import Float8Codec
from cgcython.search import column as column_module
from cgcython.search.column import Column
from cgcython.search.keys import key_array, sorted_keys
from cgcython.search.loading import Part
from cgcython.search.scans import make_scan

DIM = 8
CODEC = Float8Codec(DIM)
VALUES = np.random.default_rng(3).integers(-1, 2, (12, DIM)).astype(np.float32)  # ties, and zeros
VALUES[5] = 0
NUMBERS, EMBEDDINGS = st.integers(0, 30), st.integers(0, len(VALUES) - 1)
WRITES = st.lists(
    st.dictionaries(NUMBERS, EMBEDDINGS | st.none(), min_size=1, max_size=8), max_size=6
)


def keys_of(numbers):
    return [UUID(int=one * 2654435761 % 2**32 << 8).bytes for one in numbers]


def parts_of(written):
    """Return the parts of `{number: embedding}`, in the order given."""
    scan = [CODEC.encode(VALUES[one]) for one in written.values()]
    return [Part(key_array(keys_of(written)), make_scan(scan, None))] if written else []


def column_of(writes):
    """Return a column after some writes, each `{number: embedding, or None for a deletion}`."""
    column, records = Column.of([]), {}
    for written in writes:
        stored = {one: value for one, value in written.items() if value is not None}
        column = column.updated(sorted_keys(keys_of(written)), parts_of(stored))
        records = {one: value for one, value in (records | written).items() if value is not None}
    return column, records


def by_definition(records, query, metric):
    """Return the keys of records, best first, and their scores."""
    if not records:
        return [], []
    (part,) = parts_of(records)
    scores = part.scan.scores(query, metric)
    equal = np.zeros(len(scores), bool)
    equal[part.scan.equal_rows(query)] = True
    rows = sorted(range(len(scores)), key=lambda i: (~equal[i], -scores[i], part.keys[i]))
    return part.keys[rows].tolist(), scores[rows].tolist()


@given(WRITES, EMBEDDINGS, st.integers(1, 40), st.sampled_from(["cosine", "dot"]))
@pytest.mark.parametrize("most_deleted", [0, 256])
def test_the_best_are_those_of_all_scores(most_deleted, writes, asked, k, metric):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_module, "MOST_DELETED", most_deleted)
        (column, records), query = column_of(writes), VALUES[asked]
        best = column.best(query, k, metric, 1)
        keys, scores = by_definition(records, query, metric)
        assert column.row_keys[best.rows].tolist() == keys[:k]
        assert best.scores.tolist() == scores[:k]
        assert best.read >= len(records)
