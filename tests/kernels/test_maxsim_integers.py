"""MaxSim on 8, 4, 2 and 1 bit a value: exact dots, stated errors, whole numbers on every level."""

import numpy as np
import pytest
from looping import looped

from cgcython.kernels import dispatch

F32 = np.float32
BITS = [8, 4, 2, 1]
LEVELS = dispatch.available()
HOSTILE = {
    "one huge coordinate": lambda x: np.where(np.arange(x.shape[1]) == 3, x * 1e6, x),
    "tiny": lambda x: x * 1e-30,
    "huge": lambda x: x * 1e18,
    "denormal": lambda x: x * 1e-42,
    "all equal": lambda x: np.ones_like(x),
    "two values": lambda x: np.sign(x),
}


def tokens(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def at(level):
    return lambda name: dispatch.load(name, level)


def pack(kernel, query, planes=1):
    integers = kernel("maxsim_integers")
    lines = integers.lines(query.shape[1], planes)
    packed = np.full((-(-len(query) // 32), lines, 128), 77, np.int8)
    assert integers.pack_query(query, packed) == -1
    return packed, len(query)


def encode(kernel, values, bits):
    """Codes, inverse norms and scales; signs by NumPy."""
    codes = np.full((len(values), -(-values.shape[1] * bits // 8)), 0xAA, np.uint8)
    scales = np.ones(len(values), F32)
    if bits == 1:
        codes[:] = np.packbits(values >= 0, axis=1)
    else:
        assert kernel("maxsim_integers").encode_rows(values, bits, codes, scales) == -1
    norms = np.empty(len(values), F32)
    kernel("maxsim_integers").inverse_norms(codes, bits, values.shape[1], scales, norms)
    return codes, norms, scales


def decode(kernel, codes, bits, scales, dim):
    values = np.empty((len(codes), dim), F32)
    kernel("maxsim_integers").decode_rows(codes, bits, scales, values)
    return values


def score(kernel, query, codes, norms, bits, planes=1, starts=(0,), counts=None):
    starts = np.array(starts, np.int64)
    counts = np.array([len(codes)] if counts is None else counts, np.int64)
    sums = np.full(len(starts), np.nan, F32)
    packed = pack(kernel, query, planes)
    kernel("maxsim_integers").score(*packed, codes, bits, norms, starts, counts, sums)
    return sums


def cosines(query, document):
    a, b = query.astype(float), document.astype(float)
    a, b = (x / np.abs(x).max(axis=1, keepdims=True) for x in (a, b))
    return (a @ b.T) / (np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1))


def rounding_error(query, planes):
    """The stated bound on a cosine's error, for each query token."""
    dim, query = query.shape[1], query.astype(float)
    limit = 127 if planes == 1 else min(32512, (2**31 - 1) // (128 * dim))
    peak, length = np.abs(query).max(axis=1), np.linalg.norm(query / query.max(), axis=1)
    e = np.sqrt(dim) * (peak / query.max()) / (2 * limit * length)
    return e / np.sqrt(1 - e * e / 2) + 1e-6


@looped("bits", BITS)
@looped("planes", [1, 2])
@looped("dim", [1, 7, 8, 96, 100, 128, 130, 300, 1024])
def test_scores_of_decoded_tokens_differ_by_no_more_than_stated(kernel, bits, planes, dim):
    query, document = tokens(5, dim), tokens(19, dim, seed=1)
    codes, norms, scales = encode(kernel, document, bits)
    exact = cosines(query, decode(kernel, codes, bits, scales, dim)).max(axis=1).sum()
    found = score(kernel, query, codes, norms, bits, planes)[0]
    assert abs(found - exact) <= rounding_error(query, planes).sum()


@looped("bits", BITS)
@looped("planes", [1, 2])
@looped("kind", HOSTILE)
def test_the_bound_holds_on_hostile_tokens(kernel, bits, planes, kind):
    query = HOSTILE[kind](tokens(5, 128).astype(float)).astype(F32)
    document = HOSTILE[kind](tokens(30, 128, seed=1).astype(float)).astype(F32)
    codes, norms, _ = encode(kernel, document, bits)
    unscaled = decode(kernel, codes, bits, np.ones(30, F32), 128)
    found = score(kernel, query, codes, norms, bits, planes)[0]
    exact = cosines(query, unscaled).max(axis=1).sum()
    assert abs(found - exact) <= rounding_error(np.abs(query), planes).sum()


@looped("planes", [1, 2])
@looped("bits", BITS)
@looped("count", [0, 1, 3, 4, 5, 8, 11, 12, 13, 16, 25, 64])
def test_all_levels_return_the_bits_of_the_definition(planes, bits, count):
    query, document = tokens(33, 136), tokens(count, 136, seed=1)
    codes, norms, _ = encode(at("reference"), document, bits)
    expected = score(at("reference"), query, codes, norms, bits, planes)
    for level in LEVELS:
        codes, norms, _ = encode(at(level), document, bits)
        found = score(at(level), query, codes, norms, bits, planes)
        assert found.tobytes() == expected.tobytes()


@looped("planes", [1, 2])
@looped("bits", BITS)
def test_the_largest_numbers_do_not_overflow(kernel, planes, bits):
    signs = np.sign(tokens(12, 1024))
    codes, norms, _ = encode(kernel, signs, bits)
    found = score(kernel, signs, codes, norms, bits, planes)[0]
    np.testing.assert_allclose(found, 12, rtol=1e-6)
    lowest = score(kernel, -signs[:1], codes[:1], norms[:1], bits, planes)[0]
    np.testing.assert_allclose(lowest, -1, rtol=1e-6)


@pytest.mark.parametrize("level", LEVELS[1:])
@looped("bits", [8, 4, 2])
@looped("magnitude", [1e-44, 1e-40, 1e-30, 1e-19, 1, 1e18, 1e38])
def test_codes_and_scales_are_those_of_the_definition(level, bits, magnitude):
    values = (tokens(40, 70).clip(-3, 3).astype(float) * magnitude).astype(F32)
    values[3] = 0
    for ours, defined in zip(
        encode(at(level), values, bits), encode(at("reference"), values, bits)
    ):
        np.testing.assert_array_equal(ours, defined)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("bits", [4, 2])
def test_every_whole_number_falls_on_its_side_of_each_width(level, bits):
    rng = np.random.default_rng(5)
    numbers = rng.permutation(32 * 1024).reshape(32, 1024)
    numbers[:, 0] = 32767  # the peak, so that values become these numbers again
    values = (numbers * rng.choice([-1, 1], numbers.shape) / 32767).astype(F32)
    for ours, defined in zip(
        encode(at(level), values, bits), encode(at("reference"), values, bits)
    ):
        np.testing.assert_array_equal(ours, defined)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_step_is_as_good_as_the_best_of_many(kernel, bits):
    values = tokens(50, 128)
    codes, _, scales = encode(kernel, values, bits)
    decoded = decode(kernel, codes, bits, scales, 128)
    loss = 1 - np.diag(cosines(values, decoded))
    top = 2**bits - 1
    least = np.full(50, np.inf)
    for step in np.linspace(0.2, 1, 100) * np.abs(values).max(axis=1, keepdims=True).mean() / 2:
        levels = (2 * np.floor(np.abs(values) / (2 * step)) + 1).clip(1, top) * np.sign(values)
        least = np.minimum(least, 1 - np.diag(cosines(values, levels)))
    assert loss.mean() <= {8: 1e-4, 4: 0.011, 2: 0.125}[bits]
    if bits == 2:
        assert loss.mean() <= 1.03 * least.mean()


def test_int8_codes_are_signed_bytes_around_zero(kernel):
    values = np.array([[-2, -1, 0, 1, 2], [0, 0, 0, 0, 0]], F32)
    codes, norms, scales = encode(kernel, values, 8)
    assert codes.view(np.int8).tolist() == [[-127, -64, 0, 64, 127], [0] * 5]
    assert scales.tolist() == [F32(2 / 127), 1]
    np.testing.assert_array_equal(np.isnan(norms), [False, True])


def test_small_codes_lie_lowest_bits_first(kernel):
    values = np.array([[15, -15, 1, -1, 9]], F32)
    codes, _, scales = encode(kernel, values, 4)
    numbers = decode(kernel, codes, 4, np.ones(1, F32), 5)
    assert (codes[0, 0] & 15, codes[0, 0] >> 4) == (15, 0)
    assert numbers[0, [0, 1]].tolist() == [15, -15]
    assert codes[0, 2] >> 4 == 0
    np.testing.assert_allclose(numbers * scales, values, atol=1.5)
    assert encode(kernel, values, 2)[0].tolist() == [[0b01100011, 3]]


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_zero_tokens_are_never_matched(kernel, bits):
    document = tokens(15, 32, seed=1)
    document[[0, 3, 14]] = 0
    codes, norms, scales = encode(kernel, document, bits)
    kept = np.delete(np.arange(15), [0, 3, 14])
    query = tokens(3, 32)
    found = score(kernel, query, codes, norms, bits)
    assert found == score(kernel, query, codes[kept], norms[kept], bits)
    assert score(kernel, query, codes[:1], norms[:1], bits) == 0
    assert not decode(kernel, codes[:1], bits, scales[:1], 32).any()


@pytest.mark.parametrize("planes", [1, 2])
def test_zero_query_tokens_count_nothing(kernel, planes):
    query, codes = tokens(6, 128), encode(kernel, tokens(10, 128, seed=1), 8)[:2]
    query[[0, 5]] = 0
    found = score(kernel, query, *codes, 8, planes)[0]
    np.testing.assert_allclose(found, score(kernel, query[1:5], *codes, 8, planes)[0], rtol=1e-6)


@pytest.mark.parametrize("bits", BITS)
def test_a_document_scores_the_same_in_any_batch(kernel, bits):
    query, (codes, norms, _) = tokens(40, 128), encode(kernel, tokens(90, 128, seed=1), bits)
    starts, counts = [0, 50, 7, 90], [90, 1, 20, 0]
    together = score(kernel, query, codes, norms, bits, 1, starts, counts)
    for start, count, found in zip(starts, counts, together):
        rows = slice(start, start + count)
        assert score(kernel, query, codes[rows], norms[rows], bits)[0] == found


@looped("bits", BITS)
@looped("planes", [1, 2])
def test_alignments_name_the_best_token(kernel, bits, planes):
    query, document = tokens(35, 100), tokens(30, 100, seed=1)
    document[20] = document[4]
    codes, norms, _ = encode(kernel, document, bits)
    best, found = np.empty(35, np.int64), np.empty(35, F32)
    packed = pack(kernel, query, planes)
    kernel("maxsim_integers").align(*packed, codes, bits, norms, best, found)
    table = cosines(query, decode(kernel, codes, bits, np.ones(30, F32), 100))
    assert 20 not in best
    np.testing.assert_allclose(table[np.arange(35), best], found, atol=0.01)
    np.testing.assert_allclose(score(kernel, query, codes, norms, bits, planes)[0], found.sum())


def test_tokens_without_a_match_are_named_minus_one(kernel):
    query, (codes, norms, _) = tokens(3, 16), encode(kernel, np.zeros((5, 16), F32), 8)
    best, found = np.empty(3, np.int64), np.empty(3, F32)
    kernel("maxsim_integers").align(*pack(kernel, query), codes, 8, norms, best, found)
    assert (best.tolist(), found.tolist()) == ([-1] * 3, [0] * 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_found(kernel, bad):
    values, integers = tokens(40, 9), kernel("maxsim_integers")
    values[37, 4] = values[38, 2] = bad
    packed = np.zeros((2, integers.lines(9, 1), 128), np.int8)
    assert integers.pack_query(values, packed) == 37 * 9 + 4
    codes, scales = np.zeros((40, 9), np.uint8), np.zeros(40, F32)
    assert integers.encode_rows(values, 8, codes, scales) == 37 * 9 + 4


@pytest.mark.parametrize(
    ("starts", "counts"), [([-1], [1]), ([0], [-1]), ([0], [11]), ([11], [0]), ([0], [2**62])]
)
def test_documents_outside_the_codes_are_refused(kernel, starts, counts):
    codes, norms, _ = encode(kernel, tokens(10, 8), 8)
    with pytest.raises(ValueError, match="document at"):
        score(kernel, tokens(2, 8), codes, norms, 8, 1, starts, counts)


def test_shapes_must_agree(kernel):
    integers, codes, norms = kernel("maxsim_integers"), np.zeros((2, 8), np.uint8), np.zeros(2, F32)
    packed, none = pack(kernel, tokens(2, 8))[0], np.zeros(0, np.int64)
    with pytest.raises(ValueError, match="bits is 3"):
        integers.score(packed, 2, codes, 3, norms, none, none, norms[:0])
    with pytest.raises(ValueError, match="lines"):
        integers.score(packed, 2, codes, 4, norms, none, none, norms[:0])
    with pytest.raises(ValueError, match="query"):
        integers.score(packed, 33, codes, 8, norms, none, none, norms[:0])
    with pytest.raises(ValueError, match="norms"):
        integers.score(packed, 2, codes, 8, norms[:1], none, none, norms[:0])
    with pytest.raises(ValueError, match="a row of codes"):
        integers.decode_rows(codes, 4, norms, np.zeros((2, 9), F32))
    with pytest.raises(ValueError, match="signs"):
        integers.encode_rows(np.zeros((2, 64), F32), 1, codes, norms)
    with pytest.raises(ValueError, match="a token holds"):
        integers.pack_query(np.zeros((1, 5000), F32), np.zeros((1, 1252, 128), np.int8))


def test_tokens_of_no_dimension_score_nothing(kernel):
    codes, norms = np.zeros((3, 0), np.uint8), np.empty(3, F32)
    kernel("maxsim_integers").inverse_norms(codes, 8, 0, None, norms)
    assert np.isnan(norms).all()
    assert score(kernel, np.zeros((2, 0), F32), codes, norms, 8) == 0
