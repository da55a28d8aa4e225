"""Codes are those of the float64 definition on every level; sums over tables are distances."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_levels import FUSING
from looping import looped

from cgcython.kernels import dispatch
from cgcython.kernels.pq_layout import MAX_DSUB, prepare, scratch

SHAPES = [(8, 1), (8, 3), (8, 48), (64, 6), (96, 2), (8, 128)]  # M, dsub
ROTATED = [(40, 8, 40), (136, 8, 64), (130, 2, 130)]  # dim, M, d_out


def codebook(rng, M, dsub, scale=1.0):
    return prepare((rng.standard_normal((M, 256, dsub)) * scale).astype(np.float32))


def rotated(rng, dim, M, d_out, scale=1.0):
    centroids = rng.standard_normal((M, 256, d_out // M)) * scale
    mean, matrix = rng.standard_normal(dim) * scale, rng.standard_normal((dim, d_out))
    return prepare(centroids, mean, np.linalg.qr(matrix)[0])


def rows_of(rng, n, prepared, scale=1.0):
    return (rng.standard_normal((n, prepared.dim)) * scale).astype(np.float32)


def encode(kernel, rows, prepared):
    codes = np.empty((len(rows), len(prepared.centroids)), np.uint8)
    assert kernel("pq").encode_rows(rows, prepared, codes, scratch(prepared)) == -1
    return codes


def decode(kernel, codes, prepared):
    out = np.empty((len(codes), prepared.dim), np.float32)
    kernel("pq").decode_rows(codes, prepared, out, scratch(prepared))
    return out


def defined(rows, prepared):
    return encode(lambda family: dispatch.load(family, "reference"), rows, prepared)


def nearest(rows, prepared):
    """The codes by numpy's float64 alone, in whatever order it sums."""
    subvectors = rows.astype(np.float64)
    if prepared.rotation is not None:
        subvectors = (subvectors - prepared.mean) @ prepared.rotation.astype(np.float64)
    subvectors = subvectors.reshape(
        len(rows), len(prepared.centroids), 1, prepared.centroids.shape[2]
    )
    return ((subvectors - prepared.centroids) ** 2).sum(axis=3).argmin(axis=2)


@looped(("M", "dsub"), SHAPES)
@looped("n", [0, 1, 5, 6, 50, 97])
def test_codes_name_the_nearest_centroids(kernel, M, dsub, n):
    rng = np.random.default_rng([M, dsub, n])
    prepared = codebook(rng, M, dsub)
    rows = rows_of(rng, n, prepared)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), nearest(rows, prepared))


@pytest.mark.parametrize(("dim", "M", "d_out"), ROTATED)
def test_rotated_codes_name_the_nearest_centroids(kernel, dim, M, d_out):
    rng = np.random.default_rng(dim)
    prepared = rotated(rng, dim, M, d_out)
    rows = rows_of(rng, 101, prepared)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), nearest(rows, prepared))


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e-18, 1e18, 1e25, 1e37])
def test_codes_hold_at_any_scale(kernel, scale):
    rng = np.random.default_rng(3)
    for prepared in (codebook(rng, 8, 16, scale), rotated(rng, 40, 8, 40, scale)):
        rows = rows_of(rng, 20, prepared, scale)
        np.testing.assert_array_equal(encode(kernel, rows, prepared), defined(rows, prepared))


def test_ties_keep_the_lowest_index(kernel):
    centroids = np.random.default_rng(4).integers(-1, 2, (8, 256, 3))  # at most 27 differ
    prepared = prepare(centroids)
    rows = np.random.default_rng(5).integers(-4, 5, (300, 24)) / 2
    rows = rows.astype(np.float32)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), nearest(rows, prepared))


def test_near_ties_are_decided_in_float64(kernel):
    rng = np.random.default_rng(6)
    first = rng.standard_normal((8, 1, 32)).astype(np.float32)
    # Neighbouring floats: no float32 sum can tell these centroids apart.
    centroids = first + rng.integers(-2, 3, (8, 256, 32)) * np.spacing(first)
    prepared = prepare(centroids)
    rows = (first.reshape(1, -1) * rng.uniform(0.5, 2, (60, 256))).astype(np.float32)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), defined(rows, prepared))


