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
