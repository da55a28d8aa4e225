"""The int8 copy: its angles are never too small, and views share it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cgcython import DimensionMismatch, InvalidInput, NonFiniteValue, TokenArray
from cgcython.token_array.screen import angles_between, widest_angles

F32 = np.float32
FLOATS = st.floats(-(2.0**127), 2.0**127, width=32)


def tokens():
    values = np.random.default_rng(2).standard_normal((40, 16), dtype=F32)
    return TokenArray(values, [0, 10, 10, 11, 40])


@settings(deadline=None)
@given(
    rows=arrays(F32, (3, 5), elements=FLOATS),
    others=arrays(np.int8, (3, 5), elements=st.integers(-127, 127)),
)
def test_angles_are_never_too_small(rows, others):
    found = angles_between(rows, others)
    for row, other, angle in zip(rows.astype(np.longdouble), others.astype(np.longdouble), found):
        lengths = np.sqrt((row @ row) * (other @ other))
        if lengths:
            true = np.arccos(np.clip(row @ other / lengths, -1, 1))
            assert true - 1e-9 <= angle <= true + 1e-5


def test_a_screen_is_near_what_it_screens():
    screened = tokens().with_screen(num_threads=2)
    assert screened.screen.angles.max() < 0.02
    assert screened.screen.angles[-1] == 0
    assert np.array_equal(screened.coarse().values, tokens().quantize("int8").values)


def test_the_widest_angle_of_each_document_is_found():
    screen, some = tokens().with_screen().screen, tokens().take([3, 1, 0, 3])
    found = widest_angles(screen, some.starts, some.counts)
    for angle, start, count in zip(found, some.starts, some.counts):
        if count:
            assert angle == screen.angles[start : start + count].max()
    assert len(widest_angles(screen, some.starts[:0], some.counts[:0])) == 0


def test_views_share_the_screen_and_copies_leave_it():
    screened = tokens().with_screen()
    assert screened.take([3, 0]).screen is screened.screen
    assert screened[1:].coarse()[0].shape == screened[1:][0].shape
    assert screened.take([3, 0]).compact().screen is None
    assert screened == tokens()


def test_its_bytes_are_counted():
    assert tokens().with_screen().nbytes - tokens().nbytes == 40 * (16 + 8)


def test_only_finite_float32_tokens_have_a_screen():
    with pytest.raises(InvalidInput, match="got e4m3 codes"):
        tokens().quantize("e4m3").with_screen()
    with pytest.raises(NonFiniteValue, match="value 1 is nan"):
        TokenArray([[0, np.nan]], [0, 1], finite=False).with_screen()
    with pytest.raises(DimensionMismatch, match="up to 4096"):
        TokenArray(np.zeros((1, 4100)), [0, 1]).with_screen()
