"""Token arrays: Arrow's layout, built from what callers have, views instead of copies."""

import pickle

import numpy as np
import pytest
from tensor_stand_in import Tensor, needing_gradient

from cgcython import (
    DimensionMismatch,
    InvalidInput,
    NonFiniteValue,
    QuantizationError,
    TokenArray,
    TokenEmbeddings,
)

F32 = np.float32


def array():
    values = np.arange(24, dtype=F32).reshape(8, 3)
    return TokenArray(values, [0, 2, 2, 7, 8])


def test_documents_are_runs_of_rows():
    tokens = array()
    assert len(tokens) == 4
    assert tokens.dim == 3
    assert tokens.counts.tolist() == [2, 0, 5, 1]
    assert [document.shape for document in tokens] == [(2, 3), (0, 3), (5, 3), (1, 3)]
    assert np.array_equal(tokens[-1], [[21, 22, 23]])


def test_views_copy_nothing():
    tokens = array()
    assert np.shares_memory(tokens[2], tokens.values)
    assert np.shares_memory(tokens[1:3].values, tokens.values)
    assert np.array_equal(tokens[1:3][1], tokens[2])
    assert len(tokens[3:1]) == 0


def test_documents_beyond_the_last_are_refused():
    with pytest.raises(IndexError):
        array()[4]


def test_slices_may_step_backwards():
    assert array()[::-2].counts.tolist() == [1, 0]
    assert np.array_equal(array()[::-1][0], array()[3])


def test_a_selection_copies_no_token():
    tokens, ids = array(), [3, 0, 3, 1]
    taken = tokens.take(ids)
    assert np.shares_memory(taken.values, tokens.values)
    assert [one.tolist() for one in taken] == [tokens[i].tolist() for i in ids]
    assert len(tokens.take([])) == 0


@pytest.mark.parametrize("ids", [[4], [-1], [0.5], [[0]], ["a"]])
def test_ids_are_those_of_documents(ids):
    with pytest.raises(InvalidInput, match="ids"):
        array().take(ids)


def test_a_selection_is_compacted_before_it_has_offsets():
    taken = array().take([3, 0])
    with pytest.raises(InvalidInput, match="compact"):
        taken.offsets  # noqa: B018
    compact = taken.compact()
    assert compact == taken
    assert compact.offsets.tolist() == [0, 1, 3]
    assert compact.values.shape == (3, 3)


def test_what_is_compact_already_is_shared():
    tokens = array()
    assert tokens.compact() is tokens
    part = tokens[2:].compact()
    assert np.shares_memory(part.values, tokens.values)
    assert part.offsets.tolist() == [0, 5, 6]


def test_equal_is_what_has_the_same_documents():
    tokens = array()
    assert tokens == array()
    assert tokens == tokens.take([0, 1, 2, 3])
    assert tokens[1:] != tokens[:-1]
    assert tokens != TokenArray(tokens.values + 1, tokens.offsets)
    assert tokens != TokenArray(tokens.values, [0, 3, 3, 7, 8])
    assert tokens != "tokens"


def test_the_repr_tells_what_it_costs():
    shown = "TokenArray(documents=4, tokens=8, dim=3, precision=float32, nbytes=136)"
    assert repr(array()) == shown
    assert array().take([3, 3]).nbytes == 2 * 12 + 3 * 8


def test_a_copy_by_pickle_is_equal():
    assert pickle.loads(pickle.dumps(array()[1:3])) == array()[1:3]


def test_lists_of_matrices_are_joined():
    parts = [[[1, 2]], [], TokenEmbeddings([[3, 4], [5, 6]]), np.zeros((0, 2))]
    tokens = TokenArray.from_list(parts)
    assert tokens.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert tokens.offsets.tolist() == [0, 1, 1, 3, 3]
    assert TokenArray.from_list([], dim=4).values.shape == (0, 4)


def test_a_whole_array_of_documents_is_shared():
    documents = np.arange(24, dtype=F32).reshape(2, 4, 3)
    tokens = TokenArray.from_list(documents)
    assert tokens == TokenArray.from_list(list(documents))
    assert np.shares_memory(tokens.values, documents)
    assert TokenArray.from_list(Tensor(documents)) == tokens
    with pytest.raises(DimensionMismatch):
        TokenArray.from_list(documents, dim=4)


def test_matrices_of_different_dimensions_are_refused():
    with pytest.raises(DimensionMismatch):
        TokenArray.from_list([[[1, 2]], [[1, 2, 3]]])


def test_padding_is_dropped():
    padded = np.arange(12, dtype=F32).reshape(2, 3, 2)
    tokens = TokenArray.from_padded(padded, [1, 3])
    assert tokens.values.tolist() == [[0, 1], [6, 7], [8, 9], [10, 11]]
    assert tokens.offsets.tolist() == [0, 1, 4]


