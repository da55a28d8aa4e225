"""Every precision undoes itself within its bound; outside packages are the witnesses."""

import ml_dtypes
import numpy as np
import pytest
from looping import looped
from scipy.linalg import hadamard

from cgcython import (
    DimensionMismatch,
    InvalidInput,
    NonFiniteValue,
    PQ8Codebook,
    PreparedQuery,
    TokenArray,
)
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.token_array import PRECISIONS

F32 = np.float32
RNG = np.random.default_rng(3)
# The most that a token's cosine with itself decoded loses, on tokens like these.
LOSS = {
    "float32": 0,
    "bfloat16": 1e-5,
    "e4m3": 1e-3,
    "int8": 1e-4,
    "int4": 0.01,
    "int2": 0.1,
    "hadamard_sign": 0.25,
    "sign": 0.25,
    "pq": 1,
}


def tokens(dim=64):
    values = RNG.standard_normal((60, dim), dtype=F32)
    return TokenArray(values, [0, 20, 20, 21, 60])


def codebook(dim=64, parts=8):
    return PQ8Codebook(RNG.standard_normal((parts, 256, dim // parts)).astype(F32))


def quantized(array, precision, **options):
    book = codebook(array.dim) if precision == "pq" else None
    return array.quantize(precision, book, **options)


def mean_loss(array, decoded):
    a, b = array.values.astype(float), decoded.values.astype(float)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return (1 - cosines).mean()


@looped("precision", PRECISIONS)
def test_decoding_undoes_encoding_within_the_bound(level, precision):
    array = tokens()
    decoded = quantized(array, precision).dequantize()
    assert decoded.precision == "float32"
    assert decoded.offsets.tolist() == array.offsets.tolist()
    assert mean_loss(array, decoded) <= LOSS[precision] + 1e-15


@pytest.mark.parametrize("precision", ["int4", "int2", "hadamard_sign"])
def test_dimensions_of_very_different_sizes_lose_no_more(level, precision):
    sizes = np.geomspace(1, 1e-3, 64, dtype=F32)
    array = TokenArray(RNG.standard_normal((200, 64), dtype=F32) * sizes, [0, 200])
    assert mean_loss(array, array.quantize(precision).dequantize()) <= LOSS[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_part_has_the_codes_that_the_whole_has(precision):
    array, book = tokens(), codebook() if precision == "pq" else None
    whole = array.quantize(precision, book, num_threads=3)
    for ids in ([3, 0], [1], []):
        assert array.take(ids).quantize(precision, book) == whole.take(ids)
    assert array[1:3].quantize(precision, book).dequantize() == whole[1:3].dequantize()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_is_quantized_to_nothing(precision):
    nothing = quantized(TokenArray.from_list([[], []], dim=64), precision)
    assert (len(nothing), nothing.dim, nothing.num_tokens) == (2, 64, 0)
    assert nothing.dequantize().values.shape == (0, 64)


@pytest.mark.parametrize("precision", sorted(PRECISIONS.keys() - {"float32", "sign"}))
def test_codes_are_not_quantized_again(precision):
    with pytest.raises(InvalidInput, match=f"expected float32 values.*got {precision} codes"):
        quantized(tokens(), precision).quantize("e4m3")


@looped("dim", [1, 7, 12, 96, 384, 4096])
def test_signs_are_made_of_transformed_tokens(level, dim):
    values = RNG.standard_normal((9, dim), dtype=F32)
    found = TokenArray(values, [0, 9]).quantize("sign")
    assert found == TokenArray(values, [0, 9]).quantize("hadamard_sign")
    assert found.precision == "hadamard_sign"
    size = dim & -dim
    blocks = values.astype(float).reshape(9, -1, size) @ hadamard(size)
    clear = np.abs(blocks.reshape(9, dim)) > 1e-5 * size
    bits = np.unpackbits(found.values, axis=1, count=dim)
    assert np.array_equal(bits[clear], (blocks.reshape(9, dim) >= 0)[clear])
    signs = np.where(bits.reshape(9, -1, size), 1.0, -1.0)
    expected = (signs @ hadamard(size)).reshape(9, dim)
    assert np.array_equal(found.dequantize().values, expected)


def test_signs_of_values_as_they_are_stay_what_they_are(level):
    array = tokens(24)
    plain = TokenArray(np.packbits(array.values >= 0, axis=1), array.offsets, "sign")
    assert plain.precision == "sign"
    expected = np.where(array.values >= 0, 1, -1)
    assert np.array_equal(plain.dequantize().values, expected)
    with pytest.raises(InvalidInput, match="expected sign tokens of 24 values"):
        TokenArray.concatenate([plain, array.quantize("sign")])


def test_bfloat16_is_that_of_an_independent_implementation():
    values = RNG.standard_normal((5000, 8)).astype(F32) * 10.0 ** RNG.integers(-38, 38, (5000, 8))
    array = TokenArray(values, [0, 5000])
    expected = array.values.astype(ml_dtypes.bfloat16)
    assert np.array_equal(array.quantize("bfloat16").values, expected.view(np.uint16))
    assert np.array_equal(array.quantize("bfloat16").dequantize().values, expected.astype(F32))


def test_floats_that_overflow_bfloat16_are_refused():
    with pytest.raises(NonFiniteValue, match="value 1 is"):
        TokenArray([[1, 3.4e38]], [0, 1]).quantize("bfloat16")


def test_types_of_narrow_floats_are_taken_as_they_are():
    values = RNG.standard_normal((4, 8)).astype(F32)
    short = TokenArray(values.astype(ml_dtypes.bfloat16), [0, 4])
    assert short == TokenArray(values, [0, 4]).quantize("bfloat16")
    codes = TokenArray(values.astype(ml_dtypes.float8_e4m3fn), [0, 4])
    assert codes.precision == "e4m3"
    assert np.array_equal(codes.dequantize().values, values.astype(ml_dtypes.float8_e4m3fn))


def test_scales_bring_back_the_length():
    array = TokenArray(tokens().values * 100, [0, 60])
    coded = array.quantize("e4m3")
    np.testing.assert_allclose(coded.dequantize().values, array.values, rtol=0.07, atol=1)
    bare = TokenArray(coded.values, [0, 60])
    assert np.array_equal(
        bare.dequantize().values * coded.scales[:, None], coded.dequantize().values
    )


def test_what_does_not_fit_the_precision_is_refused():
    codes = np.zeros((2, 8), np.uint8)
    with pytest.raises(InvalidInput, match="precision"):
        TokenArray(codes, [0, 2], "int7")
    with pytest.raises(InvalidInput, match="codebook"):
        TokenArray(codes, [0, 2], "pq")
    with pytest.raises(InvalidInput, match="codebook"):
        tokens().quantize("sign", codebook())
    with pytest.raises(DimensionMismatch, match="expected 128 values per token, got 64"):
        tokens().quantize("pq", codebook(128))
    with pytest.raises(DimensionMismatch, match="expected 7 items per token, got 8"):
        TokenArray(codes, [0, 2], "sign", dim=56)
    with pytest.raises(DimensionMismatch, match="expected up to 4096 values per token, got 4104"):
        TokenArray(np.zeros((1, 4104), F32), [0, 1]).quantize("int2")
    with pytest.raises(DimensionMismatch, match="scales"):
        TokenArray(codes, [0, 2], "e4m3", scales=np.ones(3))
    with pytest.raises(InvalidInput, match="scales"):
        TokenArray(codes, [0, 2], "sign", scales=np.ones(2))


@pytest.mark.parametrize("precision", sorted(PRECISIONS.keys() - {"float32", "pq"}))
def test_values_that_are_not_finite_are_named(precision):
    values = np.zeros((9, 16), F32)
    values[5, 3] = np.inf
    with pytest.raises(NonFiniteValue, match="value 83 is inf"):
        TokenArray(values, [0, 9], finite=False).quantize(precision, num_threads=2)


def test_codebooks_of_sums_are_none_of_tokens():
    centroids = RNG.standard_normal((4, 256, 64)).astype(F32)
    book = RQ8Codebook(centroids, np.eye(64, dtype=F32), np.zeros(64, F32))
    with pytest.raises(InvalidInput, match="expected a PQ8Codebook, got RQ8Codebook"):
        tokens().quantize("pq", book)


def test_tables_of_a_codebook_of_other_dimensions_are_refused():
    with pytest.raises(DimensionMismatch, match="expected 128 values, got 64"):
        PreparedQuery.of(tokens().values[:3]).tables(codebook(128))
