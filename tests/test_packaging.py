"""Wheel and sdist: what is in them, and that both install and run in a fresh environment."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from cgcython.kernels import dispatch

ROOT = Path(__file__).parents[1]
FAMILIES = dispatch.FAMILIES
# A build for everybody has no level `generic` where the processor has levels of its own.
USUAL = [level for level in dispatch.available() if level != "generic"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="not a source tree"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler"),
]

# Stands before the compiler, refuses what an old one would, and does not optimise.
OLD_COMPILER = """#!/bin/sh
for argument; do
    case "$argument" in -march=x86-64-v4) echo "bad value for -march" >&2; exit 1;; esac
done
exec cc "$@" -O1
"""
# Stands before the compiler, and fails for one family.
FAILS_ONE = """#!/bin/sh
for argument; do
    case "$argument" in */limits.c) echo "no room for this one" >&2; exit 1;; esac
done
exec cc "$@" -O1
"""
RUN = """
import numpy as np, cgcython
from cgcython import kernels
encoder = cgcython.Float8E4M3Encoder()
values = np.linspace(-1, 1, 512, dtype=np.float32)
decoded = encoder.dequantize(encoder.quantize(cgcython.ModelId.TEMPORAL_RECENT, values))
assert np.abs(decoded - values).max() < 0.04
sparse = cgcython.SparseVector([5, 3], [0.5, 2.0], 30522)
encoder = cgcython.SparseNativeEncoder()
assert encoder.dequantize(encoder.quantize(cgcython.ModelId.SPLADE, sparse)) == sparse
print(cgcython.__file__, kernels.level, *kernels.dispatch.available())
"""


def call(*command, **options):
    ran = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **options
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the tree, so that a build leaves nothing behind in this one."""
    ignored = shutil.ignore_patterns(
        ".git", "build", "dist", "*.egg-info", "*.so", "*.c", "__pycache__", ".*_cache", ".asv"
    )
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("source") / "cgcython", ignore=ignored)


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The wheel, made from the tree by this machine's compiler."""
    return built_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    call(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", folder, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def built_wheel(source, folder, **environment):
    pip = sys.executable, "-m", "pip", "-q", "wheel", "--no-build-isolation", "--no-deps"
    call(*pip, "-w", folder, source, cwd=folder, env=os.environ | environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def run_in_fresh_environment(wheel, folder, *options):
    """Install a wheel into a new environment and return the levels that RUN prints there."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    # The environment of this test lends its numpy, after the new one's own packages.
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (site / "lent.pth").write_text("\n".join(lent))
    pip = sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-deps"
    call(*pip, "--no-index", "--force-reinstall", wheel)
    ours = {"PYTHONPATH", dispatch.VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    path, *levels = call(python, *options, "-c", RUN, cwd=folder, env=environment).split()
    assert Path(path).is_relative_to(site)
    return levels


def test_a_wheel_runs_in_a_fresh_environment(wheel, tmp_path):
    chosen, *available = run_in_fresh_environment(wheel, tmp_path, "-W", "error")
    assert available == USUAL
    assert chosen == available[-1]


def test_a_sdist_installs_where_the_compiler_lacks_the_last_levels(sdist, tmp_path):
    compiler = tmp_path / "cc-of-old"
    compiler.write_text(OLD_COMPILER)
    compiler.chmod(0o755)
    wheel = built_wheel(sdist, tmp_path, CC=str(compiler))
    chosen, *available = run_in_fresh_environment(wheel, tmp_path, "-W", "error")
    assert available == [level for level in USUAL if "v4" not in level]
    assert chosen == available[-1]
    with zipfile.ZipFile(wheel) as archive:
        facts = json.loads(archive.read("cgcython/kernels/built.json"))
    assert list(facts["levels"]) == ["v2", "v3"]
    assert "refuses -march=x86-64-v4" in facts["left_out"]["v4"]


def failed_wheel(source, folder, **environment):
    """Return what pip says of a wheel that cannot be built."""
    pip = sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"
    ran = subprocess.run(
        [*pip, "-w", folder, source], cwd=folder, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    return ran.stdout + ran.stderr


def test_without_a_compiler_nothing_is_installed_and_what_to_install_is_said(sdist, tmp_path):
    said = failed_wheel(sdist, tmp_path, CC="no-such-compiler")
    for word in ("no-such-compiler", "apt install gcc python3-dev", "CGCYTHON_PURE=1"):
        assert word in said


def test_a_family_that_fails_ends_the_build_by_name(wheel, source, tmp_path):
    assert wheel  # what another compiler left in this tree helps nobody
    compiler = tmp_path / "cc-that-fails"
    compiler.write_text(FAILS_ONE)
    compiler.chmod(0o755)
    said = failed_wheel(source, tmp_path, CC=str(compiler), CGCYTHON_BUILD_LEVELS="v2")
    assert "cgcython.kernels.v2.limits cannot be built by" in said
    assert "no room for this one" in said


def test_who_asks_for_no_kernels_gets_numpy_and_is_told_so(sdist, tmp_path):
    wheel = built_wheel(sdist, tmp_path, CC="no-such-compiler", CGCYTHON_PURE="1")
    assert run_in_fresh_environment(wheel, tmp_path) == ["reference", "reference"]


def test_a_wheel_without_kernels_holds_none_of_a_build_before(wheel, source, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith(".so")]
    pure = built_wheel(source, tmp_path, CC="no-such-compiler", CGCYTHON_PURE="1")
    with zipfile.ZipFile(pure) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".so")]


def test_a_wheel_holds_what_others_compile_against(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = [
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.py", "*.pyx", "*.pxd", "*.pyi", "*.h", "*.toml", "py.typed")
        for path in (ROOT / "cgcython").rglob(pattern)
    ]
    assert {"cgcython/kernels/__init__.pxd", "cgcython/profiles/default.toml"} <= set(shipped)
    assert set(shipped) <= names
    assert not [name for name in names if name.endswith(".c") or name.startswith("tests")]


def test_a_sdist_holds_all_that_a_build_needs(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = [f"cgcython/kernels/{family}.pyx" for family in FAMILIES]
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", *sources} <= names
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob("cgcython/**/*.h")} <= names
