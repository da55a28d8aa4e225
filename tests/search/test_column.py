"""A column finds the best of all its parts, and never a row that was replaced or deleted."""

from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython.codecs.float8 import Float8Codec
from cgcython.search import column_part, merging
from cgcython.search.column import Column
from cgcython.search.filters import Filter
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


AMONG = st.none() | st.sets(NUMBERS)


@given(WRITES, EMBEDDINGS, AMONG, st.integers(1, 40), st.sampled_from(["cosine", "dot"]))
@pytest.mark.parametrize(("most_asked", "smaller"), [(0, 1), (256, 1), (256, 1 << 20)])
def test_the_best_are_those_of_all_scores(most_asked, smaller, writes, asked, wanted, k, metric):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_part, "MOST_ASKED", most_asked)
        patch.setattr(merging, "SMALLER", smaller)
        patch.setattr(merging, "SMALL", smaller)
        (column, records), query = column_of(writes), VALUES[asked]
        among = None if wanted is None else Filter(sorted_keys(keys_of(wanted)))
        best, *others = column.best_many([query, VALUES[0]], k, metric, 1, among)
        chosen = records if wanted is None else {n: records[n] for n in wanted & records.keys()}
        keys, scores = by_definition(chosen, query, metric)
        assert column.row_keys[best.rows].tolist() == keys[:k]
        assert best.scores.tolist() == scores[:k]
        assert len(records) == len(column)
        for found, asked in zip([best, *others], (query, VALUES[0])):
            alone = column.best(asked, k, metric, 1, among)
            for one, other in zip(found, alone):
                np.testing.assert_array_equal(one, other)


@given(WRITES, st.sets(NUMBERS))
@pytest.mark.parametrize("smaller", [1, 8, 1 << 20])
def test_only_what_is_stored_is_found(smaller, writes, wanted):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "SMALLER", smaller)
        patch.setattr(merging, "SMALL", smaller)
        column, records = column_of(writes)
        keys = sorted_keys(keys_of(sorted(wanted)))
        rows, known = column.find(keys)
        assert keys[known].tolist() == sorted(key_array(keys_of(wanted & records.keys())).tolist())
        assert column.row_keys[rows[known]].tolist() == keys[known].tolist()
        assert sorted(column.row_keys[column.rows].tolist()) == sorted(
            key_array(keys_of(records)).tolist()
        )
        stored = [key for part in column.parts() for key in part.keys.tolist()]
        assert sorted(stored) == sorted(key_array(keys_of(records)).tolist())


def test_parts_are_few_however_many_writes_there_were():
    column = Column.of(parts_of({0: 1}))
    sizes = []
    for number in range(1, 300):
        key = key_array([UUID(int=number << 64).bytes])
        column = column.updated(key, [Part(key, parts_of({0: 1})[0].scan)])
        sizes.append([len(scan) for scan in column.scans])
    assert sum(sizes[-1]) == 300
    assert max(map(len, sizes)) <= 3  # 8**2 < 300 < 8**3
    assert all(a >= 8 * b for some in sizes for a, b in pairwise(some))


def test_a_part_of_which_much_is_gone_is_rewritten():
    column = Column.of(parts_of(dict.fromkeys(range(31), 1)))
    few = column.updated(sorted_keys(keys_of([4])), [])
    assert (len(few.scans[0]), len(few)) == (30, 30)
    assert column.updated(sorted_keys(keys_of(range(31))), []).scans == []


def test_a_large_part_keeps_the_places_of_rows_that_are_gone():
    numbers = range(1, 101)
    key = key_array([UUID(int=number << 64).bytes for number in numbers])
    scan = make_scan([CODEC.encode(VALUES[0])] * 100, None)
    column = Column.of([Part(key, scan)]).updated(key[4:6], [])
    assert (column.scans, len(column)) == ([scan], 98)
