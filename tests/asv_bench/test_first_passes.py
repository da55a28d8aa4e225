"""The comparison of first passes prints a line for each way, whose signs are those of guides."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "asv_bench"


@pytest.fixture(scope="module")
def first_passes():
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("first_passes", FOLDER / "first_passes.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def test_it_prints_depth_bytes_and_time(first_passes, tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {
        f"{name}{dim}": rng.standard_normal((n, dim)).astype(np.float16)
        for dim in (384, 1152)
        for name, n in (("docs", 60), ("queries", 3))
    }
    np.savez(tmp_path / "pooled_cranfield.npz", **arrays)
    np.savez(tmp_path / "train.npz", t384=arrays["docs384"])
    assert first_passes.main([str(tmp_path), "--sizes", "--rows", "300"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["384", "float8"]] * 4 + [
        ["1152", "float8"]
    ] * 4


def test_turned_rows_have_the_signs_of_the_guide(first_passes):
    rows = np.random.default_rng(1).standard_normal((20, 100), np.float32)
    signs = first_passes.Signs.of(first_passes.VectorScan(rows))
    values = first_passes.turned(signs, rows)
    packed = np.packbits(values >= 0, axis=1, bitorder="little").view(np.uint64)
    assert np.mean(packed == signs.packed(rows)) > 0.9  # sums near 0 round either way
    lengths = np.linalg.norm(values, axis=1)
    np.testing.assert_allclose(
        lengths, np.linalg.norm(first_passes.units(rows) - signs.centre, axis=1), rtol=1e-5
    )
