"""E4M3 tokens as bytes: the same bits on every level, and never further off than is said."""

import numpy as np
import pytest
from kernel_arrays import F32, I8, U8, U32, out
from looping import looped

from cgcython import kernels
from cgcython.kernels import dispatch

RNG = np.random.default_rng(13)
ALL = np.arange(256, dtype=U8)


def tokens(count, dim):
    """Return E4M3 codes of tokens whose largest value is 448, and some odd ones."""
    codes, scales = out(U8, count, dim), out(F32, count)
    kernels.e4m3.encode_rows(RNG.standard_normal((count, dim), F32), codes, scales)
    codes[1:2] = 0
    codes[2:3, -1] = 0x7F
    codes[3:4] = 3  # too little to be anything as a byte
    return codes


def packed(query):
    space = out(I8, -(-len(query) // 32), kernels.maxsim_integers.lines(query.shape[1], 1), 128)
    kernels.maxsim_integers.pack_query(query, space)
    return space


def measured(module, codes):
    norms, distances = out(F32, len(codes)), out(F32, len(codes))
    module.measure(codes, norms, distances)
    return norms, distances


def unit(rows):
    norms = np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


@looped("dim", [1, 8, 64, 100, 128, 260])
@looped("queries", [0, 1, 32, 40])
def test_levels_agree_with_the_definition(kernel, dim, queries):
    codes, query = tokens(130, dim), RNG.standard_normal((queries, dim), F32)
    starts, counts = np.array([0, 4, 60, 130]), np.array([60, 1, 70, 0])
    sums, expected = out(F32, 4), out(F32, 4)
    reference = dispatch.load("maxsim_codes", "reference")
    norms, distances = measured(kernel("maxsim_codes"), codes)
    for one, other in zip((norms, distances), measured(reference, codes)):
        np.testing.assert_array_equal(one.view(U32), other.view(U32))
    kernel("maxsim_codes").score(packed(query), queries, codes, norms, starts, counts, sums)
    reference.score(packed(query), queries, codes, norms, starts, counts, expected)
    np.testing.assert_array_equal(sums.view(U32), expected.view(U32))


def test_every_code_becomes_the_nearest_byte(kernel):
    values = out(F32, 256)
    kernels.e4m3.decode(ALL, 1.0, 0.0, values)
    codes = np.full((256, 2), 0x7E, U8)  # 448 beside each, so that a length tells its byte
    codes[:, 0] = ALL
    norms, _ = measured(kernel("maxsim_codes"), codes)
    bytes_found = np.sqrt(1 / norms.astype(float) ** 2 - 127**2)
    there = np.isfinite(norms)
    assert np.flatnonzero(~there).tolist() == [0x7F, 0xFF]
    expected = np.abs(np.rint(values[there] * (127 / 448)))
    np.testing.assert_allclose(bytes_found[there], expected, atol=0.02)


def test_distances_bound_every_cosine(kernel):
    codes, query = tokens(300, 96), RNG.standard_normal((5, 96), F32)
    values, numbers = out(F32, 300, 96), unit(np.rint(query * 127 / abs(query).max(1)[:, None]))
    kernels.e4m3.decode_rows(codes, np.ones(300, F32), values)
    norms, distances = measured(kernel("maxsim_codes"), codes)
    sums, starts = out(F32, 300), np.arange(300)
    for one, rounded in zip(query, numbers):
        kernel("maxsim_codes").score(
            packed(one[None]), 1, codes, norms, starts, np.ones(300, np.int64), sums
        )
        there = np.isfinite(norms)
        exact = unit(values[there]) @ unit(one[None])[0]
        off = distances[there] + np.linalg.norm(unit(one[None])[0] - rounded) + 1e-5
        assert np.all(np.abs(sums[there] - exact) <= off)
    assert distances[4:].max() < 0.05
    assert distances[3] == 1


@pytest.mark.parametrize(
    ("dim", "lines", "message"), [(5000, 2, "expected up to 4096"), (16, 4, "its lines holds 6")]
)
def test_doors_refuse_what_does_not_fit(kernel, dim, lines, message):
    spans = np.zeros(1, np.int64), np.zeros(1, np.int64)
    with pytest.raises(ValueError, match=message):
        kernel("maxsim_codes").score(
            out(I8, 1, lines, 128), 1, out(U8, 3, dim), out(F32, 3), *spans, out(F32, 1)
        )
