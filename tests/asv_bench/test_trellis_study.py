"""The trellis study: the best path is found, bytes hold all of it, and tables add up to it."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
study = pytest.importorskip("trellis_study")
trellis = pytest.importorskip("trellis_code")
trellis_scan = pytest.importorskip("trellis_scan")

COMPILER = os.environ.get("CC", "cc").split()[0]
compiled = pytest.mark.skipif(shutil.which(COMPILER) is None, reason="no C compiler")
ROWS = np.random.default_rng(0).standard_normal((300, 6), np.float32) * np.float32(
    [9, 7, 5, 4, 3, 2]
)
ROWS += 1


@pytest.fixture
def code(request, monkeypatch):
    monkeypatch.setattr(trellis, "ROUNDS", 2)
    return trellis.TrellisCode(ROWS, 2, window=8, weight=0.5, kind=request.param)


@compiled
@pytest.mark.parametrize("code", ["whole", "windows", "bytes"], indirect=True)
def test_no_other_code_is_nearer(code):
    every = np.array(list(itertools.product(range(256), repeat=2)), np.uint8)
    possible = code.turned(code.decode(every))
    found = code.turned(code.decode(code.encode(ROWS[:9])))
    for values, own in zip(code.turned(ROWS[:9]), found):
        errors = ((possible - values) ** 2).sum(axis=1)
        assert ((own - values) ** 2).sum() <= errors.min() * 1.0001


@compiled
@pytest.mark.parametrize("code", ["bytes"], indirect=True)
def test_tables_of_bytes_add_up_to_products_with_decoded_rows(code):
    query, codes = ROWS[0], code.encode(ROWS)
    sums = code.dot_tables(query)[np.arange(code.size), codes].sum(axis=1)
    products = (code.decode(codes) - code.mean) @ query
    np.testing.assert_allclose(sums, products, rtol=1e-3, atol=1e-3)


@compiled
@pytest.mark.parametrize("code", ["windows"], indirect=True)
def test_a_scan_by_windows_tells_products_with_decoded_rows(code):
    codes = code.encode(ROWS)
    scan = trellis_scan.BlockScan(code, codes)
    if not scan.supported():
        pytest.skip("needs AVX-512 VBMI and VNNI")
    products = (code.decode(codes) - code.mean) @ ROWS[0]
    np.testing.assert_allclose(scan.scores(ROWS[0]), products, atol=0.02 * np.abs(products).max())


@pytest.mark.parametrize("code", ["windows"], indirect=True)
@compiled
def test_tables_of_bytes_stand_for_values(code):
    unit, shift, found = trellis_scan.in_bytes(code.tables[0], code.window)
    last, first = (trellis.seen(view, code.window) for view in code.views[0])
    sums = unit * (found[last] + found[128 + first]) + shift
    np.testing.assert_allclose(sums, code.tables[0], atol=1.01 * unit)
    assert found.min() == 0
    assert found.max() == 127


def test_heavy_steps_are_scanned_more_than_once():
    steps, weights = trellis_scan.repeated(np.array([300, -5, -128]))
    assert list(steps) == [0, 0, 0, 1, 2, 2, 0, 0]
    assert list(weights) == [100, 100, 100, -5, -64, -64, 0, 0]


def test_all_bits_are_given_and_more_where_values_vary_more():
    level, given = trellis.shared_out(np.array([256.0, 64, 4, 2, 1, 1e-6]), 12)
    assert given.sum() == 12
    assert list(given) == sorted(given, reverse=True)
    assert len(given) < 6
    assert level > 1e-6


def test_more_bits_than_a_step_can_read_are_refused():
    with pytest.raises(ValueError, match="up to 5 bits"):
        trellis.shared_out(np.array([4.0, 1.0]), 16)


def test_a_state_is_cut_where_bytes_end():
    assert trellis.views_of("bytes", 3, 10) == ((0, 3), (3, 7))
    assert trellis.views_of("bytes", 9, 10) == ((0, 1), (1, 8), (9, 1))
    assert trellis.views_of("bytes", 16, 8) == ((0, 8),)


def test_weighing_is_undone():
    there, again = trellis.weighing(ROWS, 0.75)
    np.testing.assert_allclose(there @ again, np.eye(6), atol=1e-6)
    assert np.abs(there - np.eye(6)).max() > 0.1


def test_an_interval_holds_the_mean():
    low, high = study.interval(np.linspace(-1, 1.2, 200))
    assert -0.1 < low < 0.1 < high < 0.3