@pytest.mark.parametrize("lengths", [[1, 4], [-1, 1], [0.5, 1]])
def test_lengths_must_fit(lengths):
    with pytest.raises(InvalidInput, match="lengths"):
        TokenArray.from_padded(np.zeros((2, 3, 2)), lengths)


def test_shapes_must_agree():
    with pytest.raises(DimensionMismatch):
        TokenArray(np.zeros(3), [0, 1])
    with pytest.raises(DimensionMismatch):
        TokenArray.from_padded(np.zeros((2, 3)), [1, 1])
    with pytest.raises(DimensionMismatch):
        TokenArray.from_padded(np.zeros((2, 3, 2)), [1])


@pytest.mark.parametrize(
    "offsets", [[0, 9], [2, 1], [-1, 3], [], [[0, 1]], [0.0, 1.0], [0, 2**62, -(2**62) - 9, 3]]
)
def test_offsets_must_ascend_within_the_values(offsets):
    with pytest.raises(InvalidInput, match="offsets"):
        TokenArray(np.zeros((8, 3)), offsets)


def test_values_must_be_finite():
    with pytest.raises(NonFiniteValue, match="value 1"):
        TokenArray([[0, np.inf]], [0, 1])


def test_norms_are_found_once_and_travel_with_views():
    tokens = array()
    known = tokens.inverse_norms
    assert tokens.inverse_norms is known
    assert tokens[1:3].inverse_norms is known


def test_norms_of_a_selection_are_those_of_the_whole():
    tokens, taken = array(), array().take([3, 0])
    rows = [0, 1, 7]
    assert taken.inverse_norms[rows].tolist() == tokens.inverse_norms[rows].tolist()


def test_what_late_interaction_models_return_is_taken():
    rows = np.arange(12, dtype=F32).reshape(2, 3, 2)
    tensors = TokenArray.from_list(list(map(needing_gradient, rows)))
    assert tensors == TokenArray.from_list(list(rows))
    assert TokenArray.from_padded(Tensor(rows), Tensor([3, 3])) == tensors


def test_matrices_of_another_kind_are_refused():
    with pytest.raises(InvalidInput, match="bfloat16 codes: expected uint16, got float32"):
        TokenArray(np.zeros((2, 4), F32), [0, 2], "bfloat16")


ODD = [
    lambda: TokenArray.from_list(5),
    lambda: TokenArray.from_list([[[1.0]], [[1.0, 2.0]]]),
    lambda: TokenArray.from_list(["token"]),
    lambda: TokenArray.from_padded([[[1.0]]], [0.5]),
    lambda: TokenArray.from_padded([[[1.0]]], "1"),
    lambda: TokenArray([1.0], [0, 1]),
    lambda: TokenArray([[1.0]], None),
    lambda: TokenArray([[1.0]], [[0, 1]]),
    lambda: TokenArray([[1.0]], [-(2**63), 2**63 - 1]),
    lambda: TokenArray([[1], [1, 2]], [0, 1], "e4m3"),
    lambda: TokenArray([[1.0]], [0, 1], 7),
    lambda: TokenArray([[1.0]], [0, 1], dim="1"),
    lambda: TokenArray([[1.0]], [0, 1], scales=[1.0]),
    lambda: TokenArray(np.zeros((1, 1), np.uint8), [0, 1], scales="ab"),
    lambda: array().take("ab"),
    lambda: array().take(None),
    lambda: array().quantize(None),
    lambda: array().quantize("pq"),
    lambda: array().quantize("int8", num_threads=0),
    lambda: array().quantize("e4m3").dequantize(num_threads="two"),
    lambda: array().with_screen(num_threads=-1),
]


@pytest.mark.parametrize("call", ODD)
def test_odd_arguments_are_named(call):
    with pytest.raises(QuantizationError):
        call()


def test_a_generator_may_refill_one_buffer():
    texts = np.random.default_rng(0).standard_normal((3, 4, 8)).astype(np.float32)

    def refilled():
        buffer = np.empty((4, 8), np.float32)
        for text in texts:
            buffer[:] = text
            yield buffer

    assert TokenArray.from_list(refilled()) == TokenArray.from_list(list(texts))


@pytest.mark.parametrize("other", [{}, [1], "pq", 5])
def test_a_codebook_is_one(other):
    tokens = TokenArray.from_list([np.eye(8)])
    with pytest.raises(InvalidInput, match="codebook: expected a PQ8Codebook"):
        tokens.quantize("pq", other)


def test_a_released_buffer_is_no_list_of_matrices():
    view = memoryview(bytearray(16))
    view.release()
    with pytest.raises(InvalidInput, match="expected a list of matrices"):
        TokenArray.from_list(view)
