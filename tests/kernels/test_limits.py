"""The limits count what they do and read what they are given."""

import numpy as np
import pytest


def test_multiply_adds_are_counted(kernel):
    limits = kernel("limits")
    assert limits.fma(0) == 0
    assert limits.fma(30) == 10 * limits.fma(3) > 0


def test_negative_rounds_are_refused(kernel):
    with pytest.raises(ValueError, match="rounds is -1"):
        kernel("limits").fma(-1)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000])
def test_every_value_is_read(kernel, n):
    values = np.arange(n, dtype=np.float32)  # whole numbers: any order of sums is exact
    values.flags.writeable = False
    assert kernel("limits").read(values) == values.sum()


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_streams_write_what_they_read(kernel, rows):
    wide = np.arange(64 * rows, dtype=np.float32)
    narrow, back = np.empty(16 * rows, np.float32), np.empty_like(wide)
    kernel("limits").narrow(wide, narrow)
    np.testing.assert_array_equal(narrow, wide.reshape(-1, 4, 16).sum(axis=1).ravel())
    kernel("limits").widen(narrow, back)
    np.testing.assert_array_equal(back, np.tile(narrow.reshape(-1, 16), 4).ravel())


@pytest.mark.parametrize(("wide", "narrow"), [(64, 15), (32, 8), (0, 1)])
def test_streams_of_other_sizes_are_refused(kernel, wide, narrow):
    wide, narrow = np.zeros(wide, np.float32), np.zeros(narrow, np.float32)
    with pytest.raises(ValueError, match="4 to 1 in multiples of 64"):
        kernel("limits").narrow(wide, narrow)
    with pytest.raises(ValueError, match="4 to 1 in multiples of 64"):
        kernel("limits").widen(narrow, wide)