@looped("offset", [0, 1e3, 1e6])
@looped("spread", [1e-6, 1e-3, 1])
def test_codes_hold_where_eight_bits_tell_centroids_poorly_apart(kernel, spread, offset):
    rng = np.random.default_rng(15)
    # Two far camps: every centroid of the nearer one comes through the screen.
    centroids = rng.standard_normal((8, 256, 20)) * spread + offset
    centroids[:, ::2, 3] += 100
    prepared = prepare(centroids)
    rows = centroids[np.arange(8), rng.integers(0, 256, (60, 8))].reshape(60, -1)
    rows = (rows + rng.standard_normal(rows.shape) * spread).astype(np.float32)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), defined(rows, prepared))


@pytest.mark.parametrize("dsub", [1, 127, 505, MAX_DSUB])
def test_sums_of_the_largest_whole_numbers_do_not_overflow(kernel, dsub):
    signs = np.random.default_rng(dsub).choice([-1, 1], (2, 256, dsub))
    prepared = prepare(signs)
    rows = np.concatenate(list(signs[:, [7, 250]]), axis=1).astype(np.float32)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), defined(rows, prepared))


def test_rows_of_centres_and_of_zeros_are_ordinary(kernel):
    prepared = codebook(np.random.default_rng(18), 8, 5)
    rows = np.stack([prepared.centres.ravel(), np.zeros(40, np.float32)])
    np.testing.assert_array_equal(encode(kernel, rows, prepared), nearest(rows, prepared))


@pytest.mark.parametrize("magnitude", [1e-20, 1e-16, 1e-14, 1e-12])
def test_parts_close_to_their_centre_are_screened_safely(kernel, magnitude):
    rng = np.random.default_rng(19)
    centroids = rng.standard_normal((8, 256, 6)) * magnitude
    prepared = prepare(np.concatenate([centroids[:, :128], -centroids[:, :128]], axis=1))
    rows = rows_of(rng, 50, prepared, magnitude * 1e-3)
    np.testing.assert_array_equal(encode(kernel, rows, prepared), defined(rows, prepared))


def test_the_layout_bounds_its_own_rounding():
    prepared = codebook(np.random.default_rng(20), 4, 7, 0.1)
    codes = prepared.codes.transpose(0, 1, 3, 2, 4).reshape(4, 256, 8)[..., :7]
    rounded = prepared.centres[:, None] + codes * prepared.scales[..., None].astype(np.float64)
    errors = np.linalg.norm(prepared.centroids - rounded, axis=2) / prepared.scales
    assert (errors <= prepared.bounds[:, :1]).all()
    np.testing.assert_allclose(errors.max(axis=1), prepared.bounds[:, 0], rtol=1e-5)


def test_codes_equal_those_of_faiss(kernel):
    rng = np.random.default_rng(7)
    prepared = codebook(rng, 8, 16)
    theirs = faiss.ProductQuantizer(128, 8, 8)
    faiss.copy_array_to_vector(prepared.centroids.ravel(), theirs.centroids)
    rows = rows_of(rng, 500, prepared)
    codes = encode(kernel, rows, prepared)
    np.testing.assert_array_equal(codes, theirs.compute_codes(rows))
    np.testing.assert_array_equal(decode(kernel, codes, prepared), theirs.decode(codes))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_every_level_returns_the_codes_of_the_definition(data):
    values = st.floats(-4, 4, width=16)
    seed, dsub = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(1, 5))
    prepared = codebook(np.random.default_rng(seed), 8, dsub)
    rows = data.draw(st.lists(st.lists(values, min_size=8 * dsub, max_size=8 * dsub), min_size=1))
    rows = np.array(rows, np.float32)
    for level in dispatch.available():
        codes = encode(lambda family, level=level: dispatch.load(family, level), rows, prepared)
        np.testing.assert_array_equal(codes, defined(rows, prepared))


@pytest.mark.parametrize("make", [codebook, lambda rng, *_: rotated(rng, 136, 8, 64)])
def test_one_vector_gives_the_codes_and_values_of_its_row(kernel, make):
    rng = np.random.default_rng(8)
    prepared = make(rng, 8, 16)
    rows = rows_of(rng, 20, prepared)
    codes = encode(kernel, rows, prepared)
    decoded = decode(kernel, codes, prepared)
    for i in range(20):
        assert kernel("pq").encode_vector(rows[i], prepared) == codes[i].tobytes()
        one = kernel("pq").decode_vector(codes[i].tobytes(), prepared)
        np.testing.assert_array_equal(one, decoded[i])


