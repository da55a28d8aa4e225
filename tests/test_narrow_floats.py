"""Narrow floats: every code means what ml_dtypes says, and what is no number names a conversion."""

import ml_dtypes
import numpy as np
import pytest

from cgcython import Fingerprint, PQ8Codebook
from cgcython.arrays import as_float32
from cgcython.errors import InvalidInput
from cgcython.inputs.columns import DenseColumn
from cgcython.narrow_floats import BFLOAT16, E4M3, E5M2, WidenedRows, conversion, is_real, widened


@pytest.mark.parametrize("dtype", [BFLOAT16, E4M3, E5M2], ids=lambda one: one.names[0])
def test_every_code_widens_as_ml_dtypes_has_it(dtype):
    bits = np.arange(1 << 8 * dtype.itemsize, dtype=dtype[0])
    expected = bits.view(getattr(ml_dtypes, dtype.names[0])).astype(np.float32)
    np.testing.assert_array_equal(widened(bits.view(dtype)), expected)
    np.testing.assert_array_equal(as_float32(bits.view(dtype)), expected)


def test_rows_are_widened_when_they_are_read():
    bits = np.arange(0x3F80, 0x3F8C, dtype="<u2").reshape(4, 3).view(BFLOAT16)
    rows = WidenedRows(bits)
    whole = np.asarray(rows)
    assert (rows.shape, rows.ndim, len(rows), whole.dtype) == ((4, 3), 2, 4, np.float32)
    np.testing.assert_array_equal(rows[1:3], whole[1:3])
    np.testing.assert_array_equal(rows[[0, 3]], whole[[0, 3]])


@pytest.mark.filterwarnings("ignore:300 samples")
def test_codebooks_are_trained_on_them_as_on_float32():
    bits = np.random.default_rng(0).integers(0x3F00, 0x4000, (300, 8), "<u2").view(BFLOAT16)
    rows = WidenedRows(bits)
    books = [PQ8Codebook.train(one, rotation=None) for one in (rows, np.asarray(rows))]
    assert books[0] == books[1]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"])
def test_the_types_of_ml_dtypes_are_numbers(name):
    assert is_real(np.dtype(getattr(ml_dtypes, name)))


REFUSED = {
    "bool": (np.zeros(4, bool), "np.where"),
    "complex": (np.zeros(4, complex), "array.real"),
    "text": (np.zeros(4, "U3"), "astype"),
    "objects": (np.array([{}, 1], object), "np.stack"),
    "void": (np.zeros(4, "V2"), "safetensors"),
    "fields": (np.zeros(4, [("a", "f4")]), "one field"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_number_says_which_conversion_to_call(name):
    array, remedy = REFUSED[name]
    assert not is_real(array.dtype)
    assert remedy in conversion(array.dtype)
    with pytest.raises(InvalidInput, match=remedy):
        DenseColumn(array[:, None])


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"bool"}))
def test_fingerprints_say_so_too(name):
    array, remedy = REFUSED[name]
    with pytest.raises(InvalidInput, match=remedy):
        Fingerprint({"E9": array})


def test_a_npy_file_of_ml_dtypes_says_which_conversion_to_call(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(4, ml_dtypes.bfloat16))
    with pytest.raises(InvalidInput, match="safetensors"):
        as_float32(np.load(tmp_path / "x.npy"))
