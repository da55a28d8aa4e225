"""The job that runs kernels under sanitizers ends with a failure where these find nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
JOB = ROOT / ".ci" / "sanitize"
PLANTED = ROOT / ".ci" / "planted.pyx"
# Where gcc does not find a library it prints the bare name.
LIBRARY = shutil.which("gcc") and subprocess.check_output(
    ["gcc", "-print-file-name=libasan.so"], text=True
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not JOB.exists() or not LIBRARY, reason="no gcc, or no job"),
    pytest.mark.skipif(LIBRARY == "libasan.so\n", reason="gcc has no libasan"),
]


def run(folder):
    """Run the job's search for planted faults in a repository."""
    return subprocess.run(
        ["bash", folder / ".ci" / "sanitize", "planted"],
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path):
    """Return a repository that holds the job and the planted faults."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".ci").mkdir()
    for path in (JOB, PLANTED):
        shutil.copy(path, tmp_path / ".ci")
    return tmp_path


def test_planted_faults_are_found(repository):
    ran = run(repository)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "planted faults found: a read behind an array, an overflow, a leak\n"


@pytest.mark.parametrize(
    ("fault", "sound", "call"),
    [
        ("[values.shape[0]]", "[values.shape[0] - 1]", "read_behind"),
        ("return value + 1", "return value", "overflow"),
        ("return space[0]", "free(space)", "leak"),
    ],
)
def test_a_fault_that_is_not_found_fails_the_job(repository, fault, sound, call):
    source = PLANTED.read_text().replace("cimport malloc", "cimport free, malloc")
    assert fault in source
    (repository / ".ci" / "planted.pyx").write_text(source.replace(fault, sound))
    ran = run(repository)
    assert ran.returncode == 1
    assert f"not found: planted.{call}" in ran.stderr