def test_decoding_turns_back_and_adds_the_mean(kernel):
    rng = np.random.default_rng(9)
    prepared = rotated(rng, 136, 8, 64)
    codes = rng.integers(0, 256, (77, 8), np.uint8)
    rows = prepared.centroids[np.arange(8), codes].reshape(77, -1).astype(np.float64)
    expected = rows @ prepared.rotation.T + prepared.mean
    # float32 sums of 64 products of numbers near 1
    np.testing.assert_allclose(decode(kernel, codes, prepared), expected, atol=1e-5)


def test_levels_with_fma_decode_to_the_same_bits():
    rng = np.random.default_rng(10)
    prepared = rotated(rng, 200, 8, 136)
    codes = rng.integers(0, 256, (60, 8), np.uint8)
    levels = FUSING
    found = [
        decode(lambda f, level=level: dispatch.load(f, level), codes, prepared).tobytes()
        for level in levels
    ]
    assert len(set(found)) <= 1


def back_table(kernel, prepared):
    table = np.zeros((len(prepared.centroids), 256, prepared.dim), np.float32)
    return table if kernel("pq").back_table(prepared, table) else None


@pytest.mark.parametrize(("dim", "M", "width"), [(200, 8, 136), (260, 2, 256), (130, 4, 64)])
def test_a_table_of_turned_centroids_decodes_to_the_same_bits(kernel, dim, M, width):
    rng = np.random.default_rng(11)
    prepared = rotated(rng, dim, M, width)
    codes = rng.integers(0, 256, (60, M), np.uint8)
    table = back_table(kernel, prepared)
    assert (table is None) == ("reference" in kernel("pq").__name__)
    decoded, sooner = decode(kernel, codes, prepared), np.zeros((60, dim), np.float32)
    kernel("pq").decode_rows(codes, prepared, sooner, scratch(prepared), table)
    assert sooner.tobytes() == decoded.tobytes()
    one = kernel("pq").decode_vector(codes[7].tobytes(), prepared, table)
    assert one.tobytes() == decoded[7].tobytes()


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: codebook(rng, 8, 32),  # without a rotation
        lambda rng: rotated(rng, 64, 8, 64),  # sums of 8 products
        lambda rng: rotated(rng, 300, 2, 280),  # sums of 140
    ],
)
def test_there_is_no_table_where_sums_would_differ(kernel, make):
    assert back_table(kernel, make(np.random.default_rng(12))) is None


def test_tables_of_another_shape_are_refused():
    prepared = rotated(np.random.default_rng(13), 200, 8, 136)
    codes, rows = np.zeros((1, 8), np.uint8), np.empty((1, 200), np.float32)
    for level in set(dispatch.available()) - {"reference"}:
        pq = dispatch.load("pq", level)
        with pytest.raises(ValueError, match="table is"):
            pq.back_table(prepared, np.empty((8, 256, 199), np.float32))
        for shape in [(7, 256, 200), (8, 255, 200), (8, 256, 199), (8, 256)]:
            wrong = np.zeros(shape, np.float32)
            with pytest.raises(ValueError, match="table is"):
                pq.decode_rows(codes, prepared, rows, scratch(prepared), wrong)
            with pytest.raises(ValueError, match="table is"):
                pq.decode_vector(bytes(8), prepared, wrong)


NOT_PLAIN = [
    np.ones(24),
    np.ones(23, np.float32),
    np.ones(48, np.float32)[::2],
    np.ones((1, 24), np.float32),
    np.ones(24, ">f4"),
    np.full(24, np.nan, np.float32),
    np.full(24, -np.inf, np.float32),
    np.frombuffer(b"\0" * 97, np.uint8)[1:].view(np.float32),
    [1.0] * 24,
    None,
]


@looped("values", NOT_PLAIN)
def test_anything_but_a_plain_vector_needs_a_closer_look(kernel, values):
    prepared = codebook(np.random.default_rng(11), 8, 3)
    assert kernel("pq").encode_vector(values, prepared) is None


