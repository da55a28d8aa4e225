"""MaxSim on product-quantization codes beside NumPy's float64 on the decoded tokens."""

import numpy as np
import pytest
from kernel_levels import FUSING
from looping import looped

from cgcython.kernels import dispatch

F32, I64 = np.float32, np.int64
TOLERANCE = 1e-6


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=F32)


def random_codes(n, M, seed=2):
    return np.random.default_rng(seed).integers(0, 256, (n, M)).astype(np.uint8)


def decoded(codebook, codes):
    dim = codebook.shape[0] * codebook.shape[2]
    return codebook[np.arange(len(codebook)), codes].reshape(len(codes), dim).astype(float)


def expected_sum(query, document):
    """The sum over query tokens of the best cosine in float64; tokens of zeros have none."""
    query = query.astype(float)
    lengths = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(document, axis=1)
    none = np.full(lengths.shape, -np.inf)
    best = np.divide(query @ document.T, lengths, out=none, where=lengths > 0)
    best = best.max(axis=1, initial=-np.inf)
    return best[best > -np.inf].sum()


def tables(kernel, query, codebook):
    packed = np.empty((-(-len(query) // 32), query.shape[1], 32), F32)
    assert kernel("maxsim").pack_query(query, packed) == -1
    out = np.full((len(packed), len(codebook), 256, 32), np.nan, F32)
    kernel("maxsim_pq").tables(packed, codebook, out)
    return out, len(query)


def norms(kernel, codebook, codes):
    squares, out = np.empty(codebook.shape[:2]), np.empty(len(codes), F32)
    kernel("maxsim_pq").squares(codebook, squares)
    kernel("maxsim_pq").inverse_norms(squares, codes, out)
    return out


def score(kernel, query, codebook, codes, starts=(0,), counts=None):
    starts = np.array(starts, I64)
    counts = np.array([len(codes)] if counts is None else counts, I64)
    known, sums = norms(kernel, codebook, codes), np.full(len(starts), np.nan, F32)
    found = tables(kernel, query, codebook)
    kernel("maxsim_pq").score(*found, codes, known, starts, counts, sums)
    return sums


@pytest.mark.parametrize(("M", "dsub"), [(1, 1), (3, 5), (8, 16), (16, 8), (2, 130)])
def test_tables_hold_the_dots_of_unit_query_tokens(kernel, M, dsub):
    query, codebook = random(35, M * dsub), random(M, 256, dsub, seed=1)
    codebook /= np.abs(codebook).max() * F32(0.6)  # largest value between 1 and 2: no scale
    found, _ = tables(kernel, query, codebook)
    subvectors = (query / np.linalg.norm(query, axis=1)[:, None]).reshape(35, M, dsub)
    expected = np.einsum("qmd,mcd->qmc", subvectors, codebook)
    lanes = found.transpose(0, 3, 1, 2).reshape(-1, M, 256)
    np.testing.assert_allclose(lanes[:35], expected, atol=3e-6)
    assert not lanes[35:].any()


@looped("count", [0, 1, 2, 31, 300])
@looped("queries", [0, 1, 8, 16, 17, 32, 50, 130])
def test_codes_score_as_their_decoded_tokens(kernel, queries, count):
    query, codebook = random(queries, 32), random(8, 256, 4, seed=1)
    codes = random_codes(count, 8)
    expected = expected_sum(query, decoded(codebook, codes))
    found = score(kernel, query, codebook, codes)
    np.testing.assert_allclose(found, [expected], atol=max(queries, 1) * TOLERANCE)


@pytest.mark.parametrize(("M", "dsub"), [(1, 3), (5, 7), (16, 8), (32, 4), (64, 16)])
def test_any_shape_of_codebook_scores_like_float64(kernel, M, dsub):
    query, codebook = random(4, M * dsub), random(M, 256, dsub, seed=1)
    codes = random_codes(40, M)
    expected = expected_sum(query, decoded(codebook, codes))
    np.testing.assert_allclose(score(kernel, query, codebook, codes), [expected], atol=4e-6)


@pytest.mark.parametrize("magnitude", [1e-40, 1e-30, 1e18, 1e35])
def test_any_magnitude_of_codebook_scores_as_if_it_were_one(kernel, magnitude):
    query, codebook = random(4, 32), np.round(random(8, 256, 4, seed=1) * 64)
    codes, far = random_codes(20, 8), (codebook * magnitude).astype(F32)
    expected = expected_sum(query, decoded(far, codes))
    np.testing.assert_allclose(score(kernel, query, far, codes), [expected], atol=4e-6)


def test_tokens_without_direction_are_never_matched(kernel):
    query, codebook = -np.abs(random(3, 8)), np.abs(random(2, 256, 4, seed=1))
    codebook[:, 0] = 0
    codebook[0, 1, 2], codebook[1, 2, 3] = np.nan, np.inf
    codes = random_codes(10, 2).clip(3)
    expected = score(kernel, query, np.nan_to_num(codebook, posinf=0), codes)
    codes = np.concatenate([[[0, 0], [1, 5], [7, 2]], codes]).astype(np.uint8)
    assert expected < 0
    np.testing.assert_allclose(score(kernel, query, codebook, codes), expected, rtol=1e-6)
    assert np.isnan(norms(kernel, codebook, codes)[:3]).all()
    assert score(kernel, query, codebook, codes[:1]) == [0]


def test_zero_query_tokens_count_nothing(kernel):
    query, codebook, codes = random(6, 8), random(2, 256, 4, seed=1), random_codes(9, 2)
    query[[0, 5]] = 0
    expected = expected_sum(query[1:5], decoded(codebook, codes))
    np.testing.assert_allclose(score(kernel, query, codebook, codes), [expected], atol=4e-6)


def test_a_document_scores_the_same_in_any_batch(kernel):
    query, codebook, codes = random(40, 32), random(8, 256, 4, seed=1), random_codes(300, 8)
    starts, counts = [0, 100, 7, 0, 250, 300], [300, 1, 20, 5, 50, 0]
    together = score(kernel, query, codebook, codes, starts, counts)
    apart = [
        score(kernel, query, codebook, codes[start : start + count])[0]
        for start, count in zip(starts, counts)
    ]
    assert together.tolist() == apart


@pytest.mark.parametrize(("M", "dsub"), [(3, 5), (16, 8), (2, 130)])
def test_levels_with_fma_return_the_same_bits(M, dsub):
    query, codebook = random(40, M * dsub), random(M, 256, dsub, seed=1)
    codes = random_codes(50, M)
    results = {
        score(lambda name, at=level: dispatch.load(name, at), query, codebook, codes).tobytes()
        for level in FUSING
    }
    assert len(results) <= 1


@pytest.mark.parametrize(
    ("starts", "counts"),
    [([-1], [1]), ([0], [-1]), ([0], [11]), ([10], [1]), ([11], [0]), ([0], [2**62])],
)
def test_documents_outside_the_codes_are_refused(kernel, starts, counts):
    query, codebook = random(2, 8), random(2, 256, 4, seed=1)
    with pytest.raises(ValueError, match="document at"):
        score(kernel, query, codebook, random_codes(10, 2), starts, counts)


def test_shapes_must_agree(kernel):
    family, none, sums = kernel("maxsim_pq"), np.zeros(0, I64), np.zeros(0, F32)
    codebook, packed, out = random(2, 256, 4), random(1, 8, 32), np.zeros((1, 2, 256, 32), F32)
    with pytest.raises(ValueError, match="subspaces"):
        family.tables(packed, random(3, 256, 4), out)
    with pytest.raises(ValueError, match="subspace"):
        family.tables(packed, random(2, 255, 4), out)
    with pytest.raises(ValueError, match="packed"):
        family.tables(random(1, 9, 32), codebook, out)
    with pytest.raises(ValueError, match="out"):
        family.tables(packed, codebook, np.zeros((2, 2, 256, 32), F32))
    with pytest.raises(ValueError, match="subspaces"):
        family.inverse_norms(np.zeros((2, 256)), random_codes(4, 3), np.zeros(4, F32))
    with pytest.raises(ValueError, match="out"):
        family.inverse_norms(np.zeros((2, 256)), random_codes(4, 2), np.zeros(3, F32))
    with pytest.raises(ValueError, match="subspaces"):
        family.score(out, 1, random_codes(4, 3), np.zeros(4, F32), none, none, sums)
    with pytest.raises(ValueError, match="query"):
        family.score(out, 33, random_codes(4, 2), np.zeros(4, F32), none, none, sums)
    with pytest.raises(ValueError, match="norms"):
        family.score(out, 1, random_codes(4, 2), np.zeros(3, F32), none, none, sums)
