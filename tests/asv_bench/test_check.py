"""The guard itself: a benchmark that is late, or dead, makes check.py fail."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("asv") is None, reason="needs asv"),
]
ASV_BENCH = Path(__file__).parents[2] / "asv_bench"
SLOW = """
from time import sleep
from .gates import at_least, beside, budget_us

@budget_us({budget})
def time_sleep():
    sleep(0.002)
time_sleep.repeat, time_sleep.number, time_sleep.rounds = 3, 1, 1

@at_least({floor})
def track_ratio():
    return {ratio}

@beside("numpy")
@at_least(1)
def track_peer():
    return 2.0

@beside("no_such_package")
@at_least(1)
def track_absent():
    return 2.0

@at_least(1)
def track_life():
    return {life}
"""


def check(folder, **gates):
    """Run check.py on one small benchmark and return its exit status and what it printed."""
    suite = folder / "benchmarks"
    suite.mkdir()
    (suite / "__init__.py").touch()
    shutil.copy(ASV_BENCH / "benchmarks" / "gates.py", suite)
    (suite / "slow.py").write_text(SLOW.format(**gates))
    conf = json.loads((ASV_BENCH / "asv.conf.json").read_text())
    conf["repo"] = str(ASV_BENCH.parent)
    (folder / "asv.conf.json").write_text(json.dumps(conf))
    done = subprocess.run(
        [sys.executable, str(ASV_BENCH / "check.py"), "--folder", str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(folder)},
    )
    return done.returncode, done.stdout


def late(table):
    """Return the benchmarks that the table calls late."""
    return {line.split()[0] for line in table.splitlines() if line.endswith("LATE")}


def test_what_holds_its_gates_passes_and_an_absent_peer_makes_nobody_late(tmp_path):
    status, table = check(tmp_path, budget=1e6, floor=1.5, ratio="2.0", life="1")
    assert (status, "4 gates hold, 0 late, 1 without their peer" in table) == (0, True)
    assert not late(table)
    assert "no_such_package is not installed" in table


def test_what_is_late_or_below_its_floor_or_dies_fails(tmp_path):
    status, table = check(tmp_path, budget=1, floor=1.5, ratio="1.4", life="1 / 0")
    assert (status, "1 gates hold, 3 late, 1 without their peer" in table) == (1, True)
    assert late(table) == {"slow.time_sleep", "slow.track_ratio", "slow.track_life"}