@looped("value", [np.nan, np.inf, -np.inf])
@looped("index", [0, 23, 24 * 50 + 7])
def test_the_first_value_that_is_not_finite_is_found(kernel, value, index):
    prepared = codebook(np.random.default_rng(12), 8, 3)
    rows = np.full((60, 24), 3e38, np.float32)
    rows.reshape(-1)[[index, -1]] = value
    codes = np.empty((60, 8), np.uint8)
    assert kernel("pq").encode_rows(rows, prepared, codes, scratch(prepared)) == index


def test_sums_over_distance_tables_are_distances_from_decoded_rows(kernel):
    rng = np.random.default_rng(13)
    prepared, table = codebook(rng, 8, 16), np.empty((8, 256), np.float32)
    query, codes = rows_of(rng, 1, prepared)[0], rng.integers(0, 256, (50, 8), np.uint8)
    kernel("pq").distance_table(query, prepared, table)
    sums = np.empty(50, np.float32)
    kernel("adc").scan(table, codes, sums)
    expected = ((decode(kernel, codes, prepared).astype(np.float64) - query) ** 2).sum(axis=1)
    np.testing.assert_allclose(sums, expected, rtol=1e-5)


def test_sums_over_dot_tables_are_dot_products_with_decoded_rows(kernel):
    rng = np.random.default_rng(14)
    prepared, table = codebook(rng, 24, 5), np.empty((24, 256), np.float32)
    query, codes = rows_of(rng, 1, prepared)[0], rng.integers(0, 256, (50, 24), np.uint8)
    kernel("pq").dot_table(query, prepared, table)
    sums = np.empty(50, np.float32)
    kernel("adc").scan(table, codes, sums)
    expected = decode(kernel, codes, prepared).astype(np.float64) @ query
    np.testing.assert_allclose(sums, expected, atol=1e-4)


def test_doors_refuse_arrays_that_do_not_fit(kernel):
    pq, prepared = kernel("pq"), codebook(np.random.default_rng(16), 8, 3)
    codes, rows = np.empty((2, 8), np.uint8), np.empty((2, 24), np.float32)
    space, table = scratch(prepared), np.empty((8, 256), np.float32)
    with pytest.raises(ValueError, match="rows hold 23 values, the codebook 24"):
        pq.encode_rows(np.empty((2, 23), np.float32), prepared, codes, space)
    with pytest.raises(ValueError, match="codes are"):
        pq.encode_rows(rows, prepared, np.empty((2, 7), np.uint8), space)
    with pytest.raises(ValueError, match="codes are"):
        pq.decode_rows(np.empty((3, 8), np.uint8), prepared, rows, space)
    with pytest.raises(ValueError, match="codes"):
        pq.decode_vector(b"123456789", prepared)
    with pytest.raises(ValueError, match="query holds 23"):
        pq.dot_table(np.empty(23, np.float32), prepared, table)


@pytest.mark.parametrize("codes", [None, "12345678"])
def test_only_bytes_are_decoded(kernel, codes):
    with pytest.raises(TypeError):
        kernel("pq").decode_vector(codes, prepare(np.zeros((8, 256, 2))))


def test_a_prepared_codebook_that_was_tampered_with_is_refused():
    prepared = rotated(np.random.default_rng(17), 40, 8, 40)
    wrong = [
        prepared._replace(codes=prepared.codes[:, :2]),
        prepared._replace(codes=prepared.codes.astype(np.int16)),
        prepared._replace(scales=prepared.scales[:4]),
        prepared._replace(centres=prepared.centres[:, :2]),
        prepared._replace(half_norms=prepared.half_norms[:, :9]),
        prepared._replace(back_strips=prepared.back_strips[:, :9]),
        prepared._replace(mean=prepared.mean.astype(np.float64)),
        prepared._replace(bounds=None),
        prepared._replace(bounds=prepared.bounds[:, :3]),
        tuple(prepared)[:5],
    ]
    for level in dispatch.available()[1:]:
        for one in wrong:
            with pytest.raises(ValueError, match="prepare"):
                dispatch.load("pq", level).decode_vector(bytes(8), one)


def test_preparing_refuses_what_kernels_could_not_hold():
    with pytest.raises(ValueError, match="expected"):
        prepare(np.zeros((8, 255, 2)))
    with pytest.raises(ValueError, match="over"):
        prepare(np.zeros((1, 256, MAX_DSUB + 1)))
    with pytest.raises(ValueError, match="rotation is"):
        prepare(np.zeros((8, 256, 2)), np.zeros(20), np.zeros((20, 15)))
