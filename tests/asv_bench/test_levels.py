"""The table of levels: floors, retries, and both sides held to the same instructions."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "asv_bench" / "levels.py"
SPEC = importlib.util.spec_from_file_location("levels", PATH)
levels = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(levels)


def row(figure, task="MaxSim", against="numpy", level="v3"):
    return levels.Row(level, task, against, figure)


def test_a_figure_below_its_floor_is_late():
    assert row(1.0).holds
    assert not row(0.99).holds
    share = levels.FLOORS["FMA rate"]
    assert row(share, against="FMA rate").holds
    assert "LATE" in str(row(share - 0.01, against="FMA rate"))


def test_the_lowest_level_has_no_share_to_reach():
    assert row(0.3, against="FMA rate", level="v2").holds


def test_what_is_late_is_timed_again_and_keeps_its_best():
    runs = iter([[row(0.9), row(1.5, "PQ encode")], [row(1.2), row(1.4, "PQ encode")]])
    assert levels.judge("v3", lambda level: next(runs)) == [row(1.2), row(1.5, "PQ encode")]


def test_what_stays_late_is_timed_three_times():
    runs = []
    found = levels.judge("v3", lambda level: runs.append(level) or [row(0.5)])
    assert (len(runs), found) == (1 + levels.RETRIES, [row(0.5)])


@pytest.mark.parametrize("level", levels.HELD)
def test_numpy_is_kept_to_the_instructions_of_the_level(level):
    if level not in levels.dispatch.available():
        pytest.skip(f"{level} does not run here")
    script = (
        "from numpy._core._multiarray_umath import __cpu_features__ as found; "
        "from cgcython import kernels; "
        "print(kernels.level, found['X86_V3'], found['X86_V4'])"
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    held = {**levels.environment(level), "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(command, env=held, capture_output=True, text=True, check=True).stdout
    wide = {"v2": "False False", "v3": "True False"}.get(level, "True True")
    assert printed.split(maxsplit=1) == [level, wide + "\n"]
