"""Levels: forced by variable or at run time, and what happens where one is missing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cgcython
from cgcython import kernels
from cgcython.kernels import dispatch

PACKAGE = Path(cgcython.__file__).parent
COMPILED = dispatch.available()[1:]
compiled = pytest.mark.skipif(not COMPILED, reason="no compiled kernels")

PRINT_LEVEL = "from cgcython import kernels; print(kernels.level, kernels.e4m3.__name__)"
ENCODE = """
import numpy as np, sys
from cgcython import kernels
assert kernels.level == sys.argv[1], kernels.level
assert kernels.bits.pack_vector(np.array([1, -1, 1], np.float32), 3, 0.0) == b"\\xa0"
assert kernels.sparse.encode_vector(
    np.array([3], np.uint32), np.array([1.0], np.float32), 100, 1
).hex() == "0301003c"
"""


def run(code, *arguments, level="", package=PACKAGE):
    environment = {"PYTHONPATH": str(package.parent), dispatch.VARIABLE: level}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=package.parent,
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("level", dispatch.available())
def test_the_variable_forces_a_level(level):
    expected = f"{level} cgcython.kernels.{level}.e4m3"
    assert run(PRINT_LEVEL, level=level).stdout.strip() == expected


def test_without_the_variable_the_last_level_runs():
    best = dispatch.available()[-1]
    assert run(PRINT_LEVEL).stdout.split()[0] == best


def test_an_unknown_level_is_refused_with_the_known_ones():
    ran = run(PRINT_LEVEL, level="v5")
    assert ran.returncode != 0
    known = "reference, generic, v2, v3, v4, v4n, v4x, neon, dot"
    assert f"CGCYTHON_LEVEL is 'v5', expected one of {known}" in ran.stderr


def test_a_level_can_be_chosen_at_run_time(level):
    assert kernels.level == level
    for family in dispatch.FAMILIES:
        module = getattr(kernels, family)
        assert module.__name__ == f"cgcython.kernels.{level}.{family}"
        assert sys.modules[f"cgcython.kernels.{family}"] is module


def test_an_unknown_level_at_run_time_changes_nothing():
    before = kernels.level, kernels.e4m3
    with pytest.raises(ValueError, match="expected one of"):
        dispatch.use("avx9000")
    assert (kernels.level, kernels.e4m3) == before


def test_a_level_beyond_the_processor_is_refused(monkeypatch):
    monkeypatch.setattr(dispatch, "_runs", lambda: ["v2"])
    with pytest.raises(ValueError, match="'v4x' was not built or does not run here"):
        dispatch.use("v4x")


def test_every_level_has_the_functions_of_the_reference():
    for family in dispatch.FAMILIES:
        defined = names(dispatch.load(family, "reference"))
        assert defined
        for level in COMPILED:
            assert names(dispatch.load(family, level)) == defined, f"{level}.{family}"


def names(module):
    """The public functions; not what a module imports."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", module.__name__).endswith(module.__name__.split(".")[-1])
        and not isinstance(value, type)
    }


@pytest.fixture
def without(tmp_path):
    """Return `copy(pattern)`: a copy of the package that lacks the files of a pattern."""

    def copy(pattern):
        ignored = shutil.ignore_patterns("__pycache__", "*.c", pattern)
        return Path(shutil.copytree(PACKAGE, tmp_path / "cgcython", ignore=ignored))

    return copy


def test_without_compiled_kernels_the_reference_runs_and_a_warning_says_so(without):
    ran = run(ENCODE, "reference", package=without("*.so"))
    assert ran.returncode == 0, ran.stderr
    assert "cgcython runs without compiled kernels" in ran.stderr


def test_who_asks_for_the_reference_is_not_warned_of_it(without):
    ran = run(ENCODE, "reference", level="reference", package=without("*.so"))
    assert (ran.returncode, ran.stderr) == (0, "")


def told_without_kernels(without, facts):
    package = without("*.so")
    (package / "kernels" / "built.json").write_text(json.dumps(facts))
    return run(ENCODE, "reference", package=package).stderr


def test_the_warning_says_what_helps(without):
    said = told_without_kernels(without, {"pure": True})
    assert "it was installed under CGCYTHON_PURE=1; install it again without that" in said


def test_modules_that_were_built_and_are_gone_are_told_of(without):
    said = told_without_kernels(without, {"levels": {"v3": ["-march=x86-64-v3"]}})
    assert "its modules are gone; install it again" in said


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_damaged_facts_of_the_build_harm_nothing(without, text):
    package = without("*.so")
    (package / "kernels" / "built.json").write_text(text)
    assert "reinstall it with a C compiler" in run(ENCODE, "reference", package=package).stderr


def test_a_big_endian_processor_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "byteorder", "big")
    with pytest.raises(ImportError, match="lowest byte first; big-endian processors cannot run it"):
        dispatch.use_best()


@compiled
def test_what_was_built_is_known():
    facts = dispatch.built()
    assert not facts["pure"]
    assert set(facts["levels"]) & set(COMPILED)
    assert "gcc" in facts["compiler"] or "clang" in facts["compiler"]


@compiled
def test_one_missing_module_costs_its_level_and_no_other(without):
    package = without("nothing")
    for module in (package / "kernels" / COMPILED[-1]).glob("sparse*.so"):
        module.unlink()
    assert run(ENCODE, dispatch.available()[-2], package=package).returncode == 0
    forced = run(ENCODE, COMPILED[-1], level=COMPILED[-1], package=package)
    assert f"level '{COMPILED[-1]}' was not built or does not run here" in forced.stderr


def test_levels_agree_on_bytes():
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    modules = [dispatch.load("bits", level) for level in dispatch.available()]
    assert len({module.pack_vector(values, 1000, 0.0) for module in modules}) == 1
