"""Other people's Cython code cimports kernels by `from cgcython.kernels cimport ...`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cgcython
from cgcython.kernels import dispatch

OUTSIDE = Path(__file__).parent / "outside"
PACKAGE = Path(cgcython.__file__).parent
COMPILED = dispatch.available()[1:]
pytestmark = pytest.mark.skipif(not COMPILED, reason="no compiled kernels")


@pytest.fixture(scope="module")
def run_outside(tmp_path_factory):
    """Build the outside extension in a folder of its own; return a call that runs a file there."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(OUTSIDE, folder, dirs_exist_ok=True)

    def run(*arguments, level=COMPILED[-1]):
        environment = {"PYTHONPATH": str(PACKAGE.parent), dispatch.VARIABLE: level}
        options = {"cwd": folder, "env": os.environ | environment, "check": False}
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, **options
        )

    built = run("setup.py", "-q", "build_ext", "--inplace")
    assert built.returncode == 0, built.stderr
    return run


@pytest.mark.parametrize("level", COMPILED)
def test_an_outside_extension_runs_the_kernels(run_outside, level):
    ran = run_outside("call_everything.py", level=level)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("level", COMPILED)
def test_cimported_functions_follow_the_chosen_level(run_outside, level):
    ran = run_outside("same_addresses.py", level=level)
    assert ran.returncode == 0, ran.stderr


def test_without_compiled_kernels_the_cimport_fails_at_import(run_outside):
    ran = run_outside("call_everything.py", level="reference")
    assert ran.returncode == 1
    assert "module 'cgcython.kernels.reference.bits' has no attribute" in ran.stderr


def test_every_family_with_functions_for_c_is_offered():
    declared = {path.stem for path in (PACKAGE / "kernels").glob("[a-z]*.pxd")}
    offered = re.findall(
        r"^from cgcython\.kernels\.(\w+) cimport \*$",
        (PACKAGE / "kernels" / "__init__.pxd").read_text(),
        re.M,
    )
    assert set(offered) == declared
