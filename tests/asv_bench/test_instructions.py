"""Instruction counts: read from valgrind's file, compared, kept by compiler."""

import importlib.util
import json
import runpy
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "asv_bench" / "instructions.py"
SPEC = importlib.util.spec_from_file_location("instructions", PATH)
instructions = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(instructions)

CALLGRIND = """\
events: Ir
fn=__pyx_pw_8cgcython_7kernels_4e4m3_5encode_rows
0 100
cfn=__pyx_f_8cgcython_7kernels_4e4m3_e4m3_encode_rows
calls=2 0
0 40000

fn=__pyx_f_8cgcython_7kernels_4e4m3_e4m3_encode_rows
0 4000

fn=__pyx_pw_5numpy_6random_1default_rng
0 77
fn=__pyx_pw_8cgcython_7kernels_15sparse_products_1dot_pair
0 10000
fn=__pyx_pw_8cgcython_7kernels_6sparse_1size
0 9999
"""
COUNTS = {"bits.pack_rows": 1_000_000, "e4m3.encode_rows": 2_000_000}


@pytest.fixture
def judge(tmp_path):
    """Return `judge(counts, name, record)` over one file with the counts of gcc 12."""
    path = tmp_path / "instructions.json"
    path.write_text(json.dumps({"gcc 12.2.0": COUNTS}))
    return lambda counts, name="gcc 12.2.0", record=False: instructions.judge(
        counts, name, path, record
    )


def test_counts_include_what_a_kernel_calls_and_nothing_else():
    expected = {"e4m3.encode_rows": 40_100, "sparse_products.dot_pair": 10_000}
    assert instructions.counts_of(CALLGRIND.splitlines()) == expected


def test_the_same_counts_pass(judge):
    assert judge(COUNTS) == 0


@pytest.mark.parametrize(("factor", "status"), [(1.03, 1), (0.97, 1), (1.019, 0), (0.981, 0)])
def test_more_than_two_percent_either_way_fails(judge, capsys, factor, status):
    changed = {**COUNTS, "bits.pack_rows": round(1_000_000 * factor)}
    assert judge(changed) == status
    assert capsys.readouterr().out.count("CHANGED") == status


def test_a_kernel_that_is_no_longer_counted_fails(judge):
    assert judge({"bits.pack_rows": 1_000_000}) == 1
    assert judge({**COUNTS, "bits.unpack_rows": 5}) == 1


def test_an_unknown_compiler_passes_with_a_warning(judge, capsys):
    assert judge({"bits.pack_rows": 7}, "gcc 99.1.0") == 0
    assert "warning: no counts of gcc 99.1.0" in capsys.readouterr().out


def test_recorded_counts_are_those_of_their_compiler(judge):
    more = {name: 2 * count for name, count in COUNTS.items()}
    assert judge(more, "gcc 99.1.0", record=True) == 0
    assert judge(more, "gcc 99.1.0") == judge(COUNTS) == 0
    assert judge(COUNTS, "gcc 99.1.0") == 1


def test_without_valgrind_the_step_is_skipped(monkeypatch, capsys):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    assert instructions.main([]) == 0
    assert capsys.readouterr().out.startswith("skipped: valgrind is not installed")


def test_the_compiler_is_named_with_its_version():
    family, version = instructions.compiler().split()
    assert family in ("gcc", "clang")
    assert version[0].isdigit()


def test_the_workloads_run():
    runpy.run_path(str(PATH.with_name("workloads.py")), run_name="__main__")
