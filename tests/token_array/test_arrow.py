"""Arrow columns in and out; skipped where pyarrow is not installed."""

import numpy as np
import pytest

from cgcython import DimensionMismatch, InvalidInput, TokenArray

pa = pytest.importorskip("pyarrow")

F32 = np.float32
DOCUMENTS = [[[1.0, 2.0], [3.0, 4.0]], [], [[5.0, 6.0]]]
TOKENS = TokenArray.from_list(DOCUMENTS)
TYPES = {
    f"{outer.__name__} of {name}": outer(inner)
    for outer in (pa.list_, pa.large_list)
    for name, inner in {
        "fixed": pa.list_(pa.float32(), 2),
        "lists": pa.list_(pa.float32()),
        "large lists": pa.large_list(pa.float32()),
        "halves": pa.list_(pa.float16(), 2),
        "doubles": pa.list_(pa.float64()),
    }.items()
}


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_lists_of_any_kind_are_documents(kind):
    documents = [[np.float16(row).tolist() for row in one] for one in DOCUMENTS]
    column = pa.array(documents, kind)
    assert TokenArray.from_arrow(column) == TOKENS
    assert TokenArray.from_arrow(column[1:]) == TOKENS[1:]
    assert TokenArray.from_arrow(column[:0]) == TOKENS[:0]
    assert TokenArray.from_arrow(pa.chunked_array([column[:1], column[1:]])) == TOKENS


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("other", [None, [[None, 1.0]], [[np.nan, 1.0]], []])
def test_what_lies_outside_a_slice_does_not_matter(kind, other):
    documents = [[np.float16(row).tolist() for row in one] for one in DOCUMENTS]
    whole = pa.array([other, *documents, other], kind)
    assert TokenArray.from_arrow(whole[1:4]) == TOKENS
    assert TokenArray.from_arrow(whole[1:1]) == TOKENS[:0]


def test_whole_numbers_are_taken():
    assert TokenArray.from_arrow(pa.array([[[1, 2]]])) == TokenArray.from_list([[[1.0, 2.0]]])


def test_documents_of_one_length_are_taken():
    kind = pa.list_(pa.list_(pa.float32(), 2), 3)
    column = pa.array(np.arange(18.0).reshape(3, 3, 2).tolist(), kind)
    expected = TokenArray(np.arange(6.0, 18).reshape(6, 2), [0, 3, 6])
    assert TokenArray.from_arrow(column[1:]) == expected


def test_slices_of_inner_lists_are_those_of_the_column():
    inner = pa.array(np.arange(12.0).reshape(6, 2).tolist(), pa.list_(pa.float32(), 2))[2:]
    column = pa.LargeListArray.from_arrays(pa.array([0, 1, 4]), inner)
    expected = TokenArray(np.arange(4.0, 12).reshape(4, 2), [0, 1, 4])
    assert TokenArray.from_arrow(column) == expected


def test_both_ways_share_the_memory():
    column = TOKENS.to_arrow()
    assert column.to_pylist() == DOCUMENTS
    assert np.shares_memory(TokenArray.from_arrow(column).values, TOKENS.values)
    assert TOKENS.take([2, 0]).to_arrow().to_pylist() == [DOCUMENTS[2], DOCUMENTS[0]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0]),
        pa.array([[1.0]]),
        pa.array([[[True]]]),
        pa.array([[["x"]]]),
        pa.array([None, [[1.0]]]),
        pa.array([[None, [1.0]]]),
        pa.array([[[1.0, None]]]),
        [[[1.0]]],
        None,
    ],
    ids=lambda column: str(getattr(column, "type", column)),
)
def test_other_columns_are_refused(column):
    with pytest.raises(InvalidInput, match="arrow column"):
        TokenArray.from_arrow(column)


def test_tokens_of_different_lengths_are_refused():
    with pytest.raises(DimensionMismatch, match="expected 1 values per token, got 2"):
        TokenArray.from_arrow(pa.array([[[1.0]], [[1.0, 2.0]]]))


def test_codes_have_no_column():
    with pytest.raises(InvalidInput, match="got e4m3 codes"):
        TOKENS.quantize("e4m3").to_arrow()
