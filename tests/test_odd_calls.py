"""Odd calls of every public name end in an answer or an error of the family, nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

CALLS = 4000  # 50,000 by a command: python tests/odd_calls.py 50000
SCRIPT = Path(__file__).with_name("odd_calls.py")


@pytest.mark.parametrize("seed", [0, 1])
def test_only_the_family_of_errors_comes_out(seed):
    """In a process of its own, whose memory is limited and which may be ended by a fault."""
    command = [sys.executable, SCRIPT, str(CALLS // 2), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
