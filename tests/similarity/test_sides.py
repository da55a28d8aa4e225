"""Errors of a comparison tell which side is wrong."""

import numpy as np
import pytest

from cgcython import approximate_max_sim, max_sim, max_sim_batch, token_alignments
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue

SOUND = np.eye(3, 4, dtype=np.float32)
BROKEN = np.full((2, 4), np.nan, np.float32)
ALL = [
    max_sim,
    token_alignments,
    lambda query, document: approximate_max_sim(query, document, 0.5),
    lambda query, document: max_sim_batch(query, [document]),
]


@pytest.mark.parametrize("compare", ALL)
def test_tokens_of_other_sizes_are_the_documents(compare):
    told = "expected 4 values per token of the document, as in the query, got 6"
    with pytest.raises(DimensionMismatch, match=told):
        compare(SOUND, np.ones((2, 6)))


@pytest.mark.parametrize("compare", ALL[:3])
@pytest.mark.parametrize("side", ["query", "document"])
def test_a_side_that_is_no_number_is_named(compare, side):
    pair = (BROKEN, SOUND) if side == "query" else (SOUND, BROKEN)
    with pytest.raises(NonFiniteValue) as caught:
        compare(*pair)
    assert caught.value.__notes__ == [f"(the {side})"]


@pytest.mark.parametrize("compare", ALL)
@pytest.mark.parametrize("dim", [128, 3])
def test_lists_are_scored_as_arrays_are(compare, dim):
    query, document = np.eye(2, dim, dtype=np.float32), np.ones((3, dim), np.float32)
    assert compare(query.tolist(), document.tolist()) == compare(query, document)


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]], [[1.0, "2"]], [[1.0, None]]])
def test_lists_that_are_no_matrix_are_named(rows):
    with pytest.raises(InvalidInput, match="an array of real numbers"):
        max_sim(rows, rows)
