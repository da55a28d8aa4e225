"""Signs of centred values: bits, and RaBitQ's estimate of a product, beside plain NumPy."""

import numpy as np
import pytest

from cgcython.evaluation.first_passes import CentredSigns, EstimateScan, HammingScan

DIM = 20
RNG = np.random.default_rng(3)
ROWS = (RNG.standard_normal((400, DIM)) + 1).astype(np.float32)
QUERY = RNG.standard_normal(DIM).astype(np.float32)


@pytest.mark.parametrize(("size", "each"), [(3, 3), (5, 5)])
def test_codes_have_the_bytes_they_were_asked_for(size, each):
    assert CentredSigns.train(ROWS, size, 0).encode(ROWS).shape == (400, each)


def test_bits_are_signs_of_centred_and_turned_values():
    coder = CentredSigns.train(ROWS, 3, 0)
    np.testing.assert_allclose(coder.rotation.T @ coder.rotation, np.eye(DIM), atol=1e-5)
    signs = (ROWS - ROWS.mean(0)) @ coder.rotation >= 0
    np.testing.assert_array_equal(coder.encode(ROWS), np.packbits(signs, axis=1))
    asked = (QUERY - ROWS.mean(0)) @ coder.rotation >= 0
    found = HammingScan(coder.encode(ROWS), coder).scores(QUERY)
    np.testing.assert_array_equal(found, -(signs != asked).sum(1))


def test_the_factor_makes_the_estimate_of_a_row_with_itself_exact():
    coder = CentredSigns.train(ROWS, 5, 0)
    decoded, centred = coder.decode(coder.encode(ROWS)) - coder.mean, ROWS - ROWS.mean(0)
    products, lengths = (decoded * centred).sum(1), (centred**2).sum(1)
    np.testing.assert_allclose(products, lengths, rtol=1e-3)  # f16 keeps 11 bits of the factor


def test_estimates_are_products_with_what_codes_decode_to():
    coder = CentredSigns.train(ROWS, 5, 0)
    codes = coder.encode(ROWS)
    expected = coder.decode(codes).astype(np.float64) @ QUERY
    np.testing.assert_allclose(EstimateScan(codes, coder).scores(QUERY), expected, atol=1e-4)
