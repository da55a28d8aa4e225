"""What a change must pass is a list of steps, each a function of one script."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="not a checkout")


def test_every_step_is_a_function_and_every_function_a_step():
    text = SCRIPT.read_text()
    steps = re.search(r"^STEPS=\((.*?)\)", text, re.M)[1].split()
    assert sorted(steps) == sorted(re.findall(r"^step_(\w+)\(\)", text, re.M))


def test_a_step_that_is_not_there_is_named_before_anything_runs():
    done = subprocess.run([SCRIPT, "lint", "nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no step nothing among first tests lint" in done.stderr
