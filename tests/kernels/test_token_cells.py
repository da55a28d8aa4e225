"""Cells of tokens are found by exact dots: every level agrees with the definition, bit for bit."""

import numpy as np
import pytest
from kernel_arrays import F32, I8, I32, I64, U8, U32, out
from looping import looped

from cgcython import kernels
from cgcython.kernels import dispatch

RNG = np.random.default_rng(31)


def centroids(count, dim):
    """Return int8 codes and inverse lengths of random directions; the first is none."""
    values = RNG.standard_normal((count, dim), F32)
    values[:1] = 0
    codes, scales, norms = out(U8, count, dim), out(F32, count), out(F32, count)
    kernels.maxsim_integers.encode_rows(values, 8, codes, scales)
    kernels.maxsim_integers.inverse_norms(codes, 8, dim, scales, norms)
    return values, codes, norms


def packed(tokens):
    lines = kernels.maxsim_integers.lines(tokens.shape[1], 1)
    space = out(I8, -(-len(tokens) // 32), lines, 128)
    kernels.maxsim_integers.pack_query(tokens, space)
    return space


def nearest(module, tokens, codes, norms, wanted):
    cells, cosines = out(I32, len(tokens), wanted), out(F32, len(tokens), wanted)
    module.nearest(packed(tokens), len(tokens), codes, norms, cells, cosines)
    return cells, cosines


@looped("dim", [8, 24, 128, 130])
@looped("count", [0, 1, 5, 13, 40])
@looped("wanted", [1, 4, 50])
def test_levels_agree_with_the_definition(kernel, dim, count, wanted):
    tokens = RNG.standard_normal((45, dim), F32)
    tokens[7] = 0
    _, codes, norms = centroids(count, dim)
    found = nearest(kernel("token_cells"), tokens, codes, norms, wanted)
    expected = nearest(dispatch.load("token_cells", "reference"), tokens, codes, norms, wanted)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1].view(U32), expected[1].view(U32))


def test_the_nearest_cells_are_those_of_the_highest_cosines(kernel):
    tokens = RNG.standard_normal((33, 128), F32)
    values, codes, norms = centroids(60, 128)
    cells, cosines = nearest(kernel("token_cells"), tokens, codes, norms, 5)
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (tokens, values[1:])]
    table = units[0] @ units[1].T
    np.testing.assert_allclose(cosines, -np.sort(-table)[:, :5], atol=0.01)
    np.testing.assert_allclose(np.take_along_axis(table, cells - 1, 1), cosines, atol=0.01)


def test_equal_cells_come_in_their_order_and_missing_ones_are_told(kernel):
    codes, norms = np.full((20, 8), 3, U8), np.full(20, 0.1, F32)
    norms[2] = np.nan
    tokens = np.array([[1] * 8, [0] * 8], F32)
    cells, cosines = nearest(kernel("token_cells"), tokens, codes, norms, 21)
    assert cells[0].tolist() == [0, 1, *range(3, 20), -1, -1]
    assert set(cells[1]) == {-1}
    assert not cosines[1].any()
    assert not cosines[0, 19:].any()


def test_a_document_gets_the_first_gain_of_each_token(kernel):
    cells = np.array([[1, 0], [2, -1]], I32)
    gains = np.array([[4, 2], [1, 9]], F32)
    offsets, documents = np.array([0, 2, 4, 5]), np.array([0, 1, 1, 3, 3], U32)
    marks, sums = out(I32, 5), np.full(5, np.nan, F32)
    read = kernel("token_cells").accumulate(cells, gains, offsets, documents, marks, sums)
    assert (read, sums.tolist()) == (5, [2, 4, 0, 5, 0])


def test_sums_are_the_same_bits_on_every_level(kernel):
    cells = RNG.integers(-1, 30, (40, 6)).astype(I32)
    gains = RNG.standard_normal((40, 6), F32)
    offsets = np.sort(RNG.integers(0, 900, 31))
    documents = RNG.integers(0, 77, 900).astype(U32)
    found, expected = out(F32, 77), out(F32, 77)
    kernel("token_cells").accumulate(cells, gains, offsets, documents, out(I32, 77), found)
    module = dispatch.load("token_cells", "reference")
    module.accumulate(cells, gains, offsets, documents, out(I32, 77), expected)
    np.testing.assert_array_equal(found.view(U32), expected.view(U32))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"documents": np.array([0, 5], U32)}, "a document that is none of 5"),
        ({"cells": np.array([[1]], I32)}, "cell 1 is none of 1"),
        ({"gains": out(F32, 1, 2)}, "a row of gains holds 2, a row of cells holds 1"),
        ({"offsets": np.array([0, 3], I64)}, "offsets leave 2 rows"),
        ({"marks": out(I32, 4)}, "marks holds 4, sums holds 5"),
    ],
)
def test_doors_refuse_what_leads_out_of_an_array(kernel, changed, message):
    arguments = {
        "cells": out(I32, 1, 1),
        "gains": out(F32, 1, 1),
        "offsets": np.array([0, 2], I64),
        "documents": np.array([0, 1], U32),
        "marks": out(I32, 5),
        "sums": out(F32, 5),
    }
    with pytest.raises(ValueError, match=message):
        kernel("token_cells").accumulate(*(arguments | changed).values())


def test_a_query_must_be_of_the_dimension_of_the_centroids(kernel):
    _, codes, norms = centroids(3, 24)
    with pytest.raises(ValueError, match="a block of packed holds 10, its lines holds 8"):
        nearest(kernel("token_cells"), np.ones((2, 32), F32), codes, norms, 1)
