"""The int8 copy: near what it copies, shared by views, counted in bytes."""

import numpy as np
import pytest

from cgcython import DimensionMismatch, InvalidInput, NonFiniteValue, TokenArray

F32 = np.float32


def tokens():
    values = np.random.default_rng(2).standard_normal((40, 16), dtype=F32)
    return TokenArray(values, [0, 10, 10, 11, 40])


def test_the_radius_holds_what_the_copy_lost(level):
    codes, bounds = tokens().with_screen(num_threads=2).screen
    step, radius = bounds.T.astype(float)
    unit = tokens().values / np.linalg.norm(tokens().values.astype(float), axis=1)[:, None]
    lost = np.linalg.norm(unit - step[:, None] * codes.view(np.int8), axis=1)
    assert np.all(lost <= radius + 1e-6)
    assert radius.max() < 0.02


def test_views_share_the_screen_and_copies_leave_it():
    screened = tokens().with_screen()
    assert screened.take([3, 0]).screen is screened.screen
    assert screened[1:].screen is screened.screen
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


def test_nothing_has_a_screen_of_nothing():
    assert TokenArray.from_list([[], []], dim=4).with_screen().screen.codes.shape == (0, 4)
